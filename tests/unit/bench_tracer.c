/* SPDX-License-Identifier: MIT */
/* How `sluice bench` counts the system calls of another process. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "harness/tracer.h"

#define PATIENCE_MS 20000

/* A process that does what it is told over a socket, and answers. */
struct subject {
	pid_t process;
	int fd;
};

enum deed {
	CALL,         /* getppid(2), so many times */
	YIELD,        /* sched_yield(2) */
	CALL_APART,   /* getppid(2) in a thread that is there from the beginning */
	CALL_NEWBORN, /* getppid(2) in a new thread */
	END,          /* exit(2) with that status */
};

struct order {
	enum deed deed;
	int times;
};

static void call(int times)
{
	for (int i = 0; i < times; i++)
		syscall(SYS_getppid);
}

static void *live_apart(void *argument)
{
	const int *fd = argument;
	int times;

	while (read(*fd, &times, sizeof(times)) == sizeof(times)) {
		call(times);
		if (write(*fd, &times, sizeof(times)) != sizeof(times))
			break;
	}
	return NULL;
}

static void *live_once(void *argument)
{
	call(*(int *)argument);
	return NULL;
}

static void do_it(const struct order *order, int apart)
{
	int times = order->times;
	pthread_t thread;

	switch (order->deed) {
	case CALL:
		call(times);
		break;
	case YIELD:
		for (int i = 0; i < times; i++)
			sched_yield();
		break;
	case CALL_APART:
		if (write(apart, &times, sizeof(times)) != sizeof(times) ||
		    read(apart, &times, sizeof(times)) != sizeof(times))
			_exit(1);
		break;
	case CALL_NEWBORN:
		if (pthread_create(&thread, NULL, live_once, &times) != 0)
			_exit(1);
		pthread_join(thread, NULL);
		break;
	case END:
		_exit(times);
	}
}

_Noreturn static void live(int fd)
{
	struct order order;
	pthread_t thread;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 ||
	    pthread_create(&thread, NULL, live_apart, &pair[1]) != 0)
		_exit(1);
	while (read(fd, &order, sizeof(order)) == sizeof(order)) {
		do_it(&order, pair[0]);
		if (write(fd, &order, sizeof(order)) != sizeof(order))
			break;
	}
	_exit(0);
}

static struct subject start(void)
{
	struct subject subject;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	subject.process = fork();
	cr_assert_geq(subject.process, 0);
	if (subject.process == 0) {
		close(pair[0]);
		live(pair[1]);
	}
	close(pair[1]);
	subject.fd = pair[0];
	return subject;
}

static void stop(struct subject *subject)
{
	int status;

	close(subject->fd); /* it ends */
	cr_assert_eq(waitpid(subject->process, &status, 0), subject->process);
	cr_assert_eq(status, 0);
}

static void tell(const struct subject *subject, enum deed deed, int times)
{
	const struct order order = {deed, times};

	cr_assert_eq(write(subject->fd, &order, sizeof(order)), (ssize_t)sizeof(order));
}

static void hear(const struct subject *subject)
{
	struct order order;

	cr_assert_eq(read(subject->fd, &order, sizeof(order)), (ssize_t)sizeof(order));
}

/* As another process finds it, without the tracer. */
static bool may_trace(pid_t process)
{
	pid_t helper = fork();
	int status;

	if (helper == 0)
		_exit(ptrace(PTRACE_SEIZE, process, NULL, NULL) == 0 ? 0 : 1);
	cr_assert_eq(waitpid(helper, &status, 0), helper);
	return status == 0;
}

static struct tracer *watch(const struct subject *subject)
{
	struct tracer *tracer = tracer_start(subject->process);

	if (!tracer && !may_trace(subject->process))
		cr_skip("ptrace(2) is not permitted here\n");
	cr_assert(tracer, "a process that may be traced is not");
	return tracer;
}

static void let_go(struct tracer *tracer)
{
	int status;

	cr_assert(tracer_stop(tracer, &status), "it is gone");
}

/* The system calls of doing that, with those of being told. */
static uint64_t calls_of(struct tracer *tracer, const struct subject *subject, enum deed deed,
			 int times)
{
	uint64_t before = tracer_calls(tracer);

	tell(subject, deed, times);
	cr_assert(tracer_wait(tracer, subject->fd, PATIENCE_MS));
	hear(subject);
	return tracer_calls(tracer) - before;
}

