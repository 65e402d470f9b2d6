/* SPDX-License-Identifier: MIT */
#include "report/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report/jsonwriter.h"
#include "report/words.h"

/* The name of the format; another format gets another number. */
#define FORMAT 1

static void write_interval(struct json_writer *writer, const char *key,
			   const struct interval *interval)
{
	json_writer_open(writer, key, '{');
	json_writer_number(writer, "median", interval->median);
	json_writer_number(writer, "low", interval->low);
	json_writer_number(writer, "high", interval->high);
	json_writer_number(writer, "confidence", interval->confidence);
	json_writer_close(writer, '}');
}

static void write_metric(struct json_writer *writer, const struct result_peer *peer,
			 enum metric metric, double *scratch)
{
	for (size_t i = 0; i < peer->count; i++)
		scratch[i] = peer->samples[i].ns[metric];
	json_writer_open(writer, metric_name(metric), '{');
	write_interval(writer, "ns", &peer->cost[metric]);
	write_interval(writer, "ratio", &peer->ratio[metric]);
	json_writer_numbers(writer, "samples_ns", scratch, peer->count);
	json_writer_close(writer, '}');
}

static void write_points(struct json_writer *writer, const struct result_peer *peer)
{
	json_writer_open(writer, "latency", '[');
	for (size_t i = 0; i < peer->point_count; i++) {
		const double point[] = {peer->points[i].percent, peer->points[i].ns};

		json_writer_numbers(writer, NULL, point, 2);
	}
	json_writer_close(writer, ']');
}

static void write_peer(struct json_writer *writer, const struct result_peer *peer)
{
	double *scratch = calloc(peer->count + 1, sizeof(*scratch));

	if (scratch == NULL)
		return;
	json_writer_open(writer, NULL, '{');
	json_writer_string(writer, "name", peer->name);
	json_writer_string(writer, "title", peer->title);
	json_writer_string(writer, "kind", kind_name(result_kind(peer)));
	if (*peer->note)
		json_writer_string(writer, "note", peer->note);
	if (peer->aim > 0)
		json_writer_number(writer, "aim", peer->aim);
	if (peer->latency_aim > 0)
		json_writer_number(writer, "latency_aim", peer->latency_aim);
	json_writer_number(writer, "operations_per_sample", peer->operations);
	if (peer->peak_bytes > 0)
		json_writer_number(writer, "peak_bytes", peer->peak_bytes);
	if (peer->peak_aim > 0)
		json_writer_number(writer, "peak_aim", peer->peak_aim);
	if (peer->system_calls >= 0)
		json_writer_number(writer, "system_calls", peer->system_calls);
	for (int metric = 0; metric < METRICS; metric++) {
		if (peer->cost[metric].high > 0)
			write_metric(writer, peer, (enum metric)metric, scratch);
	}
	if (peer->point_count > 0)
		write_points(writer, peer);
	json_writer_close(writer, '}');
	free(scratch);
}

static void write_missing(struct json_writer *writer, const struct result_missing_list *list)
{
	json_writer_open(writer, "missing", '[');
	for (size_t i = 0; i < list->count; i++) {
		json_writer_open(writer, NULL, '{');
		json_writer_string(writer, "name", list->all[i].name);
		json_writer_string(writer, "reason", list->all[i].reason);
		json_writer_close(writer, '}');
	}
	json_writer_close(writer, ']');
}

static void write_judged(struct json_writer *writer, unsigned judged)
{
	json_writer_open(writer, "judged", '[');
	for (int metric = 0; metric < METRICS; metric++) {
		if (judged & METRIC_BIT(metric))
			json_writer_string(writer, NULL, metric_name((enum metric)metric));
	}
	json_writer_close(writer, ']');
}

static void write_scenario(struct json_writer *writer, const struct result_scenario *scenario)
{
	char words[WORDS_MAX];

	json_writer_open(writer, NULL, '{');
	json_writer_string(writer, "name", scenario->name);
	json_writer_string(writer, "title", scenario->title);
	json_writer_string(writer, "unit", scenario->unit);
	if (*scenario->family) {
		json_writer_string(writer, "family", scenario->family);
		json_writer_number(writer, "x", scenario->x);
	}
	json_writer_string(writer, "receiver", scenario->receiver);
	json_writer_string(writer, "headline", metric_name(scenario->headline));
	words_scenario(words, sizeof(words), scenario);
	json_writer_string(writer, "words", words);
	write_judged(writer, scenario->judged);
	json_writer_open(writer, "peers", '[');
	for (size_t i = 0; i < scenario->peer_count; i++)
		write_peer(writer, &scenario->peers[i]);
	json_writer_close(writer, ']');
	write_missing(writer, &scenario->missing);
	json_writer_close(writer, '}');
}

