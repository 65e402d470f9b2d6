/* SPDX-License-Identifier: MIT */
/*
 * The ring backend: the one room that speaks io_uring. Requests become entries, entries leave with
 * the one system call of the turn, completions come back in reap.
 *
 * Never MSG_WAITALL: it loses the error behind a short count. Never IOSQE_ASYNC on sockets: it makes
 * herds of threads.
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
#include "engine/state.h"

#define TRIAL_NS 10000000
#define TRIAL_LOOKS 10

#define FETCH_STEP (128u << 10) /* a read at the end of each brings it in */

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

/* Without buffers that the kernel picks: wait here, receive when it is readable. */
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
 * A window into the page cache: read-ahead is asked for, then one byte at the end of each step is
 * read, so that the answer comes when all of it is there. The window behind it is asked for as well,
 * and comes while this one is sent.
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
		/* The chain must not be torn by a submission in between. */
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

static int start(struct sluice_engine *engine, struct sluice__request *request)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_sqe *sqe;

	if (request->kind == SLUICE__REQUEST_FETCH)
		return engine->capabilities & SLUICE_CAPABILITY_RING_FETCH
			       ? start_fetch(engine, request)
			       : sluice__workers_start(engine, &uring->workers, request);
	if (uring->thread)
		sluice__uring_thread_keep(engine, request);
	sqe = sluice__uring_entry(engine);
	if (!sqe)
		return -EAGAIN;
	switch (request->kind) {
	case SLUICE__REQUEST_MESSAGES:
		sluice__uring_chain(uring, sqe, request, (uintptr_t)request | SLUICE__PART);
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

static void cancel(struct sluice_engine *engine, struct sluice__request *request)
{
	struct io_uring_sqe *sqe;

	if (unlikely(engine->uring->failed)) {
		sluice__uring_abandon(engine->uring, request);
		return;
	}
	if (request->kind == SLUICE__REQUEST_MESSAGES)
		return; /* they wait for nothing */
	sqe = sluice__uring_entry(engine);
	if (!sqe)
		return;
	io_uring_prep_cancel(sqe, request, 0);
	io_uring_sqe_set_data64(sqe, SLUICE__OURS_IGNORED);
}

static void forget(struct sluice_engine *engine, struct sluice_socket *socket)
{
	(void)engine;
	(void)socket;
}

/* ---- in and out of the kernel ---- */

static int enter(struct sluice_engine *engine, int64_t wait_ns)
{
	int error = engine->uring->thread ? sluice__uring_thread_enter(engine, wait_ns)
					  : sluice__uring_enter(engine, wait_ns);

	if (unlikely(error && error != -EINTR))
		engine->uring->failed = true;
	return error;
}

static void submit(struct sluice_engine *engine)
{
	if (engine->uring->thread)
		sluice__uring_thread_submit(engine);
	else if (io_uring_sq_ready(&engine->uring->ring))
		sluice__uring_submit(engine);
}

static void prepare_wake_many(struct sluice_engine *engine, struct io_uring_sqe *sqe)
{
	io_uring_prep_poll_multishot(sqe, engine->uring->wake_fd, POLLIN);
	sluice__uring_refuse(engine->uring, sqe, SLUICE_CAPABILITY_MULTISHOT_POLL);
}

static void arm_wake(struct sluice_engine *engine)
{
	struct io_uring_sqe *sqe = sluice__uring_entry(engine);

	if (!sqe)
		return;
	if (engine->capabilities & SLUICE_CAPABILITY_MULTISHOT_POLL)
		prepare_wake_many(engine, sqe);
	else
		io_uring_prep_poll_add(sqe, engine->uring->wake_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, SLUICE__OURS_WAKE);
}

/* A single poll completes at once while the descriptor has a count. */
static void wake_polled(struct sluice_engine *engine, const struct io_uring_cqe *cqe)
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

static void wake(struct sluice_engine *engine)
{
	uint64_t one = 1;
	ssize_t written = write(engine->uring->wake_fd, &one, sizeof one);

	if (__atomic_load_n(&engine->uring->notify_fd, __ATOMIC_RELAXED) >= 0)
		written = write(engine->uring->notify_fd, &one, sizeof one);
	(void)written;
}

/* ---- completions ---- */

/* The poll in place of a multishot receive says that there is something. */
static void receive_polled(struct sluice_engine *engine, struct sluice__completion *completion)
{
	struct sluice__request *request = completion->request;
	int id = sluice__buffers_borrow(engine);
	struct iovec segment;
	struct msghdr message = {.msg_iov = &segment, .msg_iovlen = 1};

	if (id < 0) {
		/* The kernel is about to give its buffers back: that needs no other's return. */
		completion->result = engine->uring->leaving_buffers ? -EAGAIN : id;
		return;
	}
	segment.iov_base = sluice__buffer_data(engine, (uint16_t)id);
	segment.iov_len = engine->options.receive_buffer_bytes;
	completion->result = (int32_t)sluice__syscall_receive(engine, request->socket, &message, 0);
	completion->buffer = (uint16_t)id;
	if (completion->result <= 0)
		sluice__buffers_keep(engine, (uint16_t)id);
}

/* One of several entries of a request. True: it was the last. */
static bool decode_part(struct sluice__completion *completion, int32_t result)
{
	struct sluice__request *request = completion->request;

	sluice__assert(request->pending > 0);
	completion->result = 0;
	if (request->kind == SLUICE__REQUEST_MESSAGES)
		completion->result = sluice__uring_note(request->messages, result);
	completion->more = false;
	return --request->pending == 0;
}

/* Entries of the backend's own, which answer no request. */
static void decode_own(struct sluice_engine *engine, const struct io_uring_cqe *cqe)
{
	if (cqe->user_data == SLUICE__OURS_WAKE)
		wake_polled(engine, cqe);
	else if (cqe->user_data == SLUICE__OURS_TIMEOUT)
		engine->uring->timeout_armed = false;
	else if (cqe->user_data >= SLUICE__OURS_FORM)
		sluice__uring_form_tried(engine, cqe);
}

/* What a kind's answer means beyond its result. */
typedef void decode_fn(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
		       struct sluice__completion *completion);

/* The events of a poll are not its result. */
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
	if (cqe->res == -EINVAL && sluice__uring_form_lost(engine, request))
		completion->result = -EAGAIN;
}

