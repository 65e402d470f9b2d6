/* SPDX-License-Identifier: MIT */
/* Where handlers run, what they may call, what run returns, and how an engine ends. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- e07: never inside a call ---- */

/* Makes several things end that no handler has been called for. */
static void finish_something(struct fixture *fixture, struct pair *pair,
			     struct operation *operations)
{
	static char byte;

	operation_init(&operations[0], fixture);
	operation_init(&operations[1], fixture);
	cr_assert_eq(start_receive(pair->socket, &operations[0], &byte, 1), 1);
	cr_assert_eq(sluice_engine_flush(fixture->engine), 0);
	write_pattern(pair->peer, 1, 0);
	operations[1].args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair->socket, &operations[1], "x", 1), 1);
}

ENGINE_TEST(e07, e07_no_handler_runs_inside_a_call)
{
	struct pair pair, destroyed;
	struct operation first[2], second[2], other;

	tcp_pair(fixture, &pair, 0);
	tcp_pair(fixture, &destroyed, 0);
	operation_init(&other, fixture);
	finish_something(fixture, &pair, first);
	finish_something(fixture, &destroyed, second);

	fixture->inside_call++;
	cr_assert_eq(sluice_engine_flush(fixture->engine), 0);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	sluice_engine_wake(fixture->engine);
	start_send(pair.socket, &other, "y", 1);
	cr_assert_geq(sluice_engine_fd(fixture->engine), 0);
	sluice_cancel(pair.socket, &first[0].args);
	cr_assert_eq(sluice_socket_cancel_all(pair.socket), 0);
	cr_assert_eq(sluice_socket_shutdown(pair.socket, SHUT_RDWR), 0);
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	sluice_socket_destroy(destroyed.socket);
	cr_assert_eq(sluice_engine_flush(fixture->engine), 0);
	fixture->inside_call--;
	cr_assert_eq(fixture->handled, 0);
	run_until(fixture, fixture->pending == 0);

	destroyed.socket = NULL;
	pair_close(&destroyed);
	pair_close(&pair);
}

/* ---- e07: from a handler ---- */

struct everything {
	struct blocked *others;  /* two, each with a head in progress */
	struct operation *spare; /* three */
	int done;
};

static void post_nothing(struct sluice_engine *engine, void *token)
{
	++*(int *)token;
}

static void call_everything(struct operation *operation)
{
	struct everything *all = operation->token;
	struct fixture *fixture = operation->fixture;
	struct sluice_engine *engine = fixture->engine;
	struct sluice_socket *fresh, *own = operation->socket;
	int fd = new_tcp(0);

	fixture->inside_call++;
	cr_assert_eq(sluice_engine_run(engine, 0), -EDEADLK);
	cr_assert_eq(sluice_engine_run(engine, -1), -EDEADLK);
	cr_assert_eq(sluice_engine_stop(engine), -EDEADLK);
	cr_assert_eq(sluice_engine_destroy(engine), -EDEADLK);
	cr_assert_eq(sluice_engine_flush(engine), 0);
	cr_assert_eq(sluice_batch_begin(engine), 0);
	cr_assert_eq(start_send(own, &all->spare[0], "\0", 1), 1);
	cr_assert_eq(sluice_batch_end(engine), 0);
	cr_assert_eq(start_send(own, operation, "\1", 1), 1);
	all->spare[1].args.flags = SLUICE_FLAG_EAGER;
	cr_assert_geq(start_send(own, &all->spare[1], "\2", 1), 0);
	fresh = attach(fixture, fd);
	cr_assert_eq(sluice_socket_detach(fresh), fd);
	fresh = attach(fixture, fd);
	cr_assert_eq(sluice_socket_close(fresh), 0);
	sluice_socket_destroy(fresh);
	cr_assert_eq(sluice_cancel(all->others[0].pair.socket, &all->others[0].head.args), 0);
	sluice_socket_destroy(all->others[1].pair.socket);
	all->others[1].pair.socket = NULL;
	cr_assert_eq(sluice_socket_shutdown(all->others[0].pair.socket, SHUT_RD), 0);
	sluice_engine_wake(engine);
	cr_assert_eq(sluice_post(engine, post_nothing, &all->done), 0);
	fixture->inside_call--;
	operation->then = NULL;
}

