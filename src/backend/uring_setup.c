/* SPDX-License-Identifier: MIT */
/*
 * Sets up the ring. No kernel version is checked: flags that the kernel rejects are dropped one by
 * one, and sizes that exceed the limit of locked memory are reduced.
 */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "backend/uring.h"
#include "backend/uring_compat.h"
#include "engine/owner.h"
#include "engine/state.h"

/* Multishot and zero-copy requests complete more than once. */
#define COMPLETIONS_PER_ENTRY 8
#define ENTRIES_MIN 8u

#define MILLISECOND INT64_C(1000000)

/* How long to retry after ENOMEM: a closed ring stays charged to RLIMIT_MEMLOCK for a moment. */
#define RING_CLOSES_STEP_NS 5000000
#define RING_CLOSES_STEPS 20

static unsigned int wanted_flags(uint32_t allowed)
{
	unsigned int flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;

	if (allowed & SLUICE_CAPABILITY_SUBMIT_ALL)
		flags |= IORING_SETUP_SUBMIT_ALL;
	if (allowed & SLUICE_CAPABILITY_SINGLE_ISSUER)
		flags |= IORING_SETUP_SINGLE_ISSUER;
	if (allowed & SLUICE_CAPABILITY_SUBMISSION_THREAD)
		return flags | IORING_SETUP_SQPOLL; /* the kernel thread runs the task work */
	if ((allowed & SLUICE_CAPABILITY_DEFER_TASKRUN) && (flags & IORING_SETUP_SINGLE_ISSUER))
		flags |= IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
	else if (allowed & SLUICE_CAPABILITY_COOP_TASKRUN)
		flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
	return flags;
}

/* EINVAL may mean that a single flag is not supported: drop the newest first. */
static bool drop_newest_flag(uint32_t *allowed)
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

/* pinned: to the CPU of the options. */
static void set_sqpoll_parameters(const struct sluice_options *options, bool pinned,
				  struct io_uring_params *parameters)
{
	parameters->sq_thread_idle =
		(uint32_t)((options->submission_thread_idle_ns + MILLISECOND - 1) / MILLISECOND);
	if (pinned) {
		parameters->flags |= IORING_SETUP_SQ_AFF;
		parameters->sq_thread_cpu = (uint32_t)options->submission_thread_cpu;
	}
}

static int try_setup(const struct sluice_options *options, struct sluice__uring *uring,
		     unsigned int entries, uint32_t allowed)
{
	struct io_uring_params parameters;
	bool pinned = options->submission_thread_cpu >= 0;
	int error;

	for (;; pinned = false) {
		memset(&parameters, 0, sizeof parameters);
		parameters.flags = wanted_flags(allowed);
		parameters.cq_entries = entries * COMPLETIONS_PER_ENTRY;
		uring->setup = parameters.flags;
		if (uring->setup & IORING_SETUP_SQPOLL)
			set_sqpoll_parameters(options, pinned, &parameters);
		error = io_uring_queue_init_params(entries, &uring->ring, &parameters);
		if (error != -EINVAL || !(parameters.flags & IORING_SETUP_SQ_AFF))
			return error;
	}
}

static uint32_t capabilities_of_setup(unsigned int setup, uint32_t allowed)
{
	uint32_t all = SLUICE_CAPABILITY_SUBMIT_ALL | SLUICE_CAPABILITY_SINGLE_ISSUER |
		       SLUICE_CAPABILITY_DEFER_TASKRUN | SLUICE_CAPABILITY_COOP_TASKRUN |
		       SLUICE_CAPABILITY_SUBMISSION_THREAD;
	uint32_t used = SLUICE_CAPABILITY_RING;

	if (setup & IORING_SETUP_SUBMIT_ALL)
		used |= SLUICE_CAPABILITY_SUBMIT_ALL;
	if (setup & IORING_SETUP_SINGLE_ISSUER)
		used |= SLUICE_CAPABILITY_SINGLE_ISSUER;
	if (setup & IORING_SETUP_DEFER_TASKRUN)
		used |= SLUICE_CAPABILITY_DEFER_TASKRUN;
	if (setup & IORING_SETUP_COOP_TASKRUN)
		used |= SLUICE_CAPABILITY_COOP_TASKRUN;
	if (setup & IORING_SETUP_SQPOLL)
		used |= SLUICE_CAPABILITY_SUBMISSION_THREAD;
	return used | (allowed & ~all);
}

