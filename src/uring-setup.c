/* SPDX-License-Identifier: MIT */
/*
 * How the ring comes into being. Nothing is judged by a version number: what the kernel refuses is
 * left out, flag by flag, and what it cannot afford is made smaller.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"
#include "uring.h"

/* Completions for each entry: multishots and zero copy answer more than once. */
#define COMPLETIONS_PER_ENTRY 8
#define SMALLEST 8u

static unsigned int wanted_flags(uint32_t allowed)
{
	unsigned int flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;

	if (allowed & SLUICE_CAPABILITY_SUBMIT_ALL)
		flags |= IORING_SETUP_SUBMIT_ALL;
	if (allowed & SLUICE_CAPABILITY_SINGLE_ISSUER)
		flags |= IORING_SETUP_SINGLE_ISSUER;
	if ((allowed & SLUICE_CAPABILITY_DEFER_TASKRUN) && (flags & IORING_SETUP_SINGLE_ISSUER))
		flags |= IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
	else if (allowed & SLUICE_CAPABILITY_COOP_TASKRUN)
		flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
	return flags;
}

/* The kernel's EINVAL may just mean "one flag too many": the newest goes first. */
static bool take_away_one(uint32_t *allowed)
{
	static const uint32_t newest_first[] = {
		SLUICE_CAPABILITY_DEFER_TASKRUN, /* 6.1 */
		SLUICE_CAPABILITY_SINGLE_ISSUER, /* 6.0 */
		SLUICE_CAPABILITY_COOP_TASKRUN,  /* 5.19 */
		SLUICE_CAPABILITY_SUBMIT_ALL,    /* 5.18 */
	};

	for (size_t i = 0; i < sizeof newest_first / sizeof *newest_first; i++) {
		if (*allowed & newest_first[i]) {
			*allowed &= ~newest_first[i];
			return true;
		}
	}
	return false;
}

static int try_setup(struct sluice__uring *uring, unsigned int entries, uint32_t allowed)
{
	struct io_uring_params parameters;

	memset(&parameters, 0, sizeof parameters);
	parameters.flags = wanted_flags(allowed);
	parameters.cq_entries = entries * COMPLETIONS_PER_ENTRY;
	uring->setup = parameters.flags;
	return io_uring_queue_init_params(entries, &uring->ring, &parameters);
}

static uint32_t agreed(unsigned int setup, uint32_t allowed)
{
	uint32_t all = SLUICE_CAPABILITY_SUBMIT_ALL | SLUICE_CAPABILITY_SINGLE_ISSUER |
		       SLUICE_CAPABILITY_DEFER_TASKRUN | SLUICE_CAPABILITY_COOP_TASKRUN;
	uint32_t used = SLUICE_CAPABILITY_RING;

	if (setup & IORING_SETUP_SUBMIT_ALL)
		used |= SLUICE_CAPABILITY_SUBMIT_ALL;
	if (setup & IORING_SETUP_SINGLE_ISSUER)
		used |= SLUICE_CAPABILITY_SINGLE_ISSUER;
	if (setup & IORING_SETUP_DEFER_TASKRUN)
		used |= SLUICE_CAPABILITY_DEFER_TASKRUN;
	if (setup & IORING_SETUP_COOP_TASKRUN)
		used |= SLUICE_CAPABILITY_COOP_TASKRUN;
	return used | (allowed & ~all);
}

/* A filter may let the ring be made and still forbid what it needs later: any question will do. */
static int can_register(struct sluice__uring *uring)
{
	struct io_uring_probe probe;
	int error = 0;

	memset(&probe, 0, sizeof probe);
	if (syscall(__NR_io_uring_register, uring->ring.ring_fd, IORING_REGISTER_PROBE, &probe, 0) <
	    0)
		error = -errno;
	if (error) {
		io_uring_queue_exit(&uring->ring);
		sluice__ring_closed();
	}
	return error;
}

static int make_ring(struct sluice_engine *engine, struct sluice__uring *uring)
{
	uint32_t allowed = ~engine->options.disable;
	unsigned int entries = engine->options.ring_entries;
	int error;

	for (;;) {
		error = try_setup(uring, entries, allowed);
		if (error == -EINVAL && take_away_one(&allowed))
			continue;
		if (error == -ENOMEM && entries > SMALLEST) {
			entries /= 2;
			continue;
		}
		break;
	}
	if (!error)
		error = can_register(uring);
	if (error)
		return error;
	engine->options.ring_entries = uring->ring.sq.ring_entries;
	engine->capabilities = agreed(uring->setup, allowed) & ~sluice__uring_zerocopy_lacks(uring);
	return 0;
}

int sluice__uring_setup(struct sluice_engine *engine, struct sluice__uring *uring)
{
	int error;

	uring->notify_fd = -1;
	uring->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (uring->wake_fd < 0)
		return -errno;
	error = make_ring(engine, uring);
	if (!error) {
		uring->messages = sluice__allocate(engine, uring->ring.sq.ring_entries *
								   sizeof *uring->messages);
		if (!uring->messages) {
			io_uring_queue_exit(&uring->ring);
			error = -ENOMEM;
		}
	}
	if (error)
		close(uring->wake_fd);
	return error;
}

/* With a single issuer the enabler owns the ring for good. */
int sluice__uring_enable(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;
	unsigned int workers[2] = {engine->options.worker_threads, engine->options.worker_threads};

	if (syscall(__NR_io_uring_register, uring->ring.ring_fd, SLUICE__REGISTER_ENABLE_RINGS,
		    NULL, 0) < 0)
		return -errno;
	if ((engine->options.disable & SLUICE_CAPABILITY_REGISTERED_RING) ||
	    io_uring_register_ring_fd(&uring->ring) != 1)
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_REGISTERED_RING;
	io_uring_register_iowq_max_workers(&uring->ring, workers);
	uring->enabled = true;
	return 0;
}
