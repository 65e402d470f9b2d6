/* SPDX-License-Identifier: MIT */
/*
 * The trace: what an engine did, call by call. Off by default, and then it costs nothing; turned on
 * by options.trace_events, by options.trace_path or by the environment's SLUICE_TRACE, for the
 * whole life of an engine (.NET has an event source for this).
 *
 * Each event is of one of five kinds, and names the operation, the descriptor, the socket, the
 * record, the bytes and the time (CLOCK_MONOTONIC):
 *
 *   call      a starting call was accepted (bytes: what was asked for); a socket was attached or closed
 *   submit    the kernel was given something: at once (send, sendfile, receive), or as a request
 *   complete  its answer: the bytes, or the errno
 *   settle    a record ended well, with its bytes
 *   error     a record ended badly, with SocketError, errno and bytes; or a call was refused
 *
 * The events are in a ring of fixed size. If they are not written out in time, the oldest are
 * overwritten, and their number is written in their place.
 */
#ifndef SLUICE_TRACE_H
#define SLUICE_TRACE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_engine;

enum {
	SLUICE_TRACE_TEXT, /* a line an event, for people */
	SLUICE_TRACE_JSON  /* a JSON object a line */
};

/*
 * Writes the events that it has not written before to fd, the oldest first, one line each, and a
 * line with the number of those that were overwritten meanwhile. fd stays yours; it should block.
 * What options.trace_path or SLUICE_TRACE write is counted apart. Any thread; events of calls that
 * run meanwhile may be left for the next time.
 * The number of events written; -EINVAL: NULL, an unknown format, or an engine without a trace;
 * -EBADF in a forked child; else what write(2) says, and the last line may be a part of one; what
 * was not written whole is written again by the next call. Since 0.1.
 */
int64_t sluice_engine_trace_write(struct sluice_engine *engine, int fd, uint32_t format);

#ifdef __cplusplus
}
#endif
#endif
