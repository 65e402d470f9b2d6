/* SPDX-License-Identifier: MIT */
/*
 * What a backend is: a struct of operations. The ring, epoll and the scripted one of the tests
 * stand behind it, and nothing above knows which one runs.
 *
 * A backend works on requests. It is given one by start, and answers it in reap: exactly once, or,
 * with a multishot request, any number of times with `more` and then once without. A cancelled
 * request is answered all the same, with -ECANCELED if nothing else came first. Every function is
 * called in the engine's thread but wake, which any thread and any signal handler may call.
 */
#ifndef SLUICE_SRC_BACKEND_BACKEND_H
#define SLUICE_SRC_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/queue.h"

struct sluice_engine;
struct sluice_socket;

/*
 * The longest wait that a backend is asked for: a day. A later deadline takes another turn, so no
 * conversion to milliseconds or to a kernel's absolute time overflows.
 */
#define SLUICE__WAIT_MAX_NS (INT64_C(86400) * 1000000000)

#define SLUICE__REGIONS 64u /* memories that may be registered at a time */

enum {
	SLUICE__REQUEST_NONE,
	/*
	 * Memory to send: the bytes taken, or -errno. Only to a backend that sends. The segments' array
	 * need live only until the next submit or enter.
	 */
	SLUICE__REQUEST_SEND,
	/*
	 * Messages, each after the one before it has been taken, none waited for: how many were taken, or
	 * -errno of the first. Only to a backend that sends. What they are made of lives until the answer.
	 */
	SLUICE__REQUEST_MESSAGES,
	SLUICE__REQUEST_WRITABLE, /* 0 when the socket can be written to, or has an error to tell */
	SLUICE__REQUEST_READABLE, /* 0 when it can be read from, or has an error to tell */
	SLUICE__REQUEST_RECEIVE,  /* into segments: the bytes, or -errno; address optional */
	SLUICE__REQUEST_ACCEPT,   /* a descriptor, close-on-exec and non-blocking, or -errno */
	SLUICE__REQUEST_ACCEPT_MULTI,
	/*
	 * Bytes, in completion.buffer; 0: the end; -ENOBUFS: no buffer was left. It ends after length
	 * bytes; a length of one buffer is one receive.
	 */
	SLUICE__REQUEST_RECEIVE_MULTI,
	SLUICE__REQUEST_FETCH, /* a window of a file into the page cache: 0, or -errno */
	/*
	 * As SEND, without copying. Where the buffers are still in use, even behind an error, it is
	 * answered with `more`, and once again, as a notification, when they are free.
	 */
	SLUICE__REQUEST_SEND_ZEROCOPY
};

/*
 * Most bytes of one entry or call. The ring's lengths have 32 bits, results 31, and the kernel moves
 * less than 2 GiB at a time: what is left follows as it does after any other short count.
 */
#define SLUICE__LENGTH_MAX (UINT32_C(1) << 30)

static inline uint32_t sluice__length(uint64_t bytes)
{
	return bytes < SLUICE__LENGTH_MAX ? (uint32_t)bytes : SLUICE__LENGTH_MAX;
}

/* Messages of one socket, each a datagram, or several of one size that the kernel cuts up. */
struct sluice__messages {
	struct mmsghdr *headers;
	uint32_t count;
	uint32_t flags; /* for send(2) */
	uint32_t taken; /* by the backend: from the first one on */
	int32_t error;  /* by the backend: the errno that the next one met; 0: not known */
};

struct sluice__request {
	uint8_t kind;
	bool armed;      /* started and not finally answered */
	bool cancelling; /* cancel was asked for */
	uint8_t slot;    /* the backend's */
	int32_t fd;
	struct sluice_socket *socket; /* NULL with FETCH */
	/* RECEIVE_MULTI, FETCH; SEND_ZEROCOPY: its registered memory plus one, 0: none */
	uint64_t length;
	union {
		struct { /* SEND, SEND_ZEROCOPY, RECEIVE */
			struct iovec *segments;
			uint32_t segment_count;
			uint32_t flags;         /* for send(2), recv(2) */
			struct msghdr *message; /* RECEIVE with an address, or NULL */
		};
		struct { /* FETCH, MESSAGES */
			union {
				uint64_t offset;
				struct sluice__messages *messages;
			};
			uint32_t pending; /* the backend's: parts on their way */
		};
	};
	struct sluice__link link; /* the backend's */
};

struct sluice__completion {
	struct sluice__request *request;
	int32_t result;
	uint16_t buffer; /* RECEIVE_MULTI with result > 0: which of the engine's */
	bool more;       /* the request goes on */
	uint8_t freed;   /* SEND_ZEROCOPY: SLUICE__FREED_* */
};

enum {
	SLUICE__FREED_NOT,   /* this is the result */
	SLUICE__FREED_SENT,  /* the notification: nothing was copied */
	SLUICE__FREED_COPIED /* the kernel had to copy */
};

