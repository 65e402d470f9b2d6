/* SPDX-License-Identifier: MIT */
/*
 * The trace of an engine: opened and closed with the engine, filled by its modules, and written to
 * a descriptor on request or to the path of the options. A separate thread writes the path. The
 * engine's thread never waits for it: if the writer is too slow, events are overwritten and
 * counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sluice/trace.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/futex.h"
#include "core/packets.h"
#include "core/record.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "trace/trace.h"

#define TEXT_BYTES 65536

enum {
	OWNER_RING,  /* the engine's thread */
	OTHERS_RING, /* all other threads */
	RINGS
};

/* A position in each ring. */
struct reader {
	uint64_t position[RINGS];
};

struct sluice__trace {
	struct sluice__backend over;
	const struct sluice__backend *below;
	struct sluice__trace_ring rings[RINGS];
	pthread_mutex_t lock;     /* guards the members up to text */
	struct reader on_request; /* of sluice_engine_trace_write */
	struct reader path;       /* of the writer thread */
	uint32_t format;          /* of the path */
	uint32_t number;          /* of the engine, in this process */
	int fd;                   /* of the path; -1: none */
	char text[TEXT_BYTES];

	pthread_t writer;        /* the thread that writes the path */
	uint32_t due;            /* atomic, a futex: the writer has to write or stop */
	uint32_t stopping;       /* atomic: the writer writes once more and exits */
	uint32_t failed;         /* atomic: a write failed; the path is not written any more */
	uint64_t written[RINGS]; /* atomic: path.position, for the owner */
};

const struct sluice__backend *sluice__trace_below(const struct sluice_engine *engine)
{
	return engine->trace->below;
}

/* ---- events ---- */

void sluice__trace_event(struct sluice_engine *engine, struct sluice__trace_event *event)
{
	struct sluice__trace_ring *rings = engine->trace->rings;
	uint64_t position;

	event->time = sluice__now();
	sluice__trace_probe(event);
	if (sluice__is_owner(engine)) {
		position = rings[OWNER_RING].next;
		__atomic_store_n(&rings[OWNER_RING].next, position + 1, __ATOMIC_RELAXED);
		sluice__trace_ring_put(&rings[OWNER_RING], position, event);
	} else {
		position = __atomic_fetch_add(&rings[OTHERS_RING].next, 1, __ATOMIC_RELAXED);
		sluice__trace_ring_put(&rings[OTHERS_RING], position, event);
	}
}

static struct sluice__trace_event event_of(const struct sluice_socket *socket, uint8_t kind,
					   uint32_t operation)
{
	return (struct sluice__trace_event){
		.socket = (uintptr_t)socket,
		.fd = __atomic_load_n(&socket->fd, __ATOMIC_RELAXED),
		.kind = kind,
		.operation = (uint8_t)operation,
	};
}

void sluice__trace_socket(struct sluice_socket *socket, uint32_t operation)
{
	struct sluice__trace_event event = event_of(socket, SLUICE__TRACE_CALL, operation);

	sluice__trace_event(socket->engine, &event);
}

static uint64_t packets_bytes(const struct sluice__packets *packets)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < packets->count; i++)
		bytes += packets->parts[i].count;
	return bytes;
}

static uint64_t traced_list_bytes(const struct sluice_args *args)
{
	const struct iovec *segments = args->run.base;
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < args->run.count; i++)
		bytes += segments[i].iov_len;
	return bytes;
}

static uint64_t requested_bytes(const struct sluice_args *args, uint32_t operation,
				uint32_t op_flags)
{
	if (op_flags & SLUICE__OP_PACKETS)
		return packets_bytes(args->rare.side);
	if (operation == SLUICE_OPERATION_CONNECT || operation == SLUICE_OPERATION_ACCEPT ||
	    operation == SLUICE_OPERATION_DISCONNECT)
		return 0;
	return args->run.op_flags & SLUICE__OP_LIST ? traced_list_bytes(args) : args->run.total;
}

void sluice__trace_call(struct sluice_socket *socket, const struct sluice_args *args,
			uint32_t operation, uint32_t op_flags)
{
	struct sluice__trace_event event = event_of(socket, SLUICE__TRACE_CALL, operation);

	event.record = (uintptr_t)args;
	event.bytes = requested_bytes(args, operation, op_flags);
	sluice__trace_event(socket->engine, &event);
}

