/* SPDX-License-Identifier: MIT */
/* How full a send queue may be: the hard limit and the water marks. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>

#define LIMIT (2 * HEAD_BYTES)

/* ---- b15 ---- */

static void assert_limit_holds(struct fixture *fixture, struct blocked *blocked)
{
	struct sluice_socket *socket = blocked->pair.socket;
	size_t room = LIMIT - sluice_socket_queued_bytes(socket);
	unsigned char *bytes = pattern_new(LIMIT, HEAD_BYTES);
	struct operation fits, refused, empty;

	operation_init(&fits, fixture);
	operation_init(&refused, fixture);
	operation_init(&empty, fixture);

	cr_assert_eq(start_send(socket, &refused, bytes, room + 1), -ENOBUFS);
	cr_assert_eq(start_send(socket, &fits, bytes, room), 1);
	cr_assert_eq(sluice_socket_queued_bytes(socket), LIMIT);
	cr_assert_eq(start_send(socket, &refused, bytes, 1), -ENOBUFS);
	cr_assert_eq(start_send(socket, &empty, bytes, 0), 1);
	run_idle(fixture);
	cr_assert_leq(sluice_socket_queued_bytes(socket), LIMIT);
	cr_assert_eq(fixture->pending, 3);

	/* Nothing is lost, and a queue that drains has space again. */
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + room, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&fits, SLUICE_ERROR_SUCCESS, room);
	assert_ended(&empty, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_eq(sluice_socket_queued_bytes(socket), 0);
	start_send(socket, &refused, bytes + room, 1);
	run_reading(fixture, blocked->pair.peer, 1, HEAD_BYTES + room);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&refused, SLUICE_ERROR_SUCCESS, 1);
	free(bytes);
}

BLOCKED_TEST(b15, b15_a_full_queue_refuses_and_loses_nothing, blocked_begin)
{
	cr_assert_eq(sluice_socket_set_water_marks(blocked->pair.socket, 0, SIZE_MAX, LIMIT), 0);
	assert_limit_holds(fixture, blocked);
}

Test(b15, b15_the_engine_s_option_limits_a_new_socket)
{
	struct fixture fixture;
	struct blocked blocked;
	struct sluice_options options;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	cr_assert_eq(options.queue_limit_bytes, 0);
	options.queue_limit_bytes = LIMIT;
	fixture_begin_with(&fixture, &options);
	blocked_begin(&fixture, &blocked);
	assert_limit_holds(&fixture, &blocked);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

PAIR_TEST(b15, b15_an_empty_queue_accepts_any_one_record, tcp_pair, SMALL)
{
	struct operation large, refused;
	unsigned char *bytes = pattern_new(HEAD_BYTES, 0);

	operation_init(&large, fixture);
	operation_init(&refused, fixture);
	cr_assert_eq(sluice_socket_set_water_marks(pair->socket, 0, SIZE_MAX, 10), 0);

	cr_assert_eq(start_send(pair->socket, &large, bytes, HEAD_BYTES), 1);
	cr_assert_eq(start_send(pair->socket, &refused, bytes, 1), -ENOBUFS);
	run_reading(fixture, pair->peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&large));
	assert_ended(&large, SLUICE_ERROR_SUCCESS, HEAD_BYTES);

	free(bytes);
}

BLOCKED_TEST(b15, b15_in_a_batch_too, blocked_begin)
{
	struct operation *operations;
	unsigned char *bytes = pattern_new(64, HEAD_BYTES);
	size_t accepted = 0, queued;

	operations = operations_new(fixture, 64);
	queued = sluice_socket_queued_bytes(blocked->pair.socket);
	cr_assert_eq(sluice_socket_set_water_marks(blocked->pair.socket, 0, SIZE_MAX, queued + 40),
		     0);

	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	while (start_send(blocked->pair.socket, &operations[accepted], bytes + accepted, 1) == 1)
		accepted++;
	cr_assert_eq(accepted, 40);
	cr_assert_eq(start_send(blocked->pair.socket, &operations[40], bytes + 40, 1), -ENOBUFS);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + 40, 0);
	run_until(fixture, fixture->pending == 0);
	assert_nothing_to_read(blocked->pair.peer);

	free(operations);
	free(bytes);
}

