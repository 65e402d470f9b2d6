/* SPDX-License-Identifier: MIT */
/*
 * The engine: one ring (or epoll), one owning thread, any number of sockets.
 *
 * The owner is the thread that created the engine, or the one that adopted it before its first use,
 * or after sluice_engine_start a thread of the engine's own. Only the owner may call run, flush,
 * batch_begin, batch_end, fd, register_memory, unregister_memory and, unless the engine was
 * started, destroy: other threads get -EPERM. In a forked child every call returns -EBADF. If the
 * owning thread exits first, the engine is dead: destroy only frees memory and runs no handlers.
 */
#ifndef SLUICE_ENGINE_H
#define SLUICE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_engine;

enum {
	SLUICE_BACKEND_AUTO,  /* SLUICE_BACKEND of the environment, else io_uring, else epoll */
	SLUICE_BACKEND_URING, /* io_uring, or create fails */
	SLUICE_BACKEND_EPOLL
};

/*
 * Kernel features that an engine may use. Each can be disabled with options.disable or with the
 * environment variable SLUICE_DISABLE=name,name (the names that `sluice probe` prints).
 */
enum {
	SLUICE_CAPABILITY_RING = 1 << 0,              /* "ring": io_uring itself */
	SLUICE_CAPABILITY_SINGLE_ISSUER = 1 << 1,     /* "single-issuer" */
	SLUICE_CAPABILITY_DEFER_TASKRUN = 1 << 2,     /* "defer-taskrun" */
	SLUICE_CAPABILITY_COOP_TASKRUN = 1 << 3,      /* "coop-taskrun" */
	SLUICE_CAPABILITY_SUBMIT_ALL = 1 << 4,        /* "submit-all" */
	SLUICE_CAPABILITY_REGISTERED_RING = 1 << 5,   /* "registered-ring" */
	SLUICE_CAPABILITY_MULTISHOT_ACCEPT = 1 << 6,  /* "multishot-accept" */
	SLUICE_CAPABILITY_MULTISHOT_RECEIVE = 1 << 7, /* "multishot-receive" */
	SLUICE_CAPABILITY_BUFFER_RING = 1 << 8,       /* "buffer-ring" */
	SLUICE_CAPABILITY_SENDFILE = 1 << 9,          /* "sendfile"; without: read and send */
	SLUICE_CAPABILITY_CACHE_LOOK = 1 << 10,       /* "cache-look": preadv2(RWF_NOWAIT) */
	SLUICE_CAPABILITY_RING_FETCH = 1 << 11, /* "ring-fetch": fadvise and read on the ring */
	SLUICE_CAPABILITY_EPOLL_NANOSECONDS = 1 << 12, /* "epoll-nanoseconds": epoll_pwait2 */
	SLUICE_CAPABILITY_MULTISHOT_LIMIT = 1 << 13,   /* "multishot-limit": ends at its limit */
	SLUICE_CAPABILITY_ZEROCOPY = 1 << 14,          /* "zerocopy": zero-copy sends */
	SLUICE_CAPABILITY_REGISTERED_MEMORY =
		1 << 15, /* "registered-memory": zero-copy sends from registered buffers */
	SLUICE_CAPABILITY_REGISTERED_LISTS =
		1 << 16,                     /* "registered-lists": the same, of many segments */
	SLUICE_CAPABILITY_UDP_GSO = 1 << 17, /* "udp-gso": datagrams of one size in one send */
	SLUICE_CAPABILITY_SUBMISSION_THREAD =
		1 << 18, /* "submission-thread": a kernel thread submits (SQPOLL) */
	SLUICE_CAPABILITY_EXT_ARG = 1 << 19, /* "ext-arg": a wait carries its own timeout */
	SLUICE_CAPABILITY_MULTISHOT_POLL = 1
					   << 20, /* "multishot-poll": one entry for all wake-ups */
	SLUICE_CAPABILITY_NO_IOWAIT = 1 << 21, /* "no-iowait": idle waits do not count as iowait */
	SLUICE_CAPABILITY_EVENT_REPEATS =
		1 << 22, /* "event-repeats": every completion signals the engine's eventfd */
	SLUICE_CAPABILITY_UDP_GSO_128 = 1 << 23, /* "udp-gso-128": 128 datagrams, instead of 64 */
	SLUICE_CAPABILITY_RING_SPLICE = 1 << 24  /* "ring-splice": files by splice on the ring */
};

