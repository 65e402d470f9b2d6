/* SPDX-License-Identifier: MIT */
/* Starts and cancels requests of a socket, and counts the armed ones: close waits for them. */
#ifndef SLUICE_SRC_ENGINE_REQUEST_H
#define SLUICE_SRC_ENGINE_REQUEST_H

struct sluice__request;
struct sluice_socket;

int sluice__request_start(struct sluice_socket *socket, struct sluice__request *request);
void sluice__request_cancel(struct sluice_socket *socket, struct sluice__request *request);

#endif
