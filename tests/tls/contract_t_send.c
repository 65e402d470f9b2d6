/* SPDX-License-Identifier: MIT */
/* Sending over TLS: what holds without it holds with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "files.h"
#include "tls/peer.h"

/* ---- t02: order and wholeness ---- */

TLS_TEST(t02, t02_a_plain_send_arrives_and_ends_inside_the_call, tls_pair_begin, 0)
{
	struct operation operation;
	void *bytes = pattern_new(1000, 0);

	operation_init(&operation, fixture);
	cr_assert_eq(start_send(tls->pair.socket, &operation, bytes, 1000), 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 1000);
	peer_read_pattern(fixture, &tls->peer, 1000, 0);
	free(bytes);
}

TLS_TEST(t02, t02_sixteen_megabytes_at_a_slow_reader_arrive_whole, tls_pair_begin, SMALL)
{
	const size_t length = 16 * 1048576 + 7;
	struct operation operation;
	void *bytes = pattern_new(length, 0);

	operation_init(&operation, fixture);
	cr_assert_eq(start_send(tls->pair.socket, &operation, bytes, length), 1);
	peer_read_pattern(fixture, &tls->peer, length, 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	cr_assert_eq(sluice_socket_queued_bytes(tls->pair.socket), 0);
	free(bytes);
}

static int packets_file(size_t length, uint64_t position)
{
	char path[] = "/tmp/sluice-tls-file-XXXXXX";
	int fd = mkstemp(path);
	char *bytes = pattern_new(length, position);

	unlink(path);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, bytes, length), (ssize_t)length);
	free(bytes);
	return fd;
}

/* Buffers, lists, packets with files and zero bytes, in the order of their starts. */
TLS_TEST(t02, t02_every_way_of_sending_keeps_the_order, tls_pair_begin, SMALL)
{
	enum {
		ROUNDS = 12,
		EACH = 5
	};
	const size_t small = 700, large = 150000, file = 300001;
	const uint64_t round_bytes = small + 2 * small + large + file + small;
	struct operation *operations;
	struct sluice_packet packets[ROUNDS][2];
	struct iovec lists[ROUNDS][3];
	char *bytes = pattern_new(ROUNDS * round_bytes, 0);
	int files[ROUNDS];
	uint64_t at = 0;

	operations = operations_new(fixture, ROUNDS * EACH);
	for (int i = 0; i < ROUNDS; i++) {
		struct operation *mine = &operations[i * EACH];

		start_send(tls->pair.socket, &mine[0], bytes + at, small);
		at += small;
		lists[i][0] = segment(bytes + at, small);
		lists[i][1] = segment(bytes, 0);
		lists[i][2] = segment(bytes + at + small, small);
		cr_assert_eq(sluice_args_set_buffer_list(&mine[1].args, lists[i], 3), 0);
		start(sluice_send_async, tls->pair.socket, &mine[1]);
		at += 2 * small;
		start_send(tls->pair.socket, &mine[2], bytes, 0);
		start_send(tls->pair.socket, &mine[3], bytes + at, large);
		at += large;
		files[i] = packets_file(file, at);
		packets[i][0] = (struct sluice_packet){.kind = SLUICE_PACKET_FILE, .fd = files[i]};
		packets[i][1] = (struct sluice_packet){.kind = SLUICE_PACKET_MEMORY,
						       .base = bytes + at + file,
						       .count = (int64_t)small};
		cr_assert_eq(sluice_args_set_packets(&mine[4].args, packets[i], 2), 0);
		start(sluice_send_packets_async, tls->pair.socket, &mine[4]);
		at += file + small;
	}
	peer_read_pattern(fixture, &tls->peer, at, 0);
	run_until(fixture, are_over(operations, ROUNDS * EACH));
	for (int i = 0; i < ROUNDS * EACH; i++)
		cr_assert_eq(operations[i].args.error, SLUICE_ERROR_SUCCESS, "operation %d", i);
	for (int i = 0; i < ROUNDS; i++)
		close(files[i]);
	free(operations);
	free(bytes);
}

TLS_TEST(t02, t02_many_small_records_of_a_batch_share_a_record, tls_pair_begin, 0)
{
	enum {
		COUNT = 500
	};
	struct sluice_tls_statistics statistics = {.size = sizeof statistics};
	struct operation *operations;
	char *bytes = pattern_new(COUNT * 10, 0);

	operations = operations_new(fixture, COUNT);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(start_send(tls->pair.socket, &operations[i], bytes + 10 * i, 10), 1);
	sluice_batch_end(fixture->engine);
	peer_read_pattern(fixture, &tls->peer, COUNT * 10, 0);
	run_until(fixture, are_over(operations, COUNT));
	cr_assert_eq(sluice_tls_statistics(tls->tls, &statistics), 0);
	cr_assert_eq(statistics.established, 1);
	if (statistics.sends_way == SLUICE_TLS_WAY_LIBRARY) {
		cr_assert_eq(statistics.records_sealed, 1);
		cr_assert_eq(statistics.bytes_sealed, COUNT * 10);
	}
	free(operations);
	free(bytes);
}

