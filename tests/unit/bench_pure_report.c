/* SPDX-License-Identifier: MIT */
/* What bench tells of its measurements: the verdict, the page, and JSON. */
#include "bench_pure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(bench_pure, times_have_the_unit_that_reads_best)
{
	static const struct {
		double ns;
		const char *text;
	} cases[] = {{0, "0.00 ns"},     {3.14159, "3.14 ns"}, {88, "88.0 ns"}, {9999, "9999 ns"},
		     {44100, "44.1 us"}, {3.2e6, "3.20 ms"},   {5e9, "5.00 s"}};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[32];

		words_time(text, sizeof(text), cases[i].ns);
		cr_expect_str_eq(text, cases[i].text);
	}
}

static void make_result(struct result *result)
{
	static const double factors[] = {1, 2, 1.01};
	struct result_scenario *scenario;

	*result = (struct result){.method = {5, 5, 8e6, 0, false}};
	conditions_add(&result->conditions, "kernel", "6.18 \"quoted\" \\ \xc3\xa9");
	scenario = result_add_scenario(result);
	make_scenario(scenario, "records-1", factors, 0.1);
	scenario->peers[1].aim = 1.03;
	scenario->peers[1].system_calls = 1;
	scenario->peers[1].latency_aim = 0.875;
	scenario->peers[1].peak_bytes = 12.5e6;
	scenario->peers[1].peak_aim = 20e6;
	snprintf(scenario->peers[1].note, sizeof(scenario->peers[1].note), "the kernel copied");
	snprintf(scenario->family, sizeof(scenario->family), "batch");
	scenario->x = 32;
	for (int i = 0; i < 3; i++)
		scenario->peers[2].points[scenario->peers[2].point_count++] =
			(struct result_point){50 + 20 * i, 1000 * i};
	result_add_missing(&scenario->missing, "libuv", "not built in");
	result_add_missing(&result->missing, "sockets-10000", "too few descriptors");
}

Test(bench_pure, a_result_comes_back_from_its_json_as_it_was)
{
	struct result result, again;
	char *first, *second;

	make_result(&result);
	first = written(&result, result_write);
	cr_assert_null(result_read(first, strlen(first), &again));
	second = written(&again, result_write);
	cr_expect_str_eq(first, second);
	cr_expect_eq(again.scenarios[0].peers[0].count, 25);
	cr_expect_str_eq(again.scenarios[0].peers[1].note, "the kernel copied");
	cr_expect_eq(again.missing.count, 1);
	free(first);
	free(second);
	result_free(&result);
	result_free(&again);
}

/* The JSON that is embedded in the page. */
static char *embedded(const struct result *result)
{
	static const char begin[] = "id=\"result\">";
	char *page = written(result, page_write), *json = strstr(page, begin), *end;

	cr_assert_not_null(json);
	json += strlen(begin);
	end = strstr(json, "</script>");
	cr_assert_not_null(end);
	json = strndup(json, (size_t)(end - json));
	free(page);
	return json;
}

Test(bench_pure, a_page_embeds_the_result_and_its_verdict_and_loads_nothing)
{
	struct result result, again;
	char *page, *json;

	make_result(&result);
	page = written(&result, page_write);
	cr_expect_null(strstr(page, "http"));
	cr_expect_null(strstr(page, "src="));
	cr_expect(strncmp(page, "<!DOCTYPE html>", 15) == 0);
	cr_expect(strstr(page, "</html>"));
	json = embedded(&result);
	cr_assert_null(result_read(json, strlen(json), &again));
	cr_expect_eq(again.scenario_count, 1);
	cr_expect(strstr(json, "\"kind\": \"hand\""));
	cr_expect(strstr(json, "Against the best hand-written code: ahead in 1 of 1"));
	free(page);
	free(json);
	result_free(&result);
	result_free(&again);
}

