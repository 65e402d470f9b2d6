/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "reader.h"
#include "writer.h"

/* What this layout is called; another one gets another number. */
#define FORMAT 1

static void write_interval(struct json *json, const char *key, const struct interval *interval)
{
	json_open(json, key, '{');
	json_number(json, "median", interval->median);
	json_number(json, "low", interval->low);
	json_number(json, "high", interval->high);
	json_number(json, "confidence", interval->confidence);
	json_close(json, '}');
}

static void write_metric(struct json *json, const struct result_peer *peer, enum metric metric,
			 double *scratch)
{
	for (size_t i = 0; i < peer->count; i++)
		scratch[i] = peer->samples[i].ns[metric];
	json_open(json, metric_name(metric), '{');
	write_interval(json, "ns", &peer->cost[metric]);
	write_interval(json, "ratio", &peer->ratio[metric]);
	json_numbers(json, "samples_ns", scratch, peer->count);
	json_close(json, '}');
}

static void write_points(struct json *json, const struct result_peer *peer)
{
	json_open(json, "latency", '[');
	for (size_t i = 0; i < peer->point_count; i++) {
		const double point[] = {peer->points[i].percent, peer->points[i].ns};

		json_numbers(json, NULL, point, 2);
	}
	json_close(json, ']');
}

static void write_peer(struct json *json, const struct result_peer *peer)
{
	double *scratch = calloc(peer->count + 1, sizeof(*scratch));

	if (scratch == NULL)
		return;
	json_open(json, NULL, '{');
	json_string(json, "name", peer->name);
	json_string(json, "title", peer->title);
	if (*peer->note)
		json_string(json, "note", peer->note);
	if (peer->aim > 0)
		json_number(json, "aim", peer->aim);
	json_number(json, "operations_per_sample", peer->operations);
	if (peer->system_calls >= 0)
		json_number(json, "system_calls", peer->system_calls);
	for (int metric = 0; metric < METRICS; metric++) {
		if (peer->cost[metric].high > 0)
			write_metric(json, peer, (enum metric)metric, scratch);
	}
	if (peer->point_count > 0)
		write_points(json, peer);
	json_close(json, '}');
	free(scratch);
}

