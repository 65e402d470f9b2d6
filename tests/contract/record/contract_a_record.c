/* SPDX-License-Identifier: MIT */
/* The life of a record: free, in progress, disposed; and new again. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static start_fn *const all_starts[] = {
	sluice_send_async,    sluice_send_to_async, sluice_send_packets_async, sluice_receive_async,
	sluice_connect_async, sluice_accept_async,  sluice_disconnect_async,
};
#define STARTS (sizeof all_starts / sizeof *all_starts)

static void assert_every_start_answers(struct sluice_socket *socket, struct operation *operation,
				       int answer)
{
	for (size_t i = 0; i < STARTS; i++)
		cr_assert_eq(start(all_starts[i], socket, operation), answer, "call %zu", i);
}

/* Everything that changes what a record sends, with values that are good otherwise. */
static void assert_every_setter_answers(struct sluice_args *args, int answer)
{
	static char bytes[8];
	const struct iovec segment = {bytes, sizeof bytes};
	const struct sluice_packet packet = {
		.kind = SLUICE_PACKET_MEMORY, .base = bytes, .count = sizeof bytes};

	cr_assert_eq(sluice_args_set_buffer(args, bytes, 8, 0, 8), answer);
	cr_assert_eq(sluice_args_set_buffer(args, NULL, 0, 0, 0), answer);
	cr_assert_eq(sluice_args_set_receive_buffer(args, bytes, 8, 0, 8), answer);
	cr_assert_eq(sluice_args_set_receive_buffer(args, NULL, 0, 0, 0), answer);
	cr_assert_eq(sluice_args_set_buffer_list(args, &segment, 1), answer);
	cr_assert_eq(sluice_args_set_buffer_list(args, NULL, 0), answer);
	cr_assert_eq(sluice_args_set_packets(args, &packet, 1), answer);
	cr_assert_eq(sluice_args_set_packets(args, NULL, 0), answer);
}

BLOCKED_TEST(a01, a01_starting_a_record_in_progress_is_refused, blocked_begin)
{
	struct pair other;

	tcp_pair(fixture, &other, 0);

	assert_every_start_answers(blocked->pair.socket, &blocked->head, -EBUSY);
	assert_every_start_answers(other.socket, &blocked->head, -EBUSY);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	cr_assert_eq(blocked->head.handled, 1);
	assert_nothing_to_read(other.peer);

	pair_close(&other);
}

BLOCKED_TEST(a01, a01_what_a_record_in_progress_sends_cannot_be_changed, blocked_begin)
{
	struct sluice_args before;

	before = blocked->head.args;
	assert_every_setter_answers(&blocked->head.args, -EBUSY);
	cr_assert_arr_eq(&before, &blocked->head.args, sizeof before);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	assert_every_setter_answers(&blocked->head.args, 0);
}

PAIR_TEST(a01, a01_a_pending_receive_holds_its_record_as_a_send_does, tcp_pair, 0)
{
	struct operation receive;
	char bytes[8];

	operation_init(&receive, fixture);

	cr_assert_eq(start_receive(pair->socket, &receive, bytes, sizeof bytes), 1);
	assert_every_start_answers(pair->socket, &receive, -EBUSY);
	assert_every_setter_answers(&receive.args, -EBUSY);
	write_pattern(pair->peer, 3, 0);
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 3);
}

PAIR_TEST(a01, a01_a_disposed_record_is_refused, tcp_pair, 0)
{
	struct operation operation;
	char bytes[8] = "1234567";

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_set_buffer(&operation.args, bytes, 8, 0, 8), 0);
	cr_assert_eq(sluice_args_dispose(&operation.args), 0);
	assert_every_start_answers(pair->socket, &operation, -EBADF);
	assert_every_setter_answers(&operation.args, -EBADF);
	cr_assert_eq(sluice_args_in_progress(&operation.args), 0);
	run_idle(fixture);
	assert_nothing_to_read(pair->peer);
}

BLOCKED_TEST(a01, a01_plain_members_changed_in_progress_have_no_effect, blocked_begin)
{
	struct operation behind;
	struct sluice_args *args = &blocked->head.args;

	operation_init(&behind, fixture);
	cr_assert_eq(start_send(blocked->pair.socket, &behind, blocked->bytes, 1), 1);

	args->timeout_ns = MILLISECOND;
	args->flags = SLUICE_FLAG_OUT_OF_BAND | SLUICE_FLAG_PARTIAL;
	args->transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
	args->disconnect_reuse_socket = 1;
	behind.args.timeout_ns = MILLISECOND;
	behind.args.flags = SLUICE_FLAG_OUT_OF_BAND;
	for (int64_t end = now_ns() + 20 * MILLISECOND; now_ns() < end;)
		run_idle(fixture);
	cr_assert_eq(fixture->pending, 2);

	/* Were the last byte urgent, it would be missing in the stream. */
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_reading(fixture, blocked->pair.peer, 1, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 1);
	assert_nothing_to_read(blocked->pair.peer);
}

