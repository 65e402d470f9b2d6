/* SPDX-License-Identifier: MIT */
/* Files: what a send_packets is made of, and how its files are sent. */
#ifndef SLUICE_SRC_FILE_FILE_H
#define SLUICE_SRC_FILE_FILE_H

#include <signal.h>
#include <sluice/args.h>
#include <sys/stat.h>

#include "backend/backend.h"
#include "core/packets.h"
#include "core/refusal.h"
#include "engine/socket.h"

/* Of an engine. */
struct sluice__files {
	sigset_t sigpipe_before; /* the thread's mask */
	bool sigpipe_masked;
	bool sigpipe_pending; /* one was, before */
	bool sigpipe_raised;  /* by what we sent */
	struct sluice__refusals refusals;
	char *scratch;           /* for files that are read slice by slice */
	uint32_t slices;         /* of files, in this turn */
	long sleeps;             /* of the thread, before the first of them */
	uint64_t slices_ns;      /* and the time */
	uint64_t slice_handlers; /* called when a cold file's last slice left */
};

/* packets.c: what a send_packets is made of */
int sluice__packets_open(struct sluice_engine *engine, struct sluice_args *args, bool copy,
			 struct sluice__packets **ret_packets);

/* Which way a part that is a file goes: SLUICE__PLAN_SENDFILE, _READ, _SPLICE. */
int sluice__file_way(const struct sluice_engine *engine, const struct sluice__packets *packets,
		     const struct sluice__part *part);
/* The same for the engine's thread, which knows what was refused before. */
int sluice__file_way_now(struct sluice_engine *engine, const struct sluice__packets *packets,
			 struct sluice__part *part);
/* It cannot be sent by reference, but can be read. */
void sluice__file_refused(struct sluice_engine *engine, struct sluice__part *part);
/* A file that the caller vouches for, instead of a look. */
void sluice__part_trust_identity(struct sluice__part *part, const struct sluice_packet *packet);
int sluice__file_status(int fd, struct stat *status); /* 0, or -1 and errno */

/* file/sendfile.c: the head of the queue is a file */
/* One slice. True: go on with the queue; false: the socket waits, or stands in the ready list again. */
bool sluice__file_transmit(struct sluice_socket *socket);
/* What an attempt at count bytes of the head's file gave. */
bool sluice__file_tried(struct sluice_socket *socket, uint64_t count, int64_t taken);
/* An attempt at a slice by reference, through a pipe or not: bytes or -errno. */
int64_t sluice__file_send(struct sluice_socket *socket, int fd, uint64_t offset, uint64_t count,
			  bool piped);
/* The output of so many bytes of a slice has gone, through the socket's filter. */
void sluice__file_sealed(struct sluice_socket *socket, uint64_t bytes);

/* file/cork.c */
/* Set if something follows this file, which is at the head. */
void sluice__cork(struct sluice_socket *socket, const struct sluice_args *args);
void sluice__uncork(struct sluice_socket *socket);
/* The head ends early: takes the cork off, leaves the window that is fetched for it. */
void sluice__file_abandon(struct sluice_socket *socket);
/* A record with these op_flags has gone: takes the cork off, unless more was announced. */
void sluice__uncork_behind(struct sluice_socket *socket, uint32_t op_flags);

/* small.c: small files are read when they are started, and sent with what stands beside them */
void sluice__file_read_small(struct sluice_engine *engine, struct sluice__packets *packets);

/* sigpipe.c: sendfile(2) and splice(2) raise it; once a turn it is masked, and taken back */
void sluice__sigpipe_mask(struct sluice_engine *engine);
void sluice__sigpipe_unmask(struct sluice_engine *engine);

/* file/page_cache.c: cold windows */
int sluice__page_cache_open(struct sluice_engine *engine);
void sluice__page_cache_close(struct sluice_engine *engine);
uint64_t sluice__page_cache_identity(const struct stat *status);
uint64_t sluice__page_cache_identity_of(uint64_t known); /* a packet's */
/* True: may be sent without blocking, as far as one can tell; a page evicted meanwhile blocks one slice. */
bool sluice__page_cache_holds(struct sluice_engine *engine, const struct sluice__part *part,
			      uint64_t offset, uint64_t count);
/* Brings it in; the socket is BLOCKED until then. */
void sluice__prefetch_begin(struct sluice_socket *socket, const struct sluice__part *part,
			    uint64_t offset, uint64_t count);
void sluice__prefetch_settle(struct sluice_engine *engine,
			     const struct sluice__completion *completion);
void sluice__prefetch_forget(struct sluice_socket *socket);

#endif
