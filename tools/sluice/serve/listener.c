/* SPDX-License-Identifier: MIT */
#include "serve/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel limits it to net.core.somaxconn */
#define RETRIES 40   /* if a port is in use */
#define RETRY_NS 50000000

const char *listen_resolve(const char *host, uint16_t port, struct listen_address *ret_address)
{
	struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found;
	char name[256], service[8];
	size_t length = strlen(host);
	int error;

	/* As a URL writes it: [::1] */
	if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
		host++;
		length -= 2;
	}
	if (length >= sizeof(name))
		return "too long";
	memcpy(name, host, length);
	name[length] = '\0';
	snprintf(service, sizeof(service), "%u", port);
	error = getaddrinfo(name, service, &hints, &found);
	if (error != 0)
		return gai_strerror(error);
	memcpy(&ret_address->address, found->ai_addr, found->ai_addrlen);
	ret_address->length = found->ai_addrlen;
	freeaddrinfo(found);
	return NULL;
}

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int open_bound(const struct listen_address *address, bool shared)
{
	int fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	/* Accepted sockets inherit TCP_NODELAY: each response is sent whole, without delay. */
	if (address->address.ss_family == AF_UNIX) {
		if (bind(fd, (const struct sockaddr *)&address->address, address->length) == 0)
			return fd;
	} else if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 &&
		   (!shared || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0) &&
		   set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0 &&
		   (address->address.ss_family != AF_INET6 ||
		    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == 0) &&
		   bind(fd, (const struct sockaddr *)&address->address, address->length) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static int open_listening(struct listen_address *address, bool shared)
{
	int fd = open_bound(address, shared);
	int error;

	if (fd < 0)
		return fd;
	if (listen(fd, BACKLOG) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address->address, &address->length) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/*
 * SO_REUSEPORT would also share the port with another daemon of the same user, silently: a socket
 * without it is bound first, to test whether the port is free.
 */
static int check_free(const struct listen_address *address)
{
	int fd = open_bound(address, false);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int open_all(struct listen_address *address, int *ret_fds, size_t count)
{
	int error = count > 1 ? check_free(address) : 0;

	for (size_t i = 0; i < count && error == 0; i++) {
		ret_fds[i] = open_listening(address, count > 1);
		if (ret_fds[i] >= 0)
			continue;
		error = ret_fds[i];
		while (i-- > 0)
			close(ret_fds[i]);
		break;
	}
	return error;
}

/* The kernel releases a ring and its sockets some time after the process has ended. */
int listen_open(struct listen_address *address, int *ret_fds, size_t count)
{
	const struct timespec pause = {.tv_nsec = RETRY_NS};
	const struct listen_address asked = *address;
	int error = open_all(address, ret_fds, count);

	for (int i = 0; i < RETRIES && error == -EADDRINUSE; i++) {
		nanosleep(&pause, NULL);
		*address = asked;
		error = open_all(address, ret_fds, count);
	}
	return error;
}

static bool write_path(const struct listen_address *address, char *ret_text, size_t size)
{
	const struct sockaddr_un *path = (const struct sockaddr_un *)&address->address;

	if (address->address.ss_family != AF_UNIX)
		return false;
	snprintf(ret_text, size, "unix:%s", path->sun_path);
	return true;
}

void listen_text(const struct listen_address *address, char *ret_text, size_t size)
{
	char host[NI_MAXHOST] = "?", service[NI_MAXSERV] = "?";
	bool is_v6 = address->address.ss_family == AF_INET6;

	if (write_path(address, ret_text, size))
		return;
	getnameinfo((const struct sockaddr *)&address->address, address->length, host, sizeof(host),
		    service, sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(ret_text, size, is_v6 ? "[%s]:%s" : "%s:%s", host, service);
}

void listen_url(const struct listen_address *address, const char *scheme, char *ret_url,
		size_t size)
{
	char host[NI_MAXHOST] = "localhost", service[NI_MAXSERV] = "";
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->address;
	bool is_v6 = address->address.ss_family == AF_INET6;
	bool any = is_v6 ? IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)
			 : v4->sin_addr.s_addr == htonl(INADDR_ANY);

	if (write_path(address, ret_url, size))
		return;
	getnameinfo((const struct sockaddr *)&address->address, address->length, host, sizeof(host),
		    service, sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV);
	if (any)
		snprintf(ret_url, size, "%s://localhost:%s/", scheme, service);
	else
		snprintf(ret_url, size, is_v6 ? "%s://[%s]:%s/" : "%s://%s:%s/", scheme, host,
			 service);
}
