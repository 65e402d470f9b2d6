/* SPDX-License-Identifier: MIT */
#include "pair.h"

#include <err.h>
#include <sys/resource.h>
#include <time.h>

static uint64_t wall_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t timeval_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_usec * 1000;
}

static uint64_t cpu_clock_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		err(1, "getrusage");
	return timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

static struct pair_sample measure(struct side *side, uint64_t times)
{
	/* What the turn before left in the sockets is not on this one's account. */
	const struct timespec pause = {.tv_nsec = 1000000};
	uint64_t wall, cpu, calls;

	nanosleep(&pause, NULL);
	/* Nor that the caches are full of the other side's things. */
	side->run(side, 1);
	calls = side->system_calls(side);
	cpu = cpu_clock_ns();
	wall = wall_clock_ns();
	side->run(side, times);
	return (struct pair_sample){.wall_ns = wall_clock_ns() - wall,
				    .cpu_ns = cpu_clock_ns() - cpu,
				    .system_calls = side->system_calls(side) - calls};
}

/* How often the load fits into a slice. Warms the side up, too. */
static uint64_t calibrate(struct side *side, uint64_t slice_ns)
{
	uint64_t times = 1;

	for (;;) {
		uint64_t wall_ns = measure(side, times).wall_ns;

		if (wall_ns >= slice_ns / 4) {
			times = times * slice_ns / wall_ns;
			return times > 0 ? times : 1;
		}
		times *= 2;
	}
}

static double median_of(const struct pair_result *result, int side,
			uint64_t (*value)(const struct pair_sample *sample))
{
	double samples[PAIR_ROUNDS_MAX];

	for (size_t i = 0; i < result->rounds; i++)
		samples[i] = (double)value(&result->samples[i][side]);
	return interval_of(samples, result->rounds).median / (double)result->times;
}

static struct interval ratio_of(const struct pair_result *result,
				uint64_t (*value)(const struct pair_sample *sample))
{
	double samples[PAIR_ROUNDS_MAX];

	for (size_t i = 0; i < result->rounds; i++)
		samples[i] = (double)value(&result->samples[i][PAIR_OURS]) /
			     (double)value(&result->samples[i][PAIR_BASELINE]);
	return interval_of(samples, result->rounds);
}

static uint64_t wall_ns(const struct pair_sample *sample)
{
	return sample->wall_ns;
}

static uint64_t cpu_ns(const struct pair_sample *sample)
{
	return sample->cpu_ns;
}

static uint64_t system_calls(const struct pair_sample *sample)
{
	return sample->system_calls;
}

void pair_measure(struct side *const sides[PAIR_SIDES], const struct pair_method *method,
		  struct pair_result *result)
{
	uint64_t times = calibrate(sides[PAIR_BASELINE], method->slice_ns);

	/* The first sitting's calibration stands, but every side is warmed up. */
	if (result->times == 0)
		result->times = times;
	measure(sides[PAIR_OURS], result->times);

	for (size_t i = 0; i < method->rounds; i++) {
		for (int side = 0; side < PAIR_SIDES; side++)
			result->samples[result->rounds][side] = measure(sides[side], result->times);
		result->rounds++;
	}
}

void pair_evaluate(struct pair_result *result)
{
	result->wall_ratio = ratio_of(result, wall_ns);
	result->cpu_ratio = ratio_of(result, cpu_ns);
	for (int side = 0; side < PAIR_SIDES; side++) {
		result->wall_ns[side] = median_of(result, side, wall_ns);
		result->cpu_ns[side] = median_of(result, side, cpu_ns);
		result->system_calls[side] = median_of(result, side, system_calls);
	}
}
