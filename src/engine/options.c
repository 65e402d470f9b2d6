/* SPDX-License-Identifier: MIT */
/* Options: defaults, the caller's values, and environment variables. */
#include "engine/options.h"

#include <errno.h>
#include <sluice/trace.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/capability.h"
#include "engine/state.h"

#define TRACE_EVENTS 16384 /* 1 MiB */

#define MILLISECOND INT64_C(1000000)

static const struct sluice_options defaults = {
	.size = sizeof(struct sluice_options),
	.backend = SLUICE_BACKEND_AUTO,
	.ring_entries = 512,
	.handler_budget = 4096,
	.gather_bytes = 1 << 20,
	.file_read_bytes = 2048,
	.file_slice_bytes = 1 << 20,
	.fetch_window_bytes = 512 << 10,
	.fetch_windows = 16,
	.receive_buffers = 256,
	.receive_buffer_bytes = 16 << 10,
	.receive_buffers_per_socket = 8,
	.worker_threads = 4,
	.handler_threads_max = 64,
	.zerocopy_bytes = 32 << 10,
	.zerocopy_linger_ns = 2000000000,
	.receive_bytes_max = 64 << 20,
	.submission_thread_cpu = -1,
	.submission_thread_idle_ns = MILLISECOND,
	.close_linger_ns = 5000 * MILLISECOND,
};

int sluice_options_init(struct sluice_options *options, size_t size)
{
	if (!options || size < sizeof options->size)
		return -EINVAL;
	memset(options, 0, size);
	memcpy(options, &defaults, size < sizeof defaults ? size : sizeof defaults);
	options->size = size;
	return 0;
}

static bool is_zero(const char *bytes, size_t size)
{
	while (size && !bytes[size - 1])
		size--;
	return size == 0;
}

/* Members that this version does not know have to be zero. */
static int check_unknown_members(const struct sluice_options *given)
{
	if (given->size <= sizeof *given)
		return 0;
	return is_zero((const char *)(given + 1), given->size - sizeof *given) ? 0 : -E2BIG;
}

static uint32_t power_of_two(uint32_t at_least)
{
	uint32_t value = 1;

	while (value < at_least)
		value *= 2;
	return value;
}

static void fill_trace_options(struct sluice_options *own)
{
	size_t length = own->trace_path ? strlen(own->trace_path) : 0;

	if (own->trace_path && !own->trace_events)
		own->trace_events = TRACE_EVENTS;
	if (own->trace_events)
		own->trace_events = power_of_two(own->trace_events);
	if (length >= 5 && strcmp(own->trace_path + length - 5, ".json") == 0)
		own->trace_format = SLUICE_TRACE_JSON;
}

/* Options for which 0 means the default. */
#define OPTION(member)                                               \
	{                                                            \
		offsetof(struct sluice_options, member),             \
			sizeof(((struct sluice_options *)0)->member) \
	}

static const struct {
	size_t offset, size;
} defaulted[] = {
	OPTION(ring_entries),
	OPTION(gather_bytes),
	OPTION(file_slice_bytes),
	OPTION(fetch_window_bytes),
	OPTION(fetch_windows),
	OPTION(receive_buffers),
	OPTION(receive_buffer_bytes),
	OPTION(receive_buffers_per_socket),
	OPTION(receive_bytes_max),
	OPTION(worker_threads),
	OPTION(handler_threads_max),
	OPTION(zerocopy_bytes),
	OPTION(submission_thread_idle_ns),
};

static void fill_default_options(struct sluice_options *own)
{
	for (size_t i = 0; i < sizeof defaulted / sizeof *defaulted; i++) {
		char *member = (char *)own + defaulted[i].offset;

		if (is_zero(member, defaulted[i].size))
			memcpy(member, (const char *)&defaults + defaulted[i].offset,
			       defaulted[i].size);
	}
	fill_trace_options(own);
	own->ring_entries = power_of_two(own->ring_entries);
	own->receive_buffers = power_of_two(own->receive_buffers);
}

/* Whether the process may run on that CPU is checked by the kernel. */
static bool is_submission_thread_valid(const struct sluice_options *own)
{
	return own->submission_thread_cpu >= -1 &&
	       own->submission_thread_cpu < sysconf(_SC_NPROCESSORS_CONF) &&
	       own->submission_thread_idle_ns > 0 &&
	       own->submission_thread_idle_ns <= INT32_MAX * MILLISECOND;
}

static int check_values(const struct sluice_options *own)
{
	if (own->backend > SLUICE_BACKEND_EPOLL ||
	    own->transmit_way > SLUICE_TRANSMIT_WAY_ZEROCOPY ||
	    own->zerocopy > SLUICE_ZEROCOPY_ALWAYS || own->file_way > SLUICE_FILE_WAY_SPLICE_RING)
		return -EINVAL;
	if (own->ring_entries > 32768 || own->receive_buffers > 32768 ||
	    own->receive_buffer_bytes > 1 << 24 || own->handler_budget > INT32_MAX ||
	    own->gather_bytes > 1 << 30 || own->handler_threads_max > 4096)
		return -EINVAL;
	if (own->submission_thread && !is_submission_thread_valid(own))
		return -EINVAL;
	if (own->wait_budget_ns < 0 || own->wait_budget_ns > 1000 * MILLISECOND)
		return -EINVAL;
	if (own->trace_events > 1 << 24 || own->trace_format > SLUICE_TRACE_JSON)
		return -EINVAL;
	return 0;
}

static int read_environment_backend(struct sluice_options *own)
{
	const char *name = getenv("SLUICE_BACKEND");

	if (own->backend != SLUICE_BACKEND_AUTO || !name || !*name || strcmp(name, "auto") == 0)
		return 0;
	if (strcmp(name, "uring") == 0)
		own->backend = SLUICE_BACKEND_URING;
	else if (strcmp(name, "epoll") == 0)
		own->backend = SLUICE_BACKEND_EPOLL;
	else
		return -EINVAL;
	return 0;
}

/* A set-user-ID program must not write to a path that its user chooses. */
static void read_environment_trace(struct sluice_options *own)
{
	const char *path = secure_getenv("SLUICE_TRACE");

	if (!own->trace_path && path && *path)
		own->trace_path = path;
}

static int read_environment(struct sluice_options *own)
{
	own->disable |= sluice__capabilities_named(getenv("SLUICE_DISABLE"));
	read_environment_trace(own);
	return read_environment_backend(own);
}

int sluice__options_copy(struct sluice_options *own, const struct sluice_options *given)
{
	int error;

	*own = defaults;
	if (given) {
		if (given->size < sizeof given->size)
			return -EINVAL;
		error = check_unknown_members(given);
		if (error)
			return error;
		memcpy(own, given, given->size < sizeof *own ? given->size : sizeof *own);
		own->size = sizeof *own;
	}
	error = own->ignore_environment ? 0 : read_environment(own);
	fill_default_options(own);
	return error ? error : check_values(own);
}
