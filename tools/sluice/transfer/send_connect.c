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
#include "transfer/stagger.h"
#include "transfer/transfer.h"

#define ADDRESSES 16

struct attempt {
	struct sluice_args args;
	struct sluice_socket *socket; /* NULL: not started, or finished */
};

struct attempts {
	struct sluice_engine *engine;
	uint64_t timeout_ns;
	const struct addrinfo *addresses[ADDRESSES];
	struct attempt attempts[ADDRESSES];
	struct stagger stagger;
	int error; /* of the last attempt */
};

static int open_socket(struct sluice_engine *engine, const struct addrinfo *address,
		       struct sluice_socket **ret_socket)
{
	const int yes = 1;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	/* Messages are sent at once; related ones are one send. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	error = sluice_socket_attach(engine, fd, ret_socket);
	if (error != 0)
		close(fd);
	return error;
}

static void begin(struct attempts *attempts)
{
	size_t next = stagger_begin(&attempts->stagger, clock_ns());
	const struct addrinfo *address = attempts->addresses[next];
	struct attempt *attempt = &attempts->attempts[next];
	int error = open_socket(attempts->engine, address, &attempt->socket);

	if (error != 0) {
		attempt->socket = NULL;
	} else {
		attempt->args.remote_address = address->ai_addr;
		attempt->args.remote_address_length = address->ai_addrlen;
		attempt->args.timeout_ns = (int64_t)attempts->timeout_ns;
		error = sluice_connect_async(attempt->socket, &attempt->args);
		/* An immediate failure is handled like a later one. */
		if (error >= 0)
			return;
		sluice_socket_destroy(attempt->socket);
		attempt->socket = NULL;
	}
	attempts->error = error;
	stagger_failed(&attempts->stagger);
}

/* The connected socket, or NULL; after a failure the next attempt may start. */
static struct sluice_socket *look(struct attempts *attempts)
{
	for (size_t i = 0; i < attempts->stagger.begun; i++) {
		struct attempt *attempt = &attempts->attempts[i];
		struct sluice_socket *socket = attempt->socket;

		if (socket == NULL || sluice_args_in_progress(&attempt->args))
			continue;
		attempt->socket = NULL;
		if (attempt->args.error == SLUICE_ERROR_SUCCESS)
			return socket;
		attempts->error = -attempt->args.native_error;
		stagger_failed(&attempts->stagger);
		sluice_socket_destroy(socket);
	}
	return NULL;
}

static bool is_any_open(const struct attempts *attempts)
{
	for (size_t i = 0; i < attempts->stagger.begun; i++) {
		if (attempts->attempts[i].socket != NULL)
			return true;
	}
	return false;
}

static int turn(struct attempts *attempts)
{
	int64_t wait = stagger_wait(&attempts->stagger, clock_ns());
	int result = sluice_engine_run(attempts->engine, wait);

	return result == -EINTR || result > 0 ? 0 : result;
}

static int race(struct attempts *attempts, struct sluice_socket **ret_socket)
{
	int error = 0;

	*ret_socket = NULL;
	while (error == 0) {
		if (stagger_is_due(&attempts->stagger, clock_ns()))
			begin(attempts);
		*ret_socket = look(attempts);
		if (*ret_socket != NULL)
			return 0;
		if (is_any_open(attempts))
			error = turn(attempts);
		else if (attempts->stagger.begun == attempts->stagger.count)
			return attempts->error;
	}
	return error;
}

/* Closes the other attempts and waits for their records. */
static void abandon(struct attempts *attempts)
{
	for (size_t i = 0; i < attempts->stagger.begun; i++) {
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
	attempts.stagger.count = stagger_order(found, attempts.addresses, ADDRESSES);
	error = race(&attempts, ret_socket);
	abandon(&attempts);
	freeaddrinfo(found);
	return error == 0 ? EXIT_OK : say_unreachable(where, strerror(-error));
}
