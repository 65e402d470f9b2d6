/* SPDX-License-Identifier: MIT */
/* The engine's lists of sockets, ready to send and with events. */
#ifndef SLUICE_SRC_ENGINE_READY_H
#define SLUICE_SRC_ENGINE_READY_H

#include <stdint.h>

struct sluice_socket;

void sluice__ready(struct sluice_socket *socket);
/* Waits until the socket is writable. */
void sluice__transmit_blocked(struct sluice_socket *socket);
void sluice__event(struct sluice_socket *socket, uint32_t event);

#endif
