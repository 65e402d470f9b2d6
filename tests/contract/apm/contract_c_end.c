/* SPDX-License-Identifier: MIT */
/* c06-c12: Ends, and what a result answers. */
#include <errno.h>
#include <linux/seccomp.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apm.h"

#define MANY 100

/* ---- c06 ---- */

static int64_t end_of_begun(struct call *call)
{
	return sluice_end_send(call->socket, call->result, &call->error);
}

CALL_TEST(c06, c06_end_blocks_until_all_is_sent, SMALL)
{
	struct other_thread other;
	void *memory = pattern_new(HEAD_BYTES, 0);

	cr_assert_eq(begin_send(call, memory, HEAD_BYTES), 0);
	other_thread_start(&other, call, end_of_begun);
	other_thread_await_sleep(&other);
	run_idle(fixture);
	cr_assert(!atomic_load(&other.over));
	run_reading(fixture, pair->peer, HEAD_BYTES, 0);
	cr_assert_eq(other_thread_join(&other), (int64_t)HEAD_BYTES);
	cr_assert_eq(call->error, SLUICE_ERROR_SUCCESS);
	run_until(fixture, was_called(call));
	free(memory);
}

PAIR_TEST(c06, c06_a_hundred_outstanding_are_ended_in_reverse, tcp_pair, SMALL)
{
	enum {
		LENGTH = 65536
	};
	struct reader reader;
	char *memory = pattern_new((size_t)MANY * LENGTH, 0);
	struct call *calls;

	calls = calls_new(fixture, pair->socket, MANY);
	for (size_t i = 0; i < MANY; i++)
		cr_assert_eq(begin_send(&calls[i], memory + i * LENGTH, LENGTH), 0);
	reader_start(&reader, pair->peer, 0);
	run_until(fixture, were_called(calls, MANY));
	for (size_t i = MANY; i-- > 0;)
		cr_assert_eq(end_of_begun(&calls[i]), LENGTH);
	sluice_socket_destroy(pair->socket);
	pair->socket = NULL;
	reader_join(&reader);
	cr_assert_eq(reader.bytes, (uint64_t)MANY * LENGTH);
	free(calls);
	free(memory);
}

/* .NET would deadlock. */
BLOCKED_TEST(c06, c06_on_the_engines_thread_before_it_is_done_is_a_deadlock, blocked_begin)
{
	struct call call;

	call_init(&call, fixture, blocked->pair.socket);
	cr_assert_eq(begin_send(&call, "x", 1), 0);
	call.error = SLUICE_ERROR_IO_PENDING;
	cr_assert_eq(end_of_begun(&call), -EDEADLK);
	cr_assert_eq(call.error, SLUICE_ERROR_INVALID_ARGUMENT);
	cr_assert_eq(sluice_async_result_wait(call.result, -1), -EDEADLK);
	cr_assert_eq(sluice_async_result_wait(call.result, 1), -EDEADLK);
	cr_assert_eq(sluice_async_result_wait(call.result, 0), -ETIMEDOUT);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, was_called(&call) && is_over(&blocked->head));
	cr_assert_eq(end_of_begun(&call), 1);
}

/* ---- c07 ---- */

CALL_TEST(c07, c07_second_end_is_refused, 0)
{
	cr_assert_eq(begin_send(call, "once", 4), 0);
	cr_assert_eq(end_of_begun(call), 4);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(end_of_begun(call), -EALREADY);
		cr_assert_eq(call->error, SLUICE_ERROR_ALREADY_IN_PROGRESS);
	}
	run_until(fixture, was_called(call));
	cr_assert_eq(end_of_begun(call), -EALREADY);
}

/* While the first one waits, too. */
BLOCKED_TEST(c07, c07_second_end_is_refused_while_the_first_waits, blocked_begin)
{
	struct call call;
	struct other_thread first, second;

	call_init(&call, fixture, blocked->pair.socket);
	cr_assert_eq(begin_send(&call, "x", 1), 0);
	other_thread_start(&first, &call, end_of_begun);
	other_thread_await_sleep(&first);
	other_thread_start(&second, &call, end_of_begun);
	cr_assert_eq(other_thread_join(&second), -EALREADY);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	cr_assert_eq(other_thread_join(&first), 1);
	run_until(fixture, was_called(&call) && is_over(&blocked->head));
}

