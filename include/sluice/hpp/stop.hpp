// SPDX-License-Identifier: MIT
// Operations that a stop token cancels.
#ifndef SLUICE_HPP_STOP_HPP
#define SLUICE_HPP_STOP_HPP

#include <atomic>
#include <coroutine>
#include <optional>
#include <stop_token>
#include <utility>

#include <sluice/hpp/operation.hpp>

namespace sluice
{

// The same, cancelled by a stop token. Any thread may stop the token at any time, so the start and
// the handler decide by state_ which of them resumes the coroutine.
template <operation K> class [[nodiscard]] stoppable
{
      public:
	stoppable(awaitable<K> &what, std::stop_token stop) noexcept
		: what_(what), stop_(std::move(stop))
	{
	}
	stoppable(const stoppable &) = delete;
	stoppable &operator=(const stoppable &) = delete;

	bool await_ready() const noexcept
	{
		return what_.await_ready();
	}

	bool await_suspend(std::coroutine_handle<> waiting) noexcept
	{
		waiting_ = waiting;
		if (stop_.stop_requested()) {
			what_.args_.error = SLUICE_ERROR_OPERATION_ABORTED;
			what_.args_.bytes_transferred = 0;
			what_.args_.accept_socket = nullptr;
			return false;
		}
		what_.args_.user_token = this;
		what_.args_.completed = [](sluice_socket *, sluice_args *args) {
			auto &self = *static_cast<stoppable *>(args->user_token);
			// Before the socket may be freed: the callback uses it.
			self.callback_.reset();
			if (self.state_.exchange(OVER) == SUSPENDED)
				self.waiting_.resume();
		};
		callback_.emplace(std::move(stop_), canceller{this});
		what_.answer_ = detail::start<K>(what_.socket_, what_.args_);
		if (what_.answer_ <= 0) {
			callback_.reset();
			return false;
		}
		// A stop request before the start found nothing to cancel.
		if (stopped_.load())
			sluice_cancel(what_.socket_, &what_.args_);
		auto expected = STARTING;
		return state_.compare_exchange_strong(expected, SUSPENDED);
	}

	auto await_resume() noexcept
	{
		return what_.await_resume();
	}

      private:
	enum state : int {
		STARTING,
		SUSPENDED,
		OVER
	};
	struct canceller {
		stoppable *self;
		void operator()() const noexcept
		{
			self->stopped_.store(true);
			sluice_cancel(self->what_.socket_, &self->what_.args_);
		}
	};

	awaitable<K> &what_;
	std::stop_token stop_;
	std::coroutine_handle<> waiting_;
	std::atomic<state> state_ = STARTING;
	std::atomic<bool> stopped_ = false;
	std::optional<std::stop_callback<canceller>> callback_;
};

} // namespace sluice

#endif
