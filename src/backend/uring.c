/* SPDX-License-Identifier: MIT */
/*
 * The io_uring backend; only src/backend/uring* uses liburing. start prepares a request's entries,
 * enter submits them with the turn's single system call, and reap returns the completions.
 *
 * Never MSG_WAITALL: it loses the error behind a short count. Never IOSQE_ASYNC on sockets: it
 * starts a kernel worker thread per request.
 */
#include "backend/uring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/prefetch_thread.h"
#include "base/assert.h"
#include "core/record.h"
#include "engine/buffers.h"
#include "engine/owner.h"
#include "engine/state.h"

#define TRIAL_NS 10000000
#define TRIAL_POLLS 10

#define FETCH_STEP (128u << 10) /* bytes; the last byte of each step is read */

static void prepare_send(struct sluice__uring *uring, struct io_uring_sqe *sqe,
			 const struct sluice__request *request)
{
	int flags = (int)request->flags | MSG_NOSIGNAL;
	struct msghdr *message;

	if (request->segment_count == 1) {
		io_uring_prep_send(sqe, request->fd, request->segments->iov_base,
				   sluice__length(request->segments->iov_len), flags);
		return;
	}
	message = sluice__uring_message(uring, sqe);
	message->msg_iov = request->segments;
	message->msg_iovlen = request->segment_count;
	io_uring_prep_sendmsg(sqe, request->fd, message, (unsigned int)flags);
}

static void prepare_receive(struct sluice__uring *uring, struct io_uring_sqe *sqe,
			    const struct sluice__request *request)
{
	struct msghdr *message;

	if (request->message) {
		io_uring_prep_recvmsg(sqe, request->fd, request->message, request->flags);
		return;
	}
	if (request->segment_count == 1) {
		io_uring_prep_recv(sqe, request->fd, request->segments->iov_base,
				   sluice__length(request->segments->iov_len), (int)request->flags);
		return;
	}
	message = sluice__uring_message(uring, sqe);
	message->msg_iov = request->segments;
	message->msg_iovlen = request->segment_count;
	io_uring_prep_recvmsg(sqe, request->fd, message, request->flags);
}

static void prepare_accept(struct sluice_engine *engine, struct io_uring_sqe *sqe,
			   struct sluice__request *request)
{
	request->slot = sluice__uring_form(engine, request);
	if (request->slot == SLUICE__FORM_PLAIN)
		io_uring_prep_accept(sqe, request->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	else
		sluice__uring_prepare_form(engine->uring, sqe, request->slot, request->fd, 0);
}

/* Without provided buffers: polls for readability; reap then receives. */
static void prepare_receive_multi(struct sluice_engine *engine, struct io_uring_sqe *sqe,
				  struct sluice__request *request)
{
	request->slot = sluice__uring_form(engine, request);
	if (request->slot == SLUICE__FORM_PLAIN) {
		io_uring_prep_poll_add(sqe, request->fd, POLLIN);
		return;
	}
	engine->uring->selecting++;
	sluice__uring_prepare_form(engine->uring, sqe, request->slot, request->fd, request->length);
}

/*
 * Prefetches a window into the page cache: starts read-ahead, then reads the last byte of each
 * step, so that the request completes when the whole window is cached. Read-ahead includes the next
 * window, which the kernel reads while this one is sent.
 */
static int start_fetch(struct sluice_engine *engine, struct sluice__request *request)
{
	static char nothing;
	uint64_t end = request->offset + request->length;
	uint64_t at = request->offset;
	struct io_uring_sqe *sqe = sluice__uring_entry(engine);

	if (!sqe)
		return -EAGAIN;
	io_uring_prep_fadvise(sqe, request->fd, request->offset,
			      sluice__length(2 * request->length), POSIX_FADV_WILLNEED);
	io_uring_sqe_set_data64(sqe, (uintptr_t)request | SLUICE__PART);
	request->pending = 1;
	while (at < end) {
		at += end - at < FETCH_STEP ? end - at : FETCH_STEP;
		/* A submission in the middle would break the chain. */
		if (io_uring_sq_space_left(&engine->uring->ring) == 0)
			break;
		sqe->flags |= IOSQE_IO_LINK;
		sqe = io_uring_get_sqe(&engine->uring->ring);
		io_uring_prep_read(sqe, request->fd, &nothing, 1, at - 1);
		io_uring_sqe_set_data64(sqe, (uintptr_t)request | SLUICE__PART);
		request->pending++;
	}
	return 0;
}

static int uring_start(struct sluice_engine *engine, struct sluice__request *request)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_sqe *sqe;

