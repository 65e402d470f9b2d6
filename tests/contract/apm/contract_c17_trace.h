/* SPDX-License-Identifier: MIT */
/* The lines of a trace, taken apart. */
#ifndef CONTRACT_C17_TRACE_H
#define CONTRACT_C17_TRACE_H

#include "files.h"

/* One line of JSON, taken apart. */
struct line {
	uint64_t time_ns;
	uint32_t engine;
	char event[16];
	char operation[32];
	int fd;
	uint64_t socket;
	uint64_t record;
	uint64_t bytes;
	char error[40];
	int native;
	bool refused;
};

struct trace {
	struct line *lines;
	size_t count;
	uint64_t lost;
};

struct sluice_options traced(uint32_t events);

/* What is in the file; the caller frees it. */
char *contents(int fd);

void parse(struct trace *trace, char *text);

/* The trace written since the last call. */
void read_trace(struct fixture *fixture, struct trace *trace);

void free_trace(struct trace *trace);

/* The only line of this event and operation, about this record. */
const struct line *line_of(const struct trace *trace, const char *event, const char *operation,
			   const void *record);

/* The bytes of a socket in the lines of this event, on every way. */
uint64_t bytes_of(const struct trace *trace, const char *event, const struct sluice_socket *socket);

void assert_ordered(const struct trace *trace, int64_t from_ns, int64_t to_ns);

/* The call with what it asked for, and the end with what it got, on this socket. */
void assert_told(const struct trace *trace, const char *name, struct sluice_socket *socket,
		 const struct operation *operation, uint64_t asked);

/* The trace of one operation that has just ended well. */
void assert_operation(struct fixture *fixture, const char *name, struct sluice_socket *socket,
		      const struct operation *operation, uint64_t asked);

void begin_traced(struct fixture *fixture, uint32_t events);

/* As ENGINE_TEST, with a trace of so many events. */
#define TRACE_TEST(row, name, events) \
	OWNER_TEST(row, name, fixture, begin_traced(&fixture, events), fixture_end(&fixture))

#endif
