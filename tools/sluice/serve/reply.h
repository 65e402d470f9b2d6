/* SPDX-License-Identifier: MIT */
/* A response being sent: a record and its data, from a pool of the worker. */
#ifndef SLUICE_COMMAND_SERVE_REPLY_H
#define SLUICE_COMMAND_SERVE_REPLY_H

#include <sluice/args.h>

#include "serve/filecache.h"
#include "serve/range.h"

struct connection;
struct multipart;
struct worker;

#define REPLY_HEAD_BYTES 640 /* of a head for one answer; a longer one is allocated */
#define REPLIES_KEPT 1024    /* in a worker's pool */

struct reply {
	struct sluice_args args; /* first: handlers cast it to the reply */
	struct connection *connection;
	struct reply *next;        /* in the pool */
	struct cache_entry *entry; /* whose descriptor is being sent, or NULL */
	struct block *block;       /* being sent, or NULL */
	char *log_line;
	uint64_t started_ns; /* 0: not measured */
	uint16_t status;
	char *long_head;           /* from malloc, or NULL */
	struct reply_parts *parts; /* of several ranges, from malloc, or NULL */
	size_t head_bytes;         /* total, of all that is sent */
	uint32_t shape;
	struct sluice_packet packets[2];
	char head[REPLY_HEAD_BYTES];
};

/* From the pool; NULL: out of memory. The connection counts it. */
struct reply *reply_take(struct connection *connection);

/* Set what is sent; block, entry or head keep the memory valid until completion. */
void reply_set_memory(struct reply *reply, const char *base, size_t length);
void reply_set_two(struct reply *reply, struct span head, struct span body);
void reply_set_file(struct reply *reply, struct span head, struct cache_entry *entry,
		    struct range range);

/*
 * Prepares a response with several ranges: writes its delimiters, and returns the length of its
 * body; 0: out of memory. Then call reply_set_parts.
 */
uint64_t reply_prepare_parts(struct reply *reply, const struct multipart *multipart);
void reply_set_parts(struct reply *reply, struct span head, struct cache_entry *entry,
		     const struct multipart *multipart);

/* Starts sending. In any case the reply returns to the pool by itself. */
void reply_start(struct reply *reply);

/* Returns one that was not started. */
void reply_drop(struct reply *reply);

/* Frees the pool. */
void replies_free(struct worker *worker);

#endif