ENGINE_TEST(a01, a01_a_datagram_in_progress_goes_to_the_address_that_its_start_named)
{
	struct sluice_socket *socket_;
	struct operation sends[3];
	struct sockaddr_in addresses[2];
	int receivers[2];
	char bytes[8];

	for (size_t i = 0; i < 2; i++) {
		addresses[i] = loopback(0);
		receivers[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		cr_assert_eq(bind(receivers[i], (struct sockaddr *)&addresses[i],
				  sizeof addresses[i]),
			     0);
		addresses[i] = loopback(port_of(receivers[i]));
	}
	socket_ = attach(fixture, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < 3; i++) {
		operation_init(&sends[i], fixture);
		sends[i].args.remote_address = (struct sockaddr *)&addresses[0];
		sends[i].args.remote_address_length = sizeof addresses[0];
		cr_assert_eq(sluice_args_set_buffer(&sends[i].args, "hello", 5, 0, 5), 0);
		cr_assert_eq(start(sluice_send_to_async, socket_, &sends[i]), 1);
		sends[i].args.remote_address = (struct sockaddr *)&addresses[1];
		sends[i].args.remote_address_length = 1;
	}
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, are_over(sends, 3));
	for (size_t i = 0; i < 3; i++) {
		assert_ended(&sends[i], SLUICE_ERROR_SUCCESS, 5);
		cr_assert_eq(recv(receivers[0], bytes, sizeof bytes, MSG_DONTWAIT), 5);
	}
	assert_nothing_to_read(receivers[1]);

	sluice_socket_destroy(socket_);
	for (size_t i = 0; i < 2; i++)
		close(receivers[i]);
}

PAIR_TEST(a01, a01_no_record_is_an_invalid_argument, tcp_pair, 0)
{
	struct sluice_args args = {0};

	for (size_t i = 0; i < STARTS; i++) {
		cr_assert_eq(all_starts[i](pair->socket, NULL), -EINVAL);
		cr_assert_eq(all_starts[i](NULL, &args), -EINVAL);
		cr_assert_eq(all_starts[i](NULL, NULL), -EINVAL);
	}
	cr_assert_eq(sluice_args_init(NULL), -EINVAL);
	cr_assert_eq(sluice_args_dispose(NULL), -EINVAL);
	cr_assert_eq(sluice_args_in_progress(NULL), -EINVAL);
	assert_every_setter_answers(NULL, -EINVAL);
}

PAIR_TEST(a01, a01_all_zero_is_a_valid_record_and_reserved_words_are_zero, tcp_pair, 0)
{
	static struct operation operation; /* all zero; never passed to init */

	operation.fixture = fixture;

	operation.args.reserved = 1;
	cr_assert_eq(start_send(pair->socket, &operation, "\0\1\2", 3), -EINVAL);
	operation.args.reserved = 0;
	cr_assert_eq(start_send(pair->socket, &operation, "\0\1\2", 3), 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 3);
	read_pattern(pair->peer, 3, 0);
}

/* ---- a02 ---- */

static void restart_disposed(struct operation *operation)
{
	cr_assert_eq(sluice_args_in_progress(&operation->args), 0);
	cr_assert_eq(start(sluice_send_async, operation->socket, operation), -EBADF);
	assert_every_setter_answers(&operation->args, -EBADF);
	assert_ended(operation, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
}

BLOCKED_TEST(a02, a02_dispose_in_progress_waits_for_the_end, blocked_begin)
{
	blocked->head.then = restart_disposed;

	cr_assert_eq(sluice_args_dispose(&blocked->head.args), 0);
	cr_assert_eq(sluice_args_dispose(&blocked->head.args), 0);
	cr_assert_eq(sluice_args_in_progress(&blocked->head.args), 1);
	assert_every_start_answers(blocked->pair.socket, &blocked->head, -EBUSY);
	assert_every_setter_answers(&blocked->head.args, -EBUSY);
	run_idle(fixture);
	cr_assert(!is_over(&blocked->head));
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
	cr_assert_eq(blocked->head.handled, 1);
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
}

PAIR_TEST(a02, a02_dispose_during_a_pending_receive_waits_for_its_data, tcp_pair, 0)
{
	struct operation receive;
	char bytes[8] = {0};

	operation_init(&receive, fixture);

	cr_assert_eq(start_receive(pair->socket, &receive, bytes, sizeof bytes), 1);
	cr_assert_eq(sluice_args_dispose(&receive.args), 0);
	run_idle(fixture);
	cr_assert(!is_over(&receive));
	write_pattern(pair->peer, 5, 0);
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 5);
	cr_assert(pattern_matches(bytes, 5, 0));
	cr_assert_eq(start(sluice_receive_async, pair->socket, &receive), -EBADF);
}

static void dispose_and_restart(struct operation *operation)
{
	cr_assert_eq(sluice_args_dispose(&operation->args), 0);
	cr_assert_eq(start(sluice_send_async, operation->socket, operation), -EBADF);
}

BLOCKED_TEST(a02, a02_dispose_inside_its_own_handler, blocked_begin)
{
	blocked->head.then = dispose_and_restart;

	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
	cr_assert_eq(blocked->head.handled, 1);
}

PAIR_TEST(a02, a02_init_makes_a_disposed_record_new, tcp_pair, 0)
{
	struct operation operation;

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_dispose(&operation.args), 0);
	cr_assert_eq(sluice_args_dispose(&operation.args), 0);
	cr_assert_eq(sluice_args_init(&operation.args), 0);
	cr_assert_null(operation.args.completed);
	cr_assert_eq(operation.args.last_operation, SLUICE_OPERATION_NONE);
	cr_assert_eq(start_send(pair->socket, &operation, "\0\1", 2), 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 2);
	read_pattern(pair->peer, 2, 0);
}

BLOCKED_TEST(a02, a02_dispose_is_no_cancel_for_what_is_queued_behind, blocked_begin)
{
	struct operation behind;
	void *bytes = pattern_new(1000, HEAD_BYTES);

	operation_init(&behind, fixture);

	cr_assert_eq(start_send(blocked->pair.socket, &behind, bytes, 1000), 1);
	cr_assert_eq(sluice_args_dispose(&behind.args), 0);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + 1000, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 1000);

	free(bytes);
}