enum {
	BURST = 64,
	BURST_BYTES = 1024,
	BURST_HIGH = 4 * BURST_BYTES
};

/* Sends of a handler, of which none is refused although all of them exceed the limit. */
struct burst {
	struct fixture *fixture;
	struct pair *pair;
	struct operation *operations;
	unsigned char *bytes;
	bool started;
};

static void start_burst(struct sluice_engine *engine, void *token)
{
	struct burst *burst = token;

	for (size_t i = 0; i < BURST; i++)
		cr_assert_eq(start_send(burst->pair->socket, &burst->operations[i],
					burst->bytes + i * BURST_BYTES, BURST_BYTES),
			     1, "send %zu was refused", i);
	burst->started = true;
}

/* The queue never keeps more than the mark. */
static void start_rising_burst(struct sluice_engine *engine, void *token)
{
	struct burst *burst = token;

	start_burst(engine, burst);
	cr_assert_leq(sluice_socket_queued_bytes(burst->pair->socket), BURST_HIGH,
		      "the queue was not offered to the kernel");
}

static void assert_burst_fits(size_t high, size_t limit)
{
	struct fixture fixture;
	struct pair pair;
	struct burst burst = {&fixture, &pair};
	int buffer = 4 * BURST * BURST_BYTES;

	/* Not the ring's way or its thread's: what these have is in the queue until it is answered. */
	fixture_begin_with(&fixture, NULL);
	tcp_pair(&fixture, &pair, buffer);
	burst.operations = operations_new(&fixture, BURST);
	burst.bytes = pattern_new((size_t)BURST * BURST_BYTES, 0);
	cr_assert_eq(sluice_socket_set_water_marks(pair.socket, 0, high, limit), 0);
	cr_assert_eq(sluice_post(fixture.engine, start_burst, &burst), 0);
	run_until(&fixture, burst.started && fixture.pending == 0);
	read_pattern(pair.peer, (size_t)BURST * BURST_BYTES, 0);

	pair_close(&pair);
	free(burst.operations);
	free(burst.bytes);
	fixture_end(&fixture);
}

Test(b15, b15_a_burst_is_offered_to_the_kernel_before_it_is_refused)
{
	assert_burst_fits(SIZE_MAX, 8 * BURST_BYTES);
	assert_burst_fits(BURST_HIGH, 8 * BURST_BYTES);
}

static void count_congested(struct sluice_socket *socket, void *token)
{
	++*(int *)token;
}

/* No limit: what makes room is the rise above the high mark alone. */
static void assert_a_rise_leaves_at_once(bool in_batch)
{
	struct fixture fixture;
	struct pair pair;
	struct burst burst = {&fixture, &pair};
	int congested = 0;

	fixture_begin_with(&fixture, NULL);
	tcp_pair(&fixture, &pair, 4 * BURST * BURST_BYTES);
	burst.operations = operations_new(&fixture, BURST);
	burst.bytes = pattern_new((size_t)BURST * BURST_BYTES, 0);
	cr_assert_eq(sluice_socket_set_water_marks(pair.socket, 0, BURST_HIGH, 0), 0);
	cr_assert_eq(sluice_socket_set_congested(pair.socket, count_congested, &congested), 0);
	if (in_batch) {
		cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
		start_rising_burst(fixture.engine, &burst);
		cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	} else {
		cr_assert_eq(sluice_post(fixture.engine, start_rising_burst, &burst), 0);
	}
	run_until(&fixture, burst.started && fixture.pending == 0);
	run_idle(&fixture);
	cr_assert_eq(congested, 0, "the kernel took all, and the queue is called congested");
	read_pattern(pair.peer, (size_t)BURST * BURST_BYTES, 0);

	pair_close(&pair);
	free(burst.operations);
	free(burst.bytes);
	fixture_end(&fixture);
}

Test(b15, b15_what_rises_above_the_high_mark_leaves_at_once_while_the_kernel_takes_it)
{
	assert_a_rise_leaves_at_once(false);
	assert_a_rise_leaves_at_once(true);
}

