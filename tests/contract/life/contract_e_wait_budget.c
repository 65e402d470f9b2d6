/* SPDX-License-Identifier: MIT */
/*
 * options.wait_budget_ns: everything ends as without it. What is asserted of waits is how many there
 * were, not how long they took.
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "measure.h"
#include "support.h"

#define PAIRS 8

struct scene {
	struct fixture fixture;
	struct pair pairs[PAIRS];
	struct operation receives[PAIRS];
	char bytes[PAIRS];
};

static void scene_begin(struct scene *scene, int64_t budget_ns)
{
	struct sluice_options options;

	sluice_options_init(&options, sizeof options);
	options.wait_budget_ns = budget_ns;
	fixture_begin_with(&scene->fixture, &options);
	for (int i = 0; i < PAIRS; i++) {
		tcp_pair(&scene->fixture, &scene->pairs[i], 0);
		operation_init(&scene->receives[i], &scene->fixture);
	}
}

static void scene_end(struct scene *scene)
{
	for (int i = 0; i < PAIRS; i++)
		pair_close(&scene->pairs[i]);
	fixture_end(&scene->fixture);
}

/* Every peer sends a byte, before the engine looks, and each arrives. */
static void round_trip(struct scene *scene, bool together)
{
	for (int i = 0; i < PAIRS; i++)
		cr_assert_eq(start_receive(scene->pairs[i].socket, &scene->receives[i],
					   &scene->bytes[i], 1),
			     1);
	for (int i = 0; i < PAIRS; i++) {
		write_pattern(scene->pairs[i].peer, 1, 0);
		if (!together)
			run_until(&scene->fixture, is_over(&scene->receives[i]));
	}
	run_until(&scene->fixture, scene->fixture.pending == 0);
	for (int i = 0; i < PAIRS; i++)
		assert_ended(&scene->receives[i], SLUICE_ERROR_SUCCESS, 1);
}

SCENE_TEST(e14, e14_under_load_a_turn_waits_for_several, MILLISECOND)
{
	struct sluice_engine_statistics statistics;

	for (int i = 0; i < 50; i++)
		round_trip(scene, true);
	statistics = statistics_of(&scene->fixture);
	cr_assert_gt(statistics.waits_several, 0);
	cr_assert_leq(statistics.waits_filled, statistics.waits_several);
	cr_assert_leq(statistics.waits_several, statistics.turns);
}

SCENE_TEST(e14, e14_without_a_budget_none_does, 0)
{
	for (int i = 0; i < 50; i++)
		round_trip(scene, true);
	cr_assert_eq(statistics_of(&scene->fixture).waits_several, 0);
}

/* One by one: after some waits in vain one turn in 64 tries again. */
SCENE_TEST(e14, e14_waits_in_vain_become_rare, MILLISECOND / 10)
{
	struct sluice_engine_statistics before, after;

	for (int i = 0; i < 20; i++)
		round_trip(scene, false);
	before = statistics_of(&scene->fixture);
	for (int i = 0; i < 64; i++)
		round_trip(scene, false);
	after = statistics_of(&scene->fixture);
	cr_assert_leq(after.waits_several - before.waits_several, 2 * PAIRS);
}

SCENE_TEST(e14, e14_an_idle_engine_waits_as_without_it, MILLISECOND)
{
	uint64_t turns;

	round_trip(scene, true);
	run_for(&scene->fixture, 20 * MILLISECOND);
	turns = turns_in(&scene->fixture, 200 * MILLISECOND);
	cr_assert_leq(turns, 10, "%llu turns", (unsigned long long)turns);
}

/* The largest budget: nothing that has a time of its own waits for it. */
SCENE_TEST(e14, e14_deadlines_are_not_delayed, SECOND)
{
	int64_t begun, least = INT64_MAX;

	for (int i = 0; i < 5; i++) {
		round_trip(scene, true);
		begun = now_ns();
		for (int k = 0; k < 2; k++) {
			scene->receives[k].args.timeout_ns = 5 * MILLISECOND;
			cr_assert_eq(start_receive(scene->pairs[k].socket, &scene->receives[k],
						   &scene->bytes[k], 1),
				     1);
		}
		run_until(&scene->fixture, scene->fixture.pending == 0);
		assert_ended(&scene->receives[0], SLUICE_ERROR_TIMED_OUT, 0);
		scene->receives[0].args.timeout_ns = scene->receives[1].args.timeout_ns = 0;
		least = now_ns() - begun < least ? now_ns() - begun : least;
	}
	cr_assert_lt(least, SECOND / 2);
}

