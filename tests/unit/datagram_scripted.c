/* SPDX-License-Identifier: MIT */
/*
 * Datagrams over a backend that answers as it is told: which of them share an attempt, and what
 * comes of each answer for each of them.
 */
#include "scripted_pair.h"

#include <errno.h>

/* A UDP socket, connected or not, over the scripted backend; by the ring where that is said. */
static void begin_datagrams(struct pair *pair, bool sends, bool by_ring, bool connected)
{
	struct sluice_options options;
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	sluice_options_init(&options, sizeof options);
	if (by_ring)
		options.transmit_way = SLUICE_TRANSMIT_WAY_RING;
	begin_over(sends, &options);
	udp_pair(&fixture, pair);
	if (!connected) {
		cr_assert_eq(connect(pair->socket->fd, &nobody, sizeof nobody), 0);
		pair->socket->shared_flags |= SLUICE__SHARED_UNCONNECTED;
	}
}

static void batch_datagrams(struct sluice_socket *socket, struct operation *operations,
			    const size_t *lengths, int count)
{
	static struct sockaddr_in nowhere;
	size_t position = 0;

	nowhere = loopback(9);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < count; i++) {
		struct sluice_args *args = &operations[i].args;

		operation_init(&operations[i], &fixture);
		args->remote_address = (struct sockaddr *)&nowhere;
		args->remote_address_length = sizeof nowhere;
		cr_assert_eq(sluice_args_set_buffer(args, pattern + position, lengths[i], 0,
						    (int64_t)lengths[i]),
			     0);
		cr_assert_eq(start(sluice_send_to_async, socket, &operations[i]), 1);
		position += lengths[i];
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
}

static const size_t tens[8] = {10, 10, 10, 10, 10, 10, 10, 10};
static const size_t rising[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static void assert_all_sent(const struct operation *operations, const size_t *lengths, int count)
{
	for (int i = 0; i < count; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, lengths[i]);
		cr_assert_eq(operations[i].turn, (uint64_t)i + 1);
	}
}

SCRIPTED_TEST(datagrams, of_one_size_are_one_attempt, begin_datagrams, true, false, true)
{
	static struct operation operations[8];

	batch_datagrams(pair->socket, operations, tens, 8);
	cr_assert_eq(scripted.attempt_count, 1);
	cr_assert_eq(scripted.attempts[0].segments, 8);
	run();
	assert_all_sent(operations, tens, 8);
	scripted_assert_stream(pair->socket, 80);
}

Test(datagrams, a_group_that_is_refused_is_tried_one_by_one_and_not_again)
{
	static const int errors[] = {EINVAL, EIO, EMSGSIZE, EOPNOTSUPP, ENOMEM, ENOBUFS, EPERM};
	static struct operation operations[8];
	struct pair pair;

	for (size_t i = 0; i < COUNT(errors); i++) {
		bool learned = errors[i] != ENOMEM && errors[i] != ENOBUFS && errors[i] != EPERM;

		begin_datagrams(&pair, true, false, true);
		scripted_attempt_answers(-errors[i]);
		batch_datagrams(pair.socket, operations, tens, 8);
		cr_assert_eq(scripted.attempt_count, 9);
		run();
		assert_all_sent(operations, tens, 8);
		scripted_assert_stream(pair.socket, 80);
		batch_datagrams(pair.socket, operations, tens, 8);
		cr_assert_eq(scripted.attempt_count, learned ? 17 : 10);
		run();
		end_over(&pair);
	}
}

SCRIPTED_TEST(datagrams, one_by_one_only_the_bad_one_fails_and_a_full_socket_is_waited_for,
	      begin_datagrams, true, false, true)
{
	static struct operation operations[8];

	scripted_attempt_answers(-EMSGSIZE);
	for (int i = 0; i < 3; i++)
		scripted_attempt_answers(SCRIPTED_ALL);
	scripted_attempt_answers(-EMSGSIZE);
	scripted_attempt_answers(SCRIPTED_ALL);
	scripted_attempt_answers(-EAGAIN);
	batch_datagrams(pair->socket, operations, tens, 8);
	run();
	cr_assert_eq(fixture.pending, 3);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	run();
	run();
	for (int i = 0; i < 8; i++)
		assert_ended(&operations[i],
			     i == 3 ? SLUICE_ERROR_MESSAGE_SIZE : SLUICE_ERROR_SUCCESS,
			     i == 3 ? 0 : 10);
}

