/* SPDX-License-Identifier: MIT */
/* Chooses the backend: the one the options request; otherwise the ring, or epoll without it. */
#include "backend/backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/state.h"

static const char *ring_setup_hint(int error_number)
{
	switch (error_number) {
	case EPERM:
		return "not permitted: kernel.io_uring_disabled, or a seccomp filter as in containers";
	case ENOSYS:
		return "not supported by this kernel, or hidden by a seccomp filter";
	case ENOMEM:
		return "not enough lockable memory: raise RLIMIT_MEMLOCK";
	case EMFILE:
	case ENFILE:
		return "out of descriptors: raise RLIMIT_NOFILE";
	default:
		return strerror(error_number);
	}
}

static int open_backend(struct sluice_engine *engine, const struct sluice__backend *backend)
{
	engine->backend = backend;
	return backend->open(engine);
}

static int open_uring(struct sluice_engine *engine)
{
	int error;

	if (engine->options.disable & SLUICE_CAPABILITY_RING) {
		snprintf(engine->reason, sizeof engine->reason,
			 "io_uring: disabled by SLUICE_DISABLE or an option");
		return -EOPNOTSUPP;
	}
	error = open_backend(engine, &sluice__uring);
	if (error)
		snprintf(engine->reason, sizeof engine->reason, "io_uring: %s",
			 ring_setup_hint(-error));
	return error;
}

int sluice__backend_choose(struct sluice_engine *engine)
{
	int error;

	if (engine->options.backend != SLUICE_BACKEND_EPOLL) {
		error = open_uring(engine);
		if (!error || engine->options.backend == SLUICE_BACKEND_URING)
			return error;
	}
	return open_backend(engine, &sluice__epoll);
}