/* No text of a result, from whatever file it was read, ends the script element it is embedded in. */
Test(bench_pure, no_text_of_a_result_leaves_its_place_in_the_page)
{
	static const char evil[] = "</script><img src=x>";
	struct result result;
	struct result_scenario *scenario;
	char *json;

	make_result(&result);
	result.conditions = (struct conditions){0};
	conditions_add(&result.conditions, evil, "%s", evil);
	scenario = &result.scenarios[0];
	snprintf(scenario->name, sizeof(scenario->name), "%s", evil);
	snprintf(scenario->title, sizeof(scenario->title), "%s", evil);
	snprintf(scenario->unit, sizeof(scenario->unit), "%s", evil);
	snprintf(scenario->receiver, sizeof(scenario->receiver), "%s", evil);
	for (size_t i = 0; i < scenario->peer_count; i++) {
		struct result_peer *peer = &scenario->peers[i];

		snprintf(peer->name, sizeof(peer->name), "%s", evil);
		snprintf(peer->title, sizeof(peer->title), "%s", evil);
		snprintf(peer->note, sizeof(peer->note), "%s", evil);
	}
	result_add_missing(&scenario->missing, evil, evil);
	result_add_missing(&result.missing, evil, evil);
	json = embedded(&result);
	cr_expect_null(strchr(json, '<'));
	cr_expect_eq(json[strlen(json) - 1 - (json[strlen(json) - 1] == '\n')], '}');
	free(json);
	result_free(&result);
}

Test(bench_pure, the_verdict_counts_libraries_and_hand_written_code_apart)
{
	/* What each costs against ours; the best of its kind counts. */
	static const struct {
		const char *name;
		double send, libuv, asio;
	} loads[] = {
		{"first", 2, 3, 4},
		{"second", 0.5, 1.5, 4},
		{"third", 0.98, 0.8, 2},
		{"fourth", 0.97, 1, 2},
	};
	struct result result = {0};
	char words[WORDS_MAX];

	for (size_t i = 0; i < COUNT(loads); i++) {
		struct result_scenario *scenario = result_add_scenario(&result);
		const double factors[] = {1, loads[i].send, loads[i].libuv, loads[i].asio};

		snprintf(scenario->name, sizeof(scenario->name), "%s", loads[i].name);
		scenario->judged = METRIC_BIT(METRIC_WALL);
		add_peer(scenario, "sluice");
		add_peer(scenario, "send");
		add_peer(scenario, "libuv");
		add_peer(scenario, "asio-epoll");
		add_rounds(scenario, 25, factors, 0.001);
		result_evaluate(scenario);
	}
	words_libraries(words, sizeof(words), &result);
	cr_expect_str_eq(words, "Against libuv and Asio: ahead in 2 of 4, level in 1, slower in 1 "
				"(third 1.25). ");
	words_hand(words, sizeof(words), &result);
	cr_expect_str_eq(words,
			 "Against the best hand-written code: ahead in 1 of 4, within 5 % in 2, "
			 "slower in 1 (second 2.00). ");
	result_free(&result);
}

Test(bench_pure, tail_latencies_are_in_the_verdict)
{
	struct result result = {0};
	struct result_scenario *scenario = result_add_scenario(&result);
	char words[WORDS_MAX];

	snprintf(scenario->name, sizeof(scenario->name), "echo-64");
	scenario->headline = METRIC_CPU;
	add_peer(scenario, "sluice");
	add_peer(scenario, "epoll");
	for (size_t i = 0; i < 20; i++) {
		for (size_t j = 0; j < 2; j++) {
			const struct result_sample sample = {
				.ns = {[METRIC_WALL] = 1e6,
				       [METRIC_CPU] = 1e6,
				       [METRIC_P99] = j == 0 ? 900 : 1000,
				       [METRIC_P999] = j == 0 ? 3000 : 2000}};

			result_add_sample(&scenario->peers[j], &sample);
		}
	}
	result_evaluate(scenario);
	words_latency(words, sizeof(words), &result);
	cr_expect_str_eq(words, "Latency against the best other, p99 latency: echo-64 0.90; p99.9 "
				"latency: echo-64 1.50.");
	for (size_t j = 0; j < 2; j++) {
		struct result_peer *peer = &scenario->peers[j];

		peer->points[peer->point_count++] = (struct result_point){50, 500};
		peer->points[peer->point_count++] =
			(struct result_point){99.99, j == 0 ? 6000 : 8000};
	}
	words_latency(words, sizeof(words), &result);
	cr_expect_str_eq(words, "Latency against the best other, p99 latency: echo-64 0.90; p99.9 "
				"latency: echo-64 1.50; p99.99 latency, of all rounds together: "
				"echo-64 0.75.");
	result_free(&result);
}

