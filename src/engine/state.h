/* SPDX-License-Identifier: MIT */
/*
 * The state of an engine. It is composed of structs that the headers of their modules declare, and of
 * what several modules share. State private to another folder is declared there; life/engine.h
 * composes the whole.
 */
#ifndef SLUICE_SRC_ENGINE_STATE_H
#define SLUICE_SRC_ENGINE_STATE_H

#include <pthread.h>
#include <sluice/engine.h>
#include <sluice/statistics.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/queue.h"
#include "base/wheel.h"
#include "core/plan.h"
#include "core/record_list.h"
#include "engine/arena.h"
#include "engine/budget.h"
#include "engine/buffers.h"
#include "engine/close_wait.h"
#include "engine/fork.h"
#include "engine/inbox.h"
#include "engine/packets_pool.h"
#include "engine/post.h"

struct sluice__apm_calls;
struct sluice__backend;
struct sluice__callbacks;
struct sluice__files;
struct sluice__pipe;
struct sluice__poller;
struct sluice__retry;
struct sluice__slab;
struct sluice__thread_watch;
struct sluice__trace;
struct sluice__uring;
struct sluice__zerocopy_pool;
struct sluice_socket;

struct sluice_engine {
	/*
	 * Accessed by every start: the first two cache lines. Apart from the inbox, these members are
	 * not in structs of their owners, so that they stay together.
	 */
	uintptr_t owner; /* atomic: thread pointer of the owner; 0: none, as before the first use */
	uint32_t busy;   /* nesting of handlers, batches and turns; not 0: starts are queued */
	uint32_t dead;   /* atomic: SLUICE__DEAD_*; not 0: every call returns -EBADF */
	struct sluice__inbox inbox;
	struct sluice__fifo ready; /* sockets ready to send, by ready_link */
	uint32_t ready_count;
	uint32_t batches;       /* open batches */
	uint64_t zerocopy_from; /* smallest send considered for zero copy, in bytes */
	uint64_t queue_from; /* atomic: smallest single send that may be queued for the backend */
	struct sluice_socket *prefilling; /* the ready socket listed in arena.prefilled */
	struct sluice__chain done;        /* finished records, handlers not called yet */

	/* What other folders declare. */
	const struct sluice__backend *backend;
	struct sluice__trace *trace; /* NULL: off */
	struct sluice__uring *uring;
	struct sluice__poller *poller; /* epoll */
	struct sluice__pipe *pipe;
	struct sluice__files *files;
	struct sluice__zerocopy_pool *zerocopy;
	struct sluice__callbacks *callbacks;         /* the thread pool for callbacks */
	struct sluice__thread_watch *thread_watches; /* see cancel_on_thread_exit */
	/* Set by the first Begin; under the process lock. */
	const struct sluice__apm_calls *apm_calls;

	struct sluice_options options;
	uint32_t capabilities;
	uint32_t armed_requests;
	uintptr_t creator; /* thread pointer of the thread that becomes the owner on first use */
	struct sluice__wakeup wakeup;
	uint64_t lent_sends; /* atomic: sends made by other threads on sockets lent to them */
	struct sluice__fifo lending; /* sockets that may be lent, by accepted_link */
	bool hands_over;             /* SQPOLL: starts submit memory immediately */
	bool delivering;             /* a handler is running */
	bool embedded; /* sluice_engine_fd was called: another event loop polls the engine */

	/* The turn. */
	struct sluice__ways ways;
	struct sluice__plan_wait waits;
	struct sluice__wheel deadlines;
	struct sluice__wheel timers;
	struct sluice__retry *accept_retries; /* listeners that ran out of descriptors */
	uint64_t now_ns;
	struct sluice__budget budget;
	struct sluice__posts posts;
	struct sluice__fifo events;       /* sockets with events to deliver, by event_link */
	struct sluice__fifo dead_sockets; /* by dead_link */

	/* Memory for operations. */
	struct sluice__receive_pool receive_pool;
	struct sluice__packets_pool packets_pool;
	struct sluice__pool recv_msgs;
	struct sluice__pool gso_batches;
	uint32_t gso_batches_submitted; /* batches in flight */
	uint64_t single_below; /* a smaller record may be sent alone, without gathering and plan */

	pthread_mutex_t lock; /* guards the list of sockets and the pools */
	struct sluice_socket *sockets;
	struct sluice__pool socket_pool;
	struct sluice__slab *slabs;

	pthread_t thread; /* of engine_start */
	bool started;
	bool stopping; /* atomic */
	struct sluice__close_waits close_waits;
	struct sluice__process_entry in_process;
	char reason[160]; /* why the ring is not used; empty if it is */

	struct sluice_engine_statistics statistics;
	struct sluice__arena arena;
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct sluice_engine, backend) <= 128, "two cache lines for every start");

#endif
