/* SPDX-License-Identifier: MIT */
#include "asker.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Questions of one connection on their way at once, at most. A power of two. */
#define DEPTH 16
#define BYTES_MAX 4096

/* What both processes see. */
struct asker {
	pid_t process;
	int begin_fd; /* eventfds: begin, and it has ended */
	int end_fd;
	bool alone; /* on its core: it need not sleep between questions */
	size_t connection_count;
	size_t bytes;
	uint64_t questions;
	uint64_t interval_ns;
	struct histogram latencies;
};

/* One that the asker has: when its questions were due, those that are not answered. */
struct connection {
	int fd;
	uint64_t asked;
	uint64_t answered;
	size_t received; /* bytes of an answer that is not whole */
	uint64_t due_ns[DEPTH];
};

struct round {
	struct asker *asker;
	struct connection *connections;
	int epoll_fd;
	uint64_t begin_ns;
	uint64_t asked;
	uint64_t answered;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void ask(struct round *round, struct connection *connection, uint64_t due_ns)
{
	static const char question[BYTES_MAX];
	size_t sent = 0;

	while (sent < round->asker->bytes) {
		ssize_t count = send(connection->fd, question, round->asker->bytes - sent,
				     MSG_NOSIGNAL | MSG_DONTWAIT);

		if (count < 0 && errno != EAGAIN)
			_exit(1);
		sent += count > 0 ? (size_t)count : 0;
	}
	connection->due_ns[connection->asked++ % DEPTH] = due_ns;
}

/* Everything that is due, round robin, unless a connection has too much on its way. */
static void ask_due(struct round *round)
{
	const struct asker *asker = round->asker;
	uint64_t now = clock_ns();

	while (round->asked < asker->questions) {
		uint64_t due = round->begin_ns + round->asked * asker->interval_ns;
		struct connection *connection =
			&round->connections[round->asked % asker->connection_count];

		if (due > now || connection->asked - connection->answered == DEPTH)
			return;
		/* As fast as it goes nothing is due at any time: it is when it is asked. */
		ask(round, connection, asker->interval_ns > 0 ? due : clock_ns());
		round->asked++;
	}
}

static void take_answers(struct round *round, struct connection *connection)
{
	char answers[DEPTH * BYTES_MAX];
	ssize_t count = recv(connection->fd, answers, sizeof(answers), MSG_DONTWAIT);
	uint64_t now = clock_ns();

	if (count == 0 || (count < 0 && errno != EAGAIN))
		_exit(1);
	connection->received += count > 0 ? (size_t)count : 0;
	while (connection->received >= round->asker->bytes) {
		uint64_t due = connection->due_ns[connection->answered++ % DEPTH];

		connection->received -= round->asker->bytes;
		histogram_add(&round->asker->latencies, now - due);
		round->answered++;
	}
}

/* Until something comes, or the next question is due; alone on a core it only looks. */
static int wait_a_while(const struct round *round, struct epoll_event *events, int count)
{
	const struct asker *asker = round->asker;
	struct timespec time = {0};
	uint64_t now, due;

	if (asker->alone)
		return epoll_wait(round->epoll_fd, events, count, 0);
	now = clock_ns();
	due = round->begin_ns + round->asked * asker->interval_ns;
	if (round->asked == asker->questions || asker->interval_ns == 0)
		time.tv_nsec = 1000000;
	else if (due > now)
		time.tv_nsec = due - now < 1000000 ? (long)(due - now) : 1000000;
	return epoll_pwait2(round->epoll_fd, events, count, &time, NULL);
}

static void ask_all(struct asker *asker, struct connection *connections, int epoll_fd)
{
	struct round round = {asker, connections, epoll_fd, clock_ns(), 0, 0};
	struct epoll_event events[64];

	memset(&asker->latencies, 0, sizeof(asker->latencies));
	while (round.answered < asker->questions) {
		int ready;

		ask_due(&round);
		ready = wait_a_while(&round, events, 64);
		for (int i = 0; i < ready; i++)
			take_answers(&round, events[i].data.ptr);
	}
}

static struct connection *accept_all(const struct asker *asker, int listener, int epoll_fd)
{
	struct connection *connections = calloc(asker->connection_count, sizeof(*connections));

	for (size_t i = 0; connections && i < asker->connection_count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};

		net_wait_readable(listener);
		connections[i].fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (connections[i].fd < 0 ||
		    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connections[i].fd, &event) != 0)
			err(1, "asker: accept");
	}
	return connections;
}

_Noreturn static void live(struct asker *asker, int listener)
{
	struct connection *connections;
	uint64_t order;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	connections = accept_all(asker, listener, epoll_fd);
	while (connections && read(asker->begin_fd, &order, sizeof(order)) == sizeof(order)) {
		ask_all(asker, connections, epoll_fd);
		order = 1;
		if (write(asker->end_fd, &order, sizeof(order)) != sizeof(order))
			break;
	}
	_exit(1);
}

struct asker *asker_start(struct receiver *receiver, size_t connections, size_t bytes, int cpu,
			  bool alone)
{
	struct asker *asker = mmap(NULL, sizeof(*asker), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid();
	int listener = net_listen(&receiver->port);
	pid_t process;

	if (asker == MAP_FAILED)
		err(1, "asker");
	asker->connection_count = connections;
	asker->bytes = bytes;
	asker->alone = alone;
	asker->begin_fd = eventfd(0, EFD_CLOEXEC);
	asker->end_fd = eventfd(0, EFD_CLOEXEC);
	process = fork();
	if (process < 0 || asker->begin_fd < 0 || asker->end_fd < 0)
		err(1, "asker");
	if (process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		net_pin(cpu);
		live(asker, listener);
	}
	close(listener);
	asker->process = process; /* not by both: the memory is shared */
	receiver->process = process;
	receiver->cpu = cpu;
	return asker;
}

void asker_begin(struct asker *asker, uint64_t questions, uint64_t interval_ns)
{
	const uint64_t order = 1;

	asker->questions = questions;
	asker->interval_ns = interval_ns;
	if (write(asker->begin_fd, &order, sizeof(order)) != sizeof(order))
		err(1, "asker");
}

const struct histogram *asker_end(struct asker *asker)
{
	uint64_t order;

	if (read(asker->end_fd, &order, sizeof(order)) != sizeof(order))
		err(1, "asker");
	return &asker->latencies;
}

void asker_stop(struct asker *asker)
{
	kill(asker->process, SIGKILL);
	waitpid(asker->process, NULL, 0);
	close(asker->begin_fd);
	close(asker->end_fd);
	munmap(asker, sizeof(*asker));
}
