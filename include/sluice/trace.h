/* SPDX-License-Identifier: MIT */
/*
 * The trace: the events of an engine, call by call. It is off by default and then costs nothing.
 * options.trace_events, options.trace_path or the environment variable SLUICE_TRACE turn it on, for
 * the whole life of an engine (.NET has an event source for this).
 *
 * There are five kinds of events. Each has the operation, the descriptor, the socket, the record,
 * the bytes and the time (CLOCK_MONOTONIC):
 *
 *   call      a start was accepted (bytes: requested); a socket was attached or closed
 *   submit    a request went to the kernel: directly (send, sendfile, receive) or as a ring entry
 *   complete  the kernel's result: the bytes, or the errno
 *   settle    a record completed successfully, with its bytes
 *   error     a record failed, with SocketError, errno and bytes; or a call was refused
 *
 * The events are stored in a ring of fixed size. If they are not written out in time, the oldest
 * are overwritten, and the number of lost events is written in their place.
 */
#ifndef SLUICE_TRACE_H
#define SLUICE_TRACE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_engine;

enum {
	SLUICE_TRACE_TEXT, /* one line per event, human-readable */
	SLUICE_TRACE_JSON  /* one JSON object per line */
};

/*
 * Writes the events since the last call to fd, oldest first, one line each, and a line with the
 * number of those that were overwritten meanwhile. fd stays the caller's; it should be in blocking
 * mode. The file of options.trace_path or SLUICE_TRACE is independent of this. Any thread; events
 * of calls that run concurrently may be left for the next time. Returns the number of events
 * written; -EINVAL: NULL, an unknown format, or an engine without a trace; -EBADF in a forked
 * child; else the errno of write(2): the last line may then be incomplete, and the next call writes
 * it again. Since 0.1.
 */
int64_t sluice_engine_trace_write(struct sluice_engine *engine, int fd, uint32_t format);

#ifdef __cplusplus
}
#endif
#endif
