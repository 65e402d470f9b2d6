/* SPDX-License-Identifier: MIT */
/* c15: what a thread has started ends with it, where the engine's options say so. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "apm.h"
#include "measure.h"

/* What a thread starts before it exits: one of each kind, with both ways of starting. */
struct started {
	struct sluice_socket *sending, *receiving;
	struct sluice_async_result *send, *receive;
	struct sluice_args record;
	int answers[4];
	char byte;
};

static void *start_and_exit(void *token)
{
	struct started *started = token;

	started->answers[0] = sluice_begin_send(started->sending, "gone", 4, 0, 4, 0, NULL, NULL,
						NULL, &started->send);
	started->answers[1] = sluice_begin_receive(started->receiving, &started->byte, 1, 0, 1, 0,
						   NULL, NULL, NULL, &started->receive);
	started->answers[2] = sluice_args_set_buffer(&started->record, "too", 3, 0, 3);
	started->answers[3] = sluice_send_async(started->sending, &started->record);
	return NULL;
}

static void in_a_thread(void *(*function)(void *), void *token)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, function, token), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

static void started_begin(struct fixture *fixture, struct blocked *blocked, struct pair *quiet,
			  struct started *started, uint32_t cancel)
{
	struct sluice_options options;

	sluice_options_init(&options, sizeof options);
	cr_assert_eq(options.cancel_on_thread_exit, 0, "it is off by default");
	options.cancel_on_thread_exit = cancel;
	fixture_begin_with(fixture, &options);
	blocked_begin(fixture, blocked);
	tcp_pair(fixture, quiet, 0);
	memset(started, 0, sizeof *started);
	started->sending = blocked->pair.socket;
	started->receiving = quiet->socket;
	in_a_thread(start_and_exit, started);
	cr_assert_eq(started->answers[0], 0);
	cr_assert_eq(started->answers[1], 0);
	cr_assert_eq(started->answers[2], 0);
	cr_assert_eq(started->answers[3], 1);
}

