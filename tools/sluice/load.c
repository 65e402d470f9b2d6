/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "resolve.h"

#define INDEX "index.html"

bool file_facts_equal(const struct file_facts *a, const struct file_facts *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

static struct file_facts facts_of(const struct stat *stat)
{
	return (struct file_facts){
		.device = stat->st_dev,
		.inode = stat->st_ino,
		.size = (uint64_t)stat->st_size,
		.modified_ns = stat->st_mtim.tv_sec * 1000000000LL + stat->st_mtim.tv_nsec,
		.changed_ns = stat->st_ctim.tv_sec * 1000000000LL + stat->st_ctim.tv_nsec,
	};
}

static int status_of(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENAMETOOLONG:
	case -ENODEV:
		return 404;
	case -EACCES:
	case -EPERM:
	case -EXDEV:
	case -ELOOP:
	case -ENXIO:
		return 403;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return 503;
	default:
		return 500;
	}
}

/*
 * One read. If cached, only what the page cache has; every other answer is -EAGAIN: the file system
 * may not know (EOPNOTSUPP: overlayfs, tmpfs), or a filter refuses the call (EPERM, ENOSYS), and a
 * plain read still reports an error of the file itself.
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

/*
 * Reads a small file whole. 0; -EAGAIN if cached and it would have to wait, or if that is unknown;
 * -ENODATA for a file that is not as long as it was just now; -errno.
 */
static int read_content(int fd, uint64_t size, bool cached, char **ret_content)
{
	char *content = malloc(size + 1);
	uint64_t length = 0;
	ssize_t got = 1;

	if (content == NULL)
		return -ENOMEM;
	/* One byte more than there should be tells whether the file grew. */
	while (length <= size && got > 0) {
		struct iovec rest = {content + length, size + 1 - length};

		got = read_some(fd, &rest, length, cached);
		if (got > 0)
			length += (uint64_t)got;
	}
	if (got >= 0 && length == size) {
		*ret_content = content;
		return 0;
	}
	free(content);
	return got < 0 ? (int)got : -ENODATA;
}

/* Takes the descriptor of a regular file over; answers as load_file does. */
static int take_file(int fd, const struct load_request *request, bool cached, struct loaded *loaded)
{
	int error = -ENODATA;

	loaded->status = 200;
	loaded->unchanged = request->known && file_facts_equal(&loaded->facts, &request->facts);
	if (!loaded->unchanged) {
		if (loaded->facts.size <= request->content_bytes)
			error = read_content(fd, loaded->facts.size, cached, &loaded->content);
		/* A larger one, and one that changes while it is read, is sent from here. */
		if (error == -ENODATA) {
			loaded->fd = fd;
			return 0;
		}
		if (error != 0)
			loaded->status = status_of(error);
	}
	close(fd);
	return error == -EAGAIN ? -EAGAIN : 0;
}

/* What an open descriptor is; takes it over. */
static int look_at(int fd, const struct load_request *request, bool cached, struct loaded *loaded)
{
	struct stat stat;

	if (fstat(fd, &stat) != 0) {
		loaded->status = 500;
	} else if (S_ISREG(stat.st_mode)) {
		loaded->facts = facts_of(&stat);
		return take_file(fd, request, cached, loaded);
	} else {
		loaded->status = S_ISDIR(stat.st_mode) ? 301 : 403;
	}
	close(fd);
	return 0;
}

/*
 * The path for the kernel: without its slash in front, and with the index where it ends with one.
 * False when it is too long.
 */
static bool kernel_path(const char *path, char ret_path[RESOLVE_PATH_MAX])
{
	const char *index = path[strlen(path) - 1] == '/' ? INDEX : "";
	int length = snprintf(ret_path, RESOLVE_PATH_MAX, "%s%s", path + 1, index);

	return length < RESOLVE_PATH_MAX;
}

/* A directory without an index is forbidden; what is no directory does not exist. */
static int look_for_directory(const struct load_request *request, bool cached,
			      struct loaded *loaded)
{
	char path[RESOLVE_PATH_MAX];
	size_t length = strlen(request->path) - 1;
	int fd;

	memcpy(path, request->path, length);
	path[length] = '\0';
	fd = root_open_file(request->root, length > 0 ? path + 1 : ".", cached);
	if (fd == -EAGAIN && cached)
		return -EAGAIN;
	if (fd < 0)
		return 0;
	close(fd);
	loaded->status = 403;
	return 0;
}

int load_file(const struct load_request *request, bool cached, struct loaded *ret_loaded)
{
	char path[RESOLVE_PATH_MAX];
	bool slash = request->path[strlen(request->path) - 1] == '/';
	int fd, error = 0;

	*ret_loaded = (struct loaded){.status = 414, .fd = -1};
	if (!kernel_path(request->path, path))
		return 0;
	fd = root_open_file(request->root, path, cached);
	if (fd == -EAGAIN && cached)
		return -EAGAIN;
	if (fd >= 0) {
		error = look_at(fd, request, cached, ret_loaded);
		/* A directory of the index's name. */
		if (slash && ret_loaded->status == 301)
			ret_loaded->status = 403;
		return error;
	}
	ret_loaded->status = status_of(fd);
	if (slash && fd == -ENOENT)
		return look_for_directory(request, cached, ret_loaded);
	return 0;
}

void loaded_dispose(struct loaded *loaded)
{
	if (loaded->fd >= 0)
		close(loaded->fd);
	free(loaded->content);
	loaded->fd = -1;
	loaded->content = NULL;
}
