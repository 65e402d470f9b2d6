/* SPDX-License-Identifier: MIT */
/* Threads that exit, where an engine wants to know (options.cancel_on_thread_exit). */
#ifndef SLUICE_SRC_LOOP_THREAD_EXIT_H
#define SLUICE_SRC_LOOP_THREAD_EXIT_H

#include <stdint.h>

struct sluice_engine;

/* The calling thread's number on this engine, which learns of its exit. 0 or -ENOMEM, -EAGAIN. */
int sluice__exits_number(struct sluice_engine *engine, uint32_t *ret_number);
/* The engine goes. */
void sluice__exits_forget(struct sluice_engine *engine);

#endif
