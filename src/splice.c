/* SPDX-License-Identifier: MIT */
/*
 * A file through a pipe: a way that can be forced, for measuring. The backend fills the pipe (the
 * ring by a SPLICE, which runs on a worker of the kernel's; epoll by its own worker), and then it is
 * emptied into the socket. A pipe stays with its record until the socket has taken all of it, so
 * pipes are pooled and bounded; where none is left, sendfile does it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine.h"

#define PIPES 16
#define PIPE_BYTES (1 << 20)

struct sluice__pipe {
	struct sluice__request request;
	struct sluice_socket *socket; /* NULL: nobody waits for it any more */
	struct sluice__pipe *next;    /* of the free ones */
	uint64_t held;                /* bytes in it */
	int ends[2];
};

static bool open_ends(struct sluice__pipe *pipe)
{
	if (pipe2(pipe->ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	fcntl(pipe->ends[1], F_SETPIPE_SZ, PIPE_BYTES);
	return true;
}

static struct sluice__pipe *make(struct sluice_engine *engine)
{
	struct sluice__pipe *pipe;

	if (engine->pipes == PIPES)
		return NULL;
	pipe = sluice__allocate(engine, sizeof *pipe);
	if (pipe && !open_ends(pipe)) {
		free(pipe);
		return NULL;
	}
	engine->pipes += pipe != NULL;
	return pipe;
}

static struct sluice__pipe *take(struct sluice_engine *engine)
{
	struct sluice__pipe *pipe = engine->pipes_free;

	if (!pipe)
		return make(engine);
	engine->pipes_free = pipe->next;
	return pipe;
}

static void destroy(struct sluice_engine *engine, struct sluice__pipe *pipe)
{
	close(pipe->ends[0]);
	close(pipe->ends[1]);
	free(pipe);
	engine->pipes--;
}

/* One that still holds bytes is not worth emptying. */
static void give(struct sluice_engine *engine, struct sluice__pipe *pipe)
{
	pipe->socket = NULL;
	if (pipe->held) {
		destroy(engine, pipe);
		return;
	}
	pipe->next = engine->pipes_free;
	engine->pipes_free = pipe;
}

static int64_t fill(struct sluice_socket *socket, struct sluice__packets *packets, int fd,
		    uint64_t offset, uint64_t count)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__pipe *pipe = take(engine);

	if (!pipe)
		return -ENOBUFS;
	pipe->request = (struct sluice__request){
		.kind = SLUICE__REQUEST_SPLICE,
		.fd = fd,
		.pipe = pipe->ends[1],
		.offset = offset,
		.length = count < PIPE_BYTES ? count : PIPE_BYTES,
	};
	pipe->held = 0;
	if (engine->backend->start(engine, &pipe->request) < 0) {
		give(engine, pipe);
		return -ENOBUFS;
	}
	pipe->request.armed = true;
	pipe->socket = socket;
	engine->flying++;
	packets->pipe = pipe;
	socket->state |= SLUICE__BLOCKED | SLUICE__SPLICING;
	return -EINPROGRESS;
}

static int64_t empty(struct sluice_socket *socket, struct sluice__packets *packets, bool more)
{
	struct sluice__pipe *pipe = packets->pipe;
	unsigned int flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (more ? SPLICE_F_MORE : 0u);
	ssize_t taken = splice(pipe->ends[0], NULL, socket->fd, NULL, pipe->held, flags);

	if (taken < 0)
		return -errno;
	pipe->held -= (uint64_t)taken;
	if (pipe->held == 0) {
		packets->pipe = NULL;
		give(socket->engine, pipe);
	}
	return taken;
}

int64_t sluice__splice_slice(struct sluice_socket *socket, struct sluice__packets *packets, int fd,
			     uint64_t offset, uint64_t count, bool more)
{
	if (packets->pipe)
		return empty(socket, packets, more);
	if (packets->unspliceable)
		return -ENOBUFS;
	return fill(socket, packets, fd, offset, count);
}

void sluice__splice_settle(struct sluice_engine *engine,
			   const struct sluice__completion *completion)
{
	struct sluice__pipe *pipe = (struct sluice__pipe *)completion->request;
	struct sluice_socket *socket = pipe->socket;
	struct sluice__packets *packets;

	pipe->held = completion->result > 0 ? (uint64_t)completion->result : 0;
	if (!socket) {
		give(engine, pipe);
		return;
	}
	packets = socket->queue.list.head->rare.side;
	if (!pipe->held) {
		/* What is wrong, sendfile says as well. */
		packets->unspliceable = true;
		packets->pipe = NULL;
		give(engine, pipe);
	}
	socket->state &= ~(uint32_t)(SLUICE__BLOCKED | SLUICE__SPLICING);
	sluice__ready(socket);
}

void sluice__splice_forget(struct sluice_socket *socket, struct sluice__packets *packets)
{
	struct sluice__pipe *pipe = packets->pipe;

	if (!pipe)
		return;
	packets->pipe = NULL;
	if (!(socket->state & SLUICE__SPLICING)) {
		give(socket->engine, pipe);
		return;
	}
	pipe->socket = NULL; /* given back when it is answered */
	socket->state &= ~(uint32_t)(SLUICE__BLOCKED | SLUICE__SPLICING);
}

void sluice__splice_close(struct sluice_engine *engine)
{
	struct sluice__pipe *pipe;

	while ((pipe = engine->pipes_free)) {
		engine->pipes_free = pipe->next;
		destroy(engine, pipe);
	}
}
