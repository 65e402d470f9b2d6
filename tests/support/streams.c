/* SPDX-License-Identifier: MIT */
/* A consumer of receive_start for the contract's tests. */
#include "streams.h"

#include "measure.h"

#include <string.h>

#define PIECE ((size_t)32768) /* more than a default buffer has */

void consumer_init(struct consumer *consumer, struct fixture *fixture, struct sluice_socket *socket)
{
	memset(consumer, 0, sizeof *consumer);
	consumer->fixture = fixture;
	consumer->socket = socket;
}

static void hold(struct consumer *consumer, const struct sluice_received *received)
{
	int index = consumer->held_count++;

	cr_assert_lt(index, HELD_MAX);
	consumer->held[index].buffer = received->buffer;
	consumer->held[index].data = received->data;
	consumer->held[index].length = received->length;
	consumer->held[index].position = consumer->position;
	if (consumer->held_count > consumer->held_most)
		consumer->held_most = consumer->held_count;
}

static void take_bytes(struct consumer *consumer, const struct sluice_received *received)
{
	cr_assert(received->buffer, "bytes without a buffer");
	cr_assert_gt(received->length, 0, "an event without bytes");
	cr_assert_eq(received->error, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(received->native_error, 0);
	cr_assert(pattern_matches(received->data, received->length, consumer->position),
		  "the bytes from %llu on are wrong", (unsigned long long)consumer->position);
	if (consumer->holds)
		hold(consumer, received);
	else
		sluice_buffer_release(consumer->fixture->engine, received->buffer);
	consumer->position += received->length;
	consumer->bytes += received->length;
	consumer->events++;
}

static void take_end(struct consumer *consumer, const struct sluice_received *received)
{
	cr_assert_null(received->buffer, "the terminal call brought a buffer");
	cr_assert_eq(received->length, 0);
	cr_assert_eq(sluice_socket_error_from_errno(received->native_error), received->error);
	consumer->terminals++;
	consumer->error = received->error;
	consumer->native_error = received->native_error;
}

static void on_received(struct sluice_socket *socket, const struct sluice_received *received,
			void *token)
{
	struct consumer *consumer = token;

	cr_assert_eq(socket, consumer->socket);
	cr_assert_eq(received->size, sizeof *received);
	cr_assert_eq(consumer->fixture->inside_call, 0, "an event inside a call");
	cr_assert_eq(consumer->terminals, 0, "an event after the terminal call");
	if (received->terminal)
		take_end(consumer, received);
	else
		take_bytes(consumer, received);
	if (consumer->then)
		consumer->then(consumer, received);
}

int start_consuming(struct consumer *consumer)
{
	struct sluice_receive_options options = {
		.size = sizeof options,
		.on_received = on_received,
		.token = consumer,
	};
	int answer;

	consumer->terminals = 0;
	consumer->fixture->inside_call++;
	answer = sluice_receive_start(consumer->socket, &options);
	consumer->fixture->inside_call--;
	return answer;
}

int stop_consuming(struct consumer *consumer)
{
	int answer;

	consumer->fixture->inside_call++;
	answer = sluice_receive_stop(consumer->socket);
	consumer->fixture->inside_call--;
	return answer;
}

void release_held(struct consumer *consumer, int index)
{
	cr_assert_lt(index, consumer->held_count);
	cr_assert(pattern_matches(consumer->held[index].data, consumer->held[index].length,
				  consumer->held[index].position),
		  "the bytes of a held buffer changed");
	consumer->fixture->inside_call++;
	sluice_buffer_release(consumer->fixture->engine, consumer->held[index].buffer);
	consumer->fixture->inside_call--;
	consumer->held[index] = consumer->held[--consumer->held_count];
}

void release_all(struct consumer *consumer)
{
	while (consumer->held_count > 0)
		release_held(consumer, 0);
}

uint64_t run_until_held(struct consumer *consumer, int peer, int count)
{
	int64_t deadline = now_ns() + GUARD_NS;
	uint64_t length = 0;

	do {
		length += write_what_fits(peer, (size_t)count * PIECE, length);
		run_for(consumer->fixture, MILLISECOND);
		cr_assert_lt(now_ns(), deadline, "%d buffers are held, not %d",
			     consumer->held_count, count);
	} while (consumer->held_count < count);
	cr_assert_eq(consumer->held_count, count);
	for (size_t more = 1; more > 0; length += more) {
		more = write_what_fits(peer, PIECE, length);
		run_for(consumer->fixture, 0);
	}
	cr_assert_gt(length, consumer->bytes);
	return length;
}

void assert_terminal(const struct consumer *consumer, int32_t error)
{
	cr_assert_eq(consumer->terminals, 1, "%d terminal calls", consumer->terminals);
	cr_assert_eq(consumer->error, error, "it ended with %s, not %s",
		     sluice_socket_error_name(consumer->error), sluice_socket_error_name(error));
}

void assert_no_buffer_lent(struct fixture *fixture)
{
	run_idle(fixture);
	cr_assert_eq(statistics_of(fixture).buffers_lent, 0);
}

/* ---- a consumer and its peer ---- */

void flow_begin_with(struct flow *flow, const struct sluice_options *options)
{
	fixture_begin_with(&flow->fixture, options);
	tcp_pair(&flow->fixture, &flow->pair, 0);
	consumer_init(&flow->consumer, &flow->fixture, flow->pair.socket);
}

void flow_begin(struct flow *flow)
{
	flow_begin_with(flow, NULL);
}

struct sluice_options few_buffers(uint32_t count, uint32_t bytes, uint32_t per_socket)
{
	struct sluice_options options;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.receive_buffers = count;
	options.receive_buffer_bytes = bytes;
	options.receive_buffers_per_socket = per_socket;
	options.receive_bytes_max = 1; /* the pool does not grow */
	return options;
}

void flow_begin_few(struct flow *flow, uint32_t count, uint32_t bytes, uint32_t per_socket)
{
	struct sluice_options options = few_buffers(count, bytes, per_socket);

	flow_begin_with(flow, &options);
}

void flow_start(struct flow *flow)
{
	flow_begin(flow);
	cr_assert_eq(start_consuming(&flow->consumer), 0);
}

void flow_end(struct flow *flow)
{
	int terminals = flow->consumer.terminals;

	flow->consumer.holds = false;
	release_all(&flow->consumer);
	assert_no_buffer_lent(&flow->fixture);
	cr_assert_eq(flow->consumer.terminals, terminals, "something came after the end");
	pair_close(&flow->pair);
	fixture_end(&flow->fixture);
}
