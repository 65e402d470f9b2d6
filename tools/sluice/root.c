/* SPDX-License-Identifier: MIT */
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12; older headers lack it */
#endif

#define READING (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int open_beneath(int fd, const char *path, int flags, unsigned long long resolve)
{
	struct open_how how = {
		.flags = (unsigned long long)flags,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve,
	};
	int opened = (int)syscall(SYS_openat2, fd, path, &how, sizeof(how));

	return opened >= 0 ? opened : -errno;
}

static bool can_open(int fd, unsigned long long resolve)
{
	int opened = open_beneath(fd, ".", O_PATH | O_CLOEXEC, resolve);

	if (opened >= 0)
		close(opened);
	return opened >= 0 || opened == -EAGAIN;
}

int root_open(struct root *root, const char *directory)
{
	root->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root->fd < 0)
		return -errno;
	root->has_openat2 = can_open(root->fd, 0);
	root->has_cached = root->has_openat2 && can_open(root->fd, RESOLVE_CACHED);
	return 0;
}

void root_close(struct root *root)
{
	close(root->fd);
	root->fd = -1;
}

/*
 * Without openat2 (removable when Linux 5.6 can be relied on): a directory at a time, following
 * no symbolic link. The path is in its plain form, so that no segment is dot-dot.
 */
static int walk(int root_fd, const char *path)
{
	int directory = root_fd, opened;

	for (;;) {
		const char *slash = strchr(path, '/');
		char segment[NAME_MAX + 1];
		size_t length = slash != NULL ? (size_t)(slash - path) : strlen(path);
		int flags = slash != NULL ? O_PATH | O_DIRECTORY | O_CLOEXEC : READING;

		if (length > NAME_MAX) {
			opened = -ENAMETOOLONG;
		} else {
			memcpy(segment, path, length);
			segment[length] = '\0';
			opened = openat(directory, segment, flags | O_NOFOLLOW);
			if (opened < 0)
				opened = -errno;
		}
		if (directory != root_fd)
			close(directory);
		if (opened < 0 || slash == NULL)
			return opened;
		directory = opened;
		path = slash + 1;
	}
}

int root_open_file(const struct root *root, const char *path, bool cached)
{
	int opened;

	if (cached && !root->has_cached)
		return -EAGAIN;
	if (!root->has_openat2)
		return walk(root->fd, path);
	/* Without RESOLVE_CACHED, EAGAIN says that something was renamed during the look. */
	do {
		opened = open_beneath(root->fd, path, READING, cached ? RESOLVE_CACHED : 0);
	} while (opened == -EINTR || (opened == -EAGAIN && !cached));
	return opened;
}
