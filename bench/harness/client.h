/* SPDX-License-Identifier: MIT */
/*
 * The other end of an echo: a process on the receiver's core that asks over all its connections at
 * a steady rate, whether answers come or not, and counts how long each answer took from when its
 * question was due. A server that stops for a while is so charged for all that waited meanwhile,
 * not for the one question that happened to be on its way (coordinated omission). Or it keeps the
 * server busy: each connection asks again as soon as it has its answer, and a latency counts from
 * when the question was sent.
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
	size_t depth;  /* questions of one connection on their way at once, at most CLIENT_DEPTH */
	bool bursts;   /* so many leave together, when all before them are answered */
	bool closed;   /* each connection asks again as soon as it has its answer */
	uint16_t port; /* to connect to; 0: it is connected to, by net_connect */
	int cpu;
	bool alone; /* on that core: it need not sleep between questions */
};

/* Starts the process; receiver is filled in. Before any thread is started. */
struct client *client_start(struct receiver *receiver, const struct client_options *options);

/* Begins to ask so many questions, one every interval_ns, 0: as fast as they are answered. */
void client_begin(struct client *client, uint64_t questions, uint64_t interval_ns);

/* Waits for the last answer. The latencies of these questions stay until the next begin. */
const struct histogram *client_end(struct client *client);

void client_stop(struct client *client);

#endif
