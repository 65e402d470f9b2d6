/* SPDX-License-Identifier: MIT */
/* The inside of a socket. At most 512 bytes while it is idle; what is rare is elsewhere. */
#ifndef SLUICE_SRC_ENGINE_SOCKET_H
#define SLUICE_SRC_ENGINE_SOCKET_H

#include <sluice/server.h>
#include <sluice/socket.h>
#include <sluice/statistics.h>

#include "backend/backend.h"
#include "base/queue.h"
#include "base/wheel.h"
#include "core/sendq.h"
#include "core/zerocopy_policy.h"

struct sluice__accepter;
struct sluice__apm;
struct sluice__filter;
struct sluice__zc_send;
struct sluice__receiver;

/* What runs when the descriptor has been closed. */
struct sluice__closed {
	sluice_closed_fn *function;
	void *token;
};

/* What few sockets have: handlers of the water marks, a filter. */
struct sluice__marks {
	sluice_drained_fn *drained;
	void *drained_token;
	sluice_congested_fn *congested;
	void *congested_token;
	struct sluice__filter *filter; /* NULL: none; see filter/filter.h */
};

/*
 * shared_flags: why a start leaves the fast path, readable by any thread. 0: a connected stream, on which
 * nothing has happened yet. Written by the owner, and by whoever closes.
 */
enum {
	SLUICE__SHARED_CLOSED = 1 << 0, /* by close, destroy, detach or the engine's end: -EBADF */
	SLUICE__SHARED_UNCONNECTED = 1 << 1, /* believed so: the kernel is asked again */
	SLUICE__SHARED_LISTENING = 1 << 3,
	SLUICE__SHARED_DATAGRAM = 1 << 4,     /* also seqpacket: every record stands for itself */
	SLUICE__SHARED_SHUT_SEND = 1 << 5,    /* by us: sends end with Shutdown */
	SLUICE__SHARED_DISCONNECTED = 1 << 6, /* by us, without reuse: it cannot connect again */
	SLUICE__SHARED_SHUT_RECEIVE = 1 << 7,
	SLUICE__SHARED_NOT_TCP = 1 << 8,   /* a stream, but nothing with a cork or an urgent byte */
	SLUICE__SHARED_TRACED = 1 << 9,    /* the engine has a trace: starts go where it is told */
	SLUICE__SHARED_FILTERED = 1 << 10, /* has a filter, and what is received goes through it */
	SLUICE__SHARED_FILTERED_SENDS = 1 << 11, /* and what is sent */
	/*
	 * A count: connects that were started and are not over, those in the mailbox included. Not
	 * 0: starts are accepted and wait.
	 */
	SLUICE__SHARED_CONNECT_ONE = 1 << 16,
	SLUICE__SHARED_CONNECTING = 0x7fff << 16,
	SLUICE__SHARED_SLOW_STREAM =
		SLUICE__SHARED_CLOSED | SLUICE__SHARED_UNCONNECTED | SLUICE__SHARED_CONNECTING |
		SLUICE__SHARED_LISTENING | SLUICE__SHARED_DATAGRAM | SLUICE__SHARED_SHUT_SEND |
		SLUICE__SHARED_DISCONNECTED | SLUICE__SHARED_TRACED | SLUICE__SHARED_FILTERED_SENDS
};

/* state: the owner's. */
enum {
	SLUICE__ST_READY = 1 << 0,        /* stands in the ready list */
	SLUICE__ST_IN_FLIGHT = 1 << 1,    /* the head of the queue is with the kernel */
	SLUICE__ST_BLOCKED = 1 << 2,      /* waits until it can be written to, or for a window */
	SLUICE__ST_FULL = 1 << 3,         /* took less than it was given */
	SLUICE__ST_RESET_SEEN = 1 << 4,   /* the peer's reset was met, in either direction */
	SLUICE__ST_RESET_SENT = 1 << 5,   /* and a send has reported it */
	SLUICE__ST_END_SEEN = 1 << 6,     /* the peer's orderly end was received */
	SLUICE__ST_ABOVE_HIGH = 1 << 7,   /* the drained handler is to run */
	SLUICE__ST_HANDLE_GONE = 1 << 10, /* destroyed by the caller, or detached */
	SLUICE__ST_GRACEFUL = 1 << 11,    /* closes when the queue is empty */
	SLUICE__ST_END_ON_GIVE_UP = 1 << 13,
	SLUICE__ST_DEAD = 1 << 16,           /* in the list of the dead */
	SLUICE__ST_CANCEL_PENDING = 1 << 17, /* a record in flight is to be given up */
	SLUICE__ST_PREFETCHING = 1 << 18,    /* BLOCKED for a window of a cold file */
	SLUICE__ST_CORKED = 1 << 19,         /* TCP_CORK was set by us */
	SLUICE__ST_WATCHED = 1 << 21,        /* epoll's: registered */
	SLUICE__ST_ZC_SENDS = 1 << 22, /* zc_sends is not empty: the kernel has buffers of ours */
	SLUICE__ST_LOST = 1 << 26      /* sends were given up by the close */
};

