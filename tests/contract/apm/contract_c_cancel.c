/* SPDX-License-Identifier: MIT */
/* c11: cancelling what was begun; c04: receives into several buffers. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "apm.h"

static int64_t cancels(struct call *call)
{
	return sluice_async_result_cancel(call->result);
}

static int begin_receive(struct call *call, void *byte)
{
	call->within = ends_receive;
	return sluice_begin_receive(call->socket, byte, 1, 0, 1, 0, NULL, call_back, call,
				    &call->result);
}

static void assert_aborted(struct fixture *fixture, struct call *call)
{
	run_until(fixture, was_called(call));
	cr_assert_eq(call->answer, -ECANCELED);
	cr_assert_eq(call->error, SLUICE_ERROR_OPERATION_ABORTED);
}

PAIR_TEST(c11, c11_a_receive_is_cancelled_and_the_next_one_receives, tcp_pair, 0)
{
	struct call first, second;
	char byte = 0;

	call_init(&first, fixture, pair->socket);
	call_init(&second, fixture, pair->socket);
	cr_assert_eq(begin_receive(&first, &byte), 0);
	cr_assert_eq(begin_receive(&second, &byte), 0);
	cr_assert_eq(cancels(&first), 0);
	assert_aborted(fixture, &first);
	cr_assert_not(was_called(&second));
	cr_assert_eq(write(pair->peer, "x", 1), 1);
	run_until(fixture, was_called(&second));
	cr_assert_eq(second.answer, 1);
	cr_assert_eq(byte, 'x');
}

PAIR_TEST(c11, c11_another_thread_cancels, tcp_pair, 0)
{
	struct call call;
	struct other_thread other;
	char byte;

	call_init(&call, fixture, pair->socket);
	cr_assert_eq(begin_receive(&call, &byte), 0);
	other_thread_start(&other, &call, cancels);
	cr_assert_eq(other_thread_join(&other), 0);
	assert_aborted(fixture, &call);
}

BLOCKED_TEST(c11, c11_a_send_is_cancelled_and_those_around_it_are_not, blocked_begin)
{
	struct call before, call, after;
	char got[8] = {0};

	call_init(&before, fixture, blocked->pair.socket);
	call_init(&call, fixture, blocked->pair.socket);
	call_init(&after, fixture, blocked->pair.socket);
	call.within = ends_send;
	cr_assert_eq(begin_send(&before, "a", 1), 0);
	cr_assert_eq(begin_send(&call, "b", 1), 0);
	cr_assert_eq(begin_send(&after, "c", 1), 0);
	cr_assert_eq(cancels(&call), 0);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, was_called(&before) && was_called(&after) && is_over(&blocked->head));
	assert_aborted(fixture, &call);
	read_exactly(blocked->pair.peer, got, 2);
	cr_assert_str_eq(got, "ac");
}

/* A deadline, as the header describes it. */
PAIR_TEST(c11, c11_a_wait_and_a_cancel_are_a_deadline, tcp_pair, 0)
{
	struct call call;
	char byte;

	call_init(&call, fixture, pair->socket);
	cr_assert_eq(begin_receive(&call, &byte), 0);
	cr_assert_eq(sluice_async_result_wait(call.result, 0), -ETIMEDOUT);
	cr_assert_eq(cancels(&call), 0);
	assert_aborted(fixture, &call);
}

PAIR_TEST(c11, c11_what_is_over_cannot_be_cancelled, tcp_pair, 0)
{
	struct call call;

	call_init(&call, fixture, pair->socket);
	cr_assert_eq(begin_send(&call, "x", 1), 0);
	run_until(fixture, was_called(&call));
	cr_assert_eq(cancels(&call), -ENOENT);
	cr_assert_eq(sluice_end_send(pair->socket, call.result, NULL), 1);
	cr_assert_eq(cancels(&call), -ENOENT);
	cr_assert_eq(sluice_async_result_cancel(NULL), -EINVAL);
}

PAIR_TEST(c04, c04_a_receive_fills_its_buffers_in_order, tcp_pair, 0)
{
	char first[2], second[8];
	struct iovec list[] = {{first, sizeof first}, {NULL, 0}, {second, sizeof second}};
	struct iovec wrong[] = {{first, sizeof first}, {NULL, 1}};
	struct sluice_async_result *result;
	enum sluice_socket_error error;

#define BEGIN_LIST(list, count) \
	sluice_begin_receive_list(pair->socket, list, count, 0, &error, NULL, NULL, &result)
	cr_assert_eq(BEGIN_LIST(NULL, 0), -EINVAL);
	cr_assert_eq(BEGIN_LIST(list, 0), -EINVAL);
	cr_assert_eq(BEGIN_LIST(wrong, 2), -EINVAL);
	cr_assert_eq(error, SLUICE_ERROR_INVALID_ARGUMENT);
	cr_assert_eq(BEGIN_LIST(list, 3), 0);
	cr_assert_eq(write(pair->peer, "abcde", 5), 5);
	run_until(fixture, sluice_async_result_is_completed(result) == 1);
	cr_assert_eq(sluice_end_receive(pair->socket, result, &error), 5);
	cr_assert_arr_eq(first, "ab", 2);
	cr_assert_arr_eq(second, "cde", 3);
}
