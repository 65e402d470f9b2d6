/* SPDX-License-Identifier: MIT */
#include "serve/docroot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12; missing in older headers */
#endif

#define READING (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define OPENING_ROOT (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

#define LINKS_MAX 40    /* the kernel's limit */
#define RESTARTS_MAX 64 /* of a walk, because links may lead upwards */
#define TRIES_MAX 1000  /* to open a file despite renames or leases */

static int open_how(int fd, const char *path, int flags, unsigned long long resolve)
{
	struct open_how how = {.flags = (unsigned long long)flags, .resolve = resolve};
	int opened = (int)syscall(SYS_openat2, fd, path, &how, sizeof(how));

	return opened >= 0 ? opened : -errno;
}

static int open_beneath(int fd, const char *path, int flags, unsigned long long resolve)
{
	return open_how(fd, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve);
}

static bool can_open(int fd, unsigned long long resolve)
{
	int opened = open_beneath(fd, ".", O_PATH | O_CLOEXEC, resolve);

	if (opened >= 0)
		close(opened);
	return opened >= 0 || opened == -EAGAIN;
}

/* The directory's path without symbolic links, from malloc; NULL if /proc is not mounted. */
static char *real_path_of(int fd)
{
	char name[32], path[PATH_MAX];
	ssize_t length;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	length = readlink(name, path, sizeof(path));
	if (length <= 0 || length == sizeof(path) || path[0] != '/')
		return NULL;
	return strndup(path, (size_t)length);
}

/* Takes over the descriptor; NULL: out of memory. */
static struct root *root_of(int fd, const struct stat *stat, const char *given)
{
	struct root *root = calloc(1, sizeof(*root));

	if (root == NULL) {
		close(fd);
		return NULL;
	}
	atomic_init(&root->references, 1);
	root->fd = fd;
	root->device = stat->st_dev;
	root->inode = stat->st_ino;
	root->has_openat2 = can_open(fd, 0);
	root->has_cached = root->has_openat2 && can_open(fd, RESOLVE_CACHED);
	root->given = given;
	root->real = real_path_of(fd);
	return root;
}

static struct root *root_hold(struct root *root)
{
	atomic_fetch_add(&root->references, 1);
	return root;
}

void root_release(struct root *root)
{
	if (root == NULL || atomic_fetch_sub(&root->references, 1) > 1)
		return;
	close(root->fd);
	free(root->real);
	free(root);
}

/* The served path */

static uint64_t now_s(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec;
}

/* It is opened again later, so it must not depend on the working directory. */
static char *absolute_path(const char *directory)
{
	char here[PATH_MAX], *path;

	while (directory[0] == '.' && directory[1] == '/')
		directory += 1 + strspn(directory + 1, "/");
	if (directory[0] == '\0')
		directory = ".";
	if (directory[0] == '/' || getcwd(here, sizeof(here)) == NULL || here[0] != '/')
		return strdup(directory);
	if (strcmp(directory, ".") == 0)
		return strdup(here);
	return asprintf(&path, "%s/%s", here, directory) >= 0 ? path : NULL;
}

int docroot_open(struct docroot *docroot, const char *directory, uint64_t revalidate_s)
{
	struct stat stat;
	int fd = open(directory, OPENING_ROOT), error;

	if (fd < 0)
		return -errno;
	docroot->path = absolute_path(directory);
	if (docroot->path == NULL || fstat(fd, &stat) != 0) {
		error = docroot->path == NULL ? -ENOMEM : -errno;
		free(docroot->path);
		close(fd);
		return error;
	}
	docroot->current = root_of(fd, &stat, docroot->path);
	if (docroot->current == NULL) {
		free(docroot->path);
		return -ENOMEM;
	}
	docroot->revalidate_s = revalidate_s;
	docroot->checked = now_s();
	pthread_mutex_init(&docroot->lock, NULL);
	return 0;
}

void docroot_close(struct docroot *docroot)
{
	if (docroot->current == NULL)
		return;
	root_release(docroot->current);
	docroot->current = NULL;
	pthread_mutex_destroy(&docroot->lock);
	free(docroot->path);
}

/*
 * Opens the path again. 0 with the new directory, or with NULL if it is unchanged or cannot be
 * opened; -EAGAIN: that would block.
 */
static int check(const struct docroot *docroot, const struct root *old, bool cached,
		 struct root **ret_root)
{
	struct stat stat;
	int fd;

