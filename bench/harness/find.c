/* SPDX-License-Identifier: MIT */
#include "harness/find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *find_in(const char *directories, const char *name)
{
	static char path[4096];

	while (directories && *directories) {
		size_t length = strcspn(directories, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)length, directories, name);
		if (access(path, X_OK) == 0)
			return path;
		directories += length + (directories[length] == ':');
	}
	return NULL;
}

const char *find_program(const char *name)
{
	const char *path = find_in(getenv("PATH"), name);

	return path ? path : find_in("/usr/sbin:/usr/local/sbin", name);
}

const char *find_background(const char *name)
{
	static char self[4096], path[sizeof(self) + 256];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length < 0 ? 0 : length] = '\0';
	snprintf(path, sizeof(path), "%.*s/%s", (int)(strrchr(self, '/') - self), self, name);
	return path;
}
