/* SPDX-License-Identifier: MIT */
/*
 * The client of an echo: a process on the receiver's core that sends questions over all its
 * connections at a steady rate, whether answers arrive or not, and measures each latency from when
 * the question was due. A server that stops for a while is thus charged for all questions that
 * waited, not only for the one in flight (coordinated omission). Or it is a closed loop: each
 * connection sends the next question as soon as it has its answer, and a latency counts from when
 * the question was sent.
 */
#ifndef BENCH_HARNESS_CLIENT_H
#define BENCH_HARNESS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/histogram.h"
#include "harness/net.h"

struct client;

#define CLIENT_DEPTH 16
#define CLIENT_QUESTIONS 32

struct client_question {
	const char *text; /* NULL: zeros */
	size_t bytes;
	size_t answer_bytes;
};

struct client_options {
	size_t connections;
	struct client_question
		questions[CLIENT_QUESTIONS]; /* asked in turns; several: depth is 1 */
	size_t question_count;
	size_t depth;  /* questions in flight per connection, at most CLIENT_DEPTH */
	bool bursts;   /* so many are sent together, once all before them are answered */
	bool closed;   /* closed loop: each connection sends again as soon as it has its answer */
	uint16_t port; /* to connect to; 0: the server connects, by net_connect */
	int cpu;
	bool alone; /* on its core: it need not sleep between questions */
};

/* Starts the process; receiver is filled in. Before any thread is started. */
struct client *client_start(struct receiver *receiver, const struct client_options *options);

/* Starts so many questions, one every interval_ns, 0: as fast as they are answered. */
void client_begin(struct client *client, uint64_t questions, uint64_t interval_ns);

/* Waits for the last answer. The latencies of these questions stay until the next begin. */
const struct histogram *client_end(struct client *client);

void client_stop(struct client *client);

#endif
