/* SPDX-License-Identifier: MIT */
#include "serve/load.h"

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

/* Takes over the descriptor of a regular file; returns like load_file. */
static int take_file(int fd, const struct load_request *request, bool cached, struct loaded *loaded)
{
	int error = 0;

	loaded->status = 200;
	loaded->unchanged = request->known && file_facts_equal(&loaded->facts, &request->facts);
	if (!loaded->unchanged) {
		error = content_take(fd, request, cached, loaded);
		if (error == 0 && loaded->content == NULL) {
			loaded->fd = fd;
			return 0;
		}
		if (error != 0) {
			loaded->status = status_of(error);
			loaded->error = error;
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

/* Loads a regular file that was opened at the path; takes over the descriptor. */
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

/* Loads from an open descriptor of any type; takes it over. */
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

/* Lists the directory; takes over the descriptor. */
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
	content_set_generated(loaded, buffer.base, buffer.length);
}

/*
 * A directory without an index is listed, always in another thread, or forbidden; anything else
 * does not exist.
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
	loaded->suffix = NULL;
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

/* Loads this path of the file system; -ENOENT if there is nothing. */
static int look_at_path(const struct root *root, const char *path,
			const struct load_request *request, bool cached, struct loaded *loaded)
{
	int fd = root_open_file(root, path, cached);

	if (fd >= 0)
		return look_at(root, path, fd, request, cached, loaded);
	if (fd == -EAGAIN && cached)
		return -EAGAIN;
	loaded->status = status_of(fd);
	loaded->error = fd;
	return fd == -ENOENT ? -ENOENT : 0;
}

/* The same with a suffix after the path, which then determines the type. */
static int look_at_longer(const struct root *root, const char *path, size_t length,
			  const char *suffix, const struct load_request *request, bool cached,
			  struct loaded *loaded)
{
	char longer[RESOLVE_PATH_MAX];

	loaded->suffix = suffix;
	if (length + strlen(suffix) >= sizeof(longer))
		return 0;
	snprintf(longer, sizeof(longer), "%.*s%s", (int)length, path, suffix);
	return look_at_path(root, longer, request, cached, loaded);
}

/* A path that ends with a slash: the first index, or the directory. */
static int load_index(const struct root *root, const struct load_request *request, bool cached,
		      struct loaded *loaded)
{
	const struct load_options *options = request->options;
	int error = -ENOENT;

	for (size_t i = 0; i < options->index_count && error == -ENOENT; i++)
		error = look_at_longer(root, request->path + 1, strlen(request->path + 1),
				       options->indexes[i], request, cached, loaded);
	/* A directory that has the name of the index. */
	if (error == 0 && loaded->status == 301)
		loaded->status = 403;
	if (error != -ENOENT)
		return error;
	return look_for_directory(root, request, cached, loaded);
}

/* A path without a trailing slash; if there is nothing, or a directory, perhaps an HTML file. */
static int load_name(const struct root *root, const struct load_request *request, bool cached,
		     struct loaded *loaded)
{
	const char *path = request->path + 1;
	struct loaded page = {.status = 404, .fd = -1};
	int error = look_at_path(root, path, request, cached, loaded);

	if (!request->options->clean_urls || (error != -ENOENT && loaded->status != 301))
		return error == -ENOENT ? 0 : error;
	error = look_at_longer(root, path, strlen(path), ".html", request, cached, &page);
	if (error == 0 && page.status == 200)
		*loaded = page;
	return error == -ENOENT ? 0 : error;
}

/* The fallback if there is no error page. */
static int make_error_page(struct loaded *loaded)
{
	char memory[160], *content;
	struct text text = text_in(memory, sizeof(memory));

	response_write_explanation(&text, 404, NULL);
	content = malloc(text.length);
	if (content == NULL) {
		loaded->status = 503;
		return 0;
	}
	memcpy(content, memory, text.length);
	*loaded = (struct loaded){.status = 200, .fd = -1, .suffix = ".txt"};
	content_set_generated(loaded, content, text.length);
	return 0;
}

/* The error page of a directory: its own, or that of the nearest parent with one. */
static int load_error_page(const struct root *root, const struct load_request *request, bool cached,
			   struct loaded *loaded)
{
	const char *path = request->path + 1;
	size_t length = strlen(path);

	for (;;) {
		int error = look_at_longer(root, path, length, ERROR_PAGE, request, cached, loaded);

		if (error == -EAGAIN || (error == 0 && loaded->status == 200))
			return error;
		if (length == 0)
			return make_error_page(loaded);
		do
			length--;
		while (length > 0 && path[length - 1] != '/');
	}
}

static int load_beneath(const struct root *root, const struct load_request *request, bool cached,
			struct loaded *loaded)
{
	if (site_is_hidden(request->path)) {
		loaded->status = 404;
		return 0;
	}
	if ((request->view & VIEW_ERROR_PAGE) != 0)
		return load_error_page(root, request, cached, loaded);
	if (request->path[strlen(request->path) - 1] == '/')
		return load_index(root, request, cached, loaded);
	return load_name(root, request, cached, loaded);
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
