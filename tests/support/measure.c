/* SPDX-License-Identifier: MIT */
/* What the contract's tests count, and what they take away. */
#include "measure.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct sluice_engine_statistics statistics_of(struct fixture *fixture)
{
	struct sluice_engine_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_engine_statistics(fixture->engine, &statistics), 0);
	return statistics;
}

uint64_t turns_in(struct fixture *fixture, int64_t duration_ns)
{
	uint64_t before = statistics_of(fixture).turns;
	int64_t end = now_ns() + duration_ns;

	for (int64_t left; (left = end - now_ns()) > 0;)
		run_for(fixture, left);
	return statistics_of(fixture).turns - before;
}

#define NOT_TRACED 1 /* its exit status */

pid_t traced_child(void (*child_main)(void))
{
	int status;
	pid_t child = fork();

	cr_assert(child >= 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(NOT_TRACED);
		child_main();
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_TRACED)
		cr_skip("ptrace(2) is not allowed here");
	cr_assert(WIFSTOPPED(status), "the child exited with %d", WEXITSTATUS(status));
	cr_assert_eq(WSTOPSIG(status), SIGUSR1);
	return child;
}

char state_of(pid_t thread)
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

bool is_waiting(pid_t thread)
{
	return state_of(thread) == 'S' && !is_registering(thread);
}

long waits(void)
{
	struct rusage usage;

	cr_assert_eq(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

static bool is_ring_worker(const char *thread)
{
	char path[300], name[32] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%s/comm", thread);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof name, file))
		name[0] = '\0';
	fclose(file);
	return strncmp(name, "iou-wrk", 7) == 0;
}

int count_ring_workers(void)
{
	DIR *directory = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	cr_assert(directory);
	while ((entry = readdir(directory)))
		count += is_ring_worker(entry->d_name);
	closedir(directory);
	return count;
}

void become_nobody(void)
{
	/* Locked memory is charged to the user, and other tests run at the same time. */
	if (geteuid() == 0 && setuid(60000 + (uid_t)getpid() % 5000) != 0)
		cr_assert_eq(setuid(65534), 0);
	cr_assert_eq(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
}

unsigned long limit_descriptors(unsigned long limit)
{
	struct rlimit limits;
	unsigned long before;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limits), 0);
	before = limits.rlim_cur;
	limits.rlim_cur = limit;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limits), 0);
	return before;
}

void hoard_begin(struct hoard *hoard, unsigned long limit)
{
	int fd;

	cr_assert_leq(limit, HOARD_MAX);
	hoard->limit = limit_descriptors(limit);
	hoard->count = 0;
	while ((fd = dup(0)) >= 0)
		hoard->fds[hoard->count++] = fd;
	cr_assert_eq(errno, EMFILE);
}

void hoard_release(struct hoard *hoard, int count)
{
	for (; count > 0 && hoard->count > 0; count--)
		close(hoard->fds[--hoard->count]);
}

void hoard_end(struct hoard *hoard)
{
	hoard_release(hoard, HOARD_MAX);
	limit_descriptors(hoard->limit);
}
