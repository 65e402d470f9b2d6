/* SPDX-License-Identifier: MIT */
/* System calls that a seccomp filter refuses, as in a container. */
#ifndef FILTERS_H
#define FILTERS_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * From now on this thread's call of this number (SYS_*) fails with the errno. Several filters may
 * be installed. Skips the test if the kernel has no seccomp filters.
 */
void refuse_call(long number, int error);

/* The same of io_uring_register(2), of this operation alone. */
void refuse_registration(uint32_t operation, int error);

/*
 * From now on the first `times` calls of this thread with this number and this second argument fail
 * with EINTR, without a signal; later ones are made. *ret_interrupted counts them. Skips the test if
 * the kernel has no notifications of seccomp.
 */
void interrupt_call(long number, uint32_t second, int times, atomic_int *ret_interrupted);

#endif