CALL_TEST(c07, c07_an_ended_result_is_recognised_for_good, 0)
{
	struct sluice_async_result *ended[MANY];

	for (int i = 0; i < MANY; i++) {
		cr_assert_eq(sluice_begin_send(pair->socket, "x", 1, 0, 1, 0, NULL, NULL, NULL,
					       &call->result),
			     0);
		for (int j = 0; j < i; j++) {
			cr_assert_neq(call->result, ended[j]);
			cr_assert_eq(sluice_end_send(pair->socket, ended[j], NULL), -EALREADY);
			cr_assert_eq(sluice_async_result_is_completed(ended[j]), 1);
			cr_assert_eq(sluice_async_result_wait(ended[j], -1), 0);
		}
		cr_assert_eq(end_of_begun(call), 1);
		ended[i] = call->result;
	}
}

/* Its memory may serve another socket, and its number be looked up all the same. */
ENGINE_TEST(c07, c07_a_result_of_a_socket_that_is_gone_is_never_another_ones)
{
	struct pair pair;
	struct call call;
	struct sluice_async_result *gone[2] = {NULL, NULL};

	for (int round = 0; round < 10; round++) {
		tcp_pair(fixture, &pair, 0);
		call_init(&call, fixture, pair.socket);
		cr_assert_eq(sluice_begin_send(pair.socket, "x", 1, 0, 1, 0, NULL, NULL, NULL,
					       &call.result),
			     0);
		for (size_t i = 0; i < 2 && gone[i]; i++) {
			cr_assert_eq(sluice_end_send(pair.socket, gone[i], NULL), -EINVAL);
			cr_assert_eq(sluice_async_result_wait(gone[i], 0), -EINVAL);
			cr_assert_eq(sluice_async_result_bytes(gone[i]), -EINVAL);
			cr_assert_null(sluice_async_result_socket(gone[i]));
		}
		gone[round % 2] = call.result;
		if (round % 2)
			cr_assert_eq(end_of_begun(&call), 1);
		pair_close(&pair);
		run_idle(fixture);
	}
}

CALL_TEST(c07, c07_what_no_begin_handed_out_is_refused, 0)
{
	cr_assert_eq(sluice_begin_send(pair->socket, "x", 1, 0, 1, 0, NULL, NULL, NULL,
				       &call->result),
		     0);
	for (unsigned int bit = 0; bit < 64; bit++) {
		struct sluice_async_result *wrong =
			(struct sluice_async_result *)((uintptr_t)call->result ^ (uintptr_t)1
											 << bit);

		cr_assert_eq(sluice_end_send(pair->socket, wrong, NULL), -EINVAL, "bit %u", bit);
	}
	cr_assert_eq(end_of_begun(call), 1);
}

static int64_t waits_and_looks(struct call *call)
{
	sem_t *gate = call->token;

	while (sem_wait(gate) != 0)
		;
	return sluice_async_result_state(call->seen) == call &&
	       sluice_async_result_is_completed(call->seen) == 1;
}

/* Ended or not: while its callback runs, the result is not reused. */
CALL_TEST(c07, c07_a_result_rests_only_after_its_callback, 0)
{
	struct call other;
	sem_t gate;

	sem_init(&gate, 0, 0);
	call_init(&other, fixture, pair->socket);
	call->within = waits_and_looks;
	call->token = &gate;
	cr_assert_eq(begin_send(call, "x", 1), 0);
	cr_assert_eq(end_of_begun(call), 1);
	for (int i = 0; i < 3 * MANY; i++) {
		cr_assert_eq(sluice_begin_send(pair->socket, "x", 1, 0, 1, 0, NULL, NULL, NULL,
					       &other.result),
			     0);
		cr_assert_neq(other.result, call->result);
		cr_assert_eq(end_of_begun(&other), 1);
		cr_assert_eq(end_of_begun(call), -EALREADY);
	}
	sem_post(&gate);
	run_until(fixture, was_called(call));
	cr_assert_eq(call->answer, 1);
	sem_destroy(&gate);
}

/* ---- c08 ---- */