/* The capabilities that the ring's feature flags show to be missing. */
static uint32_t missing_features(const struct io_uring *ring)
{
	uint32_t lacks = 0;

	if (!(ring->features & IORING_FEAT_EXT_ARG))
		lacks |= SLUICE_CAPABILITY_EXT_ARG;
	if (!(ring->features & IORING_FEAT_NO_IOWAIT))
		lacks |= SLUICE_CAPABILITY_NO_IOWAIT;
	return lacks;
}

int sluice__uring_register(const struct sluice__uring *uring, unsigned int operation,
			   const void *argument, unsigned int count)
{
	long result;

	/* On 5.10 it waits for requests in flight, and signals or task work interrupt the wait. */
	do
		result = syscall(__NR_io_uring_register, uring->ring.ring_fd, operation, argument,
				 count);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : (int)result;
}

/* A seccomp filter may allow the setup but not io_uring_register(2): try a harmless operation. */
static int can_register(const struct sluice__uring *uring)
{
	struct io_uring_probe probe;

	memset(&probe, 0, sizeof probe);
	return sluice__uring_register(uring, IORING_REGISTER_PROBE, &probe, 0);
}

/* The same for io_uring_enter(2), which returns -EBADFD while the ring is disabled. */
static int can_enter(const struct sluice__uring *uring)
{
	int answer = io_uring_enter2(uring->ring.ring_fd, 0, 0, 0, NULL, _NSIG / 8);

	return answer < 0 && answer != -EBADFD ? answer : 0;
}

static int can_use(struct sluice__uring *uring)
{
	int error = can_register(uring);

	if (!error)
		error = can_enter(uring);
	if (error) {
		io_uring_queue_exit(&uring->ring);
		sluice__ring_closed();
	}
	return error;
}

/* Rings of privileged processes are not charged to RLIMIT_MEMLOCK. */
static bool is_charged(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof data);
	return syscall(SYS_capget, &header, data) < 0 ||
	       !(data[0].effective & (1u << CAP_IPC_LOCK));
}

static uint64_t ring_bytes(unsigned int entries)
{
	return entries * (sizeof(struct io_uring_sqe) + sizeof(uint32_t) +
			  COMPLETIONS_PER_ENTRY * sizeof(struct io_uring_cqe));
}

/* All rings of a user share the limit: use at most a quarter of it for one. */
static unsigned int affordable_entries(unsigned int entries)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return entries;
	while (entries > ENTRIES_MIN && ring_bytes(entries) > limit.rlim_cur / 4)
		entries /= 2;
	return entries;
}

/* Sets up a ring with the flags in *allowed; removes those that the kernel rejects. */
static int setup_ring(const struct sluice_options *options, struct sluice__uring *uring,
		      uint32_t *allowed)
{
	const struct timespec pause = {0, RING_CLOSES_STEP_NS};
	bool charged = is_charged();
	unsigned int entries = charged ? affordable_entries(options->ring_entries)
				       : options->ring_entries;
	int waits = charged ? RING_CLOSES_STEPS : 0;
	int error;

	for (;;) {
		error = try_setup(options, uring, entries, *allowed);
		if (error == -EINVAL && drop_newest_flag(allowed))
			continue;
		if (error != -ENOMEM)
			return error;
		if (waits) {
			waits--;
			nanosleep(&pause, NULL);
		} else if (entries > ENTRIES_MIN) {
			entries /= 2;
		} else {
			return error;
		}
	}
}