BLOCKED_TEST(b15, b15_without_a_limit_20000_sends_wait, blocked_begin)
{
	enum {
		SENDS = 20000
	};
	struct operation *operations;
	unsigned char *bytes = pattern_new(SENDS, HEAD_BYTES);

	operations = operations_new(fixture, SENDS);
	for (size_t i = 0; i < SENDS; i++)
		cr_assert_eq(start_send(blocked->pair.socket, &operations[i], bytes + i, 1), 1);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + SENDS, 0);
	run_until(fixture, fixture->pending == 0);
	cr_assert_eq(fixture->handled, SENDS + 1);

	free(operations);
	free(bytes);
}

/* ---- e06 ---- */

struct drained {
	struct fixture *fixture;
	struct sluice_socket *socket;
	struct operation *start; /* one that the handler is to start, or NULL */
	size_t low;
	int calls;
};

static void on_drained(struct sluice_socket *socket, void *token)
{
	struct drained *drained = token;

	cr_assert_eq(drained->fixture->inside_call, 0);
	cr_assert_eq(socket, drained->socket);
	cr_assert_leq(sluice_socket_queued_bytes(socket), drained->low);
	drained->calls++;
	if (drained->start)
		cr_assert_geq(start(sluice_send_async, socket, drained->start), 0);
	drained->start = NULL;
}

static void watch(struct fixture *fixture, struct blocked *blocked, struct drained *drained,
		  size_t low, size_t high)
{
	blocked_begin(fixture, blocked);
	*drained = (struct drained){.fixture = fixture, .socket = blocked->pair.socket, .low = low};
	cr_assert_eq(sluice_socket_set_water_marks(blocked->pair.socket, low, high, 0), 0);
	cr_assert_eq(sluice_socket_set_drained(blocked->pair.socket, on_drained, drained), 0);
}

Test(e06, e06_the_drained_handler_runs_once_when_the_queue_falls_to_low)
{
	struct fixture fixture;
	struct blocked blocked;
	struct drained drained;
	struct operation behind;
	unsigned char *bytes = pattern_new(2 * HEAD_BYTES, HEAD_BYTES);
	size_t left;

	fixture_begin(&fixture);
	watch(&fixture, &blocked, &drained, 300000, LIMIT);
	operation_init(&behind, &fixture);

	cr_assert_eq(start_send(blocked.pair.socket, &behind, bytes, 2 * HEAD_BYTES), 1);
	cr_assert_gt(sluice_socket_queued_bytes(blocked.pair.socket), LIMIT);
	run_idle(&fixture);
	cr_assert_eq(drained.calls, 0);

	/* Far from low: nothing; at low: once; at the end: not again. */
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_idle(&fixture);
	left = sluice_socket_queued_bytes(blocked.pair.socket);
	cr_assert_gt(left, 300000);
	cr_assert_eq(drained.calls, 0);
	run_reading(&fixture, blocked.pair.peer, left - 200000, HEAD_BYTES);
	run_until(&fixture, drained.calls == 1);
	run_reading(&fixture, blocked.pair.peer, 2 * HEAD_BYTES - (left - 200000),
		    HEAD_BYTES + left - 200000);
	run_until(&fixture, fixture.pending == 0);
	run_idle(&fixture);
	cr_assert_eq(drained.calls, 1);

	blocked_end(&blocked);
	free(bytes);
	fixture_end(&fixture);
}

static void on_drained_count(struct sluice_socket *socket, void *token)
{
	int *drained = token;

	cr_assert_leq(sluice_socket_queued_bytes(socket), LIMIT);
	++*drained;
}

