/* SPDX-License-Identifier: MIT */
/*
 * The other end of an echo: a process on the receiver's core that asks over all its connections at
 * a steady rate, whether answers come or not, and counts how long each answer took from when its
 * question was due. A server that stops for a while is so charged for all that waited meanwhile,
 * not for the one question that happened to be on its way (coordinated omission).
 */
#ifndef BENCH_ASKER_H
#define BENCH_ASKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "net.h"

struct asker;

/* Starts the process; receiver is filled in, for net_connect. Before any thread is started. */
struct asker *asker_start(struct receiver *receiver, size_t connections, size_t bytes, int cpu,
			  bool alone);

/* Begins to ask so many questions, one every interval_ns, 0: as fast as they are answered. */
void asker_begin(struct asker *asker, uint64_t questions, uint64_t interval_ns);

/* Waits for the last answer. The latencies of these questions stay until the next begin. */
const struct histogram *asker_end(struct asker *asker);

void asker_stop(struct asker *asker);

#endif
