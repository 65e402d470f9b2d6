/* SPDX-License-Identifier: MIT */
#include "harness/measure.h"

#include <err.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Answers by which the speed of sluice is measured. */
#define ECHO_TRIAL 5000

/*
 * The approximate length of a turn whose system calls are counted; longer if the load would then be
 * done only a few times. So many calls are always enough: one more or less does not matter.
 */
#define WATCHED_NS 10000000
#define WATCHED_NS_MAX 60000000
#define WATCHED_LOADS 8
#define WATCHED_CALLS 2000

/*
 * The approximate slowdown of a call that is counted. The questions of an echo come as much more
 * slowly then, so that as many as before are answered at once.
 */
#define WATCHED_FACTOR 16

static bool is_there(const struct contender *contender)
{
	return contender->worker.failed[0] == '\0';
}

/* Of a few tries, the first of which may be slower. */
static uint64_t least_wall_ns(struct contender *contender, const struct order *order,
			      uint64_t enough_ns)
{
	uint64_t least = UINT64_MAX;
	struct sample sample;

	for (int i = 0; i < 3 && least >= enough_ns; i++) {
		if (!worker_measure(&contender->worker, order, &sample))
			return 0;
		if (sample.wall_ns < least)
			least = sample.wall_ns;
	}
	return least;
}

/* How many loads fit into a slice. Also warms the runner up. */
static void calibrate(struct contender *contender, uint64_t slice_ns)
{
	struct order order = {.times = 1, .trial = true};

	while (is_there(contender)) {
		uint64_t wall_ns = least_wall_ns(contender, &order, slice_ns / 4);

		if (wall_ns >= slice_ns / 4) {
			contender->order.times = order.times * slice_ns / wall_ns;
			if (contender->order.times == 0)
				contender->order.times = 1;
			return;
		}
		order.times *= 2;
	}
}

/*
 * The questions of an echo come at the same rate for all: a quarter of what sluice can answer when
 * it is saturated, which makes each answer cheaper. Thus only a very slow peer falls behind. The
 * rate is measured in CPU time, which is correct even on a busy machine. In a closed loop, all give
 * as many answers as sluice can in a slice.
 */
static void calibrate_echo(struct contender *ours, const struct load *load, uint64_t slice_ns)
{
	const struct order order = {.times = ECHO_TRIAL, .trial = true};
	uint64_t least = UINT64_MAX;
	struct sample sample;

	for (int i = 0; i < 5 && worker_measure(&ours->worker, &order, &sample); i++) {
		if (sample.cpu_ns < least)
			least = sample.cpu_ns;
	}
	if (load_is_paced(load)) {
		ours->order.interval_ns = 4 * least / ECHO_TRIAL + 1;
		ours->order.times = slice_ns / ours->order.interval_ns + 1;
	} else {
		ours->order.times = slice_ns / (least / ECHO_TRIAL + 1) + 1;
	}
}

/* The first session's calibration is kept, but every runner is warmed up. */
static void warm_up(struct contender *contender, const struct contender *ours,
		    const struct load *load, const struct method *method)
{
	struct sample sample;
	struct order trial;

	if (contender->order.times == 0 && load->interval_ns > 0)
		contender->order = (struct order){.times = method->slice_ns / load->interval_ns + 1,
						  .interval_ns = load->interval_ns};
	else if (contender->order.times == 0 && !load_has_latencies(load))
		calibrate(contender, method->slice_ns);
	else if (contender->order.times == 0 && contender == ours)
		calibrate_echo(contender, load, method->slice_ns);
	else if (contender->order.times == 0)
		contender->order = ours->order;
	trial = contender->order;
	trial.trial = true;
	if (contender->worker.process > 0)
		worker_measure(&contender->worker, &trial, &sample);
}

static void add_sample(struct contender *contender)
{
	struct sample *sample;

	contender->samples =
		realloc(contender->samples, (contender->count + 1) * sizeof(*contender->samples));
	if (!contender->samples)
		err(1, "out of memory");
	sample = &contender->samples[contender->count];
	if (worker_measure(&contender->worker, &contender->order, sample))
		contender->count++;
}

