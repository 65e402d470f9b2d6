/* SPDX-License-Identifier: MIT */
/*
 * Files that the ring sends through pipes, over a backend that answers as it is told: short, late, out
 * of order, with errors, or cancelled.
 */
#include "scripted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LENGTH 30000

struct sending {
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct sluice_packet packet;
	int file;
};

/* The file is the pattern, and counts as cached. */
static void begin(struct sending *sending)
{
	static unsigned char pattern[LENGTH];
	struct sluice_options options;

	pattern_fill(pattern, sizeof pattern, 0);
	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.file_way = SLUICE_FILE_WAY_SPLICE_RING;
	sending->file = memfd_create("pattern", MFD_CLOEXEC);
	cr_assert(sending->file >= 0);
	cr_assert_eq(write(sending->file, pattern, LENGTH), LENGTH);
	scripted_begin_with(&sending->fixture, true, &options);
	unix_pair(&sending->fixture, &sending->pair, SOCK_STREAM);
	operation_init(&sending->operation, &sending->fixture);
	memset(&sending->packet, 0, sizeof sending->packet);
	sending->packet.kind = SLUICE_PACKET_FILE;
	sending->packet.fd = sending->file;
}

static void end(struct sending *sending)
{
	scripted.cancel_answer = -ECANCELED;
	pair_close(&sending->pair);
	run_for(&sending->fixture, 0);
	scripted_end(&sending->fixture);
	close(sending->file);
}

static void start_on(struct sending *sending, struct pair *pair, struct operation *operation)
{
	operation_init(operation, &sending->fixture);
	cr_assert_eq(sluice_args_set_packets(&operation->args, &sending->packet, 1), 0);
	cr_assert_eq(start(sluice_send_packets_async, pair->socket, operation), 1);
}

/* The request with the slice of the file that has been started. */
static uint32_t fly(struct sending *sending)
{
	uint32_t index;

	start_on(sending, &sending->pair, &sending->operation);
	index = scripted_only(SLUICE__REQUEST_FILE);
	cr_assert_eq(scripted.requests[index].request->offset, 0);
	cr_assert_eq(scripted.requests[index].request->length, LENGTH);
	return index;
}

static void run(struct sending *sending)
{
	run_for(&sending->fixture, 0);
}

/* What was answered has been reaped; the next turn sends. */
static void assert_next(struct sending *sending, uint64_t offset)
{
	uint32_t index;

	run(sending);
	run(sending);
	index = scripted_only(SLUICE__REQUEST_FILE);
	cr_assert_eq(scripted.requests[index].request->offset, offset);
	cr_assert_eq(scripted.requests[index].request->length, LENGTH - offset);
}

/* The rest is taken, and all of the file has arrived once and in order. */
static void finish(struct sending *sending)
{
	uint32_t index = scripted_only(SLUICE__REQUEST_FILE);
	uint64_t left = scripted.requests[index].request->length;

	scripted_answer_file(index, left, (int32_t)left);
	run(sending);
	assert_ended(&sending->operation, SLUICE_ERROR_SUCCESS, LENGTH);
	scripted_assert_stream(sending->pair.socket, LENGTH);
	end(sending);
}

/* What a full socket did not take is sent when it can be written to, from the file. */
Test(engine_files, a_slice_that_the_socket_took_in_part_goes_on_in_the_file)
{
	static const int32_t taken[] = {1, 4096, LENGTH - 1, -EAGAIN};

	for (size_t i = 0; i < COUNT(taken); i++) {
		struct sending sending;
		uint64_t sent = taken[i] > 0 ? (uint64_t)taken[i] : 0;

		begin(&sending);
		scripted_answer_file(fly(&sending), LENGTH, taken[i]);
		run(&sending);
		run(&sending);
		cr_assert_eq(scripted_open(SLUICE__REQUEST_FILE), 0, "a slice in flight, and full");
		scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
		assert_next(&sending, sent);
		finish(&sending);
	}
}

