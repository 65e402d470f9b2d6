/* SPDX-License-Identifier: MIT */
#include "transfer/store.h"

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

#include "transfer/hash.h"
#include "transfer/name.h"

#define PART_FLAGS (O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define NEW_FLAGS (PART_FLAGS | O_CREAT | O_EXCL)
#define PART_MODE 0600
#define PART_TRIES 10

int store_open(struct store *store, const char *path)
{
	mode_t mask = umask(077);

	umask(mask);
	store->umask = mask;
	store->path = path;
	store->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

/* An errno by which a file system or a sandbox reports an unsupported call. */
static bool is_unsupported(int error)
{
	switch (error) {
	case EINVAL:
	case ENOSYS:
	case EPERM:
	case EACCES:
	case EOPNOTSUPP:
	case ENOTTY:
	case EMLINK:
		return true;
	default:
		return false;
	}
}

/* An attribute that could not be stored. */
static void warn(struct incoming *incoming, const char *what, int error)
{
	size_t length = strlen(incoming->warning);

	snprintf(incoming->warning + length, sizeof(incoming->warning) - length, "%s%s%s%s",
		 length > 0 ? "; " : "", what, error != 0 ? ": " : "",
		 error != 0 ? strerror(error) : "");
}

void store_tell(struct incoming *incoming, unsigned int *told)
{
	unsigned int notes = incoming->notes & ~*told;
	char text[40];

	snprintf(text, sizeof(text), "owned by user %lu", (unsigned long)incoming->owner);
	if ((notes & STORE_FOREIGN_OWNER) != 0)
		warn(incoming, text, 0);
	if ((notes & STORE_MAY_REPLACE) != 0)
		warn(incoming,
		     "no renaming without replacing, so nothing else may make such a name", 0);
	*told |= notes;
}

/* ---- the part ---- */

/* The same name for the same file, so that it is found again; every file system accepts it. */
static void name_part(struct incoming *incoming)
{
	XXH64_hash_t hash = XXH3_64bits(incoming->name, strlen(incoming->name));

	snprintf(incoming->part, sizeof(incoming->part), ".sluice-%016" PRIx64 ".part",
		 (uint64_t)hash);
}

static int open_beneath(int directory, const char *name, int flags)
{
	mode_t mode = (flags & O_CREAT) != 0 ? PART_MODE : 0;
	struct open_how how = {
		.flags = (uint64_t)flags,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, directory, name, &how, sizeof(how));

	/* Before Linux 5.6, and in some sandboxes; the name has one segment. */
	if (fd < 0 && is_unsupported(errno))
		fd = openat(directory, name, flags, mode);
	return fd < 0 ? -errno : fd;
}

/*
 * The owner that this directory gives to new files: NFS maps root to nobody, and some mounts have
 * one owner for all files.
 */
static bool owner_of_new(const struct store *store, uid_t *ret_owner)
{
	char name[40];
	struct stat status;
	bool known;
	int fd;

	snprintf(name, sizeof(name), ".sluice-%ld.owner", (long)getpid());
	fd = open_beneath(store->directory, name, NEW_FLAGS);
	if (fd < 0)
		return false;
	known = fstat(fd, &status) == 0;
	*ret_owner = status.st_uid;
	unlinkat(store->directory, name, 0);
	close(fd);
	return known;
}

/* A file of ours with a single link: no other file may be written to. */
static bool is_ours(const struct store *store, const struct stat *status)
{
	uid_t owner;

	if (!S_ISREG(status->st_mode) || status->st_nlink > 1)
		return false;
	return status->st_uid == geteuid() ||
	       (owner_of_new(store, &owner) && owner == status->st_uid);
}

/* Whether the part's name still refers to the open file. */
static bool is_still_there(const struct store *store, const struct incoming *incoming,
			   const struct stat *status)
{
	struct stat now;

	return fstatat(store->directory, incoming->part, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       now.st_dev == status->st_dev && now.st_ino == status->st_ino;
}

/* Without a lock, another receiver may have adopted the part and finished it. */
static bool lost_part(const struct store *store, const struct incoming *incoming)
{
	struct stat status;

	return !incoming->locked &&
	       (fstat(incoming->fd, &status) != 0 || !is_still_there(store, incoming, &status));
}

/* Locks the open file, if the file system has locks. 0 or -errno. */
static int lock(struct incoming *incoming, int fd)
{
	incoming->locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
	if (incoming->locked)
		return 0;
	if (errno == EWOULDBLOCK || errno == EINTR)
		return -EWOULDBLOCK;
	warn(incoming, "no lock, so no other receiver may use this directory", errno);
	return 0;
}

/* 0: the file is this session's; 1: it disappeared meanwhile; -errno. */
static int claim(const struct store *store, struct incoming *incoming, int fd, bool made)
{
	struct stat status;
	int error = lock(incoming, fd);

	if (error != 0)
		return error;
	if (fstat(fd, &status) != 0)
		return -errno;
	if (!is_still_there(store, incoming, &status))
		return 1;
	/* A file created here is its creator's, whatever owner the file system shows. */
	if (!made && !is_ours(store, &status))
		return -EPERM;
	incoming->owner = status.st_uid;
	if (status.st_uid != geteuid())
		incoming->notes |= STORE_FOREIGN_OWNER;
	incoming->held = (uint64_t)status.st_size;
	return 0;
}

static int open_part(const struct store *store, struct incoming *incoming)
{
	for (int i = 0; i < PART_TRIES; i++) {
		bool made = true;
		int fd = open_beneath(store->directory, incoming->part, NEW_FLAGS);
		int error;

		if (fd == -EEXIST) {
			made = false;
			fd = open_beneath(store->directory, incoming->part, PART_FLAGS);
		}
		if (fd == -ENOENT && !made)
			continue;
		if (fd < 0)
			return fd;
		incoming->warning[0] = '\0';
		error = claim(store, incoming, fd, made);
		if (error == 0)
			return fd;
		close(fd);
		if (error < 0)
			return error;
	}
	return -EWOULDBLOCK;
}

/* ---- opening ---- */

static bool has_room(const struct store *store, uint64_t bytes)
{
	struct statvfs status;

	/* Some file systems do not count blocks: a total of 0 is not an answer. */
	if (bytes == 0 || fstatvfs(store->directory, &status) != 0 || status.f_frsize == 0 ||
	    status.f_blocks == 0)
		return true;
	return bytes / status.f_frsize <= status.f_bavail;
}

/* A file of this name and size may be the offered one: it is opened for comparison. */
static enum wire_code open_stored(const struct store *store, struct incoming *incoming,
				  const struct wire_message *file, const struct stat *status)
{
	struct stat opened;
	int fd;

	if (!S_ISREG(status->st_mode) || (uint64_t)status->st_size != file->size)
		return WIRE_EXISTS;
	fd = openat(store->directory, incoming->name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return WIRE_EXISTS;
	if (fstat(fd, &opened) != 0 || !S_ISREG(opened.st_mode) ||
	    (uint64_t)opened.st_size != file->size) {
		close(fd);
		return WIRE_EXISTS;
	}
	incoming->fd = fd;
	incoming->held = file->size;
	incoming->stored = true;
	return WIRE_OK;
}

static bool is_bad_name(int error)
{
	return error == ENAMETOOLONG || error == EINVAL || error == EILSEQ;
}

/*
 * Whether the file system accepts the name, which a lookup does not always report (FAT). It is
 * tried in a temporary directory, so that no empty file appears under the name itself.
 */
static int try_name(const struct store *store, const struct incoming *incoming)
{
	char trial[sizeof(incoming->part) + 8];
	int directory, fd, error = 0;

	if (name_is_portable(incoming->name))
		return 0;
	snprintf(trial, sizeof(trial), "%s.name", incoming->part);
	mkdirat(store->directory, trial, 0700);
	directory =
		openat(store->directory, trial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory < 0)
		return 0;
	fd = openat(directory, incoming->name, NEW_FLAGS, PART_MODE);
	if (fd >= 0) {
		unlinkat(directory, incoming->name, 0);
		close(fd);
	} else if (is_bad_name(errno)) {
		error = -errno;
	}
	close(directory);
	unlinkat(store->directory, trial, AT_REMOVEDIR);
	return error;
}

/* What is already stored under the name, and whether the file can have it. */
static enum wire_code check_name(const struct store *store, struct incoming *incoming,
				 const struct wire_message *file, int *ret_error)
{
	struct stat status;
	int error;

	if (fstatat(store->directory, incoming->name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!store->overwrite)
			return open_stored(store, incoming, file, &status);
		return S_ISDIR(status.st_mode) ? WIRE_EXISTS : WIRE_OK;
	}
	error = errno == ENOENT ? -try_name(store, incoming) : errno;
	if (error == 0)
		return WIRE_OK;
	if (!is_bad_name(error))
		return failed(error, ret_error);
	*ret_error = error;
	return WIRE_BAD_NAME;
}

/* The directory may have been replaced, or a link on the path changed. */
static void follow_path(struct store *store)
{
	struct stat found, held;
	int fd;

	if (stat(store->path, &found) != 0 || fstat(store->directory, &held) != 0 ||
	    (found.st_dev == held.st_dev && found.st_ino == held.st_ino))
		return;
	fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	close(store->directory);
	store->directory = fd;
}

enum wire_code store_begin(struct store *store, const struct wire_message *file,
			   struct incoming *incoming, int *ret_error)
{
	enum wire_code code;

	*ret_error = 0;
	memset(incoming, 0, sizeof(*incoming));
	incoming->fd = -1;
	memcpy(incoming->name, file->text, sizeof(incoming->name));
	if (!name_is_safe(file->text, file->text_length, store->dotfiles))
		return WIRE_BAD_NAME;
	follow_path(store);
	name_part(incoming);
	code = check_name(store, incoming, file, ret_error);
	if (code != WIRE_OK || incoming->stored)
		return code;
	incoming->fd = open_part(store, incoming);
	if (incoming->fd == -EWOULDBLOCK)
		return WIRE_BUSY;
	if (incoming->fd < 0)
		return failed(-incoming->fd, ret_error);
	/* An offset of the whole size would mean that the file is stored already. */
	if (incoming->held > 0 && incoming->held == file->size)
		incoming->held--;
	if (incoming->held > 0 && (file->size == WIRE_SIZE_UNKNOWN || incoming->held > file->size))
		code = store_restart(store, incoming, ret_error);
	if (code == WIRE_OK && file->size != WIRE_SIZE_UNKNOWN &&
	    !has_room(store, file->size - incoming->held))
		code = failed(ENOSPC, ret_error);
	if (code != WIRE_OK)
		store_leave(store, incoming, true);
	return code;
}

/* ---- writing ---- */

/* A part that cannot be truncated is replaced by a new one. */
static int replace_part(const struct store *store, struct incoming *incoming)
{
	int fd, error;

	if (lost_part(store, incoming))
		return -EWOULDBLOCK;
	if (unlinkat(store->directory, incoming->part, 0) != 0)
		return -errno;
	fd = open_beneath(store->directory, incoming->part, NEW_FLAGS);
	if (fd < 0)
		return fd;
	error = claim(store, incoming, fd, true);
	if (error != 0) {
		close(fd);
		return error < 0 ? error : -EWOULDBLOCK;
	}
	close(incoming->fd);
	incoming->fd = fd;
	return 0;
}

enum wire_code store_restart(const struct store *store, struct incoming *incoming, int *ret_error)
{
	int error = 0;

	if (ftruncate(incoming->fd, 0) != 0)
		error = replace_part(store, incoming);
	if (error != 0)
		return failed(-error, ret_error);
	incoming->held = 0;
	return WIRE_OK;
}

enum wire_code store_write(const struct store *store, struct incoming *incoming, const void *bytes,
			   size_t length, int *ret_error)
{
	const char *at = bytes;

	if (lost_part(store, incoming))
		return WIRE_BUSY;
	while (length > 0) {
		ssize_t written = pwrite(incoming->fd, at, length, (off_t)incoming->held);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return failed(written < 0 ? errno : EIO, ret_error);
		incoming->held += (uint64_t)written;
		at += written;
		length -= (size_t)written;
	}
	return WIRE_OK;
}

/* ---- finishing ---- */

/*
 * The last resort: a new empty file takes the name, which fails if the name exists, and the part
 * replaces it. The check in between covers programs that replace files they did not create.
 */
static int rename_over_placeholder(int directory, const char *part, const char *name)
{
	struct stat made, found;
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			PART_MODE);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &made) != 0)
		error = -errno;
	close(fd);
	if (error != 0)
		return error;
	if (fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) != 0 ||
	    found.st_dev != made.st_dev || found.st_ino != made.st_ino || found.st_size != 0)
		return -EEXIST;
	if (renameat(directory, part, directory, name) == 0)
		return 0;
	error = -errno;
	unlinkat(directory, name, 0);
	return error;
}

