/* SPDX-License-Identifier: MIT */
/* The ring's own state; only uring*.c know it. */
#ifndef SLUICE_SRC_BACKEND_URING_H
#define SLUICE_SRC_BACKEND_URING_H

#include <stdbool.h>

#include "backend/uring_compat.h"
#include "base/queue.h"

struct sluice_engine;
struct sluice__messages;
struct sluice__completion;
struct sluice__request;
struct sluice__workers;

#define SLUICE__KEPT 4096u /* at least the segments of one send */

/* With a thread of the kernel's that takes submissions. */
struct sluice__uring_thread {
	struct iovec segments[2][SLUICE__KEPT]; /* of entries that it has not taken yet */
	uint32_t used;                          /* of the present half */
	uint32_t half;
	unsigned int left_at; /* where the ring's tail was when the other half was left */
};

struct sluice__uring {
	struct io_uring ring;
	unsigned int setup;            /* IORING_SETUP_* that the kernel agreed to */
	unsigned int enter_flags;      /* IORING_ENTER_* of every call */
	unsigned int wait_flags;       /* and of those that wait */
	struct __kernel_timespec wait; /* of the entry that limits one, before 5.11 */
	struct msghdr *messages;       /* one an entry: it must live until the entry is submitted */
	struct io_uring_buf_ring *buffer_ring;
	unsigned int buffer_ring_entries;
	int wake_fd;   /* polled by the ring: other threads wake a sleeper by it */
	int event_fd;  /* registered: the ring signals completions by it while it is not quiet */
	int notify_fd; /* the same, once a foreign loop has asked for it; -1 before */
	bool failed;   /* the kernel refuses to be entered, for good */
	bool deaf;     /* and its completions are heeded no more */
	struct sluice__pool abandoned; /* requests cancelled since: answered without the kernel */
	uint32_t refused;              /* capabilities whose entries are made invalid, for tests */
	uint32_t spared;               /* but so many of these are left valid */
	uint32_t trials;      /* forms of entries whose trial has not been answered, as bits */
	uint32_t selecting;   /* receives that may have picked a buffer */
	uint8_t *in_ring;     /* for each buffer: whether the kernel may pick it */
	bool leaving_buffers; /* the kernel is to pick no more */
	struct sluice__workers *workers; /* where the ring does not fetch */
	bool timeout_armed;              /* for the foreign loop */
	uint64_t timeout_at;
	struct __kernel_timespec timeout;
	bool memory_table;                   /* registered memory has its places */
	struct sluice__uring_thread *thread; /* NULL: submissions are taken when they are made */
};

/* A registration: what it returns, or -errno. */
int sluice__uring_register(const struct sluice__uring *uring, unsigned int operation,
			   const void *argument, unsigned int count);

/* backend/uring_setup.c: as much of what the options allow as the kernel agrees to. 0 or -errno. */
int sluice__uring_setup(struct sluice_engine *engine, struct sluice__uring *uring);
int sluice__uring_enable(struct sluice_engine *engine);

/* user_data: a request, the same with PART for one of several entries, or one of ours. */
#define SLUICE__PART ((uint64_t)1)
#define SLUICE__OURS_WAKE ((uint64_t)8)
#define SLUICE__OURS_IGNORED ((uint64_t)16)
#define SLUICE__OURS_TIMEOUT ((uint64_t)24)
#define SLUICE__OURS_FORM ((uint64_t)32) /* and the form that is tried */
#define SLUICE__OURS_LAST ((uint64_t)63)