struct sluice__backend {
	const char *name;
	uint32_t id; /* SLUICE_BACKEND_* */
	bool sends;  /* it takes SEND; others are asked for WRITABLE, and the engine sends itself */

	/* Makes what the backend needs, in engine->uring or engine->epoll. 0 or -errno. */
	int (*open)(struct sluice_engine *engine);
	/* The owner is here for the first time, from now on only this thread calls. 0 or -errno. */
	int (*enable)(struct sluice_engine *engine);
	void (*close)(struct sluice_engine *engine);

	/* 0; -errno: the request was not started and will not be answered. */
	int (*start)(struct sluice_engine *engine, struct sluice__request *request);
	/* Again after enter was refused for good: then the backend answers it without the kernel. */
	void (*cancel)(struct sluice_engine *engine, struct sluice__request *request);
	/* The socket's descriptor is about to be closed or given back; no request is armed. */
	void (*forget)(struct sluice_engine *engine, struct sluice_socket *socket);

	/*
	 * Hands over what was started and waits until something is there to reap: wait_ns < 0 for ever,
	 * 0 not at all. 0; -EINTR after a signal; -errno: the kernel refuses to wait, for good.
	 */
	int (*enter)(struct sluice_engine *engine, int64_t wait_ns);
	/* Hands over what was started, without waiting. */
	void (*submit)(struct sluice_engine *engine);
	/* Up to max completions; fewer than max: there are no more just now. */
	uint32_t (*reap)(struct sluice_engine *engine, struct sluice__completion *completions,
			 uint32_t max);
	void (*wake)(struct sluice_engine *engine);

	/* For a foreign loop: the descriptor, or -errno; then quiet at each turn's begin, listen at its end. */
	int (*descriptor)(struct sluice_engine *engine);
	void (*quiet)(struct sluice_engine *engine);
	/* next_ns: when a deadline comes, UINT64_MAX for none; ready: there is work for a run already. */
	void (*listen)(struct sluice_engine *engine, uint64_t next_ns, bool ready);

	/* The engine's receive buffers came into being, or one came back. */
	int (*buffers_open)(struct sluice_engine *engine);
	void (*buffer_return)(struct sluice_engine *engine, uint16_t buffer);

	/* Memory to send from by zero copy: 0 or -errno. NULL: it makes no use of it. */
	int (*memory_register)(struct sluice_engine *engine, uint32_t slot, const void *base,
			       size_t length);
	void (*memory_unregister)(struct sluice_engine *engine, uint32_t slot);

	/* The non-blocking attempts: bytes or -errno. */
	int64_t (*try_send)(struct sluice_engine *engine, struct sluice_socket *socket,
			    const struct msghdr *message, uint32_t flags);
	/* Several messages in one call: how many were taken, or -errno of the first. */
	int (*try_send_messages)(struct sluice_engine *engine, struct sluice_socket *socket,
				 struct mmsghdr *messages, uint32_t count, uint32_t flags);
	/* piped: through a pipe, as long as that is of use. */
	int64_t (*try_send_file)(struct sluice_engine *engine, struct sluice_socket *socket,
				 int file, uint64_t offset, uint64_t count, bool piped);
	int64_t (*try_receive)(struct sluice_engine *engine, struct sluice_socket *socket,
			       struct msghdr *message, uint32_t flags);

	/* About a connected stream. Whether its peer is on this machine, as far as addresses show. */
	bool (*is_local)(const struct sluice_socket *socket);
	/* Bytes that the peer's window would take now, beyond what it has not acknowledged. */
	uint64_t (*window)(const struct sluice_socket *socket);
};

/* backend.c: chooses and opens one; engine->reason tells why. 0 or -errno. */
int sluice__backend_choose(struct sluice_engine *engine);

extern const struct sluice__backend sluice__uring;
extern const struct sluice__backend sluice__epoll;

/* The attempts as the kernel answers them; what both real backends have in their tables. */
int64_t sluice__syscall_send(struct sluice_engine *engine, struct sluice_socket *socket,
			     const struct msghdr *message, uint32_t flags);
int sluice__syscall_send_messages(struct sluice_engine *engine, struct sluice_socket *socket,
				  struct mmsghdr *messages, uint32_t count, uint32_t flags);
int64_t sluice__syscall_send_file(struct sluice_engine *engine, struct sluice_socket *socket,
				  int file, uint64_t offset, uint64_t count, bool piped);
int64_t sluice__syscall_receive(struct sluice_engine *engine, struct sluice_socket *socket,
				struct msghdr *message, uint32_t flags);

/* What a send(2) that finds nothing to do costs here, in nanoseconds: the least of several rounds. */
uint32_t sluice__measure_call(void);

bool sluice__syscall_is_local(const struct sluice_socket *socket);
uint64_t sluice__syscall_window(const struct sluice_socket *socket);

/* Bytes that the socket's send buffer would take now. */
uint64_t sluice__syscall_space(const struct sluice_socket *socket);

#endif
