/* SPDX-License-Identifier: MIT */
/* Runs the cases of a program, each in a process of its own. */
#include "cases.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <link.h>
#include <sanitizer/lsan_interface.h>
#endif

/* Beyond GUARD_NS, so that a case that waits in vain can say for what. */
#define USUAL_TIMEOUT 150.0

/* What a failed case prints is cut off behind so much: sanitizers put what matters first. */
#define SHOWN_BYTES 16384

/* In memory that a case shares with the program. */
struct outcome {
	atomic_bool finished; /* the body returned */
	atomic_bool skipped;
	atomic_int failures;
	char reason[256]; /* of the skip */
};

static struct test_case *cases;
static struct test_case **cases_end = &cases;
static const struct test_case *current; /* in a case's process */
static struct outcome *outcome;
static bool verbose;

void case_add(struct test_case *added)
{
	*cases_end = added;
	cases_end = &added->next;
}

/* ---- in the process of a case ---- */

__attribute__((format(printf, 4, 0))) static void complain(const char *file, int line,
							   const char *text, const char *format,
							   va_list list)
{
	char message[2048];

	vsnprintf(message, sizeof message, format, list);
	atomic_fetch_add(&outcome->failures, 1);
	dprintf(STDERR_FILENO, "%s:%d: failed: %s%s%s\n", file, line, text, message[1] ? ":" : "",
		message[1] ? message : "");
}

void case_fail(const char *file, int line, const char *text, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain(file, line, text, format, list);
	va_end(list);
}

/* Leaks of a case that failed or was skipped do not count: _exit() skips the search for them. */
static _Noreturn void leave(void)
{
	if (current->fini)
		current->fini();
	fflush(NULL);
	_exit(EXIT_FAILURE);
}

void case_abort(const char *file, int line, const char *text, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain(file, line, text, format, list);
	va_end(list);
	leave();
}

void case_skip(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(outcome->reason, sizeof outcome->reason, format, list);
	va_end(list);
	atomic_store(&outcome->skipped, true);
	leave();
}

void case_log(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vdprintf(STDERR_FILENO, format, list);
	va_end(list);
	dprintf(STDERR_FILENO, "\n");
}

#if defined(__SANITIZE_ADDRESS__)
/*
 * The search for leaks looks at every variable of the process, and most of these are tables of the
 * sanitizer's own: eight megabytes, longer than most cases take. It looks at the others alone, those
 * of the objects that are loaded when the program begins.
 */
const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "use_globals=0";
}

static int look_at(struct dl_phdr_info *object, size_t size, void *token)
{
	const char *name = object->dlpi_name ? object->dlpi_name : "";

	if (strstr(name, "/libasan.so") || strstr(name, "/libubsan.so"))
		return 0;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W))
			__lsan_register_root_region((void *)(object->dlpi_addr + segment->p_vaddr),
						    segment->p_memsz);
	}
	return 0;
}

static void look_at_variables(void)
{
	dl_iterate_phdr(look_at, NULL);
}
#else
static void look_at_variables(void)
{
}
#endif

static _Noreturn void case_main(const struct test_case *test, int output, const sigset_t *mask)
{
	current = test;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	close(output);

	test->body();
	atomic_store(&outcome->finished, true);
	if (test->fini)
		test->fini();
	exit(EXIT_SUCCESS);
}

/* ---- in the process of the program ---- */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Waits for the child, or for the end of its time, and takes along what it started. */
static bool wait_for(pid_t child, double timeout, const sigset_t *child_signal, int *ret_status)
{
	double end = now() + timeout;
	bool in_time = true;

	while (waitpid(child, ret_status, WNOHANG) == 0) {
		double left = end - now();
		struct timespec time = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};

		if (left > 0) {
			sigtimedwait(child_signal, NULL, &time);
			continue;
		}
		in_time = false;
		kill(child, SIGKILL);
		waitpid(child, ret_status, 0);
		break;
	}
	kill(-child, SIGKILL);
	return in_time;
}

