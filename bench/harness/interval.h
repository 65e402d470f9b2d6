/* SPDX-License-Identifier: MIT */
/* The median of a few samples, and its confidence interval. Pure: no clock, no kernel. */
#ifndef BENCH_HARNESS_INTERVAL_H
#define BENCH_HARNESS_INTERVAL_H

#include <stddef.h>

/*
 * The interval contains the true median with the given probability for any distribution of the
 * samples: its ends are two of the samples, chosen by the binomial distribution. Seven samples are
 * enough for 98 %, from min to max.
 */
struct interval {
	double median;
	double low;
	double high;
	double confidence; /* 0.95 or better if there are 6 samples, else of min to max */
};

/* Sorts the samples, of which there must be at least one. */
struct interval interval_of(double *samples, size_t count);

/* The same with another confidence than 0.95. */
struct interval interval_at(double *samples, size_t count, double confidence);

#endif
