/* SPDX-License-Identifier: MIT */
#include "harness/tracer.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)

/* The status of a stop for a system call, with PTRACE_O_TRACESYSGOOD. */
#define SYSTEM_CALL (SIGTRAP | 0x80)

/* Threads that sleep and have not stopped for so long are at rest. */
#define REST_MS 2
/* Threads that never rest are not waited for longer than this. */
#define RESTLESS_MS 200
/*
 * Limit for all threads to stop when they are attached or detached. An uninterruptible sleep is
 * short.
 */
#define PATIENCE_MS 2000

struct tracee {
	pid_t thread;
	bool taken; /* it has stopped once, and stops for its calls since */
};

struct tracer {
	pid_t process;
	struct tracee *tracees;
	size_t count;
	uint64_t calls;
	bool blind;   /* the kernel does not identify calls: before Linux 5.3 */
	bool leaving; /* threads that stop are detached */
	bool ended;   /* the process */
	int status;
	int signals; /* of SIGCHLD */
	sigset_t mask;
	cpu_set_t cores; /* CPUs of this process when it does not trace */
};

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool has(const struct tracer *tracer, pid_t thread)
{
	for (size_t i = 0; i < tracer->count; i++) {
		if (tracer->tracees[i].thread == thread)
			return true;
	}
	return false;
}

static void add(struct tracer *tracer, pid_t thread)
{
	struct tracee *tracees;

	tracees = realloc(tracer->tracees, (tracer->count + 1) * sizeof(*tracees));
	if (!tracees)
		err(1, "out of memory");
	tracer->tracees = tracees;
	tracees[tracer->count++] = (struct tracee){.thread = thread};
}

static void add_newborn(struct tracer *tracer, pid_t parent)
{
	unsigned long thread = 0;

	if (ptrace(PTRACE_GETEVENTMSG, parent, NULL, &thread) == 0 && !has(tracer, (pid_t)thread))
		add(tracer, (pid_t)thread);
}

static void count_call(struct tracer *tracer, pid_t thread)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) <= 0)
		tracer->blind = errno != ESRCH;
	else if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr != SYS_sched_yield)
		tracer->calls++;
}

/* Resumes a stopped thread, or detaches it. Whether it is still traced. */
static bool resume(struct tracer *tracer, pid_t thread, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16, delivered = 0;

	/* The first stop is not a call, but shows whether calls can be identified. */
	if (signal == SYSTEM_CALL || event == PTRACE_EVENT_STOP)
		count_call(tracer, thread);
	else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK ||
		 event == PTRACE_EVENT_VFORK)
		add_newborn(tracer, thread);
	else if (event == 0)
		delivered = signal;
	/* It may have been killed meanwhile: then its exit is still to be reported. */
	if (!tracer->leaving)
		ptrace(PTRACE_SYSCALL, thread, NULL, delivered);
	else if (ptrace(PTRACE_DETACH, thread, NULL, delivered) == 0)
		return false;
	return true;
}

/* Handles the status of a thread: whether it is still traced. */
static bool look_after(struct tracer *tracer, size_t place, bool *ret_moved)
{
	pid_t thread = tracer->tracees[place].thread;
	int status;
	pid_t answer = waitpid(thread, &status, __WALL | WNOHANG);

	if (answer == 0)
		return true;
	*ret_moved = true;
	if (answer > 0 && WIFSTOPPED(status)) {
		tracer->tracees[place].taken = true;
		return resume(tracer, thread, status);
	}
	if (answer > 0 && thread == tracer->process) {
		tracer->ended = true;
		tracer->status = status;
	}
	return false;
}

/*
 * Waits for each by its id: waiting for any child would also reap other processes. Whether one had
 * stopped or exited.
 */
static bool look_after_all(struct tracer *tracer)
{
	struct signalfd_siginfo ignored;
	bool moved = false;

	/* Read first, so that a stop after the check makes it readable again. */
	while (read(tracer->signals, &ignored, sizeof(ignored)) > 0)
		;
	for (size_t i = 0; i < tracer->count; i++) {
		if (!look_after(tracer, i, &moved))
			tracer->tracees[i--] = tracer->tracees[--tracer->count];
	}
	return moved;
}

/* The first line of a file about a thread; empty if the thread is gone. */
static void read_line(pid_t process, pid_t thread, const char *name, char *line, size_t size)
{
	char path[64];
	FILE *file;

	line[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)process, (int)thread, name);
	file = fopen(path, "re");
	if (!file)
		return;
	if (!fgets(line, (int)size, file))
		line[0] = '\0';
	fclose(file);
}

/* No thread has stopped just now or is runnable: on a busy machine it has to wait for a core. */
static bool all_sleep(const struct tracer *tracer)
{
	for (size_t i = 0; i < tracer->count; i++) {
		char line[128];
		const char *name_end;

		read_line(tracer->process, tracer->tracees[i].thread, "stat", line, sizeof(line));
		name_end = strrchr(line, ')');
		if (name_end && name_end[1] == ' ' && strchr("Rt", name_end[2]))
			return false;
	}
	return true;
}

