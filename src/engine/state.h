/* SPDX-License-Identifier: MIT */
/*
 * The state of an engine that its modules share. State private to another folder is declared there;
 * life/engine.h composes the engine.
 */
#ifndef SLUICE_SRC_ENGINE_STATE_H
#define SLUICE_SRC_ENGINE_STATE_H

#include <pthread.h>
#include <sluice/engine.h>
#include <sluice/statistics.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/queue.h"
#include "base/wheel.h"
#include "core/plan.h"
#include "core/record_list.h"
#include "core/zerocopy_policy.h"

#define SLUICE__SEGMENTS_MAX 1024u /* in one sendmsg: the kernel's UIO_MAXIOV */
#define SLUICE__ARENA 4096u        /* segments between two submissions */

struct sluice__apm_calls;
struct sluice__backend;
struct sluice__callbacks;
struct sluice__close_waiter;
struct sluice__files;
struct sluice__page_cache;
struct sluice__pipe;
struct sluice__poller;
struct sluice__prefilled;
struct sluice__retry;
struct sluice__slab;
struct sluice__thread_watch;
struct sluice__trace;
struct sluice__uring;
struct sluice__zerocopy_pool;

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

#endif
