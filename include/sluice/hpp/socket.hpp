// SPDX-License-Identifier: MIT
// Sockets, which start the operations.
#ifndef SLUICE_HPP_SOCKET_HPP
#define SLUICE_HPP_SOCKET_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include <sluice/hpp/operation.hpp>
#include <sluice/hpp/stop.hpp>
#include <sluice/socket.h>
#include <sluice/statistics.h>

namespace sluice
{

// Sends a file between two pieces of memory; holds the three elements.
class [[nodiscard]] file_awaitable : public awaitable<operation::packets>
{
      public:
	file_awaitable(sluice_socket *socket, const sluice_packet &file, bytes before,
		       bytes after) noexcept
		: awaitable(socket), packets_{memory(before), file, memory(after)}
	{
		answer_ = sluice_args_set_packets(&args_, packets_, 3);
	}

      private:
	static sluice_packet memory(bytes what) noexcept
	{
		sluice_packet packet{};
		packet.kind = what.size ? SLUICE_PACKET_MEMORY : SLUICE_PACKET_NONE;
		packet.base = what.data;
		packet.count = static_cast<std::int64_t>(what.size);
		return packet;
	}

	sluice_packet packets_[3];
};

// Not owned: the handle that a handler or a C function provides. Starts operations.
class socket_ref
{
      public:
	socket_ref() = default;
	explicit socket_ref(sluice_socket *handle) noexcept : handle_(handle)
	{
	}

	sluice_socket *get() const noexcept
	{
		return handle_;
	}
	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

	// By reference: a parameter by value would be stored in the coroutine's frame.
	template <class T>
	requires std::is_convertible_v<const T &, bytes> awaitable<operation::send> send(
		const T &what) const noexcept
	{
		const bytes view = what;
		return awaitable<operation::send>(handle_, {.base = view.data, .size = view.size});
	}
	// The array stays the caller's as well.
	awaitable<operation::send_list> send(std::span<const iovec> list) const noexcept
	{
		return awaitable<operation::send_list>(handle_,
						       {.base = list.data(), .size = list.size()});
	}
	awaitable<operation::packets> send_packets(
		std::span<const sluice_packet> packets) const noexcept
	{
		return awaitable<operation::packets>(handle_, {.size = packets.size(),
							       .packets = packets.data()});
	}
	// A file between two pieces of memory. size 0: to its end. fd stays the caller's.
	file_awaitable send_file(int fd, std::int64_t offset = 0, std::int64_t size = 0,
				 bytes before = {}, bytes after = {}) const noexcept
	{
		sluice_packet file{};
		file.kind = SLUICE_PACKET_FILE;
		file.fd = fd;
		file.offset = offset;
		file.count = size;
		return {handle_, file, before, after};
	}
	file_awaitable send_file(const char *path, bytes before = {},
				 bytes after = {}) const noexcept
	{
		sluice_packet file{};
		file.kind = SLUICE_PACKET_PATH;
		file.path = path;
		return {handle_, file, before, after};
	}

	// Receives what is available, at least one byte; size 0 is the end of the stream.
	awaitable<operation::receive> receive(std::span<std::byte> into) const noexcept
	{
		return awaitable<operation::receive>(handle_,
						     {.base = into.data(), .size = into.size()});
	}
	awaitable<operation::receive> receive(std::span<char> into) const noexcept
	{
		return receive(std::as_writable_bytes(into));
	}

	// A class of its own, for operations with an address.
	template <operation K> struct addressed : awaitable<K> {
		addressed(sluice_socket *socket, const detail::request &what,
			  const sockaddr *remote, socklen_t length) noexcept
			: awaitable<K>(socket, what)
		{
			this->args_.remote_address = remote;
			this->args_.remote_address_length = length;
		}
	};
	struct receive_from_awaitable : awaitable<operation::receive_from> {
		receive_from_awaitable(sluice_socket *socket, const detail::request &what,
				       sockaddr *from, socklen_t *length) noexcept
			: awaitable(socket, what)
		{
			length_ = length;
			args_.from_address = from;
			args_.from_capacity = *length;
		}
	};

	addressed<operation::send_to> send_to(bytes what, const sockaddr *remote,
					      socklen_t length) const noexcept
	{
		return {handle_, {.base = what.data, .size = what.size}, remote, length};
	}
	addressed<operation::connect> connect(const sockaddr *remote,
					      socklen_t length) const noexcept
	{
		return {handle_, {}, remote, length};
	}
	awaitable<operation::accept> accept() const noexcept
	{
		return awaitable<operation::accept>(handle_);
	}
	// *length: the capacity at from, then the length of the sender's address.
	receive_from_awaitable receive_from(std::span<std::byte> into, sockaddr *from,
					    socklen_t *length) const noexcept
	{
		return {handle_, {.base = into.data(), .size = into.size()}, from, length};
	}
	// FIN after the last byte; receiving continues.
	awaitable<operation::disconnect> disconnect() const noexcept
	{
		return awaitable<operation::disconnect>(handle_);
	}

