/* SPDX-License-Identifier: MIT */
/* Closing, shutting down and stopping while other threads send. */
#include "threads_support.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 10
#define SENDERS 3
#define RECORDS 3000

struct record {
	struct sluice_args args;
	unsigned handled; /* the engine's thread alone, until it ended */
	int answer;
};

struct racer {
	struct sluice_socket *socket;
	struct record *records;
	size_t started;
	int refusal; /* what ended it */
};

static unsigned char bytes[5000];
static atomic_bool ended;

static void record_end(struct sluice_socket *socket, struct sluice_args *args)
{
	((struct record *)args)->handled++;
}

/* Sends until it is refused; every answer is noted. */
static void *send_until_refused(void *token)
{
	struct racer *racer = token;

	for (racer->started = 0; racer->started < RECORDS; racer->started++) {
		struct record *record = &racer->records[racer->started];
		bool over = atomic_load(&ended);

		memset(record, 0, sizeof *record);
		record->args.completed = record_end;
		check(sluice_args_set_buffer(&record->args, bytes, sizeof bytes, 0,
					     (int64_t)(racer->started % sizeof bytes)) == 0);
		record->answer = sluice_send_async(racer->socket, &record->args);
		racer->refusal = record->answer;
		if (record->answer < 0)
			return NULL;
		check(!over);
	}
	return NULL;
}

typedef void end_fn(struct sluice_engine *engine, struct sluice_socket *socket);

static void close_socket(struct sluice_engine *engine, struct sluice_socket *socket)
{
	check(sluice_socket_close(socket) == 0);
	atomic_store(&ended, true);
	check(sluice_socket_close(socket) == 0);
}

static void close_socket_gracefully(struct sluice_engine *engine, struct sluice_socket *socket)
{
	check(sluice_socket_close_gracefully(socket, SECOND) == 0);
	atomic_store(&ended, true);
}

static void stop_engine(struct sluice_engine *engine, struct sluice_socket *socket)
{
	check(sluice_engine_stop(engine) == 0);
	atomic_store(&ended, true);
}

/* After the engine was stopped: each record ended once or was refused. */
static void check_all_ended(const struct racer *racers)
{
	for (int i = 0; i < SENDERS; i++) {
		for (size_t j = 0; j < racers[i].started; j++) {
			const struct record *record = &racers[i].records[j];

			check(record->handled == (unsigned)record->answer);
			check(record->args.error == SLUICE_ERROR_SUCCESS ||
			      record->args.error == SLUICE_ERROR_OPERATION_ABORTED);
		}
		check(racers[i].started == RECORDS || racers[i].refusal == -EBADF);
	}
}

static void *read_to_the_end(void *token)
{
	static _Thread_local char buffer[65536];

	while (recv(*(int *)token, buffer, sizeof buffer, 0) > 0)
		;
	return NULL;
}

static void race(end_fn *end, int round, bool stopped)
{
	struct sluice_engine *engine = engine_new();
	struct sluice_socket *socket;
	struct racer racers[SENDERS];
	pthread_t threads[SENDERS], reader;
	int fds[2];

	check(sluice_engine_start(engine) == 0);
	tcp_descriptors(round % 2 ? 16384 : 0, fds);
	socket = attach(engine, fds[0]);
	atomic_store(&ended, false);
	thread_start(&reader, read_to_the_end, &fds[1]);
	for (int i = 0; i < SENDERS; i++) {
		racers[i] = (struct racer){.socket = socket,
					   .records = calloc(RECORDS, sizeof(struct record))};
		thread_start(&threads[i], send_until_refused, &racers[i]);
	}
	usleep((unsigned)round * 40);
	end(engine, socket);
	for (int i = 0; i < SENDERS; i++)
		thread_join(threads[i]);
	if (!stopped)
		check(sluice_engine_stop(engine) == 0);
	check_all_ended(racers);
	check(sluice_engine_destroy(engine) == 0);
	thread_join(reader);
	close(fds[1]);
	for (int i = 0; i < SENDERS; i++)
		free(racers[i].records);
}

static void e03_sends_racing_close(void)
{
	for (int round = 0; round < ROUNDS; round++)
		race(close_socket, round, false);
}

static void e03_sends_racing_a_graceful_close(void)
{
	for (int round = 0; round < ROUNDS; round++)
		race(close_socket_gracefully, round, false);
}

static void e09_sends_racing_stop(void)
{
	for (int round = 0; round < ROUNDS; round++)
		race(stop_engine, round, true);
}

/* ---- shutdown ---- */