static void write_head(struct json_writer *writer, const struct result *result)
{
	json_writer_integer(writer, "sluice_bench", FORMAT);
	json_writer_open(writer, "conditions", '{');
	for (size_t i = 0; i < result->conditions.count; i++)
		json_writer_string(writer, result->conditions.all[i].name,
				   result->conditions.all[i].value);
	json_writer_close(writer, '}');
	json_writer_open(writer, "method", '{');
	json_writer_number(writer, "sessions", result->method.sessions);
	json_writer_number(writer, "rounds", result->method.rounds);
	json_writer_number(writer, "slice_ns", result->method.slice_ns);
	json_writer_number(writer, "receiver_sleep_us", result->method.receiver_sleep_us);
	json_writer_integer(writer, "against_itself", result->method.against_itself);
	json_writer_close(writer, '}');
}

/* For readers of the file and for the page; ignored when the result is read. */
static void write_verdict(struct json_writer *writer, const struct result *result)
{
	static void (*const all[])(char *text, size_t size, const struct result *result) = {
		words_load, words_libraries, words_hand,   words_latency,
		words_ring, words_backends,  words_growth, words_aims};
	char words[WORDS_MAX];

	json_writer_open(writer, "verdict", '[');
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		all[i](words, sizeof(words), result);
		if (*words)
			json_writer_string(writer, NULL, words);
	}
	json_writer_close(writer, ']');
}

void result_write(const struct result *result, FILE *file)
{
	struct json_writer writer = {.file = file};

	json_writer_open(&writer, NULL, '{');
	write_head(&writer, result);
	json_writer_open(&writer, "scenarios", '[');
	for (size_t i = 0; i < result->scenario_count; i++)
		write_scenario(&writer, &result->scenarios[i]);
	json_writer_close(&writer, ']');
	write_missing(&writer, &result->missing);
	write_verdict(&writer, result);
	json_writer_close(&writer, '}');
}

/* Far beyond what a run can measure, and far from overflow in sums and ratios. */
#define NUMBER_MAX 1e18

/* Control characters are replaced, those of UTF-8 too: a terminal would interpret them. */
static void copy_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
	for (unsigned char *c = (unsigned char *)to; *c; c++) {
		bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;

		if (*c >= 0x20 && *c != 0x7f && !c1)
			continue;
		*c = '?';
		if (c1)
			*++c = '?';
	}
}

#define COPY(member, text) copy_text(member, sizeof(member), text)

/* The string that an object has under that key, or the fallback. */
static const char *string_of(const json_t *object, const char *key, const char *fallback)
{
	const char *string = json_string_value(json_object_get(object, key));

	return string != NULL ? string : fallback;
}

static bool is_number(const json_t *value)
{
	double number = json_number_value(value);

	return json_is_number(value) && number >= 0 && number <= NUMBER_MAX;
}

/* A number of the object, at least least, or the fallback; whether it is valid. */
static bool read_number(const json_t *from, const char *key, double fallback, double least,
			double *ret_number)
{
	const json_t *value = json_object_get(from, key);

	*ret_number = value != NULL ? json_number_value(value) : fallback;
	return value == NULL || (is_number(value) && *ret_number >= least);
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

/* All metrics that are present have the same number of samples. */
static bool read_samples(const json_t *from, struct result_peer *peer)
{
	for (int metric = 0; metric < METRICS; metric++) {
		const json_t *object = json_object_get(from, metric_name((enum metric)metric));
		const json_t *numbers = json_object_get(object, "samples_ns");
		size_t count = json_array_size(numbers);

		for (size_t i = 0; i < count; i++) {
			const json_t *number = json_array_get(numbers, i);
			const struct result_sample nothing = {0};

			if (!is_number(number) || (metric > 0 && i >= peer->count))
				return false;
			if (metric == 0)
				result_add_sample(peer, &nothing);
			peer->samples[i].ns[metric] = json_number_value(number);
		}
		if (object != NULL && count != peer->count)
			return false;
	}
	return true;
}

static bool read_points(const json_t *from, struct result_peer *peer)
{
	const json_t *points = json_object_get(from, "latency");

	if (json_array_size(points) > RESULT_POINTS)
		return false;
	for (; peer->point_count < json_array_size(points); peer->point_count++) {
		const json_t *point = json_array_get(points, peer->point_count);
		const json_t *percent = json_array_get(point, 0), *ns = json_array_get(point, 1);

		if (!is_number(percent) || !is_number(ns))
			return false;
		peer->points[peer->point_count] =
			(struct result_point){json_number_value(percent), json_number_value(ns)};
	}
	return true;
}

static bool read_peer(const json_t *from, struct result_peer *peer)
{
	COPY(peer->name, string_of(from, "name", ""));
	COPY(peer->title, string_of(from, "title", peer->name));
	COPY(peer->note, string_of(from, "note", ""));
	return *peer->name && read_number(from, "aim", 0, 0, &peer->aim) &&
	       read_number(from, "latency_aim", 0, 0, &peer->latency_aim) &&
	       read_number(from, "peak_bytes", 0, 0, &peer->peak_bytes) &&
	       read_number(from, "peak_aim", 0, 0, &peer->peak_aim) &&
	       read_number(from, "operations_per_sample", 1, 1, &peer->operations) &&
	       read_number(from, "system_calls", -1, 0, &peer->system_calls) &&
	       read_samples(from, peer) && read_points(from, peer);
}

static void read_missing(const json_t *from, struct result_missing_list *list)
{
	const json_t *all = json_object_get(from, "missing");

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *missing = json_array_get(all, i);
		struct result_missing clean;

		COPY(clean.name, string_of(missing, "name", "?"));
		COPY(clean.reason, string_of(missing, "reason", "?"));
		result_add_missing(list, clean.name, clean.reason);
	}
}