/*
 * The phase of a socket, in the upper bits of state, so that "may it transmit?" is one test of it.
 * socket/close.c has the transitions.
 */
#define SLUICE__PHASE_SHIFT 29
#define SLUICE__PHASE_MASK (UINT32_C(7) << SLUICE__PHASE_SHIFT)

enum sluice__phase {
	SLUICE__PHASE_OPEN,
	SLUICE__PHASE_CLOSING,       /* requests are cancelled, their answers are awaited */
	SLUICE__PHASE_WAIT_ZEROCOPY, /* only notifications of buffers are awaited */
	SLUICE__PHASE_RESETTING,     /* the same, and the connection was reset for them */
	SLUICE__PHASE_LINGERING,     /* the peer has not acknowledged everything */
	SLUICE__PHASE_CLOSED         /* the descriptor is gone */
};

/* intents: what other threads, or a handler, want done with the socket in the next turn. */
enum {
	SLUICE__WANT_CANCEL = 1 << 0, /* some record is marked */
	SLUICE__WANT_CANCEL_ALL = 1 << 1,
	SLUICE__WANT_CLOSE = 1 << 2,
	SLUICE__WANT_DESTROY = 1 << 3,
	SLUICE__WANT_GRACEFUL = 1 << 4,
	SLUICE__WANT_SHUT_RECEIVE = 1 << 5,
	SLUICE__WANT_SHUT_SEND = 1 << 6,
	SLUICE__WANT_ACCEPT = 1 << 7,
	SLUICE__WANT_ACCEPT_STOP = 1 << 8,
	SLUICE__WANT_RECEIVE = 1 << 9,
	SLUICE__WANT_RECEIVE_STOP = 1 << 10
};

/* events: what waits for the handlers of the socket itself. */
enum {
	SLUICE__EVENT_DRAINED = 1 << 0,
	SLUICE__EVENT_ACCEPTED = 1 << 1,
	SLUICE__EVENT_RECEIVED = 1 << 2,
	SLUICE__EVENT_QUEUED = 1 << 3, /* stands in the list */
	SLUICE__EVENT_CLOSED = 1 << 4,
	SLUICE__EVENT_CONGESTED = 1 << 5
};

struct sluice_socket {
	/* What a start touches. */
	uint32_t shared_flags; /* atomic: SLUICE__SHARED_* */
	uint32_t state;
	struct sluice_engine *engine;
	struct sluice__sendq queue;
	uint64_t check_above; /* queued bytes above which a start looks closer: min(high, limit) */
	struct sluice__link ready_link;
	int32_t fd;
	uint8_t family;
	uint8_t type;
	uint16_t armed; /* requests that the backend has */

	/* Sending. */
	struct sluice__flight flight;
	struct sluice__request out;
	uint64_t transmissions;
	uint64_t records_sent;
	uint64_t bytes_sent;

	/* Receiving, or accepting. */
	struct sluice__request in;
	struct sluice__list receives;      /* records that receive or accept */
	uint32_t receives_listed;          /* atomic: in that list */
	uint32_t receives_cross_thread;    /* atomic: on their way there from other threads */
	struct sluice__receiver *receiver; /* receive_start; atomic until taken over */
	struct sluice__accepter *accepter; /* accept_start */
	union {
		struct iovec receive_segment;
		struct {                 /* PHASE_LINGERING */
			uint64_t bytes;  /* discarded */
			int64_t poll_ns; /* interval of SIOCOUTQ polls */
		} lingering;
	};
	uint64_t bytes_received;

	struct sluice_args *connecting;
	const struct sluice_args *corked_for; /* the record at the head that asked for it */
	uint64_t low_bytes;
	uint64_t high_bytes;
	uint64_t limit_bytes;
	uint64_t cross_thread_bytes; /* atomic: started by other threads, still in the mailbox */
	struct sluice__marks *marks; /* NULL until one of them is set */
	void *user_data;
	int64_t graceful_ns; /* what close_gracefully was given; then, and while LINGERING, until when */

