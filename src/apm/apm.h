/* SPDX-License-Identifier: MIT */
/*
 * Begin and End: what a result is made of, and what a socket keeps of them. All of it is guarded by
 * the engine's callbacks.lock, but for the word that says whether an operation is over.
 */
#ifndef SLUICE_SRC_APM_APM_H
#define SLUICE_SRC_APM_APM_H

#include <sluice/async.h>
#include <stdbool.h>

#include "apm/callbacks.h"
#include "core/record.h"

/* Results that rest after their End, so that what they brought can still be asked. */
#define SLUICE__RESULTS_REST 16u

/* result->word */
enum {
	SLUICE__ASYNC_PENDING = 1 << 0,
	SLUICE__ASYNC_DONE = 1 << 1,
	SLUICE__ASYNC_WAITED = 1 << 2, /* somebody sleeps on it */
	SLUICE__ASYNC_LOST = 1 << 3    /* the engine was: it will never be done */
};

/*
 * What a handle is looked up in. The generation counts the operations that were begun with it, and
 * goes on when the slot comes to another result.
 */
struct sluice__slot {
	uint64_t generation;           /* atomic; written under the engine's callbacks.lock */
	uint64_t before;               /* atomic: what it was when the result got the slot */
	struct sluice_socket *socket;  /* atomic; NULL: free */
	struct sluice__result *result; /* atomic */
	struct sluice__link link;      /* in the pool of free slots */
	uint32_t index;
};

struct sluice__result {
	struct sluice_args args; /* the first member: a record's handler finds the rest */
	union {
		struct sluice_packet packets[3]; /* of a send_file: before, file, after */
		struct sockaddr_storage address; /* to, or from */
	} with;
	struct sluice_socket *socket;
	struct sluice__slot *slot;
	sluice_async_callback *callback;
	void *state;
	struct sluice__link link; /* in apm->fresh, apm->rest or apm->callbacks */
	uint32_t word;            /* atomic, a futex */
	uint32_t operation; /* what Begin made of it, enum sluice_operation; NONE: never used */
	uint32_t waiting;   /* threads inside End or wait */
	bool ended;
	bool calling;       /* its callback is in line, or runs */
	bool synchronously; /* over before Begin returned */
} __attribute__((aligned(64)));

/* Results come many at a time, each time twice as many. */
struct sluice__results {
	struct sluice__results *next;
	uint32_t count;
	struct sluice__result results[];
};

/* What a socket has of Begin and End, from its first Begin on. */
struct sluice__apm {
	struct sluice__results *slabs; /* the largest first; atomic */
	struct sluice__pool fresh;
	struct sluice__fifo rest; /* ended, the oldest first */
	uint32_t rest_count;
	uint32_t running; /* operations that are not over */
	uint32_t users;   /* callbacks in line or running, threads inside End or wait */

	/* apm/callbacks.c */
	struct sluice__fifo
		callbacks; /* of results, in the order in which their operations ended */
	struct sluice__callback_thread *runner; /* runs a callback that holds the next one up */
	struct sluice__link ready_link;         /* in the pool's list of ready sockets */
};

/*
 * apm/result.c: a result to begin with, not yet anybody's. With a callback there is a thread for it
 * from here on. 0; -ENOMEM, -EAGAIN; -EBADF while the engine ends. ret_alone: nothing else of this
 * socket's Begins goes on.
 */
int sluice__apm_take(struct sluice_socket *socket, uint32_t operation,
		     sluice_async_callback *callback, void *state,
		     struct sluice__result **ret_result, bool *ret_alone);
/* It was refused, or failed inside the call. */
void sluice__apm_untake(struct sluice__result *result);
/* Ends the operation and queues its callback. */
void sluice__apm_finish(struct sluice__result *result, bool synchronously);
/* Back into the pool, if nothing holds it any more. Under the lock. */
void sluice__apm_retire(struct sluice__result *result);
/* One user less; under the lock. */
void sluice__apm_leave(struct sluice_socket *socket);

/* apm/handle.c: held while the process forks, so that nobody holds it in the child */
void sluice__handles_lock(void);
void sluice__handles_unlock(void);
/* Slots for these results of one socket. 0 or -ENOMEM. */
int sluice__handles_make(struct sluice__result *results, uint32_t count);
void sluice__handles_free(struct sluice__result *results, uint32_t count);
/* What the caller of Begin is given for what the result is used for now. */
struct sluice_async_result *sluice__handle_of(const struct sluice__result *result);
/*
 * 0; -EALREADY: it was ended, and its result may serve another operation; -EINVAL: none of this
 * socket's, or, with NULL, of any that is still there. Under callbacks.lock, or to be repeated
 * under it where another thread may end it.
 */
int sluice__handle_find(const struct sluice_async_result *handle,
			const struct sluice_socket *socket, struct sluice__result **ret_result);

#endif
