/* SPDX-License-Identifier: MIT */
/*
 * The epoll backend. A descriptor is registered edge-triggered with its first request. A request
 * that reads is attempted in the next enter, because its edge may have passed already, and then at
 * each edge. It does not execute SEND: it reports when a socket is writable, and the engine sends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/prefetch_thread.h"
#include "base/assert.h"
#include "base/libc.h"
#include "base/queue.h"
#include "core/record.h"
#include "engine/buffers.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/socket.h"
#include "engine/state.h"

#define EVENTS 256
#define RECEIVES_A_TURN 8 /* of one socket, for fairness */
#define ACCEPTS_A_TURN 64 /* of one listener */

struct sluice__poller {
	int fd;
	int wake_fd;
	int timer_fd;                    /* for an embedding loop; -1 until requested */
	struct sluice__fifo todo;        /* requests to attempt in the next enter */
	struct sluice__completion *done; /* never shrinks */
	uint32_t done_count;
	uint32_t done_capacity;
	struct sluice__prefetcher *prefetcher; /* for cold files; NULL until needed */
};

enum {
	SLOT_NONE,
	SLOT_TODO
};

/* ---- completions ---- */

/*
 * Reserves space for one completion beyond those of all started requests. So a request's edge,
 * which is reported once only, is never lost for lack of memory.
 */
static bool completions_reserve(struct sluice_engine *engine)
{
	struct sluice__poller *poller = engine->poller;
	uint32_t capacity = poller->done_capacity ? poller->done_capacity * 2 : 256;
	struct sluice__completion *done;

	if (poller->done_count + engine->armed_requests < poller->done_capacity)
		return true;
	done = realloc(poller->done, capacity * sizeof *done);
	__atomic_fetch_add(&engine->statistics.allocations, 1, __ATOMIC_RELAXED);
	if (!done)
		return false;
	poller->done = done;
	poller->done_capacity = capacity;
	return true;
}

static void completions_add(struct sluice_engine *engine, struct sluice__request *request,
			    int32_t result, uint16_t buffer, bool more)
{
	struct sluice__poller *poller = engine->poller;

	sluice__assert(poller->done_count < poller->done_capacity);
	poller->done[poller->done_count++] = (struct sluice__completion){
		.request = request, .result = result, .buffer = buffer, .more = more};
}

static void todo_add(struct sluice__poller *poller, struct sluice__request *request)
{
	sluice__assert(request->armed || request->slot == SLOT_NONE);
	if (request->slot == SLOT_TODO)
		return;
	request->slot = SLOT_TODO;
	sluice__fifo_push(&poller->todo, &request->link);
}

static void todo_remove(struct sluice__poller *poller, struct sluice__request *request)
{
	bool listed = request->slot == SLOT_TODO &&
		      sluice__fifo_remove(&poller->todo, &request->link);

	sluice__assert(listed == (request->slot == SLOT_TODO));
	if (listed)
		request->slot = SLOT_NONE;
}

/* ---- reading requests ---- */

