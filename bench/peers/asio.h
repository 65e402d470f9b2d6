/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PEERS_ASIO_H
#define BENCH_PEERS_ASIO_H

#include "harness/runner.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct peer peer_asio_epoll;
extern const struct peer peer_asio_uring;
extern const struct peer peer_asio_epoll_echo;
extern const struct peer peer_asio_uring_echo;

#ifdef __cplusplus
}

/* On the backend that this file is compiled for. */
static inline struct peer asio_peer(unsigned int loads,
				    struct runner *(*create)(const struct load *))
{
	struct peer peer = {};

#ifdef ASIO_HAS_IO_URING
	peer.name = "asio-uring";
	peer.title = "Asio on io_uring";
#else
	peer.name = "asio-epoll";
	peer.title = "Asio on epoll";
#endif
	peer.loads = loads;
	peer.create = create;
	return peer;
}
#endif
#endif
