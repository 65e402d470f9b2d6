/* SPDX-License-Identifier: MIT */
/* The non-blocking attempts on a socket, as the kernel answers them. */
#include <errno.h>
#include <linux/sock_diag.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "engine.h"

int64_t sluice__direct_send(struct sluice_engine *engine, struct sluice_socket *socket,
			    const struct msghdr *message, uint32_t flags)
{
	int all = (int)flags | MSG_DONTWAIT | MSG_NOSIGNAL;
	ssize_t taken;

	(void)engine;
	/* A lone buffer has a cheaper call. */
	if (message->msg_iovlen == 1 && !message->msg_name)
		taken = send(socket->fd, message->msg_iov->iov_base, message->msg_iov->iov_len,
			     all);
	else
		taken = sendmsg(socket->fd, message, all);
	return taken < 0 ? -errno : taken;
}

int sluice__direct_send_messages(struct sluice_engine *engine, struct sluice_socket *socket,
				 struct mmsghdr *messages, uint32_t count, uint32_t flags)
{
	int taken = sendmmsg(socket->fd, messages, count, (int)flags | MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)engine;
	return taken < 0 ? -errno : taken;
}

int64_t sluice__direct_send_file(struct sluice_engine *engine, struct sluice_socket *socket,
				 int file, uint64_t offset, uint64_t count, bool piped)
{
	int64_t taken = piped ? sluice__splice_send(engine, socket, file, offset, count) : -ENOBUFS;
	off_t at = (off_t)offset;

	if (taken != -ENOBUFS)
		return taken;
	taken = sendfile(socket->fd, file, &at, count);
	return taken < 0 ? -errno : taken;
}

int64_t sluice__direct_receive(struct sluice_engine *engine, struct sluice_socket *socket,
			       struct msghdr *message, uint32_t flags)
{
	ssize_t taken = recvmsg(socket->fd, message, (int)flags | MSG_DONTWAIT);

	(void)engine;
	return taken < 0 ? -errno : taken;
}

/* The kernel counts whole pages and its own structures: a quarter more than the bytes. */
uint64_t sluice__direct_room(const struct sluice_socket *socket)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t length = sizeof memory;
	uint32_t queued, most;

	if (getsockopt(socket->fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0)
		return 0;
	queued = memory[SK_MEMINFO_WMEM_QUEUED];
	most = memory[SK_MEMINFO_SNDBUF];
	return queued < most ? (uint64_t)(most - queued) * 4 / 5 : 0;
}
