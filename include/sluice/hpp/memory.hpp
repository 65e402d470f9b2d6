// SPDX-License-Identifier: MIT
// Bytes to send, structures that begin with their size, and received buffers.
#ifndef SLUICE_HPP_MEMORY_HPP
#define SLUICE_HPP_MEMORY_HPP

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <sluice/server.h>

namespace sluice
{

// The bytes or text to send, not owned.
struct bytes {
	const void *data = nullptr;
	std::size_t size = 0;

	constexpr bytes() = default;
	constexpr bytes(const void *at, std::size_t length) : data(at), size(length)
	{
	}
	constexpr bytes(std::string_view text) : data(text.data()), size(text.size())
	{
	}
	constexpr bytes(const char *text) : bytes(std::string_view(text))
	{
	}
	bytes(const std::string &text) : data(text.data()), size(text.size())
	{
	}
	template <class T, std::size_t N>
	requires(sizeof(T) == 1 &&
		 std::is_trivially_copyable_v<T>) constexpr bytes(std::span<T, N> span)
		: data(span.data()), size(span.size())
	{
	}
};

// A structure of the C interface that begins with its size, the rest zero:
// sized<sluice_receive_options>(); sized<struct sluice_probe>(), because a function has that name
// too.
template <class T> constexpr T sized() noexcept
{
	T value{};
	value.size = sizeof value;
	return value;
}

// A receive buffer, taken over inside an on_received handler; released by the destructor.
class buffer
{
      public:
	buffer() = default;
	buffer(sluice_engine *engine, const sluice_received &received) noexcept
		: engine_(engine), buffer_(received.buffer), data_(received.data),
		  size_(received.length)
	{
	}
	buffer(buffer &&other) noexcept
	{
		swap(other);
	}
	buffer &operator=(buffer &&other) noexcept
	{
		buffer(std::move(other)).swap(*this);
		return *this;
	}
	~buffer()
	{
		if (buffer_)
			sluice_buffer_release(engine_, buffer_);
	}

	std::span<const std::byte> data() const noexcept
	{
		return {static_cast<const std::byte *>(data_), size_};
	}
	explicit operator bool() const noexcept
	{
		return buffer_ != nullptr;
	}

      private:
	void swap(buffer &other) noexcept
	{
		std::swap(engine_, other.engine_);
		std::swap(buffer_, other.buffer_);
		std::swap(data_, other.data_);
		std::swap(size_, other.size_);
	}

	sluice_engine *engine_ = nullptr;
	sluice_buffer *buffer_ = nullptr;
	const void *data_ = nullptr;
	std::size_t size_ = 0;
};

} // namespace sluice

#endif
