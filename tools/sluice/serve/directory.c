/* SPDX-License-Identifier: MIT */
#include "serve/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/resolve.h"
#include "serve/site.h"

struct names {
	struct listing_item *items;
	size_t count;
	size_t capacity;
	bool truncated;
};

static void names_dispose(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free((char *)(uintptr_t)names->items[i].name);
	free(names->items);
}

/* 0 or -ENOMEM. */
static int names_add(struct names *names, const char *name, const struct stat *stat)
{
	char *copy;

	if (names->count == names->capacity) {
		size_t capacity = names->capacity > 0 ? names->capacity * 2 : 64;
		void *larger = reallocarray(names->items, capacity, sizeof(*names->items));

		if (larger == NULL)
			return -ENOMEM;
		names->items = larger;
		names->capacity = capacity;
	}
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	names->items[names->count++] = (struct listing_item){
		.name = copy,
		.size = (uint64_t)stat->st_size,
		.modified = stat->st_mtim.tv_sec,
		.is_directory = S_ISDIR(stat->st_mode),
	};
	return 0;
}

/* A target with such a character is refused, so a link to it would not work. */
static bool is_servable_name(const char *name)
{
	for (; *name != '\0'; name++) {
		if ((unsigned char)*name < 0x20 || *name == 0x7f)
			return false;
	}
	return true;
}

/* The rules of the site lie in its root. */
static bool is_rule_file(const char *directory, const char *name)
{
	char path[NAME_MAX + 2];

	if (strcmp(directory, "/") != 0)
		return false;
	snprintf(path, sizeof(path), "/%s", name);
	return site_is_hidden(path);
}

/* The target of a symbolic link, if it is beneath the root. */
static bool follow_link(const struct root *root, const char *path, const char *name,
			struct stat *stat)
{
	char full[RESOLVE_PATH_MAX];
	int length = snprintf(full, sizeof(full), "%s%s", path + 1, name), fd;
	bool found;

	if (length >= (int)sizeof(full))
		return false;
	fd = root_open_file(root, full, false);
	if (fd < 0)
		return false;
	found = fstat(fd, stat) == 0;
	close(fd);
	return found;
}

/* Adds the name if a client can fetch it. 0 or -ENOMEM. */
static int look_at_name(const struct root *root, DIR *directory, const char *path, const char *name,
			struct names *names)
{
	struct stat stat;

	if (fstatat(dirfd(directory), name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	if (S_ISLNK(stat.st_mode) && !follow_link(root, path, name, &stat))
		return 0;
	if (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode))
		return 0;
	return names_add(names, name, &stat);
}

static int read_names(const struct root *root, DIR *directory, const char *path, bool dotfiles,
		      struct names *names)
{
	const struct dirent *entry;
	int error = 0;

	while (error == 0 && (errno = 0, entry = readdir(directory)) != NULL) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    (name[0] == '.' && !dotfiles) || !is_servable_name(name) ||
		    is_rule_file(path, name))
			continue;
		if (names->count == DIRECTORY_NAMES_MAX) {
			names->truncated = true;
			return 0;
		}
		error = look_at_name(root, directory, path, name, names);
	}
	return error != 0 ? error : -errno;
}

int directory_list(const struct root *root, int fd, const char *path, struct listing_view view,
		   bool dotfiles, struct buffer *buffer)
{
	DIR *directory = fdopendir(fd);
	struct names names = {0};
	int error;

	if (directory == NULL) {
		error = -errno;
		close(fd);
		return error;
	}
	error = read_names(root, directory, path, dotfiles, &names);
	closedir(directory);
	if (error == 0) {
		listing_sort(names.items, names.count, view);
		listing_write(buffer, span_of(path), names.items, names.count, view,
			      names.truncated);
		error = buffer->failed ? -ENOMEM : 0;
	}
	names_dispose(&names);
	return error;
}