/* Until no thread has stopped for a while. */
static void let_rest(struct tracer *tracer)
{
	int64_t end = clock_ms() + RESTLESS_MS;
	struct pollfd wait = {.fd = tracer->signals, .events = POLLIN};

	while (clock_ms() < end &&
	       (look_after_all(tracer) || poll(&wait, 1, REST_MS) > 0 || !all_sleep(tracer)))
		;
}

/* The kernel's workers are threads of the process, but they neither stop nor make system calls. */
static bool is_kernels(pid_t process, pid_t thread)
{
	char name[32];

	read_line(process, thread, "comm", name, sizeof(name));
	return strncmp(name, "iou-", 4) == 0;
}

/* Attaches the current threads; returns how many are new. */
static size_t seize_threads(struct tracer *tracer)
{
	size_t before = tracer->count;
	struct dirent *entry;
	char path[64];
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)tracer->process);
	directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		pid_t thread = (pid_t)atoi(entry->d_name);

		if (thread <= 0 || has(tracer, thread) || is_kernels(tracer->process, thread))
			continue;
		if (ptrace(PTRACE_SEIZE, thread, NULL, OPTIONS) != 0)
			continue;
		add(tracer, thread);
		ptrace(PTRACE_INTERRUPT, thread, NULL, NULL);
	}
	if (directory)
		closedir(directory);
	return tracer->count - before;
}

/*
 * Moves to the process's core, if it has one: waking each other on another core takes ten times as
 * long, at every stop.
 */
static void move_to(struct tracer *tracer)
{
	cpu_set_t cores;

	if (sched_getaffinity(0, sizeof(tracer->cores), &tracer->cores) != 0)
		CPU_ZERO(&tracer->cores);
	if (sched_getaffinity(tracer->process, sizeof(cores), &cores) == 0)
		sched_setaffinity(0, sizeof(cores), &cores);
}

static void move_back(const struct tracer *tracer)
{
	if (CPU_COUNT(&tracer->cores) > 0)
		sched_setaffinity(0, sizeof(tracer->cores), &tracer->cores);
}

static bool all_taken(const struct tracer *tracer)
{
	for (size_t i = 0; i < tracer->count; i++) {
		if (!tracer->tracees[i].taken)
			return false;
	}
	return true;
}

static bool take(struct tracer *tracer)
{
	int64_t end = clock_ms() + PATIENCE_MS;
	struct pollfd wait = {.fd = tracer->signals, .events = POLLIN};

	/* A thread that is not attached yet may start another. */
	while (seize_threads(tracer) > 0)
		;
	while (!all_taken(tracer) && clock_ms() < end) {
		poll(&wait, 1, REST_MS);
		look_after_all(tracer);
	}
	let_rest(tracer);
	return has(tracer, tracer->process) && all_taken(tracer) && !tracer->blind;
}

struct tracer *tracer_start(pid_t process)
{
	struct tracer *tracer = calloc(1, sizeof(*tracer));
	sigset_t child;
	int status;

	if (!tracer)
		err(1, "out of memory");
	tracer->process = process;
	/* Every stop sends the signal, so that it can be waited for together with a descriptor. */
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &tracer->mask);
	tracer->signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	if (tracer->signals < 0)
		err(1, "signalfd");
	move_to(tracer);
	if (take(tracer))
		return tracer;
	tracer_stop(tracer, &status);
	return NULL;
}

bool tracer_wait(struct tracer *tracer, int fd, int timeout_ms)
{
	int64_t end = clock_ms() + timeout_ms;
	struct pollfd waits[] = {{.fd = tracer->signals, .events = POLLIN},
				 {.fd = fd, .events = POLLIN}};

	while (waits[1].revents == 0 && clock_ms() < end) {
		poll(waits, 2, (int)(end - clock_ms()));
		look_after_all(tracer);
	}
	let_rest(tracer);
	return waits[1].revents != 0;
}

uint64_t tracer_calls(const struct tracer *tracer)
{
	return tracer->calls;
}

static void let_go(struct tracer *tracer)
{
	int64_t end = clock_ms() + PATIENCE_MS;
	struct pollfd wait = {.fd = tracer->signals, .events = POLLIN};

	while (tracer->count > 0 && clock_ms() < end) {
		poll(&wait, 1, REST_MS);
		look_after_all(tracer);
	}
}

bool tracer_stop(struct tracer *tracer, int *ret_status)
{
	bool ended;

	tracer->leaving = true;
	for (size_t i = 0; i < tracer->count; i++)
		ptrace(PTRACE_INTERRUPT, tracer->tracees[i].thread, NULL, NULL);
	let_go(tracer);
	if (tracer->count > 0 && !tracer->ended) {
		kill(tracer->process, SIGKILL);
		let_go(tracer);
	}
	ended = tracer->ended;
	*ret_status = tracer->status;
	move_back(tracer);
	close(tracer->signals);
	sigprocmask(SIG_SETMASK, &tracer->mask, NULL);
	free(tracer->tracees);
	free(tracer);
	return !ended;
}
