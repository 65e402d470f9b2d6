/* SPDX-License-Identifier: MIT */
/* Shared by all starting calls. A check returns 0, or the negative errno of the refusal. */
#ifndef SLUICE_SRC_START_START_H
#define SLUICE_SRC_START_START_H

#include <stdbool.h>
#include <stdint.h>

struct sluice_args;
struct sluice_socket;

/* Closed socket, record disposed or in progress, reserved member set, negative time-out. */
int sluice__check_alive(const struct sluice_socket *socket, const struct sluice_args *args);
/* At most one of the allowed flags, plus EAGER or BATCHED if allowed. */
int sluice__check_flags(uint32_t flags, uint32_t allowed);
/* For a send: -ENOTCONN or -EDESTADDRREQ if the socket has no peer. */
int sluice__check_connected(struct sluice_socket *socket);
/* The hard limit of the queue: -ENOBUFS. */
int sluice__check_limit(struct sluice_socket *socket, uint64_t bytes);

/*
 * Accepts a record that was checked. memory: the bytes that it adds to the queue. Returns the result
 * of the starting call.
 */
int sluice__start(struct sluice_socket *socket, struct sluice_args *args, uint32_t operation,
		  uint32_t op_flags, uint64_t memory);

/*
 * single.c: sends one open file on the engine's thread; the socket's queue is empty. Returns the result
 * of the starting call, or SLUICE__USE_QUEUE: nothing was sent, and the record has to be queued.
 */
#define SLUICE__USE_QUEUE 2
int sluice__send_single_file(struct sluice_socket *socket, struct sluice_args *args);

#endif