/* Prints what a case printed as comments. */
static void show(int output)
{
	static char text[SHOWN_BYTES + 1];
	ssize_t length = pread(output, text, SHOWN_BYTES, 0);
	char *rest = text, *line;

	text[length > 0 ? length : 0] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (rest || *line)
			printf("#   %s\n", line);
	}
	if (length == SHOWN_BYTES)
		printf("#   (and more)\n");
}

/* Why a case failed beyond its assertions, or NULL. */
static const char *fault_of(const struct test_case *test, bool in_time, int status)
{
	static char fault[128];

	if (!in_time)
		snprintf(fault, sizeof fault, "did not end in time");
	else if (WIFSIGNALED(status) && WTERMSIG(status) != test->signal)
		snprintf(fault, sizeof fault, "was ended by signal %d, %s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (WIFSIGNALED(status) || atomic_load(&outcome->skipped))
		return NULL;
	else if (test->signal)
		snprintf(fault, sizeof fault, "was not ended by signal %d", test->signal);
	else if (WEXITSTATUS(status) != 0 && atomic_load(&outcome->failures) == 0)
		snprintf(fault, sizeof fault, "exited with %d", WEXITSTATUS(status));
	else if (!atomic_load(&outcome->finished) && atomic_load(&outcome->failures) == 0)
		snprintf(fault, sizeof fault, "exited before its end");
	else
		return NULL;
	return fault;
}

static bool report(const struct test_case *test, size_t number, const char *fault, int output)
{
	bool passed = !fault && atomic_load(&outcome->failures) == 0;

	printf("%s %zu - %s::%s", passed ? "ok" : "not ok", number, test->suite, test->name);
	if (passed && atomic_load(&outcome->skipped))
		printf(" # SKIP%s", outcome->reason);
	printf("\n");
	if (fault)
		printf("#   it %s\n", fault);
	if (!passed || verbose)
		show(output);
	fflush(stdout);
	return passed;
}

static bool run_case(const struct test_case *test, size_t number)
{
	sigset_t child_signal, mask;
	int status, output = memfd_create("output", MFD_CLOEXEC);
	bool in_time, passed;
	pid_t child;

	memset(outcome, 0, sizeof *outcome);
	sigemptyset(&child_signal);
	sigaddset(&child_signal, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_signal, &mask);
	child = output < 0 ? -1 : fork();
	if (child < 0) {
		printf("Bail out! no process for a case: %s\n", strerror(errno));
		exit(EXIT_FAILURE);
	}
	if (child == 0)
		case_main(test, output, &mask);
	in_time = wait_for(child, test->timeout > 0 ? test->timeout : USUAL_TIMEOUT, &child_signal,
			   &status);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	passed = report(test, number, fault_of(test, in_time, status), output);
	close(output);
	return passed;
}

static bool is_wanted(const struct test_case *test, const char *pattern)
{
	char name[512];

	snprintf(name, sizeof name, "%s/%s", test->suite, test->name);
	return !pattern || fnmatch(pattern, name, 0) == 0;
}

static int run_cases(const char *pattern)
{
	size_t count = 0, number = 0;
	bool passed = true;

	for (const struct test_case *test = cases; test; test = test->next)
		count += is_wanted(test, pattern);
	printf("1..%zu\n", count);
	fflush(stdout);
	for (const struct test_case *test = cases; test; test = test->next) {
		if (is_wanted(test, pattern))
			passed &= run_case(test, ++number);
	}
	return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int list_cases(const char *pattern)
{
	for (const struct test_case *test = cases; test; test = test->next) {
		if (is_wanted(test, pattern))
			printf("%s/%s\n", test->suite, test->name);
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"filter", required_argument, NULL, 'f'}, {"list", no_argument, NULL, 'l'},
		{"tap", optional_argument, NULL, 't'}, /* it prints nothing else */
		{"verbose", no_argument, NULL, 'v'},      {NULL, 0, NULL, 0},
	};
	const char *pattern = NULL;
	bool list = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return 2;
		pattern = option == 'f' ? optarg : pattern;
		list |= option == 'l';
		verbose |= option == 'v';
	}
	if (list)
		return list_cases(pattern);

	look_at_variables();
	signal(SIGCHLD, SIG_DFL);
	outcome = mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (outcome == MAP_FAILED)
		return EXIT_FAILURE;
	return run_cases(pattern);
}