/*
 * How the ring backend sends queued memory. AUTO decides in each turn: one submission for all
 * sockets with something to send if that is cheaper than one call per socket. The costs of a call
 * and of an entry are measured once per process, when its first ring is used (statistics.h). A send
 * that is tried synchronously, outside of handlers and batches, is always a call.
 */
enum {
	SLUICE_TRANSMIT_WAY_AUTO,    /* the cheaper of the next two */
	SLUICE_TRANSMIT_WAY_INLINE,  /* a non-blocking send(2) per socket first */
	SLUICE_TRANSMIT_WAY_RING,    /* one submission for all sockets */
	SLUICE_TRANSMIT_WAY_ZEROCOPY /* all memory of TCP streams by zero copy; for measurements */
};

/*
 * When the ring backend sends the memory of TCP streams by zero copy. Such a record completes when
 * the kernel no longer needs its buffer: about when the peer has acknowledged the data. A peer that
 * does not read delays the completion. epoll always copies.
 *
 * AUTO takes only whole records without a deadline, and only if all of them fit into the socket's
 * buffer and the peer's window: thus no cancel, deadline or shutdown waits for a buffer, and no
 * record waits for a peer that does not read. It never takes a connection to this machine, for
 * which the kernel copies anyway. It tries a connection only while more is queued behind, and
 * continues with records that are sent alone only if zero copy proved useful. ALWAYS also takes
 * parts of records; a partly sent record that is cancelled then completes only when its buffer is
 * free.
 */
enum {
	SLUICE_ZEROCOPY_AUTO, /* tried on each remote connection, kept if it proves useful */
	SLUICE_ZEROCOPY_OFF,
	SLUICE_ZEROCOPY_ALWAYS /* every large enough send, whatever AUTO would have learned */
};

/* How files are sent. */
enum {
	SLUICE_FILE_WAY_AUTO, /* small: read; large: splice; others: sendfile; uncached: prefetch */
	SLUICE_FILE_WAY_SENDFILE, /* always sendfile; read if the file system refuses it */
	SLUICE_FILE_WAY_READ,     /* always read into memory and send */
	SLUICE_FILE_WAY_SPLICE,   /* through a pipe of 1 MiB, as much as the socket accepts */
	/*
	 * The same by entries of the ring, which kernel workers execute (options.worker_threads):
	 * less work for the engine's thread, more for the machine. For an engine whose thread is
	 * the bottleneck while other processors are idle. AUTO never uses it. Without the ring's
	 * splice (epoll, SLUICE_CAPABILITY_RING_SPLICE disabled): as SLUICE_FILE_WAY_SPLICE.
	 */
	SLUICE_FILE_WAY_SPLICE_RING
};

