/* SPDX-License-Identifier: MIT */
/* Zero copy over the scripted backend: cancelled, overdue, shut down, closed, destroyed. */
#include "engine_zerocopy.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- e02, e05 ---- */

SCRIPTED_TEST(e02, e02_a_record_that_waits_for_its_buffer_alone_is_not_aborted, begin_zerocopy)
{
	struct operation operations[2];
	uint32_t index;

	index = taken(pair->socket, &operations[0], 0, SIZE);
	cr_assert_eq(sluice_cancel(pair->socket, &operations[0].args), 0);
	cr_assert_eq(sluice_socket_cancel_all(pair->socket), 0);
	run();
	cr_assert_not(is_over(&operations[0]));
	let_go(index);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	/* And the stream continues. */
	let_go(taken(pair->socket, &operations[1], SIZE, SIZE));
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, SIZE);
}

SCRIPTED_TEST(e02, e02_in_flight_by_zero_copy_nothing_taken, begin_zerocopy)
{
	struct operation operations[2];
	uint32_t index;

	index = fly(pair->socket, &operations[0], 0, SIZE);
	operation_init(&operations[1], &fixture);
	cr_assert_eq(start_send(pair->socket, &operations[1], pattern, SIZE), 1);
	cr_assert_eq(sluice_cancel(pair->socket, &operations[0].args), 0);
	cr_assert(scripted.requests[index].cancelled);
	scripted_tell(index, -ECANCELED);
	run();
	assert_ended(&operations[0], SLUICE_ERROR_OPERATION_ABORTED, 0);
	run();
	scripted_free(index, false);
	index = flying();
	scripted_tell(index, SIZE);
	let_go(index);
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, SIZE);
	scripted_assert_stream(pair->socket, SIZE);
}

SCRIPTED_TEST(e02, e02_half_sent_by_zero_copy_ends_when_its_buffer_is_free, begin_zerocopy)
{
	struct operation operations[3];
	uint32_t first, second;

	first = taken(pair->socket, &operations[0], 0, SIZE);
	second = fly(pair->socket, &operations[1], SIZE, SIZE);
	operation_init(&operations[2], &fixture);
	cr_assert_eq(start_send(pair->socket, &operations[2], pattern + SIZE + 77, SIZE), 1);
	cr_assert_eq(sluice_cancel(pair->socket, &operations[1].args), 0);
	scripted_tell(second, 77);
	run();
	cr_assert_not(is_over(&operations[1]));
	scripted_free(second, false);
	let_go(first);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 77);
	run();
	first = flying();
	scripted_tell(first, SIZE);
	let_go(first);
	assert_ended(&operations[2], SLUICE_ERROR_SUCCESS, SIZE);
	scripted_assert_stream(pair->socket, 2 * SIZE + 77);
}

SCRIPTED_TEST(e02, e02_queued_behind_what_is_held_ends_at_once, begin_zerocopy)
{
	struct operation operations[3];
	uint32_t first, second;

	first = taken(pair->socket, &operations[0], 0, SIZE);
	second = fly(pair->socket, &operations[1], SIZE, SIZE);
	operation_init(&operations[2], &fixture);
	cr_assert_eq(start_send(pair->socket, &operations[2], pattern, SIZE), 1);
	cr_assert_eq(sluice_cancel(pair->socket, &operations[2].args), 0);
	run();
	assert_ended(&operations[2], SLUICE_ERROR_OPERATION_ABORTED, 0);
	scripted_tell(second, SIZE);
	run();
	scripted_free(first, false);
	let_go(second);
	cr_assert(are_over(operations, 3));
}

SCRIPTED_TEST(e05, e05_a_record_that_waits_for_its_buffer_alone_is_not_overdue, begin_zerocopy)
{
	struct operation operation;
	uint32_t index;

	operation_init(&operation, &fixture);
	operation.args.timeout_ns = MILLISECOND;
	cr_assert_eq(start_send(pair->socket, &operation, pattern, SIZE), 1);
	index = flying();
	scripted_tell(index, SIZE);
	for (int turn = 0; turn < 5; turn++)
		run_for(&fixture, MILLISECOND);
	cr_assert_not(is_over(&operation));
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
}

