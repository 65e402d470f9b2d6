/* SPDX-License-Identifier: MIT */
/* The internals of a socket. At most 512 bytes; rare members are allocated separately. */
#ifndef SLUICE_SRC_ENGINE_SOCKET_H
#define SLUICE_SRC_ENGINE_SOCKET_H

#include <sluice/server.h>
#include <sluice/socket.h>
#include <sluice/statistics.h>

#include "backend/backend.h"
#include "base/queue.h"
#include "base/wheel.h"
#include "core/record_list.h"
#include "core/sendq.h"
#include "core/zerocopy_policy.h"

struct sluice__accepter;
struct sluice__apm;
struct sluice__filter;
struct sluice__zc_send;
struct sluice__receiver;

/* The handler that runs after the descriptor was closed. */
struct sluice__closed {
	sluice_closed_fn *function;
	void *token;
};

/* Members that few sockets need: handlers of the water marks, a filter. */
struct sluice__marks {
	sluice_drained_fn *drained;
	void *drained_token;
	sluice_congested_fn *congested;
	void *congested_token;
	struct sluice__filter *filter; /* NULL: none; see filter/filter.h */
};

/*
 * shared_flags: the reasons for a start to leave the fast path. 0: a connected stream without any
 * of them. Atomic: read by any thread, written by the owner and by a thread that closes the socket.
 */
enum {
	SLUICE__SHARED_CLOSED = 1 << 0, /* by close, destroy, detach or the engine's end: -EBADF */
	SLUICE__SHARED_UNCONNECTED = 1 << 1, /* not certain: a start checks with getpeername */
	SLUICE__SHARED_LISTENING = 1 << 3,
	SLUICE__SHARED_DATAGRAM = 1 << 4, /* also seqpacket: every record succeeds or fails alone */
	SLUICE__SHARED_SHUT_SEND = 1 << 5,    /* by the library: sends complete with Shutdown */
	SLUICE__SHARED_DISCONNECTED = 1 << 6, /* without reuse: the socket cannot connect again */
	SLUICE__SHARED_SHUT_RECEIVE = 1 << 7,
	SLUICE__SHARED_NOT_TCP = 1 << 8,         /* without TCP_CORK and urgent data */
	SLUICE__SHARED_TRACED = 1 << 9,          /* the engine has a trace, which records starts */
	SLUICE__SHARED_FILTERED = 1 << 10,       /* received data passes through a filter */
	SLUICE__SHARED_FILTERED_SENDS = 1 << 11, /* sent data does, too */
	SLUICE__SHARED_LENT = 1 << 12, /* other threads may send; written by the owner only */
	/*
	 * A count of the connects that are started and not finished, those in the mailbox included.
	 * While it is not 0, starts are accepted and wait.
	 */
	SLUICE__SHARED_CONNECT_ONE = 1 << 16,
	SLUICE__SHARED_CONNECTING = 0x7fff << 16,
	SLUICE__SHARED_SLOW_STREAM = SLUICE__SHARED_CLOSED | SLUICE__SHARED_UNCONNECTED |
				     SLUICE__SHARED_CONNECTING | SLUICE__SHARED_LISTENING |
				     SLUICE__SHARED_DATAGRAM | SLUICE__SHARED_SHUT_SEND |
				     SLUICE__SHARED_DISCONNECTED | SLUICE__SHARED_TRACED |
				     SLUICE__SHARED_FILTERED_SENDS | SLUICE__SHARED_LENT
};

/*
 * lease: whether other threads may send (send/lend.c). The upper bits count operations other than
 * receives that other threads have started and the owner has not begun. While the count is not 0, no
 * thread may borrow the socket, so that the order of starts is kept.
 */
enum {
	SLUICE__LEASE_LENT = 1 << 0,     /* a thread may set TAKEN if no other bit is set */
	SLUICE__LEASE_TAKEN = 1 << 1,    /* a thread is sending */
	SLUICE__LEASE_WAITED = 1 << 2,   /* the owner waits until it has sent */
	SLUICE__LEASE_RETURNED = 1 << 3, /* with flight.last, of which flight.bytes were sent */
	SLUICE__LEASE_ONE = 1 << 4
};

