/* SPDX-License-Identifier: MIT */
/*
 * sluice: sends buffers, datagrams and files over many sockets, with io_uring or epoll.
 *
 * Every header can also be included alone. In C++, initialise a structure that begins with its size
 * as `struct sluice_probe probe = {}; probe.size = sizeof probe;` to avoid warnings; C++20 has
 * sluice.hpp.
 */
#ifndef SLUICE_SLUICE_H
#define SLUICE_SLUICE_H

#include <sluice/args.h>
#include <sluice/async.h>
#include <sluice/engine.h>
#include <sluice/error.h>
#include <sluice/fan_out.h>
#include <sluice/filter.h>
#include <sluice/operations.h>
#include <sluice/probe.h>
#include <sluice/server.h>
#include <sluice/socket.h>
#include <sluice/statistics.h>
#include <sluice/timer.h>
#include <sluice/trace.h>
#include <sluice/version.h>

#endif