ENGINE_TEST(c08, c08_what_is_not_this_sockets_send_is_refused_and_stays_usable)
{
	struct pair pair, other;
	struct call call, receiving;
	char byte;
	static long long strange[64];

	tcp_pair(fixture, &pair, 0);
	tcp_pair(fixture, &other, 0);
	call_init(&call, fixture, pair.socket);
	call_init(&receiving, fixture, pair.socket);
	cr_assert_eq(begin_send(&call, "mine", 4), 0);
	run_until(fixture, was_called(&call));
	cr_assert_eq(sluice_begin_receive(pair.socket, &byte, 1, 0, 1, 0, NULL, NULL, NULL,
					  &receiving.result),
		     0);
	call.error = SLUICE_ERROR_SUCCESS;
	cr_assert_eq(sluice_end_send(pair.socket, NULL, &call.error), -EINVAL);
	cr_assert_eq(call.error, SLUICE_ERROR_INVALID_ARGUMENT);
	cr_assert_eq(sluice_end_send(NULL, call.result, NULL), -EINVAL);
	cr_assert_eq(sluice_end_send(other.socket, call.result, NULL), -EINVAL);
	cr_assert_eq(sluice_end_send(pair.socket, receiving.result, NULL), -EINVAL);
	cr_assert_eq(sluice_end_receive(pair.socket, call.result, NULL), -EINVAL);
	cr_assert_eq(sluice_end_send_to(pair.socket, call.result), -EINVAL);
	cr_assert_eq(sluice_end_send_file(pair.socket, call.result), -EINVAL);
	cr_assert_eq(sluice_end_connect(pair.socket, call.result), -EINVAL);
	cr_assert_eq(sluice_end_disconnect(pair.socket, call.result), -EINVAL);
	/* What never was a result is not even looked at. */
	cr_assert_eq(sluice_end_send(pair.socket, (struct sluice_async_result *)strange, NULL),
		     -EINVAL);
	cr_assert_eq(sluice_end_send(pair.socket, (struct sluice_async_result *)(uintptr_t)8, NULL),
		     -EINVAL);
	cr_assert_eq(end_of_begun(&call), 4);
	write_pattern(pair.peer, 1, 7);
	run_until(fixture, sluice_async_result_is_completed(receiving.result));
	cr_assert_eq(sluice_end_receive(pair.socket, receiving.result, NULL), 1);
	cr_assert_eq((unsigned char)byte, pattern_at(7));
	pair_close(&pair);
	pair_close(&other);
}

/* ---- c09 ---- */

PAIR_TEST(c09, c09_end_after_close_is_refused, tcp_pair, 0)
{
	struct blocked blocked;
	struct call done, pending;

	blocked_begin(fixture, &blocked);
	call_init(&done, fixture, pair->socket);
	call_init(&pending, fixture, blocked.pair.socket);
	pending.within = ends_send;
	cr_assert_eq(begin_send(&done, "done", 4), 0);
	run_until(fixture, was_called(&done));
	cr_assert_eq(begin_send(&pending, "pending", 7), 0);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	cr_assert_eq(sluice_socket_close(blocked.pair.socket), 0);
	done.error = SLUICE_ERROR_SUCCESS;
	cr_assert_eq(end_of_begun(&done), -EBADF);
	cr_assert_eq(done.error, SLUICE_ERROR_OPERATION_ABORTED);
	cr_assert_eq(end_of_begun(&pending), -EBADF);
	cr_assert_eq(sluice_end_send(pair->socket, NULL, NULL), -EINVAL);
	/* Its callback runs all the same. */
	run_until(fixture, was_called(&pending) && is_over(&blocked.head));
	cr_assert_eq(pending.answer, -EBADF);
	cr_assert_eq(pending.seen, pending.result);
	cr_assert_eq(sluice_async_result_is_completed(pending.result), 1);
	blocked_end(&blocked);
}

Test(c09, c09_an_end_that_waits_when_close_comes_is_refused)
{
	for (int destroy = 0; destroy < 2; destroy++) {
		struct fixture fixture;
		struct blocked blocked;
		struct call call;
		struct other_thread other;

		fixture_begin(&fixture);
		blocked_begin(&fixture, &blocked);
		call_init(&call, &fixture, blocked.pair.socket);
		cr_assert_eq(begin_send(&call, "x", 1), 0);
		other_thread_start(&other, &call, end_of_begun);
		other_thread_await_sleep(&other);
		if (destroy)
			sluice_socket_destroy(blocked.pair.socket);
		else
			cr_assert_eq(sluice_socket_close(blocked.pair.socket), 0);
		cr_assert_eq(other_thread_join(&other), -EBADF);
		cr_assert_eq(call.error, SLUICE_ERROR_OPERATION_ABORTED);
		run_until(&fixture, was_called(&call) && is_over(&blocked.head));
		if (destroy)
			blocked.pair.socket = NULL;
		blocked_end(&blocked);
		fixture_end(&fixture);
	}
}