/* The kernel may hold it back for what follows, but a hint must not do so forever. */
TLS_TEST(t02, t02_bytes_that_are_held_back_come_although_nothing_follows, tls_pair_prepare, 0)
{
	struct operation early, operation;
	char bytes[3];

	operation_init(&early, fixture);
	operation_init(&operation, fixture);
	tls_pair_shake(fixture, tls, &early, SLUICE_FLAG_MORE);
	peer_read_pattern(fixture, &tls->peer, 3, 0);
	operation.args.flags = SLUICE_FLAG_MORE;
	pattern_fill(bytes, sizeof bytes, 3);
	start_send(tls->pair.socket, &operation, bytes, sizeof bytes);
	peer_read_pattern(fixture, &tls->peer, 3, 3);
	run_until(fixture, is_over(&early) && is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 3);
}

/* What was encrypted of it goes out, although the record is over: it has to be in its result. */
TLS_TEST(t02, t02_partial_sends_end_with_the_bytes_that_are_sent, tls_pair_begin, SMALL)
{
	enum {
		COUNT = 10
	};
	const size_t length = 1000000;
	struct operation *operations;
	char *bytes = pattern_new(COUNT * length, 0), got[4096];
	uint64_t sent = 0, come = 0;
	bool orderly;

	operations = operations_new(fixture, COUNT);
	for (int i = 0; i < COUNT; i++) {
		operations[i].args.flags = SLUICE_FLAG_PARTIAL;
		start_send(tls->pair.socket, &operations[i], bytes + sent, length);
		while (!is_over(&operations[i])) {
			int length_read = peer_read(&tls->peer, got, sizeof got);

			if (length_read > 0)
				come += (uint64_t)length_read;
			run_for(fixture, 0);
		}
		cr_assert_eq(operations[i].args.error, SLUICE_ERROR_SUCCESS);
		cr_assert_gt(operations[i].args.bytes_transferred, 0);
		sent += operations[i].args.bytes_transferred;
	}
	cr_assert_geq(sent, come);
	cr_assert_eq(sluice_socket_close_gracefully(tls->pair.socket, -1), 0);
	cr_assert_eq(peer_read_to_end(fixture, &tls->peer, come, &orderly), sent - come);
	free(operations);
	free(bytes);
}

/* Encrypting copies: zero copy is refused or useless, and makes no difference. */
Test(t02, t02_what_should_go_by_zero_copy_arrives_whole)
{
	enum {
		COUNT = 8
	};
	const size_t each = 500000;
	struct fixture fixture;
	struct sluice_options options;
	struct tls tls;
	struct operation *operations;
	char *bytes = pattern_new(COUNT * each, 0);

	sluice_options_init(&options, sizeof options);
	options.transmit_way = SLUICE_TRANSMIT_WAY_ZEROCOPY;
	fixture_begin_with(&fixture, &options);
	tls_pair_begin(&fixture, &tls, SMALL);
	operations = operations_new(&fixture, COUNT);
	for (int i = 0; i < COUNT; i++)
		start_send(tls.pair.socket, &operations[i], bytes + each * (size_t)i, each);
	peer_read_pattern(&fixture, &tls.peer, COUNT * each, 0);
	run_until(&fixture, are_over(operations, COUNT));
	for (int i = 0; i < COUNT; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, each);
	free(operations);
	free(bytes);
	tls_pair_end(&tls);
	fixture_end(&fixture);
}

/* ---- t03: one error, exactly one completion each ---- */

TLS_TEST(t03, t03_the_first_unfinished_record_tells_the_error, tls_pair_begin, SMALL)
{
	enum {
		COUNT = 20
	};
	const size_t each = 200000;
	struct operation *operations;
	char *bytes = pattern_new(each, 0);
	int first = 0;

	operations = operations_new(fixture, COUNT);
	for (int i = 0; i < COUNT; i++)
		start_send(tls->pair.socket, &operations[i], bytes, each);
	peer_read_pattern(fixture, &tls->peer, 100000, 0);
	close_with_reset(tls->peer.fd);
	tls->peer.fd = -1;
	run_until(fixture, are_over(operations, COUNT));
	while (first < COUNT && operations[first].args.error == SLUICE_ERROR_SUCCESS)
		first++;
	cr_assert_lt(first, COUNT);
	cr_assert_eq(operations[first].args.error, SLUICE_ERROR_CONNECTION_RESET);
	cr_assert_lt(operations[first].args.bytes_transferred, each);
	for (int i = first + 1; i < COUNT; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SHUTDOWN, 0);
	free(operations);
	free(bytes);
}