/* Replaces another file only if requested. 0 or -errno. */
static int give_name(const struct store *store, struct incoming *incoming)
{
	int directory = store->directory;
	const char *part = incoming->part, *name = incoming->name;

	if (store->overwrite)
		return renameat(directory, part, directory, name) == 0 ? 0 : -errno;
	if (renameat2(directory, part, directory, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (!is_unsupported(errno))
		return -errno;
	/* A second link, then the first one is removed. */
	if (linkat(directory, part, directory, name, 0) == 0) {
		unlinkat(directory, part, 0);
		return 0;
	}
	if (!is_unsupported(errno))
		return -errno;
	incoming->notes |= STORE_MAY_REPLACE;
	return rename_over_placeholder(directory, part, name);
}

/* A missing feature of the file system is no reason to lose the file. */
static void set_attributes(const struct store *store, struct incoming *incoming,
			   const struct wire_message *file)
{
	const struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = file->modified_s, .tv_nsec = file->modified_ns},
	};

	if (fchmod(incoming->fd, file->mode & 0777 & ~store->umask) != 0)
		warn(incoming, "permissions not set", errno);
	/* A stream has no modification time. */
	if (file->size != WIRE_SIZE_UNKNOWN && futimens(incoming->fd, times) != 0)
		warn(incoming, "time not set", errno);
}