ENGINE_TEST(e07, e07_a_handler_may_call_everything_but_run_stop_and_destroy)
{
	struct blocked others[2];
	struct pair pair;
	struct operation receive;
	struct everything all = {.others = others};
	char byte;

	blocked_begin(fixture, &others[0]);
	blocked_begin(fixture, &others[1]);
	tcp_pair(fixture, &pair, 0);
	operation_init(&receive, fixture);
	all.spare = operations_new(fixture, 2);
	receive.then = call_everything;
	receive.token = &all;

	cr_assert_eq(start_receive(pair.socket, &receive, &byte, 1), 1);
	write_pattern(pair.peer, 1, 0);
	run_until(fixture, fixture->pending == 0 && all.done == 1);
	cr_assert_eq(others[0].head.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	cr_assert_eq(others[1].head.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	read_pattern(pair.peer, 3, 0);

	pair_close(&pair);
	blocked_end(&others[0]);
	blocked_end(&others[1]);
	free(all.spare);
}

/* ---- e07: what run returns ---- */

static int run_once(struct fixture *fixture)
{
	int answer = sluice_engine_run(fixture->engine, GUARD_NS);

	cr_assert_geq(answer, 0);
	return answer;
}

Test(e07, e07_run_returns_the_handlers_that_it_called)
{
	enum {
		SENDS = 10
	};
	struct fixture fixture;
	struct pair pair;
	struct operation *operations;
	int called = 0, posted = 0;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	operations = operations_new(&fixture, SENDS);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < SENDS; i++)
		cr_assert_eq(start_send(pair.socket, &operations[i], "x", 1), 1);
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	cr_assert_eq(sluice_post(fixture.engine, post_nothing, &posted), 0);
	while (fixture.pending || !posted) {
		uint64_t before = fixture.handled + (uint64_t)posted;
		int answer = run_once(&fixture);

		cr_assert_eq(fixture.handled + (uint64_t)posted - before, (uint64_t)answer);
		called += answer;
	}
	cr_assert_eq(called, SENDS + 1);

	pair_close(&pair);
	free(operations);
	fixture_end(&fixture);
}

PAIR_TEST(e07, e07_run_waits_no_longer_than_it_is_told, tcp_pair, 0)
{
	struct operation receive;
	int64_t begin;
	char byte;

	operation_init(&receive, fixture);
	cr_assert_eq(start_receive(pair->socket, &receive, &byte, 1), 1);

	cr_assert_eq(sluice_engine_run(fixture->engine, 0), 0);
	begin = now_ns();
	cr_assert_eq(sluice_engine_run(fixture->engine, 20 * MILLISECOND), 0);
	cr_assert_geq(now_ns() - begin, 20 * MILLISECOND);
	cr_assert_lt(now_ns() - begin, GUARD_NS);
	begin = now_ns();
	cr_assert_eq(sluice_engine_run(fixture->engine, 500000), 0);
	cr_assert_geq(now_ns() - begin, 500000);

	/* For ever: until something happens. */
	write_pattern(pair->peer, 1, 0);
	while (!is_over(&receive))
		cr_assert_geq(sluice_engine_run(fixture->engine, -1), 0);
}

ENGINE_TEST(e07, e07_a_wake_is_kept_for_the_next_run_and_only_for_that)
{
	int64_t begin;

	sluice_engine_wake(fixture->engine);
	sluice_engine_wake(fixture->engine);
	begin = now_ns();
	cr_assert_eq(sluice_engine_run(fixture->engine, -1), 0);
	cr_assert_lt(now_ns() - begin, GUARD_NS);
	begin = now_ns();
	cr_assert_eq(sluice_engine_run(fixture->engine, 20 * MILLISECOND), 0);
	cr_assert_geq(now_ns() - begin, 20 * MILLISECOND);
}

Test(e07, e07_the_handler_budget_leaves_the_rest_to_the_next_turn)
{
	enum {
		SENDS = 10
	};
	struct fixture fixture;
	struct sluice_options options;
	struct pair pair;
	struct operation *operations;
	int turns = 0;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.handler_budget = 3;
	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	operations = operations_new(&fixture, SENDS);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < SENDS; i++)
		cr_assert_eq(start_send(pair.socket, &operations[i], "x", 1), 1);
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	for (; fixture.pending; turns++)
		cr_assert_leq(run_once(&fixture), 3);
	cr_assert_geq(turns, 4);
	pair_close(&pair);
	free(operations);
	fixture_end(&fixture);
}

