/* SPDX-License-Identifier: MIT */
#include "peers/asio.h"
#include "peers/without.h"

WITHOUT(peer_asio_epoll, "asio-epoll", "Asio on epoll",
	LOADS(LOAD_RECORDS) | LOADS(LOAD_FAN_OUT) | LOADS(LOAD_ECHO), "libasio-dev");
WITHOUT(peer_asio_uring, "asio-uring", "Asio on io_uring",
	LOADS(LOAD_RECORDS) | LOADS(LOAD_FAN_OUT) | LOADS(LOAD_ECHO), "libasio-dev");

/* The two above report it for these, too. */
WITHOUT(peer_asio_epoll_echo, "asio-epoll", "Asio on epoll", 0, "libasio-dev");
WITHOUT(peer_asio_uring_echo, "asio-uring", "Asio on io_uring", 0, "libasio-dev");