/* As with marks that another thread sets by a post, which the send it starts next may overtake. */
Test(e06, e06_a_queue_that_is_above_marks_when_they_are_set_drains)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation *behind;
	unsigned char *bytes = pattern_new(2 * HEAD_BYTES, HEAD_BYTES);
	int drained = 0;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	behind = operations_new(&fixture, 2);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(start_send(blocked.pair.socket, &behind[i], bytes + i * HEAD_BYTES,
					HEAD_BYTES),
			     1);
	run_idle(&fixture);
	cr_assert_gt(sluice_socket_queued_bytes(blocked.pair.socket), LIMIT);
	cr_assert_eq(sluice_socket_set_drained(blocked.pair.socket, on_drained_count, &drained), 0);
	cr_assert_eq(sluice_socket_set_water_marks(blocked.pair.socket, LIMIT / 2, LIMIT, 0), 0);
	run_idle(&fixture);
	cr_assert_eq(drained, 0);
	run_reading(&fixture, blocked.pair.peer, 3 * HEAD_BYTES, 0);
	run_until(&fixture, drained == 1 && fixture.pending == 0);
	run_idle(&fixture);
	cr_assert_eq(drained, 1);

	free(behind);
	blocked_end(&blocked);
	free(bytes);
	fixture_end(&fixture);
}

struct marks {
	struct sluice_socket *socket;
	size_t high;
	int congested, drained;
};

static void on_congested(struct sluice_socket *socket, void *token)
{
	struct marks *marks = token;

	cr_assert_eq(socket, marks->socket);
	cr_assert_gt(sluice_socket_queued_bytes(socket), marks->high);
	cr_assert_eq(marks->congested, marks->drained);
	marks->congested++;
}

static void on_drained_after(struct sluice_socket *socket, void *token)
{
	struct marks *marks = token;

	marks->drained++;
	cr_assert_eq(marks->congested, marks->drained);
}

Test(e06, e06_the_congested_handler_runs_once_for_each_rise_and_before_the_drained_one)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation *behind;
	struct marks marks = {.high = LIMIT};
	unsigned char *bytes = pattern_new(2 * HEAD_BYTES, HEAD_BYTES);

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	behind = operations_new(&fixture, 3);
	marks.socket = blocked.pair.socket;
	cr_assert_eq(sluice_socket_set_water_marks(marks.socket, 0, marks.high, 0), 0);
	cr_assert_eq(sluice_socket_set_congested(marks.socket, on_congested, &marks), 0);
	cr_assert_eq(sluice_socket_set_drained(marks.socket, on_drained_after, &marks), 0);
	cr_assert_eq(sluice_socket_set_congested(NULL, on_congested, &marks), -EINVAL);

	cr_assert_eq(start_send(marks.socket, &behind[0], bytes, HEAD_BYTES), 1);
	run_idle(&fixture);
	cr_assert_eq(marks.congested, 0);
	cr_assert_eq(start_send(marks.socket, &behind[1], bytes + HEAD_BYTES, HEAD_BYTES), 1);
	cr_assert_eq(marks.congested, 0, "a handler ran inside the call");
	run_until(&fixture, marks.congested == 1);
	run_idle(&fixture);
	cr_assert_eq(marks.congested, 1);
	run_reading(&fixture, blocked.pair.peer, 3 * HEAD_BYTES, 0);
	run_until(&fixture, marks.drained == 1 && fixture.pending == 0);

	/* The second rise, with the same bytes. */
	for (int i = 0; i < 3; i++)
		cr_assert_eq(start_send(marks.socket, &behind[i], bytes, HEAD_BYTES), 1);
	run_until(&fixture, marks.congested == 2);
	run_idle(&fixture);
	for (int i = 0; i < 3; i++)
		run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, HEAD_BYTES);
	run_until(&fixture, marks.drained == 2 && fixture.pending == 0);
	run_idle(&fixture);
	cr_assert_eq(marks.congested, 2);
	cr_assert_eq(marks.drained, 2);

	blocked_end(&blocked);
	free(behind);
	free(bytes);
	fixture_end(&fixture);
}