static void *wake_soon(void *engine)
{
	usleep(1000);
	sluice_engine_wake(engine);
	return NULL;
}

SCENE_TEST(e14, e14_a_wake_ends_the_wait, 50 * MILLISECOND)
{
	for (int i = 0; i < 5; i++) {
		pthread_t thread;

		round_trip(scene, true);
		for (int k = 0; k < 2; k++)
			cr_assert_eq(start_receive(scene->pairs[k].socket, &scene->receives[k],
						   &scene->bytes[k], 1),
				     1);
		cr_assert_eq(pthread_create(&thread, NULL, wake_soon, scene->fixture.engine), 0);
		/* It would wait forever. */
		cr_assert_eq(sluice_engine_run(scene->fixture.engine, -1), 0);
		cr_assert_eq(pthread_join(thread, NULL), 0);
		for (int k = 0; k < 2; k++)
			write_pattern(scene->pairs[k].peer, 1, 0);
		run_until(&scene->fixture, scene->fixture.pending == 0);
	}
}

/* ---- calls from other threads ---- */

struct caller {
	pthread_t thread;
	pid_t target; /* the thread that runs the engine */
	struct scene *scene;
	struct operation *send;
	bool in_run;    /* atomic */
	int answers[3]; /* of the calls */
};

static const char sent[] = "sent";

static void *caller_main(void *token)
{
	struct caller *caller = token;
	struct pair *pairs = caller->scene->pairs;

	while (!__atomic_load_n(&caller->in_run, __ATOMIC_ACQUIRE) || !is_waiting(caller->target))
		usleep(1000);
	caller->answers[0] = sluice_send_async(pairs[0].socket, &caller->send->args);
	caller->answers[1] = sluice_cancel(pairs[0].socket, &caller->scene->receives[0].args);
	caller->answers[2] = sluice_socket_close(pairs[1].socket);
	return NULL;
}

/* A send, a cancel and a close, of which none completes what the turn waits for. */
static void calls_take_effect(struct scene *scene)
{
	struct operation send;
	struct caller caller = {.target = gettid(), .scene = scene, .send = &send};

	round_trip(scene, true);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(start_receive(scene->pairs[i].socket, &scene->receives[i],
					   &scene->bytes[i], 1),
			     1);
	operation_init(&send, &scene->fixture);
	cr_assert_eq(sluice_args_set_buffer(&send.args, (void *)(uintptr_t)sent, sizeof sent, 0,
					    sizeof sent),
		     0);
	send.socket = scene->pairs[0].socket;
	send.pending = 1;
	scene->fixture.pending++;
	cr_assert_eq(pthread_create(&caller.thread, NULL, caller_main, &caller), 0);
	__atomic_store_n(&caller.in_run, true, __ATOMIC_RELEASE);
	run_until(&scene->fixture,
		  is_over(&send) && is_over(&scene->receives[0]) && is_over(&scene->receives[1]));
	cr_assert_eq(pthread_join(caller.thread, NULL), 0);
	cr_assert_geq(caller.answers[0], 0);
	cr_assert_eq(caller.answers[1], 0);
	cr_assert_eq(caller.answers[2], 0);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, sizeof sent);
	cr_assert_eq(scene->receives[0].args.error, SLUICE_ERROR_OPERATION_ABORTED);
	cr_assert_eq(scene->receives[1].args.error, SLUICE_ERROR_OPERATION_ABORTED);
	for (int i = 2; i < 4; i++)
		write_pattern(scene->pairs[i].peer, 1, 0);
	run_until(&scene->fixture, scene->fixture.pending == 0);
}

SCENE_TEST(e14, e14_calls_from_other_threads_take_effect_in_a_wait_for_several, SECOND / 10)
{
	calls_take_effect(scene);
}

Test(e14, e14_a_budget_out_of_range_is_refused)
{
	struct sluice_options options;
	struct sluice_engine *engine;

	sluice_options_init(&options, sizeof options);
	options.wait_budget_ns = -1;
	cr_assert_eq(sluice_engine_create(&engine, &options), -EINVAL);
	options.wait_budget_ns = SECOND + 1;
	cr_assert_eq(sluice_engine_create(&engine, &options), -EINVAL);
}
