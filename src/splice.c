/* SPDX-License-Identifier: MIT */
/*
 * A file through a pipe: a way that can be forced, for measuring. The pipe is the engine's one; what
 * the socket does not take is thrown away and comes from the page cache again.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine.h"

#define PIPE_BYTES (1 << 20)

bool sluice__splice_ready(struct sluice_engine *engine)
{
	if (engine->pipe[1])
		return true;
	if (pipe2(engine->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		engine->pipe[1] = 0;
		return false;
	}
	fcntl(engine->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	return true;
}

static void empty_pipe(struct sluice_engine *engine)
{
	close(engine->pipe[0]);
	close(engine->pipe[1]);
	engine->pipe[1] = 0;
}

int64_t sluice__splice_slice(struct sluice_socket *socket, int fd, uint64_t offset, uint64_t count,
			     bool more)
{
	struct sluice_engine *engine = socket->engine;
	unsigned int flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (more ? SPLICE_F_MORE : 0u);
	off_t at = (off_t)offset;
	ssize_t filled, taken;
	int error;

	filled = splice(fd, &at, engine->pipe[1], NULL, count, flags);
	if (filled <= 0)
		return filled < 0 ? -errno : 0;
	taken = splice(engine->pipe[0], NULL, socket->fd, NULL, (size_t)filled, flags);
	error = taken < 0 ? -errno : 0;
	if (taken < filled)
		empty_pipe(engine);
	return error ? error : taken;
}

void sluice__splice_close(struct sluice_engine *engine)
{
	if (engine->pipe[1])
		empty_pipe(engine);
}
