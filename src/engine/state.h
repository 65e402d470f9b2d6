/* SPDX-License-Identifier: MIT */
/*
 * The state of an engine that all modules share, and the interface of this folder: owner, inbox,
 * lists of sockets, requests, results, deadlines, posts and pools. State private to another folder
 * is declared there; life/engine.h composes the engine.
 */
#ifndef SLUICE_SRC_ENGINE_STATE_H
#define SLUICE_SRC_ENGINE_STATE_H

#include <pthread.h>
#include <sluice/engine.h>
#include <sluice/probe.h>
#include <sluice/server.h>
#include <sluice/statistics.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/queue.h"
#include "base/wheel.h"
#include "core/plan.h"
#include "core/record.h"
#include "core/sendq.h"
#include "core/zerocopy_policy.h"

#define SLUICE__SEGMENTS_MAX 1024u /* in one sendmsg: the kernel's UIO_MAXIOV */
#define SLUICE__ARENA 4096u        /* segments between two submissions */

/* Kinds of nodes in engine->deadlines. All but the first are a socket's timer. */
enum {
	SLUICE__NODE_RECORD,      /* the deadline of a record */
	SLUICE__NODE_CLOSE,       /* continues a close, depending on the phase */
	SLUICE__NODE_RETRY_SEND,  /* retries a connect, or a datagram with nothing to poll for */
	SLUICE__NODE_RETRY_ACCEPT /* retries an accept that ran out of descriptors */
};

struct sluice__close_waiter;
struct sluice__recv_msg;
struct sluice__thread_watch;
struct sluice__gso_batch;
struct sluice__callbacks;
struct sluice__files;
struct sluice__packets;
struct sluice__pipe;
struct sluice__post;
struct sluice__slab;
struct sluice__uring;
struct sluice__poller;
struct sluice__page_cache;
struct sluice__receiver;
struct sluice__trace;
struct sluice__zerocopy_pool;

/* A listener that waits for a free descriptor. */
struct sluice__retry {
	struct sluice__retry *next;
	struct sluice_socket *listener;
};

/* Callbacks into Begin and End, a layer above. */
struct sluice__apm_calls {
	/* The owner exits without having destroyed the engine. */
	void (*owner_exited)(struct sluice_engine *engine);
	/* Around fork(2), so that no lock is held in the child. */
	void (*before_fork)(void);
	void (*after_fork)(void);
	void (*in_child)(struct sluice_engine *engine);
	/* No callback is queued or running, and no thread is inside End or a wait. */
	bool (*is_quiet)(const struct sluice_socket *socket);
	void (*free_socket)(struct sluice_socket *socket);
};

struct sluice_engine {
	/* Accessed by every start: first in the struct. */
	uintptr_t owner; /* atomic: thread pointer of the owner; 0: none, as before the first use */
	uint32_t busy;   /* nesting of handlers, batches and turns; not 0: starts are queued */
	uint32_t dead;   /* atomic: SLUICE__DEAD_*; not 0: every call returns -EBADF */
	struct sluice__stack mailbox; /* records started by other threads, by sluice__record_link */
	struct sluice__stack intents; /* sockets with intents, by intents_link */
	struct sluice__fifo ready;    /* sockets ready to send, by ready_link */
	uint32_t ready_count;
	uint32_t batches;       /* open batches */
	uint64_t zerocopy_from; /* smallest send considered for zero copy, in bytes */
	uint64_t queue_from; /* atomic: smallest single send that may be queued for the backend */
	struct sluice_socket *prefilling; /* the ready socket listed in `prefilled` */
	struct sluice__chain done;        /* finished records, handlers not called yet */

	const struct sluice__backend *backend;
	struct sluice__trace *trace; /* NULL: off */
	struct sluice__uring *uring;
	struct sluice__poller *poller; /* epoll */
	struct sluice_options options;
	uint32_t capabilities;
	uint32_t asleep;     /* atomic: the owner sleeps, a wake-up needs a system call */
	uint32_t woken;      /* atomic: sluice_engine_wake was called */
	uint64_t wakes;      /* atomic: statistics.wakes */
	uint64_t lent_sends; /* atomic: sends made by other threads on sockets lent to them */
	struct sluice__fifo lending; /* sockets that may be lent, by accepted_link */
	uintptr_t creator; /* thread pointer of the thread that becomes the owner on first use */
	bool hands_over;   /* SQPOLL: starts submit memory immediately */
	bool delivering;   /* a handler is running */
	bool embedded;     /* sluice_engine_fd was called: another event loop polls the engine */
	uint32_t armed_requests;

