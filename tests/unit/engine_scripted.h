/* SPDX-License-Identifier: MIT */
/* What the parts of engine_scripted share. */
#ifndef ENGINE_SCRIPTED_H
#define ENGINE_SCRIPTED_H

#include "scripted_pair.h"

/* A socket whose next send will have to wait: an attempt is answered with less than it was given. */
void begin_stream(struct pair *pair, bool sends);

/* All that was asked for, everywhere. */
void answer_all(void);

/* Sends of `each` bytes of the pattern from position on, in one batch: one gathered transmission. */
void batch_sends(struct sluice_socket *socket, struct operation *operations, int count, size_t each,
		 size_t position);

/* The same, and the backend has them: nothing was taken at once. Returns the request. */
uint32_t fly(struct sluice_socket *socket, struct operation *operations, int count, size_t each);

#endif
