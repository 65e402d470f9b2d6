/* SPDX-License-Identifier: MIT */
/* What the parts of engine_zerocopy share. */
#ifndef ENGINE_ZEROCOPY_H
#define ENGINE_ZEROCOPY_H

#include "scripted_pair.h"

#define SIZE 10000 /* of a record, where it does not matter */
#define LARGE 65536

struct sluice_options options_of(uint32_t way, uint32_t zerocopy);
void begin_with(struct sluice_options *options, struct pair *pair);

/* Everything goes by zero copy. */
void begin_zerocopy(struct pair *pair);

/* What is of use does; each large record is a transmission of its own. */
void begin_auto(struct pair *pair);

struct sluice_engine_statistics statistics(void);
uint32_t learned(struct sluice_socket *socket);

/* Sends by zero copy that have no result yet: there is one, and this is it. */
uint32_t flying(void);

/* Starts a send of the pattern from `position` on, which goes by zero copy. */
uint32_t fly(struct sluice_socket *socket, struct operation *operation, size_t position,
	     size_t length);

/* The same, taken whole, its buffer in use. */
uint32_t taken(struct sluice_socket *socket, struct operation *operation, size_t position,
	       size_t length);

void let_go(uint32_t index);

/* Zero copy proves useful on the socket, and remains in use. */
void train(struct pair *pair);

/* Sends the pattern; whether that went by zero copy. */
bool goes(struct pair *pair, struct operation *operation, size_t length);

#endif
