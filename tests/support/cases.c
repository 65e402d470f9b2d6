/* SPDX-License-Identifier: MIT */
/*
 * Runs the cases of a program, each in a process of its own. Under AddressSanitizer that process takes
 * more time than most cases do, above all in its search for leaks: there a batch of cases, one after
 * the other, shares one, which ends early if a case leaves its mark on it (cases_marks.h). The outcomes
 * of a batch count up to the first case that does not pass, if the search found nothing; all others
 * are found by running the case again, alone.
 */
#include "cases.h"
#include "cases_marks.h"
#include "leaks.h"

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
#include <sanitizer/lsan_interface.h>
#endif

/* Beyond GUARD_NS, so that a case that waits in vain can say for what. */
#define USUAL_TIMEOUT 150.0

/* What a failed case prints is cut off behind so much: sanitizers put what matters first. */
#define SHOWN_BYTES 16384

/* The cases of a batch, at most. */
#if defined(__SANITIZE_ADDRESS__)
#define BATCH 16
#else
#define BATCH 1
#endif

struct outcome {
	atomic_bool finished; /* the body returned */
	atomic_bool skipped;
	atomic_int failures;
	off_t output;     /* where what it prints begins */
	off_t output_end; /* and ends, if other cases follow */
	char reason[256]; /* of the skip */
};

/* In memory that the process of a batch shares with the program. */
struct shared {
	atomic_size_t running; /* the case of the batch */
	atomic_size_t ended;   /* cases */
	_Atomic(double) begun; /* when the running one began */
	const char *left;      /* what it changed, so that no other may follow */
	struct outcome outcomes[BATCH];
};

struct batch {
	const struct test_case *cases[BATCH];
	size_t count;
	size_t number; /* of the first case */
};

static struct test_case *cases;
static struct test_case **cases_end = &cases;
static struct shared *shared;
static bool verbose;
static bool alone; /* every case */

/* In the process of a batch. */
static const struct test_case *current;
static struct outcome *outcome;
static pid_t batch_process; /* 0 if it has one case only */

void case_add(struct test_case *added)
{
	*cases_end = added;
	cases_end = &added->next;
}

void cases_part(void)
{
	alone = true;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- in the process of a batch ---- */

#if defined(__SANITIZE_ADDRESS__)
static bool leaks(void)
{
	leaks_name_variables();
	return __lsan_do_recoverable_leak_check() != 0;
}
#else
static bool leaks(void)
{
	return false;
}
#endif

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

/*
 * Leaks of a case that failed or was skipped do not count: _exit() skips the search for them. In a batch
 * those of the cases before it do.
 */
static _Noreturn void leave(void)
{
	if (current->fini)
		current->fini();
	fflush(NULL);
	_exit(getpid() == batch_process && !leaks() ? EXIT_SUCCESS : EXIT_FAILURE);
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

/* Runs the body of a case, and what belongs to it. */
static void case_main(const struct test_case *test, size_t place)
{
	current = test;
	outcome = &shared->outcomes[place];
	outcome->output = lseek(STDOUT_FILENO, 0, SEEK_CUR);
	atomic_store(&shared->begun, now());
	atomic_store(&shared->running, place);
	test->body();
	atomic_store(&outcome->finished, true);
	if (test->fini)
		test->fini();
}

static _Noreturn void batch_main(const struct batch *batch, int output, const sigset_t *mask)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	close(output);

	if (batch->count == 1) {
		case_main(batch->cases[0], 0);
		exit(EXIT_SUCCESS);
	}
	batch_process = getpid();
	for (size_t i = 0; i < batch->count; i++) {
		struct marks marks;
		bool marked = !marks_take(&marks);

		case_main(batch->cases[i], i);
		fflush(NULL);
		outcome->output_end = lseek(STDOUT_FILENO, 0, SEEK_CUR);
		atomic_store(&shared->ended, i + 1);
		if (marked || atomic_load(&outcome->failures) > 0 ||
		    (i + 1 < batch->count && (shared->left = marks_changed(&marks)) != NULL))
			break;
	}
	exit(EXIT_SUCCESS);
}

/* ---- in the process of the program ---- */

/* How the process of a batch ended. */
struct end {
	bool in_time;
	int status;
	int output; /* the file of what it printed */
};

static double time_left(const struct batch *batch)
{
	double timeout = batch->cases[atomic_load(&shared->running)]->timeout;

	return atomic_load(&shared->begun) + (timeout > 0 ? timeout : USUAL_TIMEOUT) - now();
}

/* Waits for the child, or for the end of its case's time, and takes along what it started. */
static void wait_for(pid_t child, const struct batch *batch, const sigset_t *child_signal,
		     struct end *end)
{
	/* The next case may have less time. */
	const struct timespec second = {1, 0};

	end->in_time = true;
	while (waitpid(child, &end->status, WNOHANG) == 0) {
		if (time_left(batch) > 0) {
			sigtimedwait(child_signal, NULL, &second);
			continue;
		}
		end->in_time = false;
		kill(child, SIGKILL);
		waitpid(child, &end->status, 0);
		break;
	}
	kill(-child, SIGKILL);
}

static struct end run_batch(const struct batch *batch)
{
	struct end end = {.output = memfd_create("output", MFD_CLOEXEC)};
	sigset_t child_signal, mask;
	pid_t child;

	memset(shared, 0, sizeof *shared);
	atomic_store(&shared->begun, now());
	sigemptyset(&child_signal);
	sigaddset(&child_signal, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_signal, &mask);
	fflush(NULL);
	child = end.output < 0 ? -1 : fork();
	if (child < 0) {
		printf("Bail out! no process for a case: %s\n", strerror(errno));
		exit(EXIT_FAILURE);
	}
	if (child == 0)
		batch_main(batch, end.output, &mask);
	wait_for(child, batch, &child_signal, &end);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return end;
}

static off_t size_of(int output)
{
	return lseek(output, 0, SEEK_END);
}

/* What was printed between two places, cut off. */
static const char *printed(int output, off_t from, off_t to)
{
	static char text[SHOWN_BYTES + 1];
	size_t size = to - from < SHOWN_BYTES ? (size_t)(to - from) : SHOWN_BYTES;
	ssize_t length = pread(output, text, size, from);

	text[length > 0 ? length : 0] = '\0';
	return text;
}

/* Prints what a case printed as comments. */
static void show(int output, off_t from, off_t to)
{
	char *rest = (char *)printed(output, from, to), *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (rest || *line)
			printf("#   %s\n", line);
	}
	if (to - from > SHOWN_BYTES)
		printf("#   (and more)\n");
}

