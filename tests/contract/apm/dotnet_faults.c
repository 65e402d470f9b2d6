/* SPDX-License-Identifier: MIT */
/* What .NET gets wrong on Linux with sends and Begin and End, done right: a test a fault. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apm.h"

#define ROUNDS 40

/* .NET lets two large sends of two threads, and even of one by several calls, run into each other. */
PAIR_TEST(faults, fault_02_large_sends_never_interleave, tcp_pair, SMALL)
{
	struct operation operations[6];
	struct reader reader;
	const size_t length = 1000003;
	char *bytes = pattern_new(6 * length, 0);

	reader_start_slow(&reader, pair->peer, 0);
	for (size_t i = 0; i < 6; i++) {
		operation_init(&operations[i], fixture);
		operations[i].args.flags = i % 2 ? SLUICE_FLAG_EAGER : SLUICE_FLAG_BATCHED;
		start_send(pair->socket, &operations[i], bytes + i * length, length);
	}
	run_until(fixture, fixture->pending == 0);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), 0);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, 6 * length);
	free(bytes);
}

/* .NET reports Success, and drops what follows 1,024 empty segments in a row. */
PAIR_TEST(faults, fault_03_what_stands_behind_many_empty_segments_is_sent, tcp_pair, 0)
{
	static const struct {
		size_t first, empty, last;
	} lists[] = {{0, 2000, 1}, {0, 1024, 1}, {1, 1500, 1}, {3, 2000, 4}};
	struct iovec segments[2002];

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		size_t total = lists[i].first + lists[i].last;
		unsigned char bytes[8];
		struct operation operation;

		pattern_fill(bytes, sizeof bytes, 0);
		memset(segments, 0, sizeof segments);
		segments[0] = segment(bytes, lists[i].first);
		segments[lists[i].empty + 1] = segment(bytes + lists[i].first, lists[i].last);
		operation_init(&operation, fixture);
		cr_assert_eq(sluice_args_set_buffer_list(&operation.args, segments,
							 lists[i].empty + 2),
			     0);
		run_start(sluice_send_async, pair->socket, &operation);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, total);
		read_pattern(pair->peer, total, 0);
	}
}

/* .NET's ConnectAsync with a buffer may say that it is done, with a part, and run the handler later. */
ENGINE_TEST(faults, fault_04_a_connect_that_is_done_runs_no_handler)
{
	void *bytes = pattern_new(HEAD_BYTES, 0);

	for (int round = 0; round < ROUNDS; round++) {
		int listener = listen_tcp(0), peer;
		struct sockaddr_in address = loopback(port_of(listener));
		struct sluice_socket *socket = attach(fixture, new_tcp(0));
		struct operation operation;
		int answer;

		operation_init(&operation, fixture);
		cr_assert_eq(sluice_args_set_buffer(&operation.args, bytes, HEAD_BYTES, 0,
						    (int64_t)HEAD_BYTES),
			     0);
		answer = start_connect(socket, &operation, &address);
		cr_assert(answer >= 0);
		run_until(fixture, is_over(&operation));
		run_idle(fixture);
		cr_assert_eq(operation.handled, (uint32_t)answer);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);

		peer = accept(listener, NULL, NULL);
		cr_assert(peer >= 0);
		assert_nothing_to_read(peer);
		sluice_socket_destroy(socket);
		close(peer);
		close(listener);
	}
	free(bytes);
}

/* .NET's Dispose resets where just a receive is pending, and what was sent with Success is lost. */
PAIR_TEST(faults, fault_05_close_with_a_receive_pending_destroys_nothing, tcp_pair, 300000)
{
	struct operation receive, send;
	struct reader reader;
	char room[100];
	void *bytes = pattern_new(100000, 0);

	operation_init(&receive, fixture);
	operation_init(&send, fixture);
	cr_assert_eq(start_receive(pair->socket, &receive, room, sizeof room), 1);
	run_send(pair->socket, &send, bytes, 100000);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, 100000);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_OPERATION_ABORTED, 0);
	reader_start(&reader, pair->peer, 0);
	reader_join(&reader);
	cr_assert_eq(reader.error, 0, "%s", strerror(reader.error));
	cr_assert_eq(reader.bytes, 100000);
	free(bytes);
}

/* .NET reports a reset of a half-sent send as Shutdown, now and then. */
ENGINE_TEST(faults, fault_06_a_reset_of_a_half_sent_send_is_always_a_reset)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct blocked blocked;
		struct operation behind;

		blocked_begin(fixture, &blocked);
		operation_init(&behind, fixture);
		cr_assert_eq(start_send(blocked.pair.socket, &behind, "behind", 6), 1);
		if (round % 2)
			close_with_reset(blocked.pair.peer);
		else
			close(blocked.pair.peer); /* with unread bytes: a reset as well */
		blocked.pair.peer = -1;
		run_until(fixture, fixture->pending == 0);
		cr_assert_eq(blocked.head.args.error, SLUICE_ERROR_CONNECTION_RESET, "round %d: %s",
			     round, sluice_socket_error_name(blocked.head.args.error));
		assert_ended(&behind, SLUICE_ERROR_SHUTDOWN, 0);
		blocked_end(&blocked);
	}
}

