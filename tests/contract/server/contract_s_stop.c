/* SPDX-License-Identifier: MIT */
/* s03: stopping loses no byte, and every stream ends with one terminal call; s04: on both backends. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "streams.h"

static void run_to_terminal(struct flow *flow, int32_t error)
{
	run_until(&flow->fixture, flow->consumer.terminals > 0);
	assert_terminal(&flow->consumer, error);
}

/* Of so many bytes that were sent, the kernel still has those that were not delivered. */
static void assert_the_rest_is_there(const struct flow *flow, uint64_t sent)
{
	struct pollfd readable = {.fd = sluice_socket_fd(flow->pair.socket), .events = POLLIN};
	uint64_t total = flow->consumer.bytes;
	char *bytes = malloc(65536);
	ssize_t count;

	while (total < sent && poll(&readable, 1, GUARD_NS / MILLISECOND) > 0) {
		count = recv(readable.fd, bytes, 65536, MSG_DONTWAIT);
		cr_assert(count > 0, "%s after %llu of %llu bytes",
			  count ? strerror(errno) : "the end", (unsigned long long)total,
			  (unsigned long long)sent);
		cr_assert(pattern_matches(bytes, (size_t)count,
					  flow->consumer.position + total - flow->consumer.bytes),
			  "bytes were lost, or came twice");
		total += (uint64_t)count;
	}
	cr_assert_eq(total, sent);
	cr_assert(recv(readable.fd, bytes, 1, MSG_DONTWAIT) <= 0, "bytes came twice");
	free(bytes);
}

/* Stops at another moment each time; what was not delivered is still to be read, in order. */
Test(s03, s03_receive_stop_loses_no_byte)
{
	enum {
		ROUNDS = 60,
		PIECES = 10,
		PIECE = 10000
	};
	struct flow flow;
	uint64_t length;

	fixture_begin(&flow.fixture);
	for (int round = 0; round < ROUNDS; round++) {
		tcp_pair(&flow.fixture, &flow.pair, 0);
		consumer_init(&flow.consumer, &flow.fixture, flow.pair.socket);
		cr_assert_eq(start_consuming(&flow.consumer), 0);
		if (round % 3 == 0)
			cr_assert(sluice_engine_run(flow.fixture.engine, 0) >= 0);
		length = 0;
		for (int piece = 0; piece < PIECES; piece++) {
			length += write_what_fits(flow.pair.peer, PIECE, length);
			if ((piece + round) % 4 == 0)
				cr_assert(sluice_engine_run(flow.fixture.engine, 0) >= 0);
		}
		cr_assert_eq(stop_consuming(&flow.consumer), 0);
		run_to_terminal(&flow, SLUICE_ERROR_OPERATION_ABORTED);
		assert_the_rest_is_there(&flow, length);
		pair_close(&flow.pair);
	}
	assert_no_buffer_lent(&flow.fixture);
	fixture_end(&flow.fixture);
}

FLOW_TEST(s03, s03_receive_goes_on_where_it_was_stopped, flow_start)
{
	uint64_t length = 0;

	for (int round = 0; round < 20; round++) {
		length += write_what_fits(flow->pair.peer, 30000, length);
		cr_assert(sluice_engine_run(flow->fixture.engine, 0) >= 0);
		cr_assert_eq(stop_consuming(&flow->consumer), 0);
		run_to_terminal(flow, SLUICE_ERROR_OPERATION_ABORTED);
		cr_assert_eq(stop_consuming(&flow->consumer), -ENOENT);
		cr_assert_eq(start_consuming(&flow->consumer), 0);
	}
	run_until(&flow->fixture, flow->consumer.bytes == length);
	cr_assert_eq(stop_consuming(&flow->consumer), 0);
	run_to_terminal(flow, SLUICE_ERROR_OPERATION_ABORTED);
}

