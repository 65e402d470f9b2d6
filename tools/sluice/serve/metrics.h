/* SPDX-License-Identifier: MIT */
/* The counters of a worker, and the page that publishes them in the format of Prometheus. */
#ifndef SLUICE_COMMAND_SERVE_METRICS_H
#define SLUICE_COMMAND_SERVE_METRICS_H

#include <pthread.h>
#include <sluice/statistics.h>
#include <stdint.h>

#include "buffer.h"

#define METRICS_STATUSES 600
#define METRICS_BUCKETS 12

struct metrics_counts {
	uint64_t by_status[METRICS_STATUSES];
	uint64_t body_bytes;
	uint64_t buckets[METRICS_BUCKETS + 1]; /* of latencies; the last is unbounded */
	uint64_t latency_ns;                   /* of all */
	uint64_t connections;                  /* accepted */
	uint64_t open;                         /* now */
	uint64_t refused;
	uint64_t handshakes;    /* successful TLS handshakes */
	uint64_t tls_by_kernel; /* handshakes after which the kernel encrypts */
	uint64_t handshakes_resumed;
	uint64_t handshakes_failed;
	uint64_t cache_entries;
	uint64_t cache_looks; /* at files */
	struct sluice_engine_statistics engine;
};

struct metrics {
	bool on;
	struct metrics_counts counts; /* owned by the worker's thread */

	pthread_mutex_t lock; /* of what follows: the counters, at most a second old */
	struct metrics_counts published;
};

void metrics_init(struct metrics *metrics, bool on);
void metrics_dispose(struct metrics *metrics);

/* Counts a finished request: the kernel accepted the whole response, or the connection failed. */
void metrics_count(struct metrics *metrics, int status, uint64_t body_bytes, uint64_t latency_ns);

void metrics_publish(struct metrics *metrics);

/* Adds the published counters to a sum; any thread. */
void metrics_add(struct metrics *metrics, struct metrics_counts *sum);

void metrics_write(struct buffer *buffer, const struct metrics_counts *counts, size_t workers);

uint64_t metrics_now_ns(void);

#endif