/*
 * The placement of memory favours some positions, so the contenders take turns; but the first one
 * decides the loads.
 */
static void start(struct contender *const *contenders, size_t count, const struct load *load,
		  const struct method *method, const struct place *place)
{
	size_t first = contenders[0]->count / method->rounds;

	for (size_t i = 0; i < count; i++) {
		struct contender *contender = contenders[(first + i) % count];
		struct place its = *place;

		if (contender != contenders[0])
			its.spin_percent = 0;
		if (is_there(contender) && worker_start(&contender->worker, contender->peer, load,
							&its, contender->latencies))
			warm_up(contender, contenders[0], load, method);
	}
}

static bool is_enough(const struct order *order, const struct sample *sample)
{
	return sample->wall_ns >= WATCHED_NS_MAX || sample->calls >= WATCHED_CALLS ||
	       (sample->wall_ns >= WATCHED_NS && order->times >= WATCHED_LOADS);
}

/*
 * The system calls of a load, < 0: they cannot be counted. Those of a turn without loads are
 * subtracted. A file that is sent as long as answers are given belongs to none of these.
 */
static double count_calls(struct contender *contender, const struct load *load)
{
	struct worker *worker = &contender->worker;
	struct order order = {.interval_ns = contender->order.interval_ns * WATCHED_FACTOR,
			      .trial = true};
	struct sample none, some;
	double calls;

	if (load->kind == LOAD_BACKGROUND || !worker_watch(worker) ||
	    !worker_measure(worker, &order, &none))
		return -1;
	for (order.times = 1;; order.times *= 4) {
		if (!worker_measure(worker, &order, &some))
			return -1;
		if (is_enough(&order, &some))
			break;
	}
	worker_unwatch(worker);
	calls = (double)(some.calls - some.untimed) - (double)none.calls;
	return calls > 0 ? calls / (double)order.times : 0;
}

/* For the latencies of a load, added by its process. */
static void make_histograms(struct contender *const *contenders, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		void *memory = contenders[i]->latencies;

		if (!memory)
			memory = mmap(NULL, sizeof(struct histogram), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			err(1, "latencies");
		contenders[i]->latencies = memory;
	}
}

/*
 * The successor of a peer whose threads are still awake, or whose memory fills the caches, must not
 * be the same one in each round. The orders are the same in every run.
 */
static void shuffle(size_t *order, size_t count)
{
	static uint32_t state = 1;

	for (size_t i = 0; i < count; i++) {
		size_t other;

		state = state * 1664525 + 1013904223;
		other = (state >> 8) % (i + 1);
		order[i] = order[other];
		order[other] = i;
	}
}

bool measure_session(struct contender *const *contenders, size_t count, const struct load *load,
		     const struct method *method, const struct place *place)
{
	size_t order[MEASURE_MAX];

	if (load_has_latencies(load))
		make_histograms(contenders, count);
	start(contenders, count, load, method, place);
	for (size_t round = 0; round < method->rounds; round++) {
		shuffle(order, count);
		for (size_t i = 0; i < count && is_there(contenders[0]); i++) {
			if (is_there(contenders[order[i]]))
				add_sample(contenders[order[i]]);
		}
	}
	for (size_t i = 0; i < count && contenders[0]->count == method->rounds; i++) {
		if (is_there(contenders[i]))
			contenders[i]->calls = count_calls(contenders[i], load);
	}
	for (size_t i = 0; i < count; i++) {
		if (contenders[i]->worker.fd > 0) {
			worker_stop(&contenders[i]->worker);
			contenders[i]->worker.fd = 0;
		}
	}
	return is_there(contenders[0]);
}

void measure_forget(struct contender *contender)
{
	if (contender->latencies)
		munmap(contender->latencies, sizeof(*contender->latencies));
	contender->latencies = NULL;
	free(contender->samples);
	contender->samples = NULL;
	contender->count = 0;
}
