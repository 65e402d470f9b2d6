/* SPDX-License-Identifier: MIT */
/*
 * An engine whose submissions a thread of the kernel's takes. What other files promise of sends is
 * run with it as well (the variant submission-thread, contract_b_ways.c); here is what is its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

static struct sluice_options thread_options(void)
{
	struct sluice_options options;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.submission_thread = 1;
	return options;
}

static void begin_with_thread(struct fixture *fixture, const struct sluice_options *options)
{
	fixture_begin_with(fixture, options);
	skip_without_thread(fixture);
}

static struct sluice_engine_statistics statistics_of(struct fixture *fixture)
{
	struct sluice_engine_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_engine_statistics(fixture->engine, &statistics), 0);
	return statistics;
}

static uint64_t enters(struct fixture *fixture)
{
	return statistics_of(fixture).enters;
}

/* ---- asking for it ---- */

static void assert_refused(const struct sluice_options *options)
{
	struct sluice_engine *engine;

	cr_assert_eq(sluice_engine_create(&engine, options), -EINVAL);
	cr_assert_null(engine);
}

Test(b16, b16_what_is_asked_of_the_thread_is_checked)
{
	struct sluice_options options = thread_options();
	struct fixture fixture;

	cr_assert_eq(options.submission_thread_cpu, -1);
	cr_assert_eq(options.submission_thread_idle_ns, MILLISECOND);
	options.submission_thread_cpu = -2;
	assert_refused(&options);
	options.submission_thread_cpu = (int32_t)sysconf(_SC_NPROCESSORS_CONF);
	assert_refused(&options);
	options.submission_thread_cpu = -1;
	options.submission_thread_idle_ns = -1;
	assert_refused(&options);
	options.submission_thread_idle_ns = INT64_MAX;
	assert_refused(&options);
	/* Nobody asks: nothing is wrong. */
	options.submission_thread = 0;
	fixture_begin_with(&fixture, &options);
	fixture_end(&fixture);
}

static void assert_sends(struct fixture *fixture)
{
	struct operation operation;
	struct pair pair;

	tcp_pair(fixture, &pair, 0);
	operation_init(&operation, fixture);
	run_send(pair.socket, &operation, "\0\1\2", 3);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 3);
	read_pattern(pair.peer, 3, 0);
	pair_close(&pair);
}

Test(b16, b16_where_it_cannot_be_had_the_engine_does_without)
{
	struct sluice_options options = thread_options();
	struct fixture fixture;

	options.disable = SLUICE_CAPABILITY_SUBMISSION_THREAD;
	fixture_begin_with(&fixture, &options);
	cr_assert_eq(statistics_of(&fixture).capabilities & SLUICE_CAPABILITY_SUBMISSION_THREAD, 0);
	assert_sends(&fixture);
	fixture_end(&fixture);
}

Test(b16, b16_pinned_to_any_processor)
{
	struct sluice_options options = thread_options();

	for (int32_t cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
		struct fixture fixture;

		options.submission_thread_cpu = cpu;
		begin_with_thread(&fixture, &options);
		assert_sends(&fixture);
		fixture_end(&fixture);
	}
}

/* ---- what a start costs ---- */

/* Kept awake for longer than the test runs, by one send. */
static void begin_awake(struct fixture *fixture, struct pair *pair)
{
	struct sluice_options options = thread_options();
	struct operation first;

	options.submission_thread_idle_ns = 60 * SECOND;
	begin_with_thread(fixture, &options);
	tcp_pair(fixture, pair, 0);
	operation_init(&first, fixture);
	run_send(pair->socket, &first, "\0", 1);
	read_pattern(pair->peer, 1, 0);
}

Test(b16, b16_while_it_is_awake_a_lone_send_does_not_enter_the_kernel)
{
	struct fixture fixture;
	struct operation operation;
	struct pair pair;
	struct sluice_engine_statistics before, after;

	begin_awake(&fixture, &pair);
	operation_init(&operation, &fixture);
	before = statistics_of(&fixture);
	cr_assert_eq(start_send(pair.socket, &operation, "\0\1\2\3", 4), 1);
	after = statistics_of(&fixture);
	cr_assert_eq(after.enters, before.enters);
	cr_assert_eq(after.inline_sends, before.inline_sends);
	/* Nothing more has to be called for the peer to get it. */
	read_pattern(pair.peer, 4, 0);
	run_until(&fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 4);
	pair_close(&pair);
	fixture_end(&fixture);
}

