/* SPDX-License-Identifier: MIT */
/* The state of the ring, private to src/backend/uring*. */
#ifndef SLUICE_SRC_BACKEND_URING_H
#define SLUICE_SRC_BACKEND_URING_H

#include <stdbool.h>

#include "backend/uring_compat.h"
#include "base/queue.h"

struct sluice_engine;
struct sluice__messages;
struct sluice__completion;
struct sluice__request;
struct sluice__prefetcher;
struct sluice__slice;

#define SLUICE__SLICES 16u /* FILE requests in flight, each with a pipe */

#define SLUICE__SQPOLL_SEGMENTS 4096u /* segments in one half; at least those of one send */

/* State for SQPOLL, in which a kernel thread takes the submissions. */
struct sluice__uring_sqpoll {
	struct iovec segments[2][SLUICE__SQPOLL_SEGMENTS]; /* copies, for entries not yet taken */
	uint32_t used;                                     /* segments in the current half */
	uint32_t half;                                     /* the current one */
	unsigned int switched_at; /* tail of the ring at the last switch between the halves */
};

struct sluice__uring {
	struct io_uring ring;
	unsigned int setup;            /* IORING_SETUP_* accepted by the kernel */
	unsigned int enter_flags;      /* IORING_ENTER_* for every call */
	unsigned int wait_flags;       /* IORING_ENTER_* for calls that wait */
	struct __kernel_timespec wait; /* of the timeout entry that bounds a wait before 5.11 */
	struct msghdr *messages;       /* one per entry: has to stay valid until submission */
	struct io_uring_buf_ring *buffer_ring;
	unsigned int buffer_ring_entries;
	int wake_fd;     /* eventfd polled by the ring; other threads wake the engine with it */
	int event_fd;    /* registered eventfd: signals completions unless disabled */
	int notify_fd;   /* event_fd, once an embedding loop has requested it; -1 before */
	bool failed;     /* io_uring_enter fails permanently */
	bool cq_ignored; /* failed, and the completion queue is not reaped any more */
	struct sluice__pool
		abandoned;     /* requests cancelled since then, completed without the kernel */
	uint32_t refused;      /* for tests: capabilities that the kernel is to refuse */
	uint32_t refuse_after; /* for tests: number of such entries left valid before that */
	uint32_t trials;       /* bit set of the forms whose trial has not completed */
	uint32_t selecting;    /* armed receives that may have picked a buffer */
	uint8_t *in_ring;      /* for each buffer: whether the kernel may pick it */
	bool retiring_buffers; /* the buffer ring is being retired */
	struct sluice__prefetcher *prefetcher; /* for cold files, without RING_FETCH */
	bool timeout_armed;                    /* for an embedding loop */
	uint64_t timeout_at;
	struct __kernel_timespec timeout;
	bool memory_table;                   /* the table of registered memories exists */
	struct sluice__uring_sqpoll *sqpoll; /* NULL: without SQPOLL */
	struct sluice__slice *slices;        /* SLICES of them, allocated on first use */
	struct sluice__pool slices_free;
};

/* io_uring_register(2): its result, or -errno. */
int sluice__uring_register(const struct sluice__uring *uring, unsigned int operation,
			   const void *argument, unsigned int count);

/* uring_setup.c: sets up a ring with all options that the kernel accepts. 0 or -errno. */
int sluice__uring_setup(struct sluice_engine *engine, struct sluice__uring *uring);
int sluice__uring_enable(struct sluice_engine *engine);

/* user_data: a request; a request | PART for one of several entries; or an internal entry. */
#define SLUICE__PART ((uint64_t)1)
#define SLUICE__PART_SECOND ((uint64_t)2) /* of FILE: the entry that sends */
#define SLUICE__PART_BITS (SLUICE__PART | SLUICE__PART_SECOND)
#define SLUICE__INTERNAL_WAKE ((uint64_t)8)
#define SLUICE__INTERNAL_IGNORED ((uint64_t)16)
#define SLUICE__INTERNAL_TIMEOUT ((uint64_t)24)
#define SLUICE__INTERNAL_FORM ((uint64_t)32) /* plus the form under trial */
#define SLUICE__INTERNAL_LAST ((uint64_t)63)

