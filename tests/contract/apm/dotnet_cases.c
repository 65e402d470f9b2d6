/* SPDX-License-Identifier: MIT */
/*
 * Cases that .NET's own tests of sockets try in every form of a send, tried here as Begin and End:
 * their records stand in the tests of the contract, and docs/from-dotnet.md has the list of all.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "apm.h"

/* A connection whose peer reads, and so many sends to come. */
struct act {
	struct fixture fixture;
	struct pair pair;
	struct reader reader;
	struct call *calls;
	size_t count;
	char *bytes;
};

static void act_begin(struct act *act, size_t count, size_t bytes, bool over_unix)
{
	fixture_begin(&act->fixture);
	if (over_unix)
		unix_pair(&act->fixture, &act->pair, SOCK_STREAM);
	else
		tcp_pair(&act->fixture, &act->pair, SMALL);
	reader_start(&act->reader, act->pair.peer, 0);
	act->calls = calls_new(&act->fixture, act->pair.socket, count);
	act->count = count;
	act->bytes = pattern_new(bytes, 0);
	for (size_t i = 0; i < count; i++)
		act->calls[i].within = ends_send;
}

/* All callbacks have run, each once; so many bytes arrived, and no more. */
static void act_end(struct act *act, uint64_t bytes)
{
	run_until(&act->fixture, were_called(act->calls, act->count));
	cr_assert_eq(sluice_socket_shutdown(act->pair.socket, SHUT_WR), 0);
	reader_join(&act->reader);
	cr_assert_eq(act->reader.bytes, bytes);
	for (size_t i = 0; i < act->count; i++)
		cr_assert_eq(atomic_load(&act->calls[i].called), 1);
	pair_close(&act->pair);
	fixture_end(&act->fixture);
	free(act->calls);
	free(act->bytes);
}

static int begin_list(struct call *call, const struct iovec *segments, size_t count)
{
	enum sluice_socket_error error;

	return sluice_begin_send_list(call->socket, segments, count, 0, &error, call_back, call,
				      &call->result);
}

#define TOTAL 123456
#define PIECE 512
#define PIECES ((TOTAL + PIECE - 1) / PIECE)

static size_t piece_at(size_t i)
{
	return i + 1 < PIECES ? PIECE : TOTAL - (PIECES - 1) * PIECE;
}

Test(cases, case_123456_bytes_in_begins_of_512)
{
	struct act act;

	act_begin(&act, PIECES, TOTAL, false);
	for (size_t i = 0; i < PIECES; i++)
		cr_assert_eq(begin_send(&act.calls[i], act.bytes + i * PIECE, piece_at(i)), 0);
	run_until(&act.fixture, were_called(act.calls, PIECES));
	for (size_t i = 0; i < PIECES; i++)
		cr_assert_eq(act.calls[i].answer, (int64_t)piece_at(i));
	act_end(&act, TOTAL);
}

Test(cases, case_123456_bytes_in_begins_of_lists_with_an_empty_segment)
{
	struct act act;

	act_begin(&act, PIECES, TOTAL, false);
	for (size_t i = 0; i < PIECES; i++) {
		char *at = act.bytes + i * PIECE;
		/*
		 * Begin copies as much as fits into a record; a longer array must stay unchanged.
		 */
		struct iovec segments[2] = {segment(at, 0), segment(at, piece_at(i))};

		cr_assert_eq(begin_list(&act.calls[i], segments, 2), 0);
	}
	act_end(&act, TOTAL);
}

Test(cases, case_five_buffers_of_12345678_bytes_in_one_begin)
{
	const size_t length = 12345678;
	struct iovec segments[5];
	struct act act;

	act_begin(&act, 1, 5 * length, false);
	for (size_t i = 0; i < 5; i++)
		segments[i] = segment(act.bytes + i * length, length);
	cr_assert_eq(begin_list(&act.calls[0], segments, 5), 0);
	run_until(&act.fixture, was_called(&act.calls[0]));
	cr_assert_eq(act.calls[0].answer, (int64_t)(5 * length));
	act_end(&act, 5 * length);
}

