/* SPDX-License-Identifier: MIT */
/* How much the peer of a TCP connection has acknowledged. */
#ifndef SLUICE_COMMAND_ACKNOWLEDGED_H
#define SLUICE_COMMAND_ACKNOWLEDGED_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Bytes that the peer has acknowledged since the connection was made. What the kernel accepted says
 * nothing about the peer: send buffers hold megabytes ahead of a slow reader, and accept nothing
 * more until a third of them has drained. For a local socket: a number that changes when the peer
 * reads. False: neither is available.
 */
bool acknowledged_bytes(int fd, uint64_t *ret_acknowledged);

#endif
