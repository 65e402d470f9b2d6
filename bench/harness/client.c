/* SPDX-License-Identifier: MIT */
#include "harness/client.h"

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

#define QUESTION_MAX 4096

/* larger than the buffers of a loopback socket */
#define RECEIVE_BYTES (8 << 20)

/* Shared by both processes. */
struct client {
	pid_t process;
	int begin_fd; /* eventfds: start, and finished */
	int end_fd;
	struct client_options options;
	char texts[QUESTION_MAX]; /* of all questions, or a whole burst of the only one */
	size_t text_at[CLIENT_QUESTIONS];
	uint64_t questions;
	uint64_t interval_ns;
	struct histogram latencies;
};

/* A connection of the client: when its unanswered questions were due. */
struct connection {
	int fd;
	uint64_t asked;
	uint64_t answered;
	size_t received; /* bytes of an incomplete answer */
	size_t question; /* which one was asked last */
	uint64_t due_ns[CLIENT_DEPTH];
};

struct round {
	struct client *client;
	struct connection *connections;
	int epoll_fd;
	uint64_t begin_ns;
	uint64_t turn; /* of the connection */
	uint64_t asked;
	uint64_t answered;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* So many questions at once; the memory holds a whole burst of them. */
static void ask(struct round *round, struct connection *connection, size_t count, uint64_t due_ns)
{
	const struct client *client = round->client;
	size_t which = round->asked % client->options.question_count;
	size_t bytes = count * client->options.questions[which].bytes, sent = 0;
	const char *text = client->texts + client->text_at[which];

	connection->question = which;
	while (sent < bytes) {
		ssize_t taken = send(connection->fd, text + sent, bytes - sent,
				     MSG_NOSIGNAL | MSG_DONTWAIT);

		if (taken < 0 && errno != EAGAIN)
			_exit(1);
		sent += taken > 0 ? (size_t)taken : 0;
	}
	for (size_t i = 0; i < count; i++)
		connection->due_ns[connection->asked++ % CLIENT_DEPTH] = due_ns;
	round->asked += count;
}

/* How many questions may be sent on the connection now. */
static size_t may_ask(const struct round *round, const struct connection *connection)
{
	const struct client_options *options = &round->client->options;
	uint64_t left = round->client->questions - round->asked;
	uint64_t open = connection->asked - connection->answered;

	if (!options->bursts)
		return open < options->depth;
	if (open > 0)
		return 0;
	return left < options->depth ? (size_t)left : options->depth;
}

/*
 * Sends everything that is due, round robin. In a closed loop nothing is ever due: a question's
 * time is when it is sent.
 */
static void ask_due(struct round *round)
{
	const struct client *client = round->client;
	uint64_t now = clock_ns();

	/* From then on a connection sends a question when it has its answer. */
	if (client->options.closed && round->turn >= client->options.connections)
		return;
	while (round->asked < client->questions) {
		uint64_t due = round->begin_ns + round->asked * client->interval_ns;
		struct connection *connection =
			&round->connections[round->turn % client->options.connections];
		size_t count = may_ask(round, connection);

		if (due > now || count == 0)
			return;
		ask(round, connection, count, client->interval_ns > 0 ? due : clock_ns());
		round->turn++;
	}
}

static void take_answers(struct round *round, struct connection *connection)
{
	const size_t bytes = round->client->options.questions[connection->question].answer_bytes;
	ssize_t count = recv(connection->fd, NULL, RECEIVE_BYTES, MSG_DONTWAIT | MSG_TRUNC);
	uint64_t now = clock_ns();

	if (count == 0 || (count < 0 && errno != EAGAIN))
		_exit(1);
	connection->received += count > 0 ? (size_t)count : 0;
	while (connection->received >= bytes) {
		uint64_t due = connection->due_ns[connection->answered++ % CLIENT_DEPTH];

		connection->received -= bytes;
		histogram_add(&round->client->latencies, now - due);
		round->answered++;
	}
	if (round->client->options.closed && connection->asked == connection->answered &&
	    round->asked < round->client->questions)
		ask(round, connection, 1, now);
}

/* Waits for input, or until the next question is due; if alone on its core, it polls. */
static int wait_a_while(const struct round *round, struct epoll_event *events, int count)
{
	const struct client *client = round->client;
	struct timespec time = {0};
	uint64_t now, due;

	if (client->options.alone)
		return epoll_wait(round->epoll_fd, events, count, 0);
	now = clock_ns();
	due = round->begin_ns + round->asked * client->interval_ns;
	if (round->asked == client->questions || client->interval_ns == 0)
		time.tv_nsec = 1000000;
	else if (due > now)
		time.tv_nsec = due - now < 1000000 ? (long)(due - now) : 1000000;
	return epoll_pwait2(round->epoll_fd, events, count, &time, NULL);
}

static void ask_all(struct client *client, struct connection *connections, int epoll_fd)
{
	struct round round = {client, connections, epoll_fd, clock_ns(), 0, 0, 0};
	struct epoll_event events[64];

	memset(&client->latencies, 0, sizeof(client->latencies));
	while (round.answered < client->questions) {
		int ready;

		ask_due(&round);
		ready = wait_a_while(&round, events, 64);
		for (int i = 0; i < ready; i++)
			take_answers(&round, events[i].data.ptr);
	}
}

static void watch(int epoll_fd, struct connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

	if (connection->fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) != 0)
		err(1, "client");
}

