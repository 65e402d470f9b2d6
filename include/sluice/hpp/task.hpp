// SPDX-License-Identifier: MIT
// Coroutines that are awaited or run detached.
#ifndef SLUICE_HPP_TASK_HPP
#define SLUICE_HPP_TASK_HPP

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/hpp/error.hpp>

namespace sluice
{

template <class T = void> class task;

namespace detail
{

struct promise_base {
	std::coroutine_handle<> continuation = std::noop_coroutine();
	std::exception_ptr exception;

	struct final_awaiter {
		bool await_ready() const noexcept
		{
			return false;
		}
		template <class P>
		std::coroutine_handle<> await_suspend(std::coroutine_handle<P> over) const noexcept
		{
			return over.promise().continuation;
		}
		void await_resume() const noexcept
		{
		}
	};
	std::suspend_always initial_suspend() const noexcept
	{
		return {};
	}
	final_awaiter final_suspend() const noexcept
	{
		return {};
	}
	void unhandled_exception() noexcept
	{
		exception = std::current_exception();
	}
};

template <class T> struct promise : promise_base {
	std::optional<T> value;

	task<T> get_return_object() noexcept;
	template <class U> void return_value(U &&result)
	{
		value.emplace(std::forward<U>(result));
	}
	T take()
	{
		if (exception)
			std::rethrow_exception(exception);
		return std::move(*value);
	}
};

template <> struct promise<void> : promise_base {
	task<void> get_return_object() noexcept;
	void return_void() const noexcept
	{
	}
	void take() const
	{
		if (exception)
			std::rethrow_exception(exception);
	}
};

} // namespace detail

// A coroutine that starts when it is awaited and resumes its awaiter. An exception of the task is
// rethrown to the awaiter.
template <class T> class [[nodiscard]] task
{
      public:
	using promise_type = detail::promise<T>;

	explicit task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle)
	{
	}
	task(task &&other) noexcept : handle_(std::exchange(other.handle_, nullptr))
	{
	}
	task &operator=(task &&) = delete;
	~task()
	{
		if (handle_)
			handle_.destroy();
	}

	bool await_ready() const noexcept
	{
		return false;
	}
	std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) const noexcept
	{
		handle_.promise().continuation = waiting;
		return handle_;
	}
	T await_resume() const
	{
		return handle_.promise().take();
	}

      private:
	std::coroutine_handle<promise_type> handle_;
};

template <class T> task<T> detail::promise<T>::get_return_object() noexcept
{
	return task<T>(std::coroutine_handle<promise>::from_promise(*this));
}

inline task<void> detail::promise<void>::get_return_object() noexcept
{
	return task<void>(std::coroutine_handle<promise>::from_promise(*this));
}

namespace detail
{

// Runs detached and frees its frame at the end. An exception terminates the program, as in
// std::thread.
struct detached {
	struct promise_type {
		detached get_return_object() const noexcept
		{
			return {};
		}
		std::suspend_never initial_suspend() const noexcept
		{
			return {};
		}
		std::suspend_never final_suspend() const noexcept
		{
			return {};
		}
		void return_void() const noexcept
		{
		}
		void unhandled_exception() const noexcept
		{
			std::terminate();
		}
	};
};

template <class T> detached run_detached(task<T> work)
{
	co_await std::move(work);
}

template <class T, class Result> detached run_into(task<T> work, Result &result, bool &over)
{
	if constexpr (std::is_void_v<T>)
		co_await std::move(work);
	else
		result.emplace(co_await std::move(work));
	over = true;
}

} // namespace detail

// Starts a detached task. What it uses must live until it has completed.
template <class T> void spawn(task<T> work)
{
	detail::run_detached(std::move(work));
}

} // namespace sluice

#endif
