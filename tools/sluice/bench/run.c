/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/cpus.h"
#include "harness/file.h"
#include "peers/peers.h"
#include "progress.h"

/* For descriptors other than the load's sockets: rings, epolls, files, pipes. */
#define DESCRIPTORS_RESERVED 64

/* sluice again, to measure the method itself. */
static struct peer ours_again(const struct peer *ours)
{
	struct peer again = *ours;

	again.name = "sluice-again";
	again.title = "sluice, once more";
	return again;
}

struct field {
	struct contender contenders[MEASURE_MAX];
	size_t count;
};

const char *run_lacks(const struct peer *peer, const struct load *load)
{
	return peer->lacks != NULL ? peer->lacks(load) : NULL;
}

static bool suits(const struct peer *peer, const struct load *load)
{
	return (peer->loads & LOADS(load->kind)) && (peer->suits == NULL || peer->suits(load));
}

static void choose(const struct settings *settings, const struct load *load, struct field *field,
		   struct result_missing_list *missing)
{
	const struct peer *ours = peers_reference(load->kind);
	static struct peer again;

	field->contenders[field->count++].peer = ours;
	if (settings->against_itself) {
		again = ours_again(ours);
		field->contenders[field->count++].peer = &again;
		return;
	}
	for (size_t i = 0; peers[i] != NULL; i++) {
		const char *reason;

		if (peers[i] == ours || !settings_want_peer(settings, peers[i]) ||
		    !suits(peers[i], load))
			continue;
		reason = run_lacks(peers[i], load);
		if (reason != NULL)
			result_add_missing(missing, peers[i]->name, reason);
		else if (field->count < MEASURE_MAX)
			field->contenders[field->count++].peer = peers[i];
	}
}

/* Why this machine is too small for the load, in text; or NULL. */
static const char *lacks(const struct run *run, const struct load *load, char *reason, size_t size)
{
	int cpus[CPUS_MAX];
	size_t cores = cpus_list(cpus);

	/* Sender and receiver are separate processes, but have the same limit. */
	if (load->sockets + DESCRIPTORS_RESERVED > run->descriptors)
		snprintf(reason, size,
			 "needs more than the %zu descriptors that a process may have (ulimit -n)",
			 run->descriptors);
	else if (load->engines > cores)
		snprintf(reason, size, "needs %zu cores, and there %s", load->engines,
			 cores > 1 ? "are fewer" : "is one");
	else
		return NULL;
	return reason;
}

/* Runs all sessions; whether sluice succeeded. */
static bool sit(const struct run *run, const struct scenario *scenario, const struct load *load,
		struct field *field)
{
	const struct settings *settings = run->settings;
	struct contender *contenders[MEASURE_MAX];
	struct method method = settings->method;

	if (scenario->slice_factor > 0)
		method.slice_ns *= scenario->slice_factor;
	if (scenario->sessions > 0 && method.sessions > scenario->sessions)
		method.sessions = scenario->sessions;
	for (size_t i = 0; i < field->count; i++)
		contenders[i] = &field->contenders[i];
	for (size_t session = 0; session < method.sessions; session++) {
		progress_session(scenario->name, session + 1, method.sessions);
		if (!measure_session(contenders, field->count, load, &method, &settings->place))
			return false;
	}
	return true;
}

static void describe(const struct scenario *scenario, const struct load *load,
		     struct result_scenario *to)
{
	int cpus[CPUS_MAX];