/*
 * Errors that the file system delayed (a full quota on NFS) are reported by close. A second
 * descriptor is closed, because the lock belongs to the first until the file has its name.
 */
static int flush(const struct store *store, const struct incoming *incoming)
{
	int copy;

	if (store->sync && fsync(incoming->fd) != 0)
		return -errno;
	copy = fcntl(incoming->fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return fsync(incoming->fd) == 0 ? 0 : -errno;
	return close(copy) == 0 || errno == EINTR ? 0 : -errno;
}

/* Without a lock another receiver could have written into it: it is read again. */
static int verify(const struct store *store, const struct incoming *incoming,
		  const unsigned char *digest)
{
	unsigned char stored[WIRE_DIGEST];
	struct hash *hash;
	int error = -ENOMEM;

	if (incoming->locked)
		return 0;
	if (lost_part(store, incoming))
		return -EWOULDBLOCK;
	hash = hash_new();
	if (hash != NULL)
		error = hash_add_file(hash, incoming->fd, 0, incoming->held);
	if (error == 0) {
		hash_digest(hash, stored);
		if (memcmp(stored, digest, WIRE_DIGEST) != 0)
			error = -EBADMSG;
	}
	hash_free(hash);
	return error;
}

/* Also syncs the directory, if requested. 0 or -errno. */
static int sync_name(const struct store *store, struct incoming *incoming)
{
	if (!store->sync || fsync(store->directory) == 0)
		return 0;
	if (!is_unsupported(errno) && errno != EBADF)
		return -errno;
	warn(incoming, "directory not synced", errno);
	return 0;
}

/* The file has its name: a later failure removes it again. A replaced file is lost. */
static int finish_named(const struct store *store, struct incoming *incoming)
{
	int error = sync_name(store, incoming);

	if (close(incoming->fd) != 0 && errno != EINTR && error == 0)
		error = -errno;
	incoming->fd = -1;
	if (error != 0 && !store->overwrite)
		unlinkat(store->directory, incoming->name, 0);
	return error;
}

enum wire_code store_finish(const struct store *store, struct incoming *incoming,
			    const struct wire_message *file, const unsigned char *digest,
			    int *ret_error)
{
	int error;

	*ret_error = 0;
	set_attributes(store, incoming, file);
	error = flush(store, incoming);
	if (error == 0)
		error = verify(store, incoming, digest);
	if (error == 0)
		error = give_name(store, incoming);
	if (error == 0)
		error = finish_named(store, incoming);
	switch (error) {
	case 0:
		return WIRE_OK;
	case -EEXIST:
	case -EISDIR:
		return WIRE_EXISTS;
	case -EBADMSG:
		return WIRE_MISMATCH;
	case -EWOULDBLOCK:
		return WIRE_BUSY;
	default:
		return failed(-error, ret_error);
	}
}

void store_leave(const struct store *store, struct incoming *incoming, bool keep)
{
	if (incoming->fd < 0)
		return;
	/* An empty part is removed; the lock is still held. */
	if (!incoming->stored && (!keep || incoming->held == 0) && !lost_part(store, incoming))
		unlinkat(store->directory, incoming->part, 0);
	close(incoming->fd);
	incoming->fd = -1;
}
