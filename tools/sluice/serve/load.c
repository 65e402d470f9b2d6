/* SPDX-License-Identifier: MIT */
#include "serve/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "hash.h"
#include "serve/directory.h"
#include "serve/resolve.h"
#include "serve/view.h"

#define INDEX "index.html"

#define GENERATED_MAX (4u << 20) /* of a file whose length is known only when it is read */

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
	case -EFBIG:
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
 * Reads a small file whole. 0; -EAGAIN if cached and it would have to wait, or if that is unknown;
 * -ENODATA for a file that is not as long as it says; -errno.
 */
static int read_content(int fd, uint64_t size, bool cached, char **ret_content)
{
	char *content = malloc(size + 1);
	int64_t length;

	if (content == NULL)
		return -ENOMEM;
	/* One byte more than there should be tells whether it is longer. */
	length = read_at(fd, content, size + 1, 0, cached);
	if (length == (int64_t)size) {
		*ret_content = content;
		return 0;
	}
	free(content);
	return length < 0 ? (int)length : -ENODATA;
}

/* Takes the content over. */
static void set_generated(struct loaded *loaded, char *content, size_t length)
{
	loaded->content = content;
	loaded->generated = true;
	loaded->facts.size = length;
	loaded->content_hash = hash_bytes(0, (struct span){content, length});
}

/*
 * Reads a file to its end, wherever that is. From its front in large pieces: much below /proc gives
 * its content only to the first read.
 */
static int read_generated(int fd, struct loaded *loaded)
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
	set_generated(loaded, content, length);
	return 0;
}

/* Whether the file still claims the size that is not its length, and so never tells the truth. */
static bool keeps_claiming(int fd, uint64_t size)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 && (uint64_t)stat.st_size == size;
}

/* Sizes that are no sizes in /proc and in /sys. */
static bool is_suspicious(uint64_t size)
{
	return size == 0 || size == (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * Reads the content of a file that is small or may lie about its size. 0 with the content, or
 * without it if the file is to be sent from its descriptor; -EAGAIN; -errno.
 */
static int take_content(int fd, const struct load_request *request, bool cached,
			struct loaded *loaded)
{
	uint64_t size = loaded->facts.size;
	int error;

	if (size > request->content_bytes && !is_suspicious(size))
		return 0;
	error = read_content(fd, size, cached, &loaded->content);
	if (error == -ENODATA) {
		/* A file that changes while it is read is sent from its descriptor. */
		if (!keeps_claiming(fd, size))
			return 0;
		return cached ? -EAGAIN : read_generated(fd, loaded);
	}
	if (error == 0 && size > request->content_bytes) {
		free(loaded->content);
		loaded->content = NULL;
	}
	return error;
}

/* Takes the descriptor of a regular file over; answers as load_file does. */
static int take_file(int fd, const struct load_request *request, bool cached, struct loaded *loaded)
{
	int error = 0;

	loaded->status = 200;
	loaded->unchanged = request->known && file_facts_equal(&loaded->facts, &request->facts);
	if (!loaded->unchanged) {
		error = take_content(fd, request, cached, loaded);
		if (error == 0 && loaded->content == NULL) {
			loaded->fd = fd;
			return 0;
		}
		if (error != 0)
			loaded->status = status_of(error);
	}
	close(fd);
	return error == -EAGAIN ? -EAGAIN : 0;
}

static int64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* A file that is compressed in itself. */
static bool is_encoded(const char *path)
{
	size_t length = strlen(path);

	return length > 5 && strcmp(path + length - 5, ".svgz") == 0;
}

/*
 * Opens the file of this path that is so encoded, unless it is older than the plain one. The
 * descriptor; -ENOENT; or -EAGAIN.
 */
static int open_encoded(const struct root *root, const char *path, enum encoding encoding,
			bool cached, struct file_facts *facts)
{
	char encoded[RESOLVE_PATH_MAX];
	int length = snprintf(encoded, sizeof(encoded), "%s%s", path, encoding_suffix(encoding));
	struct file_facts found;
	struct stat stat;
	int fd;

	if (length >= (int)sizeof(encoded))
		return -ENOENT;
	fd = root_open_file(root, encoded, cached);
	if (fd < 0)
		return fd == -EAGAIN && cached ? -EAGAIN : -ENOENT;
	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode)) {
		found = facts_of(&stat);
		if (found.modified_ns >= facts->modified_ns) {
			*facts = found;
			return fd;
		}
	}
	close(fd);
	return -ENOENT;
}

/*
 * Replaces the descriptor of a plain file by that of the encoding that the client prefers. 0 or
 * -EAGAIN, and the descriptor is closed.
 */
