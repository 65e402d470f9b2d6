/* SPDX-License-Identifier: MIT */
/* s06: when the descriptor of an engine is asked for, and what its registration costs. */
#include "contract_s_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters.h"
#include "measure.h"

LOOP_TEST(s06, s06_the_descriptor_wakes_for_what_was_pending_before_it_was_asked_for,
	  loop_begin_unwatched)
{
	struct operation operation;
	struct later later = {.act = peer_writes, .pair = &loop->pair};
	char bytes[10];

	operation_init(&operation, &loop->fixture);
	cr_assert_eq(start_receive(loop->pair.socket, &operation, bytes, sizeof bytes), 1);
	run_idle(&loop->fixture);
	loop_watch(loop);
	assert_quiet(loop);
	later_start(&later);
	loop_until(loop, is_over(&operation));
	later_join(&later, 5);
	assert_quiet(loop);
}

static bool late_registration_is_refused; /* of the eventfd with the ring, by a filter */

static void loop_begin_late(struct loop *loop, uint32_t mode)
{
	loop_begin_unwatched(loop, mode);
	run_idle(&loop->fixture);
	if (late_registration_is_refused) {
		refuse_registration(4 /* IORING_REGISTER_EVENTFD */, EPERM);
		refuse_registration(5 /* IORING_UNREGISTER_EVENTFD */, EPERM);
	}
	loop_watch(loop);
}

/* Some kernels signal a registered eventfd only once. */
static void woken_for_one_after_another(struct loop *loop)
{
	struct operation operation;
	struct later later = {.act = peer_writes, .loop = loop, .pair = &loop->pair};
	char bytes[10];

	operation_init(&operation, &loop->fixture);
	for (int round = 0; round < 5; round++) {
		cr_assert_eq(start_receive(loop->pair.socket, &operation, bytes, sizeof bytes), 1);
		loop_kick(loop);
		assert_quiet(loop);
		later_start(&later);
		loop_until(loop, is_over(&operation));
		later_join(&later, 5);
	}
}

static bool probe_uses(uint32_t capability)
{
	struct sluice_probe probe = {.size = sizeof probe};
	bool used = false;

	cr_assert_eq(sluice_probe(&probe), 0);
	for (uint32_t i = 0; i < probe.capability_count; i++)
		used |= probe.capabilities[i].bit == capability && probe.capabilities[i].used;
	return used;
}

/* Pretended: the registration is used up by the first signal. */
Test(s06, s06_a_descriptor_that_the_kernel_signals_once_is_registered_again_and_reported,
     .alone = true)
{
	const char *refused = getenv("SLUICE_TEST_REFUSE"); /* by a variant */
	struct fixture fixture;
	uint32_t had, has;
	char all[256];

	fixture_begin(&fixture);
	run_idle(&fixture);
	had = statistics_of(&fixture).capabilities;
	fixture_end(&fixture);
	if (!(had & SLUICE_CAPABILITY_DEFER_TASKRUN))
		cr_skip("deferred task work is not in use");

	snprintf(all, sizeof all, "%s%sevent-repeats", refused ? refused : "", refused ? "," : "");
	setenv("SLUICE_TEST_REFUSE", all, 1);
	fixture_begin(&fixture);
	cr_assert(sluice_engine_fd(fixture.engine) >= 0);
	run_idle(&fixture);
	has = statistics_of(&fixture).capabilities;
	cr_assert_eq(has & SLUICE_CAPABILITY_EVENT_REPEATS, 0, "the loss was not noticed");
	cr_assert_eq(has & ~(uint32_t)SLUICE_CAPABILITY_EVENT_REPEATS,
		     had & ~(uint32_t)SLUICE_CAPABILITY_EVENT_REPEATS);
	fixture_end(&fixture);
	cr_assert_not(probe_uses(SLUICE_CAPABILITY_EVENT_REPEATS), "the probe says it is used");
	in_both_modes(loop_begin_late, woken_for_one_after_another);
}

/* Before 5.18, a registration would wait until no request is in flight, and the poll for wakes is. */
Test(s06, s06_the_descriptor_needs_no_registration_after_the_start, .alone = true)
{
	struct fixture fixture;
	bool repeats;

	if (strcmp(getenv("SLUICE_BACKEND"), "uring") != 0)
		cr_skip("epoll registers no eventfd");
	fixture_begin(&fixture);
	cr_assert(sluice_engine_fd(fixture.engine) >= 0);
	repeats = statistics_of(&fixture).capabilities & SLUICE_CAPABILITY_EVENT_REPEATS;
	fixture_end(&fixture);
	if (!repeats)
		cr_skip("without event-repeats, the eventfd is registered again and again");
	late_registration_is_refused = true;
	in_mode(0, loop_begin_late, woken_for_one_after_another);
}

Test(s06, s06_the_descriptor_wakes_for_one_completion_after_another)
{
	in_both_modes(loop_begin_late, woken_for_one_after_another);
}

static void *ask_elsewhere(void *token)
{
	return (void *)(intptr_t)sluice_engine_fd(token);
}

ENGINE_TEST(s06, s06_the_descriptor_is_one_and_the_owners)
{
	pthread_t thread;
	void *answer;
	int fd;

	fd = sluice_engine_fd(fixture->engine);
	cr_assert(fd >= 0);
	cr_assert_eq(sluice_engine_fd(fixture->engine), fd);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(pthread_create(&thread, NULL, ask_elsewhere, fixture->engine), 0);
	cr_assert_eq(pthread_join(thread, &answer), 0);
	cr_assert_eq((intptr_t)answer, -EPERM);
	cr_assert_eq(sluice_engine_fd(NULL), -EINVAL);
}

/* It is still allowed to wait in run itself. */
ENGINE_TEST(s06, s06_run_still_waits_where_the_descriptor_is_on)
{
	struct pair pair;
	struct operation operation;
	struct later later = {.act = peer_writes, .pair = &pair};
	char bytes[10];

	cr_assert(sluice_engine_fd(fixture->engine) >= 0);
	tcp_pair(fixture, &pair, 0);
	operation_init(&operation, fixture);
	cr_assert_eq(start_receive(pair.socket, &operation, bytes, sizeof bytes), 1);
	later_start(&later);
	while (!is_over(&operation))
		cr_assert(sluice_engine_run(fixture->engine, -1) >= 0);
	later_join(&later, 5);
	cr_assert_leq(turns_in(fixture, 100 * MILLISECOND), 10);
	pair_close(&pair);
}