/* ---- e03, e04, e09 ---- */

SCRIPTED_TEST(e04, e04_shutdown_waits_only_for_what_is_half_sent, begin_zerocopy)
{
	struct operation operations[3];
	uint32_t first, second;

	first = taken(pair->socket, &operations[0], 0, SIZE);
	second = fly(pair->socket, &operations[1], SIZE, SIZE);
	operation_init(&operations[2], &fixture);
	cr_assert_eq(start_send(pair->socket, &operations[2], pattern, SIZE), 1);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), 0);
	scripted_tell(second, 5);
	run();
	run();
	if (!is_over(&operations[2])) {
		scripted_answer(flying(), -EPIPE);
		run();
	}
	assert_ended(&operations[2], SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert_not(is_over(&operations[0]));
	cr_assert_not(is_over(&operations[1]));
	scripted_free(first, false);
	let_go(second);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_SHUTDOWN, 5);
}

static void assert_peer_meets(int fd, int error_number)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, 0);

	if (error_number == 0)
		cr_assert_eq(got, 0, "the peer did not meet the end");
	else
		cr_assert(got < 0 && errno == error_number, "the peer did not meet the error");
}

SCRIPTED_TEST(e03, e03_a_record_taken_whole_is_not_aborted_by_close, begin_zerocopy)
{
	struct operation operation;
	uint32_t index;

	index = taken(pair->socket, &operation, 0, SIZE);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	run();
	cr_assert_not(is_over(&operation));
	cr_assert_eq(scripted.forgets, 0);
	assert_peer_meets(pair->peer, 0);
	cr_assert_eq(sluice_socket_fd(pair->socket), -EBADF);
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	cr_assert_eq(scripted.forgets, 1);
}

static void linger_until_reset(int64_t linger_ns, bool destroy_socket)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);
	struct operation operation;
	struct pair pair;
	uint32_t index;
	char byte;

	options.zerocopy_linger_ns = linger_ns;
	begin_with(&options, &pair);
	index = taken(pair.socket, &operation, 0, SIZE);
	if (destroy_socket)
		sluice_socket_destroy(pair.socket);
	else
		cr_assert_eq(sluice_socket_close(pair.socket), 0);
	for (int64_t began = now_ns(); now_ns() - began < linger_ns + 5 * MILLISECOND;)
		run_for(&fixture, MILLISECOND);
	cr_assert_not(is_over(&operation), "the reset alone does not free the buffer");
	/* The end came first, where there was time for it; then the reset. */
	if (recv(pair.peer, &byte, 1, 0) == 0)
		cr_assert(send(pair.peer, "x", 1, MSG_NOSIGNAL) < 0 ||
			  recv(pair.peer, &byte, 1, 0) <= 0);
	else
		cr_assert_eq(errno, ECONNRESET);
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	cr_assert_eq(scripted.forgets, 1);
	if (destroy_socket)
		close(pair.peer);
	else
		pair_close(&pair);
	run();
	scripted_end(&fixture);
}

Test(e03, e03_a_buffer_that_does_not_come_free_resets_the_connection)
{
	linger_until_reset(0, false);
	linger_until_reset(20 * MILLISECOND, false);
	linger_until_reset(20 * MILLISECOND, true);
}

SCRIPTED_TEST(e03, e03_close_with_sends_queued_resets_at_once_and_ends_them_in_order,
	      begin_zerocopy)
{
	struct operation operations[4];
	uint32_t first, second;

	first = taken(pair->socket, &operations[0], 0, SIZE);
	second = fly(pair->socket, &operations[1], SIZE, SIZE);
	for (int i = 2; i < 4; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair->socket, &operations[i], pattern, SIZE), 1);
	}
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	cr_assert(scripted.requests[second].cancelled);
	scripted_tell(second, 9);
	run();
	assert_peer_meets(pair->peer, ECONNRESET);
	scripted_free(second, false);
	let_go(first);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 9);
	for (uint64_t i = 0; i < 4; i++) {
		cr_assert_eq(operations[i].turn, i + 1);
		if (i > 1)
			assert_ended(&operations[i], SLUICE_ERROR_OPERATION_ABORTED, 0);
	}
}