Test(bench_tracer, every_call_is_counted_once)
{
	struct subject subject = start();
	struct tracer *tracer = watch(&subject);
	uint64_t none = calls_of(tracer, &subject, CALL, 0);

	/* It writes its answer, and reads what is next. */
	cr_assert_eq(none, 2);
	cr_assert_eq(calls_of(tracer, &subject, CALL, 1), none + 1);
	cr_assert_eq(calls_of(tracer, &subject, CALL, 1000), none + 1000);
	let_go(tracer);
	stop(&subject);
}

Test(bench_tracer, a_wait_by_sched_yield_is_none)
{
	struct subject subject = start();
	struct tracer *tracer = watch(&subject);
	uint64_t none = calls_of(tracer, &subject, YIELD, 0);

	cr_assert_eq(calls_of(tracer, &subject, YIELD, 100), none);
	let_go(tracer);
	stop(&subject);
}

Test(bench_tracer, other_threads_are_counted)
{
	struct subject subject = start();
	struct tracer *tracer = watch(&subject);
	uint64_t none = calls_of(tracer, &subject, CALL_APART, 0);

	cr_assert_eq(calls_of(tracer, &subject, CALL_APART, 1000), none + 1000);
	let_go(tracer);
	stop(&subject);
}

Test(bench_tracer, threads_that_are_started_meanwhile_are_counted)
{
	struct subject subject = start();
	struct tracer *tracer = watch(&subject);
	uint64_t calls;

	/* What it takes to start one, and to wait for it, is not the same each time. */
	calls = calls_of(tracer, &subject, CALL_NEWBORN, 1000);
	cr_assert(calls > 1000 && calls < 1040, "%llu", (unsigned long long)calls);
	let_go(tracer);
	stop(&subject);
}

Test(bench_tracer, nobody_is_traced_afterwards)
{
	struct subject subject = start();
	struct tracer *tracer = watch(&subject);
	char path[64], line[128];
	bool traced = true;
	FILE *file;

	calls_of(tracer, &subject, CALL_NEWBORN, 10);
	let_go(tracer);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)subject.process);
	file = fopen(path, "re");
	cr_assert(file);
	while (fgets(line, sizeof(line), file)) {
		if (strcmp(line, "TracerPid:\t0\n") == 0)
			traced = false;
	}
	fclose(file);
	cr_assert_not(traced);
	for (enum deed deed = CALL; deed < END; deed++) {
		tell(&subject, deed, 10);
		hear(&subject);
	}
	stop(&subject);
}

Test(bench_tracer, it_may_be_counted_again)
{
	struct subject subject = start();

	for (int i = 0; i < 3; i++) {
		struct tracer *tracer = watch(&subject);

		cr_assert_eq(calls_of(tracer, &subject, CALL, 10), 12);
		let_go(tracer);
	}
	stop(&subject);
}

Test(bench_tracer, a_process_that_ends_is_told_with_its_status)
{
	struct subject subject = start();
	struct tracer *tracer = watch(&subject);
	int status;

	tell(&subject, END, 3);
	cr_assert(tracer_wait(tracer, subject.fd, PATIENCE_MS));
	cr_assert_not(tracer_stop(tracer, &status));
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 3);
	cr_assert_eq(waitpid(subject.process, &status, WNOHANG), -1);
	cr_assert_eq(errno, ECHILD);
	close(subject.fd);
}

Test(bench_tracer, one_that_is_killed_too)
{
	struct subject subject = start();
	struct tracer *tracer = watch(&subject);
	int status;

	kill(subject.process, SIGKILL);
	cr_assert(tracer_wait(tracer, subject.fd, PATIENCE_MS));
	cr_assert_not(tracer_stop(tracer, &status));
	cr_assert(WIFSIGNALED(status));
	close(subject.fd);
}

Test(bench_tracer, a_wait_ends_when_its_time_is_over)
{
	struct subject subject = start();
	struct tracer *tracer = watch(&subject);

	cr_assert_not(tracer_wait(tracer, subject.fd, 20));
	cr_assert_eq(calls_of(tracer, &subject, CALL, 10), 12);
	let_go(tracer);
	stop(&subject);
}

/* Nobody is traced by two. */
Test(bench_tracer, what_is_not_permitted_is_refused_at_once)
{
	int pair[2], status;
	char byte = 0;
	pid_t process;

	cr_assert_eq(pipe(pair), 0);
	process = fork();
	if (process == 0) {
		byte = ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
		if (write(pair[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	cr_assert_eq(read(pair[0], &byte, 1), 1);
	if (byte)
		cr_assert_null(tracer_start(process));
	kill(process, SIGKILL);
	waitpid(process, &status, 0);
	close(pair[0]);
	close(pair[1]);
	if (!byte)
		cr_skip("ptrace(2) is not permitted here\n");
}