static void write_missing(struct json *json, const struct result_missing_list *list)
{
	json_open(json, "missing", '[');
	for (size_t i = 0; i < list->count; i++) {
		json_open(json, NULL, '{');
		json_string(json, "name", list->all[i].name);
		json_string(json, "reason", list->all[i].reason);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void write_judged(struct json *json, unsigned judged)
{
	json_open(json, "judged", '[');
	for (int metric = 0; metric < METRICS; metric++) {
		if (judged & METRIC_BIT(metric))
			json_string(json, NULL, metric_name((enum metric)metric));
	}
	json_close(json, ']');
}

static void write_scenario(struct json *json, const struct result_scenario *scenario)
{
	json_open(json, NULL, '{');
	json_string(json, "name", scenario->name);
	json_string(json, "title", scenario->title);
	json_string(json, "unit", scenario->unit);
	if (*scenario->family) {
		json_string(json, "family", scenario->family);
		json_number(json, "x", scenario->x);
	}
	json_string(json, "receiver", scenario->receiver);
	json_string(json, "headline", metric_name(scenario->headline));
	write_judged(json, scenario->judged);
	json_open(json, "peers", '[');
	for (size_t i = 0; i < scenario->peer_count; i++)
		write_peer(json, &scenario->peers[i]);
	json_close(json, ']');
	write_missing(json, &scenario->missing);
	json_close(json, '}');
}

static void write_head(struct json *json, const struct result *result)
{
	json_integer(json, "sluice_bench", FORMAT);
	json_open(json, "conditions", '{');
	for (size_t i = 0; i < result->conditions.count; i++)
		json_string(json, result->conditions.all[i].name, result->conditions.all[i].value);
	json_close(json, '}');
	json_open(json, "method", '{');
	json_number(json, "sittings", result->method.sittings);
	json_number(json, "rounds", result->method.rounds);
	json_number(json, "slice_ns", result->method.slice_ns);
	json_number(json, "nap_us", result->method.nap_us);
	json_integer(json, "against_itself", result->method.against_itself);
	json_close(json, '}');
}

void result_write(const struct result *result, FILE *file)
{
	struct json json = {.file = file};

	json_open(&json, NULL, '{');
	write_head(&json, result);
	json_open(&json, "scenarios", '[');
	for (size_t i = 0; i < result->scenario_count; i++)
		write_scenario(&json, &result->scenarios[i]);
	json_close(&json, ']');
	write_missing(&json, &result->missing);
	json_close(&json, '}');
}

#define COPY(member, text) snprintf(member, sizeof(member), "%s", text)

/* Far beyond what a run can measure, and far from where sums and ratios overflow. */
#define NUMBER_MAX 1e18

static bool is_number(const struct reader_value *value)
{
	return value != NULL && value->type == READER_NUMBER && value->number >= 0 &&
	       value->number <= NUMBER_MAX;
}

/* A number of the object, from least on, as is the fallback or not; whether it is one. */
static bool read_number(const struct reader_value *from, const char *key, double fallback,
			double least, double *ret_number)
{
	if (reader_get(from, key) == NULL) {
		*ret_number = fallback;
		return true;
	}
	*ret_number = reader_number(from, key, -1);
	return is_number(reader_get(from, key)) && *ret_number >= least;
}

static bool metric_of(const char *name, enum metric *ret_metric)
{
	for (int metric = 0; metric < METRICS; metric++) {
		if (strcmp(name, metric_name((enum metric)metric)) == 0) {
			*ret_metric = (enum metric)metric;
			return true;
		}
	}
	return false;
}

/* Of all metrics that are there the same number of samples. */
static bool read_samples(const struct reader_value *from, struct result_peer *peer)
{
	for (int metric = 0; metric < METRICS; metric++) {
		const struct reader_value *object =
			reader_get(from, metric_name((enum metric)metric));
		const struct reader_value *number = reader_first(object, "samples_ns");
		size_t count = 0;

		for (; number != NULL; number = number->next, count++) {
			const struct result_sample nothing = {0};

			if (!is_number(number) || (metric > 0 && count >= peer->count))
				return false;
			if (metric == 0)
				result_add_sample(peer, &nothing);
			peer->samples[count].ns[metric] = number->number;
		}
		if (object != NULL && count != peer->count)
			return false;
	}
	return true;
}

static bool read_points(const struct reader_value *from, struct result_peer *peer)
{
	const struct reader_value *point = reader_first(from, "latency");

	for (; point != NULL && peer->point_count < RESULT_POINTS; point = point->next) {
		const struct reader_value *percent = point->first;

		if (!is_number(percent) || !is_number(percent->next))
			return false;
		peer->points[peer->point_count++] =
			(struct result_point){percent->number, percent->next->number};
	}
	return point == NULL;
}

static bool read_peer(const struct reader_value *from, struct result_peer *peer)
{
	COPY(peer->name, reader_string(from, "name", ""));
	COPY(peer->title, reader_string(from, "title", peer->name));
	COPY(peer->note, reader_string(from, "note", ""));
	return *peer->name && read_number(from, "aim", 0, 0, &peer->aim) &&
	       read_number(from, "operations_per_sample", 1, 1, &peer->operations) &&
	       read_number(from, "system_calls", -1, 0, &peer->system_calls) &&
	       read_samples(from, peer) && read_points(from, peer);
}

static void read_missing(const struct reader_value *from, struct result_missing_list *list)
{
	const struct reader_value *missing = reader_first(from, "missing");

	for (; missing != NULL; missing = missing->next)
		result_add_missing(list, reader_string(missing, "name", "?"),
				   reader_string(missing, "reason", "?"));
}

static bool read_metrics(const struct reader_value *from, struct result_scenario *scenario)
{
	const struct reader_value *judged = reader_first(from, "judged");
	enum metric metric;

	for (; judged != NULL; judged = judged->next) {
		if (judged->type != READER_STRING || !metric_of(judged->string, &metric))
			return false;
		scenario->judged |= METRIC_BIT(metric);
	}
	return metric_of(reader_string(from, "headline", "wall"), &scenario->headline);
}

static bool read_scenario(const struct reader_value *from, struct result_scenario *scenario)
{
	const struct reader_value *peer = reader_first(from, "peers");

	COPY(scenario->name, reader_string(from, "name", ""));
	COPY(scenario->title, reader_string(from, "title", scenario->name));
	COPY(scenario->unit, reader_string(from, "unit", "operation"));
	COPY(scenario->family, reader_string(from, "family", ""));
	COPY(scenario->receiver, reader_string(from, "receiver", ""));
	if (!*scenario->name || !read_number(from, "x", 0, 0, &scenario->x) ||
	    !read_metrics(from, scenario))
		return false;
	for (; peer != NULL; peer = peer->next) {
		if (!read_peer(peer, result_add_peer(scenario)))
			return false;
	}
	read_missing(from, &scenario->missing);
	result_evaluate(scenario);
	return true;
}

static bool read_head(const struct reader_value *root, struct result *result)
{
	const struct reader_value *condition = reader_first(root, "conditions");
	const struct reader_value *method = reader_get(root, "method");
	struct result_method *to = &result->method;

	for (; condition != NULL; condition = condition->next) {
		if (condition->type == READER_STRING && condition->key != NULL)
			conditions_add(&result->conditions, condition->key, "%s",
				       condition->string);
	}
	to->against_itself = reader_number(method, "against_itself", 0) != 0;
	return read_number(method, "sittings", 0, 0, &to->sittings) &&
	       read_number(method, "rounds", 0, 0, &to->rounds) &&
	       read_number(method, "slice_ns", 0, 0, &to->slice_ns) &&
	       read_number(method, "nap_us", 0, 0, &to->nap_us);
}

static const char *read_all(const struct reader_value *root, struct result *result)
{
	const struct reader_value *scenario = reader_first(root, "scenarios");

	if (reader_number(root, "sluice_bench", 0) != FORMAT)
		return "not a result of this version of sluice bench";
	if (!read_head(root, result))
		return "its method makes no sense";
	for (; scenario != NULL; scenario = scenario->next) {
		if (!read_scenario(scenario, result_add_scenario(result)))
			return "a scenario in it is incomplete";
	}
	read_missing(root, &result->missing);
	return NULL;
}

const char *result_read(char *text, struct result *result)
{
	struct reader reader;
	const char *error;

	*result = (struct result){0};
	if (reader_read(&reader, text))
		error = read_all(reader.root, result);
	else
		error = reader.error;
	reader_free(&reader);
	if (error != NULL)
		result_free(result);
	return error;
}