	/* The choice between one send(2) per socket and the ring. */
	struct sluice__costs costs;
	uint64_t submitted_before; /* statistics.submitted at the last submission */
	uint32_t way_flips;        /* for tests: turns until the choice is reversed; 0: by costs */
	uint32_t way_decisions;
	struct sluice__plan_wait waits;
	uint32_t
		wait_count; /* completions that enter waits for; more than 1: no longer than it says */

	struct sluice__wheel deadlines;
	struct sluice__wheel timers;
	uint64_t now_ns;

	uint64_t budget_end;              /* sluice__budget_used at which events and posts stop */
	uint32_t budget_waits;            /* turns in a row that records filled */
	struct sluice__fifo events;       /* sockets with events to deliver, by event_link */
	struct sluice__fifo dead_sockets; /* by dead_link */
	struct sluice__stack posts;
	struct sluice__fifo posts_taken;

	/* Receive buffers. */
	struct sluice_buffer *buffers;
	char *buffer_memory;
	uint32_t buffer_count; /* free or in use */
	uint32_t buffer_most;  /* maximum, for which memory is mapped */
	bool buffers_kept;     /* the backend has returned buffers: paused receivers can resume */
	uint32_t buffers_out;  /* filled: lent, or waiting for delivery */
	struct sluice__pool buffers_free;      /* without a provided-buffer ring */
	struct sluice__pool buffers_own;       /* free buffers for the output of filters */
	struct sluice__stack buffers_returned; /* released by other threads */
	struct sluice__fifo paused;            /* receivers that wait for a buffer */

	struct sluice__pool gso_batches;
	uint32_t gso_batches_submitted; /* batches in flight */
	struct sluice__pool recv_msgs;

	/* Files. */
	struct sluice__page_cache *page_cache;
	struct sluice__files *files;
	struct sluice__pipe *pipe;
	struct sluice__pool packets_own; /* of the engine's thread, without a lock */
	uint32_t packets_own_count;
	struct sluice__pool packets_pool;     /* under lock */
	struct sluice__pool bounces_free;     /* under lock */
	uint32_t bounces;                     /* allocated so far */
	struct sluice__retry *accept_retries; /* listeners that ran out of descriptors */

	/* Zero copy. */
	uint64_t single_below; /* a smaller record may be sent alone, without gathering and plan */
	struct sluice__zerocopy_prior zerocopy_prior;
	struct sluice__zerocopy_pool *zerocopy;

	pthread_mutex_t lock; /* guards the list of sockets and the pools */
	struct sluice_socket *sockets;
	struct sluice__pool socket_pool;
	struct sluice__slab *slabs;
	struct sluice__callbacks *callbacks;         /* the thread pool for callbacks */
	struct sluice__thread_watch *thread_watches; /* see cancel_on_thread_exit */
	pthread_t thread;                            /* of engine_start */
	struct sluice__close_waiter *close_waiters;  /* under lock */
	uint32_t close_waiting;                      /* atomic: their number */
	uint32_t in_turn; /* atomic: the owner is in a turn and not in a handler */
	bool started;
	bool stopping; /* atomic */
	const struct sluice__apm_calls
		*apm_calls;         /* set by the first Begin; under the process lock */
	struct sluice_engine *next; /* in the list of all engines of the process */
	struct sluice_engine **link;
	char reason[160]; /* why the ring is not used; empty if it is */

	struct sluice_engine_statistics statistics;
	struct iovec arena[SLUICE__ARENA];
	uint32_t arena_used;
	struct sluice__prefilled *prefilled;
} __attribute__((aligned(64)));

enum {
	SLUICE__DEAD_ENDING = 1 << 0, /* destroy has begun */
	SLUICE__DEAD_FORKED = 1 << 1,
	SLUICE__DEAD_LOST = 1 << 2 /* the owner exited */
};

static inline uintptr_t sluice__self(void)
{
	return (uintptr_t)__builtin_thread_pointer();
}

static inline bool sluice__is_owner(const struct sluice_engine *engine)
{
	return __atomic_load_n(&engine->owner, __ATOMIC_RELAXED) == sluice__self();
}

/* The owner, or the thread that becomes the owner on first use. */
static inline bool sluice__may_act(const struct sluice_engine *engine)
{
	uintptr_t owner = __atomic_load_n(&engine->owner, __ATOMIC_RELAXED);

	return (owner ? owner : __atomic_load_n(&engine->creator, __ATOMIC_RELAXED)) ==
	       sluice__self();
}

static inline uint32_t sluice__dead(const struct sluice_engine *engine)
{
	return __atomic_load_n(&engine->dead, __ATOMIC_RELAXED);
}

/* Called only on the engine's thread, or by the thread that destroys a dead engine. */
#define sluice__assert_owner(engine) sluice__assert(sluice__may_act(engine) || sluice__dead(engine))

