/* SPDX-License-Identifier: MIT */
/*
 * A peer is one way to do a load: a name, what it can do, and how to make a runner of it. A runner is a
 * peer that has its sockets and does one load. Every peer is a file of its own (runner-*.c) and a
 * line in peers.c; nothing else knows it.
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
	LOAD_BACKGROUND, /* the same, and a file is sent again and again meanwhile, a part at a time */
	LOAD_DATAGRAMS, /* records, each a datagram, to one receiver */
	LOAD_HTTP,      /* a file, asked for over HTTP on all sockets */
	LOAD_THREADS,   /* records on one stream, from several threads */
	LOAD_ANOTHER,   /* the same from one thread, which is not the engine's and waits for each */
	LOAD_ENGINES,   /* records on streams, from engines on cores of their own */
	LOAD_LOOP,      /* nothing at all */
};

/* Whether somebody asks, and its answers are what counts. */
static inline bool load_is_asked(enum load_kind kind)
{
	return kind == LOAD_ECHO || kind == LOAD_BACKGROUND;
}

/* What the kinds of loads are called where a peer says which of them it does. */
#define LOADS(kind) (1u << (kind))

/* What has to be done once, and what to do it with. All runners of a scenario get the same load. */
struct load {
	enum load_kind kind;
	enum receiver_mode receiver_mode;
	const struct receiver *receiver; /* where the sockets lead to */
	size_t sockets;
	size_t records;      /* sent in one go; record i goes to socket i % sockets */
	size_t record_bytes; /* of each record */
	size_t header_bytes; /* of them, that stand apart in memory; 0: the record is in one piece */
	bool shared;         /* all records are the same memory */
	bool scattered;      /* each on its own half page, instead of one behind the other */
	uint64_t file_bytes;
	int file_fd;           /* the whole file */
	const char *directory; /* where files may be made */
	size_t engines;        /* that share sockets and records equally */
	size_t depth;          /* questions of one socket on their way at once; 0: what fits */
	bool cold;             /* it is put out of memory each time before it is sent */
	const struct receiver *background; /* where the file goes, if not to the receiver */
	uint64_t part_bytes;               /* of the file, sent at a time */
	uint64_t interval_ns;              /* between two questions; 0: as the run finds right */
	int64_t wait_budget_ns; /* of engines of ours, in the place of what the options say; or 0 */
	bool saturated;         /* each socket is asked again as soon as it has answered */
	bool paced;             /* over HTTP: questions come at a steady rate */
	bool site;              /* over HTTP: not one file, but those of site.h in turns */
	bool accepts_compressed;              /* each question of a site says so */
	const struct sluice_options *options; /* for engines of ours */
};

/* Whether questions come at a steady rate, whether they are answered or not. */
static inline bool load_is_paced(const struct load *load)
{
	return (load_is_asked(load->kind) && !load->saturated) || load->paced;
}

/* Whether it matters how long each answer takes. */
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
	 * Does the load this many times. Returns when the kernel has taken the last byte; for an
	 * echo, that of so many answers.
	 */
	void (*run)(struct runner *runner, uint64_t times);

	/* CPU time so far, where it is another process that does the load; else NULL. */
	uint64_t (*cpu_ns)(struct runner *runner);

	void (*destroy)(struct runner *runner);

	uint64_t background; /* parts of the file sent so far, beside the answers */

	pid_t process; /* that does the load, where it is another one; else 0 */

	uint16_t port;   /* of a server, which has no run: it is asked */
	bool has_brotli; /* there are variants of a site's files that are compressed by it */

	bool copied; /* what was to go without a copy was copied, the kernel said */
};

struct peer {
	const char *name;  /* on the command line */
	const char *title; /* in the table */
	unsigned loads;    /* LOADS(...) of what it does */

	/* Whether this load makes sense for it; NULL: all of its kinds do. */
	bool (*suits)(const struct load *load);

	/* What is missing here, for people, or NULL; NULL: nothing can be missing. */
	const char *(*lacks)(const struct load *load);

	/* Makes a runner with its own sockets. The load is copied; what it points to outlives it. */
	struct runner *(*create)(const struct load *load);
};

/*
 * Zeroed memory from a page's begin: a record of 64 bytes that lies across two cache lines makes a
 * gathered send 15 % slower, which must not depend on where malloc happens to be. Ends the program
 * where there is none; free() it.
 */
void *runner_allocate(size_t count, size_t bytes);

/* The memory of all records of the load, for free(); runner_record tells where one lies in it. */
char *runner_payload(const struct load *load);
size_t runner_record(const struct load *load, char *payload, size_t record,
		     struct iovec segments[2]);

/* Connected sockets, as many as the load wants; runner_disconnect closes and frees them. */
int *runner_connect(const struct load *load);
void runner_disconnect(const struct load *load, int *fds);

#ifdef __cplusplus
}
#endif
#endif
