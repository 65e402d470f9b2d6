/* SPDX-License-Identifier: MIT */
#include "transfer/send_connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sluice/sluice.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "transfer/channel.h"
#include "transfer/transfer.h"

#define STAGGER_NS UINT64_C(250000000)
#define ADDRESSES 16

struct attempt {
	struct sluice_args args;
	struct sluice_socket *socket; /* NULL: not begun, or over */
};

struct attempts {
	struct sluice_engine *engine;
	uint64_t timeout_ns;
	const struct addrinfo *addresses[ADDRESSES];
	struct attempt attempts[ADDRESSES];
	size_t count;
	size_t begun;
	uint64_t next_ns; /* when the next one begins */
	int error;        /* the last one's */
};

static int open_socket(struct sluice_engine *engine, const struct addrinfo *address,
		       struct sluice_socket **ret_socket)
{
	const int yes = 1;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	/* Messages leave at once; what belongs together is one send. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	error = sluice_socket_attach(engine, fd, ret_socket);
	if (error != 0)
		close(fd);
	return error;
}

/*
 * Every second address is one of another family than the first's, as long as there are such: a
 * family that does not work here costs one attempt.
 */
static void choose(struct attempts *attempts, const struct addrinfo *found)
{
	const struct addrinfo *first = found, *other = found;
	bool take_first = true;

	while (attempts->count < ADDRESSES && (first != NULL || other != NULL)) {
		while (first != NULL && first->ai_family != found->ai_family)
			first = first->ai_next;
		while (other != NULL && other->ai_family == found->ai_family)
			other = other->ai_next;
		if (first != NULL && (take_first || other == NULL)) {
			attempts->addresses[attempts->count++] = first;
			first = first->ai_next;
		} else if (other != NULL) {
			attempts->addresses[attempts->count++] = other;
			other = other->ai_next;
		}
		take_first = !take_first;
	}
}

static void begin(struct attempts *attempts)
{
	const struct addrinfo *address = attempts->addresses[attempts->begun];
	struct attempt *attempt = &attempts->attempts[attempts->begun++];
	int error = open_socket(attempts->engine, address, &attempt->socket);

	attempts->next_ns = clock_ns() + STAGGER_NS;
	if (error != 0) {
		attempt->socket = NULL;
	} else {
		attempt->args.remote_address = address->ai_addr;
		attempt->args.remote_address_length = address->ai_addrlen;
		attempt->args.timeout_ns = (int64_t)attempts->timeout_ns;
		error = sluice_connect_async(attempt->socket, &attempt->args);
		/* What failed at once is looked at like what fails later. */
		if (error >= 0)
			return;
		sluice_socket_destroy(attempt->socket);
		attempt->socket = NULL;
	}
	attempts->error = error;
	attempts->next_ns = 0;
}

/* The socket that is connected, or NULL; what failed makes way for the next one. */
static struct sluice_socket *look(struct attempts *attempts)
{
	for (size_t i = 0; i < attempts->begun; i++) {
		struct attempt *attempt = &attempts->attempts[i];
		struct sluice_socket *socket = attempt->socket;

		if (socket == NULL || sluice_args_in_progress(&attempt->args))
			continue;
		attempt->socket = NULL;
		if (attempt->args.error == SLUICE_ERROR_SUCCESS)
			return socket;
		attempts->error = -attempt->args.native_error;
		attempts->next_ns = 0;
		sluice_socket_destroy(socket);
	}
	return NULL;
}

static bool is_any_open(const struct attempts *attempts)
{
	for (size_t i = 0; i < attempts->begun; i++) {
		if (attempts->attempts[i].socket != NULL)
			return true;
	}
	return false;
}

static int turn(struct attempts *attempts)
{
	uint64_t now = clock_ns();
	int64_t wait = -1;
	int result;

	if (attempts->begun < attempts->count)
		wait = attempts->next_ns > now ? (int64_t)(attempts->next_ns - now) : 0;
	result = sluice_engine_run(attempts->engine, wait);
	return result == -EINTR || result > 0 ? 0 : result;
}

static int race(struct attempts *attempts, struct sluice_socket **ret_socket)
{
	int error = 0;

	*ret_socket = NULL;
	while (error == 0) {
		if (attempts->begun < attempts->count && clock_ns() >= attempts->next_ns)
			begin(attempts);
		*ret_socket = look(attempts);
		if (*ret_socket != NULL)
			return 0;
		if (is_any_open(attempts))
			error = turn(attempts);
		else if (attempts->begun == attempts->count)
			return attempts->error;
	}
	return error;
}

/* The others: closed, and their records are over before the memory goes. */
static void abandon(struct attempts *attempts)
{
	for (size_t i = 0; i < attempts->begun; i++) {
		struct attempt *attempt = &attempts->attempts[i];

		if (attempt->socket == NULL)
			continue;
		sluice_socket_close(attempt->socket);
		while (sluice_args_in_progress(&attempt->args) &&
		       sluice_engine_run(attempts->engine, CHANNEL_TURN_NS) != -EPERM)
			;
		sluice_socket_destroy(attempt->socket);
		attempt->socket = NULL;
	}
}

static int say_unreachable(const char *where, const char *why)
{
	fprintf(stderr, "sluice send: %s: %s\n", where, why);
	return EXIT_NETWORK;
}

int connect_host(struct sluice_engine *engine, const char *where, const struct address *address,
		 uint64_t timeout_ns, struct sluice_socket **ret_socket)
{
	static struct attempts attempts;
	struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char service[8];
	int error;

	snprintf(service, sizeof(service), "%u", address->port);
	error = getaddrinfo(address->host, service, &hints, &found);
	if (error != 0)
		return say_unreachable(where, gai_strerror(error));
	attempts = (struct attempts){
		.engine = engine,
		.timeout_ns = timeout_ns,
		.error = -EADDRNOTAVAIL,
	};
	choose(&attempts, found);
	error = race(&attempts, ret_socket);
	abandon(&attempts);
	freeaddrinfo(found);
	return error == 0 ? EXIT_OK : say_unreachable(where, strerror(-error));
}
