/* SPDX-License-Identifier: MIT */
#include "harness/interval.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;

	return (a > b) - (a < b);
}

/* The probability of exactly k heads in n tosses. */
static double heads(size_t n, size_t k)
{
	return exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) -
		   (double)n * log(2));
}

/* How many samples may be cut off at each end, and the confidence that remains. */
static size_t cut_off(size_t count, double wanted, double *ret_confidence)
{
	double outside = 2 * heads(count, 0);
	size_t cut = 0;

	while (2 * (cut + 1) < count && outside + 2 * heads(count, cut + 1) <= 1 - wanted) {
		cut++;
		outside += 2 * heads(count, cut);
	}
	*ret_confidence = 1 - outside;
	return cut;
}

struct interval interval_at(double *samples, size_t count, double confidence)
{
	struct interval interval;
	size_t cut = cut_off(count, confidence, &interval.confidence);

	qsort(samples, count, sizeof(*samples), compare);
	interval.median = (samples[(count - 1) / 2] + samples[count / 2]) / 2;
	interval.low = samples[cut];
	interval.high = samples[count - 1 - cut];
	return interval;
}

struct interval interval_of(double *samples, size_t count)
{
	return interval_at(samples, count, 0.95);
}