/* Options of an engine: fill in with sluice_options_init, then change members. */
struct sluice_options {
	size_t size;           /* sizeof this, as the caller was compiled */
	uint32_t backend;      /* SLUICE_BACKEND_* */
	uint32_t disable;      /* SLUICE_CAPABILITY_* not to be used */
	uint32_t ring_entries; /* submission entries; 512. Halved until the kernel accepts */
	/*
	 * Most handlers called in a turn, 0: no limit; 4,096. Completed records come first. Socket
	 * events and posts share what the records leave, and 16 operations that they start count as
	 * a handler: thus a broadcast to many sockets does not queue faster than its records
	 * complete. While records use all of it, events and posts wait, for 16 turns at most.
	 * Expired timers are not counted; as many may be called in addition.
	 */
	uint32_t handler_budget;
	uint64_t gather_bytes;      /* most memory in one transmission; 1 MiB */
	uint64_t queue_limit_bytes; /* hard limit of a new socket's queue, 0: none; 0 */
	uint32_t transmit_way;      /* SLUICE_TRANSMIT_WAY_* */
	uint32_t file_way;          /* SLUICE_FILE_WAY_* */
	/* Largest file that is read and sent with its header; 2 KiB. If it is not last: 4 times. */
	uint64_t file_read_bytes;
	uint64_t file_slice_bytes;   /* most bytes of one file per turn; 1 MiB */
	uint64_t fetch_window_bytes; /* prefetched at a time of an uncached file; 512 KiB */
	uint32_t fetch_windows;      /* most prefetches in flight; 16 */
	/*
	 * Not 0: the program always ignores SIGPIPE. Otherwise its disposition is read at most
	 * every 100 ms, and unless it is ignored the signal is blocked around sendfile and splice:
	 * two system calls per turn, none on a thread of sluice_engine_start. A program that stops
	 * ignoring SIGPIPE has to wait 100 ms before it sends files.
	 */
	uint32_t sigpipe_ignored;
	uint32_t receive_buffers;            /* the engine's, for receive_start, initially; 256 */
	uint32_t receive_buffer_bytes;       /* size of each; 16 KiB */
	uint32_t receive_buffers_per_socket; /* most lent to one socket; 8 */
	uint32_t worker_threads;             /* kernel workers for one engine's files; 4 */
	uint32_t ignore_environment;         /* not 0: ignore SLUICE_BACKEND, _DISABLE and _TRACE */
	uint32_t trace_events; /* capacity of the trace ring (trace.h), 0: none; 64 bytes each; 0 */
	uint32_t trace_format; /* SLUICE_TRACE_*, of what is written to trace_path */
	/*
	 * File that the trace is appended to, by a thread of its own, as the ring fills and when
	 * the engine is destroyed; JSON if the name ends in .json. Turns the trace on, with 16,384
	 * events if trace_events is 0. Only create reads it. NULL: SLUICE_TRACE=path of the
	 * environment, if set.
	 */
	const char *trace_path;
	uint32_t handler_threads_max;   /* for callbacks of Begin and End; 64 */
	uint32_t cancel_on_thread_exit; /* not 0: cancel a thread's operations when it exits; 0 */
	uint32_t zerocopy;              /* SLUICE_ZEROCOPY_* */
	uint64_t zerocopy_bytes; /* smallest zero-copy send; 32 KiB; registered memory: a quarter */
	/*
	 * How long a closed socket waits for buffers that the kernel still sends from, before it
	 * resets the connection, which frees them; <0: no limit; 2 s. In sluice_engine_destroy: 0.
	 */
	int64_t zerocopy_linger_ns;
	/*
	 * Not 0: a kernel thread takes submissions and sends (SQPOLL), so that a start on the
	 * engine's thread costs no system call while that thread is awake. It spins on a processor,
	 * with the scheduling policy of the thread that creates the engine: use it only if you have
	 * a core to spare. With it SLUICE_TRANSMIT_WAY_AUTO means the ring, and a plain send is
	 * pending instead of tried synchronously; files still go by sendfile, on the engine's
	 * thread. If it is not available (epoll, a kernel before 5.11, missing privileges before
	 * 5.13), the engine works without it, and its statistics lack
	 * SLUICE_CAPABILITY_SUBMISSION_THREAD.
	 */
	uint32_t submission_thread;
	int32_t submission_thread_cpu;     /* processor it is bound to; -1: any; -1 */
	int64_t submission_thread_idle_ns; /* idle time before sleep; rounded up to ms; 1 ms */
	/*
	 * How long a closed TCP socket keeps its descriptor, and discards what arrives (64 MiB at
	 * most), while the peer has not acknowledged everything that was sent: if it were closed
	 * sooner, the kernel would answer data from the peer with RST and drop the rest. It ends
	 * early when everything is acknowledged or the peer ends the stream. 0: not at all; <0: no
	 * time limit; 5 s. In sluice_engine_destroy: 0. If the kernel encrypts (TLS), it also
	 * limits how long a close waits for bytes that the kernel took and TCP has not; 0 is then 5
	 * s.
	 */
	int64_t close_linger_ns;
	/*
	 * Most memory for receive buffers; 64 MiB. Their number doubles as more are in use, up to
	 * this and 32,768; it never falls below receive_buffers. A socket's share shrinks, down to
	 * one buffer, while less than half of the maximum is left.
	 */
	uint64_t receive_bytes_max;
	/*
	 * Not 0: after a turn that had completions, the next one waits for several more of them, or
	 * for this long, instead of for the first: fewer turns and system calls for some latency.
	 * How many depends on what recent turns brought; waits that bring one at most become rare.
	 * Deadlines and timers are on time; wakes and calls of other threads are delayed by no more
	 * than this, and signals not at all. epoll always waits for the whole time. At most 1 s; 0.
	 */
	int64_t wait_budget_ns;
};