/* owner.c */
uint64_t sluice__now(void);
int64_t sluice__time_after(int64_t ns); /* now + ns, saturated */
/* Zeroed memory, aligned to 64 bytes; NULL if out of memory. */
void *sluice__allocate(struct sluice_engine *engine, size_t bytes);
/* 1: the caller is the owner, perhaps from now on; 0: another thread; -errno: enable failed. */
int sluice__engine_enter(struct sluice_engine *engine);
/* For calls reserved to the owner: 0, or -EINVAL, -EBADF, -EPERM. */
int sluice__check_owner(struct sluice_engine *engine);
/* Voluntary context switches of this thread. */
long sluice__sleeps(void);
/* This thread has closed a ring. */
void sluice__ring_closed(void);
/* True, once: an EINTR may come from a ring that this thread has closed. */
bool sluice__ring_closed_interrupts(void);
/* Wakes the owner if it sleeps. */
void sluice__engine_wake_if_asleep(struct sluice_engine *engine);

/* options.c: 0, -EINVAL, -E2BIG. The environment supplies options that are not set. */
int sluice__options_copy(struct sluice_options *own, const struct sluice_options *given);

/* inbox.c */
/* false: the engine is being destroyed. */
bool sluice__mailbox_push(struct sluice_engine *engine, struct sluice_args *args);
void sluice__intents_post(struct sluice_socket *socket, uint32_t intents);

/* close_wait.c */
void sluice__close_release_waiting(struct sluice_engine *engine,
				   const struct sluice_socket *socket);

/* Posts the intents, and waits until the descriptor is closed or the turn ends. */
void sluice__close_wait(struct sluice_socket *socket, uint32_t intents);

/* Releases waiters: the descriptor is closed, or will not be in this turn. NULL: of all sockets. */
static inline void sluice__close_release(struct sluice_engine *engine,
					 const struct sluice_socket *socket)
{
	if (unlikely(__atomic_load_n(&engine->close_waiting, __ATOMIC_SEQ_CST)))
		sluice__close_release_waiting(engine, socket);
}

/* Until sluice__turns_end, the engine's thread runs no code of the application. */
static inline void sluice__turns_begin(struct sluice_engine *engine)
{
	__atomic_store_n(&engine->in_turn, 1, __ATOMIC_RELEASE);
}