enum {
	FAN_BUDGET = 8,
	FAN_SOCKETS = 32,
	FAN_ROUNDS = 200,
	FAN_MOST = 400 /* in progress: what one turn may start, and what was left of others */
};

struct fan_out {
	struct fixture *fixture;
	struct pair pairs[FAN_SOCKETS];
	struct operation *operations;
	uint64_t started;
	uint64_t most;
};

static void fan_out(struct sluice_engine *engine, void *token)
{
	struct fan_out *all = token;

	for (int i = 0; i < FAN_SOCKETS; i++)
		cr_assert_eq(start_send(all->pairs[i].socket, &all->operations[all->started++], "x",
					1),
			     1);
	if (all->fixture->pending > all->most)
		all->most = all->fixture->pending;
}

/* One handler starts more than one turn's budget delivers: the next such handler waits for that. */
Test(e07, e07_a_fan_out_does_not_start_more_than_is_delivered)
{
	struct fan_out all = {.started = 0};
	struct sluice_options options;
	struct fixture fixture;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.handler_budget = FAN_BUDGET;
	fixture_begin_with(&fixture, &options);
	all.fixture = &fixture;
	all.operations = operations_new(&fixture, FAN_SOCKETS * FAN_ROUNDS);
	for (int i = 0; i < FAN_SOCKETS; i++)
		unix_pair(&fixture, &all.pairs[i], SOCK_STREAM);
	for (int i = 0; i < FAN_ROUNDS; i++)
		cr_assert_eq(sluice_post(fixture.engine, fan_out, &all), 0);
	run_until(&fixture, all.started == FAN_SOCKETS * FAN_ROUNDS);
	run_until(&fixture, fixture.pending == 0);
	cr_assert_leq(all.most, FAN_MOST, "%llu sends were in progress",
		      (unsigned long long)all.most);
	for (int i = 0; i < FAN_SOCKETS; i++)
		pair_close(&all.pairs[i]);
	free(all.operations);
	fixture_end(&fixture);
}

/* ---- the same out of receive handlers, with the default budget ---- */

enum {
	CHAT_SOCKETS = 64,
	CHAT_EVENTS = 32, /* of each socket, of which each starts a send on every socket */
	CHAT_BUFFER = 64, /* bytes, for an event each */
	CHAT_MOST =
		80000, /* 16 for each handler of the default budget, and what was left of others */
	CHAT_SENDS = CHAT_SOCKETS * CHAT_EVENTS * CHAT_SOCKETS
};

struct chat {
	struct pair pairs[CHAT_SOCKETS];
	struct sluice_args *sends;
	uint64_t started, ended, most;
};

static struct chat chat;

static void chat_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	chat.ended++;
}

static void chat_received(struct sluice_socket *socket, const struct sluice_received *received,
			  void *token)
{
	if (received->terminal)
		return;
	sluice_buffer_release(sluice_socket_engine(socket), received->buffer);
	for (int i = 0; i < CHAT_SOCKETS; i++) {
		struct sluice_args *send = &chat.sends[chat.started++];

		cr_assert_leq(chat.started, CHAT_SENDS);
		send->completed = chat_sent;
		cr_assert_eq(sluice_args_set_buffer(send, "x", 1, 0, 1), 0);
		cr_assert_eq(sluice_send_async(chat.pairs[i].socket, send), 1);
	}
	if (chat.started - chat.ended > chat.most)
		chat.most = chat.started - chat.ended;
}

Test(e07, e07_a_fan_out_of_receive_handlers_keeps_few_records_in_progress_by_default)
{
	static const char messages[CHAT_EVENTS * CHAT_BUFFER];
	struct sluice_receive_options receiving = {.size = sizeof receiving,
						   .on_received = chat_received};
	struct sluice_options options;
	struct fixture fixture;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.receive_buffers = CHAT_SOCKETS * CHAT_EVENTS;
	options.receive_buffers_per_socket = CHAT_EVENTS;
	options.receive_buffer_bytes = CHAT_BUFFER;
	fixture_begin_with(&fixture, &options);
	chat.sends = calloc(CHAT_SENDS, sizeof *chat.sends);
	cr_assert(chat.sends);
	for (int i = 0; i < CHAT_SOCKETS; i++) {
		unix_pair(&fixture, &chat.pairs[i], SOCK_STREAM);
		cr_assert_eq(sluice_receive_start(chat.pairs[i].socket, &receiving), 0);
	}
	run_idle(&fixture);
	for (int i = 0; i < CHAT_SOCKETS; i++)
		cr_assert_eq(send(chat.pairs[i].peer, messages, sizeof messages, 0),
			     sizeof messages);
	run_until(&fixture, chat.ended == CHAT_SENDS);
	cr_assert_leq(chat.most, CHAT_MOST, "%llu sends were in progress",
		      (unsigned long long)chat.most);
	for (int i = 0; i < CHAT_SOCKETS; i++)
		pair_close(&chat.pairs[i]);
	run_idle(&fixture);
	free(chat.sends);
	fixture_end(&fixture);
}