/* Before 5.11, SQPOLL supports only registered descriptors. */
static int setup_sqpoll_ring(const struct sluice_options *options, struct sluice__uring *uring,
			     uint32_t *allowed)
{
	int error = setup_ring(options, uring, allowed);

	if (!error && !(uring->ring.features & IORING_FEAT_SQPOLL_NONFIXED)) {
		io_uring_queue_exit(&uring->ring);
		sluice__ring_closed();
		error = -EOPNOTSUPP;
	}
	return error;
}

static void use_sqpoll(struct sluice_engine *engine)
{
	if (engine->options.transmit_way == SLUICE_TRANSMIT_WAY_AUTO)
		engine->options.transmit_way = SLUICE_TRANSMIT_WAY_RING;
	engine->hands_over = engine->options.transmit_way == SLUICE_TRANSMIT_WAY_RING;
}

static int make_ring(struct sluice_engine *engine, struct sluice__uring *uring)
{
	const struct sluice_options *options = &engine->options;
	uint32_t allowed = ~options->disable;
	int error = -EOPNOTSUPP;

	if (options->submission_thread && (allowed & SLUICE_CAPABILITY_SUBMISSION_THREAD))
		error = setup_sqpoll_ring(options, uring, &allowed);
	if (error) {
		allowed = ~options->disable & ~(uint32_t)SLUICE_CAPABILITY_SUBMISSION_THREAD;
		error = setup_ring(options, uring, &allowed);
	}
	if (!error)
		error = can_use(uring);
	if (error)
		return error;
	engine->options.ring_entries = uring->ring.sq.ring_entries;
	engine->capabilities = capabilities_of_setup(uring->setup, allowed) &
			       ~missing_features(&uring->ring) &
			       ~sluice__uring_operations_missing(uring) &
			       ~(uint32_t)SLUICE_CAPABILITY_EPOLL_NANOSECONDS;
	if (engine->capabilities & SLUICE_CAPABILITY_NO_IOWAIT)
		uring->wait_flags = IORING_ENTER_NO_IOWAIT;
	return 0;
}

/* Memory with the lifetime of the ring. False: out of memory. */
static bool allocate_ring_memory(struct sluice_engine *engine, struct sluice__uring *uring)
{
	uring->messages =
		sluice__allocate(engine, uring->ring.sq.ring_entries * sizeof *uring->messages);
	if (!uring->messages)
		return false;
	if (!(engine->capabilities & SLUICE_CAPABILITY_SUBMISSION_THREAD))
		return true;
	uring->sqpoll = sluice__allocate(engine, sizeof *uring->sqpoll);
	if (!uring->sqpoll) {
		free(uring->messages);
		return false;
	}
	use_sqpoll(engine);
	return true;
}

int sluice__uring_setup(struct sluice_engine *engine, struct sluice__uring *uring)
{
	int error;

	uring->notify_fd = -1;
	uring->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (uring->wake_fd < 0)
		return -errno;
	error = make_ring(engine, uring);
	if (error) {
		close(uring->wake_fd);
		return error;
	}
	error = sluice__uring_open_event(uring);
	if (!error && !allocate_ring_memory(engine, uring)) {
		close(uring->event_fd);
		error = -ENOMEM;
	}
	if (error) {
		io_uring_queue_exit(&uring->ring);
		sluice__ring_closed();
		close(uring->wake_fd);
	}
	return error;
}

/* With SINGLE_ISSUER, the thread that enables the ring is its only submitter. */
int sluice__uring_enable(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;
	unsigned int workers[2] = {engine->options.worker_threads, engine->options.worker_threads};
	int error = sluice__uring_register(uring, SLUICE__REGISTER_ENABLE_RINGS, NULL, 0);

	if (error)
		return error;
	if (!(engine->options.disable & SLUICE_CAPABILITY_REGISTERED_RING) &&
	    io_uring_register_ring_fd(&uring->ring) == 1)
		uring->enter_flags = IORING_ENTER_REGISTERED_RING;
	else
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_REGISTERED_RING;
	sluice__uring_register(uring, IORING_REGISTER_IOWQ_MAX_WORKERS, workers, 2);
	return 0;
}
