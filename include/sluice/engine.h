/* SPDX-License-Identifier: MIT */
/*
 * The engine: one ring (or epoll), one thread that owns it, any number of sockets.
 *
 * It belongs to the thread that created it, or to the one that adopted it before its first use, or
 * from sluice_engine_start on to a thread of its own. run, flush, batch_begin, batch_end, fd,
 * register_memory, unregister_memory and, unless started, destroy are the owner's: -EPERM elsewhere.
 * In a forked child every call answers -EBADF. An owner that exits before it destroys its engine
 * loses it: destroy then only frees.
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
	SLUICE_BACKEND_AUTO,  /* the environment's SLUICE_BACKEND, else the ring, else epoll */
	SLUICE_BACKEND_URING, /* the ring, or create fails */
	SLUICE_BACKEND_EPOLL
};

/*
 * What an engine may use. Each bit can be taken away by options.disable or by the environment:
 * SLUICE_DISABLE=name,name (the names that `sluice probe` prints).
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
	SLUICE_CAPABILITY_SENDFILE = 1 << 9,          /* "sendfile": else read and send */
	SLUICE_CAPABILITY_CACHE_LOOK = 1 << 10,       /* "cache-look": preadv2(RWF_NOWAIT) */
	SLUICE_CAPABILITY_RING_FETCH = 1 << 11, /* "ring-fetch": fadvise and read on the ring */
	SLUICE_CAPABILITY_EPOLL_NANOSECONDS = 1 << 12, /* "epoll-nanoseconds": epoll_pwait2 */
	SLUICE_CAPABILITY_MULTISHOT_LIMIT = 1 << 13,   /* "multishot-limit": ends after its share */
	SLUICE_CAPABILITY_ZEROCOPY = 1 << 14,          /* "zerocopy": sends without copying */
	SLUICE_CAPABILITY_REGISTERED_MEMORY =
		1 << 15, /* "registered-memory": the same from pinned pages */
	SLUICE_CAPABILITY_REGISTERED_LISTS =
		1 << 16,                     /* "registered-lists": of many segments of them */
	SLUICE_CAPABILITY_UDP_GSO = 1 << 17, /* "udp-gso": datagrams of one size in one send */
	SLUICE_CAPABILITY_SUBMISSION_THREAD =
		1 << 18, /* "submission-thread": a thread of the kernel's takes submissions */
	SLUICE_CAPABILITY_EXT_ARG = 1 << 19, /* "ext-arg": a wait has a time-out of its own */
	SLUICE_CAPABILITY_MULTISHOT_POLL = 1
					   << 20, /* "multishot-poll": one entry for all wake-ups */
	SLUICE_CAPABILITY_NO_IOWAIT = 1 << 21,    /* "no-iowait": idle waits are not iowait */
	SLUICE_CAPABILITY_EVENT_REPEATS =
		1 << 22 /* "event-repeats": the descriptor's eventfd is signalled every time */
};

/*
 * Which way queued memory takes on the ring backend. AUTO chooses for each turn: one submission for
 * all sockets with something to send if that costs less than a call for each of them. A process
 * measures once, when its first ring is used, what a call and an entry cost on this machine
 * (statistics.h). A send that is tried at once, outside of handlers and batches, is always a call.
 */
enum {
	SLUICE_TRANSMIT_WAY_AUTO,    /* the cheaper one of the next two */
	SLUICE_TRANSMIT_WAY_INLINE,  /* a non-blocking send(2) for each socket first */
	SLUICE_TRANSMIT_WAY_RING,    /* one submission for all sockets */
	SLUICE_TRANSMIT_WAY_ZEROCOPY /* all memory of TCP streams by zero copy; for measuring */
};

/*
 * When the ring backend sends the memory of TCP streams by zero copy. Such a record ends when the
 * kernel needs its buffer no longer: about when the peer has acknowledged, and a peer that does not
 * read keeps it from ending. epoll always copies.
 *
 * AUTO takes only records whole and without a deadline, when the socket's buffer and the peer's
 * window have room for all of them: no cancel, deadline or shutdown waits for a buffer, and no record
 * for a peer that does not read. It never takes a connection to this machine itself, where the kernel
 * copies all the same. It tries a connection only while more is queued behind, and goes on with what
 * is sent alone only if that was of use. ALWAYS also takes records in parts; one that is given up
 * half-sent then ends only when its buffer is free.
 */