/* uring_enter.c: io_uring_enter(2); uring_sqpoll.c and uring_costs.c have calls of their own */
/* Submits without waiting; 0 or -errno. */
int sluice__uring_submit(struct sluice_engine *engine);
/* Submits and waits, as `enter` in backend.h. */
int sluice__uring_enter(struct sluice_engine *engine, int64_t wait_ns);
/* Submits and waits for a completion; wait_ns < 0: no limit. 0, -EINTR or a permanent error. */
int sluice__uring_wait(struct sluice_engine *engine, int64_t wait_ns);
/* Whether the kernel has completions that are not in the completion queue yet. */
static inline bool sluice__uring_has_pending(const struct sluice__uring *uring)
{
	return __atomic_load_n(uring->ring.sq.kflags, __ATOMIC_RELAXED) &
	       (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
}
/* Without TASKRUN_FLAG, only a system call finds out whether completions are pending. */
static inline bool sluice__uring_must_enter(const struct sluice__uring *uring)
{
	return sluice__uring_has_pending(uring) || !(uring->setup & IORING_SETUP_TASKRUN_FLAG);
}

/* uring_enter.c: after a permanent failure of io_uring_enter(2) */
void sluice__uring_abandon(struct sluice__uring *uring, struct sluice__request *request);
uint32_t sluice__uring_reap_abandoned(struct sluice__uring *uring,
				      struct sluice__completion *completions, uint32_t max);

/* uring_enter.c: an entry to prepare; NULL if the queue is full even after a submission. */
struct io_uring_sqe *sluice__uring_entry(struct sluice_engine *engine);

/* The message header reserved for an entry, zeroed. */
struct msghdr *sluice__uring_message(struct sluice__uring *uring, const struct io_uring_sqe *sqe);

/* uring_forms.c: forms of entries that not every kernel supports; kept in a request's slot */
enum {
	SLUICE__FORM_PLAIN,
	SLUICE__FORM_ACCEPT_MULTI,     /* multishot */
	SLUICE__FORM_RECEIVE_LIMITED,  /* multishot with a byte limit, into provided buffers */
	SLUICE__FORM_RECEIVE_PROVIDED, /* single, into a provided buffer */
	SLUICE__FORMS
};

/* The form to use for this request. */
uint8_t sluice__uring_form(const struct sluice_engine *engine,
			   const struct sluice__request *request);
void sluice__uring_prepare_form(struct sluice__uring *uring, struct io_uring_sqe *sqe, uint8_t form,
				int fd, uint64_t length);
/*
 * For tests: makes entries invalid that use a capability listed in this environment variable, so
 * that the kernel rejects them; the first SLUICE_TEST_REFUSE_AFTER entries stay valid.
 * "event-repeats" has no entries: see sluice__uring_consume_event.
 */
void sluice__uring_simulate_refusals(struct sluice_engine *engine, const char *variable);
/* Makes the entry invalid if a test has requested that for the capability. */
void sluice__uring_invalidate(struct sluice__uring *uring, struct io_uring_sqe *sqe,
			      uint32_t capability);
/* Prepares a trial entry of each enabled form; its user_data is INTERNAL_FORM + form. */
void sluice__uring_try_forms(struct sluice_engine *engine);
/* Evaluates the trials that have completed. */
void sluice__uring_reap_trials(struct sluice_engine *engine);
void sluice__uring_form_tried(struct sluice_engine *engine, const struct io_uring_cqe *cqe);
/* The capabilities whose operations the kernel does not have. */
uint32_t sluice__uring_operations_missing(struct sluice__uring *uring);
/* After -EINVAL. True: the kernel does not support the request's form, which is disabled now. */
bool sluice__uring_form_unsupported(struct sluice_engine *engine,
				    const struct sluice__request *request);

/* uring_costs.c: measures engine->ways.costs, for the choice between inline sends and the ring */
void sluice__uring_measure(struct sluice_engine *engine);

/* uring_zerocopy.c */
void sluice__uring_prepare_zerocopy(struct sluice__uring *uring, struct io_uring_sqe *sqe,
				    const struct sluice__request *request);
void sluice__uring_decode_zerocopy(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
				   struct sluice__completion *completion);
int sluice__uring_memory_register(struct sluice_engine *engine, uint32_t slot, const void *base,
				  size_t length);
void sluice__uring_memory_unregister(struct sluice_engine *engine, uint32_t slot);

/* uring_buffers.c */
#define SLUICE__BUFFER_GROUP 0
int sluice__uring_buffers_open(struct sluice_engine *engine);
void sluice__uring_buffer_return(struct sluice_engine *engine, uint16_t id);
/*
 * Retires the buffer ring: the receives that use it are cancelled, and once all of them have
 * completed, its buffers return to the engine's pool.
 */
void sluice__uring_buffers_retire(struct sluice_engine *engine);
void sluice__uring_buffers_retired(struct sluice_engine *engine);
void sluice__uring_buffers_close(struct sluice__uring *uring);

/* uring_sqpoll.c: the variants for SQPOLL */
/* An entry when the queue is full; NULL: the kernel thread has exited. */
struct io_uring_sqe *sluice__uring_sqpoll_entry(struct sluice_engine *engine);
/* Copies a send's segments, which are valid only until submit. Before sluice__uring_entry. */
void sluice__uring_sqpoll_copy_segments(struct sluice_engine *engine,
					struct sluice__request *request);
void sluice__uring_sqpoll_submit(struct sluice_engine *engine);
int sluice__uring_sqpoll_enter(struct sluice_engine *engine, int64_t wait_ns);
/* Waits until the kernel thread has taken all submissions. */
void sluice__uring_sqpoll_drain(struct sluice_engine *engine);

/* uring_event.c: the registered eventfd, for an embedding loop */
/* Creates and registers it, notifications disabled. Before the ring is enabled. 0 or -errno. */
int sluice__uring_open_event(struct sluice__uring *uring);
/*
 * Takes what was signalled. For tests: with "event-repeats" among the refused capabilities, the
 * registration is then used up, as on a kernel that signals only once. True: something was.
 */
bool sluice__uring_consume_event(struct sluice__uring *uring);
/* Registers it again, so that the kernel signals the next completion. */
void sluice__uring_renew_event(struct sluice__uring *uring);
/* Whether the kernel signals more than one completion with deferred task work; by a trial. */
bool sluice__uring_event_repeats(struct sluice__uring *uring);

/* uring_messages.c: prepares the entries of MESSAGES, from sqe on; sets request->pending. */
void sluice__uring_prepare_messages(struct sluice__uring *uring, struct io_uring_sqe *sqe,
				    struct sluice__request *request, uint64_t user_data);
/* Records the result of one entry. Returns the result of the request so far. */
int32_t sluice__uring_message_result(struct sluice__messages *messages, int32_t result);

/* uring_files.c: FILE, as start in backend.h */
int sluice__uring_start_file(struct sluice_engine *engine, struct sluice__request *request);
/* Records the result of one of its entries. True: it was the last one. */
bool sluice__uring_file_part(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
			     struct sluice__completion *completion);
void sluice__uring_files_close(struct sluice__uring *uring);

#endif