static void decode_accept_multi(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
				struct sluice__completion *completion)
{
	if (cqe->res == -EINVAL && sluice__uring_form_lost(engine, completion->request))
		completion->result = -EAGAIN;
}

/* By kind. NULL: the result is all there is. */
static decode_fn *const decoders[SLUICE__REQUEST_SEND_ZEROCOPY + 1] = {
	[SLUICE__REQUEST_WRITABLE] = decode_poll,
	[SLUICE__REQUEST_READABLE] = decode_poll,
	[SLUICE__REQUEST_ACCEPT_MULTI] = decode_accept_multi,
	[SLUICE__REQUEST_RECEIVE_MULTI] = decode_receive_multi,
	[SLUICE__REQUEST_SEND_ZEROCOPY] = sluice__uring_decode_zerocopy,
};

/* False: it completes no request. */
static bool decode_completion(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
			      struct sluice__completion *completion)
{
	struct sluice__request *request =
		(struct sluice__request *)(uintptr_t)(cqe->user_data & ~SLUICE__PART);

	if (cqe->user_data <= SLUICE__OURS_LAST) {
		decode_own(engine, cqe);
		return false;
	}
	completion->request = request;
	if (cqe->user_data & SLUICE__PART)
		return decode_part(completion, cqe->res);
	completion->result = cqe->res;
	completion->more = cqe->flags & IORING_CQE_F_MORE;
	completion->buffer = 0;
	if (unlikely(decoders[request->kind]))
		decoders[request->kind](engine, cqe, completion);
	return true;
}

static uint32_t reap(struct sluice_engine *engine, struct sluice__completion *completions,
		     uint32_t max)
{
	struct io_uring *ring = &engine->uring->ring;
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;
	uint32_t count = 0;

	if (unlikely(engine->uring->deaf))
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
	if (unlikely(engine->uring->leaving_buffers))
		sluice__uring_buffers_left(engine);
	if (engine->uring->workers && count < max)
		count += sluice__workers_reap(engine->uring->workers, completions + count,
					      max - count);
	engine->uring->deaf = engine->uring->failed && count < max;
	return count;
}

