/* SPDX-License-Identifier: MIT */
/* A whole engine: the shared state and the parts of each folder. */
#ifndef SLUICE_SRC_LIFE_ENGINE_H
#define SLUICE_SRC_LIFE_ENGINE_H

#include "apm/callbacks.h"
#include "backend/splice.h"
#include "core/sendq.h"
#include "engine/state.h"
#include "file/file.h"
#include "send/send.h"

struct sluice__whole_engine {
	struct sluice__prefilled prefilled; /* first: it is not cleared, for it is large */
	struct sluice_engine engine;
	struct sluice__files files;
	struct sluice__pipe pipe;
	struct sluice__zerocopy_pool zerocopy;
	struct sluice__callbacks callbacks;
};

/* lifecycle.c: creates an engine with this backend; NULL: the one that the options select */
int sluice__engine_make(struct sluice_engine **ret_engine, const struct sluice_options *options,
			const struct sluice__backend *backend);

void sluice__engine_end(struct sluice_engine *engine); /* aborts everything and runs the handlers */

#endif
