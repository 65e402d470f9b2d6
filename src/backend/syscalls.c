/* SPDX-License-Identifier: MIT */
/* Non-blocking system calls on a socket. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/splice.h"
#include "core/record.h"
#include "engine/owner.h"
#include "engine/socket.h"

int64_t sluice__syscall_send(struct sluice_engine *engine, struct sluice_socket *socket,
			     const struct msghdr *message, uint32_t flags)
{
	int all = (int)flags | MSG_DONTWAIT | MSG_NOSIGNAL;
	ssize_t taken;

	sluice__assert_owner(engine);
	/* send(2) is cheaper for a single buffer. */
	if (message->msg_iovlen == 1 && !message->msg_name)
		taken = send(socket->fd, message->msg_iov->iov_base, message->msg_iov->iov_len,
			     all);
	else
		taken = sendmsg(socket->fd, message, all);
	return taken < 0 ? -errno : taken;
}

/* send(2) is where pthread_cancel(3) ends a thread of the application's; syscall(2) is not. */
int64_t sluice__syscall_send_plain(const struct sluice_socket *socket, const void *base,
				   uint64_t length)
{
	int saved = errno;
	long taken =
		syscall(SYS_sendto, socket->fd, base, length, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);

	if (likely(taken >= 0))
		return taken;
	taken = -errno;
	errno = saved;
	return taken;
}

int sluice__syscall_send_messages(struct sluice_engine *engine, struct sluice_socket *socket,
				  struct mmsghdr *messages, uint32_t count, uint32_t flags)
{
	int taken;

	sluice__assert_owner(engine);
	taken = sendmmsg(socket->fd, messages, count, (int)flags | MSG_DONTWAIT | MSG_NOSIGNAL);
	return taken < 0 ? -errno : taken;
}

int64_t sluice__syscall_send_file(struct sluice_engine *engine, struct sluice_socket *socket,
				  int file, uint64_t offset, uint64_t count, bool piped)
{
	off_t at = (off_t)offset;
	int64_t taken;

	sluice__assert_owner(engine);
	taken = piped ? sluice__splice_send(engine, socket, file, offset, count) : -ENOBUFS;
	if (taken != -ENOBUFS)
		return taken;
	taken = sendfile(socket->fd, file, &at, count);
	return taken < 0 ? -errno : taken;
}

int64_t sluice__syscall_receive(struct sluice_engine *engine, struct sluice_socket *socket,
				struct msghdr *message, uint32_t flags)
{
	ssize_t taken;

	sluice__assert_owner(engine);
	taken = recvmsg(socket->fd, message, (int)flags | MSG_DONTWAIT);
	return taken < 0 ? -errno : taken;
}

/* The kernel accounts whole pages and its own structures: a quarter more than the data. */
static uint64_t send_space(const struct sluice_socket *socket, bool if_writable)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t length = sizeof memory;
	uint32_t queued, most;

	if (getsockopt(socket->fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0)
		return 0;
	queued = memory[SK_MEMINFO_WMEM_QUEUED];
	most = memory[SK_MEMINFO_SNDBUF];
	/* The kernel's condition for POLLOUT. */
	if (queued >= most || (if_writable && most - queued < queued / 2))
		return 0;
	return (uint64_t)(most - queued) * 4 / 5;
}

uint64_t sluice__syscall_space(const struct sluice_socket *socket)
{
	return send_space(socket, false);
}

uint64_t sluice__syscall_writable_space(const struct sluice_socket *socket)
{
	return send_space(socket, true);
}

/* ---- the peer ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static bool is_loopback(const union address *address)
{
	const uint8_t *bytes = address->v6.sin6_addr.s6_addr;

	if (address->any.sa_family == AF_INET)
		return ntohl(address->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr) && bytes[12] == IN_LOOPBACKNET);
}

static bool addresses_are_equal(const union address *one, const union address *other)
{
	if (one->any.sa_family == AF_INET)
		return one->v4.sin_addr.s_addr == other->v4.sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&one->v6.sin6_addr, &other->v6.sin6_addr);
}

#define V4_BYTES 4u
#define V6_BYTES 16u

/* A question to the kernel for a route, or the beginning of its answer. */
struct route_message {
	struct nlmsghdr header;
	struct rtmsg route;
	struct rtattr attribute;
	uint8_t address[V6_BYTES];
};

