/* SPDX-License-Identifier: MIT */
/* Buffers of sealed records, pooled per context. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tls/inside.h"

#define CAPACITY (TLS_BATCH + 1024u) /* records of a batch with headers and tags */
#define KEPT 8u                      /* most free outputs of a context */

struct tls_output *tls_output_take(struct sluice_tls_context *context)
{
	struct tls_output *output;

	pthread_mutex_lock(&context->lock);
	output = context->outputs;
	if (output) {
		context->outputs = output->next;
		context->output_count--;
	}
	pthread_mutex_unlock(&context->lock);
	if (!output) {
		output = malloc(sizeof *output);
		if (!output)
			return NULL;
		output->capacity = CAPACITY;
		output->bytes = malloc(CAPACITY);
		if (!output->bytes) {
			free(output);
			return NULL;
		}
	}
	output->start = output->end = 0;
	output->record_count = output->record_gone = 0;
	return output;
}

static void output_free(struct tls_output *output)
{
	free(output->bytes);
	free(output);
}

void tls_output_give(struct sluice_tls_context *context, struct tls_output *output)
{
	bool kept = false;

	pthread_mutex_lock(&context->lock);
	if (context->output_count < KEPT && output->capacity == CAPACITY) {
		output->next = context->outputs;
		context->outputs = output;
		context->output_count++;
		kept = true;
	}
	pthread_mutex_unlock(&context->lock);
	if (!kept)
		output_free(output);
}

void tls_outputs_free(struct sluice_tls_context *context)
{
	struct tls_output *output;

	while ((output = context->outputs)) {
		context->outputs = output->next;
		output_free(output);
	}
}

bool tls_output_append(struct tls_output *output, const void *bytes, size_t length)
{
	if (output->capacity - output->end < length) {
		size_t capacity = output->end + length + TLS_RECORD;
		unsigned char *larger = realloc(output->bytes, capacity);

		if (!larger)
			return false;
		output->bytes = larger;
		output->capacity = capacity;
	}
	memcpy(output->bytes + output->end, bytes, length);
	output->end += length;
	return true;
}

void tls_output_mark(struct tls_output *output, uint64_t plain)
{
	assert(output->record_count < TLS_BATCH_RECORDS);
	output->records[output->record_count].end = output->end;
	output->records[output->record_count].plain = plain;
	output->record_count++;
}

void tls_output_extend(struct tls_output *output)
{
	if (output->record_count > output->record_gone)
		output->records[output->record_count - 1].end = output->end;
}

uint64_t tls_output_sent(struct tls_output *output, size_t bytes)
{
	uint64_t plain = 0;

	output->start += bytes;
	assert(output->start <= output->end);
	while (output->record_gone < output->record_count &&
	       output->records[output->record_gone].end <= output->start)
		plain += output->records[output->record_gone++].plain;
	return plain;
}