static void *send_all(void *token)
{
	struct racer *racer = token;

	for (racer->started = 0; racer->started < RECORDS; racer->started++) {
		struct record *record = &racer->records[racer->started];

		memset(record, 0, sizeof *record);
		record->args.completed = record_end;
		check(sluice_args_set_buffer(&record->args, bytes, sizeof bytes, 0, 100) == 0);
		record->answer = sluice_send_async(racer->socket, &record->args);
		check(record->answer >= 0);
	}
	return NULL;
}

/* Success up to the shutdown, Shutdown from it on, whatever thread. */
static void check_shut_down_once(const struct racer *racer)
{
	size_t i = 0;

	while (i < RECORDS && racer->records[i].args.error == SLUICE_ERROR_SUCCESS)
		i++;
	for (; i < RECORDS; i++)
		check(racer->records[i].args.error == SLUICE_ERROR_SHUTDOWN);
	for (i = 0; i < RECORDS; i++)
		check(racer->records[i].handled == (unsigned)racer->records[i].answer);
}

static unsigned ended_of(const struct racer *racer)
{
	unsigned count = 0;

	for (size_t i = 0; i < RECORDS; i++)
		count += racer->records[i].handled + (racer->records[i].answer == 0);
	return count;
}

static void e04_sends_racing_shutdown(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct sluice_engine *engine = engine_new();
		struct racer racer = {.records = calloc(RECORDS, sizeof(struct record))};
		pthread_t thread, reader;
		int fds[2];

		tcp_descriptors(16384, fds);
		racer.socket = attach(engine, fds[0]);
		thread_start(&reader, read_to_the_end, &fds[1]);
		thread_start(&thread, send_all, &racer);
		for (int turn = 0; turn < round; turn++)
			check(sluice_engine_run(engine, 100000) >= 0);
		check(sluice_socket_shutdown(racer.socket, SHUT_WR) == 0);
		thread_join(thread);
		while (ended_of(&racer) < RECORDS)
			check(sluice_engine_run(engine, 20 * SECOND) >= 0);
		check_shut_down_once(&racer);
		check(sluice_engine_destroy(engine) == 0);
		thread_join(reader);
		close(fds[1]);
		free(racer.records);
	}
}

/* ---- many sockets that come and go ---- */

static void *open_send_destroy(void *token)
{
	struct sluice_engine *engine = token;
	struct record *record = calloc(50, sizeof *record);
	int fds[2];

	for (int i = 0; i < 50; i++) {
		struct sluice_socket *socket;

		tcp_descriptors(0, fds);
		socket = attach(engine, fds[0]);
		record[i].args.completed = record_end;
		check(sluice_args_set_buffer(&record[i].args, bytes, 100, 0, 100) == 0);
		check(sluice_send_async(socket, &record[i].args) == 1);
		sluice_socket_destroy(socket);
		close(fds[1]);
	}
	return record;
}

static void e08_sockets_destroyed_by_the_threads_that_use_them(void)
{
	struct sluice_engine *engine = engine_new();
	struct record *records[SENDERS];
	pthread_t threads[SENDERS];

	check(sluice_engine_start(engine) == 0);
	for (int i = 0; i < SENDERS; i++)
		thread_start(&threads[i], open_send_destroy, engine);
	for (int i = 0; i < SENDERS; i++)
		check(pthread_join(threads[i], (void **)&records[i]) == 0);
	check(sluice_engine_destroy(engine) == 0);
	for (int i = 0; i < SENDERS; i++) {
		for (int j = 0; j < 50; j++)
			check(records[i][j].handled == 1);
		free(records[i]);
	}
}

/* ---- ports ---- */

struct port_holder {
	sem_t closed;
};

static void on_closed(struct sluice_socket *socket_, void *token)
{
	sem_post(&((struct port_holder *)token)->closed);
}

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	check(!accepted->socket);
}

/* The sockets that hold a port and have no peer. */
enum holding {
	LISTENER, /* that accepts */
	DATAGRAM,
	UNCONNECTED, /* a stream that is bound */
	HOLDINGS
};

