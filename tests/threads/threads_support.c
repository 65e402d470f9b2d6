/* SPDX-License-Identifier: MIT */
#include "threads_support.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *running;
static size_t number;

/* In a child: a ring that was closed interrupts its task's next wait, as a signal would. */
static bool machine_has_no_ring(void)
{
	unsigned char parameters[512] = {0}; /* struct io_uring_params is smaller */
	int status = 0;
	pid_t child = fork();

	check(child >= 0);
	if (child == 0)
		_exit(syscall(SYS_io_uring_setup, 1, parameters) < 0);
	check(waitpid(child, &status, 0) == child);
	return status != 0;
}

int run_tests(const struct thread_test *tests, size_t count)
{
	const char *backend = getenv("SLUICE_BACKEND");

	check(backend != NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(backend, "uring") == 0 && machine_has_no_ring()) {
		printf("1..0 # SKIP this machine has no io_uring\n");
		return 0;
	}
	printf("1..%zu\n", count);
	for (number = 1; number <= count; number++) {
		running = tests[number - 1].name;
		if (tests[number - 1].skip) {
			printf("ok %zu - %s # SKIP %s\n", number, running, tests[number - 1].skip);
			continue;
		}
		alarm(240);
		tests[number - 1].run();
		printf("ok %zu - %s\n", number, running);
	}
	return 0;
}

void check_failed(const char *condition, const char *file, int line)
{
	printf("not ok %zu - %s\n# %s:%d: %s\n", number, running ? running : "start", file, line,
	       condition);
	_exit(1);
}

struct sluice_engine *engine_new(void)
{
	struct sluice_engine *engine;

	check(sluice_engine_create(&engine, NULL) == 0);
	check(strcmp(sluice_engine_backend(engine), getenv("SLUICE_BACKEND")) == 0);
	return engine;
}

static int new_tcp(int bytes)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check(fd >= 0);
	/* BBR paces even on loopback. Reno may be forbidden, and then the tests only take longer. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
	if (bytes) {
		check(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0);
		check(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
	}
	return fd;
}

void tcp_descriptors(int bytes, int ret_fds[2])
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof address;
	int listener = new_tcp(bytes);

	check(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
	check(listen(listener, 8) == 0);
	check(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	ret_fds[0] = new_tcp(bytes);
	check(connect(ret_fds[0], (struct sockaddr *)&address, sizeof address) == 0);
	ret_fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	check(ret_fds[1] >= 0);
	close(listener);
}

struct sluice_socket *attach(struct sluice_engine *engine, int fd)
{
	struct sluice_socket *socket;

	check(sluice_socket_attach(engine, fd, &socket) == 0);
	return socket;
}

void thread_start(pthread_t *thread, void *(*function)(void *), void *token)
{
	check(pthread_create(thread, NULL, function, token) == 0);
}

void thread_join(pthread_t thread)
{
	check(pthread_join(thread, NULL) == 0);
}

void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) != 0)
		check(errno == EINTR);
}

bool read_whole(int fd, void *base, size_t length)
{
	unsigned char *to = base;

	while (length > 0) {
		ssize_t count = recv(fd, to, length, 0);

		if (count <= 0)
			return false;
		to += count;
		length -= (size_t)count;
	}
	return true;
}

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}