/* The pipe was smaller than the slice: the socket is not full, and nothing is waited for. */
Test(engine_files, a_slice_that_was_read_in_part_goes_on_at_once)
{
	struct sending sending;

	begin(&sending);
	scripted_answer_file(fly(&sending), 5000, 5000);
	assert_next(&sending, 5000);
	cr_assert_eq(scripted_open(SLUICE__REQUEST_WRITABLE), 0);
	finish(&sending);
}

Test(engine_files, a_slice_that_was_interrupted_is_sent_again)
{
	struct sending sending;

	begin(&sending);
	scripted_answer_file(fly(&sending), LENGTH, -ECANCELED);
	assert_next(&sending, 0);
	finish(&sending);
}

Test(engine_files, a_file_that_has_become_shorter_is_no_data_and_ends_the_stream)
{
	struct sending sending;

	begin(&sending);
	scripted_answer_file(fly(&sending), 5000, 5000);
	assert_next(&sending, 5000);
	scripted_answer_file(scripted_only(SLUICE__REQUEST_FILE), 0, 0);
	run(&sending);
	assert_ended(&sending.operation, SLUICE_ERROR_NO_DATA, 5000);
	operation_init(&sending.operation, &sending.fixture);
	cr_assert_eq(start_send(sending.pair.socket, &sending.operation, "behind", 6), 0);
	assert_ended(&sending.operation, SLUICE_ERROR_SHUTDOWN, 0);
	end(&sending);
}

Test(engine_files, an_error_of_the_socket_ends_the_record_with_what_was_sent)
{
	static const struct {
		int32_t answer, error;
	} rows[] = {
		{-EPIPE, SLUICE_ERROR_SHUTDOWN},
		{-ECONNRESET, SLUICE_ERROR_CONNECTION_RESET},
		{-ETIMEDOUT, SLUICE_ERROR_TIMED_OUT},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sending sending;

		begin(&sending);
		scripted_answer_file(fly(&sending), 5000, 5000);
		assert_next(&sending, 5000);
		scripted_answer_file(scripted_only(SLUICE__REQUEST_FILE), 5000, rows[i].answer);
		run(&sending);
		assert_ended(&sending.operation, rows[i].error, 5000);
		end(&sending);
	}
}

/* By calls, from where the ring stopped; the ring is not asked again. */
Test(engine_files, a_ring_that_refuses_leaves_the_rest_to_the_calls)
{
	struct sending sending;

	begin(&sending);
	scripted_answer_file(fly(&sending), 5000, 5000);
	assert_next(&sending, 5000);
	scripted_answer_file(scripted_only(SLUICE__REQUEST_FILE), 0, -EINVAL);
	run(&sending);
	run(&sending);
	cr_assert_eq(scripted.attempt_count, 1);
	assert_ended(&sending.operation, SLUICE_ERROR_SUCCESS, LENGTH);
	scripted_assert_stream(sending.pair.socket, LENGTH);
	cr_assert_eq(scripted_open(SLUICE__REQUEST_FILE), 0);
	cr_assert_eq(sending.fixture.engine->capabilities & SLUICE_CAPABILITY_RING_SPLICE, 0);
	end(&sending);
}

/* Then it was the file system, and other files still go by the ring. */
Test(engine_files, a_file_that_the_calls_refuse_too_is_read)
{
	struct sending sending;

	begin(&sending);
	scripted_answer_file(fly(&sending), 0, -EINVAL);
	scripted_attempt_answers(-EINVAL);
	run(&sending);
	run(&sending);
	assert_ended(&sending.operation, SLUICE_ERROR_SUCCESS, LENGTH);
	scripted_assert_stream(sending.pair.socket, LENGTH);
	cr_assert_neq(sending.fixture.engine->capabilities & SLUICE_CAPABILITY_RING_SPLICE, 0);
	end(&sending);
}