	*ret_root = NULL;
	if (!cached)
		fd = open(docroot->path, OPENING_ROOT);
	else if (old->has_cached)
		fd = open_how(AT_FDCWD, docroot->path, OPENING_ROOT, RESOLVE_CACHED);
	else
		fd = -EAGAIN;
	if (fd == -EAGAIN && cached)
		return -EAGAIN;
	if (fd < 0)
		return 0;
	if (fstat(fd, &stat) != 0 || (stat.st_dev == old->device && stat.st_ino == old->inode)) {
		close(fd);
		return 0;
	}
	*ret_root = root_of(fd, &stat, docroot->path);
	return 0;
}

struct root *docroot_get(struct docroot *docroot, bool cached)
{
	struct root *root, *latest, *previous = NULL;
	uint64_t now = now_s();
	int error;

	pthread_mutex_lock(&docroot->lock);
	root = root_hold(docroot->current);
	/* One thread checks; the others use the last directory, in case the check hangs. */
	if (docroot->checking || now - docroot->checked < docroot->revalidate_s) {
		pthread_mutex_unlock(&docroot->lock);
		return root;
	}
	docroot->checking = true;
	pthread_mutex_unlock(&docroot->lock);

	error = check(docroot, root, cached, &latest);
	pthread_mutex_lock(&docroot->lock);
	docroot->checking = false;
	if (error == 0)
		docroot->checked = now;
	if (latest != NULL) {
		previous = docroot->current;
		docroot->current = root_hold(latest);
	}
	pthread_mutex_unlock(&docroot->lock);
	root_release(previous);
	if (error == 0 && latest == NULL)
		return root;
	root_release(root);
	return latest;
}

int docroot_reopen(struct docroot *docroot)
{
	int fd = open(docroot->path, OPENING_ROOT);
	struct root *root, *previous;
	struct stat stat;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &stat) != 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	root = root_of(fd, &stat, docroot->path);
	if (root == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&docroot->lock);
	previous = docroot->current;
	docroot->current = root;
	docroot->checked = now_s();
	pthread_mutex_unlock(&docroot->lock);
	root_release(previous);
	return 0;
}

/* Paths beneath the directory */

/* A walk from the root to a file, one directory at a time. */
struct walk {
	const struct root *root;
	int directory;       /* the current directory: the root's own descriptor or another */
	char done[PATH_MAX]; /* from the root to it: real directories, each after a slash */
	char rest[PATH_MAX]; /* still to be walked */
	int links;
	int restarts;
};

static void leave_directory(struct walk *walk)
{
	if (walk->directory != walk->root->fd)
		close(walk->directory);
	walk->directory = walk->root->fd;
}

/* Joins two parts into the rest; 0 or -ENAMETOOLONG. */
static int set_rest(struct walk *walk, const char *front, const char *back)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/%s", front, back);

	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(walk->rest, path, (size_t)length + 1);
	return 0;
}

static bool is_same_path(const char *path, const char *other)
{
	size_t length = other != NULL ? strlen(other) : 0;

	while (length > 0 && other[length - 1] == '/')
		length--;
	return other != NULL && strncmp(path, other, length) == 0 && path[length] == '\0';
}

/* Appends a segment to a path without dot segments; false: too long. */
static bool add_segment(char path[PATH_MAX], const char *segment, size_t length)
{
	size_t end = strlen(path);

	if (length == 1 && segment[0] == '.')
		return true;
	if (length == 2 && segment[0] == '.' && segment[1] == '.') {
		while (end > 0 && path[--end] != '/')
			;
		path[end] = '\0';
		return true;
	}
	if (end + 1 + length >= PATH_MAX)
		return false;
	path[end] = '/';
	memcpy(path + end + 1, segment, length);
	path[end + 1 + length] = '\0';
	return true;
}

/*
 * Continues at an absolute path that leads to the root, by its given name or its real one, and from
 * there downwards. Else -EXDEV.
 */
static int go_to_absolute(struct walk *walk, const char *path)
{
	char plain[PATH_MAX] = "";

	while (!is_same_path(plain, walk->root->real) && !is_same_path(plain, walk->root->given)) {
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length == 0)
			return -EXDEV;
		if (!add_segment(plain, path, length))
			return -ENAMETOOLONG;
		path += length;
	}
	leave_directory(walk);
	walk->done[0] = '\0';
	return set_rest(walk, "", path);
}

/*
 * Continues one directory above the current one, which may be the root: the path may return there.
 */