SCRIPTED_TEST(datagrams, a_refusal_belongs_to_the_first_of_a_group, begin_datagrams, true, false,
	      true)
{
	static struct operation operations[8];

	scripted_attempt_answers(-ECONNREFUSED);
	batch_datagrams(pair->socket, operations, tens, 8);
	cr_assert_eq(scripted.attempt_count, 2);
	cr_assert_eq(scripted.attempts[1].segments, 7);
	run();
	assert_ended(&operations[0], SLUICE_ERROR_CONNECTION_REFUSED, 0);
	for (int i = 1; i < 8; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 10);
}

Test(datagrams, with_a_peer_each_has_an_attempt_without_one_they_share_a_call)
{
	static struct operation operations[8];
	struct pair pair;

	for (int connected = 0; connected < 2; connected++) {
		begin_datagrams(&pair, false, false, connected);
		batch_datagrams(pair.socket, operations, rising, 8);
		cr_assert_eq(scripted.attempt_count, 8);
		cr_assert_eq(scripted.bursts, connected ? 0 : 1);
		run();
		assert_all_sent(operations, rising, 8);
		scripted_assert_stream(pair.socket, 36);
		end_over(&pair);
	}
}

/* The error behind a count is not told: the next call begins with the message that met it. */
SCRIPTED_TEST(datagrams, a_short_count_goes_on_with_the_message_that_failed, begin_datagrams, false,
	      false, false)
{
	static struct operation operations[8];

	for (int i = 0; i < 3; i++)
		scripted_attempt_answers(SCRIPTED_ALL);
	scripted_attempt_answers(-EACCES);
	scripted_attempt_answers(-EACCES);
	scripted_attempt_answers(SCRIPTED_ALL);
	scripted_attempt_answers(-EAGAIN);
	scripted_attempt_answers(-EAGAIN);
	batch_datagrams(pair->socket, operations, rising, 8);
	cr_assert_eq(scripted.bursts, 4);
	run();
	cr_assert_eq(fixture.pending, 3);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	run();
	run();
	for (int i = 0; i < 8; i++)
		assert_ended(&operations[i],
			     i == 3 ? SLUICE_ERROR_ACCESS_DENIED : SLUICE_ERROR_SUCCESS,
			     i == 3 ? 0 : i + 1);
}

/* No kernel does, and no record is to be lost for it. */
SCRIPTED_TEST(datagrams, a_group_taken_in_part_loses_nobody, begin_datagrams, true, false, true)
{
	static struct operation operations[8];

	scripted_attempt_answers(25);
	batch_datagrams(pair->socket, operations, tens, 8);
	run();
	cr_assert(are_over(operations, 8));
	for (int i = 0; i < 8; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, i == 2 ? 5 : 10);
}

SCRIPTED_TEST(datagrams, an_attempt_that_is_always_interrupted_ends_the_turn, begin_datagrams, true,
	      false, true)
{
	static struct operation operations[8];

	scripted.attempt_answer = -EINTR;
	batch_datagrams(pair->socket, operations, rising, 8);
	cr_assert(scripted.attempt_count <= 256);
	scripted.attempt_answer = SCRIPTED_ALL;
	run();
	assert_all_sent(operations, rising, 8);
}

/* ---- datagrams by the ring ---- */

static uint32_t fly_datagrams(struct sluice_socket *socket, struct operation *operations,
			      const size_t *lengths)
{
	batch_datagrams(socket, operations, lengths, 8);
	cr_assert_eq(scripted.attempt_count, 0);
	return scripted_only(SLUICE__REQUEST_MESSAGES);
}

SCRIPTED_TEST(datagrams, by_the_ring_are_one_request, begin_datagrams, true, true, true)
{
	static struct operation operations[8];
	uint32_t index;

	index = fly_datagrams(pair->socket, operations, rising);
	cr_assert_eq(scripted.requests[index].messages->count, 8);
	scripted_answer_messages(index, 8, 0);
	run();
	assert_all_sent(operations, rising, 8);
	scripted_assert_stream(pair->socket, 36);
}

