/* SPDX-License-Identifier: MIT */
/* The high and the low mark of a socket's queue, and the events of both. */
#ifndef SLUICE_SRC_ENGINE_MARKS_H
#define SLUICE_SRC_ENGINE_MARKS_H

#include <stdbool.h>

struct sluice_socket;

/* The queue is above its high mark. False: it was before. */
bool sluice__marks_rise(struct sluice_socket *socket);
/* Calls the congested handler later if the queue is still above. */
void sluice__marks_congested(struct sluice_socket *socket);
/* The queue has become shorter: calls the drained handler later if it reaches the low mark. */
void sluice__marks_fall(struct sluice_socket *socket);

#endif
