/* SPDX-License-Identifier: MIT */
/* Cases that pass and fail in every way, in one program: cases_outcomes.sh expects what is said of them. */
#include "cases.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static int ran_here; /* cases, in this process */
static volatile int zero;

static int descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY);

	cr_assert_geq(fd, 0);
	return fd;
}

Test(outcomes, passes)
{
	ran_here++;
}

Test(outcomes, leaves_a_variable)
{
	setenv("LEFT_BY_A_CASE", "yes", 1);
}

Test(outcomes, meets_no_variable)
{
	cr_assert_null(getenv("LEFT_BY_A_CASE"));
}

Test(outcomes, leaves_a_limit)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 20;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

Test(outcomes, meets_no_limit)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_neq(limit.rlim_cur, 20);
}

Test(outcomes, leaves_a_descriptor)
{
	cr_assert_geq(dup2(descriptor(), 19), 0);
}

Test(outcomes, meets_no_descriptor)
{
	cr_assert_lt(fcntl(19, F_GETFD), 0);
	ran_here++;
}

Test(outcomes, passes_in_a_process_of_its_own)
{
	cr_assert_eq(ran_here, 0);
}

Test(outcomes, is_alone, .alone = true)
{
	cr_assert_eq(ran_here, 0);
	ran_here++;
}

Test(outcomes, follows_one_that_is_alone, .alone = true)
{
	cr_assert_eq(ran_here, 0);
}

Test(outcomes, expects_something_else)
{
	cr_log_info("this is the one");
	cr_expect_eq(zero, 1);
}

Test(outcomes, asserts_something_else)
{
	cr_assert_eq(zero, 1);
}

Test(outcomes, cannot_run)
{
	cr_skip("for want of something");
}

Test(outcomes, aborts)
{
	abort();
}

Test(outcomes, has_to_abort, .signal = SIGABRT)
{
	abort();
}

Test(outcomes, exits)
{
	_exit(EXIT_SUCCESS);
}

Test(outcomes, hangs, .timeout = 0.2)
{
	pause();
}

#if defined(__SANITIZE_ADDRESS__)
Test(outcomes, passes_before_a_leak)
{
}

Test(outcomes, leaks)
{
	char *volatile memory = malloc(100);

	memory[0] = 'a';
	memory = NULL;
}

Test(outcomes, leaves_a_variable_after_a_leak)
{
	setenv("LEFT_BY_A_CASE", "yes", 1);
}

Test(outcomes, passes_before_an_overflow)
{
	ran_here++;
}

/* What the sanitizers find in a shared process counts, although nothing is wrong without the others. */
Test(outcomes, overflows_behind_another)
{
	char *volatile memory = malloc(100);

	memory[ran_here > 0 ? 100 : 0] = 'a';
	free(memory);
}
#endif

Test(outcomes, passes_at_the_end)
{
}