/* A waiter increments close_waiting before it reads in_turn, so one of the two sees the other. */
static inline void sluice__turns_end(struct sluice_engine *engine)
{
	if (!__atomic_load_n(&engine->in_turn, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&engine->in_turn, 0, __ATOMIC_SEQ_CST);
	sluice__close_release(engine, NULL);
}

/* The element of a histogram for a count that is not 0: statistics.h. */
static inline uint32_t sluice__bucket(uint64_t count)
{
	uint32_t bucket = 63 - (uint32_t)__builtin_clzll(count);

	return bucket < SLUICE_STATISTICS_BUCKETS ? bucket : SLUICE_STATISTICS_BUCKETS - 1;
}

/*
 * Counts the records that one transmission completed. Transmissions of one record are not counted: they
 * are the difference between the total and the histogram.
 */
static inline void sluice__count_transmission(struct sluice_engine *engine, uint64_t records)
{
	if (records > 1)
		engine->statistics.transmission_records[sluice__bucket(records)]++;
}

/*
 * Whether records or intents wait that the engine's thread has to take before the next start, to keep
 * the order of starts. Relaxed: what happened before this start is seen in any case, and the lists are
 * taken by an exchange that acquires.
 */
static inline bool sluice__inbox_has_starts(const struct sluice_engine *engine)
{
	return (uintptr_t)__atomic_load_n(&engine->mailbox.top, __ATOMIC_RELAXED) |
	       (uintptr_t)__atomic_load_n(&engine->intents.top, __ATOMIC_RELAXED);
}

/* result.c */
/* Completes a record that is in no queue: adds it to `done`. */
void sluice__finish(struct sluice_engine *engine, struct sluice_args *args, int32_t error,
		    int32_t native, uint64_t bytes);
/* Publishes the result of a record with op_flags, and releases the resources of the operation. */
void sluice__finalize_result(struct sluice_engine *engine, struct sluice_args *args);
/* Adds a cancelled or overdue record that is in no queue to `done`. */
void sluice__finish_cancelled(struct sluice__chain *done, struct sluice_args *args);
/* Writes the result of a completed record to its public members. */
static inline void sluice__record_publish(struct sluice_engine *engine, struct sluice_args *args)
{
	if (unlikely(args->run.op_flags)) {
		sluice__finalize_result(engine, args);
	} else {
		args->error = SLUICE_ERROR_SUCCESS;
		args->bytes_transferred = args->run.total;
	}
	args->flags = 0;
}

/* Completes the operation inside the starting call: no handler runs, the record is released. 0. */
static inline int sluice__finished(struct sluice_engine *engine, struct sluice_args *args)
{
	sluice__record_publish(engine, args);
	engine->statistics.records_eager++;
	sluice__record_release(args);
	return 0;
}

/* Completes the operation: 0 inside the call, if may_finish; 1 through the handler. */
int sluice__end_at_once(struct sluice_engine *engine, struct sluice_args *args, bool may_finish,
			int32_t error, int32_t native, uint64_t bytes);

/* ready.c */
void sluice__ready(struct sluice_socket *socket);
/* Waits until the socket is writable. */
void sluice__transmit_blocked(struct sluice_socket *socket);
void sluice__event(struct sluice_socket *socket, uint32_t event);

/* Operations started by handlers of events and posts that count as one handler. */
#define SLUICE__STARTS_A_HANDLER 16

static inline uint64_t sluice__budget_used(const struct sluice_engine *engine)
{
	return engine->statistics.handlers * SLUICE__STARTS_A_HANDLER +
	       engine->statistics.records_started;
}

/* Whether another handler of an event or a post may be called in this turn. */
static inline bool sluice__within_budget(const struct sluice_engine *engine)
{
	return sluice__budget_used(engine) < engine->budget_end;
}

/* deadline.c */
void sluice__deadline_arm(struct sluice_socket *socket, struct sluice_args *args);
static inline uint64_t sluice__deadline_next(const struct sluice_engine *engine)
{
	uint64_t deadline = sluice__wheel_next(&engine->deadlines);
	uint64_t timer = sluice__wheel_next(&engine->timers);

	return deadline < timer ? deadline : timer;
}

/* The socket's timer has one meaning at a time; a retry replaces the bound of a graceful close. */
void sluice__timer_arm(struct sluice_socket *socket, unsigned int node, int64_t ns);
void sluice__timer_disarm(struct sluice_socket *socket);
/* A descriptor was closed: listeners that ran out of descriptors retry in the next turn. */
void sluice__descriptor_freed(struct sluice_engine *engine);

/* request.c */
int sluice__request_start(struct sluice_socket *socket, struct sluice__request *request);
void sluice__request_cancel(struct sluice_socket *socket, struct sluice__request *request);

/* buffers.c */
int sluice__buffers_open(struct sluice_engine *engine);
void sluice__buffers_close(struct sluice_engine *engine);
struct sluice_buffer *sluice__buffer(struct sluice_engine *engine, uint16_t id);
bool sluice__buffers_grow(struct sluice_engine *engine); /* doubles; false: at the maximum */
/* Maximum buffers of one socket at present: fewer while less than half of the pool is free. */
uint32_t sluice__buffers_share(const struct sluice_engine *engine);
int sluice__buffers_borrow(struct sluice_engine *engine); /* the id of a free one, or -ENOBUFS */
char *sluice__buffer_data(struct sluice_engine *engine, uint16_t id);
void sluice__buffers_keep(struct sluice_engine *engine, uint16_t id); /* returns a borrowed one */
/* A buffer outside of the pool, for the output of a filter. NULL: limit reached, or no memory. */
struct sluice_buffer *sluice__buffer_own(struct sluice_engine *engine);
/* Releases a buffer of either kind. */
void sluice__buffer_drop(struct sluice_engine *engine, struct sluice_buffer *buffer);

/* packets_pool.c: the side structures of send_packets */
void sluice__packets_close(struct sluice_engine *engine, struct sluice__packets *packets);
void sluice__packets_free_pool(struct sluice_engine *engine);
struct sluice__packets *sluice__packets_take(struct sluice_engine *engine); /* or NULL */
void sluice__packets_give(struct sluice_engine *engine, struct sluice__packets *packets);
void sluice__packets_reset(struct sluice__packets *packets);
#define SLUICE__BOUNCE_BYTES (8u << 10)
char *sluice__bounce_take(struct sluice_engine *engine); /* or NULL */
void sluice__bounce_put(struct sluice_engine *engine, char *bounce);
void sluice__bounces_free(struct sluice_engine *engine);

/* post.c */
struct sluice__post *sluice__post_make(void (*function)(struct sluice_engine *engine, void *token),
				       void *token); /* NULL: out of memory */
void sluice__post_push(struct sluice_engine *engine, struct sluice__post *post);
void sluice__posts_take(struct sluice_engine *engine);
void sluice__posts_deliver(struct sluice_engine *engine);
void sluice__posts_drop(struct sluice_engine *engine);

/* fork.c: fork(2) and the exit of owners */
int sluice__process_register(struct sluice_engine *engine);
void sluice__process_forget(struct sluice_engine *engine);
/* Guards state that outlives engines and threads; not held in a forked child. */
void sluice__process_lock(void);
void sluice__process_unlock(void);
void sluice__process_owned(struct sluice_engine *engine);

#endif