enum {
	SLUICE_ZEROCOPY_AUTO, /* tried on each remote connection, used if it is seen to be of use */
	SLUICE_ZEROCOPY_OFF,
	SLUICE_ZEROCOPY_ALWAYS /* whenever it is large enough, whatever was seen */
};

/* Which way files take. */
enum {
	SLUICE_FILE_WAY_AUTO, /* small: read; large: a pipe; others: sendfile; cold: fetched first */
	SLUICE_FILE_WAY_SENDFILE, /* always sendfile; read if the file system refuses it */
	SLUICE_FILE_WAY_READ,     /* always read into memory and send */
	SLUICE_FILE_WAY_SPLICE    /* through a pipe of 1 MiB, as far as the socket has room */
};

/* Fill in with sluice_options_init, then change what you like. */
struct sluice_options {
	size_t size;           /* of this structure, as you know it */
	uint32_t backend;      /* SLUICE_BACKEND_* */
	uint32_t disable;      /* SLUICE_CAPABILITY_* not to be used */
	uint32_t ring_entries; /* submission entries; 512. Halved until the kernel agrees */
	/*
	 * Handlers called in a turn, 0: no bound; 4,096. Records that have ended come first. Events
	 * of sockets and posts share what the records leave, and 16 operations that they start count
	 * as a handler: a broadcast to many sockets does not queue faster than its records end. While
	 * records use all of it, events and posts wait, for 16 turns at most. Due timers are not
	 * counted; as many may be called in addition.
	 */
	uint32_t handler_budget;
	uint64_t gather_bytes;      /* most memory in one transmission; 1 MiB */
	uint64_t queue_limit_bytes; /* a new socket's hard limit, 0: none; 0 */
	uint32_t transmit_way;      /* SLUICE_TRANSMIT_WAY_* */
	uint32_t file_way;          /* SLUICE_FILE_WAY_* */
	uint64_t file_read_bytes;  /* files up to this are read and sent with their header; 2 KiB */
	uint64_t file_slice_bytes; /* of one file a turn; 1 MiB */
	uint64_t fetch_window_bytes; /* of a cold file at a time; 512 KiB */
	uint32_t fetch_windows;      /* in fetch at once; 16 */
	/*
	 * Not 0: the program always ignores SIGPIPE. Otherwise its disposition is asked for at most
	 * every 100 ms, and unless it is ignored the signal is masked around sendfile and splice: two
	 * system calls a turn, none in a thread of sluice_engine_start. A program that stops
	 * ignoring it waits for 100 ms before it sends files.
	 */
	uint32_t sigpipe_ignored;
	uint32_t receive_buffers;      /* the engine's own, for receive_start, at first; 256 */
	uint32_t receive_buffer_bytes; /* each; 16 KiB */
	uint32_t receive_buffers_per_socket; /* the most lent to one socket; 8 */
	uint32_t worker_threads;             /* the kernel's, for one engine's files; 4 */
	uint32_t ignore_environment; /* not 0: SLUICE_BACKEND, _DISABLE, _TRACE mean nothing */
	uint32_t trace_events; /* in the ring of the trace (trace.h), 0: none; 64 bytes each; 0 */
	uint32_t trace_format; /* SLUICE_TRACE_*, of what is written to trace_path */
	/*
	 * A file that the trace is appended to, as the ring fills and when the engine is destroyed, by
	 * a thread of its own; JSON if the name ends in .json. Turns the trace on, with 16,384 events
	 * if no number is given. Read by create alone. NULL: the environment's SLUICE_TRACE=path, if
	 * there is one.
	 */
	const char *trace_path;
	uint32_t handler_threads_max;   /* for callbacks of Begin and End; 64 */
	uint32_t cancel_on_thread_exit; /* not 0: what a thread started ends with it; 0 */
	uint32_t zerocopy;              /* SLUICE_ZEROCOPY_* */
	uint64_t zerocopy_bytes; /* the least in one transmission; 32 KiB, registered a quarter */
	/*
	 * How long a closed socket waits for buffers that the kernel still sends from, before it
	 * resets the connection, which frees them; <0: for ever; 2 s. sluice_engine_destroy: 0.
	 */
	int64_t zerocopy_linger_ns;
	/*
	 * Not 0: a thread of the kernel's takes what the engine submits (SQPOLL) and does the
	 * sending, so that a start on the engine's thread costs it no system call while that thread
	 * is awake. It spins on a processor of its own, with the scheduling policy of the thread
	 * that creates the engine: only for who has one to spare. With it
	 * SLUICE_TRANSMIT_WAY_AUTO means the ring, and a plain send is pending instead of tried at
	 * once; files still go by sendfile, in the engine's thread. Where it cannot be had (epoll,
	 * a kernel before 5.11, want of privileges before 5.13) the engine does without, and its
	 * statistics lack SLUICE_CAPABILITY_SUBMISSION_THREAD.
	 */
	uint32_t submission_thread;
	int32_t submission_thread_cpu;     /* the processor it runs on; -1: any; -1 */
	int64_t submission_thread_idle_ns; /* it sleeps after so long; whole ms, rounded up; 1 ms */
	/*
	 * How long a closed TCP socket keeps its descriptor, and discards what arrives (64 MiB at
	 * most), while the peer has not acknowledged everything that was sent: closed sooner, the
	 * kernel answers data from the peer with RST and drops the rest. It ends when everything is
	 * acknowledged or the peer ends the stream. 0: not at all; <0: without a bound of time; 5 s.
	 * sluice_engine_destroy: 0.
	 */
	int64_t close_linger_ns;
	/*
	 * Most memory of the receive buffers; 64 MiB. As more are in use at once their number is
	 * doubled, up to this and 32,768; they are never fewer than receive_buffers. A socket's
	 * share shrinks while less than half of the most is left, down to one buffer.
	 */
	uint64_t receive_bytes_max;
};

