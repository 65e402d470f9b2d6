/* SPDX-License-Identifier: MIT */
/* s05: timers are never early, can be stopped from anywhere, and cost nothing while they wait. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

struct clock {
	struct sluice_timer timer; /* the first member, so that the function finds the rest */
	int64_t due_ns;
	int64_t late_ns; /* when it ran; negative: early */
	int ran;
	void (*then)(struct sluice_engine *engine, struct clock *clock);
	void *token;
};

static int runs; /* of all of them */

static void expired(struct sluice_engine *engine, struct sluice_timer *timer)
{
	struct clock *clock = (struct clock *)timer;

	clock->late_ns = now_ns() - clock->due_ns;
	cr_assert(clock->late_ns >= 0, "%lld ns early", (long long)-clock->late_ns);
	clock->ran++;
	runs++;
	if (clock->then)
		clock->then(engine, clock);
}

static void clock_init(struct clock *clock)
{
	memset(clock, 0, sizeof *clock);
	clock->timer.expired = expired;
}

static int clock_start(struct sluice_engine *engine, struct clock *clock, int64_t timeout_ns)
{
	clock->due_ns = now_ns() + timeout_ns;
	return sluice_timer_start(engine, &clock->timer, timeout_ns);
}

ENGINE_TEST(s05, s05_a_timer_is_never_early_and_soon)
{
	static const int64_t timeouts[] = {
		0,
		1,
		1000,
		100 * INT64_C(1000),
		999999,
		MILLISECOND,
		1500 * INT64_C(1000),
		7 * MILLISECOND,
		64 * MILLISECOND,
		65 * MILLISECOND + 1,
		130 * MILLISECOND,
	};
	struct clock clock;

	for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
		int64_t best = INT64_MAX;

		/* The machine may be busy: the best of some attempts decides. */
		for (int attempt = 0; attempt < 20 && best >= 2 * MILLISECOND; attempt++) {
			clock_init(&clock);
			cr_assert_eq(clock_start(fixture->engine, &clock, timeouts[i]), 0);
			cr_assert_eq(clock.ran, 0, "it ran inside timer_start");
			run_until(fixture, clock.ran > 0);
			best = clock.late_ns < best ? clock.late_ns : best;
		}
		cr_assert_lt(best, 2 * MILLISECOND, "a timer of %lld ns was %lld ns late",
			     (long long)timeouts[i], (long long)best);
	}
}

/* run without a bound sleeps until then, and says that a function ran. */
ENGINE_TEST(s05, s05_run_wakes_for_a_timer_and_counts_it)
{
	struct clock clock;

	clock_init(&clock);
	cr_assert_eq(clock_start(fixture->engine, &clock, 30 * MILLISECOND), 0);
	/* On a busy machine it may be due at the first turn already. */
	for (int64_t bound = 0; clock.ran == 0; bound = -1) {
		int answer = sluice_engine_run(fixture->engine, bound);

		cr_assert_eq(answer, clock.ran);
	}
}

static void *wake_soon(void *engine)
{
	usleep(20000);
	sluice_engine_wake(engine);
	return NULL;
}

/* In milliseconds they do not fit in 31 or 32 bits, and as a time from now on not in 63. */
ENGINE_TEST(s05, s05_a_timer_that_is_days_away_is_waited_for_asleep)
{
	static const int64_t timeouts[] = {
		(INT64_C(1) << 31) * MILLISECOND + 1,
		(INT64_C(1) << 32) * MILLISECOND + 1,
		(INT64_C(1) << 33) * MILLISECOND + MILLISECOND,
		INT64_MAX,
	};
	struct clock clock;

	for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
		uint64_t enters = statistics_of(fixture).enters;
		pthread_t thread;

		clock_init(&clock);
		cr_assert_eq(sluice_timer_start(fixture->engine, &clock.timer, timeouts[i]), 0);
		cr_assert_eq(pthread_create(&thread, NULL, wake_soon, fixture->engine), 0);
		cr_assert_eq(sluice_engine_run(fixture->engine, -1), 0);
		pthread_join(thread, NULL);
		cr_assert_eq(clock.ran, 0, "a timer of %lld ns ran", (long long)timeouts[i]);
		cr_assert_leq(statistics_of(fixture).enters - enters, 3,
			      "the wait for a timer of %lld ns spins", (long long)timeouts[i]);
		cr_assert_eq(sluice_timer_stop(fixture->engine, &clock.timer), 0);
	}
}