static int64_t waits_for_begun(struct call *call)
{
	return sluice_async_result_wait(call->result, -1);
}

/* The memory of socket and results remains valid until the last thread inside has left. */
Test(c09, c09_destroying_the_engine_waits_for_who_is_inside)
{
	struct fixture fixture;
	struct pair pair;
	struct call call, waiting;
	struct other_thread other;
	void *memory = pattern_new(HEAD_BYTES, 0);

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, SMALL);
	call_init(&call, &fixture, pair.socket);
	cr_assert_eq(begin_send(&call, memory, HEAD_BYTES), 0);
	waiting = call;
	waiting.fixture = NULL;
	other_thread_start(&other, &waiting, waits_for_begun);
	other_thread_await_sleep(&other);
	pair_close(&pair);
	cr_assert_eq(sluice_engine_destroy(fixture.engine), 0);
	cr_assert_eq(pthread_join(other.thread, NULL), 0);
	fixture.engine = NULL;
	cr_assert_eq(other.answer, 0);
	cr_assert(was_called(&call));
	fixture_end(&fixture);
	free(memory);
}

static int64_t sleeps_long(struct call *call)
{
	usleep(200000);
	return sluice_end_send(call->socket, call->seen, &call->error);
}

ENGINE_TEST(c09, c09_a_destroyed_sockets_memory_waits_for_its_callback)
{
	struct pair pair;
	struct call call;

	tcp_pair(fixture, &pair, 0);
	call_init(&call, fixture, pair.socket);
	call.within = sleeps_long;
	cr_assert_eq(begin_send(&call, "x", 1), 0);
	pair_close(&pair);
	run_until(fixture, was_called(&call));
	cr_assert_eq(call.answer, -EBADF);
}

/* ---- c10 ---- */

CALL_TEST(c10, c10_end_tells_the_failure_and_loses_no_count, SMALL)
{
	void *memory = pattern_new(HEAD_BYTES, 0);

	cr_assert_eq(begin_send(call, memory, HEAD_BYTES), 0);
	cr_assert_eq(sluice_async_result_bytes(call->result), -EAGAIN);
	run_reading(fixture, pair->peer, 50000, 0);
	close_with_reset(pair->peer);
	pair->peer = -1;
	run_until(fixture, was_called(call));
	cr_assert_geq(sluice_async_result_bytes(call->result), 50000);
	cr_assert_lt(sluice_async_result_bytes(call->result), (int64_t)HEAD_BYTES);
	cr_assert_eq(end_of_begun(call), -ECONNRESET);
	cr_assert_eq(call->error, SLUICE_ERROR_CONNECTION_RESET);
	free(memory);
}

BLOCKED_TEST(c10, c10_cancel_all_ends_them_with_operation_aborted, blocked_begin)
{
	struct call call;

	call_init(&call, fixture, blocked->pair.socket);
	call.within = ends_send;
	cr_assert_eq(begin_send(&call, "x", 1), 0);
	cr_assert_eq(sluice_socket_cancel_all(blocked->pair.socket), 0);
	run_until(fixture, was_called(&call) && is_over(&blocked->head));
	cr_assert_eq(call.answer, -ECANCELED);
	cr_assert_eq(call.error, SLUICE_ERROR_OPERATION_ABORTED);
}

/* ---- c11, c12 ---- */

static int64_t waits_a_little(struct call *call)
{
	return sluice_async_result_wait(call->result, 20 * MILLISECOND);
}

static int64_t waits_for_ages(struct call *call)
{
	return sluice_async_result_wait(call->result, INT64_MAX);
}

