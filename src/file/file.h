/* SPDX-License-Identifier: MIT */
/* Files: opening the elements of a send_packets, and sending files. */
#ifndef SLUICE_SRC_FILE_FILE_H
#define SLUICE_SRC_FILE_FILE_H

#include <signal.h>
#include <sluice/args.h>
#include <sys/stat.h>

#include "backend/backend.h"
#include "base/queue.h"
#include "core/packets.h"
#include "core/refusal.h"

struct sluice__page_cache;

/* File state of an engine. */
struct sluice__files {
	struct sluice__page_cache *page_cache;
	sigset_t sigpipe_before; /* signal mask of the thread before masking */
	bool sigpipe_masked;
	bool sigpipe_pending; /* one was pending before masking */
	bool sigpipe_raised;  /* possibly, by sendfile or splice */
	struct sluice__refusals refusals;
	char *scratch;             /* buffer for files that are read slice by slice */
	uint32_t slices;           /* file slices sent in this turn, starts not included */
	uint32_t watched;          /* turns in which the thread's sleeps are counted */
	long sleeps;               /* the thread's sleeps before the first of them */
	uint64_t slices_ns;        /* time before the first of them */
	uint64_t slice_handlers;   /* statistics.handlers at the last slice of an uncached file */
	uint32_t slices_in_flight; /* on the ring */
	struct sluice__fifo slices_waiting;  /* sockets, by prefetch_link */
	struct sluice__fifo windows_waiting; /* for a prefetch; the same */
};

/* packets.c: opens the elements of a send_packets */
int sluice__packets_open(struct sluice_engine *engine, struct sluice_args *args, bool copy,
			 struct sluice__packets **ret_packets);
/* What opening the element would fail with, or 0. */
int sluice__packet_try(const struct sluice_packet *packet);

/* How a file part is sent: SLUICE__PLAN_SENDFILE, _READ, _SPLICE; on any thread. */
int sluice__file_way(const struct sluice_engine *engine, const struct sluice__packets *packets,
		     const struct sluice__part *part);
/* The same on the engine's thread, where refusals are known; also SLUICE__PLAN_SPLICE_RING. */
int sluice__file_way_now(struct sluice_engine *engine, const struct sluice__packets *packets,
			 struct sluice__part *part);
/* Records that the file system refuses sendfile or splice; the file is read instead. */
void sluice__file_refused(struct sluice_engine *engine, struct sluice__part *part);
/* Fills in a part by the caller's identity, without fstat. */
void sluice__part_trust_identity(struct sluice__part *part, const struct sluice_packet *packet);
int sluice__file_status(int fd, struct stat *status); /* 0, or -1 and errno */

/* sendfile.c: the head of the queue is a file */
/* Sends one slice. True: continue with the queue; false: the socket is blocked, or ready again. */
bool sluice__file_transmit(struct sluice_socket *socket);
/* The end of a turn that has sent slices: counts it if they blocked the thread. */
void sluice__file_slices_sent(struct sluice_engine *engine);
/* Applies the result of sending count bytes of the head's file. */
bool sluice__file_tried(struct sluice_socket *socket, uint64_t count, int64_t taken);
/* Tries to send a slice by reference, through a pipe or not. Returns bytes or a negative errno. */
int64_t sluice__file_send(struct sluice_socket *socket, int fd, uint64_t offset, uint64_t count,
			  bool piped);
/* The kernel took the output of so many bytes of a slice, through the socket's filter. */
void sluice__file_sealed(struct sluice_socket *socket, uint64_t bytes);

/* Applies the result of a slice that the ring has sent. */
void sluice__file_settle(struct sluice_socket *socket, int32_t result);

/* submit.c: slices that the ring sends through a pipe */
void sluice__slices_open(struct sluice_engine *engine);
/* Ends a slice at a page boundary: a page shared by two slices would overfill a pipe. */
uint64_t sluice__file_align(uint64_t offset, uint64_t bytes);
/* True: in flight, or the socket waits. False: it has to be sent by calls. */
bool sluice__file_submit(struct sluice_socket *socket, const struct sluice__part *part,
			 uint64_t offset, uint64_t count);
void sluice__slices_settled(struct sluice_engine *engine); /* one has completed */
/* Makes a socket ready that waits although no slice is in flight. False: there is none. */
bool sluice__slices_resume(struct sluice_engine *engine);
void sluice__slices_forget(struct sluice_socket *socket);

/* cork.c */
/* Sets TCP_CORK if something follows the file at the head. */
void sluice__cork(struct sluice_socket *socket, const struct sluice_args *args);
void sluice__uncork(struct sluice_socket *socket);
/* The head ends early: uncorks, and abandons its prefetch. */
void sluice__file_abandon(struct sluice_socket *socket);
/* A record with these op_flags has completed: uncorks unless it announced more. */
void sluice__uncork_behind(struct sluice_socket *socket, uint32_t op_flags);

/* small.c: reads small files at the start, to be sent together with the adjacent memory */
void sluice__file_read_small(struct sluice_engine *engine, struct sluice__packets *packets);

/* sigpipe.c: masks the SIGPIPE of sendfile(2) and splice(2) for the rest of the turn */
void sluice__sigpipe_mask(struct sluice_engine *engine);
void sluice__sigpipe_unmask(struct sluice_engine *engine);
/*
 * The same around a call that closes a descriptor whose bytes the kernel encrypts: it tries to push
 * what the kernel's TLS keeps. Begin returns whether end has to unmask.
 */
bool sluice__sigpipe_close_begin(struct sluice_engine *engine);
void sluice__sigpipe_close_end(struct sluice_engine *engine, bool unmask);

/* page_cache.c: what is in the page cache, and prefetching the rest */
int sluice__page_cache_open(struct sluice_engine *engine);
void sluice__page_cache_close(struct sluice_engine *engine);
uint64_t sluice__page_cache_identity(const struct stat *status);
uint64_t sluice__page_cache_identity_of(uint64_t known); /* of a packet's identity */
/* True if the range is probably cached; a page evicted since blocks the thread for one slice. */
bool sluice__page_cache_holds(struct sluice_engine *engine, const struct sluice__part *part,
			      uint64_t offset, uint64_t count);
/* Reads the range into the page cache; the socket is BLOCKED until then. */
void sluice__prefetch_begin(struct sluice_socket *socket, const struct sluice__part *part,
			    uint64_t offset, uint64_t count);
void sluice__prefetch_settle(struct sluice_engine *engine,
			     const struct sluice__completion *completion);
/* Makes a socket ready that waits although a window is free. False: there is none. */
bool sluice__prefetch_resume(struct sluice_engine *engine);
void sluice__prefetch_forget(struct sluice_socket *socket);

#endif