Test(bench_pure, a_peak_of_memory_is_told_with_its_aim)
{
	struct result_scenario scenario = {0};
	const double factors[] = {1, 2, 3};
	char words[WORDS_MAX];

	make_scenario(&scenario, "x", factors, 0.01);
	words_peak(words, sizeof(words), &scenario);
	cr_expect_str_eq(words, "");
	snprintf(scenario.peers[0].title, sizeof(scenario.peers[0].title), "sluice");
	snprintf(scenario.peers[1].title, sizeof(scenario.peers[1].title), "send");
	scenario.peers[0].peak_bytes = 12.4e6;
	scenario.peers[0].peak_aim = 20e6;
	scenario.peers[1].peak_bytes = 10e6;
	words_peak(words, sizeof(words), &scenario);
	cr_expect_str_eq(words, "sluice 12.4 MB (aim 20.0 MB: met), send 10.0 MB");
	scenario.peers[0].peak_bytes = 20.1e6;
	words_peak(words, sizeof(words), &scenario);
	cr_expect_str_eq(words, "sluice 20.1 MB (aim 20.0 MB: missed), send 10.0 MB");
	free_scenario(&scenario);
}

static void add_ring_scenario(struct result *result, const char *family, const double *factors)
{
	struct result_scenario *scenario = result_add_scenario(result);

	make_scenario(scenario, "x", factors, 0.01);
	snprintf(scenario->family, sizeof(scenario->family), "%s", family);
}

/* The peers of each scenario are ours, send and sluice-epoll, with these factors. */
Test(bench_pure, what_the_ring_saves_is_in_the_verdict)
{
	const double cheap[] = {1, 2, 1.25}, cheaper[] = {1, 2.5, 1.25}, batch[] = {1, 20, 1};
	struct result result = {0};
	char words[WORDS_MAX];

	conditions_add(&result.conditions, "backend", "uring");
	add_ring_scenario(&result, "sockets", cheap);
	words_ring(words, sizeof(words), &result);
	cr_expect_str_eq(words,
			 "CPU time of io_uring on this machine: 50 % less than one send(2) for "
			 "each of many sockets (0.50 times in one load); 20 % less than sluice "
			 "on epoll (0.80 times in one load).");
	/* A batch saves calls on epoll, too: that is no merit of the ring. */
	add_ring_scenario(&result, "sockets", cheaper);
	add_ring_scenario(&result, "batch", batch);
	words_ring(words, sizeof(words), &result);
	cr_expect_str_eq(words,
			 "CPU time of io_uring on this machine: 55 % less than one send(2) for "
			 "each of many sockets (0.40 to 0.50 times in 2 loads); 20 % less than "
			 "sluice on epoll (0.80 to 1.00 times in 3 loads).");
	result_free(&result);
}

Test(bench_pure, that_the_ring_costs_more_is_in_the_verdict)
{
	const double dear[] = {1, 0.8, 1.01};
	struct result result = {0};
	char words[WORDS_MAX];

	conditions_add(&result.conditions, "backend", "uring");
	add_ring_scenario(&result, "sockets", dear);
	words_ring(words, sizeof(words), &result);
	cr_expect_str_eq(words,
			 "CPU time of io_uring on this machine: 25 % more than one send(2) for "
			 "each of many sockets (1.25 times in one load); the same as sluice on "
			 "epoll (0.99 times in one load).");
	result_free(&result);
}

Test(bench_pure, latencies_can_have_an_aim_of_their_own)
{
	struct result_scenario scenario = {0};
	const double factors[] = {1, 2, 3};
	struct result_peer *peer;

	make_scenario(&scenario, "x", factors, 0.01);
	peer = &scenario.peers[1];
	peer->aim = 0.6;
	peer->ratio[METRIC_P99] = (struct interval){0.9, 0.85, 0.95, 0.95};
	scenario.judged = METRIC_BIT(METRIC_CPU) | METRIC_BIT(METRIC_P99);
	cr_expect_eq(result_outcome(&scenario, peer), OUTCOME_MISSED);
	peer->latency_aim = 1;
	cr_expect_eq(result_outcome(&scenario, peer), OUTCOME_MET);
	peer->ratio[METRIC_P99] = (struct interval){1.1, 1.05, 1.15, 0.95};
	cr_expect_eq(result_outcome(&scenario, peer), OUTCOME_MISSED);
	free_scenario(&scenario);
}

