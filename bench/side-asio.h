/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SIDE_ASIO_H
#define BENCH_SIDE_ASIO_H

#include "side.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct peer peer_asio_epoll;
extern const struct peer peer_asio_uring;
extern const struct peer peer_asio_epoll_echo;
extern const struct peer peer_asio_uring_echo;

#ifdef __cplusplus
}
#endif
#endif
