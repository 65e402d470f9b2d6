/* SPDX-License-Identifier: MIT */
#include "serve/listenset.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct listen_point *add_point(struct listen_set *set, const void *address, socklen_t length,
				      enum listen_kind kind)
{
	struct listen_point *point = &set->points[set->count];

	if (set->count == LISTEN_POINTS_MAX)
		return NULL;
	*point = (struct listen_point){.kind = kind};
	memcpy(&point->address.address, address, length);
	point->address.length = length;
	set->count++;
	return point;
}

static const char *add_path(struct listen_set *set, const char *path, enum listen_kind kind)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path))
		return "a path must have 1 to 107 characters";
	memcpy(address.sun_path, path, strlen(path) + 1);
	return add_point(set, &address, sizeof(address), kind) != NULL ? NULL
								       : "too many addresses";
}

/* Splits "[HOST]:PORT" or "HOST:PORT"; an IPv6 address without brackets has several colons. */
static const char *split_host(const char *text, uint16_t port, char ret_host[256],
			      char ret_service[8])
{
	const char *colon = strrchr(text, ':'), *end = text + strlen(text);
	size_t length;

	if (text[0] == '[') {
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return "not an address";
		colon = end[1] == ':' ? end + 1 : NULL;
		text++;
	} else if (colon != NULL && strchr(text, ':') == colon) {
		end = colon;
	} else {
		colon = NULL;
	}
	length = (size_t)(end - text);
	if (length >= 256)
		return "too long";
	memcpy(ret_host, text, length);
	ret_host[length] = '\0';
	snprintf(ret_service, 8, "%u", port);
	if (colon != NULL) {
		char *rest;
		unsigned long number = strtoul(colon + 1, &rest, 10);

		if (colon[1] < '0' || colon[1] > '9' || *rest != '\0' || number > 65535)
			return "not a port";
		snprintf(ret_service, 8, "%lu", number);
	}
	return NULL;
}

static bool is_added(const struct listen_set *set, const void *added, socklen_t length,
		     enum listen_kind kind)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct listen_address *address = &set->points[i].address;

		if (set->points[i].kind == kind && address->length == length &&
		    memcmp(&address->address, added, length) == 0)
			return true;
	}
	return false;
}

const char *listen_set_add(struct listen_set *set, const char *text, uint16_t port,
			   enum listen_kind kind)
{
	struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found;
	char host[256], service[8];
	const char *wrong = NULL;
	int error;

	if (strncmp(text, "unix:", 5) == 0)
		return add_path(set, text + 5, kind);
	wrong = split_host(text, port, host, service);
	if (wrong != NULL)
		return wrong;
	error = getaddrinfo(host, service, &hints, &found);
	if (error != 0)
		return gai_strerror(error);
	for (const struct addrinfo *info = found; info != NULL && wrong == NULL;
	     info = info->ai_next) {
		if (!is_added(set, info->ai_addr, info->ai_addrlen, kind) &&
		    add_point(set, info->ai_addr, info->ai_addrlen, kind) == NULL)
			wrong = "too many addresses";
	}
	freeaddrinfo(found);
	return wrong;
}

static uint16_t port_of(const struct listen_address *address)
{
	if (address->address.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&address->address)->sin_port);
	if (address->address.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&address->address)->sin6_port);
	return 0;
}

static void set_port(struct listen_address *address, uint16_t port)
{
	if (address->address.ss_family == AF_INET)
		((struct sockaddr_in *)&address->address)->sin_port = htons(port);
	else if (address->address.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&address->address)->sin6_port = htons(port);
}

const char *listen_set_add_port(struct listen_set *set, enum listen_kind of, uint16_t port,
				enum listen_kind kind)
{
	size_t count = set->count;

	for (size_t i = 0; i < count; i++) {
		struct listen_address address = set->points[i].address;

		if (set->points[i].kind != of || address.address.ss_family == AF_UNIX)
			continue;
		set_port(&address, port);
		if (!is_added(set, &address.address, address.length, kind) &&
		    add_point(set, &address.address, address.length, kind) == NULL)
			return "too many addresses";
	}
	return set->count > count ? NULL : "no address has a port";
}

bool listen_set_has(const struct listen_set *set, enum listen_kind kind)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->points[i].kind == kind)
			return true;
	}
	return false;
}

uint16_t listen_set_port(const struct listen_set *set, enum listen_kind kind)
{
	uint16_t port = 0;

	for (size_t i = 0; i < set->count && port == 0; i++) {
		if (set->points[i].kind == kind)
			port = port_of(&set->points[i].address);
	}
	return port;
}

#define INHERITED_FIRST 3

static int inherit_one(struct listen_set *set, int fd, enum listen_kind kind)
{
	struct listen_address address = {.length = sizeof(address.address)};
	int listens = 0;
	socklen_t length = sizeof(listens);
	struct listen_point *point;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0)
		return -errno;
	if (!listens)
		return -EINVAL;
	if (getsockname(fd, (struct sockaddr *)&address.address, &address.length) != 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
		return -errno;
	point = add_point(set, &address.address, address.length, kind);
	if (point == NULL)
		return -E2BIG;
	point->inherited = true;
	point->fds = malloc(sizeof(int));
	if (point->fds == NULL)
		return -ENOMEM;
	point->fds[0] = fd;
	return 0;
}

