/* SPDX-License-Identifier: MIT */
/* What a case leaves behind in its process. */
#include "cases_marks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* For how long the kernel may take to end something, in milliseconds. */
#define SETTLING_MS 20

static const char *const names[MARKS] = {
	[MARK_DESCRIPTORS] = "its descriptors",
	[MARK_STATUS] = "its threads, signals or rights",
	[MARK_LIMITS] = "its limits",
	[MARK_ENVIRONMENT] = "its environment",
	[MARK_PLACE] = "its directory or name spaces",
};

/* FNV-1a. */
static void add(uint64_t *sum, const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		*sum = (*sum ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
}

static void add_file(uint64_t *sum, const struct stat *status)
{
	add(sum, &status->st_dev, sizeof status->st_dev);
	add(sum, &status->st_ino, sizeof status->st_ino);
}

static bool add_descriptors(uint64_t *sum)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	struct stat status;

	if (!directory)
		return false;
	while ((entry = readdir(directory)) != NULL) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd == dirfd(directory) || fstat(fd, &status) != 0)
			continue;
		add(sum, &fd, sizeof fd);
		add_file(sum, &status);
	}
	closedir(directory);
	return true;
}

static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	return length > 0;
}

/* Other lines change by themselves. */
static bool is_of_interest(const char *line)
{
	static const char *const fields[] = {
		"Umask:",   "Uid:",    "Gid:",    "Groups:", "VmLck:",
		"Threads:", "SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:",
		"SigCgt:",  "Cap",     "NoNew",   "Seccomp", "Cpus_",
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		if (strncmp(line, fields[i], strlen(fields[i])) == 0)
			return true;
	}
	return false;
}

/* The C library catches signals 32 and 33 for its own purposes from the first thread on. */
static void hide_own_signals(char *line)
{
	unsigned long long caught;

	if (sscanf(line, "SigCgt: %llx", &caught) == 1)
		snprintf(line, strlen(line) + 1, "SigCgt: %016llx", caught & ~(3ULL << 31));
}

static bool add_status(uint64_t *sum)
{
	char text[4096];
	char *rest = text, *line;
	struct itimerval timer;
	siginfo_t child;
	bool children;

	if (!read_text("/proc/self/status", text, sizeof text))
		return false;
	while ((line = strsep(&rest, "\n")) != NULL) {
		hide_own_signals(line);
		if (is_of_interest(line))
			add(sum, line, strlen(line));
	}
	children = waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
	add(sum, &children, sizeof children);
	getitimer(ITIMER_REAL, &timer);
	add(sum, &timer.it_value.tv_sec, sizeof timer.it_value.tv_sec);
	return true;
}

static bool add_limits(uint64_t *sum)
{
	char text[4096];

	if (!read_text("/proc/self/limits", text, sizeof text))
		return false;
	add(sum, text, strlen(text));
	return true;
}

static bool add_environment(uint64_t *sum)
{
	for (char **variable = environ; *variable; variable++)
		add(sum, *variable, strlen(*variable) + 1);
	return true;
}

static bool add_place(uint64_t *sum)
{
	static const char *const paths[] = {
		".", "/", "/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/self/ns/user",
	};
	struct stat status;

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		if (stat(paths[i], &status) != 0)
			return false;
		add_file(sum, &status);
	}
	return true;
}

bool marks_take(struct marks *marks)
{
	for (size_t i = 0; i < MARKS; i++)
		marks->sums[i] = UINT64_C(0xcbf29ce484222325);
	return add_descriptors(&marks->sums[MARK_DESCRIPTORS]) &&
	       add_status(&marks->sums[MARK_STATUS]) && add_limits(&marks->sums[MARK_LIMITS]) &&
	       add_environment(&marks->sums[MARK_ENVIRONMENT]) &&
	       add_place(&marks->sums[MARK_PLACE]);
}

static const char *changed(const struct marks *before)
{
	struct marks after;

	if (!marks_take(&after))
		return "/proc";
	for (size_t i = 0; i < MARKS; i++) {
		if (after.sums[i] != before->sums[i])
			return names[i];
	}
	return NULL;
}

const char *marks_changed(const struct marks *before)
{
	const struct timespec millisecond = {0, 1000000};
	const char *name = changed(before);

	for (int waited = 0; name && waited < SETTLING_MS; waited++) {
		nanosleep(&millisecond, NULL);
		name = changed(before);
	}
	return name;
}