Test(cases, case_begins_of_2_and_2_and_1_megabytes_without_waiting)
{
	static const size_t lengths[] = {2000000, 2000000, 1000000};
	struct act act;
	size_t at = 0;

	act_begin(&act, 3, 5000000, false);
	for (size_t i = 0; i < 3; at += lengths[i++])
		cr_assert_eq(begin_send(&act.calls[i], act.bytes + at, lengths[i]), 0);
	act_end(&act, at);
	cr_assert_eq(at, 5000000);
}

Test(cases, case_2048_begins_of_one_byte_arrive_in_order)
{
	struct act act;

	act_begin(&act, 2048, 2048, true);
	for (size_t i = 0; i < 2048; i++)
		cr_assert_eq(begin_send(&act.calls[i], act.bytes + i, 1), 0);
	act_end(&act, 2048);
}

Test(cases, case_unix_stream_from_5000_begins_of_1_byte_to_5_of_128000)
{
	static const struct {
		size_t count, length;
	} shapes[] = {{5000, 1}, {500, 18}, {50, 1278}, {5, 128000}};

	for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
		size_t count = shapes[shape].count, length = shapes[shape].length;
		struct act act;

		act_begin(&act, count, count * length, true);
		for (size_t i = 0; i < count; i++)
			cr_assert_eq(begin_send(&act.calls[i], act.bytes + i * length, length), 0);
		act_end(&act, count * length);
	}
}

/* A hundred large sends into a small buffer, all cancelled: each says what it has sent. */
Test(cases, case_100_begins_into_a_small_buffer_all_cancelled)
{
	struct fixture fixture;
	struct pair pair;
	struct call *calls;
	char *bytes = pattern_new(65536, 0);
	uint64_t sent = 0, read = 0;
	char *room = malloc(65536);

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 4608);
	calls = calls_new(&fixture, pair.socket, 100);
	for (size_t i = 0; i < 100; i++)
		cr_assert_eq(sluice_begin_send(pair.socket, bytes, 65536, 0, 65536, 0, NULL, NULL,
					       NULL, &calls[i].result),
			     0);
	run_idle(&fixture);
	cr_assert_eq(sluice_socket_cancel_all(pair.socket), 0);
	for (size_t i = 0; i < 100; i++) {
		int64_t count, answer;

		run_until(&fixture, sluice_async_result_is_completed(calls[i].result));
		count = sluice_async_result_bytes(calls[i].result);
		answer = sluice_end_send(pair.socket, calls[i].result, NULL);
		cr_assert(answer == -ECANCELED || answer == 65536, "%lld", (long long)answer);
		sent += (uint64_t)count;
	}
	cr_assert_lt(sent, 100 * 65536);
	cr_assert_eq(sluice_socket_shutdown(pair.socket, SHUT_WR), 0);
	for (ssize_t count; (count = recv(pair.peer, room, 65536, 0)) > 0;)
		read += (uint64_t)count;
	cr_assert_eq(read, sent);
	pair_close(&pair);
	fixture_end(&fixture);
	free(calls);
	free(bytes);
	free(room);
}

/* Sends without an end, then a close: here all end, and the peer is told by a reset. */
Test(cases, case_a_flood_of_begins_then_close)
{
	struct fixture fixture;
	struct pair pair;
	struct call *calls;
	char *bytes = pattern_new(65536, 0);
	char *room = malloc(65536);
	ssize_t count;
	int error;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, SMALL);
	calls = calls_new(&fixture, pair.socket, 100);
	for (size_t i = 0; i < 100; i++)
		cr_assert_eq(begin_send(&calls[i], bytes, 65536), 0);
	run_idle(&fixture);
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	cr_assert_eq(sluice_end_send(pair.socket, calls[99].result, NULL), -EBADF);
	run_until(&fixture, were_called(calls, 100));
	while ((count = recv(pair.peer, room, 65536, 0)) > 0)
		;
	error = errno;
	cr_assert_eq(count, -1, "an orderly end");
	cr_assert_eq(error, ECONNRESET);
	pair_close(&pair);
	fixture_end(&fixture);
	free(calls);
	free(bytes);
	free(room);
}
