/* SPDX-License-Identifier: MIT */
/* Counters of an engine and of a socket. They only grow, unless stated otherwise. */
#ifndef SLUICE_STATISTICS_H
#define SLUICE_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_engine;
struct sluice_socket;

#define SLUICE_STATISTICS_BUCKETS 16 /* of a histogram */

struct sluice_engine_statistics {
	size_t size;           /* set by you: sizeof this */
	uint32_t backend;      /* SLUICE_BACKEND_URING or _EPOLL */
	uint32_t capabilities; /* in use: SLUICE_CAPABILITY_* */
	uint64_t turns;
	uint64_t enters;       /* calls of io_uring_enter or epoll_wait */
	uint64_t submitted;    /* entries submitted to the ring, or waits registered with epoll */
	uint64_t completions;  /* reaped from the kernel */
	uint64_t inline_sends; /* send(2), sendmsg(2) calls made directly */
	uint64_t inline_files; /* sendfile(2) calls */
	uint64_t ring_sends;   /* transmissions submitted to the ring */
	uint64_t records_started;
	uint64_t records_completed;
	uint64_t records_eager; /* completed inside the starting call */
	uint64_t records_sent;  /* completed sends, whole or not */
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t handlers; /* called */
	uint64_t accepted;
	uint64_t posts;
	uint64_t wakes;          /* wake-ups of the waiting engine's thread by other threads */
	uint64_t files_read;     /* elements read and sent as memory */
	uint64_t files_sendfile; /* elements sent by sendfile */
	uint64_t files_spliced;  /* elements sent through a pipe, by calls or by the ring */
	uint64_t file_looks;     /* probes of the page cache */
	uint64_t file_windows_fetched;
	/* Turns in which slices blocked, evicted from the page cache; the first one is not seen. */
	uint64_t file_blocked;
	uint64_t buffers_lent;        /* receive buffers lent now */
	uint64_t receive_pauses;      /* times that a stream waited for a buffer */
	uint64_t allocations;         /* malloc and mmap calls of the engine */
	uint64_t sockets;             /* attached now */
	uint64_t zerocopy_sends;      /* zero-copy transmissions */
	uint64_t zerocopy_registered; /* those from registered memory */
	uint64_t zerocopy_copied;     /* those that the kernel copied anyway */
	uint64_t zerocopy_pending;    /* buffers that the kernel holds now */
	uint64_t zerocopy_failed;     /* refused by the kernel, then sent by copying */
	uint64_t zerocopy_rests;      /* times that a socket suspended zero copy, or gave it up */
	uint64_t inline_bursts;       /* sendmmsg(2) calls: several datagrams in one */
	uint64_t ring_bursts;         /* the same, in one submission to the ring */
	uint64_t gso_sends;           /* messages of several datagrams that the kernel segmented */
	uint64_t gso_refused;         /* messages that it refused to segment; sent one by one */
	/*
	 * Inputs of SLUICE_TRANSMIT_WAY_AUTO, measured once per process, in nanoseconds; 0: not
	 * measured (epoll, a forced way, a ring with few entries).
	 */
	uint64_t call_ns;       /* cost of a send(2) that sends nothing */
	uint64_t enter_ns;      /* cost of an io_uring_enter(2), without its entries */
	uint64_t entry_ns;      /* cost of an empty ring entry */
	uint64_t turns_inline;  /* turns that sent memory with a send(2) per socket */
	uint64_t turns_by_ring; /* turns that sent memory through the ring */
	uint64_t transmissions; /* sends, of all kinds, of which the kernel took something */
	/*
	 * Histograms. Element n counts what had 2^n to 2^(n+1) - 1 of them, the last one also what
	 * had more. Turns without a completion are not counted. Element 0 of transmission_records
	 * is the transmissions that completed one record or none.
	 */
	uint64_t turn_completions[SLUICE_STATISTICS_BUCKETS];
	uint64_t transmission_records[SLUICE_STATISTICS_BUCKETS];
	uint64_t waits_several; /* for several completions, as options.wait_budget_ns allows */
	uint64_t waits_filled;  /* of them, those that brought as many as were waited for */
	uint64_t ring_files;    /* slices of files submitted to the ring */
};

enum {
	SLUICE_ZEROCOPY_LEARNED_NOTHING, /* not tried yet, or the first sends are in flight */
	SLUICE_ZEROCOPY_LEARNED_USEFUL,
	SLUICE_ZEROCOPY_LEARNED_USELESS, /* the kernel copies, or the caller waits: rarely retried;
					    a connection to this machine: never tried */
	SLUICE_ZEROCOPY_LEARNED_IMPOSSIBLE /* the kernel does not support it on this socket */
};

struct sluice_socket_statistics {
	size_t size; /* set by you: sizeof this */
	uint64_t transmissions;
	uint64_t records_sent;
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t queued_bytes;
	uint32_t zerocopy; /* what zero copy proved to be: SLUICE_ZEROCOPY_LEARNED_* */
	uint32_t reserved;
	/*
	 * What limits a TCP connection, from the kernel (TCP_INFO, one system call): only in the
	 * engine's thread, and only if size includes busy_ns; otherwise 0. Times in nanoseconds.
	 */
	uint64_t busy_ns;                /* there was something to send or to be acknowledged */
	uint64_t receiver_limited_ns;    /* of it: the peer's window was full */
	uint64_t send_buffer_limited_ns; /* of it: the send buffer was too small for the network */
	uint64_t unsent_bytes;           /* now: taken by the kernel and not sent yet */
};

/*
 * Fill in the counters of an engine or of a socket, the first statistics->size bytes. Any
 * thread; the counters are exact on the engine's thread. Returns 0; -EINVAL. Since 0.1.
 */
int sluice_engine_statistics(struct sluice_engine *engine,
			     struct sluice_engine_statistics *statistics);
int sluice_socket_statistics(struct sluice_socket *socket,
			     struct sluice_socket_statistics *statistics);

#ifdef __cplusplus
}
#endif
#endif