static int32_t attempt_accept(const struct sluice__request *request)
{
	int fd = accept4(request->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int32_t attempt_receive(struct sluice_engine *engine, const struct sluice__request *request)
{
	struct msghdr own = {.msg_iov = request->segments, .msg_iovlen = request->segment_count};
	struct msghdr *message = request->message ? request->message : &own;

	return (int32_t)sluice__syscall_receive(engine, request->socket, message, request->flags);
}

/*
 * Not with a peek: if the kernel decrypts, that fails with EIO at an alert, and decrypts the record
 * behind the filter's back.
 */
static int32_t attempt_poll(const struct sluice__request *request)
{
	struct pollfd waited = {.fd = request->fd, .events = POLLIN | POLLRDHUP};
	int ready = poll(&waited, 1, 0);

	if (ready < 0)
		return -errno;
	return ready ? 0 : -EAGAIN;
}

/* Not with a poll, which waits for SO_RCVLOWAT bytes. */
static int32_t attempt_peek(const struct sluice__request *request)
{
	char byte;
	ssize_t seen;

	if (sluice__socket_flags(request->socket) & SLUICE__SHARED_FILTERED)
		return attempt_poll(request);
	seen = recv(request->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return seen < 0 ? -errno : 0;
}

static int32_t attempt_receive_multi(struct sluice_engine *engine, struct sluice__request *request,
				     uint16_t *ret_buffer)
{
	struct iovec segment;
	struct msghdr message = {.msg_iov = &segment, .msg_iovlen = 1};
	int id = sluice__buffers_borrow(engine);
	int32_t result;

	if (id < 0)
		return id;
	segment.iov_base = sluice__buffer_data(engine, (uint16_t)id);
	segment.iov_len = engine->options.receive_buffer_bytes;
	result = (int32_t)sluice__syscall_receive(engine, request->socket, &message, 0);
	if (result <= 0)
		sluice__buffers_keep(engine, (uint16_t)id);
	*ret_buffer = (uint16_t)id;
	return result;
}

static int32_t attempt_once(struct sluice_engine *engine, struct sluice__request *request,
			    uint16_t *ret_buffer)
{
	switch (request->kind) {
	case SLUICE__REQUEST_ACCEPT:
	case SLUICE__REQUEST_ACCEPT_MULTI:
		return attempt_accept(request);
	case SLUICE__REQUEST_RECEIVE:
		return attempt_receive(engine, request);
	case SLUICE__REQUEST_RECEIVE_MULTI:
		return attempt_receive_multi(engine, request, ret_buffer);
	default:
		return attempt_peek(request);
	}
}

static bool is_multi(const struct sluice__request *request)
{
	return request->kind == SLUICE__REQUEST_ACCEPT_MULTI ||
	       request->kind == SLUICE__REQUEST_RECEIVE_MULTI;
}

static int attempts_max(const struct sluice__request *request)
{
	if (request->kind == SLUICE__REQUEST_ACCEPT_MULTI)
		return ACCEPTS_A_TURN;
	return request->kind == SLUICE__REQUEST_RECEIVE_MULTI ? RECEIVES_A_TURN : 1;
}

/* Whether further completions follow this result. */
static bool request_continues(const struct sluice_engine *engine, struct sluice__request *request,
			      int32_t result)
{
	if (request->kind == SLUICE__REQUEST_ACCEPT_MULTI)
		return result >= 0;
	if (request->kind != SLUICE__REQUEST_RECEIVE_MULTI || result <= 0 ||
	    request->length <= engine->options.receive_buffer_bytes)
		return false;
	request->length -= (uint64_t)result < request->length ? (uint64_t)result : request->length;
	return request->length > 0;
}

/* A receive shorter than the buffer has emptied the stream. */
static bool stream_is_drained(const struct sluice_engine *engine,
			      const struct sluice__request *request, int32_t result, bool ending)
{
	return request->kind == SLUICE__REQUEST_RECEIVE_MULTI && !ending &&
	       (uint32_t)result < engine->options.receive_buffer_bytes;
}

/* At an edge, or after the start: repeats the call until EAGAIN or the limit per turn. */
static void request_attempt(struct sluice_engine *engine, struct sluice__request *request,
			    bool ending)
{
	for (int i = 0; i < attempts_max(request); i++) {
		uint16_t buffer = 0;
		int32_t result;
		bool more;

		if (!completions_reserve(engine)) {
			todo_add(engine->poller, request);
			return;
		}
		result = attempt_once(engine, request, &buffer);
		if (result == -EAGAIN || result == -EINTR)
			return;
		more = is_multi(request) && request_continues(engine, request, result);
		if (!more)
			request->socket->waiting_in = NULL;
		completions_add(engine, request, result, buffer, more);
		if (!more || stream_is_drained(engine, request, result, ending))
			return;
	}
	todo_add(engine->poller, request);
}

/* ---- start and cancel ---- */

static int socket_watch(struct sluice_engine *engine, struct sluice_socket *socket)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = socket,
	};

	if (socket->state & SLUICE__ST_WATCHED)
		return 0;
	if (epoll_ctl(engine->poller->fd, EPOLL_CTL_ADD, socket->fd, &event) < 0)
		return -errno;
	socket->state |= SLUICE__ST_WATCHED;
	return 0;
}

static int epoll_start(struct sluice_engine *engine, struct sluice__request *request)
{
	struct sluice_socket *socket = request->socket;
	int error;

	request->slot = SLOT_NONE;
	if (!socket)
		return sluice__prefetcher_start(engine, &engine->poller->prefetcher, request);
	if (!completions_reserve(engine))
		return -ENOMEM;
	error = socket_watch(engine, socket);
	if (error)
		return error;
	if (request->kind == SLUICE__REQUEST_WRITABLE) {
		socket->waiting_out = request;
		return 0;
	}
	socket->waiting_in = request;
	todo_add(engine->poller, request);
	return 0;
}

static void epoll_cancel(struct sluice_engine *engine, struct sluice__request *request)
{
	struct sluice_socket *socket = request->socket;

	if (!socket)
		return;
	if (socket->waiting_in != request && socket->waiting_out != request)
		return; /* completed already */
	todo_remove(engine->poller, request);
	if (socket->waiting_in == request)
		socket->waiting_in = NULL;
	else
		socket->waiting_out = NULL;
	completions_add(engine, request, -ECANCELED, 0, false);
}

static void epoll_forget(struct sluice_engine *engine, struct sluice_socket *socket)
{
	if (socket->state & SLUICE__ST_WATCHED)
		epoll_ctl(engine->poller->fd, EPOLL_CTL_DEL, socket->fd, NULL);
	socket->state &= ~(uint32_t)SLUICE__ST_WATCHED;
}

/* ---- enter and reap ---- */

/* The edge is reported once: if no request waits, the next send must not wait for another edge. */
static void socket_writable(struct sluice_engine *engine, struct sluice_socket *socket)
{
	struct sluice__request *out = socket->waiting_out;

	if (!out) {
		sluice__buffer_has_space(socket);
	} else {
		socket->waiting_out = NULL;
		completions_add(engine, out, 0, 0, false);
	}
}

static void event_dispatch(struct sluice_engine *engine, const struct epoll_event *event)
{
	struct sluice_socket *socket = event->data.ptr;
	bool ending = event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);

	if (!socket || event->data.ptr == &engine->poller->timer_fd)
		return; /* a wake-up, or the timer of an embedding loop */
	if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		socket_writable(engine, socket);
	if (socket->waiting_in && (ending || (event->events & EPOLLIN)) &&
	    socket->waiting_in->slot != SLOT_TODO)
		request_attempt(engine, socket->waiting_in, ending);
}

