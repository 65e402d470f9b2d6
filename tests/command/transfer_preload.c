/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into `sluice send` and `sluice receive`: file systems and networks that fail. What fails
 * is named in TRANSFER_FAULTS, separated by commas:
 *
 *   close, fsync, sync-name   closing a part, writing it back, and its directory: -EDQUOT or -EIO
 *   slow-fsync, slow-cut      writing back and cutting off take four seconds
 *   slow-read, slow-write     so does what reads or writes the beginning of a file
 *   owner                     regular files belong to somebody else, as on NFS with root_squash
 *   names                     no file can be created with a "?" in its name, as on FAT
 *   look-up                   no name with a "?" can be looked up
 *   read                      reading a file fails from 2 MiB on
 *   read-beginning            reading the beginning of a file fails
 *   two                       the host "two" has the addresses 127.0.0.2 and 127.0.0.1
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READABLE (2 << 20)
#define SLOW_S 4

static bool is_on(const char *fault)
{
	const char *faults = getenv("TRANSFER_FAULTS");
	size_t length = strlen(fault);

	while (faults != NULL && *faults != '\0') {
		size_t part = strcspn(faults, ",");

		if (part == length && memcmp(faults, fault, length) == 0)
			return true;
		faults += part + (faults[part] == ',');
	}
	return false;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* Whether a descriptor is that of a part. */
static bool is_part(int fd)
{
	char link[64], path[4096];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return false;
	path[length] = '\0';
	return strstr(path, "/.sluice-") != NULL && strstr(path, ".part") != NULL;
}

int close(int fd)
{
	bool failing = is_on("close") && is_part(fd);
	int result = (int)syscall(SYS_close, fd);

	return failing ? fail(EDQUOT) : result;
}

int fsync(int fd)
{
	struct stat status;

	if (syscall(SYS_fstat, fd, &status) != 0)
		return -1;
	if (S_ISDIR(status.st_mode))
		return is_on("sync-name") ? fail(EIO) : 0;
	if (is_on("slow-fsync"))
		sleep(SLOW_S);
	return is_on("fsync") ? fail(EIO) : 0;
}

int fstat(int fd, struct stat *status)
{
	int result = (int)syscall(SYS_fstat, fd, status);

	if (result == 0 && S_ISREG(status->st_mode) && is_on("owner"))
		status->st_uid = geteuid() + 1;
	return result;
}

int openat(int directory, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;

	if ((flags & O_CREAT) != 0) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
		if (strchr(path, '?') != NULL && is_on("names"))
			return fail(EINVAL);
	}
	return (int)syscall(SYS_openat, directory, path, flags, mode);
}

int fstatat(int directory, const char *restrict path, struct stat *restrict status, int flags)
{
	if (strchr(path, '?') != NULL && is_on("look-up"))
		return fail(EILSEQ);
	return (int)syscall(SYS_newfstatat, directory, path, status, flags);
}

ssize_t pread(int fd, void *buffer, size_t count, off_t offset)
{
	if (offset >= READABLE && is_on("read"))
		return fail(EIO);
	if (offset == 0 && is_on("read-beginning"))
		return fail(EIO);
	if (offset == 0 && is_on("slow-read"))
		sleep(SLOW_S);
	return syscall(SYS_pread64, fd, buffer, count, offset);
}

ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset)
{
	if (offset == 0 && is_on("slow-write"))
		sleep(SLOW_S);
	return syscall(SYS_pwrite64, fd, buffer, count, offset);
}

int ftruncate(int fd, off_t length)
{
	if (is_on("slow-cut"))
		sleep(SLOW_S);
	return (int)syscall(SYS_ftruncate, fd, length);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
	if (offset != NULL && is_on("read")) {
		if (*offset >= READABLE)
			return fail(EIO);
		if (*offset + (off_t)count > READABLE)
			count = (size_t)(READABLE - *offset);
	}
	return syscall(SYS_sendfile, out, in, offset, count);
}

ssize_t splice(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned int flags)
{
	if (from != NULL && is_on("read")) {
		if (*from >= READABLE)
			return fail(EIO);
		if (*from + (off64_t)count > READABLE)
			count = (size_t)(READABLE - *from);
	}
	return syscall(SYS_splice, in, from, out, to, count, flags);
}

int getaddrinfo(const char *restrict name, const char *restrict service,
		const struct addrinfo *restrict hints, struct addrinfo **restrict found)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	int result;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (name == NULL || strcmp(name, "two") != 0 || !is_on("two"))
		return real(name, service, hints, found);
	result = real("127.0.0.2", service, hints, found);
	return result != 0 ? result : real("127.0.0.1", service, hints, &(*found)->ai_next);
}

/* The list above is not one that the C library made. */
void freeaddrinfo(struct addrinfo *addresses)
{
	void (*real)(struct addrinfo *);

	*(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
	if (!is_on("two"))
		real(addresses);
}

/* The names of the same functions in programs with 64-bit offsets; the structures are the same. */

int fstat64(int fd, struct stat64 *status)
{
	return fstat(fd, (struct stat *)status);
}

int openat64(int directory, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;

	if ((flags & O_CREAT) != 0) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	return openat(directory, path, flags, mode);
}

int fstatat64(int directory, const char *restrict path, struct stat64 *restrict status, int flags)
{
	return fstatat(directory, path, (struct stat *)status, flags);
}

ssize_t pread64(int fd, void *buffer, size_t count, off64_t offset)
{
	return pread(fd, buffer, count, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t offset)
{
	return pwrite(fd, buffer, count, offset);
}

int ftruncate64(int fd, off64_t length)
{
	return ftruncate(fd, length);
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count)
{
	return sendfile(out, in, offset, count);
}
