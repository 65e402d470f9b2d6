/* SPDX-License-Identifier: MIT */
/*
 * The state of an engine that all modules share, and what this folder offers them: the owner, lists
 * that other threads push to, lists of sockets, requests, results, deadlines, posts and pools. What
 * belongs to one folder is declared there; life/engine.h puts it all together.
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

#define SLUICE__SEGMENTS_MAX 1024u /* of one sendmsg: the kernel's UIO_MAXIOV */
#define SLUICE__ARENA 4096u        /* segments between two entries of the kernel */

/* Kinds of nodes in the wheel of deadlines. */
enum {
	SLUICE__NODE_RECORD,      /* the deadline of a record; the others are a socket's timer */
	SLUICE__NODE_CLOSE,       /* its close goes on, by its phase */
	SLUICE__NODE_RETRY_SEND,  /* a connect, or a datagram with nothing to wait for */
	SLUICE__NODE_RETRY_ACCEPT /* a listener ran out of descriptors */
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

/* A listener that waits for a descriptor to be closed. */
struct sluice__retry {
	struct sluice__retry *next;
	struct sluice_socket *listener;
};

/* What is called of Begin and End, which lies above. */
struct sluice__apm_calls {
	/* By a thread that exits without having destroyed the engine it owns. */
	void (*owner_exited)(struct sluice_engine *engine);
	/* Around fork(2), so that no thread zc_sends a lock in the child. */
	void (*before_fork)(void);
	void (*after_fork)(void);
	void (*in_child)(struct sluice_engine *engine);
	/* No callback in line or running, no thread inside End or wait. */
	bool (*is_quiet)(const struct sluice_socket *socket);
	void (*free_socket)(struct sluice_socket *socket);
};

struct sluice_engine {
	/* What a start touches. */
	uintptr_t owner; /* atomic: the owner's thread pointer from its first use on; 0: nobody's */
	uint32_t busy;   /* in a handler, a batch or a turn: queue, do not try */
	uint32_t dead;   /* atomic: SLUICE__DEAD_*; every call answers -EBADF */
	struct sluice__stack mailbox; /* records started by other threads, by sluice__record_link */
	struct sluice__stack intents; /* sockets with wants, by intents_link */
	struct sluice__fifo ready;    /* sockets with something to send, by ready_link */
	uint32_t ready_count;
	uint32_t batches;                 /* open */
	uint64_t zerocopy_from;           /* bytes from which on zero copy is thought of */
	uint64_t queue_from;              /* bytes from which on a lone send goes by its queue */
	struct sluice_socket *prefilling; /* the ready socket that lists its bytes in prefilled */
	struct sluice__chain done;        /* records that wait for their handlers */
	struct sluice__chain *sink; /* where records go that end: done, or inside a start its own */

	const struct sluice__backend *backend;
	struct sluice__trace *trace; /* NULL: off */
	struct sluice__uring *uring;
	struct sluice__poller *poller; /* epoll's */
	struct sluice_options options;
	uint32_t capabilities;
	uint32_t asleep;   /* atomic: a wake must be told to the kernel */
	uint32_t woken;    /* atomic: sluice_engine_wake was called */
	uint64_t wakes;    /* atomic: statistics.wakes */
	uintptr_t creator; /* who becomes the owner with the first use */
	bool hands_over;   /* memory goes to the backend at once, which has a thread for it */
	bool delivering;   /* a handler runs */
	bool embedded;     /* engine_fd was asked for */
	uint32_t flying;   /* requests that the backend has */

	/* The choice between a send(2) for each socket and the ring. */
	struct sluice__costs costs;
	uint64_t submitted_before; /* statistics.submitted at the last entry of the kernel */
	uint32_t way_flips;        /* for tests: turns between two changes; 0: by the costs */
	uint32_t way_decisions;

	struct sluice__wheel deadlines;
	struct sluice__wheel timers;
	uint64_t now_ns;

	uint64_t budget_end;        /* of sluice__budget_used, where events and posts stop */
	uint32_t budget_waits;      /* turns in which the records left nothing to them */
	struct sluice__fifo events; /* sockets with handlers of their own to run, by event_link */
	struct sluice__fifo dead_sockets; /* by dead_link */
	struct sluice__stack posts;
	struct sluice__fifo posts_taken;

	/* Receive buffers. */
	struct sluice_buffer *buffers;
	char *buffer_memory;
	uint32_t buffer_count; /* in use, or free for use */
	uint32_t buffer_most;  /* there is memory for */
	bool buffers_kept; /* by the backend, outside of a release: receivers that wait may go on */
	uint32_t buffers_out;                  /* filled, and lent or waiting for their handlers */
	struct sluice__pool buffers_free;      /* epoll's; the ring's are in its own */
	struct sluice__pool buffers_own;       /* for what filters give, free ones */
	struct sluice__stack buffers_returned; /* by other threads */
	struct sluice__fifo paused;            /* receivers that wait for any buffer */

