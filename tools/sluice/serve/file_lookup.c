/* SPDX-License-Identifier: MIT */
#include "serve/file_lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serve/content.h"
#include "serve/directory.h"
#include "serve/resolve.h"
#include "serve/response.h"
#include "serve/site.h"
#include "serve/view.h"

#define ERROR_PAGE "404.html"

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

/* Takes over the descriptor of a regular file; returns like file_lookup. */
static int take_file(int fd, const struct file_lookup_request *request, bool cached,
		     struct lookup_result *result)
{
	int error = 0;

	result->status = 200;
	result->unchanged = request->known && file_facts_equal(&result->facts, &request->facts);
	if (!result->unchanged) {
		error = content_take(fd, request, cached, result);
		if (error == 0 && result->content == NULL) {
			result->fd = fd;
			return 0;
		}
		if (error != 0) {
			result->status = status_of(error);
			result->error = error;
		}
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

/* A file that is compressed itself. */
static bool is_encoded(const char *path)
{
	size_t length = strlen(path);

	return length > 5 && strcmp(path + length - 5, ".svgz") == 0;
}

/*
 * Opens the encoded variant of this path, unless it is older than the plain one. The descriptor;
 * -ENOENT; or -EAGAIN.
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
 * Replaces the descriptor of a plain file by that of the encoding that the client prefers. 0; or
 * -EAGAIN, and the descriptor is closed.
 */
static int choose_encoding(const struct root *root, const char *path, int *fd,
			   const struct file_lookup_request *request, bool cached,
			   struct lookup_result *result)
{
	uint32_t wanted = view_encodings(request->view);
	enum encoding encoding;

	if (!request->options->precompressed || is_encoded(path))
		return 0;
	while ((encoding = negotiate_next(&wanted)) != ENCODING_IDENTITY) {
		int opened = open_encoded(root, path, encoding, cached, &result->facts);

		if (opened == -ENOENT)
			continue;
		close(*fd);
		*fd = opened;
		result->encoding = (uint8_t)encoding;
		return opened >= 0 ? 0 : opened;
	}
	return 0;
}

/* Loads a regular file that was opened at the path; takes over the descriptor. */
static int look_at_file(const struct root *root, const char *path, int fd,
			const struct file_lookup_request *request, bool cached,
			struct lookup_result *result)
{
	int error = choose_encoding(root, path, &fd, request, cached, result);

	if (error != 0)
		return error;
	if (result->encoding == ENCODING_IDENTITY &&
	    (request->view & ENCODINGS_WITHOUT_IDENTITY) != 0) {
		result->status = 406;
		close(fd);
		return 0;
	}
	return take_file(fd, request, cached, result);
}

/* Loads from an open descriptor of any type; takes it over. */
static int look_at(const struct root *root, const char *path, int fd,
		   const struct file_lookup_request *request, bool cached,
		   struct lookup_result *result)
{
	struct stat stat;

	result->looked_ns = now_ns();
	if (fstat(fd, &stat) != 0) {
		result->status = 500;
	} else if (S_ISREG(stat.st_mode)) {
		result->facts = facts_of(&stat);
		return look_at_file(root, path, fd, request, cached, result);
	} else {
		result->status = S_ISDIR(stat.st_mode) ? 301 : 403;
	}
	close(fd);
	return 0;
}

/* Lists the directory; takes over the descriptor. */
static void list_directory(const struct root *root, int fd,
			   const struct file_lookup_request *request, struct lookup_result *result)
{
	struct buffer buffer = {0};
	int error = directory_list(root, fd, request->path, view_listing(request->view),
				   request->options->dotfiles, &buffer);

	if (error != 0) {
		result->status = status_of(error);
		buffer_dispose(&buffer);
		return;
	}
	result->status = 200;
	result->listing = true;
	content_set_generated(result, buffer.base, buffer.length);
}

/*
 * A directory without an index is listed, always in another thread, or forbidden; anything else
 * does not exist.
 */
static int look_for_directory(const struct root *root, const struct file_lookup_request *request,
			      bool cached, struct lookup_result *result)
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
	result->suffix = NULL;
	if (request->options->listing && cached) {
		close(fd);
		return -EAGAIN;
	}
	if (request->options->listing) {
		list_directory(root, fd, request, result);
		return 0;
	}
	close(fd);
	result->status = 403;
	result->no_index = true;
	return 0;
}

/* Loads this path of the file system; -ENOENT if there is nothing. */
static int look_at_path(const struct root *root, const char *path,
			const struct file_lookup_request *request, bool cached,
			struct lookup_result *result)
{
	int fd = root_open_file(root, path, cached);