FLOW_TEST(s03, s03_single_receives_go_on_where_receive_was_stopped, flow_start)
{
	struct operation operation;
	char bytes[1000];

	write_pattern(flow->pair.peer, 1000, 0);
	run_until(&flow->fixture, flow->consumer.bytes == 1000);
	cr_assert_eq(stop_consuming(&flow->consumer), 0);
	run_to_terminal(flow, SLUICE_ERROR_OPERATION_ABORTED);
	write_pattern(flow->pair.peer, 1000, 1000);
	operation_init(&operation, &flow->fixture);
	cr_assert(start_receive(flow->pair.socket, &operation, bytes, sizeof bytes) >= 0);
	run_until(&flow->fixture, is_over(&operation));
	cr_assert_eq(operation.args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_gt(operation.args.bytes_transferred, 0);
	cr_assert(pattern_matches(bytes, operation.args.bytes_transferred, 1000));
}

static void stop_in_event(struct consumer *consumer, const struct sluice_received *received)
{
	if (received->terminal)
		return;
	consumer->then = NULL;
	cr_assert_eq(stop_consuming(consumer), 0);
}

FLOW_TEST(s03, s03_receive_stop_in_an_event_loses_no_byte, flow_start)
{
	size_t length;

	flow->consumer.then = stop_in_event;
	length = write_what_fits(flow->pair.peer, 200000, 0);
	run_to_terminal(flow, SLUICE_ERROR_OPERATION_ABORTED);
	assert_the_rest_is_there(flow, length);
}

static void start_in_terminal_call(struct consumer *consumer,
				   const struct sluice_received *received)
{
	if (!received->terminal)
		return;
	consumer->then = NULL;
	cr_assert_eq(start_consuming(consumer), 0);
}

FLOW_TEST(s03, s03_receive_start_again_in_the_terminal_call, flow_start)
{
	size_t length;

	flow->consumer.then = start_in_terminal_call;
	length = write_what_fits(flow->pair.peer, 50000, 0);
	cr_assert_eq(stop_consuming(&flow->consumer), 0);
	run_until(&flow->fixture, !flow->consumer.then);
	run_until(&flow->fixture, flow->consumer.bytes == length);
	cr_assert_eq(flow->consumer.terminals, 0);
	cr_assert_eq(stop_consuming(&flow->consumer), 0);
	run_to_terminal(flow, SLUICE_ERROR_OPERATION_ABORTED);
}

/* The terminal call needs no buffer, so it does not wait for one. */
FLOW_TEST(s03, s03_receive_stop_ends_a_stream_whose_buffers_are_all_held, flow_start)
{
	uint64_t delivered, length;

	flow->consumer.holds = true;
	length = run_until_held(&flow->consumer, flow->pair.peer, 8);
	run_idle(&flow->fixture);
	cr_assert_eq(stop_consuming(&flow->consumer), 0);
	run_to_terminal(flow, SLUICE_ERROR_OPERATION_ABORTED);
	delivered = flow->consumer.bytes;
	release_all(&flow->consumer);
	run_idle(&flow->fixture);
	cr_assert_eq(flow->consumer.bytes, delivered);
	assert_the_rest_is_there(flow, length);
}

/* ---- how else a stream ends ---- */

FLOW_TEST(s03, s03_the_end_of_the_stream_is_success_with_no_bytes, flow_start)
{
	write_pattern(flow->pair.peer, 12345, 0);
	close(flow->pair.peer);
	flow->pair.peer = -1;
	run_to_terminal(flow, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(flow->consumer.native_error, 0);
	cr_assert_eq(flow->consumer.bytes, 12345);
	cr_assert_eq(stop_consuming(&flow->consumer), -ENOENT);
}

/* The other direction still works. */
FLOW_TEST(s03, s03_after_the_end_of_the_stream_sends_still_leave, flow_start)
{
	struct operation operation;
	char bytes[5];

	cr_assert_eq(shutdown(flow->pair.peer, SHUT_WR), 0);
	run_to_terminal(flow, SLUICE_ERROR_SUCCESS);
	operation_init(&operation, &flow->fixture);
	cr_assert(start_send(flow->pair.socket, &operation, "reply", 5) >= 0);
	run_until(&flow->fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
	read_exactly(flow->pair.peer, bytes, 5);
}

FLOW_TEST(s03, s03_a_reset_is_connection_reset, flow_start)
{
	write_pattern(flow->pair.peer, 1000, 0);
	run_until(&flow->fixture, flow->consumer.bytes == 1000);
	close_with_reset(flow->pair.peer);
	flow->pair.peer = -1;
	run_to_terminal(flow, SLUICE_ERROR_CONNECTION_RESET);
	cr_assert_eq(flow->consumer.native_error, ECONNRESET);
}

FLOW_TEST(s03, s03_our_own_shutdown_of_the_receiving_side_is_the_end, flow_start)
{
	cr_assert_eq(sluice_socket_shutdown(flow->pair.socket, SHUT_RD), 0);
	run_to_terminal(flow, SLUICE_ERROR_SUCCESS);
}

FLOW_TEST(s03, s03_close_is_operation_aborted, flow_start)
{
	write_pattern(flow->pair.peer, 1000, 0);
	run_until(&flow->fixture, flow->consumer.bytes == 1000);
	flow->fixture.inside_call++;
	cr_assert_eq(sluice_socket_close(flow->pair.socket), 0);
	flow->fixture.inside_call--;
	run_to_terminal(flow, SLUICE_ERROR_OPERATION_ABORTED);
}

static void destroy_in_event(struct consumer *consumer, const struct sluice_received *received)
{
	if (!received->terminal && consumer->token == NULL) {
		consumer->token = consumer;
		sluice_socket_destroy(consumer->socket);
	}
}

FLOW_TEST(s03, s03_destroying_the_socket_in_an_event_ends_with_one_terminal_call, flow_start)
{
	flow->consumer.then = destroy_in_event;
	write_what_fits(flow->pair.peer, 100000, 0);
	run_to_terminal(flow, SLUICE_ERROR_OPERATION_ABORTED);
	flow->pair.socket = NULL;
}

Test(s03, s03_destroying_the_engine_makes_the_terminal_call)
{
	struct flow flow;

	flow_start(&flow);
	write_pattern(flow.pair.peer, 1000, 0);
	run_until(&flow.fixture, flow.consumer.bytes == 1000);
	cr_assert_eq(sluice_engine_destroy(flow.fixture.engine), 0);
	flow.fixture.engine = NULL;
	assert_terminal(&flow.consumer, SLUICE_ERROR_OPERATION_ABORTED);
	close(flow.pair.peer);
	fixture_end(&flow.fixture);
}

FLOW_TEST(s03, s03_cancel_all_ends_with_one_terminal_call, flow_start)
{
	run_idle(&flow->fixture);
	cr_assert_eq(sluice_socket_cancel_all(flow->pair.socket), 0);
	run_to_terminal(flow, SLUICE_ERROR_OPERATION_ABORTED);
}

/* Whichever is met first: one terminal call, and nothing lost before it. */
Test(s03, s03_stop_and_the_end_of_the_stream_at_once_make_one_terminal_call)
{
	enum {
		LENGTH = 15000
	};
	struct flow flow;

	fixture_begin(&flow.fixture);
	for (int round = 0; round < 40; round++) {
		tcp_pair(&flow.fixture, &flow.pair, 0);
		consumer_init(&flow.consumer, &flow.fixture, flow.pair.socket);
		cr_assert_eq(start_consuming(&flow.consumer), 0);
		write_pattern(flow.pair.peer, LENGTH, 0);
		close(flow.pair.peer);
		flow.pair.peer = -1;
		for (int turn = 0; turn < round % 4; turn++)
			cr_assert(sluice_engine_run(flow.fixture.engine, 0) >= 0);
		if (flow.consumer.terminals == 0)
			cr_assert_eq(stop_consuming(&flow.consumer), 0);
		run_until(&flow.fixture, flow.consumer.terminals > 0);
		run_idle(&flow.fixture);
		if (flow.consumer.error == SLUICE_ERROR_SUCCESS)
			cr_assert_eq(flow.consumer.bytes, LENGTH);
		else
			assert_terminal(&flow.consumer, SLUICE_ERROR_OPERATION_ABORTED);
		assert_the_rest_is_there(&flow, LENGTH);
		cr_assert_eq(flow.consumer.terminals, 1);
		pair_close(&flow.pair);
	}
	assert_no_buffer_lent(&flow.fixture);
	fixture_end(&flow.fixture);
}

/* ---- s04 ---- */

enum ending {
	AT_THE_END,
	BY_RESET,
	BY_STOP,
	BY_CLOSE,
	ENDINGS
};

/* What a program sees of a stream. */
struct view {
	uint64_t bytes;
	int terminals;
	int32_t error, native_error;
};

static struct view view_of(uint32_t backend, enum ending ending)
{
	struct sluice_options options;
	struct flow flow = {0};

	sluice_options_init(&options, sizeof options);
	options.backend = backend;
	cr_assert_eq(sluice_engine_create(&flow.fixture.engine, &options), 0);
	tcp_pair(&flow.fixture, &flow.pair, 0);
	consumer_init(&flow.consumer, &flow.fixture, flow.pair.socket);
	cr_assert_eq(start_consuming(&flow.consumer), 0);
	run_writing(&flow.fixture, flow.pair.peer, 300000, 0);
	if (ending == AT_THE_END)
		cr_assert_eq(shutdown(flow.pair.peer, SHUT_WR), 0);
	else
		run_until(&flow.fixture, flow.consumer.bytes == 300000);
	if (ending == BY_RESET) {
		close_with_reset(flow.pair.peer);
		flow.pair.peer = -1;
	}
	if (ending == BY_STOP)
		cr_assert_eq(stop_consuming(&flow.consumer), 0);
	if (ending == BY_CLOSE)
		cr_assert_eq(sluice_socket_close(flow.pair.socket), 0);
	run_until(&flow.fixture, flow.consumer.terminals > 0);
	run_idle(&flow.fixture);
	pair_close(&flow.pair);
	cr_assert_eq(sluice_engine_destroy(flow.fixture.engine), 0);
	return (struct view){flow.consumer.bytes, flow.consumer.terminals, flow.consumer.error,
			     flow.consumer.native_error};
}

static void skip_without_ring(void)
{
	struct sluice_engine *engine;
	struct sluice_options options;

	sluice_options_init(&options, sizeof options);
	options.backend = SLUICE_BACKEND_URING;
	if (sluice_engine_create(&engine, &options) < 0)
		cr_skip("there is no io_uring here to compare epoll with");
	cr_assert_eq(sluice_engine_destroy(engine), 0);
}

Test(s04, s04_both_backends_show_the_same_stream_and_the_same_terminal_events)
{
	struct view epoll_views[ENDINGS];

	/* First all of epoll's: a ring that was closed interrupts its task's next wait. */
	for (enum ending ending = AT_THE_END; ending < ENDINGS; ending++)
		epoll_views[ending] = view_of(SLUICE_BACKEND_EPOLL, ending);
	skip_without_ring();
	for (enum ending ending = AT_THE_END; ending < ENDINGS; ending++) {
		struct view epoll = epoll_views[ending];
		struct view ring = view_of(SLUICE_BACKEND_URING, ending);

		cr_assert_eq(ring.bytes, epoll.bytes, "ending %d", (int)ending);
		cr_assert_eq(ring.terminals, epoll.terminals, "ending %d", (int)ending);
		cr_assert_eq(ring.error, epoll.error, "ending %d", (int)ending);
		cr_assert_eq(ring.native_error, epoll.native_error, "ending %d", (int)ending);
	}
}