/*
 * Writes the defaults into the first size bytes of options, size being yours (sizeof *options).
 * Any thread. 0; -EINVAL for NULL or a size that is too small. Since 0.1.
 */
int sluice_options_init(struct sluice_options *options, size_t size);

/*
 * Makes an engine; the calling thread owns it. options are copied, NULL means the defaults; a
 * newer options structure with a tail that this library does not know and that is not zero is
 * -E2BIG. The engine is the library's, until sluice_engine_destroy. A backend that was asked for
 * and cannot be had is an error, with the kernel's errno; only AUTO falls back.
 * 0, or -EINVAL, -E2BIG, -ENOMEM, -EMFILE, ...; *ret_engine is then NULL. Since 0.1.
 */
int sluice_engine_create(struct sluice_engine **ret_engine, const struct sluice_options *options);

/*
 * One turn: takes what other threads left, expires deadlines, transmits what is queued, enters the
 * kernel once, settles what completed and runs handlers. timeout_ns < 0 waits until something
 * happens or a wake, 0 does not wait.
 * Returns the handlers called (records, events, timers, posts), 0 after a wake or the time-out;
 * -EINTR when a signal interrupted the wait; -EPERM from another thread; -EDEADLK from a handler;
 * another -errno when the kernel refuses to wait for good (a seccomp filter that was installed after
 * create, say): no further run will do better. A signal that arrives while run does not wait is not
 * reported: a signal handler whose effect must not be missed calls sluice_engine_wake. Since 0.1.
 */
int sluice_engine_run(struct sluice_engine *engine, int64_t timeout_ns);

/* Transmits and submits what is queued, without waiting and without handlers. 0; -EPERM. Since 0.1. */
int sluice_engine_flush(struct sluice_engine *engine);

/*
 * Ends the wait of the present or the next run. Any thread, and any signal handler: it keeps errno
 * and takes no lock. Since 0.1.
 */
void sluice_engine_wake(struct sluice_engine *engine);