static void attempt_todo(struct sluice_engine *engine)
{
	struct sluice__poller *poller = engine->poller;
	struct sluice__link *link = sluice__fifo_take_all(&poller->todo);

	while (link) {
		struct sluice__request *request =
			sluice__element(link, struct sluice__request, link);

		link = link->next;
		request->slot = SLOT_NONE;
		/* The end of the stream may have been reported before: read until EAGAIN. */
		request_attempt(engine, request, true);
	}
}

/* A wait is at most SLUICE__WAIT_MAX_NS, so its milliseconds fit in an int. */
_Static_assert(SLUICE__WAIT_MAX_NS / 1000000 < INT_MAX, "epoll_wait takes an int");

static int epoll_wait_ns(struct sluice_engine *engine, struct epoll_event *events, int64_t wait_ns)
{
	struct timespec time = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
	int count, milliseconds;

	if (engine->capabilities & SLUICE_CAPABILITY_EPOLL_NANOSECONDS) {
		count = epoll_pwait2(engine->poller->fd, events, EVENTS, wait_ns < 0 ? NULL : &time,
				     NULL);
		if (count >= 0 || errno == EINTR)
			return count < 0 ? -EINTR : count;
		/*
		 * ENOSYS before 5.11; seccomp filters return EPERM and others. Fall back to
		 * epoll_wait after any error; if it fails too, its errno is reported.
		 */
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_EPOLL_NANOSECONDS;
	}
	milliseconds = wait_ns < 0 ? -1 : (int)((wait_ns + 999999) / 1000000);
	count = epoll_wait(engine->poller->fd, events, EVENTS, milliseconds);
	return count < 0 ? -errno : count;
}

/* epoll cannot wait for several events: they are let come. 0 or -EINTR. */
static int sleep_for(int64_t wait_ns)
{
	struct timespec time = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};

	return clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL) == EINTR ? -EINTR : 0;
}

static int epoll_enter(struct sluice_engine *engine, int64_t wait_ns)
{
	struct epoll_event events[EVENTS];
	struct sluice__poller *poller = engine->poller;
	int count, interrupted = 0;

	/* No request is armed and no loop polls the descriptor: no need for a system call. */
	if (wait_ns == 0 && engine->armed_requests == 0 && !engine->embedded)
		return 0;
	attempt_todo(engine);
	if (poller->done_count || !sluice__fifo_is_empty(&poller->todo))
		wait_ns = 0;
	if (unlikely(engine->waits.asked > 1 && wait_ns > 0)) {
		interrupted = sleep_for(wait_ns);
		wait_ns = 0;
	}
	do {
		engine->statistics.enters++;
		count = epoll_wait_ns(engine, events, wait_ns);
		for (int i = 0; i < count; i++)
			event_dispatch(engine, &events[i]);
		wait_ns = 0;
	} while (count == EVENTS);
	return count < 0 ? count : interrupted;
}

static void epoll_submit(struct sluice_engine *engine)
{
	(void)engine;
}

static uint32_t epoll_reap(struct sluice_engine *engine, struct sluice__completion *completions,
			   uint32_t max)
{
	struct sluice__poller *poller = engine->poller;
	uint32_t count = poller->done_count < max ? poller->done_count : max;

	if (count) {
		memcpy(completions, poller->done, count * sizeof *completions);
		poller->done_count -= count;
		memmove(poller->done, poller->done + count,
			poller->done_count * sizeof *completions);
	}
	if (poller->prefetcher && count < max)
		count += sluice__prefetcher_reap(poller->prefetcher, completions + count,
						 max - count);
	return count;
}