static struct connection *open_connections(const struct client *client, int listener, int epoll_fd)
{
	const struct receiver server = {.port = client->options.port};
	size_t count = client->options.connections;
	struct connection *connections = calloc(count, sizeof(*connections));

	for (size_t i = 0; connections && i < count; i++) {
		if (server.port) {
			connections[i].fd = net_connect(&server);
		} else {
			net_wait_readable(listener);
			connections[i].fd =
				accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		}
		watch(epoll_fd, &connections[i]);
	}
	return connections;
}

_Noreturn static void live(struct client *client, int listener)
{
	struct connection *connections;
	uint64_t order;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	connections = open_connections(client, listener, epoll_fd);
	while (connections && read(client->begin_fd, &order, sizeof(order)) == sizeof(order)) {
		ask_all(client, connections, epoll_fd);
		order = 1;
		if (write(client->end_fd, &order, sizeof(order)) != sizeof(order))
			break;
	}
	_exit(1);
}

static void copy_questions(struct client *client)
{
	const struct client_options *options = &client->options;
	size_t copies = options->question_count == 1 ? CLIENT_DEPTH : 1, at = 0;

	for (size_t i = 0; i < options->question_count; i++) {
		const struct client_question *question = &options->questions[i];

		client->text_at[i] = at;
		for (size_t j = 0; j < copies; j++, at += question->bytes) {
			if (at + question->bytes > QUESTION_MAX)
				errx(1, "client: the questions are too long");
			if (question->text)
				memcpy(client->texts + at, question->text, question->bytes);
		}
	}
}

struct client *client_start(struct receiver *receiver, const struct client_options *options)
{
	struct client *client = mmap(NULL, sizeof(*client), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid(), process;
	int listener = net_listen(&receiver->port);

	if (client == MAP_FAILED)
		err(1, "client");
	client->options = *options;
	copy_questions(client);
	client->begin_fd = eventfd(0, EFD_CLOEXEC);
	client->end_fd = eventfd(0, EFD_CLOEXEC);
	process = fork();
	if (process < 0 || client->begin_fd < 0 || client->end_fd < 0)
		err(1, "client");
	if (process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		/* Timer slack, 50 us by default, would delay it. */
		prctl(PR_SET_TIMERSLACK, 1);
		net_pin(options->cpu);
		live(client, listener);
	}
	close(listener);
	client->process = process; /* closed by one process only: the memory is shared */
	receiver->process = process;
	receiver->cpu = options->cpu;
	return client;
}

void client_begin(struct client *client, uint64_t questions, uint64_t interval_ns)
{
	const uint64_t order = 1;

	client->questions = questions;
	client->interval_ns = interval_ns;
	if (write(client->begin_fd, &order, sizeof(order)) != sizeof(order))
		err(1, "client");
}

const struct histogram *client_end(struct client *client)
{
	uint64_t order;

	if (read(client->end_fd, &order, sizeof(order)) != sizeof(order))
		err(1, "client");
	return &client->latencies;
}

void client_stop(struct client *client)
{
	kill(client->process, SIGKILL);
	waitpid(client->process, NULL, 0);
	close(client->begin_fd);
	close(client->end_fd);
	munmap(client, sizeof(*client));
}
