/* SPDX-License-Identifier: MIT */
/*
 * The trace of an engine: rings of fixed-size events.
 *
 * Off, engine->trace is NULL and nothing is paid: a socket's TRACED bit stands among those that
 * take a start off its fast path anyway, the delivery of handlers chooses its loop once a turn, and
 * the kernel's side is seen by standing in front of the backend, which is not done.
 *
 * On, the engine's thread has a ring of its own, so that an event costs no locked instruction; other
 * threads share a second one. Each event carries its place, written last: a reader that finds
 * another one there before or after its copy knows that the event was overwritten.
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

/* operation: of calls, settles and errors enum sluice_operation, or one of these. */
enum {
	SLUICE__TRACE_ATTACH = 32,
	SLUICE__TRACE_CLOSE,
	/* What is submitted and completed: at once, */
	SLUICE__TRACE_SEND_NOW,
	SLUICE__TRACE_FILE_NOW,
	SLUICE__TRACE_RECEIVE_NOW,
	/* or as a request, SLUICE__REQUEST_* behind this. */
	SLUICE__TRACE_REQUEST = 64
};

/* flags */
enum {
	SLUICE__TRACE_REFUSED = 1 << 0 /* by the starting call: no record ended */
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

/* As the options say: 0, also where there is none to open; or -errno. */
int sluice__trace_open(struct sluice_engine *engine);
void sluice__trace_close(struct sluice_engine *engine); /* writes out what is left */

/* Only where engine->trace is set. */
void sluice__trace_event(struct sluice_engine *engine, struct sluice__trace_event *event);
void sluice__trace_socket(struct sluice_socket *socket, uint32_t operation);
void sluice__trace_call(struct sluice_socket *socket, const struct sluice_args *args,
			uint32_t operation, uint32_t op_flags);
/* A record that has its result in its members, and is still ours. */
void sluice__trace_end(struct sluice_socket *socket, const struct sluice_args *args);
/* Once a turn and start, by the owner: wakes the writer of the path when a ring is half full. */
void sluice__trace_turn(struct sluice_engine *engine);

/* Also where there is no trace. */
void sluice__trace_refused(struct sluice_socket *socket, const struct sluice_args *args,
			   uint32_t operation, int error);

/* What a starting call answers passes through here. */
static inline int sluice__trace_answer(struct sluice_socket *socket, const struct sluice_args *args,
				       uint32_t operation, int answer)
{
	if (__builtin_expect(answer < 0, 0))
		sluice__trace_refused(socket, args, operation, answer);
	return answer;
}

/* ---- trace/ring.c: the events, written by some and read by others (knows no engine) ---- */

struct sluice__trace_slot {
	uint64_t place; /* atomic: 1 + that of the event; 0: it is being written */
	uint64_t words[SLUICE__TRACE_EVENT_WORDS];
	uint64_t spare;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sluice__trace_slot) == 64, "an event is one cache line");

struct sluice__trace_ring {
	struct sluice__trace_slot *slots;
	uint64_t mask;
	uint64_t next; /* atomic: events begun */
};

/* The place is the caller's to take: by a plain increment, or an atomic one. */
void sluice__trace_ring_put(struct sluice__trace_ring *ring, uint64_t place,
			    const struct sluice__trace_event *event);
/*
 * The event at *place, or the first behind it that is still there: *place is then its, and *lost
 * grows by those that were overwritten. 1; 0: there is none yet.
 */
int sluice__trace_ring_get(const struct sluice__trace_ring *ring, uint64_t *place, uint64_t *lost,
			   struct sluice__trace_event *event);

/* ---- trace/format.c: pure ---- */

#define SLUICE__TRACE_LINE 512 /* room that any line fits in */

/* A line with its end. Returns its length; format is one that is known. */
size_t sluice__trace_format(char *line, uint32_t format, uint32_t engine,
			    const struct sluice__trace_event *event);
size_t sluice__trace_format_lost(char *line, uint32_t format, uint32_t engine, uint64_t count);

/* ---- trace/tap.c: stands in front of the backend ---- */

struct sluice__backend;

/* over: a copy of below whose functions tell the trace. */
void sluice__trace_backend(struct sluice__backend *over, const struct sluice__backend *below);
const struct sluice__backend *sluice__trace_below(const struct sluice_engine *engine);

/* ---- trace/probes.c, or trace/probes_none.c where sys/sdt.h is not there ---- */

void sluice__trace_probe(const struct sluice__trace_event *event);

#endif