	if (fd >= 0)
		return look_at(root, path, fd, request, cached, result);
	if (fd == -EAGAIN && cached)
		return -EAGAIN;
	result->status = status_of(fd);
	result->error = fd;
	return fd == -ENOENT ? -ENOENT : 0;
}

/* The same with a suffix after the path, which then determines the type. */
static int look_at_longer(const struct root *root, const char *path, size_t length,
			  const char *suffix, const struct file_lookup_request *request,
			  bool cached, struct lookup_result *result)
{
	char longer[RESOLVE_PATH_MAX];

	result->suffix = suffix;
	if (length + strlen(suffix) >= sizeof(longer))
		return 0;
	snprintf(longer, sizeof(longer), "%.*s%s", (int)length, path, suffix);
	return look_at_path(root, longer, request, cached, result);
}

/* A path that ends with a slash: the first index, or the directory. */
static int lookup_index(const struct root *root, const struct file_lookup_request *request,
			bool cached, struct lookup_result *result)
{
	const struct file_lookup_options *options = request->options;
	int error = -ENOENT;

	for (size_t i = 0; i < options->index_count && error == -ENOENT; i++)
		error = look_at_longer(root, request->path + 1, strlen(request->path + 1),
				       options->indexes[i], request, cached, result);
	/* A directory that has the name of the index. */
	if (error == 0 && result->status == 301)
		result->status = 403;
	if (error != -ENOENT)
		return error;
	return look_for_directory(root, request, cached, result);
}

/* A path without a trailing slash; if there is nothing, or a directory, perhaps an HTML file. */
static int lookup_name(const struct root *root, const struct file_lookup_request *request,
		       bool cached, struct lookup_result *result)
{
	const char *path = request->path + 1;
	struct lookup_result page = {.status = 404, .fd = -1};
	int error = look_at_path(root, path, request, cached, result);

	if (!request->options->clean_urls || (error != -ENOENT && result->status != 301))
		return error == -ENOENT ? 0 : error;
	error = look_at_longer(root, path, strlen(path), ".html", request, cached, &page);
	if (error == 0 && page.status == 200)
		*result = page;
	return error == -ENOENT ? 0 : error;
}

/* The fallback if there is no error page. */
static int make_error_page(struct lookup_result *result)
{
	char memory[160], *content;
	struct text text = text_in(memory, sizeof(memory));

	response_write_explanation(&text, 404, NULL);
	content = malloc(text.length);
	if (content == NULL) {
		result->status = 503;
		return 0;
	}
	memcpy(content, memory, text.length);
	*result = (struct lookup_result){.status = 200, .fd = -1, .suffix = ".txt"};
	content_set_generated(result, content, text.length);
	return 0;
}

/* The error page of a directory: its own, or that of the nearest parent with one. */
static int lookup_error_page(const struct root *root, const struct file_lookup_request *request,
			     bool cached, struct lookup_result *result)
{
	const char *path = request->path + 1;
	size_t length = strlen(path);

	for (;;) {
		int error = look_at_longer(root, path, length, ERROR_PAGE, request, cached, result);

		if (error == -EAGAIN || (error == 0 && result->status == 200))
			return error;
		if (length == 0)
			return make_error_page(result);
		do
			length--;
		while (length > 0 && path[length - 1] != '/');
	}
}

static int lookup_beneath(const struct root *root, const struct file_lookup_request *request,
			  bool cached, struct lookup_result *result)
{
	if (site_is_hidden(request->path)) {
		result->status = 404;
		return 0;
	}
	if ((request->view & VIEW_ERROR_PAGE) != 0)
		return lookup_error_page(root, request, cached, result);
	if (request->path[strlen(request->path) - 1] == '/')
		return lookup_index(root, request, cached, result);
	return lookup_name(root, request, cached, result);
}

int file_lookup(const struct file_lookup_request *request, bool cached,
		struct lookup_result *ret_result)
{
	struct root *root;
	int error;

	*ret_result = (struct lookup_result){.status = 414, .fd = -1};
	root = docroot_get(request->docroot, cached);
	if (root == NULL)
		return -EAGAIN;
	error = lookup_beneath(root, request, cached, ret_result);
	root_release(root);
	return error;
}

void lookup_result_dispose(struct lookup_result *result)
{
	if (result->fd >= 0)
		close(result->fd);
	free(result->content);
	result->fd = -1;
	result->content = NULL;
}