void sluice__trace_end(struct sluice_socket *socket, const struct sluice_args *args)
{
	uint8_t kind = args->error ? SLUICE__TRACE_ERROR : SLUICE__TRACE_SETTLE;
	struct sluice__trace_event event = event_of(socket, kind, args->last_operation);

	event.record = (uintptr_t)args;
	event.bytes = args->bytes_transferred;
	event.error = args->error;
	event.native = args->native_error;
	sluice__trace_event(socket->engine, &event);
}

void sluice__trace_refused(struct sluice_socket *socket, const struct sluice_args *args,
			   uint32_t operation, int error)
{
	struct sluice__trace_event event;

	if (!socket || !socket->engine->trace)
		return;
	event = event_of(socket, SLUICE__TRACE_ERROR, operation);
	event.flags = SLUICE__TRACE_REFUSED;
	event.record = (uintptr_t)args;
	event.error = sluice_socket_error_from_errno(error);
	event.native = -error;
	sluice__trace_event(socket->engine, &event);
}

/* ---- write ---- */

/* The earliest unread event of all rings. Returns its ring, or -1 if there is none. */
static int next_event(const struct sluice__trace *trace, struct reader *reader, uint64_t *lost,
		      struct sluice__trace_event *event)
{
	struct sluice__trace_event events[RINGS];
	int first = -1;

	for (int i = 0; i < RINGS; i++) {
		if (sluice__trace_ring_get(&trace->rings[i], &reader->position[i], lost,
					   &events[i]) &&
		    (first < 0 || events[i].time < events[first].time))
			first = i;
	}
	if (first >= 0)
		*event = events[first];
	return first;
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t written = write(fd, text, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		text += written;
		length -= (size_t)written;
	}
	return 0;
}

/* Formats as many events as fit into trace->text. Returns their number, and the text's length. */
static int64_t format_events(struct sluice__trace *trace, struct reader *reader, uint32_t format,
			     size_t *ret_length)
{
	struct sluice__trace_event event;
	int64_t count = 0;
	size_t length = 0;

	while (length + 2 * SLUICE__TRACE_LINE <= sizeof trace->text) {
		uint64_t lost = 0;
		int ring = next_event(trace, reader, &lost, &event);

		if (lost)
			length += sluice__trace_format_lost(trace->text + length, format,
							    trace->number, lost);
		if (ring < 0)
			break;
		length += sluice__trace_format(trace->text + length, format, trace->number, &event);
		reader->position[ring]++;
		count++;
	}
	*ret_length = length;
	return count;
}

/*
 * Under the lock. Bounded by the capacity of the rings, because events may be added faster than
 * they are written.
 */
static int64_t write_events(struct sluice__trace *trace, struct reader *reader, int fd,
			    uint32_t format)
{
	uint64_t end = trace->rings[OWNER_RING].mask + 1;
	uint64_t written = 0;
	size_t length;

	do {
		struct reader before = *reader;
		int64_t count = format_events(trace, reader, format, &length);
		int error = write_all(fd, trace->text, length);

		if (error) {
			*reader = before;
			return error;
		}
		written += (uint64_t)count;
	} while (length && written < RINGS * end);
	return (int64_t)written;
}

/* ---- the writer thread ---- */

/* After a failure, such as a full disk, the path is not written any more. */
static void write_path(struct sluice__trace *trace)
{
	pthread_mutex_lock(&trace->lock);
	if (!trace->failed && write_events(trace, &trace->path, trace->fd, trace->format) < 0)
		__atomic_store_n(&trace->failed, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < RINGS; i++)
		__atomic_store_n(&trace->written[i], trace->path.position[i], __ATOMIC_RELAXED);
	pthread_mutex_unlock(&trace->lock);
}

static void *writer_run(void *token)
{
	struct sluice__trace *trace = token;
	uint32_t stopping;

	do {
		while (!__atomic_exchange_n(&trace->due, 0, __ATOMIC_ACQ_REL))
			sluice__futex_wait(&trace->due, 0, UINT64_MAX);
		stopping = __atomic_load_n(&trace->stopping, __ATOMIC_ACQUIRE);
		write_path(trace);
	} while (!stopping);
	return NULL;
}