static bool read_metrics(const json_t *from, struct result_scenario *scenario)
{
	const json_t *judged = json_object_get(from, "judged");
	enum metric metric;

	for (size_t i = 0; i < json_array_size(judged); i++) {
		const char *name = json_string_value(json_array_get(judged, i));

		if (name == NULL || !metric_of(name, &metric))
			return false;
		scenario->judged |= METRIC_BIT(metric);
	}
	return metric_of(string_of(from, "headline", "wall"), &scenario->headline);
}

static bool read_scenario(const json_t *from, struct result_scenario *scenario)
{
	const json_t *peers = json_object_get(from, "peers");

	COPY(scenario->name, string_of(from, "name", ""));
	COPY(scenario->title, string_of(from, "title", scenario->name));
	COPY(scenario->unit, string_of(from, "unit", "operation"));
	COPY(scenario->family, string_of(from, "family", ""));
	COPY(scenario->receiver, string_of(from, "receiver", ""));
	if (!*scenario->name || !read_number(from, "x", 0, 0, &scenario->x) ||
	    !read_metrics(from, scenario))
		return false;
	for (size_t i = 0; i < json_array_size(peers); i++) {
		if (!read_peer(json_array_get(peers, i), result_add_peer(scenario)))
			return false;
	}
	read_missing(from, &scenario->missing);
	result_evaluate(scenario);
	return true;
}

static bool read_head(json_t *root, struct result *result)
{
	const json_t *method = json_object_get(root, "method");
	const json_t *against_itself = json_object_get(method, "against_itself");
	struct result_method *to = &result->method;
	json_t *value;
	const char *key;

	json_object_foreach(json_object_get(root, "conditions"), key, value)
	{
		struct condition clean;

		if (!json_is_string(value))
			continue;
		COPY(clean.name, key);
		COPY(clean.value, json_string_value(value));
		conditions_add(&result->conditions, clean.name, "%s", clean.value);
	}
	to->against_itself = json_is_true(against_itself) || json_number_value(against_itself) != 0;
	return read_number(method, "sessions", 0, 0, &to->sessions) &&
	       read_number(method, "rounds", 0, 0, &to->rounds) &&
	       read_number(method, "slice_ns", 0, 0, &to->slice_ns) &&
	       read_number(method, "receiver_sleep_us", 0, 0, &to->receiver_sleep_us);
}

static const char *read_all(json_t *root, struct result *result)
{
	const json_t *all = json_object_get(root, "scenarios");

	if (json_number_value(json_object_get(root, "sluice_bench")) != FORMAT)
		return "not a result of this version of sluice bench";
	if (!read_head(root, result))
		return "its method makes no sense";
	for (size_t i = 0; i < json_array_size(all); i++) {
		if (!read_scenario(json_array_get(all, i), result_add_scenario(result)))
			return "a scenario in it is incomplete";
	}
	read_missing(root, &result->missing);
	return NULL;
}

const char *result_read(const char *text, size_t length, struct result *result)
{
	static char wrong[JSON_ERROR_TEXT_LENGTH + 32];
	json_error_t error;
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	const char *reason;

	*result = (struct result){0};
	if (root == NULL) {
		snprintf(wrong, sizeof(wrong), "line %d: %s", error.line, error.text);
		return wrong;
	}
	reason = read_all(root, result);
	json_decref(root);
	if (reason != NULL)
		result_free(result);
	return reason;
}
