/* SPDX-License-Identifier: MIT */
#include "side-asio.h"
#include "without.h"

WITHOUT(peer_asio_epoll, "asio-epoll", "Asio on epoll", LOADS(LOAD_RECORDS), "libasio-dev");
WITHOUT(peer_asio_uring, "asio-uring", "Asio on io_uring", LOADS(LOAD_RECORDS), "libasio-dev");