/*
 * A descriptor for a foreign loop: readable while run has something to do. It is the engine's;
 * poll it, level- or edge-triggered, then call run with a timeout of 0, nothing else. The first
 * call turns it on; from then on run leaves nothing unsubmitted. The descriptor or -errno.
 * Since 0.1.
 */
int sluice_engine_fd(struct sluice_engine *engine);

/*
 * The calling thread becomes the owner. The first use is the owner's first run, flush, batch or start of
 * an operation; attaching sockets is none, nor is what other threads do. 0; -EBUSY after the first use.
 * Since 0.1.
 */
int sluice_engine_adopt(struct sluice_engine *engine);

/*
 * A thread of the engine's own runs the turns from now on, and the handlers. All signals are
 * blocked in it. 0; -EBUSY after the first use; -EAGAIN when no thread can be had. Since 0.1.
 */
int sluice_engine_start(struct sluice_engine *engine);

/*
 * Ends what sluice_engine_start began: aborts what is pending, runs the handlers, ends the thread.
 * From then on sockets answer -EBADF and only destroy is left. The handler threads of
 * Begin and End run the callbacks that are left, and end as well. Any thread but these.
 * 0; -EINVAL not started; -EDEADLK from a handler or a handler thread. Since 0.1.
 */
int sluice_engine_stop(struct sluice_engine *engine);

/*
 * Stops, aborts what is pending, runs the handlers and callbacks, waits for whoever is inside an
 * End or a wait, closes and frees everything that is still there, sockets included.
 * 0; -EDEADLK from a handler or a handler thread; -EPERM from another thread; -EBADF in a
 * forked child, where nothing is freed. NULL is 0.
 * Since 0.1.
 */
int sluice_engine_destroy(struct sluice_engine *engine);

/*
 * Runs function(engine, token) in the engine's thread, from sluice_engine_run, in the order of the
 * posts of one thread. Any thread. 0; -EINVAL; -ENOMEM; -EBADF while the engine ends. Since 0.1.
 */
int sluice_post(struct sluice_engine *engine,
		void (*function)(struct sluice_engine *engine, void *token), void *token);

/*
 * Pins memory that is sent from often, so that zero-copy sends of buffers that lie wholly in one
 * registered memory need not pin it each time; nothing else changes, and no flag is needed. The
 * memory stays the caller's, must stay mapped until it is unregistered or the engine destroyed, and
 * is not written to; the kernel asks for a writable mapping all the same. At most 64 at a time, each
 * up to 1 GiB; they count against RLIMIT_MEMLOCK. Where it cannot be used (epoll, older kernels) the
 * call succeeds and does no more. The owner's thread.
 * 0; -EINVAL: NULL, 0 or too long; -EEXIST: this base is registered; -ENOBUFS: 64 are; -ENOMEM,
 * -EFAULT, -EOPNOTSUPP: the kernel cannot pin it, and sends from it go as others do; -EBADF; -EPERM.
 * Since 0.1.
 */
int sluice_engine_register_memory(struct sluice_engine *engine, const void *base, size_t length);

/*
 * The opposite, by the base that was registered. Sends that are on their way end as they would
 * have; their buffers stay theirs until then. The owner's thread.
 * 0; -EINVAL; -ENOENT: not registered; -EBADF; -EPERM. Since 0.1.
 */
int sluice_engine_unregister_memory(struct sluice_engine *engine, const void *base);

/* "uring" or "epoll". Any thread. NULL for NULL. Since 0.1. */
const char *sluice_engine_backend(struct sluice_engine *engine);

/*
 * Why this backend: "" where it is the one that was wished for, else the reason that the ring is
 * not used, for people. The engine's string. Any thread. Since 0.1.
 */
const char *sluice_engine_backend_reason(struct sluice_engine *engine);

/*
 * Between begin and end sends are queued, gathered and submitted together, and return 1. Batches
 * nest; the last end transmits and submits everything, handlers wait for run.
 * 0; -EINVAL: end without begin; -EPERM. Since 0.1.
 */
int sluice_batch_begin(struct sluice_engine *engine);
int sluice_batch_end(struct sluice_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
