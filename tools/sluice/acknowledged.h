/* SPDX-License-Identifier: MIT */
/* How far the peer of a TCP connection has come. */
#ifndef SLUICE_COMMAND_ACKNOWLEDGED_H
#define SLUICE_COMMAND_ACKNOWLEDGED_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Bytes that the peer has acknowledged since the connection was made. The kernel's own buffers take
 * megabytes ahead of a slow reader, and nothing more until a third of them has drained: what the
 * kernel accepted says nothing about the peer. Of a local
 * socket it is a number that changes when the peer reads. False: neither.
 */
bool acknowledged_bytes(int fd, uint64_t *ret_acknowledged);

#endif
