/* SPDX-License-Identifier: MIT */
/*
 * Probes the kernel by real operations with private engines: one with all capabilities, and one
 * with the defaults, which respects the environment.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sluice/probe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <sluice/operations.h>

#include "backend/backend.h"
#include "base/capability.h"
#include "engine/arena.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "life/engine.h"

#define TIMEOUT_NS 1000000000 /* for operations that take microseconds */

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	*(bool *)token = true;
	sluice_socket_destroy(accepted->socket);
	(void)listener;
}

static void on_received(struct sluice_socket *socket, const struct sluice_received *received,
			void *token)
{
	*(bool *)token = true;
	sluice_buffer_release(sluice_socket_engine(socket), received->buffer);
}

static void run_until(struct sluice_engine *engine, const bool *happened)
{
	uint64_t end = sluice__now() + TIMEOUT_NS;

	while (!*happened && sluice__now() < end)
		sluice_engine_run(engine, TIMEOUT_NS / 10);
}

/* Receives one byte through receive_start, which detects a missing multishot. */
static void try_receiving(struct sluice_engine *engine, bool *happened)
{
	struct sluice_receive_options options = {sizeof options, on_received, happened};
	struct sluice_socket *socket;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	if (sluice_socket_attach(engine, pair[0], &socket) < 0) {
		close(pair[0]);
		close(pair[1]);
		return;
	}
	if (write(pair[1], "", 1) == 1 && sluice_receive_start(socket, &options) == 0)
		run_until(engine, happened);
	sluice_socket_destroy(socket);
	close(pair[1]);
}

static int listening_descriptor(struct sockaddr_un *address, socklen_t *length)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	/* Without a path the kernel assigns a name. */
	if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)) < 0 ||
	    listen(fd, 1) < 0 || getsockname(fd, (struct sockaddr *)address, length) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static void try_accepting(struct sluice_engine *engine, bool *happened)
{
	struct sluice_accept_options options = {sizeof options, on_accepted, happened};
	struct sockaddr_un address;
	socklen_t length = sizeof address;
	struct sluice_socket *listener;
	int fd = listening_descriptor(&address, &length);
	int peer;

	if (fd < 0)
		return;
	if (sluice_socket_attach(engine, fd, &listener) < 0) {
		close(fd);
		return;
	}
	peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (peer >= 0 && sluice_accept_start(listener, &options) == 0 &&
	    connect(peer, (struct sockaddr *)&address, length) == 0)
		run_until(engine, happened);
	if (peer >= 0)
		close(peer);
	sluice_socket_destroy(listener);
}

/* ---- sending ---- */

#define PAGE 4096u

/* State that lives until the engine ends. */
struct trial {
	bool received, accepted;
	struct sluice_args sends[3];
	char *memory; /* two pages */
};