	snprintf(to->name, sizeof(to->name), "%s", scenario->name);
	snprintf(to->title, sizeof(to->title), "%s", scenario->title);
	snprintf(to->unit, sizeof(to->unit), "%s", scenario->unit);
	if (scenario->family != NULL)
		snprintf(to->family, sizeof(to->family), "%s", scenario->family);
	snprintf(to->receiver, sizeof(to->receiver), "%s%s", receiver_name(load->receiver_mode),
		 2 * load->engines > cpus_list(cpus) ? ", shares cores" : "");
	to->x = scenario->x;
	to->headline = METRIC_CPU;
	to->judged = METRIC_BIT(METRIC_CPU);
	/* If the other side limits the speed, or shares the core, time means nothing. */
	if (load->kind == LOAD_BACKGROUND) {
		to->headline = METRIC_P99;
		to->judged = METRIC_BIT(METRIC_P99);
	} else if (load->wait_budget_ns > 0 || load->kind == LOAD_FAN_OUT) {
		/* Only CPU time: the latency is its price; the receiver is as busy as the sender. */
	} else if (load_is_asked(load->kind) || load->paced) {
		to->judged |= METRIC_BIT(METRIC_P99) | METRIC_BIT(METRIC_P999);
	} else if (load->kind != LOAD_HTTP && load->kind != LOAD_ENGINES &&
		   load->receiver_mode != RECEIVER_SLOW) {
		to->headline = METRIC_WALL;
		to->judged |= METRIC_BIT(METRIC_WALL);
	}
}

static void note_background(const struct contender *contender, struct result_peer *peer)
{
	double parts = 0, ns = 0;

	for (size_t i = 0; i < contender->count; i++) {
		parts += (double)contender->samples[i].background;
		ns += (double)contender->samples[i].wall_ns;
	}
	if (parts > 0)
		snprintf(peer->note, sizeof(peer->note), "%.0f files a second beside it",
			 parts / ns * 1e9);
}

static void take_latencies(const struct histogram *latencies, struct result_peer *peer)
{
	static const double percents[] = {0,  25,   50,   75,   90,    95,    98,
					  99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99};

	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		/* At least one request must be slower. */
		if ((double)latencies->count * (100 - percents[i]) < 100)
			break;
		peer->points[peer->point_count++] = (struct result_point){
			percents[i], (double)histogram_percentile(latencies, percents[i])};
	}
}

static void set_aim(const struct scenario *scenario, struct result_peer *peer, bool expensive_calls)
{
	const struct aim *aim = scenario_aim(scenario, peer->name);

	if (aim == NULL)
		return;
	peer->aim = expensive_calls && aim->expensive_ratio > 0 ? aim->expensive_ratio : aim->ratio;
	peer->latency_aim = aim->latency_ratio;
}

static void take_over(const struct scenario *scenario, const struct contender *contender,
		      struct result_scenario *to, bool expensive_calls)
{
	size_t operations = scenario->operations > 0 ? scenario->operations
						     : scenario->load.records;
	struct result_peer *peer = result_add_peer(to);

	snprintf(peer->name, sizeof(peer->name), "%s", contender->peer->name);
	snprintf(peer->title, sizeof(peer->title), "%s", contender->peer->title);
	set_aim(scenario, peer, expensive_calls);
	if (contender->peer == peers_reference(scenario->load.kind))
		peer->peak_aim = (double)scenario->peak_aim_bytes;
	peer->operations = (double)contender->order.times * (double)operations;
	peer->system_calls = contender->calls < 0 ? -1 : contender->calls / (double)operations;
	for (size_t i = 0; i < contender->count; i++) {
		const struct result_sample sample = {
			.ns = {[METRIC_WALL] = (double)contender->samples[i].wall_ns,
			       [METRIC_CPU] = (double)contender->samples[i].cpu_ns,
			       [METRIC_P99] = (double)contender->samples[i].p99_ns,
			       [METRIC_P999] = (double)contender->samples[i].p999_ns}};

		result_add_sample(peer, &sample);
		peer->peak_bytes = fmax(peer->peak_bytes, (double)contender->samples[i].peak_bytes);
		if (contender->samples[i].copied)
			snprintf(peer->note, sizeof(peer->note),
				 "the kernel copied all the same, as it does on loopback");
	}
	note_background(contender, peer);
	if (contender->latencies != NULL)
		take_latencies(contender->latencies, peer);
}

