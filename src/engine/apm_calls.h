/* SPDX-License-Identifier: MIT */
/* Callbacks into Begin and End, a layer above. */
#ifndef SLUICE_SRC_ENGINE_APM_CALLS_H
#define SLUICE_SRC_ENGINE_APM_CALLS_H

#include <stdbool.h>

struct sluice_engine;
struct sluice_socket;

struct sluice__apm_calls {
	/* The owner exits without having destroyed the engine. */
	void (*owner_exited)(struct sluice_engine *engine);
	/* Around fork(2), so that no lock is held in the child. */
	void (*before_fork)(void);
	void (*after_fork)(void);
	void (*in_child)(struct sluice_engine *engine);
	/* No callback is queued or running, and no thread is inside End or a wait. */
	bool (*is_quiet)(const struct sluice_socket *socket);
	void (*free_socket)(struct sluice_socket *socket);
};

#endif
