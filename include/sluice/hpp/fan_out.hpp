// SPDX-License-Identifier: MIT
// One buffer to many sockets, awaited once.
#ifndef SLUICE_HPP_FAN_OUT_HPP
#define SLUICE_HPP_FAN_OUT_HPP

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>

#include <sluice/fan_out.h>
#include <sluice/hpp/socket.hpp>

namespace sluice
{

// A receiver of a fan-out, and what became of its send.
struct target : sluice_fan_out_target {
	target() noexcept : sluice_fan_out_target{}
	{
	}
	explicit target(socket_ref receiver) noexcept : target()
	{
		socket = receiver.get();
	}
	sluice::result result() const noexcept
	{
		return {{args.error, socket_category()}, args.bytes_transferred};
	}
};
static_assert(sizeof(target) == sizeof(sluice_fan_out_target));

struct [[nodiscard]] fan_out_result {
	std::error_code error;  // the fan-out was refused; failed sends are no error of it
	std::size_t failed = 0; // targets whose result has an error

	explicit operator bool() const noexcept
	{
		return !error && failed == 0;
	}
};

// co_await sluice::fan_out(text, targets). It resumes when the last send has ended, on
// the thread of that socket's engine. The targets and the bytes stay the caller's. Await it once.
class [[nodiscard]] fan_out
{
      public:
	// timeout: of each send, 0: none. flags: SLUICE_FLAG_*, of each send.
	fan_out(bytes what, std::span<target> targets, nanoseconds timeout = nanoseconds(0),
		std::uint32_t flags = 0) noexcept
	{
		fan_out_.base = what.size ? what.data : "";
		fan_out_.length = what.size;
		fan_out_.targets = targets.data();
		fan_out_.target_count = targets.size();
		fan_out_.timeout_ns = timeout.count();
		fan_out_.flags = flags;
	}
	fan_out(const fan_out &) = delete;
	fan_out &operator=(const fan_out &) = delete;

	// The sends that have not ended; as sluice_fan_out_cancel.
	std::error_code cancel() noexcept
	{
		return refusal(sluice_fan_out_cancel(&fan_out_));
	}

	bool await_ready() const noexcept
	{
		return false;
	}
	// Do not touch *this after a pending start: the handler may have run on another thread.
	bool await_suspend(std::coroutine_handle<> waiting) noexcept
	{
		fan_out_.completed = [](sluice_fan_out *ended) {
			std::coroutine_handle<>::from_address(ended->user_token).resume();
		};
		fan_out_.user_token = waiting.address();
		const int answer = sluice_fan_out_async(&fan_out_);
		if (answer > 0)
			return true;
		answer_ = answer;
		return false;
	}
	fan_out_result await_resume() const noexcept
	{
		return {refusal(answer_), answer_ < 0 ? 0 : fan_out_.failed};
	}

      private:
	sluice_fan_out fan_out_{};
	int answer_ = 0;
};

} // namespace sluice
#endif