/* Records end in every turn, more than the budget; a post has its turn all the same. */
struct busy_socket {
	struct sluice_socket *socket;
	bool stop;
};

static void send_again(struct operation *operation)
{
	const struct busy_socket *busy = operation->token;

	if (!busy->stop)
		cr_assert_geq(start(sluice_send_async, busy->socket, operation), 0);
}

static void stop_busy(struct sluice_engine *engine, void *token)
{
	struct busy_socket *busy = token;

	busy->stop = true;
}

Test(e07, e07_records_that_use_the_whole_budget_do_not_starve_posts)
{
	enum {
		SENDS = 10
	};
	struct sluice_options options;
	struct fixture fixture;
	struct operation *operations;
	struct busy_socket busy = {.stop = false};
	struct reader reader;
	struct pair pair;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.handler_budget = 3;
	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	busy.socket = pair.socket;
	operations = operations_new(&fixture, SENDS);
	reader_start(&reader, pair.peer, 0);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < SENDS; i++) {
		operations[i].then = send_again;
		operations[i].token = &busy;
		cr_assert_eq(start_send(pair.socket, &operations[i], "", 1), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	for (int i = 0; i < 20; i++)
		run_turn(&fixture, now_ns() + GUARD_NS, "a send");
	cr_assert_eq(sluice_post(fixture.engine, stop_busy, &busy), 0);
	run_until(&fixture, fixture.pending == 0);
	cr_assert(busy.stop);
	sluice_socket_destroy(pair.socket);
	pthread_join(reader.thread, NULL);
	close(pair.peer);
	free(operations);
	fixture_end(&fixture);
}

struct posts {
	int order[100];
	int count;
};

static struct posts *posts;

static void note_post(struct sluice_engine *engine, void *token)
{
	posts->order[posts->count++] = (int)(intptr_t)token;
}

ENGINE_TEST(e08, e08_posts_run_in_the_engine_s_thread_in_order)
{
	struct posts all = {.count = 0};

	posts = &all;
	cr_assert_eq(sluice_post(NULL, note_post, NULL), -EINVAL);
	cr_assert_eq(sluice_post(fixture->engine, NULL, NULL), -EINVAL);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(sluice_post(fixture->engine, note_post, (void *)(intptr_t)i), 0);
	cr_assert_eq(all.count, 0);
	run_until(fixture, all.count == 100);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(all.order[i], i);
}

/* ---- e09 ---- */

/* Refused, now that the engine ends; whatever the socket. */
static void restart_while_ending(struct operation *operation)
{
	struct sluice_socket *other = operation->token;
	struct sluice_socket *fresh = NULL;
	int fd = new_tcp(0);

	cr_assert_eq(operation->args.error, SLUICE_ERROR_OPERATION_ABORTED, "%s, operation %u",
		     sluice_socket_error_name(operation->args.error),
		     operation->args.last_operation);
	cr_assert_eq(start(sluice_send_async, operation->socket, operation), -EBADF);
	if (other)
		cr_assert_eq(start(sluice_send_async, other, operation), -EBADF);
	cr_assert_eq(sluice_engine_destroy(operation->fixture->engine), -EDEADLK);
	cr_assert_lt(sluice_socket_attach(operation->fixture->engine, fd, &fresh), 0);
	close(fd);
}

Test(e09, e09_destroying_an_engine_aborts_what_is_pending_and_runs_every_handler)
{
	struct fixture fixture;
	struct blocked blocked;
	struct pair other, datagram;
	struct sluice_socket *listener;
	struct operation *operations;
	char byte;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	tcp_pair(&fixture, &other, 0);
	udp_pair(&fixture, &datagram);
	listener = attach(&fixture, listen_tcp(0));
	operations = operations_new(&fixture, 8);
	for (int i = 0; i < 8; i++)
		operations[i].then = restart_while_ending;
	blocked.head.then = restart_while_ending;
	blocked.head.token = other.socket;

	cr_assert_eq(start_send(blocked.pair.socket, &operations[0], "x", 1), 1);
	cr_assert_eq(start(sluice_disconnect_async, blocked.pair.socket, &operations[1]), 1);
	cr_assert_eq(start_receive(other.socket, &operations[2], &byte, 1), 1);
	cr_assert_eq(start_receive(datagram.socket, &operations[3], &byte, 1), 1);
	cr_assert_eq(start(sluice_accept_async, listener, &operations[4]), 1);
	operations[5].args.timeout_ns = 100 * SECOND;
	cr_assert_eq(start(sluice_accept_async, listener, &operations[5]), 1);
	run_idle(&fixture);

	/* Never handed to the kernel. */
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	cr_assert_eq(start_send(other.socket, &operations[6], "x", 1), 1);
	cr_assert_eq(start_receive(other.socket, &operations[7], &byte, 1), 1);

	cr_assert_eq(sluice_engine_destroy(fixture.engine), 0);
	fixture.engine = NULL;
	cr_assert_eq(fixture.pending, 0);
	cr_assert_eq(fixture.handled, 9);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(operations[i].args.error, SLUICE_ERROR_OPERATION_ABORTED);

	close(blocked.pair.peer);
	close(other.peer);
	close(datagram.peer);
	free(blocked.bytes);
	free(operations);
	fixture_end(&fixture);
}

ENGINE_TEST(e09, e09_what_had_ended_and_waits_for_its_handler_keeps_its_result)
{
	struct pair pair;
	struct operation send;

	tcp_pair(fixture, &pair, 0);
	operation_init(&send, fixture);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	cr_assert_eq(start_send(pair.socket, &send, "\0\1", 2), 1);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	read_pattern(pair.peer, 2, 0);

	/* The kernel took it; aborted or not, its count says so. */
	cr_assert_eq(sluice_engine_destroy(fixture->engine), 0);
	fixture->engine = NULL;
	cr_assert_eq(fixture->pending, 0);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, 2);
	close(pair.peer);
}

