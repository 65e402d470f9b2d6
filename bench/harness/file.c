/* SPDX-License-Identifier: MIT */
#include "harness/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define XFS_MAGIC 0x58465342 /* missing in linux/magic.h */

static int fill(int fd, uint64_t bytes)
{
	static char block[64 * 1024];
	uint64_t written = 0;

	while (written < bytes) {
		uint64_t left = bytes - written;
		ssize_t count = write(fd, block, left < sizeof(block) ? left : sizeof(block));

		if (count < 0)
			return -errno;
		written += (uint64_t)count;
	}
	return fsync(fd) != 0 ? -errno : 0;
}

int file_make(const char *directory, uint64_t bytes)
{
	char path[4096];
	int fd, error;

	snprintf(path, sizeof(path), "%s/sluice-bench-XXXXXX", directory);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	error = fill(fd, bytes);
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

bool file_stays_hot(const char *directory, int fd)
{
	char byte, name[32];
	struct iovec segment = {&byte, 1};

	file_system_name(directory, name, sizeof(name));
	if (strcmp(name, "tmpfs") == 0)
		return true;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return preadv2(fd, &segment, 1, 0, RWF_NOWAIT) > 0; /* elsewhere -1: cold, or unknown */
}

void file_system_name(const char *directory, char *name, size_t size)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} known[] = {
		{EXT4_SUPER_MAGIC, "ext4"},           {XFS_MAGIC, "xfs"},
		{BTRFS_SUPER_MAGIC, "btrfs"},         {TMPFS_MAGIC, "tmpfs"},
		{OVERLAYFS_SUPER_MAGIC, "overlayfs"}, {NFS_SUPER_MAGIC, "nfs"},
		{F2FS_SUPER_MAGIC, "f2fs"},
	};
	struct statfs system;

	if (statfs(directory, &system) != 0) {
		snprintf(name, size, "unknown");
		return;
	}
	snprintf(name, size, "type %#lx", (unsigned long)system.f_type);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].magic == (unsigned long)system.f_type)
			snprintf(name, size, "%s", known[i].name);
	}
}