TLS_TEST(t03, t03_close_ends_what_is_pending, tls_pair_begin, SMALL)
{
	struct operation *operations;
	char *bytes = pattern_new(1000000, 0);

	operations = operations_new(fixture, 3);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(start_send(tls->pair.socket, &operations[i], bytes, 1000000), 1);
	cr_assert_eq(sluice_socket_close(tls->pair.socket), 0);
	run_until(fixture, are_over(operations, 3));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(operations[i].args.error, SLUICE_ERROR_OPERATION_ABORTED);
	free(operations);
	free(bytes);
}

/* ---- t04: cancelled ---- */

/* A record in the middle of encrypted ones is cancelled: what follows is complete. */
TLS_TEST(t04, t04_a_cancelled_record_leaves_the_others_whole, tls_pair_begin, SMALL)
{
	const size_t part = 20000;
	struct operation head, victim, tail;
	char *bytes = pattern_new(1000000, 0);
	uint64_t sent;

	operation_init(&head, fixture);
	operation_init(&victim, fixture);
	operation_init(&tail, fixture);
	cr_assert_eq(start_send(tls->pair.socket, &head, bytes, 1000000), 1);
	cr_assert_eq(start_send(tls->pair.socket, &victim, bytes, part), 1);
	cr_assert_eq(start_send(tls->pair.socket, &tail, bytes, 5000), 1);
	cr_assert_eq(sluice_cancel(tls->pair.socket, &victim.args), 0);
	run_until(fixture, is_over(&victim));
	assert_ended(&victim, SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(sluice_cancel(tls->pair.socket, &head.args), 0);
	run_until(fixture, is_over(&head));
	cr_assert_eq(head.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	sent = head.args.bytes_transferred;
	cr_assert(sent > 0 && sent < 1000000, "%llu", (unsigned long long)sent);
	peer_read_pattern(fixture, &tls->peer, sent, 0);
	peer_read_pattern(fixture, &tls->peer, 5000, 0);
	run_until(fixture, is_over(&tail));
	assert_ended(&tail, SLUICE_ERROR_SUCCESS, 5000);
	free(bytes);
}

TLS_TEST(t04, t04_small_records_of_a_batch_are_given_up_one_by_one, tls_pair_begin, SMALL)
{
	enum {
		COUNT = 400
	};
	const size_t each = 1000;
	struct operation *operations;
	char *bytes = pattern_new(COUNT * each, 0);
	uint64_t position = 0;

	operations = operations_new(fixture, COUNT);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (int i = 0; i < COUNT; i++)
		start_send(tls->pair.socket, &operations[i], bytes + each * (size_t)i, each);
	sluice_batch_end(fixture->engine);
	for (int i = 0; i < COUNT; i += 3) {
		if (!is_over(&operations[i]))
			cr_assert_eq(sluice_cancel(tls->pair.socket, &operations[i].args), 0);
	}
	/* What went is what the records say; the reader skips what did not. */
	run_idle(fixture);
	for (int i = 0; i < COUNT; i++) {
		uint64_t sent = each;

		if (i % 3 == 0) {
			cr_assert(is_over(&operations[i]));
			sent = operations[i].args.bytes_transferred;
		}
		peer_read_pattern(fixture, &tls->peer, sent, position);
		position += each;
	}
	run_until(fixture, are_over(operations, COUNT));
	for (int i = 0; i < COUNT; i++) {
		if (i % 3)
			assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, each);
	}
	free(operations);
	free(bytes);
}

TLS_TEST(t04, t04_a_deadline_ends_a_send_at_a_peer_that_does_not_read, tls_pair_begin, SMALL)
{
	struct operation operation;
	char *bytes = pattern_new(4000000, 0);
	int64_t begun;

	operation_init(&operation, fixture);
	operation.args.timeout_ns = 50 * MILLISECOND;
	begun = now_ns();
	cr_assert_eq(start_send(tls->pair.socket, &operation, bytes, 4000000), 1);
	run_until(fixture, is_over(&operation));
	cr_assert_geq(now_ns() - begun, 50 * MILLISECOND);
	cr_assert_eq(operation.args.error, SLUICE_ERROR_TIMED_OUT);
	cr_assert_lt(operation.args.bytes_transferred, 4000000);
	peer_read_pattern(fixture, &tls->peer, operation.args.bytes_transferred, 0);
	free(bytes);
}

/* ---- t05: marks and limits ---- */

static void count(struct sluice_socket *socket, void *token)
{
	(void)socket;
	++*(int *)token;
}

Test(t05, t05_the_marks_count_the_application_s_bytes)
{
	struct fixture fixture;
	struct tls tls;
	struct operation first, second;
	char *bytes = pattern_new(1000000, 0);
	int drained = 0, congested = 0;

	fixture_begin(&fixture);
	tls_pair_begin(&fixture, &tls, SMALL);
	operation_init(&first, &fixture);
	operation_init(&second, &fixture);
	sluice_socket_set_drained(tls.pair.socket, count, &drained);
	sluice_socket_set_congested(tls.pair.socket, count, &congested);
	cr_assert_eq(sluice_socket_set_water_marks(tls.pair.socket, 1000, 500000, 1200000), 0);
	cr_assert_eq(start_send(tls.pair.socket, &first, bytes, 1000000), 1);
	cr_assert_eq(start_send(tls.pair.socket, &second, bytes, 900000), -ENOBUFS);
	run_until(&fixture, congested == 1);
	cr_assert_eq(drained, 0);
	peer_read_pattern(&fixture, &tls.peer, 1000000, 0);
	run_until(&fixture, drained == 1);
	cr_assert_eq(congested, 1);
	assert_ended(&first, SLUICE_ERROR_SUCCESS, 1000000);
	free(bytes);
	tls_pair_end(&tls);
	fixture_end(&fixture);
}

/* ---- t06: files ---- */

static void send_file(size_t length, size_t before, size_t after)
{
	struct fixture fixture;
	struct tls tls;
	struct operation operation;
	char *bytes = pattern_new(before + length + after, 0);
	struct sluice_packet packets[3] = {
		{.kind = SLUICE_PACKET_MEMORY, .base = bytes, .count = (int64_t)before},
		{.kind = SLUICE_PACKET_FILE},
		{.kind = SLUICE_PACKET_MEMORY,
		 .base = bytes + before + length,
		 .count = (int64_t)after},
	};

	files_begin(&fixture, NULL);
	packets[1].fd = packets_file(length, before);
	tls_pair_begin(&fixture, &tls, 0);
	operation_init(&operation, &fixture);
	cr_assert_eq(sluice_args_set_packets(&operation.args, packets, 3), 0);
	start(sluice_send_packets_async, tls.pair.socket, &operation);
	peer_read_pattern(&fixture, &tls.peer, before + length + after, 0);
	run_until(&fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, before + length + after);
	close(packets[1].fd);
	free(bytes);
	tls_pair_end(&tls);
	fixture_end(&fixture);
}

Test(t06, t06_a_small_file_with_a_head_and_a_tail)
{
	send_file(3000, 200, 100);
}

Test(t06, t06_a_large_file_with_a_head_and_a_tail)
{
	send_file(5 * 1048576 + 11, 200, 100);
}

Test(t06, t06_a_file_of_a_batch_s_size_alone)
{
	send_file(131072, 0, 0);
}

TLS_TEST(t06, t06_a_file_that_shrinks_ends_with_no_data_and_the_bytes_that_went, tls_pair_begin,
	 SMALL)
{
	const size_t length = 4 * 1048576;
	struct operation operation;
	struct sluice_packet packet = {.kind = SLUICE_PACKET_FILE};
	bool orderly;
	uint64_t came;

	packet.fd = packets_file(length, 0);
	operation_init(&operation, fixture);
	cr_assert_eq(sluice_args_set_packets(&operation.args, &packet, 1), 0);
	cr_assert_eq(start(sluice_send_packets_async, tls->pair.socket, &operation), 1);
	cr_assert_eq(ftruncate(packet.fd, 1048576), 0);
	came = peer_read_to_end(fixture, &tls->peer, 0, &orderly);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_NO_DATA, came);
	close(packet.fd);
}

