// SPDX-License-Identifier: MIT
// sluice for C++20, header-only: RAII types and coroutines over the C interface, whose headers
// document the calls.
//
// - Nothing throws. Failures are std::error_code: of socket_category() if the operation was started
//   and failed (the SocketError), of std::generic_category() if the call was refused (the errno).
//   Both compare with std::errc: result.error == std::errc::connection_reset.
// - A co_await of a send, receive and so on holds the record in the coroutine's frame: no operation
//   allocates. It resumes on the engine's thread, or immediately if the operation completes
//   synchronously.
// - engine, socket, record and buffer own what they hold and release it. Objects in progress
//   cannot be moved.
// - Addresses, bytes, files and segments stay the caller's until the co_await ends.
#ifndef SLUICE_SLUICE_HPP
#define SLUICE_SLUICE_HPP

#include <sluice/sluice.h>

#include <sluice/hpp/engine.hpp>
#include <sluice/hpp/error.hpp>
#include <sluice/hpp/fan_out.hpp>
#include <sluice/hpp/memory.hpp>
#include <sluice/hpp/operation.hpp>
#include <sluice/hpp/record.hpp>
#include <sluice/hpp/socket.hpp>
#include <sluice/hpp/stop.hpp>
#include <sluice/hpp/task.hpp>

#endif
