/* SPDX-License-Identifier: MIT */
/*
 * A peer is one way to perform a load: a name, the loads that it supports, and a constructor for
 * runners. A runner is a peer that has its sockets and performs one load. Every peer is one file in
 * peers/ and a line in peers.c; nothing else depends on it.
 */
#ifndef BENCH_HARNESS_RUNNER_H
#define BENCH_HARNESS_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <sluice/engine.h>

#include "harness/net.h"

#ifdef __cplusplus
extern "C" {
#endif

enum load_kind {
	LOAD_RECORDS, /* bytes on streams */
	LOAD_FAN_OUT, /* the same bytes to all sockets, as many messages as there are records for */
	LOAD_FILE,    /* a file */
	LOAD_ECHO,    /* answers to questions of record_bytes, on all sockets */
	LOAD_BACKGROUND, /* the same, while a file is sent repeatedly, one part at a time */
	LOAD_DATAGRAMS,  /* records, each a datagram, to one receiver */
	LOAD_HTTP,       /* a file, requested over HTTP on all sockets */
	LOAD_THREADS,    /* records on one stream, from several threads */
	LOAD_ANOTHER,    /* the same from one thread, not the engine's, that waits for each */
	LOAD_ENGINES,    /* records on streams, from engines on cores of their own */
	LOAD_LOOP,       /* nothing */
};

/* Whether a client sends questions, and the answers are measured. */
static inline bool load_is_asked(enum load_kind kind)
{
	return kind == LOAD_ECHO || kind == LOAD_BACKGROUND;
}

/* Names of the kinds of loads, for a peer to list those that it supports. */
#define LOADS(kind) (1u << (kind))

/* What to do, and the means for it. All runners of a scenario get the same load. */
struct load {
	enum load_kind kind;
	enum receiver_mode receiver_mode;
	const struct receiver *receiver; /* the peer of the sockets */
	size_t sockets;
	size_t records;      /* per load; record i goes to socket i % sockets */
	size_t record_bytes; /* of each record */
	size_t header_bytes; /* of them, stored separately; 0: the record is contiguous */
	bool shared;         /* all records share their memory */
	bool scattered;      /* each on its own half page, instead of contiguously */
	uint64_t file_bytes;
	int file_fd;                       /* the whole file */
	const char *directory;             /* where files are created */
	size_t engines;                    /* that share sockets and records equally */
	size_t depth;                      /* questions in flight per socket; 0: as many as fit */
	bool cold;                         /* it is dropped from the page cache before each send */
	const struct receiver *background; /* the reader of the file, if it is not the receiver */
	uint64_t part_bytes;               /* part of the file per send */
	uint64_t interval_ns;              /* between two questions; 0: determined by the run */
	int64_t wait_budget_ns; /* of engines of ours, in the place of what the options say; or 0 */
	bool saturated;         /* closed loop: each socket is asked again once it has answered */
	bool paced;             /* over HTTP: questions come at a steady rate */
	bool site;              /* over HTTP: not one file, but those of site.h in turns */
	bool accepts_compressed;              /* each question of a site says so */
	const struct sluice_options *options; /* for sluice's engines */
};

/* Whether questions come at a steady rate, independent of the answers. */
static inline bool load_is_paced(const struct load *load)
{
	return (load_is_asked(load->kind) && !load->saturated) || load->paced;
}

/* Whether the latency of each answer matters. */
static inline bool load_has_latencies(const struct load *load)
{
	return load_is_paced(load) || load->saturated;
}

/* For peers that know one socket only. */
static inline bool load_has_one_socket(const struct load *load)
{
	return load->sockets == 1;
}

struct runner {
	/*
	 * Performs the load this many times. Returns when the kernel has accepted the last byte;
	 * for an echo, that of the last answer.
	 */
	void (*run)(struct runner *runner, uint64_t times);

	/* CPU time so far, if another process performs the load; else NULL. */
	uint64_t (*cpu_ns)(struct runner *runner);

	void (*destroy)(struct runner *runner);

	uint64_t background; /* parts of the file sent so far, in addition to answers */

	pid_t process; /* of the process that performs the load, if it is another one; else 0 */

	uint16_t port;   /* of a server, which has no run: the client sends requests */
	bool has_brotli; /* there are variants of a site's files that are compressed by it */

	bool copied; /* the kernel reported that it copied a zero-copy send */
};

struct peer {
	const char *name;  /* on the command line */
	const char *title; /* in the table */
	unsigned loads;    /* LOADS(...) that it supports */

	/* Whether this load is useful for it; NULL: all supported kinds are. */
	bool (*suits)(const struct load *load);

	/* What is missing on this machine, for people, or NULL; NULL: nothing can be missing. */
	const char *(*lacks)(const struct load *load);

	/*
	 * Creates a runner with its own sockets. The load is copied; what it refers to outlives the
	 * runner.
	 */
	struct runner *(*create)(const struct load *load);
};

/*
 * Zeroed memory at a page boundary: a record of 64 bytes across two cache lines makes a gathered
 * send 15 % slower, which must not depend on malloc. Exits the program if there is none; free() it.
 */
void *runner_allocate(size_t count, size_t bytes);

/* The memory of all records of the load, for free(); runner_record returns the address of one. */
char *runner_payload(const struct load *load);
size_t runner_record(const struct load *load, char *payload, size_t record,
		     struct iovec segments[2]);

/* As many connected sockets as the load needs; runner_disconnect closes and frees them. */
int *runner_connect(const struct load *load);
void runner_disconnect(const struct load *load, int *fds);

#ifdef __cplusplus
}
#endif
#endif
