/* SPDX-License-Identifier: MIT */
#include "contract_c17_trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct sluice_options traced(uint32_t events)
{
	struct sluice_options options = files_options();

	options.trace_events = events;
	return options;
}

char *contents(int fd)
{
	off_t length = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)length + 1);

	cr_assert_eq(pread(fd, text, (size_t)length, 0), length);
	return text;
}

static void parse_line(struct line *line, const char *text)
{
	char refused[8];
	int fields = sscanf(text,
			    "{\"time_ns\":%" SCNu64 ",\"engine\":%" SCNu32
			    ",\"event\":\"%15[a-z]\",\"operation\":\"%31[a-z-]\",\"fd\":%d,"
			    "\"socket\":\"%" SCNx64 "\",\"record\":\"%" SCNx64
			    "\",\"bytes\":%" SCNu64
			    ",\"error\":\"%39[A-Za-z]\",\"errno\":%d,\"refused\":%7[a-z]}",
			    &line->time_ns, &line->engine, line->event, line->operation, &line->fd,
			    &line->socket, &line->record, &line->bytes, line->error, &line->native,
			    refused);

	cr_assert_eq(fields, 11, "not such a line: %s", text);
	line->refused = strcmp(refused, "true") == 0;
}

void parse(struct trace *trace, char *text)
{
	char *rest = text, *one;
	uint32_t engine;
	uint64_t lost;

	*trace = (struct trace){.lines = calloc(strlen(text) / 16 + 1, sizeof(struct line))};
	while ((one = strsep(&rest, "\n"))) {
		if (sscanf(one, "{\"engine\":%" SCNu32 ",\"event\":\"lost\",\"count\":%" SCNu64 "}",
			   &engine, &lost) == 2)
			trace->lost += lost;
		else if (*one)
			parse_line(&trace->lines[trace->count++], one);
	}
	free(text);
}

void read_trace(struct fixture *fixture, struct trace *trace)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);
	int64_t written = sluice_engine_trace_write(fixture->engine, fd, SLUICE_TRACE_JSON);

	cr_assert_geq(written, 0);
	parse(trace, contents(fd));
	cr_assert_eq((int64_t)trace->count, written);
	close(fd);
}

void free_trace(struct trace *trace)
{
	free(trace->lines);
}

const struct line *line_of(const struct trace *trace, const char *event, const char *operation,
			   const void *record)
{
	const struct line *found = NULL;

	for (size_t i = 0; i < trace->count; i++) {
		const struct line *line = &trace->lines[i];

		if (strcmp(line->event, event) || strcmp(line->operation, operation) ||
		    line->record != (uintptr_t)record)
			continue;
		cr_assert_null(found, "told twice: %s %s", event, operation);
		found = line;
	}
	cr_assert(found, "not told: %s %s", event, operation);
	return found;
}

uint64_t bytes_of(const struct trace *trace, const char *event, const struct sluice_socket *socket)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < trace->count; i++) {
		if (strcmp(trace->lines[i].event, event) == 0 &&
		    trace->lines[i].socket == (uintptr_t)socket)
			bytes += trace->lines[i].bytes;
	}
	return bytes;
}

void assert_ordered(const struct trace *trace, int64_t from_ns, int64_t to_ns)
{
	uint64_t last = (uint64_t)from_ns;

	for (size_t i = 0; i < trace->count; i++) {
		cr_assert_geq(trace->lines[i].time_ns + 1000, last, "line %zu goes back", i);
		last = trace->lines[i].time_ns;
	}
	cr_assert_leq(last, (uint64_t)to_ns + 1000);
}

void assert_told(const struct trace *trace, const char *name, struct sluice_socket *socket,
		 const struct operation *operation, uint64_t asked)
{
	const struct line *call = line_of(trace, "call", name, &operation->args);
	const struct line *end = line_of(trace, "settle", name, &operation->args);

	cr_assert_eq(call->socket, (uintptr_t)socket);
	cr_assert_eq(call->fd, sluice_socket_fd(socket));
	cr_assert_eq(call->bytes, asked, "%s asked for %" PRIu64, name, call->bytes);
	cr_assert_eq(end->socket, (uintptr_t)socket);
	cr_assert_eq(end->fd, call->fd);
	cr_assert_eq(end->bytes, operation->args.bytes_transferred);
	cr_assert_str_eq(end->error, "Success");
	cr_assert_eq(end->native, 0);
	cr_assert_leq(call->time_ns, end->time_ns);
}

void assert_operation(struct fixture *fixture, const char *name, struct sluice_socket *socket,
		      const struct operation *operation, uint64_t asked)
{
	struct trace trace;

	read_trace(fixture, &trace);
	cr_assert_eq(trace.lost, 0);
	assert_told(&trace, name, socket, operation, asked);
	free_trace(&trace);
}