static int writer_start(struct sluice__trace *trace)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&trace->writer, NULL, writer_run, trace);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

static void writer_wake(struct sluice__trace *trace)
{
	if (!__atomic_exchange_n(&trace->due, 1, __ATOMIC_ACQ_REL))
		sluice__futex_wake_all(&trace->due);
}

static bool is_half_full(const struct sluice__trace *trace, int ring)
{
	uint64_t unwritten = __atomic_load_n(&trace->rings[ring].next, __ATOMIC_RELAXED) -
			     __atomic_load_n(&trace->written[ring], __ATOMIC_RELAXED);

	return unwritten > trace->rings[ring].mask / 2;
}

void sluice__trace_turn(struct sluice_engine *engine)
{
	struct sluice__trace *trace = engine->trace;

	sluice__assert_owner(engine);
	if (trace->fd < 0 || __atomic_load_n(&trace->failed, __ATOMIC_RELAXED) ||
	    __atomic_load_n(&trace->due, __ATOMIC_RELAXED))
		return;
	if (is_half_full(trace, OWNER_RING) || is_half_full(trace, OTHERS_RING))
		writer_wake(trace);
}

int64_t sluice_engine_trace_write(struct sluice_engine *engine, int fd, uint32_t format)
{
	struct sluice__trace *trace;
	int64_t written;

	if (!engine || !engine->trace || format > SLUICE_TRACE_JSON)
		return -EINVAL;
	if (sluice__dead(engine) & SLUICE__DEAD_FORKED)
		return -EBADF;
	trace = engine->trace;
	pthread_mutex_lock(&trace->lock);
	written = write_events(trace, &trace->on_request, fd, format);
	pthread_mutex_unlock(&trace->lock);
	return written;
}

/* ---- open and close ---- */

static int open_ring(struct sluice_engine *engine, struct sluice__trace_ring *ring, uint32_t events)
{
	ring->slots = sluice__allocate(engine, events * sizeof *ring->slots);
	ring->mask = events - 1;
	return ring->slots ? 0 : -ENOMEM;
}

/* O_APPEND with whole lines: engines and processes may share the file. */
static int open_trace_path(struct sluice__trace *trace, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
	int error;

	if (fd < 0)
		return -errno;
	trace->fd = fd;
	error = writer_start(trace);
	if (error) {
		close(fd);
		trace->fd = -1;
	}
	return error;
}

static int open_trace(struct sluice_engine *engine, struct sluice__trace *trace)
{
	const struct sluice_options *options = &engine->options;
	uint32_t events = options->trace_events;
	int error;

	error = open_ring(engine, &trace->rings[OWNER_RING], events);
	if (!error)
		error = open_ring(engine, &trace->rings[OTHERS_RING], events);
	if (!error && options->trace_path)
		error = open_trace_path(trace, options->trace_path);
	return error;
}

int sluice__trace_open(struct sluice_engine *engine)
{
	static uint32_t engines;
	struct sluice__trace *trace;
	int error;

	if (!engine->options.trace_events)
		return 0;
	trace = sluice__allocate(engine, sizeof *trace);
	if (!trace)
		return -ENOMEM;
	trace->fd = -1;
	trace->format = engine->options.trace_format;
	trace->number = __atomic_add_fetch(&engines, 1, __ATOMIC_RELAXED);
	pthread_mutex_init(&trace->lock, NULL);
	error = open_trace(engine, trace);
	engine->options.trace_path = NULL; /* the caller may free it after create */
	trace->below = engine->backend;
	sluice__trace_backend(&trace->over, engine->backend);
	engine->trace = trace;
	if (!error)
		engine->backend = &trace->over;
	return error;
}

static void writer_stop(struct sluice__trace *trace)
{
	__atomic_store_n(&trace->stopping, 1, __ATOMIC_RELEASE);
	writer_wake(trace);
	pthread_join(trace->writer, NULL);
}

void sluice__trace_close(struct sluice_engine *engine)
{
	struct sluice__trace *trace = engine->trace;

	if (!trace)
		return;
	if (trace->fd >= 0) {
		writer_stop(trace);
		close(trace->fd);
	}
	for (int i = 0; i < RINGS; i++)
		free(trace->rings[i].slots);
	pthread_mutex_destroy(&trace->lock);
	free(trace);
	engine->trace = NULL;
}