#define BATCH ((size_t)32)

Test(b16, b16_while_it_is_awake_a_batch_does_not_enter_the_kernel)
{
	struct fixture fixture;
	struct operation *operations;
	struct pair pair;

	begin_awake(&fixture, &pair);
	operations = operations_new(&fixture, BATCH);
	for (size_t round = 0; round < 100; round++) {
		uint64_t before = enters(&fixture);

		cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
		for (size_t i = 0; i < BATCH; i++)
			cr_assert_eq(start_send(pair.socket, &operations[i], "\0\1\2", 3), 1);
		cr_assert_eq(sluice_batch_end(fixture.engine), 0);
		cr_assert_eq(enters(&fixture), before);
		for (size_t i = 0; i < BATCH; i++)
			read_pattern(pair.peer, 3, 0);
		run_until(&fixture, fixture.pending == 0);
		for (size_t i = 0; i < BATCH; i++)
			assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 3);
	}
	free(operations);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(b16, b16_a_start_wakes_it)
{
	static const struct timespec pause = {0, 20000000}; /* it is asleep long before */
	struct sluice_options options = thread_options();
	struct fixture fixture;
	struct operation operation;
	struct pair pair;

	begin_with_thread(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	for (int i = 0; i < 20; i++) {
		nanosleep(&pause, NULL);
		cr_assert_eq(start_send(pair.socket, &operation, "\0\1", 2), 1);
		read_pattern(pair.peer, 2, 0);
		run_until(&fixture, is_over(&operation));
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 2);
	}
	pair_close(&pair);
	fixture_end(&fixture);
}

/* A wake and a post reach the engine while it waits for that thread's completions. */
static void posted(struct sluice_engine *engine, void *token)
{
	(void)engine;
	*(int *)token = 1;
}

static void *post_from_outside(void *token)
{
	static const struct timespec pause = {0, 20000000};
	struct fixture *fixture = token;

	nanosleep(&pause, NULL);
	cr_assert_eq(sluice_post(fixture->engine, posted, &fixture->inside_call), 0);
	return NULL;
}

Test(b16, b16_another_thread_wakes_a_waiting_engine)
{
	struct sluice_options options = thread_options();
	struct fixture fixture;
	pthread_t thread;

	begin_with_thread(&fixture, &options);
	cr_assert_eq(pthread_create(&thread, NULL, post_from_outside, &fixture), 0);
	run_until(&fixture, fixture.inside_call == 1);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	sluice_engine_wake(fixture.engine);
	cr_assert_eq(sluice_engine_run(fixture.engine, GUARD_NS), 0);
	fixture_end(&fixture);
}

/* ---- many, and long lists ---- */

#define SOCKETS ((size_t)1000)

/* Of each socket a list, so that the lists of many entries wait to be taken at once. */
static void send_on_all(struct fixture *fixture, struct pair *pairs, size_t segments, bool batch)
{
	struct operation *operations = operations_new(fixture, SOCKETS);
	unsigned char *bytes = pattern_new(segments, 0);
	struct iovec *list = calloc(segments, sizeof *list);

	cr_assert(list);
	for (size_t i = 0; i < segments; i++)
		list[i] = segment(bytes + i, 1);
	if (batch)
		cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < SOCKETS; i++) {
		cr_assert_eq(sluice_args_set_buffer_list(&operations[i].args, list, segments), 0);
		cr_assert_eq(start(sluice_send_async, pairs[i].socket, &operations[i]), 1);
	}
	if (batch)
		cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	for (size_t i = 0; i < SOCKETS; i++)
		read_pattern(pairs[i].peer, segments, 0);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < SOCKETS; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, segments);
	free(list);
	free(bytes);
	free(operations);
}