ENGINE_TEST(s05, s05_a_stopped_timer_does_not_run)
{
	struct clock clock;

	clock_init(&clock);
	cr_assert_eq(sluice_timer_stop(fixture->engine, &clock.timer), 0);
	cr_assert_eq(clock_start(fixture->engine, &clock, MILLISECOND), 0);
	usleep(5000);
	cr_assert_eq(sluice_timer_stop(fixture->engine, &clock.timer), 0);
	run_idle(fixture);
	cr_assert_eq(clock.ran, 0);
	cr_assert_eq(clock_start(fixture->engine, &clock, MILLISECOND), 0);
	run_until(fixture, clock.ran > 0);
	cr_assert_eq(sluice_timer_stop(fixture->engine, &clock.timer), 0);
}

static void stop_other(struct sluice_engine *engine, struct clock *clock)
{
	struct clock *other = clock->token;

	cr_assert_eq(sluice_timer_stop(engine, &other->timer), 0);
}

/* Both are due in the same turn: from the return of stop on, the other does not run. */
ENGINE_TEST(s05, s05_a_timer_stops_one_that_is_due_in_the_same_turn)
{
	struct clock one, other;

	for (int round = 0; round < 10; round++) {
		clock_init(&one);
		clock_init(&other);
		one.then = other.then = stop_other;
		one.token = &other;
		other.token = &one;
		cr_assert_eq(clock_start(fixture->engine, round % 2 ? &one : &other, MILLISECOND),
			     0);
		cr_assert_eq(clock_start(fixture->engine, round % 2 ? &other : &one, MILLISECOND),
			     0);
		usleep(5000);
		run_until(fixture, one.ran + other.ran > 0);
		run_idle(fixture);
		cr_assert_eq(one.ran + other.ran, 1, "a stopped timer ran");
	}
}

static void stop_in_completion(struct operation *operation)
{
	struct clock *clock = operation->token;

	cr_assert_eq(sluice_timer_stop(operation->fixture->engine, &clock->timer), 0);
}

PAIR_TEST(s05, s05_a_timer_is_stopped_from_a_records_handler, tcp_pair, 0)
{
	struct operation operation;
	struct clock clock;

	operation_init(&operation, fixture);
	clock_init(&clock);
	operation.then = stop_in_completion;
	operation.token = &clock;
	operation.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(clock_start(fixture->engine, &clock, 50 * MILLISECOND), 0);
	cr_assert_eq(start_send(pair->socket, &operation, "x", 1), 1);
	run_until(fixture, is_over(&operation));
	turns_in(fixture, 100 * MILLISECOND);
	cr_assert_eq(clock.ran, 0);
}

static void start_again(struct sluice_engine *engine, struct clock *clock)
{
	if (clock->ran < 20)
		cr_assert_eq(clock_start(engine, clock, 2 * MILLISECOND), 0);
}

ENGINE_TEST(s05, s05_a_timer_starts_itself_again)
{
	struct clock clock;

	clock_init(&clock);
	clock.then = start_again;
	cr_assert_eq(clock_start(fixture->engine, &clock, 2 * MILLISECOND), 0);
	run_until(fixture, clock.ran == 20);
	turns_in(fixture, 10 * MILLISECOND);
	cr_assert_eq(clock.ran, 20);
}

static void start_at_once(struct sluice_engine *engine, struct clock *clock)
{
	cr_assert_eq(clock_start(engine, clock, 0), 0);
}

/* A turn ends: the others get theirs. */
PAIR_TEST(s05, s05_a_timer_that_starts_itself_with_no_time_does_not_hold_the_turn, tcp_pair, 0)
{
	struct operation operation;
	struct clock clock;

	operation_init(&operation, fixture);
	clock_init(&clock);
	clock.then = start_at_once;
	cr_assert_eq(clock_start(fixture->engine, &clock, 0), 0);
	for (int i = 0; i < 10; i++)
		cr_assert(sluice_engine_run(fixture->engine, -1) >= 0);
	cr_assert_geq(clock.ran, 1);
	operation.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair->socket, &operation, "x", 1), 1);
	run_until(fixture, is_over(&operation));
	clock.then = NULL;
	cr_assert_eq(sluice_timer_stop(fixture->engine, &clock.timer), 0);
}