/* What a descriptor is for, by its name in LISTEN_FDNAMES; other names are a unit's. */
static enum listen_kind kind_of_name(const char *name, size_t length, enum listen_kind other)
{
	static const struct {
		const char *name;
		enum listen_kind kind;
	} names[] = {
		{"https", LISTEN_TLS},
		{"redirect", LISTEN_REDIRECT},
		{"metrics", LISTEN_METRICS},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i].name) == length && memcmp(names[i].name, name, length) == 0)
			return names[i].kind;
	}
	return other;
}

int listen_set_inherit(struct listen_set *set, enum listen_kind kind, const char **ret_hint)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	int count, error = 0, found = 0;

	*ret_hint = "";
	if (pid == NULL || fds == NULL || strtol(pid, NULL, 10) != getpid())
		return 0;
	count = (int)strtol(fds, NULL, 10);
	for (int i = 0; i < count && error == 0; i++) {
		size_t length = names != NULL ? strcspn(names, ":") : 0;
		enum listen_kind named = kind_of_name(names, length, kind);

		if (kind != LISTEN_TLS && (named == LISTEN_TLS || named == LISTEN_REDIRECT)) {
			*ret_hint = "sockets named https or redirect need --tls-cert";
			return -EINVAL;
		}
		error = inherit_one(set, INHERITED_FIRST + i, named);
		found += named == kind;
		if (names != NULL)
			names += length + (names[length] == ':');
	}
	if (error == -EINVAL)
		*ret_hint = "a descriptor that was passed is no listening socket";
	return error != 0 ? error : found;
}

/* Removes a socket on which nothing listens any more. */
static void remove_stale(const struct listen_address *address)
{
	const struct sockaddr_un *path = (const struct sockaddr_un *)&address->address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat stat;

	if (fd < 0)
		return;
	if (lstat(path->sun_path, &stat) == 0 && S_ISSOCK(stat.st_mode) &&
	    connect(fd, (const struct sockaddr *)&address->address, address->length) != 0 &&
	    errno == ECONNREFUSED)
		unlink(path->sun_path);
	close(fd);
}

/* One descriptor for all workers: each gets a copy. */
static int copy_to_workers(struct listen_point *point, int fd, size_t count)
{
	int error = 0;

	point->fds[0] = fd;
	for (size_t i = 1; i < count && error == 0; i++) {
		point->fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, INHERITED_FIRST);
		if (point->fds[i] < 0)
			error = -errno;
	}
	return error;
}

static int open_for_workers(struct listen_point *point, size_t count)
{
	int fd, error;

	if (point->address.address.ss_family != AF_UNIX)
		return listen_open(&point->address, point->fds, count);
	remove_stale(&point->address);
	error = listen_open(&point->address, &fd, 1);
	point->made = error == 0;
	return error == 0 ? copy_to_workers(point, fd, count) : error;
}

static void close_point(struct listen_set *set, struct listen_point *point)
{
	const struct sockaddr_un *path = (const struct sockaddr_un *)&point->address.address;

	for (size_t i = 0; point->fds != NULL && i < set->workers; i++) {
		if (point->fds[i] >= 0)
			close(point->fds[i]);
		point->fds[i] = -1;
	}
	if (point->made)
		unlink(path->sun_path);
	point->made = false;
}

static int open_point(struct listen_set *set, struct listen_point *point)
{
	size_t count = point->kind == LISTEN_METRICS ? 1 : set->workers;
	int inherited = point->inherited ? point->fds[0] : -1;
	int *fds = reallocarray(point->fds, set->workers, sizeof(int));

	if (fds == NULL)
		return -ENOMEM;
	point->fds = fds;
	for (size_t i = 0; i < set->workers; i++)
		fds[i] = -1;
	return inherited >= 0 ? copy_to_workers(point, inherited, count)
			      : open_for_workers(point, count);
}

int listen_set_open(struct listen_set *set, size_t workers, struct listen_point **ret_wrong)
{
	uint16_t chosen[LISTEN_KINDS] = {0};

	set->workers = workers;
	for (size_t i = 0; i < set->count; i++) {
		struct listen_point *point = &set->points[i];
		bool any = point->kind != LISTEN_METRICS && !point->inherited &&
			   port_of(&point->address) == 0;
		int error;

		if (any && chosen[point->kind] != 0)
			set_port(&point->address, chosen[point->kind]);
		error = open_point(set, point);
		if (error != 0) {
			*ret_wrong = point;
			return error;
		}
		if (any)
			chosen[point->kind] = port_of(&point->address);
	}
	return 0;
}

void listen_set_close(struct listen_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		close_point(set, &set->points[i]);
		free(set->points[i].fds);
		set->points[i].fds = NULL;
	}
	set->count = 0;
}
