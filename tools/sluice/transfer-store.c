/* SPDX-License-Identifier: MIT */
#include "transfer-store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>

#include "transfer-name.h"

#define PART_FLAGS (O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define PART_MODE 0600
#define PART_TRIES 10

int store_open(struct store *store, const char *directory)
{
	mode_t mask = umask(077);

	umask(mask);
	store->umask = mask;
	store->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return store->directory < 0 ? -errno : 0;
}

void store_close(struct store *store)
{
	close(store->directory);
	store->directory = -1;
}

static enum wire_code failed(int error, int *ret_error)
{
	*ret_error = error;
	return error == ENOSPC || error == EDQUOT || error == EFBIG ? WIRE_NO_ROOM : WIRE_FAILED;
}

/* ---- begin ---- */

/* The same name for the same file, so that the next transfer finds it; a name that fits always. */
static void name_part(struct incoming *incoming)
{
	XXH64_hash_t hash = XXH3_64bits(incoming->name, strlen(incoming->name));

	snprintf(incoming->part, sizeof(incoming->part), ".sluice-%016" PRIx64 ".part",
		 (uint64_t)hash);
}

static int open_beneath(int directory, const char *name)
{
	struct open_how how = {
		.flags = PART_FLAGS,
		.mode = PART_MODE,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, directory, name, &how, sizeof(how));

	/* Before Linux 5.6, and in some sandboxes; the name has one segment. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(directory, name, PART_FLAGS, PART_MODE);
	return fd < 0 ? -errno : fd;
}

/* A file of ours that has no other name: nobody else's is written to. */
static bool is_ours(const struct stat *status)
{
	return S_ISREG(status->st_mode) && status->st_nlink == 1 && status->st_uid == geteuid();
}

/* Whether the name still means what was opened: who held the lock before may have renamed it. */
static bool is_still_there(const struct store *store, const struct incoming *incoming,
			   const struct stat *status)
{
	struct stat now;

	return fstatat(store->directory, incoming->part, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       now.st_dev == status->st_dev && now.st_ino == status->st_ino;
}

static int open_part(const struct store *store, struct incoming *incoming)
{
	struct stat status;

	for (int i = 0; i < PART_TRIES; i++) {
		int fd = open_beneath(store->directory, incoming->part);
		int error = fd < 0 ? fd : 0;

		if (fd < 0)
			return error;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &status) != 0)
			error = -errno;
		if (error == 0 && is_still_there(store, incoming, &status)) {
			if (is_ours(&status)) {
				incoming->held = (uint64_t)status.st_size;
				return fd;
			}
			error = -EPERM;
		}
		close(fd);
		if (error != 0)
			return error;
	}
	return -EWOULDBLOCK;
}

static bool has_room(const struct store *store, uint64_t bytes)
{
	struct statvfs status;

	if (bytes == 0 || fstatvfs(store->directory, &status) != 0)
		return true;
	return bytes / status.f_frsize <= status.f_bavail;
}

/* What stands there already, under the name that it shall get. */
static enum wire_code check_name(const struct store *store, const struct incoming *incoming)
{
	struct stat status;

	if (fstatat(store->directory, incoming->name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return WIRE_OK;
	return store->overwrite && !S_ISDIR(status.st_mode) ? WIRE_OK : WIRE_EXISTS;
}

enum wire_code store_begin(const struct store *store, const struct wire_message *file,
			   struct incoming *incoming, int *ret_error)
{
	enum wire_code code;

	*ret_error = 0;
	incoming->fd = -1;
	incoming->held = 0;
	memcpy(incoming->name, file->text, sizeof(incoming->name));
	if (!name_is_safe(file->text, file->text_length, store->dotfiles))
		return WIRE_BAD_NAME;
	code = check_name(store, incoming);
	if (code != WIRE_OK)
		return code;
	name_part(incoming);
	incoming->fd = open_part(store, incoming);
	if (incoming->fd == -EWOULDBLOCK)
		return WIRE_BUSY;
	if (incoming->fd < 0)
		return failed(-incoming->fd, ret_error);
	if (incoming->held > 0 && (file->size == WIRE_SIZE_UNKNOWN || incoming->held > file->size))
		code = store_restart(incoming, ret_error);
	if (code == WIRE_OK && file->size != WIRE_SIZE_UNKNOWN &&
	    !has_room(store, file->size - incoming->held))
		code = failed(ENOSPC, ret_error);
	if (code != WIRE_OK)
		store_leave(store, incoming, true);
	return code;
}

/* ---- write ---- */

enum wire_code store_restart(struct incoming *incoming, int *ret_error)
{
	if (ftruncate(incoming->fd, 0) != 0)
		return failed(errno, ret_error);
	incoming->held = 0;
	return WIRE_OK;
}

enum wire_code store_write(struct incoming *incoming, const void *bytes, size_t length,
			   int *ret_error)
{
	const char *at = bytes;

	while (length > 0) {
		ssize_t written = pwrite(incoming->fd, at, length, (off_t)incoming->held);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return failed(errno, ret_error);
		incoming->held += (uint64_t)written;
		at += written;
		length -= (size_t)written;
	}
	return WIRE_OK;
}

/* ---- end ---- */

/* Never over something else, unless that was asked for. 0 or -errno. */
static int give_name(const struct store *store, const struct incoming *incoming)
{
	int directory = store->directory;

	if (store->overwrite)
		return renameat(directory, incoming->part, directory, incoming->name) == 0 ? 0
											   : -errno;
	if (renameat2(directory, incoming->part, directory, incoming->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that cannot: a second name, then the first one goes. */
	if (linkat(directory, incoming->part, directory, incoming->name, 0) != 0)
		return -errno;
	unlinkat(directory, incoming->part, 0);
	return 0;
}

static int dress(const struct store *store, const struct incoming *incoming,
		 const struct wire_message *file)
{
	const struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = file->modified_s, .tv_nsec = file->modified_ns},
	};

	if (fchmod(incoming->fd, file->mode & 0777 & ~store->umask) != 0)
		return -errno;
	/* A time that this file system does not have is no reason to lose the file. */
	if (file->modified_s != 0)
		futimens(incoming->fd, times);
	return store->sync && fsync(incoming->fd) != 0 ? -errno : 0;
}

enum wire_code store_finish(const struct store *store, struct incoming *incoming,
			    const struct wire_message *file, int *ret_error)
{
	int error = dress(store, incoming, file);

	*ret_error = 0;
	if (error == 0)
		error = give_name(store, incoming);
	if (error == 0 && store->sync && fsync(store->directory) != 0)
		error = -errno;
	close(incoming->fd);
	incoming->fd = -1;
	if (error == -EEXIST || error == -EISDIR)
		return WIRE_EXISTS;
	return error == 0 ? WIRE_OK : failed(-error, ret_error);
}

void store_leave(const struct store *store, struct incoming *incoming, bool keep)
{
	if (incoming->fd < 0)
		return;
	/* Nothing is no partial file; the lock is still held. */
	if (!keep || incoming->held == 0)
		unlinkat(store->directory, incoming->part, 0);
	close(incoming->fd);
	incoming->fd = -1;
}