Test(engine_files, without_a_pipe_a_slice_is_sent_by_calls)
{
	struct sending sending;

	begin(&sending);
	scripted_start_answers(-ENOBUFS);
	operation_init(&sending.operation, &sending.fixture);
	cr_assert_eq(sluice_args_set_packets(&sending.operation.args, &sending.packet, 1), 0);
	cr_assert_eq(start(sluice_send_packets_async, sending.pair.socket, &sending.operation), 0);
	assert_ended(&sending.operation, SLUICE_ERROR_SUCCESS, LENGTH);
	scripted_assert_stream(sending.pair.socket, LENGTH);
	end(&sending);
}

/* ---- giving up ---- */

Test(engine_files, a_cancelled_slice_ends_with_its_answer)
{
	static const struct {
		int32_t answer, error;
		uint64_t bytes;
	} rows[] = {
		{-ECANCELED, SLUICE_ERROR_OPERATION_ABORTED, 0},
		{-EAGAIN, SLUICE_ERROR_OPERATION_ABORTED, 0},
		{100, SLUICE_ERROR_OPERATION_ABORTED, 100},
		{LENGTH, SLUICE_ERROR_SUCCESS, LENGTH},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sending sending;
		uint32_t index;

		begin(&sending);
		scripted.cancel_answer = SCRIPTED_LATER;
		index = fly(&sending);
		cr_assert_eq(sluice_cancel(sending.pair.socket, &sending.operation.args), 0);
		run(&sending);
		run(&sending);
		cr_assert(scripted.requests[index].cancelled);
		cr_assert(!is_over(&sending.operation), "it ended while its slice was in flight");
		scripted_answer_file(index, LENGTH, rows[i].answer);
		run(&sending);
		assert_ended(&sending.operation, rows[i].error, rows[i].bytes);
		cr_assert_eq(scripted_open(SLUICE__REQUEST_FILE), 0);
		end(&sending);
	}
}

Test(engine_files, close_waits_for_the_answer_of_a_slice)
{
	static const struct {
		int32_t answer, error;
		uint64_t bytes;
	} rows[] = {
		{-ECANCELED, SLUICE_ERROR_OPERATION_ABORTED, 0},
		{-EAGAIN, SLUICE_ERROR_OPERATION_ABORTED, 0},
		{-EINVAL, SLUICE_ERROR_OPERATION_ABORTED, 0},
		{0, SLUICE_ERROR_OPERATION_ABORTED, 0},
		{100, SLUICE_ERROR_OPERATION_ABORTED, 100},
		{LENGTH, SLUICE_ERROR_SUCCESS, LENGTH},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sending sending;
		uint32_t index;

		begin(&sending);
		scripted.cancel_answer = SCRIPTED_LATER;
		index = fly(&sending);
		cr_assert_eq(sluice_socket_close(sending.pair.socket), 0);
		run(&sending);
		run(&sending);
		cr_assert(scripted.requests[index].cancelled);
		cr_assert(!is_over(&sending.operation) && scripted.forgets == 0);
		scripted_answer_file(index, rows[i].answer ? LENGTH : 0, rows[i].answer);
		run(&sending);
		assert_ended(&sending.operation, rows[i].error, rows[i].bytes);
		cr_assert_eq(scripted.forgets, 1);
		end(&sending);
	}
}

Test(engine_files, a_shutdown_leaves_a_slice_to_its_answer)
{
	struct sending sending;
	uint32_t index;

	begin(&sending);
	index = fly(&sending);
	cr_assert_eq(sluice_socket_shutdown(sending.pair.socket, SHUT_WR), 0);
	run(&sending);
	cr_assert(!is_over(&sending.operation));
	scripted_answer_file(index, LENGTH, 100);
	run(&sending);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	assert_next(&sending, 100);
	scripted_answer_file(scripted_only(SLUICE__REQUEST_FILE), LENGTH - 100, -EPIPE);
	run(&sending);
	assert_ended(&sending.operation, SLUICE_ERROR_SHUTDOWN, 100);
	end(&sending);
}