	struct sluice__pool gso_batches; /* of datagrams */
	uint32_t gso_batches_submitted;  /* batches of datagrams in the backend */
	struct sluice__pool recv_msgs;

	/* Files. */
	struct sluice__page_cache *page_cache;
	struct sluice__files *files;
	struct sluice__pipe *pipe;
	struct sluice__pool packets_own; /* the engine's thread's */
	uint32_t packets_own_count;
	struct sluice__pool packets_pool;     /* under lock */
	struct sluice__pool bounces_free;     /* under lock */
	uint32_t bounces;                     /* made so far */
	struct sluice__retry *accept_retries; /* listeners that ran out of descriptors */

	/* Zero copy. */
	uint64_t single_below; /* records smaller than this need neither gathering nor thought */
	struct sluice__zerocopy_prior zerocopy_prior;
	struct sluice__zerocopy_pool *zerocopy;

	pthread_mutex_t lock; /* sockets' list and pools */
	struct sluice_socket *sockets;
	struct sluice__pool socket_pool;
	struct sluice__slab *slabs;
	struct sluice__callbacks *callbacks; /* threads for them */
	struct sluice__thread_watch
		*thread_watches; /* of threads whose exit ends what they started */
	pthread_t thread;        /* with engine_start */
	struct sluice__close_waiter *close_waiters; /* under lock */
	uint32_t close_waiting;                     /* atomic: how many */
	uint32_t in_turn; /* atomic: the thread runs turns, and is in no handler */
	bool started;
	bool stopping; /* atomic */
	const struct sluice__apm_calls
		*apm_calls;         /* set with the first Begin; under the lock of the process */
	struct sluice_engine *next; /* of all engines of the process */
	struct sluice_engine **link;
	char reason[160];