ENGINE_TEST(e09, e09_sockets_that_nobody_destroyed_are_closed_and_freed)
{
	enum {
		PAIRS = 50
	};
	struct pair pairs[PAIRS];

	for (int i = 0; i < PAIRS; i++) {
		tcp_pair(fixture, &pairs[i], 0);
		if (i % 3 == 0)
			cr_assert_eq(sluice_socket_close(pairs[i].socket), 0);
	}
	cr_assert_eq(sluice_engine_destroy(fixture->engine), 0);
	fixture->engine = NULL;
	for (int i = 0; i < PAIRS; i++) {
		assert_end_of_stream(pairs[i].peer);
		close(pairs[i].peer);
	}
}

ENGINE_TEST(e09, e09_an_engine_that_was_never_used)
{
	cr_assert_eq(sluice_engine_destroy(NULL), 0);
	cr_assert_eq(sluice_engine_stop(fixture->engine), -EINVAL);
	cr_assert_eq(sluice_engine_adopt(fixture->engine), 0);
}

Test(e09, e09_engines_side_by_side)
{
	struct fixture one, other;
	struct pair pairs[2];
	struct operation sends[2];

	fixture_begin(&one);
	fixture_begin(&other);
	tcp_pair(&one, &pairs[0], 0);
	tcp_pair(&other, &pairs[1], 0);
	operation_init(&sends[0], &one);
	operation_init(&sends[1], &other);
	for (int i = 0; i < 2; i++) {
		sends[i].args.flags = SLUICE_FLAG_BATCHED;
		cr_assert_eq(start_send(pairs[i].socket, &sends[i], "\0", 1), 1);
	}
	run_until(&other, is_over(&sends[1]));
	cr_assert(!is_over(&sends[0]));
	run_until(&one, is_over(&sends[0]));
	for (int i = 0; i < 2; i++) {
		read_pattern(pairs[i].peer, 1, 0);
		pair_close(&pairs[i]);
	}
	fixture_end(&other);
	fixture_end(&one);
}
