/* SPDX-License-Identifier: MIT */
/*
 * c16: later uses cost less than the first. A traced child begins and ends a send a hundred times;
 * its first and its last are counted instruction by instruction.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

/* The first use in a process is compared with later ones. */
CASES_ALONE

#define USES 100

static void use(struct sluice_socket *socket)
{
	struct sluice_async_result *result;

	if (sluice_begin_send(socket, "hello", 5, 0, 5, 0, NULL, NULL, NULL, &result) != 0 ||
	    sluice_end_send(socket, result, NULL) != 5)
		_exit(3);
}

/* Stops around the first and the last use, so that its parent sees where they begin and end. */
static void child_main(void)
{
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	int fds[2];

	if (sluice_engine_create(&engine, NULL) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0 ||
	    sluice_socket_attach(engine, fds[0], &socket) != 0 || sluice_engine_run(engine, 0) < 0)
		_exit(2);
	for (int i = 0; i < USES; i++) {
		bool counted = i == 0 || i == USES - 1;

		if (counted)
			raise(SIGUSR1);
		use(socket);
		if (counted)
			raise(SIGUSR2);
	}
	_exit(sluice_engine_destroy(engine) == 0 ? 0 : 4);
}

/* Resumes the child until its next stop; the signal that stopped it, or 0 if it has exited. */
static int next_stop(pid_t child, int request, int *ret_exit)
{
	int status;

	cr_assert_eq(ptrace(request, child, NULL, NULL), 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	*ret_exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
}

/* The child has stopped before it. */
static uint64_t instructions_of_use(pid_t child)
{
	uint64_t count = 0;
	int stopped, code;

	while ((stopped = next_stop(child, PTRACE_SINGLESTEP, &code)) == SIGTRAP)
		count++;
	cr_assert_eq(stopped, SIGUSR2, "the child exited with %d", code);
	return count;
}

Test(c16, c16_the_hundredth_use_takes_fewer_instructions_than_the_first)
{
	struct fixture fixture;
	pid_t child;
	uint64_t first, last;
	int code;

	fixture_begin(&fixture); /* or there is no ring here */
	child = traced_child(child_main);
	first = instructions_of_use(child);
	cr_assert_eq(next_stop(child, PTRACE_CONT, &code), SIGUSR1, "it exited with %d", code);
	last = instructions_of_use(child);
	cr_assert_eq(next_stop(child, PTRACE_CONT, &code), 0);
	cr_assert_eq(code, 0);
	cr_assert_lt(last, first, "the first use took %llu instructions, the last %llu",
		     (unsigned long long)first, (unsigned long long)last);
	cr_log_info("instructions: %llu first, %llu last", (unsigned long long)first,
		    (unsigned long long)last);
	fixture_end(&fixture);
}
