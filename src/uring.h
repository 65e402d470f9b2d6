/* SPDX-License-Identifier: MIT */
/* The ring's own state; only uring*.c know it. */
#ifndef SLUICE_SRC_URING_H
#define SLUICE_SRC_URING_H

#include <stdbool.h>

#include "uring-constants.h"

struct sluice_engine;
struct sluice__workers;

struct sluice__uring {
	struct io_uring ring;
	unsigned int setup;      /* IORING_SETUP_* that the kernel agreed to */
	struct msghdr *messages; /* one an entry: it must live until the entry is submitted */
	struct io_uring_buf_ring *buffer_ring;
	unsigned int buffer_ring_entries;
	int wake_fd;   /* polled by the ring: other threads wake a sleeper by it */
	int notify_fd; /* signalled by the ring, for a foreign loop; -1 until asked for */
	bool enabled;
	struct sluice__workers *workers; /* where the ring does not fetch */
	bool timeout_armed;              /* for the foreign loop */
	uint64_t timeout_at;
	struct __kernel_timespec timeout;
};

/* uring-setup.c: as much of what the options allow as the kernel agrees to. 0 or -errno. */
int sluice__uring_setup(struct sluice_engine *engine, struct sluice__uring *uring);
int sluice__uring_enable(struct sluice_engine *engine);

#endif