/* state: private to the owner. Each bit is written by one module, which tools/check-style checks. */
enum {
	SLUICE__ST_READY = 1 << 0,     /* in the ready list */
	SLUICE__ST_IN_FLIGHT = 1 << 1, /* a transmission of the head of the queue is in flight */
	SLUICE__ST_BLOCKED = 1 << 2,   /* waits for writability, or for a window of a file */
	SLUICE__ST_FULL = 1 << 3, /* an inline send was short or got EAGAIN; until one is whole */
	SLUICE__ST_RESET_SEEN = 1 << 4,   /* a reset by the peer was seen, in either direction */
	SLUICE__ST_RESET_SENT = 1 << 5,   /* and was reported by a send */
	SLUICE__ST_END_SEEN = 1 << 6,     /* the end of the stream was received */
	SLUICE__ST_ABOVE_HIGH = 1 << 7,   /* above the high mark: the drained handler has to run */
	SLUICE__ST_SLICE_WAIT = 1 << 8,   /* BLOCKED until a slice of another file has been sent */
	SLUICE__ST_HANDLE_GONE = 1 << 10, /* destroyed or detached by the application */
	SLUICE__ST_GRACEFUL = 1 << 11,    /* closes when the queue is empty */
	SLUICE__ST_END_ON_GIVE_UP = 1 << 13,
	SLUICE__ST_DEAD = 1 << 16,           /* in engine->dead_sockets */
	SLUICE__ST_CANCEL_PENDING = 1 << 17, /* a record in flight is marked for cancellation */
	SLUICE__ST_PREFETCHING = 1 << 18,    /* BLOCKED for a window of an uncached file */
	SLUICE__ST_CORKED = 1 << 19,         /* the library has set TCP_CORK */
	SLUICE__ST_WATCHED = 1 << 21,        /* registered with epoll */
	SLUICE__ST_ZC_SENDS = 1 << 22, /* zc_sends is not empty: buffers in use by the kernel */
	SLUICE__ST_LOST = 1 << 26      /* the close has aborted sends */
};

/*
 * The phase of a socket, in the upper bits of state, so that one test of state decides whether it may
 * transmit. All transitions are in socket/close.c.
 */
#define SLUICE__PHASE_SHIFT 29
#define SLUICE__PHASE_MASK (UINT32_C(7) << SLUICE__PHASE_SHIFT)

enum sluice__phase {
	SLUICE__PHASE_OPEN,
	SLUICE__PHASE_CLOSING,       /* requests are cancelled; waits for their completions */
	SLUICE__PHASE_ENDING,        /* the kernel's TLS has not pushed everything: FIN waits */
	SLUICE__PHASE_WAIT_ZEROCOPY, /* FIN or RST was sent; waits for zero-copy notifications, if any */
	SLUICE__PHASE_RESETTING, /* the same, after a reset */
	SLUICE__PHASE_LINGERING, /* the peer has not acknowledged everything */
	SLUICE__PHASE_CLOSED     /* the descriptor is closed or detached */
};

/* intents: executed at once if posted on the engine's thread, otherwise in its next turn. */
enum {
	SLUICE__WANT_CANCEL = 1 << 0, /* some record is marked cancelled */
	SLUICE__WANT_CANCEL_ALL = 1 << 1,
	SLUICE__WANT_CLOSE = 1 << 2,
	SLUICE__WANT_DESTROY = 1 << 3,
	SLUICE__WANT_GRACEFUL = 1 << 4,
	SLUICE__WANT_SHUT_RECEIVE = 1 << 5,
	SLUICE__WANT_SHUT_SEND = 1 << 6,
	SLUICE__WANT_ACCEPT = 1 << 7,
	SLUICE__WANT_ACCEPT_STOP = 1 << 8,
	SLUICE__WANT_RECEIVE = 1 << 9,
	SLUICE__WANT_RECEIVE_STOP = 1 << 10,
	SLUICE__WANT_LEASE = 1 << 11 /* a borrowed socket was returned with a record */
};

/* events: handlers of the socket itself that have to run. */
enum {
	SLUICE__EVENT_DRAINED = 1 << 0,
	SLUICE__EVENT_ACCEPTED = 1 << 1,
	SLUICE__EVENT_RECEIVED = 1 << 2,
	SLUICE__EVENT_QUEUED = 1 << 3, /* in engine->events */
	SLUICE__EVENT_CLOSED = 1 << 4,
	SLUICE__EVENT_CONGESTED = 1 << 5
};

