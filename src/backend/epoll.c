/* SPDX-License-Identifier: MIT */
/*
 * The epoll backend. Descriptors are watched edge-triggered from their first wait on; a request that
 * reads is tried once when it starts, because its edge may be gone already, and then at each edge.
 * It never gets SEND: it says when a socket can be written to, and the engine sends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/prefetch_thread.h"
#include "base/libc.h"
#include "engine/socket.h"
#include "engine/state.h"

#define EVENTS 256
#define RECEIVES_A_TURN 8 /* of one socket, before the others have had theirs */
#define ACCEPTS_A_TURN 64

struct sluice__poller {
	int fd;
	int wake_fd;
	int timer_fd;                    /* for a foreign loop; -1 until asked for */
	struct sluice__fifo todo;        /* requests to be tried in the next enter */
	struct sluice__completion *done; /* grows, never shrinks */
	uint32_t done_count;
	uint32_t done_room;
	struct sluice__workers *workers; /* lazily: files that are cold */
};

enum {
	SLOT_NONE,
	SLOT_TODO
};

/* ---- completions ---- */

/*
 * For one completion more than those that are owed: each request that has started has its place, so
 * that its edge, which comes once, is never lost for want of memory.
 */
static bool make_room(struct sluice_engine *engine)
{
	struct sluice__poller *poller = engine->poller;
	uint32_t room = poller->done_room ? poller->done_room * 2 : 256;
	struct sluice__completion *done;

	if (poller->done_count + engine->flying < poller->done_room)
		return true;
	done = realloc(poller->done, room * sizeof *done);
	__atomic_fetch_add(&engine->statistics.allocations, 1, __ATOMIC_RELAXED);
	if (!done)
		return false;
	poller->done = done;
	poller->done_room = room;
	return true;
}

static void complete(struct sluice_engine *engine, struct sluice__request *request, int32_t result,
		     uint16_t buffer, bool more)
{
	struct sluice__poller *poller = engine->poller;

	sluice__assert(poller->done_count < poller->done_room);
	poller->done[poller->done_count++] = (struct sluice__completion){
		.request = request, .result = result, .buffer = buffer, .more = more};
}

static void todo(struct sluice__poller *poller, struct sluice__request *request)
{
	sluice__assert(request->armed || request->slot == SLOT_NONE);
	if (request->slot == SLOT_TODO)
		return;
	request->slot = SLOT_TODO;
	sluice__fifo_push(&poller->todo, &request->link);
}

static void not_todo(struct sluice__poller *poller, struct sluice__request *request)
{
	bool listed = request->slot == SLOT_TODO &&
		      sluice__fifo_remove(&poller->todo, &request->link);

	sluice__assert(listed == (request->slot == SLOT_TODO));
	if (listed)
		request->slot = SLOT_NONE;
}

/* ---- requests that read ---- */

