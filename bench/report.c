/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

struct report {
	const struct suite *suite;
	struct json json; /* its file is NULL if nobody asked for it */
};

static const char *const receiver_names[] = {
	[RECEIVER_DISCARDS] = "discards",
	[RECEIVER_COPIES] = "copies",
};

static void print_conditions(const struct conditions *it, const struct settings *settings)
{
	printf("%s, kernel %s, %ld CPUs (%s), load %.2f\n", it->date, it->kernel, it->cpus, it->cpu,
	       it->load);
	printf("sender on CPU %d, receiver (another process) on CPU %d%s\n", it->sender_cpu,
	       it->receiver_cpu,
	       it->sender_cpu == it->receiver_cpu ? ": ONE core, they disturb each other" : "");
	if (settings->receiver_nap_us)
		printf("the receiver sleeps for %d us after each look\n",
		       settings->receiver_nap_us);
	printf("sluice %s, %s, backend %s%s%s, liburing %s\n", it->sluice, it->build, it->backend,
	       *it->backend_reason ? ": " : "", it->backend_reason, it->liburing);
	printf("capabilities: %s\n", it->capabilities);
	printf("TCP over loopback: %s, TCP_NODELAY %s, buffers of %d (send) and %d (receive)\n",
	       it->congestion, it->nodelay ? "on" : "off", it->send_buffer_bytes,
	       it->receive_buffer_bytes);
	printf("%zu sittings with new sockets, of %zu rounds A B A B of about %.0f ms each%s\n\n",
	       settings->method.sittings, settings->method.rounds,
	       (double)settings->method.slice_ns / 1e6,
	       settings->against_itself ? ", the BASELINE AGAINST ITSELF" : "");
}

static void print_head(const struct report *report)
{
	printf("%-38s %-15s %5s   %-20s %-20s %19s %13s\n", "", "", "", "wall time, ours / base",
	       "CPU time, ours / base", "ns, ours / base", "system calls");
	printf("%-38s %-15s %5s   %-20s %-20s %19s %13s\n", "work", "baseline", "aim",
	       "median [interval]", "median [interval]", report->suite->unit, report->suite->unit);
}

static void write_conditions(struct json *json, const struct conditions *it)
{
	json_open(json, "conditions", '{');
	json_string(json, "date", it->date);
	json_string(json, "kernel", it->kernel);
	json_string(json, "cpu", it->cpu);
	json_integer(json, "cpus", (uint64_t)it->cpus);
	json_number(json, "load", it->load);
	json_integer(json, "sender_cpu", (uint64_t)it->sender_cpu);
	json_integer(json, "receiver_cpu", (uint64_t)it->receiver_cpu);
	json_string(json, "sluice", it->sluice);
	json_string(json, "build", it->build);
	json_string(json, "backend", it->backend);
	json_string(json, "backend_reason", it->backend_reason);
	json_string(json, "capabilities", it->capabilities);
	json_string(json, "liburing", it->liburing);
	json_string(json, "congestion", it->congestion);
	json_integer(json, "nodelay", (uint64_t)it->nodelay);
	json_integer(json, "send_buffer_bytes", (uint64_t)it->send_buffer_bytes);
	json_integer(json, "receive_buffer_bytes", (uint64_t)it->receive_buffer_bytes);
	json_close(json, '}');
}

static void write_head(struct report *report, const struct settings *settings,
		       const struct conditions *conditions)
{
	struct json *json = &report->json;

	json->file = fopen(settings->json_path, "we");
	if (!json->file)
		err(1, "%s", settings->json_path);
	json_open(json, NULL, '{');
	json_string(json, "suite", report->suite->name);
	json_string(json, "unit", report->suite->unit);
	json_integer(json, "sittings", settings->method.sittings);
	json_integer(json, "rounds", settings->method.rounds);
	json_integer(json, "slice_ns", settings->method.slice_ns);
	json_integer(json, "receiver_nap_us", (uint64_t)settings->receiver_nap_us);
	json_integer(json, "against_itself", (uint64_t)settings->against_itself);
	write_conditions(json, conditions);
	json_open(json, "pairs", '[');
}