/* backend/uring_enter.c: io_uring_enter(2); only a submission thread and uring_costs.c make it elsewhere. */
/* Submits, without waiting; 0 or -errno. */
int sluice__uring_submit(struct sluice_engine *engine);
/* Submits, and waits as backend.h says. */
int sluice__uring_enter(struct sluice_engine *engine, int64_t wait_ns);
/* Submits and waits for one completion: wait_ns < 0 for ever. 0, -EINTR, or an error that stays. */
int sluice__uring_wait(struct sluice_engine *engine, int64_t wait_ns);
/* Whether the kernel has completions that are not in the ring yet. */
static inline bool sluice__uring_has_news(const struct sluice__uring *uring)
{
	return __atomic_load_n(uring->ring.sq.kflags, __ATOMIC_RELAXED) &
	       (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
}

/* backend/uring_enter.c: what remains when the kernel refuses to be entered */
void sluice__uring_abandon(struct sluice__uring *uring, struct sluice__request *request);
uint32_t sluice__uring_reap_abandoned(struct sluice__uring *uring,
				      struct sluice__completion *completions, uint32_t max);

/* uring_enter.c: an entry to prepare; NULL if there is none even after a submission. */
struct io_uring_sqe *sluice__uring_entry(struct sluice_engine *engine);

/* The message of an entry, empty. */
struct msghdr *sluice__uring_message(struct sluice__uring *uring, const struct io_uring_sqe *sqe);

/* backend/uring_forms.c: forms of entries that not every kernel takes; in a request's slot */
enum {
	SLUICE__FORM_PLAIN,
	SLUICE__FORM_ACCEPT_MANY,     /* multishot */
	SLUICE__FORM_RECEIVE_LIMITED, /* multishot, up to so many bytes, into buffers that it picks */
	SLUICE__FORM_RECEIVE_PICKING, /* once, into a buffer that it picks */
	SLUICE__FORMS
};

/* The form of this request's entry. */
uint8_t sluice__uring_form(const struct sluice_engine *engine,
			   const struct sluice__request *request);
void sluice__uring_prepare_form(struct sluice__uring *uring, struct io_uring_sqe *sqe, uint8_t form,
				int fd, uint64_t length);
/*
 * For tests: from now on entries that use a capability that this variable names are made invalid, so
 * that the kernel refuses them; the first SLUICE_TEST_REFUSE_AFTER are left as they are.
 */
void sluice__uring_pretend(struct sluice_engine *engine, const char *variable);
/* Makes the entry invalid if a test asked for it. */
void sluice__uring_refuse(struct sluice__uring *uring, struct io_uring_sqe *sqe,
			  uint32_t capability);
/* Prepares an entry of each form that is allowed; each is answered with OURS_FORM. */
void sluice__uring_try_forms(struct sluice_engine *engine);
/* Heeds the answers that are there. */
void sluice__uring_look_at_trials(struct sluice_engine *engine);
void sluice__uring_form_tried(struct sluice_engine *engine, const struct io_uring_cqe *cqe);
/* True: -EINVAL meant the form of this request's entry, which is used no more. */
bool sluice__uring_form_lost(struct sluice_engine *engine, const struct sluice__request *request);

/* backend/uring_costs.c: what the choice between inline and ring depends on, into engine->costs */
void sluice__uring_measure(struct sluice_engine *engine);

/* backend/uring_zerocopy.c */
/* What of the capabilities the kernel lacks, as far as it can be asked. */
uint32_t sluice__uring_zerocopy_lacks(struct sluice__uring *uring);
void sluice__uring_prepare_zerocopy(struct sluice__uring *uring, struct io_uring_sqe *sqe,
				    const struct sluice__request *request);
void sluice__uring_decode_zerocopy(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
				   struct sluice__completion *completion);
int sluice__uring_memory_register(struct sluice_engine *engine, uint32_t slot, const void *base,
				  size_t length);
void sluice__uring_memory_unregister(struct sluice_engine *engine, uint32_t slot);

/* backend/uring_buffers.c */
#define SLUICE__BUFFER_GROUP 0
int sluice__uring_buffers_open(struct sluice_engine *engine);
void sluice__uring_buffer_return(struct sluice_engine *engine, uint16_t id);
/* The kernel picks no more: what it has comes back when no receive can have picked any of it. */
void sluice__uring_buffers_leave(struct sluice_engine *engine);
void sluice__uring_buffers_left(struct sluice_engine *engine);
void sluice__uring_buffers_close(struct sluice__uring *uring);

/* backend/uring_sqpoll.c: what differs where a thread of the kernel's takes the submissions */
/* An entry when the ring was full; NULL: that thread is no more. */
struct io_uring_sqe *sluice__uring_thread_entry(struct sluice_engine *engine);
/* Copies the segments of a request that only lives until it is submitted. Before its entry is taken. */
void sluice__uring_thread_keep(struct sluice_engine *engine, struct sluice__request *request);
void sluice__uring_thread_submit(struct sluice_engine *engine);
int sluice__uring_thread_enter(struct sluice_engine *engine, int64_t wait_ns);
/* Returns when everything that was submitted has been taken. */
void sluice__uring_thread_drain(struct sluice_engine *engine);

/* backend/uring_event.c: the registered eventfd, for a foreign loop */
/* Makes and registers it, quiet. While the ring is disabled. 0 or -errno. */
int sluice__uring_open_event(struct sluice__uring *uring);
/* Registers it again, so that the kernel signals the next completion. */
void sluice__uring_renew_event(struct sluice__uring *uring);
/* Whether the kernel signals more than one completion, found by trying. With deferred task work. */
bool sluice__uring_event_repeats(struct sluice__uring *uring);

/* backend/uring_messages.c: the entries of MESSAGES, from sqe on; request->pending says how many. */
void sluice__uring_chain(struct sluice__uring *uring, struct io_uring_sqe *sqe,
			 struct sluice__request *request, uint64_t user_data);
/* Notes one entry's answer; returns what the request's is, if it was the last. */
int32_t sluice__uring_note(struct sluice__messages *messages, int32_t result);

#endif
