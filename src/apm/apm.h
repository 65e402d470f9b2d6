/* SPDX-License-Identifier: MIT */
/*
 * The Asynchronous Programming Model, .NET's Begin and End: results, and what a socket keeps for
 * them. The engine's callbacks.lock guards all of it, except the atomic word that holds a result's
 * state.
 */
#ifndef SLUICE_SRC_APM_APM_H
#define SLUICE_SRC_APM_APM_H

#include <sluice/async.h>
#include <stdbool.h>

#include "apm/callbacks.h"
#include "base/queue.h"
#include "core/record.h"

/* Ended results that are not reused yet, so that they can still be queried. */
#define SLUICE__RESULTS_ENDED 16u

/* result->word */
enum {
	SLUICE__ASYNC_PENDING = 1 << 0,
	SLUICE__ASYNC_DONE = 1 << 1,
	SLUICE__ASYNC_WAITED = 1 << 2, /* a thread sleeps on the futex */
	SLUICE__ASYNC_LOST = 1 << 3    /* the owner thread exited: it never completes */
};

/*
 * The entry that a handle refers to. The generation counts the operations begun with the slot, and
 * continues when the slot is assigned to another result.
 */
struct sluice__slot {
	uint64_t generation;           /* atomic; written under the engine's callbacks.lock */
	uint64_t before;               /* atomic: generation when the result got the slot */
	struct sluice_socket *socket;  /* atomic; NULL: free */
	struct sluice__result *result; /* atomic */
	struct sluice__link link;      /* in the pool of free slots */
	uint32_t index;
};

struct sluice__result {
	struct sluice_args args; /* first member: the record's handler converts its pointer */
	union {
		struct sluice_packet packets[3]; /* of a send_file: before, file, after */
		struct sockaddr_storage address; /* remote address, or the sender's */
	} with;
	struct sluice_socket *socket;
	struct sluice__slot *slot;
	sluice_async_callback *callback;
	void *state;
	struct sluice__link link; /* in apm->unused, apm->ended or apm->callbacks */
	uint32_t word;            /* atomic, a futex */
	uint32_t operation;       /* enum sluice_operation; NONE: unused */
	uint32_t waiting;         /* threads inside End or wait */
	bool ended;
	bool calling;       /* its callback is queued or runs */
	bool synchronously; /* completed before Begin returned */
} __attribute__((aligned(64)));

/* A slab of results; each is twice as large as the one before. */
struct sluice__results {
	struct sluice__results *next;
	uint32_t count;
	struct sluice__result results[];
};

/* State of a socket, from its first Begin on. */
struct sluice__apm {
	struct sluice__results *slabs; /* the largest first; atomic */
	struct sluice__pool unused;
	struct sluice__fifo ended; /* ended results, oldest first */
	uint32_t ended_count;
	uint32_t running; /* operations in progress */
	uint32_t sending; /* of them, sends */
	uint32_t users;   /* callbacks queued or running, threads inside End or wait */

	/* apm/callbacks.c */
	struct sluice__fifo
		callbacks; /* of results, in the order in which their operations ended */
	struct sluice__callback_thread *runner; /* its callback holds back the next one; or NULL */
	struct sluice__link ready_link;         /* in the pool's list of ready sockets */
};

/* Operations of a socket's Begins that are not over when another one is begun. */
struct sluice__others {
	bool any;
	bool sends;
};

/*
 * result.c: takes a result for a Begin from the pool. If it has a callback, at least one thread
 * exists to run it. Returns 0; -ENOMEM, -EAGAIN; -EBADF while the engine ends. *ret_others: which other
 * Begins of this socket are in progress.
 */
int sluice__apm_take(struct sluice_socket *socket, uint32_t operation,
		     sluice_async_callback *callback, void *state,
		     struct sluice__result **ret_result, struct sluice__others *ret_others);
/* Returns the result of a Begin that was refused, or that failed inside the call. */
void sluice__apm_untake(struct sluice__result *result);
/* Completes the operation and queues its callback. */
void sluice__apm_finish(struct sluice__result *result, bool synchronously);
/* Returns the result to the pool if it is no longer in use. Locked. */
void sluice__apm_retire(struct sluice__result *result);
/* Removes one of the socket's users. Locked. */
void sluice__apm_leave(struct sluice_socket *socket);

/* handle.c: the lock is held across fork, so that it is free in the child */
void sluice__handles_lock(void);
void sluice__handles_unlock(void);
/* Assigns slots to the results of one socket. Returns 0 or -ENOMEM. */
int sluice__handles_make(struct sluice__result *results, uint32_t count);
void sluice__handles_free(struct sluice__result *results, uint32_t count);
/* The handle that Begin returns for the result's current operation. */
struct sluice_async_result *sluice__handle_of(const struct sluice__result *result);
/*
 * Looks up a handle. Returns 0; -EALREADY: it was ended, and its result may serve another
 * operation; -EINVAL: not a handle of this socket or, if socket is NULL, of any existing socket.
 * Call it with callbacks.lock held, or repeat it with the lock if another thread may end the
 * result.
 */
int sluice__handle_find(const struct sluice_async_result *handle,
			const struct sluice_socket *socket, struct sluice__result **ret_result);

#endif