	if (request->kind == SLUICE__REQUEST_FETCH)
		return engine->capabilities & SLUICE_CAPABILITY_RING_FETCH
			       ? start_fetch(engine, request)
			       : sluice__prefetcher_start(engine, &uring->prefetcher, request);
	if (request->kind == SLUICE__REQUEST_FILE)
		return sluice__uring_start_file(engine, request);
	if (uring->sqpoll)
		sluice__uring_sqpoll_copy_segments(engine, request);
	sqe = sluice__uring_entry(engine);
	if (!sqe)
		return -EAGAIN;
	switch (request->kind) {
	case SLUICE__REQUEST_MESSAGES:
		sluice__uring_prepare_messages(uring, sqe, request,
					       (uintptr_t)request | SLUICE__PART);
		return 0;
	case SLUICE__REQUEST_SEND:
		prepare_send(uring, sqe, request);
		break;
	case SLUICE__REQUEST_SEND_ZEROCOPY:
		sluice__uring_prepare_zerocopy(uring, sqe, request);
		break;
	case SLUICE__REQUEST_WRITABLE:
		io_uring_prep_poll_add(sqe, request->fd, POLLOUT);
		break;
	case SLUICE__REQUEST_READABLE:
		io_uring_prep_poll_add(sqe, request->fd, POLLIN);
		break;
	case SLUICE__REQUEST_RECEIVE:
		prepare_receive(uring, sqe, request);
		break;
	case SLUICE__REQUEST_RECEIVE_MULTI:
		prepare_receive_multi(engine, sqe, request);
		break;
	default:
		prepare_accept(engine, sqe, request);
	}
	io_uring_sqe_set_data(sqe, request);
	return 0;
}

static void uring_cancel(struct sluice_engine *engine, struct sluice__request *request)
{
	struct io_uring_sqe *sqe;

	if (unlikely(engine->uring->failed)) {
		sluice__uring_abandon(engine->uring, request);
		return;
	}
	if (request->kind == SLUICE__REQUEST_MESSAGES)
		return; /* they never block */
	sqe = sluice__uring_entry(engine);
	if (!sqe)
		return;
	/* Of a file, only the first entry may take long; the second one then finds an empty pipe. */
	io_uring_prep_cancel64(
		sqe,
		(uintptr_t)request | (request->kind == SLUICE__REQUEST_FILE ? SLUICE__PART : 0), 0);
	io_uring_sqe_set_data64(sqe, SLUICE__INTERNAL_IGNORED);
}

static void uring_forget(struct sluice_engine *engine, struct sluice_socket *socket)
{
	(void)engine;
	(void)socket;
}

/* ---- enter and wake ---- */

static int uring_enter(struct sluice_engine *engine, int64_t wait_ns)
{
	int error = engine->uring->sqpoll ? sluice__uring_sqpoll_enter(engine, wait_ns)
					  : sluice__uring_enter(engine, wait_ns);

	if (unlikely(error && error != -EINTR))
		engine->uring->failed = true;
	return error;
}

static bool uring_is_idle(const struct sluice_engine *engine)
{
	const struct sluice__uring *uring = engine->uring;

	return !io_uring_sq_ready(&uring->ring) && !io_uring_cq_ready(&uring->ring) &&
	       !sluice__uring_must_enter(uring) && !uring->sqpoll && !uring->prefetcher &&
	       !uring->retiring_buffers && !uring->failed;
}

static void uring_submit(struct sluice_engine *engine)
{
	if (engine->uring->sqpoll)
		sluice__uring_sqpoll_submit(engine);
	else if (io_uring_sq_ready(&engine->uring->ring))
		sluice__uring_submit(engine);
}

static void prepare_multishot_wake(struct sluice_engine *engine, struct io_uring_sqe *sqe)
{
	io_uring_prep_poll_multishot(sqe, engine->uring->wake_fd, POLLIN);
	sluice__uring_invalidate(engine->uring, sqe, SLUICE_CAPABILITY_MULTISHOT_POLL);
}