#define CHAINED 20000

static _Thread_local const char *stack_at;

/* How far this frame is from the first one that was asked about in this thread. */
static size_t stack_distance(void)
{
	const char *here = __builtin_frame_address(0);

	if (!stack_at)
		stack_at = here;
	return here > stack_at ? (size_t)(here - stack_at) : (size_t)(stack_at - here);
}

static void start_again(struct operation *operation)
{
	cr_assert_lt(stack_distance(), 65536, "the stack grows");
	if (operation->handled < CHAINED)
		cr_assert_eq(start(sluice_send_packets_async, operation->socket, operation), 1);
}

static int64_t begin_again(struct call *call)
{
	int64_t answer = ends_send(call);

	if (stack_distance() >= 65536)
		return -ENOMEM;
	if (atomic_load(&call->entered) < CHAINED)
		answer += begin_send(call, "x", 1);
	return answer;
}

/* .NET runs handlers and callbacks inside the calls that start, and its stack overflows. */
Test(faults, fault_10_operations_started_in_handlers_and_callbacks_do_not_nest)
{
	struct fixture fixture;
	struct pair pair;
	struct sluice_packet packet = {.kind = SLUICE_PACKET_MEMORY, .base = "x", .count = 1};
	struct operation operation;
	struct reader reader;
	struct call call;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	operation.then = start_again;
	operation.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(sluice_args_set_packets(&operation.args, &packet, 1), 0);
	reader_start(&reader, pair.peer, 0);
	cr_assert_eq(start(sluice_send_packets_async, pair.socket, &operation), 1);
	run_until(&fixture, is_over(&operation));
	cr_assert_eq(operation.handled, CHAINED);

	call_init(&call, &fixture, pair.socket);
	call.within = begin_again;
	cr_assert_eq(begin_send(&call, "x", 1), 0);
	run_until(&fixture, atomic_load(&call.called) == CHAINED);
	cr_assert_eq(call.answer, 1, "%lld", (long long)call.answer);

	pair_close(&pair);
	cr_assert_eq(pthread_join(reader.thread, NULL), 0);
	fixture_end(&fixture);
}

/* .NET's Ends take a result twice, of other sockets, of other operations, and after Close. */
Test(faults, fault_12_an_end_takes_its_own_result_once)
{
	struct fixture fixture;
	struct pair pair, other;
	struct sluice_async_result *send, *receive;
	char room[10];

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	tcp_pair(&fixture, &other, 0);
	cr_assert_eq(sluice_begin_send(pair.socket, "12345", 5, 0, 5, 0, NULL, NULL, NULL, &send),
		     0);
	cr_assert_eq(sluice_begin_receive(pair.socket, room, sizeof room, 0, sizeof room, 0, NULL,
					  NULL, NULL, &receive),
		     0);
	run_until(&fixture, sluice_async_result_is_completed(send));
	cr_assert_eq(sluice_end_send(other.socket, send, NULL), -EINVAL);
	cr_assert_eq(sluice_end_send(pair.socket, receive, NULL), -EINVAL);
	cr_assert_eq(sluice_end_send_to(pair.socket, send), -EINVAL);
	cr_assert_eq(sluice_end_send_file(pair.socket, send), -EINVAL);
	cr_assert_eq(sluice_end_receive(pair.socket, send, NULL), -EINVAL);
	cr_assert_eq(sluice_end_send(pair.socket, send, NULL), 5);
	cr_assert_eq(sluice_end_send(pair.socket, send, NULL), -EALREADY);

	cr_assert_eq(sluice_begin_send(pair.socket, "12345", 5, 0, 5, 0, NULL, NULL, NULL, &send),
		     0);
	run_until(&fixture, sluice_async_result_is_completed(send));
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	cr_assert_eq(sluice_end_send(pair.socket, send, NULL), -EBADF);
	pair_close(&pair);
	pair_close(&other);
	fixture_end(&fixture);
}

struct alone {
	struct operation operations[200];
	struct sluice_async_result *pending;
	int inside;
};

static void stay_alone(struct operation *operation)
{
	struct alone *alone = operation->token;

	cr_assert_eq(++alone->inside, 1, "another handler runs");
	if (!sluice_async_result_is_completed(alone->pending))
		cr_assert_eq(sluice_end_send(operation->socket, alone->pending, NULL), -EDEADLK);
	alone->inside--;
}

