/* SPDX-License-Identifier: MIT */
/* System calls that a seccomp filter refuses, as in a container. */
#ifndef FILTERS_H
#define FILTERS_H

/*
 * From now on this thread's call of this number (SYS_*) fails with the errno. Several filters may
 * be installed. Skips the test if the kernel has no seccomp filters.
 */
void refuse_call(long number, int error);

#endif