	struct sluice_engine_statistics statistics;
	struct iovec arena[SLUICE__ARENA];
	uint32_t arena_used;
	struct iovec *prefilled; /* SLUICE__PREFILLED, aligned to their size */
} __attribute__((aligned(64)));

enum {
	SLUICE__DEAD_ENDING = 1 << 0,
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

/* The owner, or who becomes it with the first use. */
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

/* Only the engine's own thread gets here, or the one that takes a dead engine apart. */
#define sluice__assert_owner(engine) sluice__assert(sluice__may_act(engine) || sluice__dead(engine))

/* owner.c */
uint64_t sluice__now(void);
int64_t sluice__time_after(int64_t ns); /* so long from now; no overflow */
/* Zeroed; NULL if there is no memory. */
void *sluice__allocate(struct sluice_engine *engine, size_t bytes);
/* 1: the caller is the owner (its first use, perhaps); 0: another thread; -errno: it cannot be used. */
int sluice__engine_enter(struct sluice_engine *engine);
/* For what is the owner's alone: 0, or -EINVAL, -EBADF, -EPERM. */
int sluice__check_owner(struct sluice_engine *engine);
/* Voluntary context switches of this thread. */
long sluice__sleeps(void);
void sluice__ring_closed(void); /* by this thread */
/* True, once: an interrupted wait may be due to that. */
bool sluice__ring_closed_interrupts(void);
/* Wakes the owner if it sleeps. */
void sluice__engine_wake_if_asleep(struct sluice_engine *engine);

/* options.c: 0, -EINVAL, -E2BIG. Reads the environment for what the options leave to it. */
int sluice__options_copy(struct sluice_options *own, const struct sluice_options *given);

/* inbox.c */
/* false: the engine has ended. */
bool sluice__mailbox_push(struct sluice_engine *engine, struct sluice_args *args);
void sluice__intents_post(struct sluice_socket *socket, uint32_t wants);

/* engine/close_wait.c */
void sluice__close_release_waiting(struct sluice_engine *engine,
				   const struct sluice_socket *socket);

/* Leaves what is wanted, and waits until the descriptor is closed or the turn is over. */
void sluice__close_wait(struct sluice_socket *socket, uint32_t wants);

/* The socket's descriptor is closed, or will not be in this turn; NULL: whichever is waited for. */
static inline void sluice__close_release(struct sluice_engine *engine,
					 const struct sluice_socket *socket)
{
	if (unlikely(__atomic_load_n(&engine->close_waiting, __ATOMIC_SEQ_CST)))
		sluice__close_release_waiting(engine, socket);
}

/* The engine's thread runs turns, and no code of the application, until the end. */
static inline void sluice__turns_begin(struct sluice_engine *engine)
{
	__atomic_store_n(&engine->in_turn, 1, __ATOMIC_RELEASE);
}

/* A waiter counts itself before it looks at in_turn: one of the two sees the other. */
static inline void sluice__turns_end(struct sluice_engine *engine)
{
	if (!__atomic_load_n(&engine->in_turn, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&engine->in_turn, 0, __ATOMIC_SEQ_CST);
	sluice__close_release(engine, NULL);
}

static inline bool sluice__left_outside(const struct sluice_engine *engine)
{
	return !sluice__stack_is_empty(&engine->mailbox, __ATOMIC_ACQUIRE) ||
	       !sluice__stack_is_empty(&engine->intents, __ATOMIC_ACQUIRE);
}

/* result.c */
/* Adds a record that is in no queue to the list of finished records. */
void sluice__finish(struct sluice_engine *engine, struct sluice_args *args, int32_t error,
		    int32_t native, uint64_t bytes);
/* Publishes the result of a record that has op_flags, and releases what the operation held. */
void sluice__finalize_result(struct sluice_engine *engine, struct sluice_args *args);
/* Adds a record that was cancelled or is overdue, and is in no queue, to done. */
void sluice__finish_given_up(struct sluice__chain *done, struct sluice_args *args);
/* Writes the result into the members of a record that has ended. */
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

/* The operation completes inside the starting call: no handler runs, the record is free. 0. */
static inline int sluice__finished(struct sluice_engine *engine, struct sluice_args *args)
{
	sluice__record_publish(engine, args);
	engine->statistics.records_eager++;
	sluice__record_release(args);
	return 0;
}

/* The operation ends now: 0 inside the call, 1 through the handler. */
int sluice__end_at_once(struct sluice_engine *engine, struct sluice_args *args, bool may_finish,
			int32_t error, int32_t native, uint64_t bytes);

/* ready.c */
void sluice__ready(struct sluice_socket *socket);
/* Waits until the socket is writable. */
void sluice__transmit_blocked(struct sluice_socket *socket);
void sluice__event(struct sluice_socket *socket, uint32_t event);

/* So many operations that the handler of an event or a post starts count as a handler. */
#define SLUICE__STARTS_A_HANDLER 16

static inline uint64_t sluice__budget_used(const struct sluice_engine *engine)
{
	return engine->statistics.handlers * SLUICE__STARTS_A_HANDLER +
	       engine->statistics.records_started;
}

/* Whether one more handler of an event or a post may be called in this turn. */
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

/* The socket's timer. It has one meaning at a time; a retry replaces the bound of a graceful close. */
void sluice__timer_arm(struct sluice_socket *socket, unsigned int node, int64_t ns);
void sluice__timer_disarm(struct sluice_socket *socket);
/* A descriptor was closed: listeners that ran out of them try again in the next turn. */
void sluice__descriptor_freed(struct sluice_engine *engine);

/* request.c */
int sluice__request_start(struct sluice_socket *socket, struct sluice__request *request);
void sluice__request_cancel(struct sluice_socket *socket, struct sluice__request *request);

/* buffers.c */
int sluice__buffers_open(struct sluice_engine *engine);
void sluice__buffers_close(struct sluice_engine *engine);
struct sluice_buffer *sluice__buffer(struct sluice_engine *engine, uint16_t id);
bool sluice__buffers_grow(struct sluice_engine *engine); /* twice as many; false: no more */
/* Buffers that one socket may have now: fewer while less than half of the pool is left. */
uint32_t sluice__buffers_share(const struct sluice_engine *engine);
int sluice__buffers_borrow(struct sluice_engine *engine); /* for epoll: an id, or -ENOBUFS */
char *sluice__buffer_data(struct sluice_engine *engine, uint16_t id);
void sluice__buffers_keep(struct sluice_engine *engine, uint16_t id); /* the other way */
/* One outside of the kernel's ring, for bytes that a filter gives. NULL: no more. */
struct sluice_buffer *sluice__buffer_own(struct sluice_engine *engine);
/* Free again, whatever kind it is. */
void sluice__buffer_drop(struct sluice_engine *engine, struct sluice_buffer *buffer);

/* packets_pool.c: what a send_packets needs beside its record */
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
				       void *token); /* NULL without memory */
void sluice__post_push(struct sluice_engine *engine, struct sluice__post *post);
void sluice__posts_take(struct sluice_engine *engine);
void sluice__posts_deliver(struct sluice_engine *engine);
void sluice__posts_drop(struct sluice_engine *engine);

/* fork.c: fork, and owners that exit */
int sluice__process_register(struct sluice_engine *engine);
void sluice__process_forget(struct sluice_engine *engine);
/* Guards what outlives engines and threads; nobody zc_sends it in a forked child. */
void sluice__process_lock(void);
void sluice__process_unlock(void);
void sluice__process_owned(struct sluice_engine *engine);

#endif
