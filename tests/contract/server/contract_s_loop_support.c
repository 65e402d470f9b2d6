/* SPDX-License-Identifier: MIT */
#include "contract_s_loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

void loop_watch(struct loop *loop)
{
	struct epoll_event event = {.events = EPOLLIN | loop->mode};
	int fd = sluice_engine_fd(loop->fixture.engine);

	cr_assert(fd >= 0, "%s", strerror(-fd));
	cr_assert_eq(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event), 0);
}

static void loop_make(struct loop *loop, uint32_t mode, const struct sluice_options *options)
{
	fixture_begin_with(&loop->fixture, options);
	tcp_pair(&loop->fixture, &loop->pair, 0);
	loop->turns = 0;
	loop->mode = mode;
	loop->triggered = mode ? "edge" : "level";
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	cr_assert(loop->epoll >= 0);
}

void loop_begin_unwatched(struct loop *loop, uint32_t mode)
{
	loop_make(loop, mode, NULL);
}

void loop_begin(struct loop *loop, uint32_t mode)
{
	loop_make(loop, mode, NULL);
	loop_watch(loop);
}

void loop_begin_slow(struct loop *loop, uint32_t mode)
{
	struct sluice_options options;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.handler_budget = 1;
	loop_make(loop, mode, &options);
	loop_watch(loop);
}

void loop_end(struct loop *loop)
{
	pair_close(&loop->pair);
	close(loop->epoll);
	fixture_end(&loop->fixture);
}

bool loop_turn(struct loop *loop, int timeout_ms)
{
	struct epoll_event event;
	int count;

	do
		count = epoll_wait(loop->epoll, &event, 1, timeout_ms);
	while (count < 0 && errno == EINTR);
	cr_assert(count >= 0, "%s", strerror(errno));
	if (count == 0)
		return false;
	loop->turns++;
	cr_assert(sluice_engine_run(loop->fixture.engine, 0) >= 0);
	return true;
}

void loop_kick(struct loop *loop)
{
	cr_assert(sluice_engine_run(loop->fixture.engine, 0) >= 0);
}

void assert_quiet(struct loop *loop)
{
	for (int i = 0; i < 50; i++)
		if (!loop_turn(loop, 100))
			return;
	cr_assert_fail("woken again and again while there is nothing to do (%s)", loop->triggered);
}

void in_mode(uint32_t mode, loop_begin_fn *begin, loop_fn *promise)
{
	struct loop loop;

	begin(&loop, mode);
	promise(&loop);
	loop_end(&loop);
}

void in_both_modes(loop_begin_fn *begin, loop_fn *promise)
{
	in_mode(0, begin, promise);
	in_mode(EPOLLET, begin, promise);
}

/* ---- another thread ---- */

static void *later_main(void *token)
{
	struct later *later = token;

	usleep(30000);
	later->act(later);
	return NULL;
}

void later_start(struct later *later)
{
	cr_assert_eq(pthread_create(&later->thread, NULL, later_main, later), 0);
}

void later_join(struct later *later, int answer)
{
	cr_assert_eq(pthread_join(later->thread, NULL), 0);
	cr_assert_eq(later->answer, answer);
}

void peer_writes(struct later *later)
{
	later->answer = (int)send(later->pair->peer, "bytes", 5, MSG_NOSIGNAL);
}
