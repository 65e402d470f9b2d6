/* SPDX-License-Identifier: MIT */
/*
 * The interface of a backend: a table of operations. The ring, epoll and the scripted backend of
 * the tests implement it; the layers above do not depend on which one runs.
 *
 * A backend executes requests. start submits one, and reap returns its completion: exactly one, or
 * for a multishot request any number with `more` set and a last one without. A cancelled request
 * completes too, with -ECANCELED unless another result came first. All functions are called on the
 * engine's thread, except wake, which may be called from any thread and from signal handlers.
 */
#ifndef SLUICE_SRC_BACKEND_BACKEND_H
#define SLUICE_SRC_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/queue.h"
#include "core/messages.h"

struct sluice_engine;
struct sluice_socket;

/*
 * The longest wait that is passed to a backend: a day. A later deadline takes another turn, so
 * conversions to milliseconds or to an absolute time cannot overflow.
 */
#define SLUICE__WAIT_MAX_NS (INT64_C(86400) * 1000000000)

#define SLUICE__REGIONS 64u /* registered memories at a time */

enum {
	SLUICE__REQUEST_NONE,
	/*
	 * Sends memory. Result: bytes sent, or -errno. Only for a backend with `sends`. The array
	 * of segments has to stay valid only until the next submit or enter.
	 */
	SLUICE__REQUEST_SEND,
	/*
	 * Sends messages in order and without waiting. Result: the number sent, or -errno of the
	 * first. Only for a backend with `sends`. Headers, segments and data stay valid until
	 * completion.
	 */
	SLUICE__REQUEST_MESSAGES,
	SLUICE__REQUEST_WRITABLE, /* 0: the socket is writable or has an error pending */
	SLUICE__REQUEST_READABLE, /* 0: the socket is readable or has an error pending */
	SLUICE__REQUEST_RECEIVE,  /* into segments: bytes, or -errno; address optional */
	SLUICE__REQUEST_ACCEPT,   /* a descriptor, close-on-exec and non-blocking, or -errno */
	SLUICE__REQUEST_ACCEPT_MULTI,
	/*
	 * Bytes, in completion.buffer; 0: end of stream; -ENOBUFS: no free buffer. The request ends
	 * after `length` bytes; a length of one buffer means a single receive.
	 */
	SLUICE__REQUEST_RECEIVE_MULTI,
	SLUICE__REQUEST_FETCH, /* prefetches a window of a file into the page cache: 0, or -errno */
	/*
	 * SEND without copying. While the buffers are still in use, which may be so even after an
	 * error, the completion has `more` set, and a second one, the notification, follows when
	 * they are released.
	 */
	SLUICE__REQUEST_SEND_ZEROCOPY,
	/*
	 * Sends length bytes of `file` from offset on, through a pipe. Result: bytes sent; 0: the file
	 * ends at offset; or -errno. At completion, length is the number of bytes that were read from
	 * the file: a smaller result means that the socket is full. Only with RING_SPLICE. start
	 * returns -EBUSY if the limit of such requests is reached, and -ENOBUFS if no pipe can be
	 * created.
	 */
	SLUICE__REQUEST_FILE
};

/*
 * Maximum bytes of one entry or system call. Lengths in the ring have 32 bits, results 31, and the
 * kernel transfers less than 2 GiB at a time; the rest is sent as after any short count.
 */
#define SLUICE__LENGTH_MAX (UINT32_C(1) << 30)

static inline uint32_t sluice__length(uint64_t bytes)
{
	return bytes < SLUICE__LENGTH_MAX ? (uint32_t)bytes : SLUICE__LENGTH_MAX;
}

struct sluice__request {
	uint8_t kind;
	bool armed;      /* started, final completion not reaped yet */
	bool cancelling; /* cancel was called */
	uint8_t slot;    /* private to the backend */
	int32_t fd;
	struct sluice_socket *socket; /* NULL for FETCH */
	/* RECEIVE_MULTI, FETCH, FILE: bytes. SEND_ZEROCOPY: slot of the registered memory + 1; 0: none */
	uint64_t length;
	union {
		struct { /* SEND, SEND_ZEROCOPY, RECEIVE */
			struct iovec *segments;
			uint32_t segment_count;
			uint32_t flags;         /* for send(2), recv(2) */
			struct msghdr *message; /* RECEIVE with an address, or NULL */
		};
		struct { /* FETCH, MESSAGES, FILE */
			union {
				uint64_t offset;
				struct sluice__messages *messages;
			};
			uint32_t pending;            /* private to the backend: entries in flight */
			int32_t file;                /* FILE */
			struct sluice__slice *slice; /* FILE: private to the backend */
		};
	};
	struct sluice__link link; /* private to the backend */
};

struct sluice__completion {
	struct sluice__request *request;
	int32_t result;
	uint16_t buffer; /* RECEIVE_MULTI with result > 0: id of the receive buffer */
	bool more;       /* further completions of the request follow */
	uint8_t freed;   /* SEND_ZEROCOPY: SLUICE__FREED_* */
};

enum {
	SLUICE__FREED_NOT,   /* the result of the send, not the notification */
	SLUICE__FREED_SENT,  /* the notification: nothing was copied */
	SLUICE__FREED_COPIED /* the notification: the kernel copied the data */
};

struct sluice__backend {
	const char *name;
	uint32_t id; /* SLUICE_BACKEND_* */
	bool sends;  /* executes SEND; otherwise the engine waits for WRITABLE and calls try_send */

