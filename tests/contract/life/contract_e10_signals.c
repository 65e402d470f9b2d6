/* SPDX-License-Identifier: MIT */
/* e10: a signal ends the wait of sluice_engine_run, whatever else the turn did. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "support.h"

/* They change how the process takes signals. */
CASES_ALONE

#define FAR (3600 * SECOND)
#define LOOKS_ASLEEP 3 /* in a row */

struct scene;

static void start_in_wait(struct scene *scene);

/* Sends one signal to the thread that runs the engine once that thread sleeps in the kernel. */
struct interrupter {
	pthread_t thread;
	pthread_t target;
	pid_t target_id;
	struct sluice_engine *engine;
	struct scene
		*starting; /* NULL, or a receive of it is started in the wait, before the signal */
	bool running;      /* atomic: the next thing that the target sleeps in is the wait */
	bool returned;     /* atomic */
	bool woke;         /* the signal had no effect */
};

static void on_signal(int number)
{
	(void)number;
}

static void handle_signals(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = on_signal;
	cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

static void rest(void)
{
	const struct timespec pause = {0, MILLISECOND};

	nanosleep(&pause, NULL);
}

static void await_sleep(const struct interrupter *interrupter)
{
	int asleep = 0;

	while (asleep < LOOKS_ASLEEP) {
		asleep = is_waiting(interrupter->target_id) ? asleep + 1 : 0;
		rest();
	}
}

static void *interrupter_main(void *token)
{
	struct interrupter *interrupter = token;
	int64_t deadline;

	while (!__atomic_load_n(&interrupter->running, __ATOMIC_ACQUIRE))
		rest();
	await_sleep(interrupter);
	if (interrupter->starting) {
		start_in_wait(interrupter->starting);
		await_sleep(interrupter);
	}
	pthread_kill(interrupter->target, SIGUSR1);
	deadline = now_ns() + GUARD_NS;
	while (!__atomic_load_n(&interrupter->returned, __ATOMIC_ACQUIRE)) {
		if (now_ns() > deadline) {
			interrupter->woke = true;
			sluice_engine_wake(interrupter->engine);
		}
		rest();
	}
	return NULL;
}

/* What run returns when one signal meets it in its wait. */
static int run_interrupted_after(struct sluice_engine *engine, int64_t timeout_ns,
				 struct scene *starting)
{
	struct interrupter interrupter = {.target = pthread_self(),
					  .target_id = gettid(),
					  .engine = engine,
					  .starting = starting};
	sigset_t signals;
	int result;

	handle_signals();
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	cr_assert_eq(pthread_create(&interrupter.thread, NULL, interrupter_main, &interrupter), 0);
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	__atomic_store_n(&interrupter.running, true, __ATOMIC_RELEASE);
	result = sluice_engine_run(engine, timeout_ns);
	__atomic_store_n(&interrupter.returned, true, __ATOMIC_RELEASE);
	pthread_join(interrupter.thread, NULL);
	cr_assert_not(interrupter.woke, "a signal did not end the wait");
	return result;
}

static int run_interrupted(struct sluice_engine *engine, int64_t timeout_ns)
{
	return run_interrupted_after(engine, timeout_ns, NULL);
}

ENGINE_TEST(e10, e10_a_signal_ends_the_wait_of_the_first_turn)
{
	cr_assert_eq(run_interrupted(fixture->engine, -1), -EINTR);
}

ENGINE_TEST(e10, e10_a_signal_ends_the_wait_of_a_turn_that_has_nothing_to_submit)
{
	run_idle(fixture);
	cr_assert_eq(run_interrupted(fixture->engine, -1), -EINTR);
	cr_assert_eq(run_interrupted(fixture->engine, FAR), -EINTR);
}

/* A receive waits for its bytes: its request is handed over by the turn that the signal meets. */
static void assert_interrupted_while_receiving(int64_t timeout_ns)
{
	struct operation operation;
	struct fixture fixture;
	struct pair pair;
	char bytes[8];

	fixture_begin(&fixture);
	run_idle(&fixture);
	unix_pair(&fixture, &pair, SOCK_STREAM);
	operation_init(&operation, &fixture);
	cr_assert_eq(start_receive(pair.socket, &operation, bytes, sizeof bytes), 1);
	cr_assert_eq(run_interrupted(fixture.engine, timeout_ns), -EINTR);
	cr_assert_not(is_over(&operation));
	write_pattern(pair.peer, sizeof bytes, 0);
	run_until(&fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, sizeof bytes);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(e10, e10_a_signal_ends_the_wait_of_a_turn_that_submitted)
{
	assert_interrupted_while_receiving(-1);
}

Test(e10, e10_a_signal_ends_the_limited_wait_of_a_turn_that_submitted)
{
	assert_interrupted_while_receiving(FAR);
}

static void expired(struct sluice_engine *engine, struct sluice_timer *timer)
{
	(void)engine;
	++*(int *)timer->token;
}

Test(e10, e10_a_signal_ends_the_wait_for_a_timer)
{
	struct fixture fixture;
	int expirations = 0;
	struct sluice_timer timer = {.expired = expired, .token = &expirations};

	fixture_begin(&fixture);
	cr_assert_eq(sluice_timer_start(fixture.engine, &timer, FAR), 0);
	cr_assert_eq(run_interrupted(fixture.engine, -1), -EINTR);
	cr_assert_eq(expirations, 0);
	cr_assert_eq(sluice_timer_stop(fixture.engine, &timer), 0);
	fixture_end(&fixture);
}

/* ---- a wait for several completions ---- */

#define RECEIVES 3

struct scene {
	struct fixture fixture;
	struct pair pairs[RECEIVES];
	struct operation receives[RECEIVES];
	char bytes[RECEIVES];
	int answer; /* to what another thread started in the wait */
};

static void scene_begin(struct scene *scene, int64_t budget_ns)
{
	struct sluice_options options;

	sluice_options_init(&options, sizeof options);
	options.wait_budget_ns = budget_ns;
	fixture_begin_with(&scene->fixture, &options);
	for (int i = 0; i < RECEIVES; i++) {
		unix_pair(&scene->fixture, &scene->pairs[i], SOCK_STREAM);
		operation_init(&scene->receives[i], &scene->fixture);
	}
}

static void scene_end(struct scene *scene)
{
	cr_assert_gt(statistics_of(&scene->fixture).waits_several, 0);
	for (int i = 0; i < RECEIVES; i++)
		write_pattern(scene->pairs[i].peer, 1, 0);
	run_until(&scene->fixture, scene->fixture.pending == 0);
	for (int i = 0; i < RECEIVES; i++)
		pair_close(&scene->pairs[i]);
	fixture_end(&scene->fixture);
}

static void scene_receive(struct scene *scene, int i)
{
	cr_assert_eq(
		start_receive(scene->pairs[i].socket, &scene->receives[i], &scene->bytes[i], 1), 1);
}

/*
 * The next turn waits for several completions: the one before had one, and two are due, which it,
 * or a turn before it, submitted.
 */
static void scene_complete_one(struct scene *scene, bool submitted)
{
	struct operation *last = &scene->receives[RECEIVES - 1];

	for (int i = submitted ? 0 : RECEIVES - 1; i < RECEIVES; i++)
		scene_receive(scene, i);
	run_idle(&scene->fixture);
	write_pattern(scene->pairs[RECEIVES - 1].peer, 1, 0);
	run_until(&scene->fixture, is_over(last));
	for (int i = 0; i < RECEIVES - 1 && !submitted; i++)
		scene_receive(scene, i);
}

/* In another thread: it wakes the engine, and completes nothing that run would return for. */
static void start_in_wait(struct scene *scene)
{
	struct operation *last = &scene->receives[RECEIVES - 1];

	scene->answer = sluice_receive_async(last->socket, &last->args);
}

SCENE_TEST(e10, e10_a_signal_ends_a_wait_for_several, SECOND)
{
	scene_complete_one(scene, true);
	cr_assert_eq(run_interrupted(scene->fixture.engine, -1), -EINTR);
}

SCENE_TEST(e10, e10_a_signal_ends_a_wait_for_several_of_a_turn_that_submitted, SECOND)
{
	scene_complete_one(scene, false);
	cr_assert_eq(run_interrupted(scene->fixture.engine, -1), -EINTR);
}

static void assert_interrupted_after_a_start(struct scene *scene, bool submitted,
					     int64_t timeout_ns)
{
	struct operation *last = &scene->receives[RECEIVES - 1];

	scene_complete_one(scene, submitted);
	cr_assert_eq(run_interrupted_after(scene->fixture.engine, timeout_ns, scene), -EINTR);
	cr_assert_eq(scene->answer, 1);
	last->pending = 1;
	scene->fixture.pending++;
}

SCENE_TEST(e10, e10_a_signal_ends_a_wait_for_several_in_which_another_thread_started, SECOND)
{
	assert_interrupted_after_a_start(scene, true, -1);
}

SCENE_TEST(e10, e10_it_does_so_in_a_turn_that_submitted, SECOND)
{
	assert_interrupted_after_a_start(scene, false, FAR);
}

/* ---- a process that is stopped and continued ---- */

/* That interrupts system calls even if every signal is blocked. */
static void stop_and_continue(pid_t process)
{
	int64_t deadline = now_ns() + GUARD_NS;

	kill(process, SIGSTOP);
	while (state_of(process) != 'T' && now_ns() < deadline)
		rest();
	kill(process, SIGCONT);
}

PAIR_TEST(e10, e10_an_engines_own_thread_goes_on_when_the_process_was_stopped, unix_pair,
	  SOCK_STREAM)
{
	struct operation receive;
	int64_t deadline;
	pid_t child;
	char byte;

	operation_init(&receive, fixture);
	receive.args.completed = NULL;
	cr_assert_eq(sluice_args_set_receive_buffer(&receive.args, &byte, 1, 0, 1), 0);
	cr_assert_eq(sluice_engine_start(fixture->engine), 0);
	cr_assert_eq(sluice_receive_async(pair->socket, &receive.args), 1);
	child = fork();
	if (child == 0) {
		stop_and_continue(getppid());
		_exit(0);
	}
	cr_assert_gt(child, 0);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	write_pattern(pair->peer, 1, 0);
	deadline = now_ns() + GUARD_NS;
	while (sluice_args_in_progress(&receive.args) && now_ns() < deadline)
		rest();
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 1);
	cr_assert_eq(sluice_engine_stop(fixture->engine), 0);
}

/* The time of a wait that submitted something is over: that is no signal. */
ENGINE_TEST(e10, e10_a_wait_that_submitted_and_ran_out_of_time_is_not_interrupted)
{
	struct operation operation;
	struct pair pair;
	char bytes[8];

	run_idle(fixture);
	unix_pair(fixture, &pair, SOCK_STREAM);
	operation_init(&operation, fixture);
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(start_receive(pair.socket, &operation, bytes, sizeof bytes), 1);
		cr_assert_eq(sluice_engine_run(fixture->engine, MILLISECOND), 0);
		cr_assert_eq(sluice_cancel(pair.socket, &operation.args), 0);
		run_until(fixture, is_over(&operation));
	}
	pair_close(&pair);
}
