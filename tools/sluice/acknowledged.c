/* SPDX-License-Identifier: MIT */
#include "acknowledged.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

bool acknowledged_bytes(int fd, uint64_t *ret_acknowledged)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
	    length < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return false;
	*ret_acknowledged = info.tcpi_bytes_acked;
	return true;
}