/* If blocking on the disk harms no peer, not blocking is no advantage. */
static void note_fast_disk(struct result_scenario *to)
{
	const struct result_peer *blocks = result_find_peer(to, "epoll");
	const struct result_peer *alone = result_find_peer(to, "epoll-alone");
	char *note = to->peers[0].note;
	size_t length = strlen(note);

	if (blocks != NULL && alone != NULL &&
	    blocks->cost[METRIC_P99].median <= 1.2 * alone->cost[METRIC_P99].median)
		snprintf(note + length, sizeof(to->peers[0].note) - length,
			 "%sthe disk is too fast, or the machine too busy, to tell",
			 length > 0 ? "; " : "");
}

/* A peer that failed is removed; its rounds until then are no comparison. */
static void take_all(const struct scenario *scenario, struct field *field,
		     struct result_scenario *to, bool expensive_calls)
{
	for (size_t i = 0; i < field->count; i++) {
		struct contender *contender = &field->contenders[i];

		if (contender->worker.failed[0])
			result_add_missing(&to->missing, contender->peer->name,
					   contender->worker.failed);
		else
			take_over(scenario, contender, to, expensive_calls);
		measure_forget(contender);
	}
	result_evaluate(to);
	if (scenario->load.kind == LOAD_BACKGROUND && to->peer_count > 0)
		note_fast_disk(to);
}

/* Fills in the load's files and receivers; the reason if that failed, or 0. */
static int prepare(const struct run *run, struct load *load)
{
	load->options = &run->settings->options;
	load->file_fd = -1;
	load->directory = run->settings->directory;
	if (load->file_bytes > 0 && load->kind != LOAD_HTTP) {
		load->file_fd = file_make(run->settings->directory, load->file_bytes);
		return load->file_fd < 0 ? load->file_fd : 0;
	}
	return 0;
}

static bool has_expensive_calls(const struct conditions *conditions)
{
	return strtod(conditions_value(conditions, "system_call_ns"), NULL) >= EXPENSIVE_CALL_NS;
}

static void measure(const struct run *run, const struct scenario *scenario, const struct load *load,
		    struct result *result)
{
	static struct field field; /* large for a stack */
	struct result_scenario *to = result_add_scenario(result);
	char reason[160];

	field = (struct field){0};
	describe(scenario, load, to);
	choose(run->settings, load, &field, &to->missing);
	if (!sit(run, scenario, load, &field)) {
		snprintf(reason, sizeof(reason), "sluice failed: %s",
			 field.contenders[0].worker.failed);
		result_add_missing(&result->missing, scenario->name, reason);
		for (size_t i = 0; i < field.count; i++)
			measure_forget(&field.contenders[i]);
		field.count = 0;
	}
	if (load_is_paced(load))
		snprintf(to->receiver, sizeof(to->receiver), "asks every %.1f us",
			 (double)field.contenders[0].order.interval_ns / 1e3);
	take_all(scenario, &field, to, has_expensive_calls(&result->conditions));
}

void run_scenario(const struct run *run, const struct scenario *scenario, struct result *result)
{
	struct load load = scenario->load;
	char reason[160];
	int error;

	if (lacks(run, &load, reason, sizeof(reason))) {
		result_add_missing(&result->missing, scenario->name, reason);
		return;
	}
	error = prepare(run, &load);
	if (error == 0 && load.cold && file_stays_hot(load.directory, load.file_fd)) {
		snprintf(reason, sizeof(reason), "files in %s stay in memory: another --directory?",
			 load.directory);
		result_add_missing(&result->missing, scenario->name, reason);
	} else if (error == 0) {
		measure(run, scenario, &load, result);
	} else {
		snprintf(reason, sizeof(reason), "cannot create a file in %s: %s",
			 run->settings->directory, strerror(-error));
		result_add_missing(&result->missing, scenario->name, reason);
	}
	if (load.file_fd >= 0)
		close(load.file_fd);
}
