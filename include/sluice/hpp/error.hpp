// SPDX-License-Identifier: MIT
// Errors as std::error_code.
#ifndef SLUICE_HPP_ERROR_HPP
#define SLUICE_HPP_ERROR_HPP

#include <chrono>
#include <cstdint>
#include <string>
#include <system_error>
#include <type_traits>

#include <sluice/error.h>

template <> struct std::is_error_code_enum<sluice_socket_error> : std::true_type {
};

namespace sluice
{

using std::chrono::nanoseconds;

namespace detail
{

class category final : public std::error_category
{
      public:
	const char *name() const noexcept override
	{
		return "sluice.socket";
	}
	std::string message(int value) const override
	{
		return sluice_socket_error_text(value);
	}

	std::error_condition default_error_condition(int value) const noexcept override
	{
		// The errno of each SocketError, found by asking for the SocketError of each errno.
		if (value == SLUICE_ERROR_OPERATION_ABORTED)
			return std::errc::operation_canceled;
		if (value == SLUICE_ERROR_SHUTDOWN)
			return std::errc::broken_pipe;
		for (int number = 1; number < 134; number++)
			if (value > 0 && sluice_socket_error_from_errno(number) == value)
				return {number, std::generic_category()};
		return {value, *this};
	}
};

// Constant-initialised and never destroyed.
union category_holder {
	constexpr category_holder() : instance()
	{
	}
	~category_holder()
	{
	}
	category instance;
};
inline constinit const category_holder the_category;

} // namespace detail

// The category of SocketError: values of enum sluice_socket_error.
inline const std::error_category &socket_category() noexcept
{
	return detail::the_category.instance;
}

// The result of a call of the C interface: its refusal, or success.
inline std::error_code refusal(std::int64_t answer) noexcept
{
	return answer < 0 ? std::error_code(static_cast<int>(-answer), std::generic_category())
			  : std::error_code();
}

} // namespace sluice

inline std::error_code make_error_code(sluice_socket_error error) noexcept
{
	return {error, sluice::socket_category()};
}

#endif
