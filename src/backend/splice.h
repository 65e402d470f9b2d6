/* SPDX-License-Identifier: MIT */
/* Sends large files through a pipe. */
#ifndef SLUICE_SRC_BACKEND_SPLICE_H
#define SLUICE_SRC_BACKEND_SPLICE_H

#include <stdbool.h>
#include <stdint.h>

struct sluice_engine;
struct sluice_socket;

struct sluice__pipe {
	int ends[2];
	bool open;
	bool unusable; /* its size cannot be raised, or splice(2) is forbidden */
};

/* Bytes, or -errno; -ENOBUFS: use sendfile(2) instead. On the engine's thread. */
int64_t sluice__splice_send(struct sluice_engine *engine, struct sluice_socket *socket, int file,
			    uint64_t offset, uint64_t count);
void sluice__splice_close(struct sluice_engine *engine);

#endif
