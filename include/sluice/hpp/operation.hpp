// SPDX-License-Identifier: MIT
// Operations that co_await starts and waits for.
#ifndef SLUICE_HPP_OPERATION_HPP
#define SLUICE_HPP_OPERATION_HPP

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <sluice/args.h>
#include <sluice/hpp/record.hpp>
#include <sluice/operations.h>

namespace sluice
{

class socket_ref;

enum class operation {
	send,
	send_list,
	send_to,
	packets,
	receive,
	receive_from,
	accept,
	connect,
	disconnect
};

namespace detail
{

// Initial values of an operation.
struct request {
	const void *base = nullptr;
	std::size_t size = 0;
	const sluice_packet *packets = nullptr;
};

// Initialises the record, except what the caller of this sets before the start. A plain send or
// receive leaves out members that only other operations read, and the results, which an accepted
// start sets. In pieces, because gcc uses a slow string instruction for the whole.
template <operation K> void clear(sluice_args &args) noexcept
{
	constexpr bool plain = K == operation::send || K == operation::receive;
	char *bytes = reinterpret_cast<char *>(&args);

	static_assert(sizeof args == 256 && std::is_trivial_v<sluice_args>);
	static_assert(offsetof(sluice_args, remote_address) == 128 &&
		      offsetof(sluice_args, rare.thread) == 208);
	if constexpr (plain) {
		std::memset(bytes + 16, 0, 16);
		std::memset(bytes + 48, 0, 16);
		std::memset(bytes + 64, 0, 64);
		std::memset(bytes + 208, 0, 48);
	} else {
		std::memset(bytes, 0, sizeof args);
	}
}

template <operation K> int prepare(const request &what, sluice_args &args) noexcept
{
	const auto size = static_cast<std::int64_t>(what.size);
	// An empty span has no address, which would mean no buffer.
	[[maybe_unused]] const void *base = what.size ? what.base : "";

	if constexpr (K == operation::send || K == operation::send_to)
		return sluice_args_set_buffer(&args, base, what.size, 0, size);
	else if constexpr (K == operation::send_list)
		return sluice_args_set_buffer_list(&args, static_cast<const iovec *>(what.base),
						   what.size);
	else if constexpr (K == operation::packets)
		return sluice_args_set_packets(&args, what.packets, what.size);
	else if constexpr (K == operation::receive || K == operation::receive_from)
		return sluice_args_set_receive_buffer(&args, const_cast<void *>(base), what.size, 0,
						      size);
	else
		return 0;
}

template <operation K> int start(sluice_socket *socket, sluice_args &args) noexcept
{
	if constexpr (K == operation::send || K == operation::send_list)
		return sluice_send_async(socket, &args);
	else if constexpr (K == operation::send_to)
		return sluice_send_to_async(socket, &args);
	else if constexpr (K == operation::packets)
		return sluice_send_packets_async(socket, &args);
	else if constexpr (K == operation::receive)
		return sluice_receive_async(socket, &args);
	else if constexpr (K == operation::receive_from)
		return sluice_receive_from_async(socket, &args);
	else if constexpr (K == operation::accept)
		return sluice_accept_async(socket, &args);
	else if constexpr (K == operation::connect)
		return sluice_connect_async(socket, &args);
	else
		return sluice_disconnect_async(socket, &args);
}

inline result result_of(const sluice_args &args, int answer) noexcept
{
	if (answer < 0) [[unlikely]]
		return {refusal(answer), 0};
	if (args.error != SLUICE_ERROR_SUCCESS) [[unlikely]]
		return {{args.error, socket_category()}, args.bytes_transferred};
	return {{0, socket_category()}, args.bytes_transferred};
}

} // namespace detail

template <operation K> class modified;
template <operation K> class stoppable;

// An operation that co_await starts and waits for. It takes a timeout or a stop token before that:
// co_await socket.send(text).timeout(1s).stop(token). It then ends with TimedOut or
// OperationAborted, and result.size is the number of bytes moved. Await it once.
template <operation K> class [[nodiscard]] awaitable
{
      public:
	explicit awaitable(sluice_socket *socket, const detail::request &what = {}) noexcept
		: socket_(socket)
	{
		detail::clear<K>(args_);
		answer_ = detail::prepare<K>(what, args_);
	}
	awaitable(const awaitable &) = delete;
	awaitable &operator=(const awaitable &) = delete;

	modified<K> timeout(nanoseconds time) noexcept
	{
		return modified<K>(*this).timeout(time);
	}
	modified<K> deadline(std::chrono::steady_clock::time_point when) noexcept
	{
		return modified<K>(*this).deadline(when);
	}
	modified<K> flags(std::uint32_t flags) noexcept
	{
		return modified<K>(*this).flags(flags);
	}
	modified<K> transmit_flags(std::uint32_t flags) noexcept
	{
		return modified<K>(*this).transmit_flags(flags);
	}
	stoppable<K> stop(std::stop_token token) noexcept
	{
		return stoppable<K>(*this, std::move(token));
	}

	bool await_ready() const noexcept
	{
		return answer_ < 0;
	}

	// The handler may run on another thread before this returns, so do not touch *this after a
	// pending start.
	bool await_suspend(std::coroutine_handle<> waiting) noexcept
	{
		args_.completed = [](sluice_socket *, sluice_args *args) {
			std::coroutine_handle<>::from_address(args->user_token).resume();
		};
		args_.user_token = waiting.address();
		const int answer = detail::start<K>(socket_, args_);
		if (answer > 0)
			return true;
		answer_ = answer;
		return false;
	}

	auto await_resume() noexcept;

      protected:
	friend class socket_ref;
	friend class modified<K>;
	friend class stoppable<K>;

	struct nothing {
	};
	using length = std::conditional_t<K == operation::receive_from, socklen_t *, nothing>;

	sluice_socket *socket_;
	int answer_;
	[[no_unique_address]] length length_{};
	sluice_args args_;
};

// The same with timeouts, flags or a stop token; holds a reference to it.
template <operation K> class [[nodiscard]] modified
{
      public:
	explicit modified(awaitable<K> &what) noexcept : what_(&what)
	{
	}

	modified timeout(nanoseconds time) const noexcept
	{
		what_->args_.timeout_ns = time.count() > 0 ? time.count() : 1;
		return *this;
	}
	modified deadline(std::chrono::steady_clock::time_point when) const noexcept
	{
		return timeout(when - std::chrono::steady_clock::now());
	}
	modified flags(std::uint32_t flags) const noexcept // SLUICE_FLAG_*
	{
		what_->args_.flags = flags;
		return *this;
	}
	modified transmit_flags(std::uint32_t flags) const noexcept // SLUICE_TRANSMIT_*
	{
		what_->args_.transmit_flags = flags;
		return *this;
	}
	stoppable<K> stop(std::stop_token token) const noexcept
	{
		return stoppable<K>(*what_, std::move(token));
	}

	bool await_ready() const noexcept
	{
		return what_->await_ready();
	}
	bool await_suspend(std::coroutine_handle<> waiting) const noexcept
	{
		return what_->await_suspend(waiting);
	}
	auto await_resume() const noexcept
	{
		return what_->await_resume();
	}

      private:
	awaitable<K> *what_;
};

} // namespace sluice

#endif
