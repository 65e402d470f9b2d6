/* SPDX-License-Identifier: MIT */
/*
 * sluice: sends bytes, buffer lists, datagrams and files over many sockets, through io_uring.
 *
 * Every header may also be included alone. In C++ a structure that begins with its size draws no warning
 * if it is written as `struct sluice_probe probe = {}; probe.size = sizeof probe;`; C++20 has sluice.hpp.
 */
#ifndef SLUICE_SLUICE_H
#define SLUICE_SLUICE_H

#include <sluice/args.h>
#include <sluice/async.h>
#include <sluice/engine.h>
#include <sluice/error.h>
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