/*
 * Writes the defaults into the first size bytes of options; size is the caller's sizeof *options.
 * Any thread. Returns 0; -EINVAL for NULL or a size that is too small. Since 0.1.
 */
int sluice_options_init(struct sluice_options *options, size_t size);

/*
 * Creates an engine; the calling thread owns it. options is copied; NULL means the defaults. If
 * options is larger than this library's structure and the unknown tail is not zero, create fails
 * with -E2BIG. If the requested backend is unavailable, create fails with the kernel's errno; only
 * AUTO falls back. Free the engine with sluice_engine_destroy. Any thread. Returns 0, or -EINVAL,
 * -E2BIG, -ENOMEM, -EMFILE and so on, and *ret_engine is NULL. Since 0.1.
 */
int sluice_engine_create(struct sluice_engine **ret_engine, const struct sluice_options *options);

/*
 * Runs one turn: takes what other threads queued, expires deadlines, transmits what is queued,
 * enters the kernel once, processes completions and runs handlers. timeout_ns < 0 waits until an
 * event or sluice_engine_wake; 0 does not wait. The owner's thread. Returns the number of handlers
 * called (records, events, timers, posts), 0 after a wake or the timeout; -EINTR if a signal
 * interrupted the wait; -EPERM from another thread; -EDEADLK from a handler; another negative errno
 * if the kernel permanently refuses to wait (because of a seccomp filter installed after create,
 * for example): further calls fail the same way. A signal that arrives while run does not wait is
 * not reported: a signal handler whose effect must not be missed calls sluice_engine_wake. Since
 * 0.1.
 */
int sluice_engine_run(struct sluice_engine *engine, int64_t timeout_ns);

/*
 * Transmits and submits what is queued. It does not wait and calls no handlers. The owner's thread.
 * Returns 0; -EPERM from another thread. Since 0.1.
 */
int sluice_engine_flush(struct sluice_engine *engine);

/*
 * Wakes the engine: ends the wait of the current or the next run. Any thread, and any signal
 * handler: it preserves errno and takes no lock. Since 0.1.
 */
void sluice_engine_wake(struct sluice_engine *engine);

/*
 * Returns a descriptor for an external event loop: readable while run has something to do. It
 * belongs to the engine: only poll it, level- or edge-triggered, and call run with a timeout of 0
 * when it is readable. The first call enables it; from then on run leaves nothing unsubmitted. The
 * owner's thread. Returns the descriptor or a negative errno. Since 0.1.
 */
int sluice_engine_fd(struct sluice_engine *engine);

