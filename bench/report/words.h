/* SPDX-License-Identifier: MIT */
/* Figures in words. Pure. */
#ifndef BENCH_REPORT_WORDS_H
#define BENCH_REPORT_WORDS_H

#include "report/result.h"

#define WORDS_MAX 1024

/* What a socket's luck can do, whatever the interval of the rounds says. */
#define WORDS_LEVEL 0.02

/* Puts this behind the text, as far as there is space for it. */
void words_append(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "1,620 ns", "44.1 us", "3.2 ms" */
void words_time(char *text, size_t size, double ns);

/* "1.15 times", with significant digits only */
void words_ratio(char *text, size_t size, double ratio);

/* The position of sluice among the peers of a scenario. */
void words_scenario(char *text, size_t size, const struct result_scenario *scenario);

/*
 * The verdict over all scenarios, sentence by sentence: against other libraries and servers, against
 * hand-written code, latencies, what the ring saves, io_uring against epoll, how costs grow with the
 * number of records and of sockets, the aims. Each may be "".
 */
void words_libraries(char *text, size_t size, const struct result *result);
void words_hand(char *text, size_t size, const struct result *result);
void words_latency(char *text, size_t size, const struct result *result);
void words_ring(char *text, size_t size, const struct result *result);
void words_backends(char *text, size_t size, const struct result *result);
void words_growth(char *text, size_t size, const struct result *result);
void words_aims(char *text, size_t size, const struct result *result);

/* A warning that the machine was busy before the run, or "". */
void words_load(char *text, size_t size, const struct result *result);

/* Against one other peer: < 0 ahead, 0 level, > 0 behind. */
int words_order(const struct interval *ratio);

/* "met", "missed by 0.04", "cannot tell" */
void words_aim(char *text, size_t size, const struct result_scenario *scenario,
	       const struct result_peer *peer);

/* "sluice 14.2 MB (aim 20.0 MB: met), libuv 19.6 MB": memory that each peer has had at most, or "" */
void words_peak(char *text, size_t size, const struct result_scenario *scenario);

/* "time", "CPU time" */
const char *words_metric(enum metric metric);

/* The headline metric: "time a record", "p99 latency" */
void words_headline(char *text, size_t size, const struct result_scenario *scenario);

#endif
