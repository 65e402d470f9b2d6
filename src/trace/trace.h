/* SPDX-License-Identifier: MIT */
/*
 * The trace of an engine: rings of fixed-size events.
 *
 * Without a trace, engine->trace is NULL and there is no cost: a socket's TRACED bit is one of
 * those that take a start off the fast path anyway, delivery chooses its loop once per turn, and
 * the backend is not wrapped.
 *
 * With a trace, the engine's thread has a ring of its own, so that an event costs no locked
 * instruction; other threads share a second ring. Each slot has the position of its event, written
 * last: a reader that finds a different position before or after its copy knows that the event was
 * overwritten.
 */
#ifndef SLUICE_SRC_TRACE_TRACE_H
#define SLUICE_SRC_TRACE_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct sluice_args;
struct sluice_engine;
struct sluice_socket;

enum {
	SLUICE__TRACE_CALL,
	SLUICE__TRACE_SUBMIT,
	SLUICE__TRACE_COMPLETE,
	SLUICE__TRACE_SETTLE,
	SLUICE__TRACE_ERROR
};

/* operation: enum sluice_operation for calls, settles and errors, or one of these. */
enum {
	SLUICE__TRACE_ATTACH = 32,
	SLUICE__TRACE_CLOSE,
	/* Non-blocking system calls. */
	SLUICE__TRACE_SEND_NOW,
	SLUICE__TRACE_FILE_NOW,
	SLUICE__TRACE_RECEIVE_NOW,
	/* Requests: this plus SLUICE__REQUEST_*. */
	SLUICE__TRACE_REQUEST = 64
};

/* flags */
enum {
	SLUICE__TRACE_REFUSED = 1 << 0 /* the start returned the error; no record completed */
};

struct sluice__trace_event {
	uint64_t time; /* nanoseconds of CLOCK_MONOTONIC */
	uint64_t socket;
	uint64_t record;
	uint64_t bytes;
	int32_t fd;
	int32_t error;  /* SocketError */
	int32_t native; /* errno */
	uint8_t kind;
	uint8_t operation;
	uint8_t flags;
	uint8_t reserved;
};

#define SLUICE__TRACE_EVENT_WORDS (sizeof(struct sluice__trace_event) / sizeof(uint64_t))

/* ---- trace.c ---- */

/* Opens the trace if the options request one. 0 or -errno. */
int sluice__trace_open(struct sluice_engine *engine);
void sluice__trace_close(struct sluice_engine *engine); /* writes the remaining events */

/* These require engine->trace. */
void sluice__trace_event(struct sluice_engine *engine, struct sluice__trace_event *event);
void sluice__trace_socket(struct sluice_socket *socket, uint32_t operation);
void sluice__trace_call(struct sluice_socket *socket, const struct sluice_args *args,
			uint32_t operation, uint32_t op_flags);
/* A record with its result published, before it is released. */
void sluice__trace_end(struct sluice_socket *socket, const struct sluice_args *args);
/* Called by the owner once per turn and start: wakes the writer if a ring is half full. */
void sluice__trace_turn(struct sluice_engine *engine);

/* Does nothing without a trace. */
void sluice__trace_refused(struct sluice_socket *socket, const struct sluice_args *args,
			   uint32_t operation, int error);

/* Records the error of a start, if any. Returns `answer`. */
static inline int sluice__trace_answer(struct sluice_socket *socket, const struct sluice_args *args,
				       uint32_t operation, int answer)
{
	if (__builtin_expect(answer < 0, 0))
		sluice__trace_refused(socket, args, operation, answer);
	return answer;
}

/* ---- ring.c: the ring of events; independent of the engine ---- */

struct sluice__trace_slot {
	uint64_t position; /* atomic: 1 + position of the event; 0: being written */
	uint64_t words[SLUICE__TRACE_EVENT_WORDS];
	uint64_t spare;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sluice__trace_slot) == 64, "an event is one cache line");

struct sluice__trace_ring {
	struct sluice__trace_slot *slots;
	uint64_t mask;
	uint64_t next; /* atomic: the next position */
};

/* The caller has reserved the position by incrementing ring->next. */
void sluice__trace_ring_put(struct sluice__trace_ring *ring, uint64_t position,
			    const struct sluice__trace_event *event);
/*
 * Copies the event at *position, or the first later one that was not overwritten: *position becomes
 * its position, and *lost grows by the number of overwritten events. 1; 0: no event yet.
 */
int sluice__trace_ring_get(const struct sluice__trace_ring *ring, uint64_t *position,
			   uint64_t *lost, struct sluice__trace_event *event);

/* ---- format.c: pure ---- */

#define SLUICE__TRACE_LINE 512 /* maximum length of a line */

/* Writes a line, with its newline. Returns the length. format: SLUICE_TRACE_*. */
size_t sluice__trace_format(char *line, uint32_t format, uint32_t engine,
			    const struct sluice__trace_event *event);
size_t sluice__trace_format_lost(char *line, uint32_t format, uint32_t engine, uint64_t count);

/* ---- tap.c: wraps the backend ---- */

struct sluice__backend;

/* over: a copy of below whose functions also record events. */
void sluice__trace_backend(struct sluice__backend *over, const struct sluice__backend *below);
const struct sluice__backend *sluice__trace_below(const struct sluice_engine *engine);

/* ---- probes.c; probes_none.c without sys/sdt.h ---- */

void sluice__trace_probe(const struct sluice__trace_event *event);

#endif
