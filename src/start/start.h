/* SPDX-License-Identifier: MIT */
/* What every start shares. The checks return 0 or the refusal. */
#ifndef SLUICE_SRC_START_START_H
#define SLUICE_SRC_START_START_H

#include <stdbool.h>
#include <stdint.h>

struct sluice_args;
struct sluice_socket;

/* Closed, disposed, in progress, a reserved word, a bad time. */
int sluice__check_alive(const struct sluice_socket *socket, const struct sluice_args *args);
/* At most one of the allowed flags; EAGER and BATCHED do not count, but exclude each other. */
int sluice__check_flags(uint32_t flags, uint32_t allowed);
/* For a send: -ENOTCONN or -EDESTADDRREQ where no remote is known. */
int sluice__check_connected(struct sluice_socket *socket);
/* The hard limit of the queue: -ENOBUFS. */
int sluice__check_limit(struct sluice_socket *socket, uint64_t bytes);

/*
 * Everything was checked: accepts the record. memory: what it adds to the queue. Answers what the
 * starting call answers.
 */
int sluice__start(struct sluice_socket *socket, struct sluice_args *args, uint32_t operation,
		  uint32_t op_flags, uint64_t memory);

/*
 * single.c: one open file and nothing else, on the engine's thread, where nothing stands before it.
 * As a starting call answers, or SLUICE__USE_QUEUE: nothing was done, it goes the common way.
 */
#define SLUICE__USE_QUEUE 2
int sluice__send_single_file(struct sluice_socket *socket, struct sluice_args *args);

#endif