/* A connected TCP pair: zero copy is only for TCP. */
static bool tcp_pair(int pair[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair[1] = -1;
	if (listener >= 0 && pair[0] >= 0 &&
	    bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0 &&
	    getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
	    connect(pair[0], (struct sockaddr *)&address, length) == 0)
		pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (listener >= 0)
		close(listener);
	if (pair[1] < 0 && pair[0] >= 0)
		close(pair[0]);
	return pair[1] >= 0;
}

static void send_one(struct sluice_socket *socket, struct sluice_args *args,
		     const struct iovec *segments, uint32_t count)
{
	uint64_t end = sluice__now() + TIMEOUT_NS;

	sluice_args_set_buffer_list(args, segments, count);
	if (sluice_send_async(socket, args) < 0)
		return;
	while (sluice_args_in_progress(args) && sluice__now() < end)
		sluice_engine_run(sluice_socket_engine(socket), TIMEOUT_NS / 10);
}

/*
 * Sends once by zero copy, once from registered memory, and once two segments of it: a refusal of
 * the kernel clears the capability. Only on an engine that sends everything by zero copy.
 */
static void try_sending(struct sluice_engine *engine, struct trial *trial)
{
	struct sluice_socket *socket;
	struct iovec segments[2];
	int pair[2];

	trial->memory = aligned_alloc(PAGE, 2 * PAGE);
	if (!trial->memory || !tcp_pair(pair))
		return;
	memset(trial->memory, 0, 2 * PAGE);
	segments[0] = (struct iovec){trial->memory, PAGE / 2};
	segments[1] = (struct iovec){trial->memory + PAGE, PAGE / 2};
	if (sluice_socket_attach(engine, pair[0], &socket) == 0) {
		send_one(socket, &trial->sends[0], segments, 1);
		if (sluice_engine_register_memory(engine, trial->memory, 2 * PAGE) == 0) {
			send_one(socket, &trial->sends[1], segments, 1);
			send_one(socket, &trial->sends[2], segments, 2);
		}
		sluice_socket_destroy(socket);
	} else {
		close(pair[0]);
	}
	close(pair[1]);
}

/* ---- engines ---- */

/* Retries: a closed ring's memory counts against RLIMIT_MEMLOCK for a few milliseconds more. */
static int make_with_retries(struct sluice_engine **ret_engine,
			     const struct sluice_options *options,
			     const struct sluice__backend *backend)
{
	struct timespec pause = {0, 10000000};
	int error;

	for (int i = 0; i < 10; i++) {
		error = sluice__engine_make(ret_engine, options, backend);
		if (error != -ENOMEM)
			break;
		nanosleep(&pause, NULL);
	}
	return error;
}

/* Gets the capabilities of a backend with these options, after a few operations. 0 or -errno. */
static int try_backend(const struct sluice_options *options, const struct sluice__backend *backend,
		       struct sluice_probe *probe, uint32_t *ret_capabilities)
{
	struct trial trial = {0};
	struct sluice_engine *engine;
	int error = make_with_retries(&engine, options, backend);

	*ret_capabilities = 0;
	if (error)
		return error;
	error = sluice_engine_flush(engine);
	if (!error) {
		try_receiving(engine, &trial.received);
		try_accepting(engine, &trial.accepted);
		if (options->transmit_way == SLUICE_TRANSMIT_WAY_ZEROCOPY)
			try_sending(engine, &trial);
		sluice_engine_fd(engine); /* probes its eventfd */
		*ret_capabilities = sluice__capabilities_usable(engine->capabilities);
		if (probe) {
			probe->backend = engine->backend->id;
			memcpy(probe->backend_reason, engine->reason, sizeof probe->backend_reason);
			if (engine->uring)
				probe->ring_entries = engine->options.ring_entries;
			probe->enter_ns = engine->ways.costs.enter;
			probe->entry_ns = engine->ways.costs.entry;
			probe->call_ns = engine->ways.costs.call ? engine->ways.costs.call
								 : sluice__measure_call();
		}
	}
	sluice_engine_destroy(engine);
	free(trial.memory);
	return error;
}

static void fill_in_capabilities(struct sluice_probe *probe, uint32_t available, uint32_t used,
				 int ring_error)
{
	const struct sluice__capability *capability;

	for (uint32_t i = 0; (capability = sluice__capability(i)); i++) {
		struct sluice_probe_capability *entry = &probe->capabilities[i];

		entry->bit = capability->bit;
		entry->name = capability->name;
		entry->description = capability->description;
		entry->available = (available & capability->bit) != 0;
		entry->used = (used & capability->bit) != 0;
		if (!entry->available && ring_error)
			entry->native_error = -ring_error;
		probe->capability_count = i + 1;
	}
}

/* Task work is deferred or cooperative, never both, so probe cooperative with deferred disabled. */
static uint32_t try_cooperative(struct sluice_options *options)
{
	uint32_t capabilities;

	options->disable = SLUICE_CAPABILITY_DEFER_TASKRUN;
	try_backend(options, &sluice__uring, NULL, &capabilities);
	options->disable = 0;
	return capabilities & SLUICE_CAPABILITY_COOP_TASKRUN;
}

/* Only engines that request it have a submission thread. */
static uint32_t try_submission_thread(struct sluice_options *options)
{
	uint32_t capabilities;

	options->submission_thread = 1;
	try_backend(options, &sluice__uring, NULL, &capabilities);
	options->submission_thread = 0;
	return capabilities & SLUICE_CAPABILITY_SUBMISSION_THREAD;
}

static void fill_in_limits(struct sluice_probe *probe)
{
	struct rlimit limit;

	probe->record_bytes = sizeof(struct sluice_args);
	probe->socket_bytes = sizeof(struct sluice_socket);
	probe->engine_bytes = sizeof(struct sluice_engine);
	probe->segments_max = SLUICE__SEGMENTS_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		probe->descriptors_max = (uint32_t)limit.rlim_cur;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
		probe->memlock_bytes = limit.rlim_cur;
}

int sluice_probe(struct sluice_probe *probe)
{
	struct sluice_probe own;
	struct sluice_options options;
	uint32_t ring, epoll, used;
	int ring_error, error;

	if (!probe || probe->size < sizeof probe->size)
		return -EINVAL;
	memset(&own, 0, sizeof own);
	sluice_options_init(&options, sizeof options);
	/* First, while no other ring of this call counts against RLIMIT_MEMLOCK. */
	error = try_backend(&options, NULL, &own, &used);
	if (error)
		return error;
	options.ignore_environment = 1;
	options.transmit_way = SLUICE_TRANSMIT_WAY_ZEROCOPY;
	ring_error = try_backend(&options, &sluice__uring, NULL, &ring);
	options.transmit_way = SLUICE_TRANSMIT_WAY_AUTO;
	if (!ring_error) {
		/* The default engine has not probed zero copy. */
		if (own.backend == SLUICE_BACKEND_URING)
			used &= ring;
		ring |= try_cooperative(&options) | try_submission_thread(&options);
	}
	error = try_backend(&options, &sluice__epoll, NULL, &epoll);
	if (error)
		return error;
	fill_in_capabilities(&own, ring | epoll | used, used, ring_error);
	fill_in_limits(&own);
	own.size = probe->size;
	memcpy(probe, &own, probe->size < sizeof own ? probe->size : sizeof own);
	return 0;
}