static void free_itself(struct sluice_engine *engine, struct clock *clock)
{
	int *ran = clock->token;

	(*ran)++;
	free(clock);
}

ENGINE_TEST(s05, s05_a_timer_is_freed_in_its_function)
{
	int ran = 0;

	for (int i = 0; i < 100; i++) {
		struct clock *clock = malloc(sizeof *clock);

		clock_init(clock);
		clock->then = free_itself;
		clock->token = &ran;
		cr_assert_eq(clock_start(fixture->engine, clock, (i % 10) * MILLISECOND), 0);
	}
	run_until(fixture, ran == 100);
}

ENGINE_TEST(s05, s05_starting_an_armed_timer_moves_it)
{
	struct clock clock;

	clock_init(&clock);
	cr_assert_eq(clock_start(fixture->engine, &clock, 5 * MILLISECOND), 0);
	cr_assert_eq(clock_start(fixture->engine, &clock, 60 * MILLISECOND), 0);
	run_until(fixture, clock.ran > 0); /* expired asserts that it is not early */
	turns_in(fixture, 20 * MILLISECOND);
	cr_assert_eq(clock.ran, 1);
	cr_assert_eq(clock_start(fixture->engine, &clock, 3600 * SECOND), 0);
	cr_assert_eq(clock_start(fixture->engine, &clock, 5 * MILLISECOND), 0);
	run_until(fixture, clock.ran == 2);
}

Test(s05, s05_times_without_end_do_not_run)
{
	static const int64_t timeouts[] = {INT64_MAX, INT64_MAX - 1, INT64_C(1) << 62,
					   86400 * 365 * SECOND, 3600 * SECOND};
	enum {
		CLOCKS = sizeof timeouts / sizeof *timeouts
	};
	struct fixture fixture;
	struct clock clocks[CLOCKS];

	fixture_begin(&fixture);
	for (int i = 0; i < CLOCKS; i++) {
		clock_init(&clocks[i]);
		cr_assert_eq(sluice_timer_start(fixture.engine, &clocks[i].timer, timeouts[i]), 0);
	}
	cr_assert_leq(turns_in(&fixture, 100 * MILLISECOND), 10);
	for (int i = 0; i < CLOCKS; i++)
		cr_assert_eq(clocks[i].ran, 0);
	fixture_end(&fixture); /* drops what is armed */
	for (int i = 0; i < CLOCKS; i++)
		cr_assert_eq(clocks[i].ran, 0);
}

static void *start_elsewhere(void *token)
{
	struct clock *clock = token;
	struct sluice_engine *engine = clock->token;

	clock->ran = -sluice_timer_start(engine, &clock->timer, 0);
	clock->late_ns = -sluice_timer_stop(engine, &clock->timer);
	return NULL;
}

