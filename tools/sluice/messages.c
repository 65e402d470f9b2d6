/* SPDX-License-Identifier: MIT */
#include "messages.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "transfer/writer.h"

#define LINE_MAX_BYTES 8192
#define WAITING_BYTES 65536
#define STOP_TIMEOUT_MS 1000

static struct writer *output, *errors;

static void on_dropped(void *token, uint64_t lines)
{
	messages_complain("%" PRIu64 " messages were dropped because the output was blocked",
			  lines);
}

void messages_start(void)
{
	output = writer_start(STDOUT_FILENO, WAITING_BYTES, NULL, NULL);
	errors = writer_start(STDERR_FILENO, WAITING_BYTES, on_dropped, NULL);
}

void messages_stop(void)
{
	struct writer *ending_output = output, *ending_errors = errors;

	output = NULL;
	errors = NULL;
	writer_stop(ending_output, STOP_TIMEOUT_MS);
	writer_stop(ending_errors, STOP_TIMEOUT_MS);
}

__attribute__((format(printf, 4, 0))) static void print(struct writer *writer, FILE *file,
							const char *start, const char *format,
							va_list arguments)
{
	char line[LINE_MAX_BYTES];
	size_t length = strlen(start);
	int added;

	memcpy(line, start, length);
	added = vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
	if (added < 0)
		return;
	length = strlen(line);
	line[length++] = '\n';
	if (writer != NULL) {
		writer_add(writer, line, length);
	} else {
		fwrite(line, 1, length, file);
		fflush(file);
	}
}

void messages_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(output, stdout, "", format, arguments);
	va_end(arguments);
}

void messages_complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(errors, stderr, "sluice: ", format, arguments);
	va_end(arguments);
}

void messages_complain_at(const char *place, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(errors, stderr, place[0] != '\0' ? place : "sluice: ", format, arguments);
	va_end(arguments);
}