/* ---- more sockets than slices ---- */

#define MANY 4

static void begin_many(struct sending *sending, struct pair *pairs, struct operation *operations,
		       int slices)
{
	begin(sending);
	for (int i = 0; i < MANY; i++) {
		unix_pair(&sending->fixture, &pairs[i], SOCK_STREAM);
		scripted_start_answers(i < slices ? 0 : -EBUSY);
		start_on(sending, &pairs[i], &operations[i]);
	}
	cr_assert_eq(scripted_open(SLUICE__REQUEST_FILE), (uint32_t)slices);
}

static void end_many(struct sending *sending, struct pair *pairs)
{
	scripted.cancel_answer = -ECANCELED;
	for (int i = 0; i < MANY; i++)
		pair_close(&pairs[i]);
	end(sending);
}

/* Answers the slice of this socket's, wherever it is among the others. */
static void answer_on(const struct pair *pair)
{
	for (uint32_t i = 0; i < scripted.request_count; i++) {
		const struct scripted_request *noted = &scripted.requests[i];

		if (noted->answered || noted->kind != SLUICE__REQUEST_FILE ||
		    noted->fd != pair->socket->fd)
			continue;
		scripted_answer_file(i, LENGTH, LENGTH);
		return;
	}
	cr_assert_fail("no slice of that socket is in flight");
}

Test(engine_files, slices_are_answered_in_any_order_and_those_that_wait_follow_in_theirs)
{
	struct operation operations[MANY];
	struct pair pairs[MANY];
	struct sending sending;

	begin_many(&sending, pairs, operations, 2);
	answer_on(&pairs[1]);
	run(&sending);
	run(&sending);
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, LENGTH);
	cr_assert(!is_over(&operations[0]));
	answer_on(&pairs[2]);
	run(&sending);
	run(&sending);
	answer_on(&pairs[3]);
	answer_on(&pairs[0]);
	run(&sending);
	for (int i = 0; i < MANY; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, LENGTH);
		scripted_assert_stream(pairs[i].socket, LENGTH);
	}
	end_many(&sending, pairs);
}

/* The one that would have been next is given up, waiting or resumed: another takes its place. */
Test(engine_files, a_socket_that_waits_for_a_slice_may_be_given_up)
{
	struct operation operations[MANY];
	struct pair pairs[MANY];
	struct sending sending;

	begin_many(&sending, pairs, operations, 1);
	cr_assert_eq(sluice_cancel(pairs[1].socket, &operations[1].args), 0);
	run(&sending);
	assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 0);
	answer_on(&pairs[0]);
	run(&sending);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, LENGTH);
	/* pairs[2] is ready and has not begun. */
	cr_assert_eq(scripted_open(SLUICE__REQUEST_FILE), 0);
	cr_assert_eq(sluice_socket_close(pairs[2].socket), 0);
	run(&sending);
	run(&sending);
	assert_ended(&operations[2], SLUICE_ERROR_OPERATION_ABORTED, 0);
	answer_on(&pairs[3]);
	run(&sending);
	assert_ended(&operations[3], SLUICE_ERROR_SUCCESS, LENGTH);
	scripted_assert_stream(pairs[3].socket, LENGTH);
	end_many(&sending, pairs);
}

Test(engine_files, close_ends_slices_and_those_that_wait_for_one)
{
	struct operation operations[MANY];
	struct pair pairs[MANY];
	struct sending sending;

	begin_many(&sending, pairs, operations, 2);
	scripted.cancel_answer = -ECANCELED;
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(sluice_socket_close(pairs[i].socket), 0);
	run(&sending);
	for (int i = 0; i < MANY; i++)
		assert_ended(&operations[i], SLUICE_ERROR_OPERATION_ABORTED, 0);
	end_many(&sending, pairs);
}
