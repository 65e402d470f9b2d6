/* SPDX-License-Identifier: MIT */
/* The median of a few samples, and how sure one may be of it. Pure: no clock, no kernel. */
#ifndef BENCH_HARNESS_INTERVAL_H
#define BENCH_HARNESS_INTERVAL_H

#include <stddef.h>

/*
 * The interval holds the true median with the given probability whatever the samples' distribution
 * is: its ends are two of the samples, chosen by counting how often fewer than k of n tosses of a
 * coin show heads. Seven samples are enough for 98 %, from min to max.
 */
struct interval {
	double median;
	double low;
	double high;
	double confidence; /* 0.95 or better if there are 6 samples, else of min to max */
};

/* Sorts the samples, of which there is one at least. */
struct interval interval_of(double *samples, size_t count);

/* The same with another confidence than 0.95. */
struct interval interval_at(double *samples, size_t count, double confidence);

#endif