Test(bench_pure, json_that_is_broken_is_refused_with_its_line)
{
	static const char *const wrong[] = {
		"",
		" ",
		"{",
		"{\"sluice_bench\": 1",
		"{\"sluice_bench\": 1} x",
		"{\"a\": 1, \"a\": 2}",
		"{\"sluice_bench\": 1,\n\n\"scenarios\": [}",
	};

	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct result result;
		const char *reason = result_read(wrong[i], strlen(wrong[i]), &result);

		cr_expect_not_null(reason, "%s", wrong[i]);
		cr_expect(strstr(reason, strchr(wrong[i], '\n') ? "line 3: " : "line "), "%s",
			  reason);
		cr_expect_eq(result.scenario_count, 0);
	}
}

/* A terminal would obey them. */
Test(bench_pure, texts_of_a_file_lose_their_control_characters)
{
	static const char text[] =
		"{\"sluice_bench\": 1, \"conditions\": {\"a\\u001bb\": \"\\u001b[2J\\u009b1\\u00e9\"},"
		"\"scenarios\": [{\"name\": \"x\\ny\", \"title\": \"\\u007f\", \"peers\": []}],"
		"\"missing\": [{\"name\": \"\\u0007\", \"reason\": \"\\t\"}]}";
	struct result result;

	cr_assert_null(result_read(text, strlen(text), &result));
	cr_expect_str_eq(conditions_value(&result.conditions, "a?b"), "?[2J??1\xc3\xa9");
	cr_expect_str_eq(result.scenarios[0].name, "x?y");
	cr_expect_str_eq(result.scenarios[0].title, "?");
	cr_expect_str_eq(result.missing.all[0].name, "?");
	cr_expect_str_eq(result.missing.all[0].reason, "?");
	result_free(&result);
}

/* A text that was cut may end in half a character; a path may be in any encoding. */
Test(bench_pure, json_is_utf_8_whatever_the_texts_are)
{
	struct result result = {0}, again;
	char *text;

	conditions_add(&result.conditions, "directory", "/\xff/\xc3\xa9/\xc3");
	text = written(&result, result_write);
	cr_assert_null(result_read(text, strlen(text), &again));
	cr_expect_str_eq(conditions_value(&again.conditions, "directory"),
			 "/\xef\xbf\xbd/\xc3\xa9/\xef\xbf\xbd");
	free(text);
	result_free(&again);
}

Test(bench_pure, json_that_is_no_result_is_refused)
{
	static const char *const wrong[] = {
		"[]",
		"{}",
		"{\"sluice_bench\": 2}",
		"{\"sluice_bench\": 1, \"scenarios\": [{}]}",
		"{\"sluice_bench\": 1, \"scenarios\": [{\"name\": \"x\", \"headline\": \"y\"}]}",
		"{\"sluice_bench\": 1, \"scenarios\": [{\"name\": \"x\", \"peers\": [{}]}]}",
		"{\"sluice_bench\": 1, \"scenarios\": [{\"name\": \"x\", \"peers\": [{\"name\": "
		"\"a\", \"operations_per_sample\": 1, \"wall\": {\"samples_ns\": [-1]}}]}]}",
		"{\"sluice_bench\": 1, \"scenarios\": [{\"name\": \"x\", \"peers\": [{\"name\": "
		"\"a\", \"operations_per_sample\": 1, \"cpu\": {\"samples_ns\": [1]}}]}]}",
		"{\"sluice_bench\": 1, \"scenarios\": [{\"name\": \"x\", \"peers\": [{\"name\": "
		"\"a\", \"operations_per_sample\": 0, \"wall\": {\"samples_ns\": [1]}}]}]}",
	};

	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct result result;

		cr_expect_not_null(result_read(wrong[i], strlen(wrong[i]), &result), "%s",
				   wrong[i]);
		cr_expect_eq(result.scenario_count, 0);
	}
}