	/* Allocates engine->uring or engine->poller. 0 or -errno. */
	int (*open)(struct sluice_engine *engine);
	/* First call on the owner's thread; from now on only this thread calls. 0 or -errno. */
	int (*enable)(struct sluice_engine *engine);
	void (*close)(struct sluice_engine *engine);

	/* 0; -errno: the request was not started and gets no completion. */
	int (*start)(struct sluice_engine *engine, struct sluice__request *request);
	/* Called again after enter failed permanently: the backend completes the request itself. */
	void (*cancel)(struct sluice_engine *engine, struct sluice__request *request);
	/* The socket's descriptor is about to be closed or detached; no request is armed. */
	void (*forget)(struct sluice_engine *engine, struct sluice_socket *socket);

	/*
	 * Submits started requests and waits for a completion: wait_ns < 0 without limit, 0 not at
	 * all. 0; -EINTR after a signal; any other -errno is permanent: the kernel refuses to wait.
	 */
	int (*enter)(struct sluice_engine *engine, int64_t wait_ns);
	/* Submits started requests without waiting. */
	void (*submit)(struct sluice_engine *engine);
	/*
	 * Whether nothing is started and nothing has completed, so that an enter that does not wait, and
	 * the reap after it, would do nothing. NULL: only they find out.
	 */
	bool (*is_idle)(const struct sluice_engine *engine);
	/* Up to max completions; fewer than max: no more at present. */
	uint32_t (*reap)(struct sluice_engine *engine, struct sluice__completion *completions,
			 uint32_t max);
	void (*wake)(struct sluice_engine *engine);

	/*
	 * For embedding in another event loop: the descriptor to poll, or -errno. Each run calls
	 * quiet at its start and listen at its end.
	 */
	int (*descriptor)(struct sluice_engine *engine);
	void (*quiet)(struct sluice_engine *engine);
	/* next_ns: the next deadline, UINT64_MAX for none; ready: a run has work already. */
	void (*listen)(struct sluice_engine *engine, uint64_t next_ns, bool ready);

	/* The engine's receive buffers were allocated; one was returned. */
	int (*buffers_open)(struct sluice_engine *engine);
	void (*buffer_return)(struct sluice_engine *engine, uint16_t buffer);

	/* Registers memory for zero-copy sends: 0 or -errno. NULL: not supported. */
	int (*memory_register)(struct sluice_engine *engine, uint32_t slot, const void *base,
			       size_t length);
	void (*memory_unregister)(struct sluice_engine *engine, uint32_t slot);

	/* Non-blocking system calls: bytes or -errno. */
	int64_t (*try_send)(struct sluice_engine *engine, struct sluice_socket *socket,
			    const struct msghdr *message, uint32_t flags);
	/* Several messages in one call: the number sent, or -errno of the first. */
	int (*try_send_messages)(struct sluice_engine *engine, struct sluice_socket *socket,
				 struct mmsghdr *messages, uint32_t count, uint32_t flags);
	/* piped: through a pipe by splice(2), if possible. */
	int64_t (*try_send_file)(struct sluice_engine *engine, struct sluice_socket *socket,
				 int file, uint64_t offset, uint64_t count, bool piped);
	int64_t (*try_receive)(struct sluice_engine *engine, struct sluice_socket *socket,
			       struct msghdr *message, uint32_t flags);

	/* Of a connected stream: whether the addresses show that the peer is on this machine. */
	bool (*is_local)(const struct sluice_socket *socket);
	/* Of a connected stream: bytes left in the peer's window after all unacknowledged data. */
	uint64_t (*window)(const struct sluice_socket *socket);
};

/* backend.c: chooses and opens a backend; engine->reason says why not the ring. 0 or -errno. */
int sluice__backend_choose(struct sluice_engine *engine);

extern const struct sluice__backend sluice__uring;
extern const struct sluice__backend sluice__epoll;

/* syscalls.c: the system calls in the tables of both real backends. */
int64_t sluice__syscall_send(struct sluice_engine *engine, struct sluice_socket *socket,
			     const struct msghdr *message, uint32_t flags);
/* The same for one buffer, in any thread, which cannot be cancelled in it. */
int64_t sluice__syscall_send_plain(const struct sluice_socket *socket, const void *base,
				   uint64_t length);
int sluice__syscall_send_messages(struct sluice_engine *engine, struct sluice_socket *socket,
				  struct mmsghdr *messages, uint32_t count, uint32_t flags);
int64_t sluice__syscall_send_file(struct sluice_engine *engine, struct sluice_socket *socket,
				  int file, uint64_t offset, uint64_t count, bool piped);
int64_t sluice__syscall_receive(struct sluice_engine *engine, struct sluice_socket *socket,
				struct msghdr *message, uint32_t flags);

/* costs.c: the cost of an empty send(2) in nanoseconds; the minimum of several rounds. */
uint32_t sluice__measure_call(void);

bool sluice__syscall_is_local(const struct sluice_socket *socket);
uint64_t sluice__syscall_window(const struct sluice_socket *socket);

/* Free space in the socket's send buffer, in bytes. */
uint64_t sluice__syscall_space(const struct sluice_socket *socket);
/* The same if the socket polls writable; otherwise 0. */
uint64_t sluice__syscall_writable_space(const struct sluice_socket *socket);

#endif
