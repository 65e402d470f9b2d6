/* SPDX-License-Identifier: MIT */
/*
 * TCP_CORK, set only if something follows a file, and the cleanup if the record at the head of the
 * queue ends early.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "core/packets.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "file/file.h"

static void set_cork(const struct sluice_socket *socket, int on)
{
	setsockopt(socket->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

void sluice__cork(struct sluice_socket *socket, const struct sluice_args *args)
{
	const struct sluice__packets *packets = args->rare.side;
	int on = 0;
	socklen_t length = sizeof on;

	sluice__assert_owner(socket->engine);
	if (packets->index + 1 >= packets->count && !(args->run.op_flags & SLUICE__OP_MORE))
		return;
	socket->corked_for = args;
	if ((socket->state & SLUICE__ST_CORKED) ||
	    (sluice__socket_flags(socket) & SLUICE__SHARED_NOT_TCP))
		return;
	/* A cork that the application has set stays. */
	if (getsockopt(socket->fd, IPPROTO_TCP, TCP_CORK, &on, &length) < 0 || on)
		return;
	set_cork(socket, 1);
	socket->state |= SLUICE__ST_CORKED;
}

void sluice__uncork(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	socket->corked_for = NULL;
	if (!(socket->state & SLUICE__ST_CORKED))
		return;
	socket->state &= ~(uint32_t)SLUICE__ST_CORKED;
	set_cork(socket, 0);
}

void sluice__uncork_behind(struct sluice_socket *socket, uint32_t op_flags)
{
	const struct sluice_args *head = sluice__sendq_head(&socket->queue);

	sluice__assert_owner(socket->engine);
	if (head && head == socket->corked_for)
		return;
	if (!(op_flags & SLUICE__OP_MORE))
		sluice__uncork(socket);
}

void sluice__file_abandon(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	sluice__uncork(socket);
	sluice__prefetch_forget(socket);
	sluice__slices_forget(socket);
}
