/* SPDX-License-Identifier: MIT */
/* e10: a signal ends the wait of sluice_engine_run, whatever else the turn did. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "support.h"

#define FAR (3600 * SECOND)
#define LOOKS_ASLEEP 3 /* in a row */

/* Sends one signal to the thread that runs the engine once that thread sleeps in the kernel. */
struct interrupter {
	pthread_t thread;
	pthread_t target;
	pid_t target_id;
	struct sluice_engine *engine;
	bool running;  /* atomic: the next thing that the target sleeps in is the wait */
	bool returned; /* atomic */
	bool woke;     /* the signal had no effect */
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

static char state_of(pid_t thread)
{
	char path[64], line[256], state = '?';
	const char *end;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)thread);
	file = fopen(path, "r");
	if (!file)
		return state;
	if (fgets(line, sizeof line, file) && (end = strrchr(line, ')')) && end[1])
		state = end[2];
	fclose(file);
	return state;
}

/* Older kernels let the registrations of a ring's first use sleep, too. */
static bool is_registering(pid_t thread)
{
	char path[64], line[64] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/syscall", (int)thread);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (!fgets(line, sizeof line, file))
		line[0] = '\0';
	fclose(file);
	return atoi(line) == SYS_io_uring_register;
}

static bool is_waiting(pid_t thread)
{
	return state_of(thread) == 'S' && !is_registering(thread);
}

static void rest(void)
{
	const struct timespec pause = {0, MILLISECOND};

	nanosleep(&pause, NULL);
}

static void *interrupter_main(void *token)
{
	struct interrupter *interrupter = token;
	int64_t deadline;
	int asleep = 0;

	while (!__atomic_load_n(&interrupter->running, __ATOMIC_ACQUIRE))
		rest();
	while (asleep < LOOKS_ASLEEP) {
		asleep = is_waiting(interrupter->target_id) ? asleep + 1 : 0;
		rest();
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
static int run_interrupted(struct sluice_engine *engine, int64_t timeout_ns)
{
	struct interrupter interrupter = {
		.target = pthread_self(), .target_id = gettid(), .engine = engine};
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