SCRIPTED_TEST(e03, e03_close_gracefully_waits_for_the_buffers_of_the_last_byte, begin_zerocopy)
{
	struct operation operation;
	uint32_t index;

	index = fly(pair->socket, &operation, 0, SIZE);
	cr_assert_eq(sluice_socket_close_gracefully(pair->socket, SECOND), 0);
	scripted_tell(index, SIZE);
	run();
	run();
	cr_assert_not(is_over(&operation));
	assert_peer_meets(pair->peer, 0);
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	cr_assert_eq(scripted.forgets, 1);
}

SCRIPTED_TEST(e03, e03_what_is_received_meanwhile_does_not_disturb_the_end, begin_zerocopy)
{
	struct operation send_operation, receive_operation;
	char byte;
	uint32_t index;

	operation_init(&receive_operation, &fixture);
	cr_assert_eq(start_receive(pair->socket, &receive_operation, &byte, 1), 1);
	index = taken(pair->socket, &send_operation, 0, SIZE);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	scripted_answer(scripted_only(SLUICE__REQUEST_RECEIVE), -ECANCELED);
	run();
	assert_ended(&receive_operation, SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_not(is_over(&send_operation));
	let_go(index);
	assert_ended(&send_operation, SLUICE_ERROR_SUCCESS, SIZE);
}

SCRIPTED_TEST(e03, e03_detach_refuses_while_a_buffer_is_in_use, begin_zerocopy)
{
	struct operation operation;
	uint32_t index;

	index = taken(pair->socket, &operation, 0, SIZE);
	cr_assert_eq(sluice_socket_detach(pair->socket), -EBUSY);
	let_go(index);
}

SCRIPTED_TEST(e01, e01_a_disconnect_behind_what_is_held_takes_its_turn, begin_zerocopy)
{
	struct operation operations[2];
	uint32_t index;

	index = taken(pair->socket, &operations[0], 0, SIZE);
	operation_init(&operations[1], &fixture);
	operations[1].args.flags = 0;
	cr_assert_geq(start(sluice_disconnect_async, pair->socket, &operations[1]), 0);
	run();
	assert_peer_meets(pair->peer, 0);
	let_go(index);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, 0);
}

/* The test's handlers run in destroy. */
static void destroy(struct pair *pair)
{
	cr_assert_eq(sluice_engine_destroy(fixture.engine), 0);
	fixture.engine = NULL;
	close(pair->peer);
	fixture_end(&fixture);
}

Test(e09, e09_destroy_does_not_wait_for_ever_for_a_notification)
{
	struct operation operations[2];
	struct pair pair;
	int64_t began;

	begin_zerocopy(&pair);
	scripted.loses_notifications = true;
	taken(pair.socket, &operations[0], 0, SIZE);
	taken(pair.socket, &operations[1], SIZE, SIZE);
	scripted.cancel_answer = -ECANCELED;
	began = now_ns();
	destroy(&pair);
	cr_assert_lt(now_ns() - began, 5 * SECOND);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, SIZE);
	free(scripted.requests[0].segments);
	free(scripted.requests[1].segments);
}

Test(e09, e09_destroy_after_close_waits_no_longer_either)
{
	struct operation operation;
	struct pair pair;

	begin_zerocopy(&pair);
	scripted.loses_notifications = true;
	taken(pair.socket, &operation, 0, SIZE);
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	run();
	cr_assert_not(is_over(&operation));
	destroy(&pair);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	free(scripted.requests[0].segments);
}

static void free_when_cut(struct operation *operation)
{
	(void)operation;
	scripted_free(0, false);
}

Test(e09, e09_a_notification_that_comes_during_destroy_ends_its_record)
{
	struct operation held, receiving;
	struct pair pair;
	char byte;

	begin_zerocopy(&pair);
	taken(pair.socket, &held, 0, SIZE);
	operation_init(&receiving, &fixture);
	receiving.then = free_when_cut;
	cr_assert_eq(start_receive(pair.socket, &receiving, &byte, 1), 1);
	scripted.cancel_answer = -ECANCELED;
	destroy(&pair);
	assert_ended(&receiving, SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&held, SLUICE_ERROR_SUCCESS, SIZE);
}