static int holding_socket(enum holding holding)
{
	return socket(AF_INET, (holding == DATAGRAM ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
}

/* The address is filled in. */
static struct sluice_socket *hold_port(struct sluice_engine *engine, enum holding holding,
				       struct port_holder *holder, struct sockaddr_in *address)
{
	struct sluice_accept_options options = {
		.size = sizeof options, .on_accepted = on_accepted, .token = holder};
	socklen_t length = sizeof *address;
	struct sluice_socket *socket_;
	int fd = holding_socket(holding);

	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	check(bind(fd, (struct sockaddr *)address, sizeof *address) == 0);
	check(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	if (holding == LISTENER)
		check(listen(fd, 1) == 0);
	socket_ = attach(engine, fd);
	check(sluice_socket_set_closed(socket_, on_closed, holder) == 0);
	if (holding == LISTENER)
		check(sluice_accept_start(socket_, &options) == 0);
	return socket_;
}

/* So long the call waits for the engine's thread, at most. */
#define CLOSE_WAITS (SECOND)

/* An engine of its own: no handler has run in it, in which the call would not wait. */
static void free_port(enum holding holding, bool destroys)
{
	struct sluice_engine *engine = engine_new();
	struct port_holder holder;
	struct sockaddr_in address;
	struct sluice_socket *socket_;
	int64_t begun;
	int fd = holding_socket(holding);

	check(sluice_engine_start(engine) == 0);
	sem_init(&holder.closed, 0, 0);
	socket_ = hold_port(engine, holding, &holder, &address);
	usleep(1000); /* long enough, as a rule, for the kernel to have the accept */
	begun = now_ns();
	if (destroys)
		sluice_socket_destroy(socket_);
	else
		check(sluice_socket_close(socket_) == 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		check(errno == EADDRINUSE && now_ns() - begun >= CLOSE_WAITS);
	close(fd);
	wait_for(&holder.closed);
	if (!destroys)
		sluice_socket_destroy(socket_);
	check(sluice_engine_destroy(engine) == 0);
}

static void e03_a_close_from_another_thread_frees_the_port_before_it_returns(void)
{
	for (int i = 0; i < 8 * HOLDINGS; i++)
		free_port(i % HOLDINGS, false);
}

static void e03_a_destroy_from_another_thread_frees_the_port_before_it_returns(void)
{
	for (int i = 0; i < 8 * HOLDINGS; i++)
		free_port(i % HOLDINGS, true);
}

/* The handler waits for the thread that closes. */
struct waits_for_closer {
	struct sluice_socket *socket;
	pthread_t closer;
	sem_t over;
};

static void *destroy_socket(void *token)
{
	sluice_socket_destroy(token);
	return NULL;
}

static void close_from_a_thread(struct sluice_engine *engine, void *token)
{
	struct waits_for_closer *waits = token;

	thread_start(&waits->closer, destroy_socket, waits->socket);
	thread_join(waits->closer);
	sem_post(&waits->over);
}

static void e03_a_handler_may_wait_for_a_thread_that_closes(void)
{
	struct sluice_engine *engine = engine_new();
	struct waits_for_closer waits;
	struct port_holder holder;
	struct sockaddr_in address;

	check(sluice_engine_start(engine) == 0);
	sem_init(&waits.over, 0, 0);
	sem_init(&holder.closed, 0, 0);
	waits.socket = hold_port(engine, DATAGRAM, &holder, &address);
	check(sluice_post(engine, close_from_a_thread, &waits) == 0);
	wait_for(&waits.over);
	wait_for(&holder.closed);
	check(sluice_engine_destroy(engine) == 0);
}

/* Nobody runs the engine: the call waits for nothing. */
static void e03_a_close_returns_though_nobody_runs_the_engine(void)
{
	struct sluice_engine *engine = engine_new();
	struct port_holder holder;
	struct sockaddr_in address;
	struct sluice_socket *socket_;
	pthread_t closer;

	sem_init(&holder.closed, 0, 0);
	check(sluice_engine_run(engine, 0) >= 0);
	socket_ = hold_port(engine, DATAGRAM, &holder, &address);
	thread_start(&closer, destroy_socket, socket_);
	thread_join(closer);
	check(sluice_engine_run(engine, 0) == 1);
	wait_for(&holder.closed);
	check(sluice_engine_destroy(engine) == 0);
}

int main(void)
{
	static const struct thread_test tests[] = {
		{"e03_sends_racing_close", e03_sends_racing_close},
		{"e03_sends_racing_a_graceful_close", e03_sends_racing_a_graceful_close},
		{"e03_a_close_from_another_thread_frees_the_port_before_it_returns",
		 e03_a_close_from_another_thread_frees_the_port_before_it_returns},
		{"e03_a_destroy_from_another_thread_frees_the_port_before_it_returns",
		 e03_a_destroy_from_another_thread_frees_the_port_before_it_returns},
		{"e03_a_handler_may_wait_for_a_thread_that_closes",
		 e03_a_handler_may_wait_for_a_thread_that_closes},
		{"e03_a_close_returns_though_nobody_runs_the_engine",
		 e03_a_close_returns_though_nobody_runs_the_engine},
		{"e04_sends_racing_shutdown", e04_sends_racing_shutdown},
		{"e08_sockets_destroyed_by_the_threads_that_use_them",
		 e08_sockets_destroyed_by_the_threads_that_use_them},
		{"e09_sends_racing_stop", e09_sends_racing_stop},
	};

	return TESTS(tests);
}