static void arm_wake(struct sluice_engine *engine)
{
	struct io_uring_sqe *sqe = sluice__uring_entry(engine);

	if (!sqe)
		return;
	if (engine->capabilities & SLUICE_CAPABILITY_MULTISHOT_POLL)
		prepare_multishot_wake(engine, sqe);
	else
		io_uring_prep_poll_add(sqe, engine->uring->wake_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, SLUICE__INTERNAL_WAKE);
}

/* A single-shot poll would complete again immediately while the eventfd has a count. */
static void complete_wake(struct sluice_engine *engine, const struct io_uring_cqe *cqe)
{
	uint64_t count;
	ssize_t got;

	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	if (cqe->res == -EINVAL)
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_MULTISHOT_POLL;
	if (!(engine->capabilities & SLUICE_CAPABILITY_MULTISHOT_POLL)) {
		got = read(engine->uring->wake_fd, &count, sizeof count);
		(void)got;
	}
	arm_wake(engine);
}

static void uring_wake(struct sluice_engine *engine)
{
	uint64_t one = 1;
	ssize_t written = write(engine->uring->wake_fd, &one, sizeof one);

	if (__atomic_load_n(&engine->uring->notify_fd, __ATOMIC_RELAXED) >= 0)
		written = write(engine->uring->notify_fd, &one, sizeof one);
	(void)written;
}

/* ---- completions ---- */

/* The poll that replaces a multishot receive reported that the socket is readable. */
static void receive_polled(struct sluice_engine *engine, struct sluice__completion *completion)
{
	struct sluice__request *request = completion->request;
	int id = sluice__buffers_borrow(engine);
	struct iovec segment;
	struct msghdr message = {.msg_iov = &segment, .msg_iovlen = 1};

	if (id < 0) {
		/* EAGAIN if buffers will be free as soon as the kernel has returned its own. */
		completion->result = engine->uring->retiring_buffers ? -EAGAIN : id;
		return;
	}
	segment.iov_base = sluice__buffer_data(engine, (uint16_t)id);
	segment.iov_len = engine->options.receive_buffer_bytes;
	completion->result = (int32_t)sluice__syscall_receive(engine, request->socket, &message, 0);
	completion->buffer = (uint16_t)id;
	if (completion->result <= 0)
		sluice__buffers_keep(engine, (uint16_t)id);
}

/* One of several entries of a request. True: the last one, which completes the request. */
static bool decode_part(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
			struct sluice__completion *completion)
{
	struct sluice__request *request = completion->request;

	if (request->kind == SLUICE__REQUEST_FILE)
		return sluice__uring_file_part(engine, cqe, completion);
	sluice__assert(request->pending > 0);
	completion->result = 0;
	if (request->kind == SLUICE__REQUEST_MESSAGES)
		completion->result = sluice__uring_message_result(request->messages, cqe->res);
	completion->more = false;
	return --request->pending == 0;
}

/* Entries of the backend itself, which belong to no request. */
static void decode_internal(struct sluice_engine *engine, const struct io_uring_cqe *cqe)
{
	if (cqe->user_data == SLUICE__INTERNAL_WAKE)
		complete_wake(engine, cqe);
	else if (cqe->user_data == SLUICE__INTERNAL_TIMEOUT)
		engine->uring->timeout_armed = false;
	else if (cqe->user_data >= SLUICE__INTERNAL_FORM)
		sluice__uring_form_tried(engine, cqe);
}

/* Decodes what a completion means beyond its result. */
typedef void decode_fn(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
		       struct sluice__completion *completion);

/* The result of a poll is its events; the request's is 0. */
static void decode_poll(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
			struct sluice__completion *completion)
{
	if (cqe->res > 0)
		completion->result = 0;
}

static void decode_receive_multi(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
				 struct sluice__completion *completion)
{
	struct sluice__uring *uring = engine->uring;
	struct sluice__request *request = completion->request;

	if (request->slot == SLUICE__FORM_PLAIN) {
		if (cqe->res > 0)
			receive_polled(engine, completion);
		return;
	}
	if (!completion->more)
		uring->selecting--;
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		completion->buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
		sluice__assert(uring->in_ring[completion->buffer]);
		uring->in_ring[completion->buffer] = false;
	}
	if (cqe->res == -EINVAL && sluice__uring_form_unsupported(engine, request))
		completion->result = -EAGAIN;
}

