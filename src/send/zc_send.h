/* SPDX-License-Identifier: MIT */
/* Zero-copy sends between their result and their notification; private to send/. */
#ifndef SLUICE_SRC_SEND_ZC_SEND_H
#define SLUICE_SRC_SEND_ZC_SEND_H

#include "backend/backend.h"
#include "base/queue.h"
#include "core/record_list.h"
#include "send/send.h"

struct sluice__zc_send {
	struct sluice__request request; /* first member: a completion is converted to its zc_send */
	struct sluice__zc_send *next;   /* circular list of socket->zc_sends */
	struct sluice__link link;       /* free list */
	struct sluice__chain done;      /* records that complete when it retires */
	const struct sluice_args
		*partial; /* record it sent in part; compared, never dereferenced */
	bool taking;      /* its result is being applied to the records */
	bool result_seen; /* the first completion has arrived */
	bool learned;     /* the policy has its outcome */
};

/* NULL at the limit of pending notifications, or without memory. */
struct sluice__zc_send *sluice__zc_send_take(struct sluice_engine *engine);
void sluice__zc_send_put(struct sluice_engine *engine, struct sluice__zc_send *zc_send);
/* Makes it the newest of the socket; the socket is in flight. */
void sluice__zc_send_add(struct sluice_socket *socket, struct sluice__zc_send *zc_send);
/* Retires, from the oldest on, the sends that have both completions. */
void sluice__zc_send_retire_in_order(struct sluice_socket *socket);

#endif