struct report *report_open(const struct suite *suite, const struct settings *settings,
			   const struct conditions *conditions)
{
	struct report *report = calloc(1, sizeof(*report));

	if (!report)
		err(1, "report");
	report->suite = suite;
	print_conditions(conditions, settings);
	print_head(report);
	if (settings->json_path)
		write_head(report, settings, conditions);
	return report;
}

/* A median below the aim meets it; else the lower end says whether the noise may be the reason. */
static int distance(double aim, const struct interval *ratio)
{
	if (ratio->median <= aim)
		return 0;
	return ratio->low <= aim ? 1 : 2;
}

/* Both have to meet it: waiting more is no way to save CPU time, nor the other way round. */
static const char *verdict(double aim, const struct interval *wall, const struct interval *cpu)
{
	static const char *const words[] = {"met", "met within the noise", "missed"};
	int of_wall = distance(aim, wall);
	int of_cpu = distance(aim, cpu);

	return words[of_wall > of_cpu ? of_wall : of_cpu];
}

static void print_pair(const struct scenario *scenario, struct side *const sides[PAIR_SIDES],
		       const struct pair_result *result, double operations)
{
	const struct interval *wall = &result->wall_ratio;
	const struct interval *cpu = &result->cpu_ratio;
	double ours = result->wall_ns[PAIR_OURS] / operations;
	double baseline = result->wall_ns[PAIR_BASELINE] / operations;

	printf("%-38s %-15s %4.2fx   %5.3f [%5.3f, %5.3f] %5.3f [%5.3f, %5.3f] %9.*f %9.*f "
	       "%6.3g %6.3g   %s\n",
	       scenario->title, sides[PAIR_BASELINE]->name, scenario->aim, wall->median, wall->low,
	       wall->high, cpu->median, cpu->low, cpu->high, ours < 1000 ? 1 : 0, ours,
	       baseline < 1000 ? 1 : 0, baseline, result->system_calls[PAIR_OURS] / operations,
	       result->system_calls[PAIR_BASELINE] / operations, verdict(scenario->aim, wall, cpu));
	fflush(stdout);
}

static void write_interval(struct json *json, const char *key, const struct interval *interval)
{
	json_open(json, key, '{');
	json_number(json, "median", interval->median);
	json_number(json, "low", interval->low);
	json_number(json, "high", interval->high);
	json_number(json, "confidence", interval->confidence);
	json_close(json, '}');
}

static void write_side(struct json *json, const char *key, const struct side *side,
		       const struct pair_result *result, int which)
{
	json_open(json, key, '{');
	json_string(json, "name", side->name);
	json_open(json, "samples", '[');
	for (size_t i = 0; i < result->rounds; i++) {
		const struct pair_sample *sample = &result->samples[i][which];

		json_open(json, NULL, '{');
		json_integer(json, "wall_ns", sample->wall_ns);
		json_integer(json, "cpu_ns", sample->cpu_ns);
		json_integer(json, "system_calls", sample->system_calls);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_close(json, '}');
}

static void write_pair(struct json *json, const struct scenario *scenario,
		       struct side *const sides[PAIR_SIDES], const struct pair_result *result,
		       double operations)
{
	json_open(json, NULL, '{');
	json_string(json, "name", scenario->name);
	json_string(json, "title", scenario->title);
	json_string(json, "receiver", receiver_names[scenario->receiver]);
	json_number(json, "aim", scenario->aim);
	json_number(json, "operations_per_sample", (double)result->times * operations);
	write_interval(json, "wall_ratio", &result->wall_ratio);
	write_interval(json, "cpu_ratio", &result->cpu_ratio);
	write_side(json, "ours", sides[PAIR_OURS], result, PAIR_OURS);
	write_side(json, "baseline", sides[PAIR_BASELINE], result, PAIR_BASELINE);
	json_close(json, '}');
}

void report_pair(struct report *report, const struct scenario *scenario,
		 struct side *const sides[PAIR_SIDES], const struct pair_result *result)
{
	double operations = scenario->load.file_bytes ? 1 : (double)scenario->load.records;

	print_pair(scenario, sides, result, operations);
	if (report->json.file)
		write_pair(&report->json, scenario, sides, result, operations);
}

void report_close(struct report *report)
{
	struct json *json = &report->json;

	if (json->file) {
		json_close(json, ']');
		json_close(json, '}');
		if (fclose(json->file) != 0)
			err(1, "JSON");
	}
	free(report);
}
