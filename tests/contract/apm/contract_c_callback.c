/* SPDX-License-Identifier: MIT */
/* c05: callbacks, and the threads in which they run. */
#include <dirent.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "apm.h"
#include "measure.h"

static int count_threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	int count = 0;

	cr_assert(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2;
}

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) != 0)
		;
}

/* ---- where and when ---- */

PAIR_TEST(c05, c05_a_callback_runs_in_a_thread_of_its_own, tcp_pair, 0)
{
	struct blocked blocked;
	struct call at_once, later;

	blocked_begin(fixture, &blocked);
	call_init(&at_once, fixture, pair->socket);
	call_init(&later, fixture, blocked.pair.socket);
	cr_assert_eq(begin_send(&at_once, "x", 1), 0);
	cr_assert_eq(begin_send(&later, "x", 1), 0);
	run_reading(fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_until(fixture, was_called(&at_once) && was_called(&later) && is_over(&blocked.head));
	cr_assert(!pthread_equal(at_once.thread, pthread_self()));
	cr_assert(!pthread_equal(later.thread, pthread_self()));
	cr_assert_eq(at_once.seen, at_once.result);
	cr_assert_eq(later.seen, later.result);
	cr_assert_eq(atomic_load(&at_once.called) + atomic_load(&later.called), 2);
	blocked_end(&blocked);
}

/* What completed inside Begin needs no turn of the engine. */
CALL_TEST(c05, c05_completed_at_once_it_is_called_without_a_turn, 0)
{
	uint64_t turns;
	int64_t deadline = now_ns() + GUARD_NS;

	turns = statistics_of(fixture).turns;
	call->within = ends_send;
	cr_assert_eq(begin_send(call, "x", 1), 0);
	while (!was_called(call) && now_ns() < deadline)
		usleep(1000);
	cr_assert(was_called(call));
	cr_assert_eq(call->answer, 1);
	cr_assert_eq(statistics_of(fixture).turns, turns);
}

CALL_TEST(c05, c05_no_thread_before_the_first_callback, 0)
{
	int threads;

	threads = count_threads();
	cr_assert_eq(sluice_begin_send(pair->socket, "x", 1, 0, 1, 0, NULL, NULL, NULL,
				       &call->result),
		     0);
	cr_assert_eq(sluice_end_send(pair->socket, call->result, NULL), 1);
	cr_assert_eq(count_threads(), threads);
}

/* .NET runs up to eight of one socket side by side. */
PAIR_TEST(c05, c05_callbacks_of_a_socket_begin_in_order, tcp_pair, SMALL)
{
	enum {
		COUNT = 2000
	};
	struct reader reader;
	struct call *calls;
	char *memory = pattern_new(COUNT, 0);

	reader_start(&reader, pair->peer, 0);
	calls = calls_new(fixture, pair->socket, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		calls[i].within = ends_send;
		/* Some at once, some in batches that end behind them. */
		if (i % 100 == 30)
			cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
		cr_assert_eq(begin_send(&calls[i], memory + i, 1), 0);
		if (i % 100 == 60)
			cr_assert_eq(sluice_batch_end(fixture->engine), 0);
		if (i % 100 == 80)
			run_for(fixture, 0);
	}
	run_until(fixture, were_called(calls, COUNT));
	for (size_t i = 0; i < COUNT; i++) {
		cr_assert_eq(calls[i].answer, 1);
		cr_assert(i == 0 || calls[i].turn > calls[i - 1].turn,
			  "callback %zu began before the one of the send before it", i);
	}
	sluice_socket_destroy(pair->socket);
	pair->socket = NULL;
	reader_join(&reader);
	cr_assert_eq(reader.bytes, COUNT);
	free(calls);
	free(memory);
}

/* ---- blocking ---- */

struct gate {
	sem_t open;
	struct call *other;
};

static int64_t waits_at_gate(struct call *call)
{
	struct gate *gate = call->token;

	wait_for(&gate->open);
	return ends_send(call);
}

/*
 * The bytes of the nine others are sent, and the callbacks of other sockets run; those of its own
 * socket wait.
 */
ENGINE_TEST(c05, c05_a_callback_that_blocks_holds_up_its_own_socket_alone)
{
	struct pair pair, other;
	struct gate gate;
	struct call *calls, elsewhere;
	char got[10];

	sem_init(&gate.open, 0, 0);
	tcp_pair(fixture, &pair, 0);
	tcp_pair(fixture, &other, 0);
	calls = calls_new(fixture, pair.socket, 10);
	call_init(&elsewhere, fixture, other.socket);
	calls[0].within = waits_at_gate;
	calls[0].token = &gate;
	for (int i = 0; i < 10; i++)
		cr_assert_eq(begin_send(&calls[i], "x", 1), 0);
	read_exactly(pair.peer, got, 10);
	cr_assert_eq(begin_send(&elsewhere, "y", 1), 0);
	run_until(fixture, was_called(&elsewhere) && atomic_load(&calls[0].entered) == 1);
	for (int i = 0; i < 10; i++)
		cr_assert(!was_called(&calls[i]), "callback %d ran beside the first", i);
	sem_post(&gate.open);
	run_until(fixture, were_called(calls, 10));
	cr_assert_eq(calls[0].answer, 1);
	for (int i = 1; i < 10; i++)
		cr_assert_gt(calls[i].turn, calls[i - 1].turn);
	pair_close(&pair);
	pair_close(&other);
	sem_destroy(&gate.open);
	free(calls);
}

struct dependent {
	struct sluice_async_result *receive;
	int peer;
};

static int64_t waits_for_receive(struct call *call)
{
	struct dependent *dependent = call->token;

	return sluice_async_result_wait(dependent->receive, GUARD_NS);
}

static int64_t ends_the_receive(struct call *call)
{
	struct dependent *dependent = call->token;

	return sluice_end_receive(call->socket, dependent->receive, NULL);
}

static int64_t feeds_receive(struct call *call)
{
	struct dependent *dependent = call->token;

	return send(dependent->peer, "z", 1, MSG_NOSIGNAL);
}

/* The first waits for what only the second brings about. */
static void wait_for_the_next_callback(int64_t (*first)(struct call *call), int64_t answer)
{
	struct fixture fixture;
	struct pair pair;
	struct dependent dependent;
	struct call calls[2];
	char byte;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	dependent.peer = pair.peer;
	cr_assert_eq(sluice_begin_receive(pair.socket, &byte, 1, 0, 1, 0, NULL, NULL, NULL,
					  &dependent.receive),
		     0);
	for (int i = 0; i < 2; i++) {
		call_init(&calls[i], &fixture, pair.socket);
		calls[i].within = i ? feeds_receive : first;
		calls[i].token = &dependent;
		cr_assert_eq(begin_send(&calls[i], "x", 1), 0);
	}
	run_until(&fixture, was_called(&calls[0]) && was_called(&calls[1]));
	cr_assert_eq(calls[0].answer, answer);
	cr_assert_eq(calls[1].answer, 1);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(c05, c05_a_callback_that_waits_in_end_lets_the_next_begin)
{
	wait_for_the_next_callback(ends_the_receive, 1);
}

Test(c05, c05_a_callback_that_waits_for_a_result_lets_the_next_begin)
{
	wait_for_the_next_callback(waits_for_receive, 0);
}

/* In A's callback: End of A, End of B which is queued behind, a new Begin and its End. */
static int64_t ends_others(struct call *call)
{
	struct call *other = call->token;
	struct sluice_async_result *third;
	void *memory = other->token;

	if (ends_send(call) != (int64_t)HEAD_BYTES)
		return -1;
	if (sluice_end_send(other->socket, other->result, NULL) != (int64_t)HEAD_BYTES)
		return -2;
	if (sluice_begin_send(call->socket, memory, HEAD_BYTES, 0, HEAD_BYTES, 0, NULL, NULL, NULL,
			      &third) != 0)
		return -3;
	return sluice_end_send(call->socket, third, NULL);
}

ENGINE_TEST(c05, c05_a_callback_may_end_others_and_begin_again)
{
	enum {
		SOCKETS = 8
	};
	struct pair pairs[SOCKETS];
	struct reader readers[SOCKETS];
	struct call *first, *second;
	char *memory = pattern_new(HEAD_BYTES, 0);

	first = calls_new(fixture, NULL, SOCKETS);
	second = calls_new(fixture, NULL, SOCKETS);
	for (int i = 0; i < SOCKETS; i++) {
		tcp_pair(fixture, &pairs[i], SMALL);
		first[i].socket = second[i].socket = pairs[i].socket;
		first[i].within = ends_others;
		first[i].token = &second[i];
		second[i].token = memory;
		cr_assert_eq(begin_send(&first[i], memory, HEAD_BYTES), 0);
		cr_assert_eq(begin_send(&second[i], memory, HEAD_BYTES), 0);
	}
	for (int i = 0; i < SOCKETS; i++)
		reader_start(&readers[i], pairs[i].peer, 0);
	run_until(fixture, were_called(first, SOCKETS) && were_called(second, SOCKETS));
	for (int i = 0; i < SOCKETS; i++) {
		cr_assert_eq(first[i].answer, (int64_t)HEAD_BYTES);
		sluice_socket_destroy(pairs[i].socket);
		pairs[i].socket = NULL;
	}
	run_idle(fixture);
	for (int i = 0; i < SOCKETS; i++) {
		/* The pattern begins anew with each of the three. */
		cr_assert_eq(pthread_join(readers[i].thread, NULL), 0);
		cr_assert_eq(readers[i].bytes, 3 * HEAD_BYTES);
		pair_close(&pairs[i]);
	}
	free(first);
	free(second);
	free(memory);
}

/* As many threads as callbacks that block, up to the limit; then callbacks wait, sends do not. */
Test(c05, c05_threads_grow_to_the_limit_and_no_further)
{
	enum {
		LIMIT = 5,
		COUNT = 12
	};
	struct sluice_options options;
	struct fixture fixture;
	struct pair pairs[COUNT];
	struct gate gate;
	struct call *calls;
	int threads, entered;
	char byte;

	sluice_options_init(&options, sizeof options);
	options.handler_threads_max = LIMIT;
	fixture_begin_with(&fixture, &options);
	sem_init(&gate.open, 0, 0);
	threads = count_threads();
	calls = calls_new(&fixture, NULL, COUNT);
	for (int i = 0; i < COUNT; i++) {
		tcp_pair(&fixture, &pairs[i], 0);
		calls[i].socket = pairs[i].socket;
		calls[i].within = waits_at_gate;
		calls[i].token = &gate;
		cr_assert_eq(begin_send(&calls[i], "x", 1), 0);
	}
	for (int i = 0; i < COUNT; i++)
		read_exactly(pairs[i].peer, &byte, 1);
	do {
		run_idle(&fixture);
		entered = 0;
		for (int i = 0; i < COUNT; i++)
			entered += atomic_load(&calls[i].entered);
	} while (entered < LIMIT);
	run_idle(&fixture);
	entered = 0;
	for (int i = 0; i < COUNT; i++)
		entered += atomic_load(&calls[i].entered);
	cr_assert_eq(entered, LIMIT);
	cr_assert_eq(count_threads(), threads + LIMIT);
	for (int i = 0; i < COUNT; i++)
		sem_post(&gate.open);
	run_until(&fixture, were_called(calls, COUNT));
	cr_assert_eq(count_threads(), threads + LIMIT);
	for (int i = 0; i < COUNT; i++)
		pair_close(&pairs[i]);
	fixture_end(&fixture);
	cr_assert_eq(count_threads(), threads, "threads are left");
	sem_destroy(&gate.open);
	free(calls);
}

/* A callback may wait for an operation, and no thread is left for others but the one it sleeps in. */
Test(c05, c05_one_thread_is_enough_to_wait_for_operations)
{
	struct sluice_options options;
	struct fixture fixture;
	struct pair pair;
	struct reader reader;
	struct call first, second;
	char *memory = pattern_new(HEAD_BYTES, 0);

	sluice_options_init(&options, sizeof options);
	options.handler_threads_max = 1;
	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, SMALL);
	call_init(&first, &fixture, pair.socket);
	call_init(&second, &fixture, pair.socket);
	first.within = ends_others;
	first.token = &second;
	second.token = memory;
	cr_assert_eq(begin_send(&first, memory, HEAD_BYTES), 0);
	cr_assert_eq(begin_send(&second, memory, HEAD_BYTES), 0);
	reader_start(&reader, pair.peer, 0);
	run_until(&fixture, was_called(&first) && was_called(&second));
	cr_assert_eq(first.answer, (int64_t)HEAD_BYTES);
	sluice_socket_destroy(pair.socket);
	pair.socket = NULL;
	run_idle(&fixture);
	cr_assert_eq(pthread_join(reader.thread, NULL), 0);
	cr_assert_eq(reader.bytes, 3 * HEAD_BYTES);
	pair_close(&pair);
	fixture_end(&fixture);
	free(memory);
}

/* ---- chains ---- */

#define CHAINED 100000

struct chain {
	struct call call;
	int left;
	uintptr_t lowest, highest; /* of the stack */
};

static int64_t begins_next(struct call *call)
{
	struct chain *chain = (struct chain *)call;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	/* Of one thread; where another took over the stack is another. */
	if (!chain->highest || here > chain->highest + 1048576 || here + 1048576 < chain->highest)
		chain->lowest = chain->highest = here;
	chain->lowest = here < chain->lowest ? here : chain->lowest;
	chain->highest = here > chain->highest ? here : chain->highest;
	if (ends_send(call) != 1)
		return -1;
	if (--chain->left == 0)
		return 0;
	atomic_fetch_sub(&call->called, 1);
	return begin_send(call, "x", 1);
}

/* .NET runs out of stack and dies. */
Test(c05, c05_100000_chained_begins_use_a_bounded_stack)
{
	struct fixture fixture;
	struct pair pair;
	struct reader reader;
	struct chain chain = {.left = CHAINED};
	int64_t deadline = now_ns() + 5 * GUARD_NS;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	reader_start(&reader, pair.peer, 0);
	call_init(&chain.call, &fixture, pair.socket);
	chain.call.within = begins_next;
	cr_assert_eq(begin_send(&chain.call, "x", 1), 0);
	while (atomic_load(&chain.call.called) != 1)
		run_turn(&fixture, deadline, "the end of the chain");
	cr_assert_eq(chain.left, 0);
	cr_assert_eq(chain.call.answer, 0);
	cr_assert_lt(chain.highest - chain.lowest, 65536);
	sluice_socket_destroy(pair.socket);
	pair.socket = NULL;
	run_idle(&fixture);
	cr_assert_eq(pthread_join(reader.thread, NULL), 0);
	cr_assert_eq(reader.bytes, CHAINED);
	pair_close(&pair);
	fixture_end(&fixture);
}

/* ---- the engine's end ---- */

static int64_t tries_to_end_the_engine(struct call *call)
{
	struct sluice_engine *engine = call->fixture->engine;

	if (sluice_engine_run(engine, 0) != -EPERM || sluice_engine_stop(engine) != -EDEADLK)
		return -1;
	return sluice_engine_destroy(engine);
}

CALL_TEST(c05, c05_stop_and_destroy_in_a_callback_are_a_deadlock, 0)
{
	call->within = tries_to_end_the_engine;
	cr_assert_eq(begin_send(call, "x", 1), 0);
	run_until(fixture, was_called(call));
	cr_assert_eq(call->answer, -EDEADLK);
}

static int64_t begins_while_the_engine_ends(struct call *call)
{
	struct sluice_async_result *result;
	int64_t answer;

	do {
		usleep(1000);
		answer = sluice_begin_receive(call->socket, call->token, 1, 0, 1, 0, NULL, NULL,
					      NULL, &result);
	} while (answer == 0 && !sluice_async_result_is_completed(result));
	return answer == 0 ? sluice_end_receive(call->socket, result, NULL) : answer;
}

/* e09: what is pending is aborted, every callback runs, and what they begin is refused. */
Test(c05, c05_destroying_the_engine_runs_every_callback)
{
	struct fixture fixture;
	struct blocked blocked;
	struct call *calls;
	struct call begins;
	char byte;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	calls = calls_new(&fixture, blocked.pair.socket, 10);
	for (int i = 0; i < 10; i++) {
		calls[i].within = ends_send;
		cr_assert_eq(begin_send(&calls[i], "x", 1), 0);
	}
	call_init(&begins, &fixture, blocked.pair.socket);
	begins.within = begins_while_the_engine_ends;
	begins.token = &byte;
	cr_assert_eq(begin_send(&begins, "x", 1), 0);
	cr_assert_eq(sluice_engine_destroy(fixture.engine), 0);
	fixture.engine = NULL;
	cr_assert(were_called(calls, 10));
	for (int i = 0; i < 10; i++)
		cr_assert_eq(calls[i].answer, -EBADF);
	cr_assert_eq(begins.answer, -EBADF);
	assert_ended(&blocked.head, SLUICE_ERROR_OPERATION_ABORTED,
		     blocked.head.args.bytes_transferred);
	blocked.pair.socket = NULL;
	blocked_end(&blocked);
	fixture_end(&fixture);
	free(calls);
}