/* .NET runs handlers of one socket side by side, and one that waits for a send may stop the engine. */
Test(faults, fault_14_handlers_run_one_at_a_time_and_never_deadlock)
{
	struct fixture fixture;
	struct blocked blocked;
	struct alone alone = {.inside = 0};
	char last;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	for (size_t i = 0; i < 200; i++) {
		operation_init(&alone.operations[i], &fixture);
		alone.operations[i].then = stay_alone;
		alone.operations[i].token = &alone;
		cr_assert_eq(start_send(blocked.pair.socket, &alone.operations[i],
					(char *)blocked.bytes + i, 1),
			     1);
	}
	cr_assert_eq(sluice_begin_send(blocked.pair.socket, "!", 1, 0, 1, 0, NULL, NULL, NULL,
				       &alone.pending),
		     0);
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_reading(&fixture, blocked.pair.peer, 200, 0);
	run_until(&fixture, fixture.pending == 0);
	run_until(&fixture, sluice_async_result_is_completed(alone.pending));
	cr_assert_eq(sluice_end_send(blocked.pair.socket, alone.pending, NULL), 1);
	read_exactly(blocked.pair.peer, &last, 1);
	cr_assert_eq(last, '!');
	blocked_end(&blocked);
	fixture_end(&fixture);
}

/* .NET marks the last byte of every short send, and so takes a hundred bytes out of the stream. */
PAIR_TEST(faults, fault_15_out_of_band_takes_one_byte_however_long_it_is, tcp_pair, SMALL)
{
	struct operation operation;
	const size_t length = 2097152;
	void *bytes = pattern_new(length, 0);
	struct reader reader;

	operation_init(&operation, fixture);
	operation.args.flags = SLUICE_FLAG_OUT_OF_BAND;
	reader_start(&reader, pair->peer, 0);
	run_send(pair->socket, &operation, bytes, length);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), 0);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, length - 1);
	free(bytes);
}

/*
 * .NET reports cancelled sends in two ways, and sends the next message in the middle of an
 * incomplete one.
 */
BLOCKED_TEST(faults, fault_16_cancelled_is_cancelled_and_framing_can_be_kept, blocked_begin)
{
	struct operation queued, behind;
	uint64_t taken;
	int error;

	operation_init(&queued, fixture);
	operation_init(&behind, fixture);
	cr_assert_eq(
		sluice_socket_set_option(blocked->pair.socket, SLUICE_SOCKET_END_ON_GIVE_UP, 1), 0);
	cr_assert_eq(start_send(blocked->pair.socket, &queued, "queued", 6), 1);
	cr_assert_eq(start_send(blocked->pair.socket, &behind, "behind", 6), 1);
	cr_assert_eq(sluice_cancel(blocked->pair.socket, &queued.args), 0);
	cr_assert_eq(sluice_cancel(blocked->pair.socket, &blocked->head.args), 0);
	run_until(fixture, fixture->pending == 0);
	taken = blocked->head.args.bytes_transferred;
	cr_assert_gt(taken, 0);
	assert_ended(&queued, SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&blocked->head, SLUICE_ERROR_OPERATION_ABORTED, taken);
	assert_ended(&behind, SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert_eq(run_reading_to_end(fixture, blocked->pair.peer, 0, &error), taken);
	cr_assert_eq(error, 0);
}

/* .NET's receive looks like an orderly end when a send has met the reset before. */
BLOCKED_TEST(faults, fault_17_a_receive_behind_a_reset_tells_the_reset, blocked_begin)
{
	struct operation receive;
	char room[10];

	operation_init(&receive, fixture);
	close_with_reset(blocked->pair.peer);
	blocked->pair.peer = -1;
	run_until(fixture, is_over(&blocked->head));
	cr_assert_eq(blocked->head.args.error, SLUICE_ERROR_CONNECTION_RESET);
	run_receive(blocked->pair.socket, &receive, room, sizeof room);
	assert_ended(&receive, SLUICE_ERROR_CONNECTION_RESET, 0);
}

/* .NET's time-outs, tasks and EndSend lose the count of what was sent. */
Test(faults, fault_18_what_was_sent_of_a_failed_send_is_counted)
{
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct sluice_async_result *result;
	void *bytes = pattern_new(HEAD_BYTES, 0);
	uint64_t taken;
	int64_t begun;
	int error;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, SMALL);
	operation_init(&operation, &fixture);
	operation.args.timeout_ns = 20 * MILLISECOND;
	run_send(pair.socket, &operation, bytes, HEAD_BYTES);
	taken = operation.args.bytes_transferred;
	assert_ended(&operation, SLUICE_ERROR_TIMED_OUT, taken);
	cr_assert_gt(taken, 0);
	run_reading(&fixture, pair.peer, taken, 0);

	cr_assert_eq(sluice_begin_send(pair.socket, bytes, HEAD_BYTES, 0, (int64_t)HEAD_BYTES, 0,
				       NULL, NULL, NULL, &result),
		     0);
	run_idle(&fixture);
	cr_assert_eq(sluice_socket_shutdown(pair.socket, SHUT_WR), 0);
	run_until(&fixture, sluice_async_result_is_completed(result));
	begun = sluice_async_result_bytes(result);
	cr_assert_gt(begun, 0);
	cr_assert_eq(sluice_end_send(pair.socket, result, NULL), -EPIPE);
	cr_assert_eq((int64_t)run_reading_to_end(&fixture, pair.peer, 0, &error), begun);
	pair_close(&pair);
	free(bytes);
	fixture_end(&fixture);
}