static int choose_encoding(const struct root *root, const char *path, int *fd,
			   const struct load_request *request, bool cached, struct loaded *loaded)
{
	uint32_t wanted = view_encodings(request->view);
	enum encoding encoding;

	if (!request->options->precompressed || is_encoded(path))
		return 0;
	while ((encoding = negotiate_next(&wanted)) != ENCODING_IDENTITY) {
		int opened = open_encoded(root, path, encoding, cached, &loaded->facts);

		if (opened == -ENOENT)
			continue;
		close(*fd);
		*fd = opened;
		loaded->encoding = (uint8_t)encoding;
		return opened >= 0 ? 0 : opened;
	}
	return 0;
}

/* A regular file that was opened at the path; takes the descriptor over. */
static int look_at_file(const struct root *root, const char *path, int fd,
			const struct load_request *request, bool cached, struct loaded *loaded)
{
	int error = choose_encoding(root, path, &fd, request, cached, loaded);

	if (error != 0)
		return error;
	if (loaded->encoding == ENCODING_IDENTITY &&
	    (request->view & ENCODINGS_WITHOUT_IDENTITY) != 0) {
		loaded->status = 406;
		close(fd);
		return 0;
	}
	return take_file(fd, request, cached, loaded);
}

/* What an open descriptor is; takes it over. */
static int look_at(const struct root *root, const char *path, int fd,
		   const struct load_request *request, bool cached, struct loaded *loaded)
{
	struct stat stat;

	loaded->looked_ns = now_ns();
	if (fstat(fd, &stat) != 0) {
		loaded->status = 500;
	} else if (S_ISREG(stat.st_mode)) {
		loaded->facts = facts_of(&stat);
		return look_at_file(root, path, fd, request, cached, loaded);
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

/* Lists the directory; takes the descriptor over. */
static void list_directory(const struct root *root, int fd, const struct load_request *request,
			   struct loaded *loaded)
{
	struct buffer buffer = {0};
	int error = directory_list(root, fd, request->path, view_listing(request->view),
				   request->options->dotfiles, &buffer);

	if (error != 0) {
		loaded->status = status_of(error);
		buffer_dispose(&buffer);
		return;
	}
	loaded->status = 200;
	loaded->listing = true;
	set_generated(loaded, buffer.base, buffer.length);
}

/*
 * A directory without an index is listed, which always takes another thread, or else forbidden;
 * what is no directory does not exist.
 */
static int look_for_directory(const struct root *root, const struct load_request *request,
			      bool cached, struct loaded *loaded)
{
	char path[RESOLVE_PATH_MAX];
	size_t length = strlen(request->path) - 1;
	int fd;

	memcpy(path, request->path, length);
	path[length] = '\0';
	fd = root_open_file(root, length > 0 ? path + 1 : ".", cached);
	if (fd == -EAGAIN && cached)
		return -EAGAIN;
	if (fd < 0)
		return 0;
	if (request->options->listing && cached) {
		close(fd);
		return -EAGAIN;
	}
	if (request->options->listing) {
		list_directory(root, fd, request, loaded);
		return 0;
	}
	close(fd);
	loaded->status = 403;
	loaded->no_index = true;
	return 0;
}

static int load_beneath(const struct root *root, const struct load_request *request, bool cached,
			struct loaded *loaded)
{
	char path[RESOLVE_PATH_MAX];
	bool slash = request->path[strlen(request->path) - 1] == '/';
	int fd, error;

	if (!kernel_path(request->path, path))
		return 0;
	fd = root_open_file(root, path, cached);
	if (fd == -EAGAIN && cached)
		return -EAGAIN;
	if (fd >= 0) {
		error = look_at(root, path, fd, request, cached, loaded);
		/* A directory of the index's name. */
		if (slash && loaded->status == 301)
			loaded->status = 403;
		return error;
	}
	loaded->status = status_of(fd);
	if (slash && fd == -ENOENT)
		return look_for_directory(root, request, cached, loaded);
	return 0;
}

int load_file(const struct load_request *request, bool cached, struct loaded *ret_loaded)
{
	struct root *root;
	int error;

	*ret_loaded = (struct loaded){.status = 414, .fd = -1};
	root = docroot_get(request->docroot, cached);
	if (root == NULL)
		return -EAGAIN;
	error = load_beneath(root, request, cached, ret_loaded);
	root_release(root);
	return error;
}

void loaded_dispose(struct loaded *loaded)
{
	if (loaded->fd >= 0)
		close(loaded->fd);
	free(loaded->content);
	loaded->fd = -1;
	loaded->content = NULL;
}