struct sluice_socket {
	/* Accessed by every start: first in the struct. */
	uint32_t shared_flags; /* atomic: SLUICE__SHARED_* */
	uint32_t state;
	struct sluice_engine *engine;
	struct sluice__sendq queue;
	uint64_t check_above; /* min(high, limit): queued bytes above which a start checks both */
	struct sluice__link ready_link;
	int32_t fd;
	uint8_t family;
	uint8_t type;
	uint16_t armed; /* number of armed requests */

	/* Sending. */
	struct sluice__flight flight;
	struct sluice__request out;
	uint64_t transmissions;
	uint64_t records_sent;
	uint64_t bytes_sent;

	/* Receiving, or accepting. */
	struct sluice__request in;
	struct sluice__list receives;      /* records that receive or accept */
	uint32_t receives_listed;          /* atomic: records in that list */
	uint32_t receives_cross_thread;    /* atomic: records from other threads, not listed yet */
	struct sluice__receiver *receiver; /* receive_start; atomic until the owner takes it */
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
	const struct sluice_args *corked_for; /* the record at the head that needs the cork */
	uint64_t low_bytes;
	uint64_t high_bytes;
	uint64_t limit_bytes;
	uint64_t cross_thread_bytes; /* atomic: bytes from other threads, still in the mailbox */
	struct sluice__marks *marks; /* NULL until one of its members is set */
	void *user_data;
	int64_t graceful_ns; /* close_gracefully: timeout, then deadline; also of LINGERING */

	struct sluice__wheel_node timer; /* one meaning at a time: SLUICE__NODE_* */
	uint32_t intents;                /* atomic: SLUICE__WANT_* */
	uint32_t events;                 /* SLUICE__EVENT_* */
	struct sluice__link intents_link;
	struct sluice__link event_link; /* in engine->events or engine->socket_pool */
	struct sluice__link
		prefetch_link; /* in a list of sockets that wait for a window or a slice */
	union {
		struct sluice__link accepted_link; /* undelivered connections; engine->lending */
		struct sluice__link dead_link;
	};
	struct sluice__closed *closed; /* atomic: the handler of set_closed */
	struct sluice_socket *next;    /* in the list of all sockets of the engine */
	struct sluice_socket **link;
	uint64_t dead_at; /* the memory is freed once this many records were delivered */
	union {
		struct sluice__request *waiting_in; /* private to epoll */
		struct sluice__zc_send *zc_sends;   /* with ZC_SENDS: circular; the newest */
	};
	struct sluice__request *waiting_out;
	struct sluice__apm *apm; /* atomic: Begin and End; set once, by the first Begin */
	struct sluice__zerocopy zerocopy;
	union {
		struct {                    /* UDP */
			uint16_t gso_bytes; /* largest datagram for UDP_SEGMENT; 0: none */
			uint16_t gso_rest;  /* batches until larger ones are tried again */
		};
		uint32_t unsent_low_bytes; /* TCP; 0: not set */
	};

	/* Lent to other threads. */
	uint32_t lease;      /* atomic: SLUICE__LEASE_* */
	uint16_t lease_left; /* sends until it ends */
	uint8_t lease_log;   /* of the next one's sends */
	uint8_t singles;     /* turns that found one record, each after the other */
	uint8_t brought;     /* records by the mailbox in this turn; not 0: in engine->lending */
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

/* A connect starts; sluice__connect_withdraw follows when it ends or is refused. */
static inline void sluice__connect_announce(struct sluice_socket *socket)
{
	__atomic_fetch_add(&socket->shared_flags, SLUICE__SHARED_CONNECT_ONE, __ATOMIC_RELEASE);
}

static inline void sluice__connect_withdraw(struct sluice_socket *socket)
{
	__atomic_fetch_sub(&socket->shared_flags, SLUICE__SHARED_CONNECT_ONE, __ATOMIC_RELEASE);
}

/* Whether a record whose start has returned receives or accepts. Any thread. */
static inline bool sluice__receives_pending(const struct sluice_socket *socket)
{
	/* In this order: the engine lists a record before it decrements receives_cross_thread. */
	return __atomic_load_n(&socket->receives_cross_thread, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&socket->receives_listed, __ATOMIC_ACQUIRE);
}

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