static int32_t try_accept(const struct sluice__request *request)
{
	int fd = accept4(request->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int32_t try_receive(struct sluice_engine *engine, const struct sluice__request *request)
{
	struct msghdr own = {.msg_iov = request->segments, .msg_iovlen = request->segment_count};
	struct msghdr *message = request->message ? request->message : &own;

	return (int32_t)sluice__syscall_receive(engine, request->socket, message, request->flags);
}

static int32_t try_look(const struct sluice__request *request)
{
	char byte;
	ssize_t seen = recv(request->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return seen < 0 ? -errno : 0;
}

static int32_t try_multi(struct sluice_engine *engine, struct sluice__request *request,
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

static int32_t try_once(struct sluice_engine *engine, struct sluice__request *request,
			uint16_t *ret_buffer)
{
	switch (request->kind) {
	case SLUICE__REQUEST_ACCEPT:
	case SLUICE__REQUEST_ACCEPT_MULTI:
		return try_accept(request);
	case SLUICE__REQUEST_RECEIVE:
		return try_receive(engine, request);
	case SLUICE__REQUEST_RECEIVE_MULTI:
		return try_multi(engine, request, ret_buffer);
	default:
		return try_look(request);
	}
}

static bool is_multi(const struct sluice__request *request)
{
	return request->kind == SLUICE__REQUEST_ACCEPT_MULTI ||
	       request->kind == SLUICE__REQUEST_RECEIVE_MULTI;
}

static int tries(const struct sluice__request *request)
{
	if (request->kind == SLUICE__REQUEST_ACCEPT_MULTI)
		return ACCEPTS_A_TURN;
	return request->kind == SLUICE__REQUEST_RECEIVE_MULTI ? RECEIVES_A_TURN : 1;
}

/* Whether it goes on behind this result. */
static bool goes_on(const struct sluice_engine *engine, struct sluice__request *request,
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

/* A stream that gave less than there was room for has no more. */
static bool drained(const struct sluice_engine *engine, const struct sluice__request *request,
		    int32_t result, bool ending)
{
	return request->kind == SLUICE__REQUEST_RECEIVE_MULTI && !ending &&
	       (uint32_t)result < engine->options.receive_buffer_bytes;
}

/* At an edge, or at the start: as far as it goes. */
static void attempt(struct sluice_engine *engine, struct sluice__request *request, bool ending)
{
	for (int i = 0; i < tries(request); i++) {
		uint16_t buffer = 0;
		int32_t result;
		bool more;

		if (!make_room(engine)) {
			todo(engine->poller, request);
			return;
		}
		result = try_once(engine, request, &buffer);
		if (result == -EAGAIN || result == -EINTR)
			return;
		more = is_multi(request) && goes_on(engine, request, result);
		if (!more)
			request->socket->waiting_in = NULL;
		complete(engine, request, result, buffer, more);
		if (!more || drained(engine, request, result, ending))
			return;
	}
	todo(engine->poller, request);
}

/* ---- start and cancel ---- */

static int watch(struct sluice_engine *engine, struct sluice_socket *socket)
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

static int start(struct sluice_engine *engine, struct sluice__request *request)
{
	struct sluice_socket *socket = request->socket;
	int error;

	request->slot = SLOT_NONE;
	if (!socket)
		return sluice__workers_start(engine, &engine->poller->workers, request);
	if (!make_room(engine))
		return -ENOMEM;
	error = watch(engine, socket);
	if (error)
		return error;
	if (request->kind == SLUICE__REQUEST_WRITABLE) {
		socket->waiting_out = request;
		return 0;
	}
	socket->waiting_in = request;
	todo(engine->poller, request);
	return 0;
}

static void cancel(struct sluice_engine *engine, struct sluice__request *request)
{
	struct sluice_socket *socket = request->socket;

	if (!socket)
		return;
	if (socket->waiting_in != request && socket->waiting_out != request)
		return; /* its answer stands in done already */
	not_todo(engine->poller, request);
	if (socket->waiting_in == request)
		socket->waiting_in = NULL;
	else
		socket->waiting_out = NULL;
	complete(engine, request, -ECANCELED, 0, false);
}

static void forget(struct sluice_engine *engine, struct sluice_socket *socket)
{
	if (socket->state & SLUICE__ST_WATCHED)
		epoll_ctl(engine->poller->fd, EPOLL_CTL_DEL, socket->fd, NULL);
	socket->state &= ~(uint32_t)SLUICE__ST_WATCHED;
}

/* ---- in and out of the kernel ---- */

/* The edge comes once: where nobody waits for it, the next send must not wait for another. */
static void writable(struct sluice_engine *engine, struct sluice_socket *socket)
{
	struct sluice__request *out = socket->waiting_out;

	if (!out) {
		socket->state &= ~(uint32_t)SLUICE__ST_FULL;
	} else {
		socket->waiting_out = NULL;
		complete(engine, out, 0, 0, false);
	}
}

static void dispatch(struct sluice_engine *engine, const struct epoll_event *event)
{
	struct sluice_socket *socket = event->data.ptr;
	bool ending = event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);

	if (!socket || event->data.ptr == &engine->poller->timer_fd)
		return; /* a wake, or the foreign loop's timer */
	if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		writable(engine, socket);
	if (socket->waiting_in && (ending || (event->events & EPOLLIN)) &&
	    socket->waiting_in->slot != SLOT_TODO)
		attempt(engine, socket->waiting_in, ending);
}

static void try_todo(struct sluice_engine *engine)
{
	struct sluice__poller *poller = engine->poller;
	struct sluice__link *link = sluice__fifo_take_all(&poller->todo);

	while (link) {
		struct sluice__request *request =
			sluice__element(link, struct sluice__request, link);

		link = link->next;
		request->slot = SLOT_NONE;
		/* Whether the stream has ended is not known here: read on until it says EAGAIN. */
		attempt(engine, request, true);
	}
}

/* A wait is at most SLUICE__WAIT_MAX_NS, so its milliseconds fit in an int. */
_Static_assert(SLUICE__WAIT_MAX_NS / 1000000 < INT_MAX, "epoll_wait takes an int");

static int wait_for(struct sluice_engine *engine, struct epoll_event *events, int64_t wait_ns)
{
	struct timespec time = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
	int count, milliseconds;

	if (engine->capabilities & SLUICE_CAPABILITY_EPOLL_NANOSECONDS) {
		count = epoll_pwait2(engine->poller->fd, events, EVENTS, wait_ns < 0 ? NULL : &time,
				     NULL);
		if (count >= 0 || errno == EINTR)
			return count < 0 ? -EINTR : count;
		/*
		 * ENOSYS before 5.11; filters answer EPERM and others. Whatever it was, epoll_wait
		 * can do the same, and if that fails, too, its errno is the one to report.
		 */
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_EPOLL_NANOSECONDS;
	}
	milliseconds = wait_ns < 0 ? -1 : (int)((wait_ns + 999999) / 1000000);
	count = epoll_wait(engine->poller->fd, events, EVENTS, milliseconds);
	return count < 0 ? -errno : count;
}

static int enter(struct sluice_engine *engine, int64_t wait_ns)
{
	struct epoll_event events[EVENTS];
	struct sluice__poller *poller = engine->poller;
	int count;

	/* Nothing waits for anything, nor does a foreign loop watch: no need to ask. */
	if (wait_ns == 0 && engine->flying == 0 && !engine->embedded)
		return 0;
	try_todo(engine);
	if (poller->done_count || !sluice__fifo_is_empty(&poller->todo))
		wait_ns = 0;
	do {
		engine->statistics.enters++;
		count = wait_for(engine, events, wait_ns);
		for (int i = 0; i < count; i++)
			dispatch(engine, &events[i]);
		wait_ns = 0;
	} while (count == EVENTS);
	return count < 0 ? count : 0;
}

static void submit(struct sluice_engine *engine)
{
	(void)engine;
}

static uint32_t reap(struct sluice_engine *engine, struct sluice__completion *completions,
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
	if (poller->workers && count < max)
		count += sluice__workers_reap(poller->workers, completions + count, max - count);
	return count;
}

static void wake(struct sluice_engine *engine)
{
	uint64_t one = 1;
	ssize_t written = write(engine->poller->wake_fd, &one, sizeof one);

	(void)written;
}

/* ---- for a foreign loop: epoll's own descriptor can be polled ---- */

static int watch_own(struct sluice__poller *poller, int fd, void *token)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = token};

	return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int descriptor(struct sluice_engine *engine)
{
	struct sluice__poller *poller = engine->poller;

	if (poller->timer_fd < 0) {
		int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		int error = fd < 0 ? -errno : watch_own(poller, fd, &poller->timer_fd);

		if (error) {
			if (fd >= 0)
				close(fd);
			return error;
		}
		poller->timer_fd = fd;
	}
	return poller->fd;
}

static void quiet(struct sluice_engine *engine)
{
	(void)engine;
}

static void listen_on(struct sluice_engine *engine, uint64_t next_ns, bool ready)
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
		wake(engine);
}

/* ---- receive buffers, life ---- */

static int buffers_open(struct sluice_engine *engine)
{
	(void)engine;
	return 0;
}

static void close_poller(struct sluice_engine *engine)
{
	struct sluice__poller *poller = engine->poller;

	if (!poller)
		return;
	if (poller->workers)
		sluice__workers_stop(poller->workers);
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

/* Loses the nanoseconds where the kernel or a filter refuses them. -errno: no wait is possible. */
static int try_waiting(struct sluice_engine *engine)
{
	struct epoll_event events[EVENTS];
	int count;

	do
		count = wait_for(engine, events, 0);
	while (count == -EINTR);
	return count < 0 ? count : 0;
}

static int open_poller(struct sluice_engine *engine)
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
		error = watch_own(poller, poller->wake_fd, NULL);
	engine->capabilities = own & ~engine->options.disable;
	if (!error)
		error = try_waiting(engine);
	if (error)
		close_poller(engine);
	return error;
}

static int enable(struct sluice_engine *engine)
{
	(void)engine;
	return 0;
}

const struct sluice__backend sluice__epoll = {
	.name = "epoll",
	.id = SLUICE_BACKEND_EPOLL,
	.sends = false,
	.open = open_poller,
	.enable = enable,
	.close = close_poller,
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
	.buffers_open = buffers_open,
	.buffer_return = sluice__buffers_keep,
	.try_send = sluice__syscall_send,
	.try_send_messages = sluice__syscall_send_messages,
	.try_send_file = sluice__syscall_send_file,
	.try_receive = sluice__syscall_receive,
	.is_local = sluice__syscall_is_local,
	.window = sluice__syscall_window,
};
