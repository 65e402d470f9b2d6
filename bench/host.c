/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Connecting 10,000 sockets takes seconds on a slow machine, a turn less than one. */
#define PATIENCE_MS 60000

static uint64_t wall_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t timeval_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_usec * 1000;
}

static uint64_t cpu_clock_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		err(1, "getrusage");
	return timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

static uint64_t calls_of(struct side *side)
{
	return side->system_calls ? side->system_calls(side) : 0;
}

/* Makes a turn that has taken this long so many percent longer. */
static void spin(uint64_t taken_ns, int percent)
{
	uint64_t end = wall_clock_ns() + taken_ns * (uint64_t)percent / 100;

	while (percent > 0 && wall_clock_ns() < end)
		;
}

/* The load so many times, and what it took; what has to be prepared for each is not counted. */
static void run(struct side *side, const struct load *load, uint64_t times, int spin_percent,
		struct sample *sample)
{
	uint64_t turns = load->cold ? times : 1;

	for (uint64_t i = 0; i < turns; i++) {
		uint64_t wall, cpu;

		if (load->cold)
			posix_fadvise(load->file_fd, 0, 0, POSIX_FADV_DONTNEED);
		cpu = cpu_clock_ns();
		wall = wall_clock_ns();
		side->run(side, times / turns);
		spin(wall_clock_ns() - wall, spin_percent);
		sample->wall_ns += wall_clock_ns() - wall;
		sample->cpu_ns += cpu_clock_ns() - cpu;
	}
}

static struct sample measure(struct side *side, const struct load *load, uint64_t times,
			     int spin_percent)
{
	/* What the turn before left in the sockets is not on this one's account. */
	const struct timespec pause = {.tv_nsec = 1000000};
	struct sample sample = {.counted = side->system_calls != NULL};
	uint64_t calls;

	nanosleep(&pause, NULL);
	/* Nor that the caches are full of the other sides' things. */
	side->run(side, 1);
	calls = calls_of(side);
	run(side, load, times, spin_percent, &sample);
	sample.system_calls = calls_of(side) - calls;
	return sample;
}

/* The process's life: one sample for every order, until one asks for nothing. */
_Noreturn static void serve(int fd, const struct peer *peer, const struct load *load,
			    const struct place *place)
{
	struct sample sample = {0};
	struct receiver receiver;
	struct load own = *load;
	struct side *side;
	uint64_t times;

	signal(SIGPIPE, SIG_IGN);
	receiver_start(&receiver, load->receiver_mode, place->receiver_cpu, place->nap_us);
	own.receiver = &receiver;
	net_pin(place->sender_cpu);
	side = peer->create(&own);
	if (write(fd, &sample, sizeof(sample)) != sizeof(sample))
		exit(1);
	while (read(fd, &times, sizeof(times)) == sizeof(times) && times > 0) {
		sample = measure(side, &own, times, place->spin_percent);
		if (write(fd, &sample, sizeof(sample)) != sizeof(sample))
			exit(1);
	}
	side->destroy(side);
	receiver_stop(&receiver);
	exit(0);
}

/* The last line that the process said, without its name. */
static bool last_words(struct host *host)
{
	char text[4096], *line;
	ssize_t length = pread(host->errors, text, sizeof(text) - 1, 0);

	if (length <= 0)
		return false;
	text[length] = '\0';
	if (text[length - 1] == '\n')
		text[length - 1] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	if (strncmp(line, program_invocation_short_name, strlen(program_invocation_short_name)) ==
	    0)
		line += strlen(program_invocation_short_name) + 2;
	snprintf(host->failed, sizeof(host->failed), "%.*s", (int)sizeof(host->failed) - 1, line);
	return true;
}

static bool fail(struct host *host, const char *reason)
{
	int status = 0;

	kill(host->process, SIGKILL);
	waitpid(host->process, &status, 0);
	host->process = 0;
	if (reason)
		snprintf(host->failed, sizeof(host->failed), "%s", reason);
	else if (!last_words(host))
		snprintf(host->failed, sizeof(host->failed), "it broke down (status %#x)", status);
	return false;
}

static bool receive(struct host *host, struct sample *ret_sample)
{
	struct pollfd wait = {.fd = host->fd, .events = POLLIN};
	int ready;

	do {
		ready = poll(&wait, 1, PATIENCE_MS);
	} while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return fail(host, "it did not come to an end within a minute");
	if (read(host->fd, ret_sample, sizeof(*ret_sample)) != sizeof(*ret_sample))
		return fail(host, NULL);
	return true;
}

bool host_start(struct host *host, const struct peer *peer, const struct load *load,
		const struct place *place)
{
	pid_t parent = getpid();
	struct sample ready;
	int pair[2];

	*host = (struct host){.errors = memfd_create("errors", MFD_CLOEXEC)};
	if (host->errors < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		err(1, "cannot start a process to measure");
	fflush(NULL); /* or both have what is not yet written */
	host->process = fork();
	if (host->process < 0)
		err(1, "fork");
	if (host->process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		dup2(host->errors, STDERR_FILENO);
		close(pair[0]);
		serve(pair[1], peer, load, place);
	}
	close(pair[1]);
	host->fd = pair[0];
	return receive(host, &ready);
}

bool host_measure(struct host *host, uint64_t times, struct sample *ret_sample)
{
	if (host->process == 0)
		return false;
	if (send(host->fd, &times, sizeof(times), MSG_NOSIGNAL) != sizeof(times))
		return fail(host, NULL);
	return receive(host, ret_sample);
}

void host_stop(struct host *host)
{
	const uint64_t end = 0;

	/* Processes that were started later hold the descriptor, too: it must be told. */
	if (host->process > 0) {
		send(host->fd, &end, sizeof(end), MSG_NOSIGNAL);
		waitpid(host->process, NULL, 0);
	}
	close(host->fd);
	close(host->errors);
	host->process = 0;
}
