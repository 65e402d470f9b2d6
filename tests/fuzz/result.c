/* SPDX-License-Identifier: MIT */
/*
 * Gives bytes to what reads the results of `sluice bench`, and to what is made of them: words,
 * pages, comparisons, and JSON again. See http.c for how to run it with libFuzzer.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/compare.h"
#include "report/json.h"
#include "report/page.h"
#include "report/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static char *written(const struct result *result, void (*write)(const struct result *, FILE *))
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	write(result, file);
	fclose(file);
	return text;
}

/* What was written can be read; what is read a second time is what was read the first time. */
static void read_again(const struct result *result)
{
	char *text = written(result, result_write);
	struct result again;

	must(result_read(text, strlen(text), &again) == NULL);
	must(again.scenario_count == result->scenario_count);
	free(text);
	result_free(&again);
}

static void look_at(const struct result *result)
{
	char words[WORDS_MAX];

	words_libraries(words, sizeof(words), result);
	words_hand(words, sizeof(words), result);
	words_latency(words, sizeof(words), result);
	words_ring(words, sizeof(words), result);
	words_backends(words, sizeof(words), result);
	words_aims(words, sizeof(words), result);
	for (size_t i = 0; i < result->scenario_count; i++) {
		words_scenario(words, sizeof(words), &result->scenarios[i]);
		words_peak(words, sizeof(words), &result->scenarios[i]);
		if (result->scenarios[i].peer_count > 0)
			compare_scenario(&result->scenarios[0], &result->scenarios[i], METRIC_WALL);
	}
	free(written(result, page_write));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result result;

	if (result_read((const char *)data, size, &result) == NULL) {
		look_at(&result);
		read_again(&result);
		result_free(&result);
	}
	return 0;
}