	started send(record &record) const noexcept
	{
		return answer(sluice_send_async(handle_, record.get()));
	}
	started send_packets(record &record) const noexcept
	{
		return answer(sluice_send_packets_async(handle_, record.get()));
	}
	started receive(record &record) const noexcept
	{
		return answer(sluice_receive_async(handle_, record.get()));
	}
	std::error_code cancel(record &record) const noexcept
	{
		return refusal(sluice_cancel(handle_, record.get()));
	}

	std::error_code cancel_all() const noexcept
	{
		return refusal(sluice_socket_cancel_all(handle_));
	}
	std::error_code shutdown(int how) const noexcept
	{
		return refusal(sluice_socket_shutdown(handle_, how));
	}
	std::error_code close() const noexcept
	{
		return refusal(sluice_socket_close(handle_));
	}
	std::error_code close_gracefully(nanoseconds bound = nanoseconds(-1)) const noexcept
	{
		return refusal(sluice_socket_close_gracefully(handle_, bound.count()));
	}
	std::error_code water_marks(std::size_t low, std::size_t high,
				    std::size_t limit) const noexcept
	{
		return refusal(sluice_socket_set_water_marks(handle_, low, high, limit));
	}
	std::size_t queued_bytes() const noexcept
	{
		return sluice_socket_queued_bytes(handle_);
	}
	int fd() const noexcept
	{
		return sluice_socket_fd(handle_);
	}

	// option: SLUICE_SOCKET_*
	std::error_code set_option(int option, std::int64_t value) const noexcept
	{
		return refusal(sluice_socket_set_option(handle_, option, value));
	}
	// SLUICE_SOCKET_RATE_BYTES_PER_SECOND; 0: no limit.
	std::error_code rate(std::int64_t bytes_per_second) const noexcept
	{
		return set_option(SLUICE_SOCKET_RATE_BYTES_PER_SECOND, bytes_per_second);
	}
	// SLUICE_SOCKET_UNSENT_LOW_BYTES; 0: the system's.
	std::error_code unsent_low(std::int64_t bytes) const noexcept
	{
		return set_option(SLUICE_SOCKET_UNSENT_LOW_BYTES, bytes);
	}
	// SLUICE_SOCKET_END_ON_GIVE_UP
	std::error_code end_on_give_up(bool on) const noexcept
	{
		return set_option(SLUICE_SOCKET_END_ON_GIVE_UP, on);
	}
	// On the engine's thread with what TCP_INFO reports.
	struct sluice_socket_statistics statistics() const noexcept
	{
		auto counters = sized<struct sluice_socket_statistics>();
		sluice_socket_statistics(handle_, &counters);
		return counters;
	}

      protected:
	static started answer(int answer) noexcept
	{
		return {refusal(answer), answer > 0};
	}

	sluice_socket *handle_ = nullptr;
};

// Owned: the destructor destroys it. Operations in progress then end with OperationAborted, on the
// engine's thread. Moving transfers ownership; operations in progress are not affected.
class socket : public socket_ref
{
      public:
	socket() = default;
	explicit socket(sluice_socket *owned) noexcept : socket_ref(owned)
	{
	}
	socket(socket &&other) noexcept : socket_ref(std::exchange(other.handle_, nullptr))
	{
	}
	socket &operator=(socket &&other) noexcept
	{
		if (this != &other)
			sluice_socket_destroy(
				std::exchange(handle_, std::exchange(other.handle_, nullptr)));
		return *this;
	}
	~socket()
	{
		sluice_socket_destroy(handle_);
	}

	sluice_socket *release() noexcept
	{
		return std::exchange(handle_, nullptr);
	}
};

struct [[nodiscard]] accept_result {
	std::error_code error;
	sluice::socket socket;

	explicit operator bool() const noexcept
	{
		return !error;
	}
};

template <operation K> auto awaitable<K>::await_resume() noexcept
{
	if constexpr (K == operation::accept)
		return accept_result{detail::result_of(args_, answer_).error,
				     sluice::socket(answer_ < 0 ? nullptr : args_.accept_socket)};
	else if constexpr (K == operation::receive_from)
		return *length_ = args_.from_length, detail::result_of(args_, answer_);
	else
		return detail::result_of(args_, answer_);
}

} // namespace sluice

#endif