BLOCKED_TEST(c11, c11_the_result_answers, blocked_begin)
{
	struct call call;
	struct other_thread little, ages;

	call_init(&call, fixture, blocked->pair.socket);
	cr_assert_eq(begin_send(&call, "x", 1), 0);
	cr_assert_eq(sluice_async_result_state(call.result), &call);
	cr_assert_eq(sluice_async_result_socket(call.result), call.socket);
	cr_assert_eq(sluice_async_result_is_completed(call.result), 0);
	cr_assert_eq(sluice_async_result_completed_synchronously(call.result), 0);
	other_thread_start(&little, &call, waits_a_little);
	cr_assert_eq(other_thread_join(&little), -ETIMEDOUT);
	other_thread_start(&ages, &call, waits_for_ages);
	other_thread_await_sleep(&ages);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	cr_assert_eq(other_thread_join(&ages), 0);
	run_until(fixture, was_called(&call) && is_over(&blocked->head));
	cr_assert_eq(sluice_async_result_wait(call.result, -1), 0);
	cr_assert_eq(sluice_async_result_wait(call.result, 0), 0);
	cr_assert_eq(sluice_async_result_is_completed(call.result), 1);
	cr_assert_eq(sluice_async_result_completed_synchronously(call.result), 0);
	cr_assert_eq(end_of_begun(&call), 1);
	cr_assert_eq(sluice_async_result_state(call.result), &call);
	cr_assert_eq(sluice_async_result_wait(call.result, -1), 0);
}

CALL_TEST(c11, c11_what_completed_inside_begin_says_so, 0)
{
	cr_assert_eq(begin_send(call, "x", 1), 0);
	cr_assert_eq(sluice_async_result_is_completed(call->result), 1);
	cr_assert_eq(sluice_async_result_completed_synchronously(call->result), 1);
	cr_assert_eq(sluice_async_result_wait(call->result, -1), 0);
	cr_assert_eq(end_of_begun(call), 1);
}

Test(c11, c11_null_is_answered)
{
	cr_assert_null(sluice_async_result_state(NULL));
	cr_assert_null(sluice_async_result_socket(NULL));
	cr_assert_eq(sluice_async_result_is_completed(NULL), -EINVAL);
	cr_assert_eq(sluice_async_result_completed_synchronously(NULL), -EINVAL);
	cr_assert_eq(sluice_async_result_bytes(NULL), -EINVAL);
	cr_assert_eq(sluice_async_result_wait(NULL, 0), -EINVAL);
}

/* Waits and ends where every system call but write(2) and exit(2) kills; exits with 0. */
static void end_without_system_calls(void)
{
	struct sluice_engine *engine;
	struct sluice_async_result *result;
	struct sluice_socket *socket;
	int64_t answer;
	int fds[2];

	if (sluice_engine_create(&engine, NULL) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0 ||
	    sluice_socket_attach(engine, fds[0], &socket) != 0 ||
	    sluice_begin_send(socket, "x", 1, 0, 1, 0, NULL, NULL, NULL, &result) != 0)
		_exit(1);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
		_exit(2);
	answer = sluice_async_result_wait(result, -1);
	if (answer == 0)
		answer = sluice_end_send(socket, result, NULL);
	syscall(SYS_exit, answer == 1 ? 0 : 3);
}

Test(c11, c11_waiting_for_what_is_over_makes_no_system_call)
{
	struct fixture fixture;
	pid_t child;
	int status;

	fixture_begin(&fixture); /* or there is no ring here */
	child = fork();
	cr_assert(child >= 0);
	if (child == 0)
		end_without_system_calls();
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status), "a system call was made");
	if (WEXITSTATUS(status) == 2)
		cr_skip("seccomp(2) is not allowed here");
	cr_assert_eq(WEXITSTATUS(status), 0);
	fixture_end(&fixture);
}

/* In the callback the operation is over: waits and End find it so. */
static int64_t looks_and_ends(struct call *call)
{
	if (sluice_async_result_is_completed(call->seen) != 1 ||
	    sluice_async_result_wait(call->seen, 0) != 0)
		return -1;
	return ends_send(call);
}

PAIR_TEST(c12, c12_end_in_its_callback_never_blocks, tcp_pair, SMALL)
{
	struct call *calls;
	void *memory = pattern_new(100000, 0);

	calls = calls_new(fixture, pair->socket, 10);
	for (int i = 0; i < 10; i++) {
		calls[i].within = looks_and_ends;
		cr_assert_eq(begin_send(&calls[i], memory, 100000), 0);
	}
	for (int i = 0; i < 10; i++)
		run_reading(fixture, pair->peer, 100000, 0);
	run_until(fixture, were_called(calls, 10));
	for (int i = 0; i < 10; i++)
		cr_assert_eq(calls[i].answer, 100000);
	free(calls);
	free(memory);
}