/* ---- for a foreign loop ---- */

/*
 * A ring with deferred task work polls readable but wakes nobody who is blocked on it; a registered
 * eventfd does. It is registered from the beginning (backend/uring_setup.c), but quiet until it is asked for.
 */
static int descriptor(struct sluice_engine *engine)
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

static void quiet(struct sluice_engine *engine)
{
	uint64_t count;
	ssize_t got;

	io_uring_cq_eventfd_toggle(&engine->uring->ring, false);
	got = read(engine->uring->notify_fd, &count, sizeof count);
	(void)got;
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
		io_uring_prep_timeout_remove(sqe, SLUICE__OURS_TIMEOUT, 0);
		io_uring_sqe_set_data64(sqe, SLUICE__OURS_IGNORED);
	}
	sqe = sluice__uring_entry(engine);
	if (!sqe)
		return;
	uring->timeout.tv_sec = (int64_t)(at_ns / 1000000000);
	uring->timeout.tv_nsec = (long long)(at_ns % 1000000000);
	io_uring_prep_timeout(sqe, &uring->timeout, 0, IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data64(sqe, SLUICE__OURS_TIMEOUT);
	uring->timeout_armed = true;
	uring->timeout_at = at_ns;
}

static void listen_on(struct sluice_engine *engine, uint64_t next_ns, bool ready)
{
	uint32_t bits = SLUICE_CAPABILITY_DEFER_TASKRUN | SLUICE_CAPABILITY_EVENT_REPEATS;
	struct sluice__uring *uring = engine->uring;
	uint64_t one = 1;
	ssize_t written = 0;
	int barrier = 0;

	if (next_ns != UINT64_MAX)
		arm_timeout(engine, next_ns ? next_ns : 1);
	submit(engine);
	if ((engine->capabilities & bits) == SLUICE_CAPABILITY_DEFER_TASKRUN)
		sluice__uring_renew_event(uring);
	io_uring_cq_eventfd_toggle(&uring->ring, true);
	/* What came in between was not told. The exchange is the barrier between store and look. */
	__atomic_exchange_n(&barrier, 1, __ATOMIC_SEQ_CST);
	if (ready || io_uring_cq_ready(&uring->ring) || sluice__uring_has_news(uring))
		written = write(uring->notify_fd, &one, sizeof one);
	(void)written;
}

/* ---- life ---- */

static int open_ring(struct sluice_engine *engine)
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

/* An entry of each form is given to the kernel and answered. */
static void try_forms(struct sluice_engine *engine)
{
	sluice__uring_try_forms(engine);
	submit(engine);
	sluice__uring_look_at_trials(engine);
	/* A submission thread takes a moment. What it answers later is heeded then. */
	for (int i = 0; engine->uring->trials && engine->uring->thread && i < TRIAL_LOOKS; i++) {
		sluice__uring_wait(engine, TRIAL_NS);
		sluice__uring_look_at_trials(engine);
	}
	sluice__uring_pretend(engine, "SLUICE_TEST_REFUSE_LATE");
}

static int enable(struct sluice_engine *engine)
{
	int error = sluice__uring_enable(engine);

	if (error)
		return error;
	sluice__uring_pretend(engine, "SLUICE_TEST_REFUSE");
	sluice__uring_measure(engine);
	arm_wake(engine);
	try_forms(engine);
	return 0;
}

static void close_ring(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;

	if (!uring)
		return;
	if (uring->workers)
		sluice__workers_stop(uring->workers);
	io_uring_queue_exit(&uring->ring);
	sluice__ring_closed();
	sluice__uring_buffers_close(uring);
	close(uring->wake_fd);
	close(uring->event_fd);
	free(uring->in_ring);
	free(uring->messages);
	free(uring->thread);
	free(uring);
	engine->uring = NULL;
}

const struct sluice__backend sluice__uring = {
	.name = "uring",
	.id = SLUICE_BACKEND_URING,
	.sends = true,
	.open = open_ring,
	.enable = enable,
	.close = close_ring,
	.start = start,
	.cancel = cancel,
	.forget = forget,
	.enter = enter,
	.submit = submit,
	.reap = reap,
	.wake = wake,
	.descriptor = descriptor,
	.quiet = quiet,
	.listen = listen_on,
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