/* ---- t07: the end ---- */

TLS_TEST(t07, t07_a_disconnect_behind_everything_ends_the_stream_in_order, tls_pair_begin, SMALL)
{
	const size_t length = 3000000;
	struct operation operation, last;
	char *bytes = pattern_new(length, 0);
	bool orderly = false;

	operation_init(&operation, fixture);
	operation_init(&last, fixture);
	cr_assert_eq(start_send(tls->pair.socket, &operation, bytes, length), 1);
	cr_assert_eq(start(sluice_disconnect_async, tls->pair.socket, &last), 1);
	cr_assert_eq(peer_read_to_end(fixture, &tls->peer, 0, &orderly), length);
	cr_assert(orderly, "no close_notify came");
	run_until(fixture, is_over(&last));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	assert_ended(&last, SLUICE_ERROR_SUCCESS, 0);
	free(bytes);
}

/* Nothing is queued, and the kernel's buffer has no space for the close_notify. */
TLS_TEST(t07, t07_a_disconnect_behind_a_full_socket_ends_the_stream_in_order, tls_pair_begin, SMALL)
{
	const size_t length = 4000000;
	struct operation operation, last;
	char *bytes = pattern_new(length, 0);
	uint64_t sent = 0;
	bool orderly = false;

	operation_init(&operation, fixture);
	operation_init(&last, fixture);
	/* Until the socket takes nothing at all. */
	for (int i = 0; i < 100; i++) {
		operation.args.flags = SLUICE_FLAG_PARTIAL;
		if (start_send(tls->pair.socket, &operation, bytes + sent, length - sent) == 1)
			run_idle(fixture);
		if (!is_over(&operation))
			break;
		sent += operation.args.bytes_transferred;
		operation_init(&operation, fixture);
	}
	cr_assert(!is_over(&operation));
	cr_assert_eq(sluice_cancel(tls->pair.socket, &operation.args), 0);
	run_until(fixture, is_over(&operation));
	sent += operation.args.bytes_transferred;
	cr_assert_eq(start(sluice_disconnect_async, tls->pair.socket, &last), 1);
	cr_assert_eq(peer_read_to_end(fixture, &tls->peer, 0, &orderly), sent);
	cr_assert(orderly, "no close_notify came");
	run_until(fixture, is_over(&last));
	assert_ended(&last, SLUICE_ERROR_SUCCESS, 0);
	free(bytes);
}

