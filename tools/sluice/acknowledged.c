/* SPDX-License-Identifier: MIT */
#include "acknowledged.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

bool acknowledged_bytes(int fd, uint64_t *ret_acknowledged)
{
	struct tcp_info info;
	socklen_t length = sizeof(info), domain_length;
	int domain, queued;

	/* A local socket counts nothing, but its queue changes when the peer reads. */
	domain_length = sizeof(domain);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_length) == 0 &&
	    domain == AF_UNIX) {
		if (ioctl(fd, SIOCOUTQ, &queued) != 0)
			return false;
		*ret_acknowledged = (uint64_t)queued;
		return true;
	}
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
	    length < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return false;
	*ret_acknowledged = info.tcpi_bytes_acked;
	return true;
}
