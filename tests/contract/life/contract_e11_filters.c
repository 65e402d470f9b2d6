/* SPDX-License-Identifier: MIT */
/* e11: what the kernel or a filter refuses is done in another way, or run reports it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filters.h"
#include "measure.h"

/* A filter of system calls stays. */
CASES_ALONE

static bool on_epoll(void)
{
	return strcmp(getenv("SLUICE_BACKEND"), "epoll") == 0;
}

/* A send, and a receive that has to wait for its bytes. */
static void exchange(struct fixture *fixture)
{
	struct operation send, receive;
	struct pair pair;
	char bytes[100];

	tcp_pair(fixture, &pair, 0);
	operation_init(&send, fixture);
	run_send(pair.socket, &send, "bytes", 5);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, 5);
	operation_init(&receive, fixture);
	cr_assert_eq(start_receive(pair.socket, &receive, bytes, sizeof bytes), 1);
	run_for(fixture, MILLISECOND);
	write_pattern(pair.peer, 20, 0);
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 20);
	pair_close(&pair);
}

static void waits_without_epoll_pwait2(int error, bool late)
{
	struct fixture fixture;
	uint64_t enters;

	if (!on_epoll())
		cr_skip("the ring does not call epoll_pwait2");
	if (!late)
		refuse_call(SYS_epoll_pwait2, error);
	fixture_begin(&fixture);
	if (late)
		refuse_call(SYS_epoll_pwait2, error);
	exchange(&fixture);
	cr_assert_eq(statistics_of(&fixture).capabilities & SLUICE_CAPABILITY_EPOLL_NANOSECONDS, 0,
		     "the refused call is still in use");
	enters = statistics_of(&fixture).enters;
	run_for(&fixture, 20 * MILLISECOND);
	cr_assert_leq(statistics_of(&fixture).enters - enters, 2, "the engine spins");
	fixture_end(&fixture);
}

Test(e11, e11_a_refused_epoll_pwait2_is_replaced_by_epoll_wait)
{
	waits_without_epoll_pwait2(EPERM, false);
}

Test(e11, e11_an_unknown_epoll_pwait2_is_replaced_by_epoll_wait)
{
	waits_without_epoll_pwait2(ENOSYS, false);
}

Test(e11, e11_an_epoll_pwait2_that_is_refused_later_is_replaced_by_epoll_wait)
{
	waits_without_epoll_pwait2(EACCES, true);
}

/* A signal, or task work of the ring itself, interrupts this call. */
Test(e11, e11_an_interrupted_start_of_the_ring_is_repeated)
{
	static atomic_int interrupted;
	const uint32_t enable_rings = 12; /* IORING_REGISTER_ENABLE_RINGS */
	struct fixture fixture;

	if (on_epoll())
		cr_skip("epoll has no ring");
	interrupt_call(SYS_io_uring_register, enable_rings, 3, &interrupted);
	fixture_begin(&fixture);
	exchange(&fixture);
	cr_assert_eq(atomic_load(&interrupted), 3);
	fixture_end(&fixture);
}

static void refuse_to_wait(void)
{
	refuse_call(SYS_io_uring_enter, EPERM);
	refuse_call(SYS_epoll_pwait2, EPERM);
	refuse_call(SYS_epoll_wait, EPERM);
	refuse_call(SYS_epoll_pwait, EPERM);
}

Test(e11, e11_create_fails_if_no_wait_is_possible)
{
	struct sluice_engine *engine;

	refuse_to_wait();
	cr_assert_eq(sluice_engine_create(&engine, NULL), -EPERM);
	cr_assert_null(engine);
}

/* A filter that lets a ring be made, but not entered. */
Test(e11, e11_create_takes_epoll_if_the_ring_cannot_be_entered)
{
	struct sluice_engine *engine;

	refuse_call(SYS_io_uring_enter, EPERM);
	unsetenv("SLUICE_BACKEND");
	cr_assert_eq(sluice_engine_create(&engine, NULL), 0);
	cr_assert_str_eq(sluice_engine_backend(engine), "epoll");
	cr_assert_neq(sluice_engine_backend_reason(engine)[0], '\0', "it does not say why");
	cr_assert_eq(sluice_engine_destroy(engine), 0);
}

/* What was cancelled before the refusal ends as well. */
ENGINE_TEST(e11, e11_an_engine_that_cannot_wait_is_destroyed_and_ends_what_is_pending)
{
	struct operation receive, other;
	struct pair pair, closed;
	char bytes[2];

	tcp_pair(fixture, &pair, 0);
	tcp_pair(fixture, &closed, 0);
	operation_init(&receive, fixture);
	operation_init(&other, fixture);
	cr_assert_eq(start_receive(pair.socket, &receive, &bytes[0], 1), 1);
	cr_assert_eq(start_receive(closed.socket, &other, &bytes[1], 1), 1);
	run_for(fixture, MILLISECOND);
	sluice_socket_close(closed.socket);
	refuse_to_wait();
	cr_assert_eq(sluice_engine_destroy(fixture->engine), 0);
	fixture->engine = NULL;
	assert_ended(&receive, SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&other, SLUICE_ERROR_OPERATION_ABORTED, 0);
	close(pair.peer);
	close(closed.peer);
}

/* The answer is the same each time, and what is pending can be closed all the same. */
PAIR_TEST(e11, e11_a_wait_that_is_refused_later_ends_run_with_its_errno, tcp_pair, 0)
{
	struct operation receive;
	char byte;

	operation_init(&receive, fixture);
	cr_assert_eq(start_receive(pair->socket, &receive, &byte, 1), 1);
	refuse_to_wait();
	for (int i = 0; i < 3; i++)
		cr_assert_eq(sluice_engine_run(fixture->engine, -1), -EPERM);
	sluice_socket_close(pair->socket);
	for (int i = 0; i < 3 && !is_over(&receive); i++)
		sluice_engine_run(fixture->engine, 0);
	assert_ended(&receive, SLUICE_ERROR_OPERATION_ABORTED, 0);
}

static void after_a_wait_is_refused(struct sluice_engine *engine, void *token)
{
	(void)engine;
	refuse_to_wait();
	*(volatile bool *)token = true;
}

/* Its thread ends what is pending and exits, so that stop and destroy return as ever. */
Test(e11, e11_an_engine_that_cannot_wait_ends_its_thread)
{
	volatile bool refused = false;
	struct operation receive;
	struct fixture fixture;
	int64_t deadline;
	struct pair pair;
	char byte;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&receive, &fixture);
	receive.args.completed = NULL;
	cr_assert_eq(sluice_args_set_receive_buffer(&receive.args, &byte, 1, 0, 1), 0);
	cr_assert_eq(sluice_engine_start(fixture.engine), 0);
	cr_assert_eq(sluice_receive_async(pair.socket, &receive.args), 1);
	cr_assert_eq(sluice_post(fixture.engine, after_a_wait_is_refused, (void *)&refused), 0);
	deadline = now_ns() + GUARD_NS;
	while (sluice_args_in_progress(&receive.args) && now_ns() < deadline)
		usleep(1000);
	cr_assert(refused);
	assert_ended(&receive, SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(sluice_receive_async(pair.socket, &receive.args), -EBADF);
	pair_close(&pair);
	fixture_end(&fixture);
}
