/* SPDX-License-Identifier: MIT */
/* A consumer of receive_start for the tests: compares what comes with the pattern, and may hold it. */
#ifndef STREAMS_H
#define STREAMS_H

#include "support.h"

#define HELD_MAX 1024

struct consumer;
typedef void consumer_fn(struct consumer *consumer, const struct sluice_received *received);

struct consumer {
	struct fixture *fixture;
	struct sluice_socket *socket;
	uint64_t position; /* in the pattern, of the next byte */
	uint64_t bytes;
	uint64_t events; /* with bytes */
	int terminals;
	int32_t error; /* of the terminal call */
	int32_t native_error;
	bool holds;    /* keeps the buffers, else gives each back in its event */
	int held_most; /* that were held at once */
	int held_count;
	struct {
		struct sluice_buffer *buffer;
		const void *data;
		size_t length;
		uint64_t position;
	} held[HELD_MAX];
	consumer_fn *then; /* runs at the end of each event */
	void *token;
};

/* A new consumer of this socket's bytes, from position 0 of the pattern on. */
void consumer_init(struct consumer *consumer, struct fixture *fixture,
		   struct sluice_socket *socket);

/* The result of receive_start. Starting again continues where the last stream ended. */
int start_consuming(struct consumer *consumer);

/* receive_stop; its answer. */
int stop_consuming(struct consumer *consumer);

/* Asserts that a held buffer is still what came, and gives it back. */
void release_held(struct consumer *consumer, int index);
void release_all(struct consumer *consumer);

/*
 * Writes the pattern from 0 on to its peer until it holds so many buffers and the kernel takes no
 * more; returns how much that was.
 */
uint64_t run_until_held(struct consumer *consumer, int peer, int count);

/* Asserts that exactly one terminal call came, with this. */
void assert_terminal(const struct consumer *consumer, int32_t error);

/* Asserts that the engine has all of its buffers. */
void assert_no_buffer_lent(struct fixture *fixture);

/* A consumer and the peer of its TCP socket. */
struct flow {
	struct fixture fixture;
	struct pair pair;
	struct consumer consumer;
};

/* Nothing has been started. */
void flow_begin(struct flow *flow);
void flow_begin_with(struct flow *flow, const struct sluice_options *options);

/* With so many buffers of so many bytes, of which one socket may have so many; there will be no more. */
void flow_begin_few(struct flow *flow, uint32_t count, uint32_t bytes, uint32_t per_socket);

/* The consumer has been started. */
void flow_start(struct flow *flow);

/* Gives back what is held, and asserts that nothing comes of it. */
void flow_end(struct flow *flow);

struct sluice_options few_buffers(uint32_t count, uint32_t bytes, uint32_t per_socket);

/* The body has a `flow` that `begin`, one of these, makes with the arguments behind it. */
#define FLOW_TEST(row, name, begin, ...) \
	OWNER_TEST(row, name, flow, begin(&flow, ##__VA_ARGS__), flow_end(&flow))

#endif
