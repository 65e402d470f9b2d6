/* SPDX-License-Identifier: MIT */
/* What an engine and a socket have done. Counters only grow; none is guarded. */
#ifndef SLUICE_STATISTICS_H
#define SLUICE_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_engine;
struct sluice_socket;

struct sluice_engine_statistics {
	size_t size;           /* set by you: sizeof this */
	uint32_t backend;      /* SLUICE_BACKEND_URING or _EPOLL */
	uint32_t capabilities; /* SLUICE_CAPABILITY_* in use */
	uint64_t turns;
	uint64_t enters;       /* io_uring_enter or epoll_wait */
	uint64_t submitted;    /* entries given to the ring, or waits given to epoll */
	uint64_t completions;  /* taken from the kernel */
	uint64_t inline_sends; /* send(2), sendmsg(2) tried at once */
	uint64_t inline_files; /* sendfile(2) */
	uint64_t ring_sends;   /* transmissions given to the ring */
	uint64_t records_started;
	uint64_t records_completed;
	uint64_t records_eager; /* completed inside the starting call */
	uint64_t records_sent;  /* sends, whole or not */
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t handlers; /* called */
	uint64_t accepted;
	uint64_t posts;
	uint64_t wakes;          /* of the engine's thread by other threads, while it waited */
	uint64_t files_read;     /* elements read and sent as memory */
	uint64_t files_sendfile; /* elements sent by sendfile */
	uint64_t files_spliced;
	uint64_t file_looks; /* into the page cache */
	uint64_t file_windows_fetched;
	uint64_t file_blocked;        /* slices found evicted between look and send */
	uint64_t buffers_lent;        /* receive buffers out now */
	uint64_t receive_pauses;      /* streams that waited for a buffer */
	uint64_t allocations;         /* malloc and mmap calls of the engine */
	uint64_t sockets;             /* attached now */
	uint64_t zerocopy_sends;      /* transmissions taken by zero copy */
	uint64_t zerocopy_registered; /* of them, from registered memory */
	uint64_t zerocopy_copied;     /* of them, copied by the kernel all the same */
	uint64_t zerocopy_pending;    /* buffers that the kernel still has, now */
	uint64_t zerocopy_failed;     /* refused, and sent by copying */
	uint64_t zerocopy_rests;      /* times that a socket gave it up for a while, or for good */
	uint64_t inline_bursts;       /* sendmmsg(2): several datagrams in one call */
	uint64_t ring_bursts;         /* the same, given to the ring in one submission */
	uint64_t gso_sends;           /* messages of several datagrams that the kernel cut up */
	uint64_t gso_refused;         /* messages that it would not; sent one by one */
	/*
	 * What SLUICE_TRANSMIT_WAY_AUTO chooses by, measured once per process, in nanoseconds; 0: not
	 * measured (epoll, a way that is forced, a ring of a few entries).
	 */
	uint64_t call_ns;       /* a send(2) that finds nothing to do */
	uint64_t enter_ns;      /* an io_uring_enter(2), without its entries */
	uint64_t entry_ns;      /* an empty entry of the ring */
	uint64_t turns_inline;  /* turns with something to send: a send(2) for each socket */
	uint64_t turns_by_ring; /* and those in which memory went by the ring */
};

enum {
	SLUICE_ZEROCOPY_LEARNED_NOTHING, /* nothing was tried yet, or the first are on their way */
	SLUICE_ZEROCOPY_LEARNED_USEFUL,
	SLUICE_ZEROCOPY_LEARNED_USELESS, /* the kernel copies, or the caller waits: seldom tried again;
					    a connection to this machine: never tried */
	SLUICE_ZEROCOPY_LEARNED_IMPOSSIBLE /* the kernel does not do it on this socket */
};

struct sluice_socket_statistics {
	size_t size; /* set by you: sizeof this */
	uint64_t transmissions;
	uint64_t records_sent;
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t queued_bytes;
	uint32_t zerocopy; /* what it has learned: SLUICE_ZEROCOPY_LEARNED_* */
	uint32_t reserved;
};

/*
 * Fills in the first statistics->size bytes. Any thread; exact in the engine's while it stands.
 * 0; -EINVAL. Since 0.1.
 */
int sluice_engine_statistics(struct sluice_engine *engine,
			     struct sluice_engine_statistics *statistics);
int sluice_socket_statistics(struct sluice_socket *socket,
			     struct sluice_socket_statistics *statistics);

#ifdef __cplusplus
}
#endif
#endif