Test(c15, c15_what_a_thread_started_is_cancelled_when_it_exits)
{
	struct fixture fixture;
	struct blocked blocked;
	struct pair quiet;
	struct started started;
	enum sluice_socket_error error;

	started_begin(&fixture, &blocked, &quiet, &started, 1);
	run_until(&fixture, !sluice_args_in_progress(&started.record) &&
				    sluice_async_result_is_completed(started.send) &&
				    sluice_async_result_is_completed(started.receive));
	cr_assert_eq(sluice_end_send(started.sending, started.send, &error), -ECANCELED);
	cr_assert_eq(error, SLUICE_ERROR_OPERATION_ABORTED);
	cr_assert_eq(sluice_end_receive(started.receiving, started.receive, &error), -ECANCELED);
	cr_assert_eq(error, SLUICE_ERROR_OPERATION_ABORTED);
	cr_assert_eq(started.record.error, SLUICE_ERROR_OPERATION_ABORTED);
	/* Operations started by other threads continue. */
	cr_assert(!is_over(&blocked.head));
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_until(&fixture, is_over(&blocked.head));
	assert_ended(&blocked.head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	assert_nothing_to_read(blocked.pair.peer);
	blocked_end(&blocked);
	pair_close(&quiet);
	fixture_end(&fixture);
}

/* As in .NET. */
Test(c15, c15_by_default_it_goes_on)
{
	struct fixture fixture;
	struct blocked blocked;
	struct pair quiet;
	struct started started;
	char got[7];

	started_begin(&fixture, &blocked, &quiet, &started, 0);
	run_idle(&fixture);
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	write_pattern(quiet.peer, 1, 0);
	run_until(&fixture, !sluice_args_in_progress(&started.record) && is_over(&blocked.head) &&
				    sluice_async_result_is_completed(started.receive));
	cr_assert_eq(sluice_end_send(started.sending, started.send, NULL), 4);
	cr_assert_eq(sluice_end_receive(started.receiving, started.receive, NULL), 1);
	read_exactly(blocked.pair.peer, got, 7);
	cr_assert_arr_eq(got, "gonetoo", 7);
	blocked_end(&blocked);
	pair_close(&quiet);
	fixture_end(&fixture);
}

struct others {
	struct sluice_socket *socket;
	struct sluice_async_result *result;
};

static void *begin_one(void *token)
{
	struct others *others = token;

	if (sluice_begin_send(others->socket, "x", 1, 0, 1, 0, NULL, NULL, NULL, &others->result))
		others->result = NULL;
	return NULL;
}

/* The exit of one thread takes nothing from another that is still there. */
static int64_t lets_another_exit(struct call *call)
{
	struct others *others = call->token;
	pthread_t thread;

	begin_one(&others[0]);
	if (pthread_create(&thread, NULL, begin_one, &others[1]) != 0)
		return -1;
	pthread_join(thread, NULL);
	return sluice_async_result_wait(others[0].result, -1);
}

Test(c15, c15_other_threads_operations_go_on)
{
	struct sluice_options options;
	struct fixture fixture;
	struct blocked blocked;
	struct others others[2];
	struct call call;
	struct other_thread other;

	sluice_options_init(&options, sizeof options);
	options.cancel_on_thread_exit = 1;
	fixture_begin_with(&fixture, &options);
	blocked_begin(&fixture, &blocked);
	others[0].socket = others[1].socket = blocked.pair.socket;
	call_init(&call, &fixture, blocked.pair.socket);
	call.token = others;
	other_thread_start(&other, &call, lets_another_exit);
	run_until(&fixture, !atomic_load(&other.over) && statistics_of(&fixture).posts == 1);
	cr_assert(others[0].result && others[1].result);
	run_until(&fixture, sluice_async_result_is_completed(others[1].result));
	cr_assert_eq(sluice_end_send(others[1].socket, others[1].result, NULL), -ECANCELED);
	cr_assert_eq(sluice_async_result_is_completed(others[0].result), 0);
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	cr_assert_eq(other_thread_join(&other), 0);
	cr_assert_eq(sluice_end_send(others[0].socket, others[0].result, NULL), 1);
	run_until(&fixture, is_over(&blocked.head));
	blocked_end(&blocked);
	fixture_end(&fixture);
}

/* A thread may outlive the engines that it used. */
static void *use_two_engines(void *token)
{
	struct others *others = token;
	struct sluice_options options;
	struct sluice_engine *engine;
	struct sluice_async_result *result;
	struct sluice_socket *socket;
	int fds[2];

	sluice_options_init(&options, sizeof options);
	options.cancel_on_thread_exit = 1;
	for (int i = 0; i < 3; i++) {
		if (sluice_engine_create(&engine, &options) || sluice_engine_start(engine) ||
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ||
		    sluice_socket_attach(engine, fds[0], &socket) ||
		    sluice_begin_send(socket, "x", 1, 0, 1, 0, NULL, NULL, NULL, &result) ||
		    sluice_end_send(socket, result, NULL) != 1 || sluice_engine_destroy(engine))
			return NULL;
		close(fds[1]);
	}
	begin_one(others);
	return NULL;
}

Test(c15, c15_a_thread_outlives_the_engines_it_used)
{
	struct sluice_options options;
	struct fixture fixture;
	struct blocked blocked;
	struct others others = {0};

	sluice_options_init(&options, sizeof options);
	options.cancel_on_thread_exit = 1;
	fixture_begin_with(&fixture, &options);
	blocked_begin(&fixture, &blocked);
	others.socket = blocked.pair.socket;
	in_a_thread(use_two_engines, &others);
	cr_assert(others.result);
	run_until(&fixture, sluice_async_result_is_completed(others.result));
	cr_assert_eq(sluice_end_send(others.socket, others.result, NULL), -ECANCELED);
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_until(&fixture, is_over(&blocked.head));
	blocked_end(&blocked);
	fixture_end(&fixture);
}
