/* SPDX-License-Identifier: MIT */
#include "serve/content.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hash.h"

#define GENERATED_MAX (4u << 20) /* of a file whose length is known only after reading */

/*
 * Reads once. With cached, only from the page cache; any other result is -EAGAIN: the file system
 * may not support it (EOPNOTSUPP: overlayfs, tmpfs), or a filter may refuse the call (EPERM,
 * ENOSYS), and a plain read still reports an error of the file itself.
 */
static ssize_t read_some(int fd, const struct iovec *segment, uint64_t offset, bool cached)
{
	ssize_t got;

	if (cached) {
		got = preadv2(fd, segment, 1, (off_t)offset, RWF_NOWAIT);
		return got < 0 ? -EAGAIN : got;
	}
	do
		got = pread(fd, segment->iov_base, segment->iov_len, (off_t)offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* Reads up to length bytes at the offset; fewer at the end of the file. Their number, or -errno. */
static int64_t read_at(int fd, char *bytes, uint64_t length, uint64_t offset, bool cached)
{
	uint64_t done = 0;
	ssize_t got = 1;

	while (done < length && got != 0) {
		struct iovec rest = {bytes + done, length - done};

		got = read_some(fd, &rest, offset + done, cached);
		if (got < 0)
			return got;
		done += (uint64_t)got;
	}
	return (int64_t)done;
}

/*
 * Reads a small file. 0; -EAGAIN if cached and it would block, or if that is unknown; -ENODATA if
 * the file does not have the length that it reports; -errno.
 */
static int read_content(int fd, uint64_t size, bool cached, char **ret_content)
{
	char *content = malloc(size + 1);
	int64_t length;

	if (content == NULL)
		return -ENOMEM;
	/* One more byte than expected shows whether it is longer. */
	length = read_at(fd, content, size + 1, 0, cached);
	if (length == (int64_t)size) {
		*ret_content = content;
		return 0;
	}
	free(content);
	return length < 0 ? (int)length : -ENODATA;
}

void content_set_generated(struct lookup_result *result, char *content, size_t length)
{
	result->content = content;
	result->generated = true;
	result->facts.size = length;
	result->content_hash = hash_bytes(0, (struct span){content, length});
}

/*
 * Reads a file of unknown length. In large pieces from the start: many files of /proc give their
 * content only to the first read.
 */
static int read_generated(int fd, struct lookup_result *result)
{
	size_t capacity = 32 * 1024, length = 0;
	char *content = NULL;
	int64_t got;

	do {
		char *larger;

		capacity *= 2;
		larger = capacity <= GENERATED_MAX ? realloc(content, capacity) : NULL;
		if (larger == NULL) {
			free(content);
			return capacity <= GENERATED_MAX ? -ENOMEM : -EFBIG;
		}
		content = larger;
		got = read_at(fd, content + length, capacity - length, length, false);
		if (got < 0) {
			free(content);
			return (int)got;
		}
		length += (size_t)got;
	} while (length == capacity);
	content_set_generated(result, content, length);
	return 0;
}

/* Whether the file still reports the wrong size, and therefore always does. */
static bool keeps_claiming(int fd, uint64_t size)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 && (uint64_t)stat.st_size == size;
}

/* Placeholder sizes in /proc and in /sys. */
static bool is_suspicious(uint64_t size)
{
	return size == 0 || size == (uint64_t)sysconf(_SC_PAGESIZE);
}

int content_take(int fd, const struct file_lookup_request *request, bool cached,
		 struct lookup_result *result)
{
	uint64_t size = result->facts.size;
	int error;

	if (size > request->content_bytes && !is_suspicious(size))
		return 0;
	error = read_content(fd, size, cached, &result->content);
	if (error == -ENODATA) {
		/* A file that changes while it is read is sent from its descriptor. */
		if (!keeps_claiming(fd, size))
			return 0;
		return cached ? -EAGAIN : read_generated(fd, result);
	}
	if (error == 0 && size > request->content_bytes) {
		free(result->content);
		result->content = NULL;
	}
	return error;
}