	struct sluice__wheel_node timer; /* one at a time: SLUICE__NODE_* */
	uint32_t intents;                /* atomic */
	uint32_t events;
	struct sluice__link intents_link;
	struct sluice__link event_link; /* also of engine->socket_pool */
	struct sluice__link fetch_link; /* of the sockets that wait for a window */
	union {
		struct sluice__link accepted_link; /* not yet delivered */
		struct sluice__link dead_link;
	};
	struct sluice__closed *closed; /* atomic: of set_closed */
	struct sluice_socket *next;    /* of all sockets of the engine */
	struct sluice_socket **link;
	uint64_t dead_at; /* records delivered when the memory may go */
	union {
		struct sluice__request *waiting_in; /* epoll's */
		struct sluice__zc_send
			*zc_sends; /* the newest, with HOLDING; the oldest behind it */
	};
	struct sluice__request *waiting_out;
	struct sluice__apm *apm; /* Begin and End, from the first Begin on; set once, atomic */
	struct sluice__zerocopy zerocopy;
	union {
		struct { /* UDP */
			uint16_t
				gso_bytes; /* the largest datagrams that the kernel cuts up; 0: none */
			uint16_t gso_rest; /* batches until larger ones are tried again */
		};
		uint32_t unsent_low_bytes; /* TCP; 0: not set */
	};
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sluice_socket) <= 512, "an idle socket costs at most 512 bytes");

static inline uint32_t sluice__socket_flags(const struct sluice_socket *socket)
{
	return __atomic_load_n(&socket->shared_flags, __ATOMIC_RELAXED);
}

static inline void sluice__socket_flags_set(struct sluice_socket *socket, uint32_t bits)
{
	__atomic_fetch_or(&socket->shared_flags, bits, __ATOMIC_RELEASE);
}

static inline void sluice__socket_flags_clear(struct sluice_socket *socket, uint32_t bits)
{
	__atomic_fetch_and(&socket->shared_flags, ~bits, __ATOMIC_RELEASE);
}

/* A connect begins; this is undone when it is over, or if it is refused. */
static inline void sluice__connect_announce(struct sluice_socket *socket)
{
	__atomic_fetch_add(&socket->shared_flags, SLUICE__SHARED_CONNECT_ONE, __ATOMIC_RELEASE);
}

static inline void sluice__connect_withdraw(struct sluice_socket *socket)
{
	__atomic_fetch_sub(&socket->shared_flags, SLUICE__SHARED_CONNECT_ONE, __ATOMIC_RELEASE);
}

/* Whether any record receives or accepts, as far as its start has returned. Any thread. */
static inline bool sluice__receives_pending(const struct sluice_socket *socket)
{
	/* In this order: the engine lists a record before it stops counting it as foreign. */
	return __atomic_load_n(&socket->receives_cross_thread, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&socket->receives_listed, __ATOMIC_ACQUIRE);
}

/* sockets.c: makes the handle; fd is taken over only with 0. */
int sluice__socket_make(struct sluice_engine *engine, int fd, struct sluice_socket **ret_socket);
/* The same for a connection that the kernel has just handed over. */
int sluice__socket_make_accepted(const struct sluice_socket *listener, int fd,
				 struct sluice_socket **ret_socket);

/* Unread bytes are discarded: how many. Notes the end of the stream, and a reset. */
uint64_t sluice__socket_drain(struct sluice_socket *socket);
bool sluice__socket_is_stream(const struct sluice_socket *socket);
bool sluice__socket_is_tcp(const struct sluice_socket *socket);
uint16_t sluice__socket_gso(int fd); /* a UDP socket's gso_bytes */
/* The kernel's word on a socket believed unconnected. */
bool sluice__has_peer(struct sluice_socket *socket);
/* Its memory, back to the pool. */
void sluice__socket_give(struct sluice_socket *socket);
/* RST to the peer, also while a duplicate of the descriptor lives. */
void sluice__socket_reset(struct sluice_socket *socket);

/* A listener, by the kernel's word if need be: listen(2) may have come after attach. */
bool sluice__listens(struct sluice_socket *socket);
void sluice__slabs_free(struct sluice_engine *engine);
static inline enum sluice__phase sluice__socket_phase(const struct sluice_socket *socket)
{
	return (enum sluice__phase)(socket->state >> SLUICE__PHASE_SHIFT);
}

static inline bool sluice__socket_is_closing(const struct sluice_socket *socket)
{
	return socket->state & SLUICE__PHASE_MASK;
}

static inline struct sluice_socket *sluice__socket_of_timer(struct sluice__wheel_node *node)
{
	return (struct sluice_socket *)((char *)node - offsetof(struct sluice_socket, timer));
}

#endif