static uint32_t route_question(const union address *peer, struct route_message *question)
{
	const uint8_t *bytes = peer->v6.sin6_addr.s6_addr;
	uint32_t length = V6_BYTES;

	question->route.rtm_family = AF_INET6;
	if (peer->any.sa_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr)) {
		question->route.rtm_family = AF_INET;
		length = V4_BYTES;
		bytes = peer->any.sa_family == AF_INET ? (const uint8_t *)&peer->v4.sin_addr
						       : bytes + V6_BYTES - V4_BYTES;
	}
	question->route.rtm_dst_len = (uint8_t)(8 * length);
	question->attribute.rta_type = RTA_DST;
	question->attribute.rta_len = (uint16_t)RTA_LENGTH(length);
	memcpy(question->address, bytes, length);
	question->header.nlmsg_type = RTM_GETROUTE;
	question->header.nlmsg_flags = NLM_F_REQUEST;
	question->header.nlmsg_len =
		(uint32_t)NLMSG_LENGTH(sizeof question->route) + (uint32_t)RTA_LENGTH(length);
	return question->header.nlmsg_len;
}

/* The kernel answers within the call that asks. False also if it must not be asked. */
static bool route_is_local(const union address *peer)
{
	struct route_message question = {.header = {0}};
	union {
		struct route_message message;
		char bytes[1024];
	} answer;
	uint32_t length = route_question(peer, &question);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool local;

	if (fd < 0)
		return false;
	local = send(fd, &question, length, 0) == (ssize_t)length &&
		recv(fd, &answer, sizeof answer, MSG_DONTWAIT) >=
			(ssize_t)NLMSG_LENGTH(sizeof answer.message.route) &&
		answer.message.header.nlmsg_type == RTM_NEWROUTE &&
		answer.message.route.rtm_type == RTN_LOCAL;
	close(fd);
	return local;
}

/* Two local addresses differ if the source was bound, or if the peer's is a secondary address. */
bool sluice__syscall_is_local(const struct sluice_socket *socket)
{
	union address own, peer;
	socklen_t own_length = sizeof own, peer_length = sizeof peer;

	if (socket->family == AF_UNIX)
		return true;
	if (socket->family != AF_INET && socket->family != AF_INET6)
		return false;
	if (getsockname(socket->fd, &own.any, &own_length) < 0 ||
	    getpeername(socket->fd, &peer.any, &peer_length) < 0)
		return false;
	return is_loopback(&own) || is_loopback(&peer) || addresses_are_equal(&own, &peer) ||
	       route_is_local(&peer);
}

/* Before 5.4, kernel or header, the window is unknown: assume that nothing fits. */
#ifdef SLUICE_HAVE_SND_WND
static uint64_t min_u64(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

/* Bytes left below SLUICE_SOCKET_UNSENT_LOW_BYTES. */
static uint64_t unsent_space(const struct sluice_socket *socket, uint64_t unsent)
{
	if (!socket->unsent_low_bytes)
		return UINT64_MAX;
	return socket->unsent_low_bytes > unsent ? socket->unsent_low_bytes - unsent : 0;
}

uint64_t sluice__syscall_window(const struct sluice_socket *socket)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof info;
	uint64_t pending, space;

	if (getsockopt(socket->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
		return 0;
	/* tcpi_bytes_acked counts the SYN as a byte, hence the 1. */
	pending = info.tcpi_notsent_bytes + info.tcpi_bytes_sent - info.tcpi_bytes_retrans -
		  info.tcpi_bytes_acked + 1;
	space = info.tcpi_snd_wnd > pending ? info.tcpi_snd_wnd - pending : 0;
	return min_u64(space, unsent_space(socket, info.tcpi_notsent_bytes));
}
#else
uint64_t sluice__syscall_window(const struct sluice_socket *socket)
{
	(void)socket;
	return 0;
}
#endif