Test(s05, s05_timer_start_refuses_what_it_cannot_do)
{
	struct fixture fixture;
	struct clock clock;
	struct sluice_timer no_function = {0};
	pthread_t thread;

	fixture_begin(&fixture);
	clock_init(&clock);
	cr_assert_eq(sluice_timer_start(fixture.engine, NULL, 1), -EINVAL);
	cr_assert_eq(sluice_timer_start(NULL, &clock.timer, 1), -EINVAL);
	cr_assert_eq(sluice_timer_start(fixture.engine, &no_function, 1), -EINVAL);
	cr_assert_eq(sluice_timer_start(fixture.engine, &clock.timer, -1), -EINVAL);
	cr_assert_eq(sluice_timer_stop(fixture.engine, NULL), -EINVAL);
	cr_assert_eq(sluice_timer_stop(NULL, &clock.timer), -EINVAL);
	clock.token = fixture.engine;
	cr_assert_eq(sluice_engine_run(fixture.engine, 0), 0);
	cr_assert_eq(pthread_create(&thread, NULL, start_elsewhere, &clock), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(clock.ran, EPERM);
	cr_assert_eq(clock.late_ns, EPERM);
	fixture_end(&fixture);
}

/* ---- many ---- */

#define MANY 100000

static int64_t processor_ns(void)
{
	struct timespec now;

	cr_assert_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
	return now.tv_sec * SECOND + now.tv_nsec;
}

/* The least processor time that 2,000 turns take in which nothing happens. */
static int64_t time_of_turns(struct fixture *fixture)
{
	int64_t best = INT64_MAX;

	for (int attempt = 0; attempt < 5; attempt++) {
		int64_t began = processor_ns(), took;

		for (int i = 0; i < 2000; i++)
			cr_assert(sluice_engine_run(fixture->engine, 0) >= 0);
		took = processor_ns() - began;
		best = took < best ? took : best;
	}
	return best;
}

/* A look at each of them would cost hundreds of microseconds a turn. */
Test(s05, s05_100_000_armed_timers_cost_nothing_a_turn)
{
	struct fixture fixture;
	struct clock *clocks = malloc(MANY * sizeof *clocks);
	int64_t without, with;

	fixture_begin(&fixture);
	without = time_of_turns(&fixture);
	for (int i = 0; i < MANY; i++) {
		clock_init(&clocks[i]);
		cr_assert_eq(clock_start(fixture.engine, &clocks[i], 60 * SECOND + i * 1000), 0);
	}
	with = time_of_turns(&fixture);
	cr_assert_lt(with, 3 * without + 20 * MILLISECOND, "2,000 turns: %lld us, without %lld us",
		     (long long)with / 1000, (long long)without / 1000);
	for (int i = 0; i < MANY; i += 2)
		cr_assert_eq(sluice_timer_stop(fixture.engine, &clocks[i].timer), 0);
	fixture_end(&fixture);
	free(clocks);
}

PAIR_TEST(e05, e05_100_000_armed_deadlines_cost_nothing_a_turn, tcp_pair, 0)
{
	struct operation *receives;
	unsigned char byte;
	int64_t without, with;

	receives = operations_new(fixture, MANY);
	run_idle(fixture);
	without = time_of_turns(fixture);
	for (int i = 0; i < MANY; i++) {
		receives[i].args.timeout_ns = 60 * SECOND + i * 1000;
		cr_assert_eq(start_receive(pair->socket, &receives[i], &byte, 1), 1);
	}
	run_idle(fixture);
	with = time_of_turns(fixture);
	cr_assert_lt(with, 3 * without + 20 * MILLISECOND, "2,000 turns: %lld us, without %lld us",
		     (long long)with / 1000, (long long)without / 1000);
	cr_assert_eq(sluice_socket_cancel_all(pair->socket), 0);
	run_until(fixture, fixture->pending == 0);
	for (int i = 0; i < MANY; i++)
		assert_ended(&receives[i], SLUICE_ERROR_OPERATION_ABORTED, 0);
	free(receives);
}

Test(s05, s05_100_000_timers_all_run_once_and_none_early)
{
	struct fixture fixture;
	struct clock *clocks = malloc(MANY * sizeof *clocks);
	unsigned random = 1;
	int expected = MANY;

	fixture_begin(&fixture);
	runs = 0;
	for (int i = 0; i < MANY; i++) {
		random = random * 1103515245 + 12345;
		clock_init(&clocks[i]);
		cr_assert_eq(clock_start(fixture.engine, &clocks[i],
					 (int64_t)random % (600 * MILLISECOND)),
			     0);
	}
	/* A third of them is stopped, and half of those started anew. */
	for (int i = 0; i < MANY; i += 3) {
		cr_assert_eq(sluice_timer_stop(fixture.engine, &clocks[i].timer), 0);
		if (i % 2)
			cr_assert_eq(clock_start(fixture.engine, &clocks[i], i * INT64_C(3000)), 0);
		else
			expected--;
	}
	while (runs < expected)
		run_turn(&fixture, now_ns() + GUARD_NS, "the timers");
	turns_in(&fixture, 10 * MILLISECOND);
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(clocks[i].ran, i % 3 == 0 && i % 2 == 0 ? 0 : 1,
			     "timer %d ran %d times", i, clocks[i].ran);
	fixture_end(&fixture);
	free(clocks);
}