static int go_up(struct walk *walk, const char *rest)
{
	const char *from = walk->done[0] != '\0' ? walk->done : walk->root->real;
	char above[PATH_MAX], path[PATH_MAX];
	int length;

	if (++walk->restarts > RESTARTS_MAX)
		return -ELOOP;
	if (from == NULL)
		return -EXDEV;
	length = snprintf(above, sizeof(above), "%s", from);
	if (length >= PATH_MAX || !add_segment(above, "..", 2))
		return -ENAMETOOLONG;
	length = snprintf(path, sizeof(path), "%s/%s", above, rest);
	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	if (walk->done[0] == '\0')
		return go_to_absolute(walk, path);
	leave_directory(walk);
	walk->done[0] = '\0';
	return set_rest(walk, "", path);
}

/* Follows a link in the current directory. 0; -EINVAL: not a link; or -errno. */
static int follow(struct walk *walk, const char *name, const char *rest)
{
	char target[PATH_MAX], path[PATH_MAX];
	ssize_t length = readlinkat(walk->directory, name, target, sizeof(target));

	if (length < 0)
		return -errno;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	if (length == 0 || length == sizeof(target))
		return -ENAMETOOLONG;
	target[length] = '\0';
	if (target[0] != '/')
		return set_rest(walk, target, rest);
	if (snprintf(path, sizeof(path), "%s/%s", target, rest) >= PATH_MAX)
		return -ENAMETOOLONG;
	return go_to_absolute(walk, path);
}

/* Opens a name in the current directory, and enters it unless it is the last. */
static int enter(struct walk *walk, const char *name, const char *rest, bool last)
{
	int flags = last ? READING : O_PATH | O_DIRECTORY | O_CLOEXEC;
	int opened = openat(walk->directory, name, flags | O_NOFOLLOW), error;

	if (opened >= 0 && last)
		return opened;
	if (opened >= 0) {
		leave_directory(walk);
		walk->directory = opened;
		if (!add_segment(walk->done, name, strlen(name)))
			return -ENAMETOOLONG;
		memmove(walk->rest, rest, strlen(rest) + 1);
		return -EAGAIN;
	}
	/* EAGAIN (a lease on the file) has another meaning here. */
	opened = errno == EAGAIN ? -EBUSY : -errno;
	if (opened != -ELOOP && opened != -ENOTDIR)
		return opened;
	error = follow(walk, name, rest);
	if (error == 0)
		return -EAGAIN;
	return error == -EINVAL ? opened : error;
}

/* Walks one segment. The descriptor of the file; -EAGAIN: more segments follow; or -errno. */
static int step(struct walk *walk)
{
	const char *start = walk->rest + strspn(walk->rest, "/"), *rest;
	size_t length = strcspn(start, "/");
	char name[NAME_MAX + 1];

	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, start, length);
	name[length] = '\0';
	rest = start + length + strspn(start + length, "/");
	if (strcmp(name, "..") == 0)
		return go_up(walk, rest) == 0 ? -EAGAIN : -EXDEV;
	if (length == 0 || strcmp(name, ".") == 0) {
		if (rest[0] == '\0')
			return enter(walk, ".", "", true);
		memmove(walk->rest, rest, strlen(rest) + 1);
		return -EAGAIN;
	}
	return enter(walk, name, rest, rest[0] == '\0');
}

/*
 * Used if openat2 is missing, or refuses a link because its text leads outside: walks one directory
 * at a time from the root, following each link by its text. Names are opened without following
 * links, and dot-dot is never opened, so that the walk stays beneath the root despite concurrent
 * renames.
 */
static int walk_to_file(const struct root *root, const char *path)
{
	struct walk walk = {.root = root, .directory = root->fd};
	int opened = set_rest(&walk, "", path);

	if (opened < 0)
		return opened;
	do {
		opened = step(&walk);
	} while (opened == -EAGAIN);
	leave_directory(&walk);
	return opened;
}

int root_open_file(const struct root *root, const char *path, bool cached)
{
	int opened, tries = 0;

	if (cached && !root->has_cached)
		return -EAGAIN;
	if (!root->has_openat2)
		return walk_to_file(root, path);
	/* Without RESOLVE_CACHED, EAGAIN means that something was renamed during the lookup. */
	do {
		opened = open_beneath(root->fd, path, READING, cached ? RESOLVE_CACHED : 0);
	} while (opened == -EINTR || (opened == -EAGAIN && !cached && ++tries < TRIES_MAX));
	if (opened == -EXDEV)
		return cached ? -EAGAIN : walk_to_file(root, path);
	return opened;
}