TLS_TEST(t07, t07_a_file_with_disconnect_ends_the_stream_in_order, tls_pair_begin, SMALL)
{
	const size_t length = 3000000;
	struct operation operation;
	struct sluice_packet packet = {.kind = SLUICE_PACKET_FILE};
	bool orderly = false;

	packet.fd = packets_file(length, 0);
	operation_init(&operation, fixture);
	operation.args.transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
	cr_assert_eq(sluice_args_set_packets(&operation.args, &packet, 1), 0);
	cr_assert_eq(start(sluice_send_packets_async, tls->pair.socket, &operation), 1);
	cr_assert_eq(peer_read_to_end(fixture, &tls->peer, 0, &orderly), length);
	cr_assert(orderly, "no close_notify came");
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	close(packet.fd);
}

TLS_TEST(t07, t07_a_graceful_close_ends_the_stream_in_order, tls_pair_begin, SMALL)
{
	const size_t length = 3000000;
	struct operation operation;
	char *bytes = pattern_new(length, 0);
	bool orderly = false;

	operation_init(&operation, fixture);
	cr_assert_eq(start_send(tls->pair.socket, &operation, bytes, length), 1);
	cr_assert_eq(sluice_socket_close_gracefully(tls->pair.socket, -1), 0);
	cr_assert_eq(peer_read_to_end(fixture, &tls->peer, 0, &orderly), length);
	cr_assert(orderly, "no close_notify came");
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	free(bytes);
}

TLS_TEST(t07, t07_a_close_with_an_empty_queue_ends_the_stream_in_order, tls_pair_begin, 0)
{
	bool orderly = false;

	cr_assert_eq(sluice_socket_close(tls->pair.socket), 0);
	cr_assert_eq(peer_read_to_end(fixture, &tls->peer, 0, &orderly), 0);
	cr_assert(orderly, "no close_notify came");
}

/* ---- t09: refusals ---- */

TLS_TEST(t09, t09_what_tls_does_not_carry_is_refused, tls_pair_begin, 0)
{
	struct operation operation;
	char byte;

	operation_init(&operation, fixture);
	operation.args.flags = SLUICE_FLAG_OUT_OF_BAND;
	cr_assert_eq(start_send(tls->pair.socket, &operation, "x", 1), -EOPNOTSUPP);
	operation.args.flags = SLUICE_FLAG_DONT_ROUTE;
	cr_assert_eq(start_send(tls->pair.socket, &operation, "x", 1), -EOPNOTSUPP);
	operation_init(&operation, fixture);
	operation.args.flags = SLUICE_FLAG_OUT_OF_BAND;
	cr_assert_eq(start_receive(tls->pair.socket, &operation, &byte, 1), -EOPNOTSUPP);
}