/*
 * Makes the calling thread the owner. Allowed before the first use: the owner's first run, flush,
 * batch or start of an operation. Attaching sockets is not a use, nor are calls of other threads.
 * Returns 0; -EBUSY after the first use. Since 0.1.
 */
int sluice_engine_adopt(struct sluice_engine *engine);

/*
 * Starts a thread that owns the engine, runs the turns and calls the handlers. All signals are
 * blocked in it. Returns 0; -EBUSY after the first use; -EAGAIN if no thread can be created.
 * Since 0.1.
 */
int sluice_engine_start(struct sluice_engine *engine);

/*
 * Stops the thread of sluice_engine_start: aborts what is pending, runs the handlers, ends the
 * thread. Afterwards sockets return -EBADF and only destroy is allowed. The handler threads of
 * Begin and End run the remaining callbacks and end too. Any thread except these. Returns 0;
 * -EINVAL not started; -EDEADLK from a handler or a handler thread. Since 0.1.
 */
int sluice_engine_stop(struct sluice_engine *engine);

/*
 * Destroys the engine: stops it, aborts what is pending, runs the handlers and callbacks, waits
 * until no thread is inside an End or a wait, then closes and frees everything left, sockets
 * included. The owner's thread; any thread if the engine was started. Returns 0; -EDEADLK from a
 * handler or a handler thread; -EPERM from another thread; -EBADF in a forked child, in which
 * nothing is freed. NULL is 0. Since 0.1.
 */
int sluice_engine_destroy(struct sluice_engine *engine);

/*
 * Runs a function on the engine's thread: function(engine, token), called from sluice_engine_run.
 * The posts of one thread run in order. Any thread. Returns 0; -EINVAL; -ENOMEM; -EBADF while the
 * engine ends. Since 0.1.
 */
int sluice_post(struct sluice_engine *engine,
		void (*function)(struct sluice_engine *engine, void *token), void *token);

/*
 * Registers memory that is often sent from, so that zero-copy sends of buffers inside one
 * registered area need not pin it each time. Nothing else changes, and no flag is needed. The
 * memory stays the caller's and must stay mapped until it is unregistered or the engine is
 * destroyed. It is not written to, but the kernel requires a writable mapping. At most 64 areas at
 * a time, each up to 1 GiB; they count against RLIMIT_MEMLOCK. If registration is not available
 * (epoll, older kernels), the call succeeds and has no effect. The owner's thread. Returns 0;
 * -EINVAL: NULL, 0 or too long; -EEXIST: this base is registered; -ENOBUFS: 64 are; -ENOMEM,
 * -EFAULT, -EOPNOTSUPP: the kernel cannot pin it, and sends from it work as unregistered ones;
 * -EBADF; -EPERM. Since 0.1.
 */
int sluice_engine_register_memory(struct sluice_engine *engine, const void *base, size_t length);

/*
 * Unregisters memory, by the base that was registered. Sends in flight complete normally; they need
 * their buffers until then. The owner's thread. Returns 0; -EINVAL; -ENOENT: not registered;
 * -EBADF; -EPERM. Since 0.1.
 */
int sluice_engine_unregister_memory(struct sluice_engine *engine, const void *base);

/* Returns the backend's name, "uring" or "epoll"; NULL for NULL. Any thread. Since 0.1. */
const char *sluice_engine_backend(struct sluice_engine *engine);

/*
 * Returns the reason for this backend, as text: "" if it is the preferred one, else why io_uring is
 * not used. The string belongs to the engine. Any thread. Since 0.1.
 */
const char *sluice_engine_backend_reason(struct sluice_engine *engine);

/*
 * Begin and end a batch: sends in between are queued, gathered and submitted together, and return
 * 1. Batches nest; the last end transmits and submits everything. Handlers wait for run. The
 * owner's thread. Returns 0; -EINVAL: end without begin; -EPERM. Since 0.1.
 */
int sluice_batch_begin(struct sluice_engine *engine);
int sluice_batch_end(struct sluice_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
