/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <err.h>
#include <stdlib.h>

static bool is_there(const struct contender *contender)
{
	return contender->host.failed[0] == '\0';
}

/* How often the load fits into a slice. Warms the side up, too. */
static void calibrate(struct contender *contender, uint64_t slice_ns)
{
	struct sample sample;
	uint64_t times = 1;

	while (host_measure(&contender->host, times, &sample)) {
		if (sample.wall_ns >= slice_ns / 4) {
			times = times * slice_ns / sample.wall_ns;
			contender->times = times > 0 ? times : 1;
			return;
		}
		times *= 2;
	}
}

/* The first sitting's calibration stands, but every side is warmed up. */
static void warm_up(struct contender *contender, const struct method *method)
{
	struct sample sample;

	if (contender->times == 0)
		calibrate(contender, method->slice_ns);
	else
		host_measure(&contender->host, contender->times, &sample);
}

static void add_sample(struct contender *contender)
{
	struct sample *sample;

	contender->samples =
		realloc(contender->samples, (contender->count + 1) * sizeof(*contender->samples));
	if (!contender->samples)
		err(1, "out of memory");
	sample = &contender->samples[contender->count];
	if (host_measure(&contender->host, contender->times, sample))
		contender->count++;
}

/* The kernel's memory favours some of the first and the last, so they take turns. */
static void start(struct contender *const *contenders, size_t count, const struct load *load,
		  const struct method *method, const struct place *place)
{
	size_t first = contenders[0]->count / method->rounds;

	for (size_t i = 0; i < count; i++) {
		struct contender *contender = contenders[(first + i) % count];
		struct place its = *place;

		if (contender != contenders[0])
			its.spin_percent = 0;
		if (is_there(contender) &&
		    host_start(&contender->host, contender->peer, load, &its))
			warm_up(contender, method);
	}
}

bool measure_sitting(struct contender *const *contenders, size_t count, const struct load *load,
		     const struct method *method, const struct place *place)
{
	start(contenders, count, load, method, place);
	for (size_t round = 0; round < method->rounds; round++) {
		for (size_t i = 0; i < count && is_there(contenders[0]); i++) {
			if (is_there(contenders[i]))
				add_sample(contenders[i]);
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (contenders[i]->host.fd > 0) {
			host_stop(&contenders[i]->host);
			contenders[i]->host.fd = 0;
		}
	}
	return is_there(contenders[0]);
}

void measure_forget(struct contender *contender)
{
	free(contender->samples);
	contender->samples = NULL;
	contender->count = 0;
}
