/* SPDX-License-Identifier: MIT */
/*
 * One buffer to many sockets: a record for all of them, with one completion. A broadcast needs no
 * handler and no count of its own for each receiver.
 *
 * The record and its targets are yours, and nothing is allocated. All zero is valid. From the start
 * on, until the handler is called or the call has returned 0 or an error, neither they nor the
 * bytes may be moved, changed or freed.
 */
#ifndef SLUICE_FAN_OUT_H
#define SLUICE_FAN_OUT_H

#include <sluice/args.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_fan_out;

/*
 * Runs once for each fan-out whose start answered 1, in the engine's thread of the socket whose
 * send ended last. It may start the record again, change it or free it.
 */
typedef void sluice_fan_out_fn(struct sluice_fan_out *fan_out);

/* One receiver. */
struct sluice_fan_out_target {
	/* Set by the call; read by you after the end: error, native_error, bytes_transferred. */
	struct sluice_args args;
	struct sluice_socket *socket; /* set by you */
};

struct sluice_fan_out {
	/* Set by you before the start. */
	sluice_fan_out_fn *completed; /* NULL: poll sluice_fan_out_in_progress */
	void *user_token;             /* yours; never touched */
	const void *base;             /* the bytes that every socket is sent */
	size_t length;
	struct sluice_fan_out_target *targets;
	size_t target_count;
	int64_t timeout_ns; /* of each send; 0: none */
	uint32_t flags;     /* of each send: SLUICE_FLAG_* */
	uint32_t reserved;  /* 0 */

	/* Read by you after the end. */
	size_t failed; /* targets whose error is not SLUICE_ERROR_SUCCESS, refused ones included */

	size_t pending; /* the library's */
};

/*
 * Starts a send of the same bytes on every target's socket, as sluice_send_async would in the order
 * of the array, and completes once, when the last one has ended. They need not be of one engine. A
 * socket that refuses its send stops no other: the refusal becomes the error and native_error of
 * its target, as sluice_args_complete does it, and can be read as soon as this call has returned.
 * A target whose record is in progress otherwise counts as failed, and its record is left alone.
 * On the engine's thread the sends leave together, as in a batch. Any thread.
 *
 * 1: pending, the handler will run; 0: all have ended, the handler does not run; -EINVAL for NULL,
 * no bytes with a length, no targets with a count, or a reserved word; -ERANGE for a length that no
 * record can have, or a negative timeout; -EBUSY in progress. Since 0.1.
 */
int sluice_fan_out_async(struct sluice_fan_out *fan_out);

/*
 * Cancels the sends that have not ended, as sluice_cancel does; the fan-out then ends through its
 * handler. The engine's thread; or any, if the record and the sockets stay alive until this call
 * has returned. 0; -ENOENT: not in progress; -EINVAL for NULL. Since 0.1.
 */
int sluice_fan_out_cancel(struct sluice_fan_out *fan_out);

/*
 * 1 while the fan-out is in progress, else 0: then its results may be read. If a handler is set,
 * the record is yours again only when the handler runs. Any thread. -EINVAL for NULL. Since 0.1.
 */
int sluice_fan_out_in_progress(const struct sluice_fan_out *fan_out);

#ifdef __cplusplus
}
#endif
#endif