static void epoll_wake(struct sluice_engine *engine)
{
	uint64_t one = 1;
	ssize_t written = write(engine->poller->wake_fd, &one, sizeof one);

	(void)written;
}

/* ---- for an embedding loop: an epoll descriptor can be polled ---- */

static int watch_descriptor(struct sluice__poller *poller, int fd, void *token)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = token};

	return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int epoll_descriptor(struct sluice_engine *engine)
{
	struct sluice__poller *poller = engine->poller;

	if (poller->timer_fd < 0) {
		int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		int error = fd < 0 ? -errno : watch_descriptor(poller, fd, &poller->timer_fd);

		if (error) {
			if (fd >= 0)
				close(fd);
			return error;
		}
		poller->timer_fd = fd;
	}
	return poller->fd;
}

static void epoll_quiet(struct sluice_engine *engine)
{
	(void)engine;
}

static void epoll_listen(struct sluice_engine *engine, uint64_t next_ns, bool ready)
{
	struct sluice__poller *poller = engine->poller;
	struct itimerspec time;

	memset(&time, 0, sizeof time);
	if (next_ns != UINT64_MAX) {
		time.it_value.tv_sec = (time_t)(next_ns / 1000000000);
		time.it_value.tv_nsec = (long)(next_ns % 1000000000);
		if (next_ns == 0)
			time.it_value.tv_nsec = 1;
	}
	timerfd_settime(poller->timer_fd, TFD_TIMER_ABSTIME, &time, NULL);
	if (ready || !sluice__fifo_is_empty(&poller->todo) || poller->done_count)
		epoll_wake(engine);
}

/* ---- receive buffers; open and close ---- */

static int epoll_buffers_open(struct sluice_engine *engine)
{
	(void)engine;
	return 0;
}

static void poller_close(struct sluice_engine *engine)
{
	struct sluice__poller *poller = engine->poller;

	if (!poller)
		return;
	if (poller->prefetcher)
		sluice__prefetcher_stop(poller->prefetcher);
	if (poller->timer_fd >= 0)
		close(poller->timer_fd);
	if (poller->wake_fd >= 0)
		close(poller->wake_fd);
	if (poller->fd >= 0)
		close(poller->fd);
	free(poller->done);
	free(poller);
	engine->poller = NULL;
}

/* Drops EPOLL_NANOSECONDS if the kernel or a filter refuses it. -errno: no wait is possible. */
static int try_epoll_wait(struct sluice_engine *engine)
{
	struct epoll_event events[EVENTS];
	int count;

	do
		count = epoll_wait_ns(engine, events, 0);
	while (count == -EINTR);
	return count < 0 ? count : 0;
}

static int poller_open(struct sluice_engine *engine)
{
	uint32_t own = SLUICE_CAPABILITY_SENDFILE | SLUICE_CAPABILITY_CACHE_LOOK |
		       SLUICE_CAPABILITY_EPOLL_NANOSECONDS;
	struct sluice__poller *poller = sluice__allocate(engine, sizeof *poller);
	int error = 0;

	if (!poller)
		return -ENOMEM;
	engine->poller = poller;
	sluice__fifo_init(&poller->todo);
	poller->timer_fd = -1;
	poller->fd = epoll_create1(EPOLL_CLOEXEC);
	poller->wake_fd = poller->fd < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (poller->wake_fd < 0)
		error = -errno;
	if (!error)
		error = watch_descriptor(poller, poller->wake_fd, NULL);
	engine->capabilities = own & ~engine->options.disable;
	if (!error)
		error = try_epoll_wait(engine);
	if (error)
		poller_close(engine);
	return error;
}

static int epoll_enable(struct sluice_engine *engine)
{
	(void)engine;
	return 0;
}

const struct sluice__backend sluice__epoll = {
	.name = "epoll",
	.id = SLUICE_BACKEND_EPOLL,
	.sends = false,
	.open = poller_open,
	.enable = epoll_enable,
	.close = poller_close,
	.start = epoll_start,
	.cancel = epoll_cancel,
	.forget = epoll_forget,
	.enter = epoll_enter,
	.submit = epoll_submit,
	.reap = epoll_reap,
	.wake = epoll_wake,
	.descriptor = epoll_descriptor,
	.quiet = epoll_quiet,
	.listen = epoll_listen,
	.buffers_open = epoll_buffers_open,
	.buffer_return = sluice__buffers_keep,
	.try_send = sluice__syscall_send,
	.try_send_messages = sluice__syscall_send_messages,
	.try_send_file = sluice__syscall_send_file,
	.try_receive = sluice__syscall_receive,
	.is_local = sluice__syscall_is_local,
	.window = sluice__syscall_window,
};