/* Why a case failed beyond its assertions, or NULL. */
static const char *fault_of(const struct test_case *test, const struct outcome *found,
			    const struct end *end)
{
	static char fault[128];
	int status = end->status;

	if (!end->in_time)
		snprintf(fault, sizeof fault, "did not end in time");
	else if (WIFSIGNALED(status) && WTERMSIG(status) != test->signal)
		snprintf(fault, sizeof fault, "was ended by signal %d, %s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (WIFSIGNALED(status) || atomic_load(&found->skipped))
		return NULL;
	else if (test->signal)
		snprintf(fault, sizeof fault, "was not ended by signal %d", test->signal);
	else if (WEXITSTATUS(status) != 0 && atomic_load(&found->failures) == 0)
		snprintf(fault, sizeof fault, "exited with %d", WEXITSTATUS(status));
	else if (!atomic_load(&found->finished) && atomic_load(&found->failures) == 0)
		snprintf(fault, sizeof fault, "exited before its end");
	else
		return NULL;
	return fault;
}

static bool report(const struct test_case *test, size_t number, const struct outcome *found,
		   const char *fault, int output)
{
	bool passed = !fault && atomic_load(&found->failures) == 0;

	printf("%s %zu - %s::%s", passed ? "ok" : "not ok", number, test->suite, test->name);
	if (passed && atomic_load(&found->skipped))
		printf(" # SKIP%s", found->reason);
	printf("\n");
	if (fault)
		printf("#   it %s\n", fault);
	if (!passed || verbose)
		show(output, found->output,
		     found->output_end > 0 ? found->output_end : size_of(output));
	fflush(stdout);
	return passed;
}

/*
 * Runs a case of a batch in a process of its own. If nothing is wrong with it, `blamed` is, unless that
 * is NULL: the end of the batch.
 */
static bool run_alone(const struct batch *batch, size_t place, const struct end *blamed)
{
	const struct test_case *test = batch->cases[place];
	struct batch of_one = {.cases = {test}, .count = 1};
	struct end end = run_batch(&of_one);
	const struct outcome *found = &shared->outcomes[0];
	const char *fault = fault_of(test, found, &end);
	bool passed = !fault && atomic_load(&found->failures) == 0;

	if (passed && blamed) {
		fault = "and the cases before it share a process that did not end well";
		show(blamed->output, 0, size_of(blamed->output));
	}
	passed = report(test, batch->number + place, found, fault, end.output);
	close(end.output);
	return passed;
}

/* Whether the sanitizers found something while the case ran, or it hung. */
static bool is_final(const struct outcome *found, const struct end *end)
{
	const char *text = printed(end->output, found->output, size_of(end->output));

	return !end->in_time || strstr(text, "Sanitizer:") || strstr(text, "runtime error:");
}

/*
 * Runs cases of a batch again, from the first that has no outcome to the last that began. That one is
 * why the batch ended; or the search for leaks is, if it had ended.
 */
static bool run_again(const struct batch *batch, size_t first, size_t last, const struct end *end)
{
	struct outcome found = shared->outcomes[last];
	bool ended = atomic_load(&shared->ended) > last;
	bool final = !ended && is_final(&found, end);
	bool leak = ended && found.failures == 0;
	bool passed = true;

	printf("# a process of several cases did not end well: run alone, from here to number %zu\n",
	       batch->number + last);
	for (size_t i = first; i < last; i++)
		passed &= run_alone(batch, i, NULL);
	if (final)
		return report(batch->cases[last], batch->number + last, &found,
			      fault_of(batch->cases[last], &found, end), end->output);
	return passed & run_alone(batch, last, leak && passed ? end : NULL);
}

/* Runs and reports cases of a batch, the first of them at least, and returns how many. */
static size_t run_some(const struct batch *batch, bool *passed)
{
	struct end end = run_batch(batch);
	bool well = end.in_time && WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0;
	size_t began = atomic_load(&shared->running) + 1, known = 0;

	if (batch->count == 1) {
		*passed &= report(batch->cases[0], batch->number, &shared->outcomes[0],
				  fault_of(batch->cases[0], &shared->outcomes[0], &end),
				  end.output);
		known = 1;
	}
	while (well && known < atomic_load(&shared->ended)) {
		if (atomic_load(&shared->outcomes[known].failures) > 0)
			break;
		report(batch->cases[known], batch->number + known, &shared->outcomes[known], NULL,
		       end.output);
		known++;
	}
	if (verbose && known < batch->count && shared->left)
		printf("# the last case changed %s\n", shared->left);
	if (known < began)
		*passed &= run_again(batch, known, began - 1, &end);
	close(end.output);
	return began;
}

static bool is_wanted(const struct test_case *test, const char *pattern)
{
	char name[512];

	snprintf(name, sizeof name, "%s/%s", test->suite, test->name);
	return !pattern || fnmatch(pattern, name, 0) == 0;
}

/* The next wanted case from `test` on, or NULL. */
static const struct test_case *wanted(const struct test_case *test, const char *pattern)
{
	while (test && !is_wanted(test, pattern))
		test = test->next;
	return test;
}

/* Fills the batch with the cases from `test` on that may share a process. */
static void gather(struct batch *batch, const struct test_case *test, const char *pattern)
{
	batch->count = 0;
	while (test && batch->count < BATCH) {
		bool apart = alone || test->alone || test->signal != 0;

		if (apart && batch->count > 0)
			break;
		batch->cases[batch->count++] = test;
		if (apart)
			break;
		test = wanted(test->next, pattern);
	}
}

static int run_cases(const char *pattern)
{
	const struct test_case *test = wanted(cases, pattern);
	struct batch batch = {.number = 1};
	bool passed = true;
	size_t count = 0;

	for (const struct test_case *counted = test; counted;
	     counted = wanted(counted->next, pattern))
		count++;
	printf("1..%zu\n", count);
	fflush(stdout);
	while (test) {
		size_t ran;

		gather(&batch, test, pattern);
		ran = run_some(&batch, &passed);
		batch.number += ran;
		while (ran-- > 0)
			test = wanted(test->next, pattern);
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
		{"alone", no_argument, NULL, 'a'},
		{"filter", required_argument, NULL, 'f'},
		{"list", no_argument, NULL, 'l'},
		{"tap", optional_argument, NULL, 't'}, /* it prints nothing else */
		{"verbose", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	const char *pattern = NULL;
	bool list = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return 2;
		pattern = option == 'f' ? optarg : pattern;
		list |= option == 'l';
		alone |= option == 'a';
		verbose |= option == 'v';
	}
	if (list)
		return list_cases(pattern);

	signal(SIGCHLD, SIG_DFL);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return EXIT_FAILURE;
	return run_cases(pattern);
}
