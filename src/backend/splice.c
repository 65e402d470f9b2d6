/* SPDX-License-Identifier: MIT */
/*
 * Sends a large file through a pipe owned by the engine: splice(2) moves references to the file's
 * pages into the pipe, and from there into the socket. sendfile(2) uses a pipe too, but one of
 * 64 KiB: it pushes the stream, and wakes a sleeping receiver, sixteen times per MiB.
 *
 * Data that the socket does not take is discarded with the pipe; it is still in the file. To avoid
 * that, only as much is put into the pipe as fits into the send buffer.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/splice.h"
#include "core/refusal.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"

#define PIPE_BYTES (1 << 20)

static void pipe_discard(struct sluice__pipe *pipe)
{
	if (!pipe->open)
		return;
	close(pipe->ends[0]);
	close(pipe->ends[1]);
	pipe->open = false;
}

/* A pipe whose size cannot be raised gains nothing over sendfile(2). */
static bool pipe_prepare(struct sluice__pipe *pipe)
{
	if (pipe->open)
		return true;
	if (pipe2(pipe->ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	pipe->open = true;
	pipe->unusable = fcntl(pipe->ends[1], F_SETPIPE_SZ, PIPE_BYTES) < 0;
	if (pipe->unusable)
		pipe_discard(pipe);
	return pipe->open;
}

int64_t sluice__splice_send(struct sluice_engine *engine, struct sluice_socket *socket, int file,
			    uint64_t offset, uint64_t count)
{
	struct sluice__pipe *pipe = engine->pipe;
	off_t at = (off_t)offset;
	uint64_t sum = 0;
	int error = 0;

	sluice__assert_owner(engine);
	if (pipe->unusable || sluice__syscall_space(socket) < count || !pipe_prepare(pipe))
		return -ENOBUFS;
	while (sum < count) {
		ssize_t held, taken;

		held = splice(file, &at, pipe->ends[1], NULL, count - sum, SPLICE_F_NONBLOCK);
		if (held <= 0) {
			pipe->unusable |= held < 0 && (errno == ENOSYS || errno == EPERM);
			return sum ? (int64_t)sum : -ENOBUFS; /* sendfile reports the error */
		}
		taken = splice(pipe->ends[0], NULL, socket->fd, NULL, (size_t)held,
			       SPLICE_F_NONBLOCK |
				       (sum + (uint64_t)held < count ? SPLICE_F_MORE : 0u));
		if (taken < 0)
			error = sluice__refusal_is(errno) ? -ENOBUFS : -errno;
		else
			sum += (uint64_t)taken;
		if (taken < held) {
			pipe_discard(pipe);
			break;
		}
	}
	return sum ? (int64_t)sum : error;
}

void sluice__splice_close(struct sluice_engine *engine)
{
	pipe_discard(engine->pipe);
}
