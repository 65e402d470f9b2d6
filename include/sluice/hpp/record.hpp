// SPDX-License-Identifier: MIT
// A record for handlers, instead of coroutines.
#ifndef SLUICE_HPP_RECORD_HPP
#define SLUICE_HPP_RECORD_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>

#include <sluice/args.h>
#include <sluice/hpp/error.hpp>
#include <sluice/hpp/memory.hpp>

namespace sluice
{

struct [[nodiscard]] result {
	std::error_code error;
	std::size_t size = 0; // bytes moved, also with an error

	explicit operator bool() const noexcept
	{
		return !error;
	}
};

// One operation. It neither copies nor moves; destroying it while in progress terminates the
// program.
class record
{
      public:
	record() noexcept = default;
	record(const record &) = delete;
	record &operator=(const record &) = delete;
	~record()
	{
		if (in_progress())
			std::terminate();
	}

	// function(token, record) runs on the engine's thread, once for each pending start.
	template <class T> void on_completed(void (*function)(T *, record &), T *token) noexcept
	{
		call_ = [](record &self) {
			reinterpret_cast<void (*)(T *, record &)>(
				self.function_)(static_cast<T *>(self.token_), self);
		};
		function_ = reinterpret_cast<void (*)()>(function);
		token_ = token;
		args_.user_token = this;
		args_.completed = [](sluice_socket *, sluice_args *args) {
			record &self = *static_cast<record *>(args->user_token);
			self.call_(self);
		};
	}

	std::error_code set(bytes what) noexcept
	{
		return refusal(sluice_args_set_buffer(&args_, what.size ? what.data : "", what.size,
						      0, static_cast<std::int64_t>(what.size)));
	}
	std::error_code set(std::span<const iovec> list) noexcept
	{
		return refusal(sluice_args_set_buffer_list(&args_, list.data(), list.size()));
	}
	std::error_code set(std::span<const sluice_packet> packets) noexcept
	{
		return refusal(sluice_args_set_packets(&args_, packets.data(), packets.size()));
	}
	std::error_code set_receive(std::span<std::byte> into) noexcept
	{
		return refusal(
			sluice_args_set_receive_buffer(&args_, into.data(), into.size(), 0,
						       static_cast<std::int64_t>(into.size())));
	}
	void timeout(nanoseconds time) noexcept
	{
		args_.timeout_ns = time.count();
	}

	bool in_progress() const noexcept
	{
		return sluice_args_in_progress(&args_) > 0;
	}
	sluice::result result() const noexcept
	{
		return {{args_.error, socket_category()}, args_.bytes_transferred};
	}
	sluice_args *get() noexcept
	{
		return &args_;
	}

      private:
	sluice_args args_{};
	void (*call_)(record &) = nullptr;
	void (*function_)() = nullptr;
	void *token_ = nullptr;
};

// The answer of a start with a record: refused, pending (the handler will run), or completed.
struct [[nodiscard]] started {
	std::error_code error;
	bool pending = false;
};

} // namespace sluice

#endif