static void decode_accept_multi(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
				struct sluice__completion *completion)
{
	if (cqe->res == -EINVAL && sluice__uring_form_unsupported(engine, completion->request))
		completion->result = -EAGAIN;
}

/* Indexed by kind. NULL: nothing beyond the result. */
static decode_fn *const decoders[SLUICE__REQUEST_FILE + 1] = {
	[SLUICE__REQUEST_WRITABLE] = decode_poll,
	[SLUICE__REQUEST_READABLE] = decode_poll,
	[SLUICE__REQUEST_ACCEPT_MULTI] = decode_accept_multi,
	[SLUICE__REQUEST_RECEIVE_MULTI] = decode_receive_multi,
	[SLUICE__REQUEST_SEND_ZEROCOPY] = sluice__uring_decode_zerocopy,
};

/* False: the entry completes no request. */
static bool decode_completion(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
			      struct sluice__completion *completion)
{
	struct sluice__request *request =
		(struct sluice__request *)(uintptr_t)(cqe->user_data & ~SLUICE__PART_BITS);

	if (cqe->user_data <= SLUICE__INTERNAL_LAST) {
		decode_internal(engine, cqe);
		return false;
	}
	completion->request = request;
	if (cqe->user_data & SLUICE__PART)
		return decode_part(engine, cqe, completion);
	completion->result = cqe->res;
	completion->more = cqe->flags & IORING_CQE_F_MORE;
	completion->buffer = 0;
	if (unlikely(decoders[request->kind]))
		decoders[request->kind](engine, cqe, completion);
	return true;
}

static uint32_t uring_reap(struct sluice_engine *engine, struct sluice__completion *completions,
			   uint32_t max)
{
	struct io_uring *ring = &engine->uring->ring;
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;
	uint32_t count = 0;

	if (unlikely(engine->uring->cq_ignored))
		return sluice__uring_reap_abandoned(engine->uring, completions, max);
	io_uring_for_each_cqe(ring, head, cqe)
	{
		if (count == max)
			break;
		seen++;
		if (decode_completion(engine, cqe, &completions[count]))
			count++;
	}
	io_uring_cq_advance(ring, seen);
	if (unlikely(engine->uring->retiring_buffers))
		sluice__uring_buffers_retired(engine);
	if (engine->uring->prefetcher && count < max)
		count += sluice__prefetcher_reap(engine->uring->prefetcher, completions + count,
						 max - count);
	engine->uring->cq_ignored = engine->uring->failed && count < max;
	return count;
}

/* ---- for an embedding loop ---- */

/*
 * A ring with deferred task work polls readable but does not wake a thread blocked in poll; a
 * registered eventfd does. It is registered at setup (backend/uring_event.c), with notifications
 * disabled until an embedding loop requests the descriptor.
 */
static int uring_descriptor(struct sluice_engine *engine)
{
	uint32_t bits = SLUICE_CAPABILITY_DEFER_TASKRUN | SLUICE_CAPABILITY_EVENT_REPEATS;
	struct sluice__uring *uring = engine->uring;

	if (uring->notify_fd >= 0)
		return uring->notify_fd;
	if ((engine->capabilities & bits) == bits && !sluice__uring_event_repeats(uring))
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_EVENT_REPEATS;
	__atomic_store_n(&uring->notify_fd, uring->event_fd, __ATOMIC_RELEASE);
	return uring->event_fd;
}

static void uring_quiet(struct sluice_engine *engine)
{
	io_uring_cq_eventfd_toggle(&engine->uring->ring, false);
	sluice__uring_consume_event(engine->uring);
}

static void arm_timeout(struct sluice_engine *engine, uint64_t at_ns)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_sqe *sqe;

	if (uring->timeout_armed) {
		if (uring->timeout_at == at_ns)
			return;
		sqe = sluice__uring_entry(engine);
		if (!sqe)
			return;
		io_uring_prep_timeout_remove(sqe, SLUICE__INTERNAL_TIMEOUT, 0);
		io_uring_sqe_set_data64(sqe, SLUICE__INTERNAL_IGNORED);
	}
	sqe = sluice__uring_entry(engine);
	if (!sqe)
		return;
	uring->timeout.tv_sec = (int64_t)(at_ns / 1000000000);
	uring->timeout.tv_nsec = (long long)(at_ns % 1000000000);
	io_uring_prep_timeout(sqe, &uring->timeout, 0, IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data64(sqe, SLUICE__INTERNAL_TIMEOUT);
	uring->timeout_armed = true;
	uring->timeout_at = at_ns;
}