Test(e06, e06_a_queue_that_never_rose_above_high_does_not_drain)
{
	struct fixture fixture;
	struct blocked blocked;
	struct drained drained;

	fixture_begin(&fixture);
	watch(&fixture, &blocked, &drained, 1000, LIMIT);
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_until(&fixture, is_over(&blocked.head));
	run_idle(&fixture);
	cr_assert_eq(drained.calls, 0);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

Test(e06, e06_it_runs_again_after_each_rise_and_may_start_the_next_send)
{
	struct fixture fixture;
	struct blocked blocked;
	struct drained drained;
	struct operation behind;
	unsigned char *bytes = pattern_new(LIMIT, HEAD_BYTES);

	fixture_begin(&fixture);
	watch(&fixture, &blocked, &drained, 0, HEAD_BYTES);
	operation_init(&behind, &fixture);
	drained.start = &behind;
	cr_assert_eq(sluice_args_set_buffer(&behind.args, bytes, LIMIT, 0, LIMIT), 0);

	/* The head alone is not above high. */
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_until(&fixture, is_over(&blocked.head));
	cr_assert_eq(drained.calls, 0);
	for (int round = 1; round <= 2; round++) {
		drained.start = round == 1 ? &behind : NULL;
		if (round == 1)
			cr_assert_eq(start_send(blocked.pair.socket, &blocked.head, bytes, LIMIT),
				     1);
		run_reading(&fixture, blocked.pair.peer, LIMIT, HEAD_BYTES);
		run_until(&fixture, drained.calls == round);
	}
	run_until(&fixture, fixture.pending == 0);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, LIMIT);

	blocked_end(&blocked);
	free(bytes);
	fixture_end(&fixture);
}

/* The handler of the record that drains the queue destroys the socket, whose event then waits. */
static void destroy_when_drained(struct operation *operation)
{
	sluice_socket_destroy(operation->socket);
}

Test(e06, e06_a_socket_that_is_destroyed_before_it_was_told)
{
	struct fixture fixture;
	struct blocked blocked;
	struct drained drained;
	struct operation behind;

	fixture_begin(&fixture);
	watch(&fixture, &blocked, &drained, 0, 0);
	operation_init(&behind, &fixture);
	behind.then = destroy_when_drained;
	cr_assert_eq(start_send(blocked.pair.socket, &behind, "\0", 1), 1);
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_reading(&fixture, blocked.pair.peer, 1, 0);
	run_until(&fixture, fixture.pending == 0);
	run_idle(&fixture);
	cr_assert_leq(drained.calls, 1);
	blocked.pair.socket = NULL;
	assert_end_of_stream(blocked.pair.peer);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

Test(e06, e06_low_above_high_is_refused_and_no_handler_is_allowed)
{
	struct fixture fixture;
	struct blocked blocked;
	struct drained drained;

	fixture_begin(&fixture);
	watch(&fixture, &blocked, &drained, 10, 10);
	cr_assert_eq(sluice_socket_set_water_marks(blocked.pair.socket, 11, 10, 0), -EINVAL);
	cr_assert_eq(sluice_socket_set_water_marks(NULL, 0, 0, 0), -EINVAL);
	cr_assert_eq(sluice_socket_set_drained(blocked.pair.socket, NULL, NULL), 0);
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_until(&fixture, is_over(&blocked.head));
	run_idle(&fixture);
	cr_assert_eq(drained.calls, 0);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

BLOCKED_TEST(e06, e06_queued_bytes_are_those_that_the_kernel_has_not_taken, blocked_begin)
{
	struct operation behind;
	struct sluice_socket *socket;
	size_t before;

	socket = blocked->pair.socket;
	operation_init(&behind, fixture);

	before = sluice_socket_queued_bytes(socket);
	cr_assert_gt(before, 0);
	cr_assert_leq(before, HEAD_BYTES);
	cr_assert_eq(start_send(socket, &behind, blocked->bytes, 1000), 1);
	cr_assert_eq(sluice_socket_queued_bytes(socket), before + 1000);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES / 2, 0);
	run_idle(fixture);
	cr_assert_lt(sluice_socket_queued_bytes(socket), before + 1000 - HEAD_BYTES / 4);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES - HEAD_BYTES / 2, HEAD_BYTES / 2);
	run_reading(fixture, blocked->pair.peer, 1000, 0);
	run_until(fixture, fixture->pending == 0);
	cr_assert_eq(sluice_socket_queued_bytes(socket), 0);
}
