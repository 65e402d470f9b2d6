/* SPDX-License-Identifier: MIT */
#include "report/result.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Appends a zeroed element to an array; arrays grow at powers of two. */
static void *grow(void *array, size_t count, size_t bytes)
{
	if ((count & (count - 1)) == 0) {
		array = realloc(array, (count ? 2 * count : 1) * bytes);
		if (array == NULL)
			err(1, "out of memory");
	}
	memset((char *)array + count * bytes, 0, bytes);
	return array;
}

struct result_scenario *result_add_scenario(struct result *result)
{
	result->scenarios =
		grow(result->scenarios, result->scenario_count, sizeof(*result->scenarios));
	return &result->scenarios[result->scenario_count++];
}

struct result_peer *result_add_peer(struct result_scenario *scenario)
{
	scenario->peers = grow(scenario->peers, scenario->peer_count, sizeof(*scenario->peers));
	return &scenario->peers[scenario->peer_count++];
}

void result_add_sample(struct result_peer *peer, const struct result_sample *sample)
{
	peer->samples = grow(peer->samples, peer->count, sizeof(*peer->samples));
	peer->samples[peer->count++] = *sample;
}

void result_add_missing(struct result_missing_list *list, const char *name, const char *reason)
{
	struct result_missing *missing;

	list->all = grow(list->all, list->count, sizeof(*list->all));
	missing = &list->all[list->count++];
	snprintf(missing->name, sizeof(missing->name), "%s", name);
	snprintf(missing->reason, sizeof(missing->reason), "%s", reason);
}

static struct interval cost_of(const struct result_peer *peer, enum metric metric, double *scratch)
{
	double operations = metric_is_latency(metric) ? 1 : peer->operations;

	for (size_t i = 0; i < peer->count; i++)
		scratch[i] = peer->samples[i].ns[metric] / operations;
	return interval_of(scratch, peer->count);
}

/* A turn in which a clock did not advance means nothing. */
static struct interval ratio_of(const struct result_peer *ours, const struct result_peer *peer,
				enum metric metric, double *scratch)
{
	bool per_operation = !metric_is_latency(metric);
	double scale = per_operation ? peer->operations / ours->operations : 1;
	size_t count = 0;

	for (size_t i = 0; i < peer->count; i++) {
		double theirs = peer->samples[i].ns[metric];

		if (theirs > 0)
			scratch[count++] = ours->samples[i].ns[metric] / theirs * scale;
	}
	return count > 0 ? interval_of(scratch, count) : (struct interval){0};
}

static void evaluate(const struct result_peer *ours, struct result_peer *peer)
{
	double *scratch = calloc(peer->count, sizeof(*scratch));

	if (scratch == NULL)
		err(1, "out of memory");
	for (int metric = 0; metric < METRICS; metric++) {
		peer->cost[metric] = cost_of(peer, (enum metric)metric, scratch);
		peer->ratio[metric] = ratio_of(ours, peer, (enum metric)metric, scratch);
	}
	free(scratch);
}

static bool is_sound(const struct result_peer *ours, const struct result_peer *peer)
{
	return ours->operations > 0 && peer->operations > 0 && peer->count > 0 &&
	       peer->count == ours->count;
}

void result_evaluate(struct result_scenario *scenario)
{
	size_t kept = 0;

	for (size_t i = 0; i < scenario->peer_count; i++) {
		struct result_peer *peer = &scenario->peers[i];

		if (!is_sound(&scenario->peers[0], peer)) {
			free(peer->samples);
			continue;
		}
		evaluate(&scenario->peers[0], peer);
		if (kept != i)
			scenario->peers[kept] = *peer;
		kept++;
	}
	scenario->peer_count = kept;
}

const char *metric_name(enum metric metric)
{
	static const char *const names[METRICS] = {"wall", "cpu", "p99", "p999"};

	return names[metric];
}

static enum outcome outcome_of(const struct interval *ratio, double aim)
{
	if (ratio->confidence < RESULT_CONFIDENCE)
		return OUTCOME_CANNOT_TELL;
	return ratio->high <= aim ? OUTCOME_MET
	       : ratio->low > aim ? OUTCOME_MISSED
				  : OUTCOME_CANNOT_TELL;
}

double result_aim(const struct result_peer *peer, enum metric metric)
{
	return metric_is_latency(metric) && peer->latency_aim > 0 ? peer->latency_aim : peer->aim;
}

double result_latency(const struct result_peer *peer, double percent)
{
	for (size_t i = 0; i < peer->point_count; i++) {
		if (peer->points[i].percent == percent)
			return peer->points[i].ns;
	}
	return 0;
}

enum outcome result_outcome(const struct result_scenario *scenario, const struct result_peer *peer)
{
	enum outcome worst = OUTCOME_MET;

	if (peer->aim <= 0)
		return OUTCOME_NO_AIM;
	for (int metric = 0; metric < METRICS; metric++) {
		enum outcome outcome =
			outcome_of(&peer->ratio[metric], result_aim(peer, (enum metric)metric));

		if ((scenario->judged & METRIC_BIT(metric)) && outcome > worst)
			worst = outcome;
	}
	return worst;
}

const struct result_scenario *result_find(const struct result *result, const char *name)
{
	for (size_t i = 0; i < result->scenario_count; i++) {
		if (strcmp(result->scenarios[i].name, name) == 0)
			return &result->scenarios[i];
	}
	return NULL;
}

const struct result_peer *result_find_peer(const struct result_scenario *scenario, const char *name)
{
	for (size_t i = 0; i < scenario->peer_count; i++) {
		if (strcmp(scenario->peers[i].name, name) == 0)
			return &scenario->peers[i];
	}
	return NULL;
}

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

enum kind result_kind(const struct result_peer *peer)
{
	static const char alone[] = "-alone";
	static const struct {
		const char *prefix;
		enum kind kind;
	} prefixes[] = {
		{"sluice", KIND_OURS},    {"libuv", KIND_LIBRARY}, {"asio", KIND_LIBRARY},
		{"dotnet", KIND_LIBRARY}, {"nginx", KIND_SERVER},  {"lighttpd", KIND_SERVER},
		{"kestrel", KIND_SERVER},
	};
	size_t length = strlen(peer->name);

	if (length > strlen(alone) && strcmp(peer->name + length - strlen(alone), alone) == 0)
		return KIND_CONTEXT;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (has_prefix(peer->name, prefixes[i].prefix))
			return prefixes[i].kind;
	}
	return KIND_HAND;
}

const char *kind_name(enum kind kind)
{
	static const char *const names[KINDS] = {"ours", "context", "hand", "library", "server"};

	return names[kind];
}

bool result_is_foreign(const struct result_peer *peer)
{
	return result_kind(peer) >= KIND_HAND;
}

static void free_scenario(struct result_scenario *scenario)
{
	for (size_t i = 0; i < scenario->peer_count; i++)
		free(scenario->peers[i].samples);
	free(scenario->peers);
	free(scenario->missing.all);
}

void result_remove_scenario(struct result *result, size_t index)
{
	free_scenario(&result->scenarios[index]);
	result->scenario_count--;
	memmove(&result->scenarios[index], &result->scenarios[index + 1],
		(result->scenario_count - index) * sizeof(*result->scenarios));
}

void result_free(struct result *result)
{
	for (size_t i = 0; i < result->scenario_count; i++)
		free_scenario(&result->scenarios[i]);
	free(result->scenarios);
	free(result->missing.all);
	*result = (struct result){0};
}