static void uring_listen(struct sluice_engine *engine, uint64_t next_ns, bool ready)
{
	uint32_t bits = SLUICE_CAPABILITY_DEFER_TASKRUN | SLUICE_CAPABILITY_EVENT_REPEATS;
	struct sluice__uring *uring = engine->uring;
	uint64_t one = 1;
	ssize_t written = 0;
	int barrier = 0;

	if (next_ns != UINT64_MAX)
		arm_timeout(engine, next_ns ? next_ns : 1);
	uring_submit(engine);
	if ((engine->capabilities & bits) == SLUICE_CAPABILITY_DEFER_TASKRUN)
		sluice__uring_renew_event(uring);
	io_uring_cq_eventfd_toggle(&uring->ring, true);
	/*
	 * Completions posted before the toggle were not signalled. The exchange is a full barrier
	 * between enabling the notifications and checking for completions.
	 */
	__atomic_exchange_n(&barrier, 1, __ATOMIC_SEQ_CST);
	if (ready || io_uring_cq_ready(&uring->ring) || sluice__uring_has_pending(uring))
		written = write(uring->notify_fd, &one, sizeof one);
	(void)written;
}

/* ---- open and close ---- */

static int uring_open(struct sluice_engine *engine)
{
	int error;

	engine->uring = sluice__allocate(engine, sizeof *engine->uring);
	if (!engine->uring)
		return -ENOMEM;
	error = sluice__uring_setup(engine, engine->uring);
	if (error) {
		free(engine->uring);
		engine->uring = NULL;
	}
	return error;
}

/* Submits an entry of each form, to learn which ones the kernel supports. */
static void try_forms(struct sluice_engine *engine)
{
	sluice__uring_try_forms(engine);
	uring_submit(engine);
	sluice__uring_reap_trials(engine);
	/* SQPOLL takes a moment. A result that comes later still counts, when it is reaped. */
	for (int i = 0; engine->uring->trials && engine->uring->sqpoll && i < TRIAL_POLLS; i++) {
		sluice__uring_wait(engine, TRIAL_NS);
		sluice__uring_reap_trials(engine);
	}
	sluice__uring_simulate_refusals(engine, "SLUICE_TEST_REFUSE_LATE");
}

static int uring_enable(struct sluice_engine *engine)
{
	int error = sluice__uring_enable(engine);

	if (error)
		return error;
	sluice__uring_simulate_refusals(engine, "SLUICE_TEST_REFUSE");
	sluice__uring_measure(engine);
	arm_wake(engine);
	try_forms(engine);
	return 0;
}

static void uring_close(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;

	if (!uring)
		return;
	if (uring->prefetcher)
		sluice__prefetcher_stop(uring->prefetcher);
	io_uring_queue_exit(&uring->ring);
	sluice__ring_closed();
	sluice__uring_buffers_close(uring);
	sluice__uring_files_close(uring);
	close(uring->wake_fd);
	close(uring->event_fd);
	free(uring->in_ring);
	free(uring->messages);
	free(uring->sqpoll);
	free(uring);
	engine->uring = NULL;
}

const struct sluice__backend sluice__uring = {
	.name = "uring",
	.id = SLUICE_BACKEND_URING,
	.sends = true,
	.open = uring_open,
	.enable = uring_enable,
	.close = uring_close,
	.start = uring_start,
	.cancel = uring_cancel,
	.forget = uring_forget,
	.enter = uring_enter,
	.submit = uring_submit,
	.is_idle = uring_is_idle,
	.reap = uring_reap,
	.wake = uring_wake,
	.descriptor = uring_descriptor,
	.quiet = uring_quiet,
	.listen = uring_listen,
	.buffers_open = sluice__uring_buffers_open,
	.buffer_return = sluice__uring_buffer_return,
	.memory_register = sluice__uring_memory_register,
	.memory_unregister = sluice__uring_memory_unregister,
	.try_send = sluice__syscall_send,
	.try_send_messages = sluice__syscall_send_messages,
	.try_send_file = sluice__syscall_send_file,
	.try_receive = sluice__syscall_receive,
	.is_local = sluice__syscall_is_local,
	.window = sluice__syscall_window,
};