SCRIPTED_TEST(datagrams, by_the_ring_the_failed_one_ends_alone_and_the_others_follow,
	      begin_datagrams, true, true, true)
{
	static struct operation operations[8];

	scripted_answer_messages(fly_datagrams(pair->socket, operations, rising), 2, ECONNREFUSED);
	run();
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, 2);
	assert_ended(&operations[2], SLUICE_ERROR_CONNECTION_REFUSED, 0);
	run();
	scripted_answer_messages(scripted_only(SLUICE__REQUEST_MESSAGES), 0, EPERM);
	run();
	assert_ended(&operations[3], SLUICE_ERROR_ACCESS_DENIED, 0);
	run();
	scripted_answer_messages(scripted_only(SLUICE__REQUEST_MESSAGES), 4, 0);
	run();
	cr_assert(are_over(operations, 8));
}

SCRIPTED_TEST(datagrams, by_the_ring_a_full_socket_is_waited_for, begin_datagrams, true, true,
	      false)
{
	static struct operation operations[8];

	scripted_answer_messages(fly_datagrams(pair->socket, operations, rising), 3, EAGAIN);
	run();
	cr_assert_eq(fixture.pending, 5);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	run();
	run();
	scripted_answer_messages(scripted_only(SLUICE__REQUEST_MESSAGES), 5, 0);
	run();
	assert_all_sent(operations, rising, 8);
}

SCRIPTED_TEST(datagrams, by_the_ring_a_refused_group_is_tried_one_by_one, begin_datagrams, true,
	      true, true)
{
	static struct operation operations[8];

	scripted_answer_messages(fly_datagrams(pair->socket, operations, tens), 0, EINVAL);
	run();
	cr_assert_eq(scripted.attempt_count, 8);
	assert_all_sent(operations, tens, 8);
}

/* Fewer than were given and no error: the chain was cut short. */
SCRIPTED_TEST(datagrams, by_the_ring_what_was_not_taken_is_given_again, begin_datagrams, true, true,
	      true)
{
	static struct operation operations[8];

	scripted_answer_messages(fly_datagrams(pair->socket, operations, rising), 5, 0);
	run();
	run();
	scripted_answer_messages(scripted_only(SLUICE__REQUEST_MESSAGES), 3, 0);
	run();
	assert_all_sent(operations, rising, 8);
}

SCRIPTED_TEST(datagrams, by_the_ring_one_that_is_cancelled_in_flight_ends_with_what_became_of_it,
	      begin_datagrams, true, true, true)
{
	static struct operation operations[8];
	uint32_t index;

	index = fly_datagrams(pair->socket, operations, rising);
	cr_assert_eq(sluice_cancel(pair->socket, &operations[1].args), 0);
	cr_assert_eq(sluice_cancel(pair->socket, &operations[6].args), 0);
	scripted_answer_messages(index, 4, EAGAIN);
	run();
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, 2);
	assert_ended(&operations[6], SLUICE_ERROR_OPERATION_ABORTED, 0);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	run();
	run();
	scripted_answer_messages(scripted_only(SLUICE__REQUEST_MESSAGES), 3, 0);
	run();
	cr_assert(are_over(operations, 8));
}

SCRIPTED_TEST(datagrams, by_the_ring_a_close_waits_for_the_answer, begin_datagrams, true, true,
	      true)
{
	static struct operation operations[8];
	uint32_t index;

	index = fly_datagrams(pair->socket, operations, rising);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	run();
	cr_assert_eq(fixture.pending, 8);
	scripted_answer_messages(index, 2, ECANCELED);
	run();
	for (int i = 0; i < 8; i++)
		assert_ended(&operations[i],
			     i < 2 ? SLUICE_ERROR_SUCCESS : SLUICE_ERROR_OPERATION_ABORTED,
			     i < 2 ? i + 1 : 0);
}

SCRIPTED_TEST(datagrams, where_the_ring_takes_nothing_they_leave_at_once, begin_datagrams, true,
	      true, true)
{
	static struct operation operations[8];

	scripted_start_answers(-EAGAIN);
	batch_datagrams(pair->socket, operations, rising, 8);
	run();
	cr_assert_eq(scripted.attempt_count, 8);
	assert_all_sent(operations, rising, 8);
}