Test(b16, b16_a_thousand_sockets)
{
	static struct pair pairs[SOCKETS];
	struct sluice_options options = thread_options();
	struct fixture fixture;

	options.ring_entries = 64;
	begin_with_thread(&fixture, &options);
	for (size_t i = 0; i < SOCKETS; i++)
		unix_pair(&fixture, &pairs[i], SOCK_STREAM);
	send_on_all(&fixture, pairs, 3, false);
	send_on_all(&fixture, pairs, 3, true);
	send_on_all(&fixture, pairs, 200, true);
	send_on_all(&fixture, pairs, 1024, false);
	for (size_t i = 0; i < SOCKETS; i++)
		pair_close(&pairs[i]);
	fixture_end(&fixture);
}

/* ---- ends ---- */

static void begin_blocked(struct fixture *fixture, struct blocked *blocked)
{
	struct sluice_options options = thread_options();

	begin_with_thread(fixture, &options);
	blocked_begin(fixture, blocked);
	run_idle(fixture); /* as much as goes has gone */
}

Test(b16, b16_what_a_cancelled_record_says_is_what_arrives)
{
	struct fixture fixture;
	struct blocked blocked;
	uint64_t taken;
	int error;

	begin_blocked(&fixture, &blocked);
	cr_assert_eq(sluice_cancel(blocked.pair.socket, &blocked.head.args), 0);
	run_until(&fixture, is_over(&blocked.head));
	taken = blocked.head.args.bytes_transferred;
	cr_assert_gt(taken, 0);
	assert_ended(&blocked.head, SLUICE_ERROR_OPERATION_ABORTED, taken);
	cr_assert_eq(sluice_socket_close(blocked.pair.socket), 0);
	cr_assert_eq(run_reading_to_end(&fixture, blocked.pair.peer, 0, &error), taken);
	cr_assert_eq(error, 0);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

Test(b16, b16_close_aborts_and_resets_the_peer)
{
	struct fixture fixture;
	struct blocked blocked;
	int error;

	begin_blocked(&fixture, &blocked);
	cr_assert_eq(sluice_socket_close(blocked.pair.socket), 0);
	run_until(&fixture, is_over(&blocked.head));
	cr_assert_eq(blocked.head.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	run_reading_to_end(&fixture, blocked.pair.peer, 0, &error);
	cr_assert_eq(error, ECONNRESET);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

Test(b16, b16_a_reset_of_a_half_sent_send_is_told)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation behind;

	begin_blocked(&fixture, &blocked);
	operation_init(&behind, &fixture);
	cr_assert_eq(start_send(blocked.pair.socket, &behind, "behind", 6), 1);
	close_with_reset(blocked.pair.peer);
	blocked.pair.peer = -1;
	run_until(&fixture, fixture.pending == 0);
	cr_assert_eq(blocked.head.args.error, SLUICE_ERROR_CONNECTION_RESET);
	assert_ended(&behind, SLUICE_ERROR_SHUTDOWN, 0);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

/* Some are taken, some wait to be, some wait for their peers; and their memory goes at once. */
Test(b16, b16_destroy_ends_what_is_pending)
{
	for (int round = 0; round < 20; round++) {
		struct sluice_options options = thread_options();
		struct fixture fixture;
		struct operation *operations;
		struct pair pairs[10];
		unsigned char *bytes = pattern_new(HEAD_BYTES, 0);

		options.ring_entries = 8;
		begin_with_thread(&fixture, &options);
		operations = operations_new(&fixture, 40);
		for (size_t i = 0; i < 10; i++)
			tcp_pair(&fixture, &pairs[i], SMALL);
		for (size_t i = 0; i < 40; i++)
			cr_assert_eq(start_send(pairs[i % 10].socket, &operations[i], bytes,
						HEAD_BYTES),
				     1);
		if (round % 2)
			run_for(&fixture, MILLISECOND);
		cr_assert_eq(sluice_engine_destroy(fixture.engine), 0);
		free(bytes);
		fixture.engine = NULL;
		cr_assert_eq(fixture.pending, 0);
		for (size_t i = 0; i < 40; i++)
			cr_assert_eq(operations[i].args.error, SLUICE_ERROR_OPERATION_ABORTED);
		for (size_t i = 0; i < 10; i++)
			close(pairs[i].peer);
		free(operations);
		fixture_end(&fixture);
	}
}
