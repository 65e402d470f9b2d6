/* SPDX-License-Identifier: MIT */
/* The list of the process's engines: fork(2), and the exit of owners. */
#ifndef SLUICE_SRC_ENGINE_FORK_H
#define SLUICE_SRC_ENGINE_FORK_H

struct sluice_engine;

/* An engine's place in the list of all engines of the process. */
struct sluice__process_entry {
	struct sluice_engine *next;
	struct sluice_engine **link;
};

int sluice__process_register(struct sluice_engine *engine);
void sluice__process_forget(struct sluice_engine *engine);
/* Guards state that outlives engines and threads; not held in a forked child. */
void sluice__process_lock(void);
void sluice__process_unlock(void);
void sluice__process_owned(struct sluice_engine *engine);

#endif
