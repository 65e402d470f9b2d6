/* SPDX-License-Identifier: MIT */
/* What the parts of contract_b11_zerocopy share. */
#ifndef CONTRACT_B11_ZEROCOPY_H
#define CONTRACT_B11_ZEROCOPY_H

#include "support.h"

/* Zero copy on the ring, and copies on epoll. */
void begin_forced(struct fixture *fixture);

struct sluice_engine_statistics engine_statistics(const struct fixture *fixture);

uint32_t learned(struct sluice_socket *socket);

/* The kernel has it, and nothing took it away. */
bool has(const struct fixture *fixture, uint32_t capability);

bool has_zerocopy(const struct fixture *fixture);

/* Everything went by zero copy where there is such a thing, by copying elsewhere. */
void assert_way(const struct fixture *fixture);

#endif
