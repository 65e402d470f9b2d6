// SPDX-License-Identifier: MIT
// Engines, and what a coroutine awaits of them: time, and their thread.
#ifndef SLUICE_HPP_ENGINE_HPP
#define SLUICE_HPP_ENGINE_HPP

#include <atomic>
#include <coroutine>
#include <optional>
#include <stop_token>
#include <utility>

#include <sluice/engine.h>
#include <sluice/hpp/socket.hpp>
#include <sluice/hpp/task.hpp>
#include <sluice/server.h>
#include <sluice/statistics.h>
#include <sluice/timer.h>

namespace sluice
{

class engine;

// The options of an engine, with their defaults.
struct options : sluice_options {
	options() noexcept
	{
		sluice_options_init(this, sizeof(sluice_options));
	}
	options &wait_budget(nanoseconds time) noexcept
	{
		wait_budget_ns = time.count();
		return *this;
	}
};

namespace detail
{

// A timer that a coroutine waits for; in a list of its engine meanwhile. Expiry and a stop token
// compete for claim; only the winner resumes the coroutine.
struct sleeper {
	enum claimant : int {
		NOBODY,
		TIMER,
		TOKEN
	};

	sluice_timer timer{};
	std::coroutine_handle<> waiting;
	sleeper *next = nullptr;
	sleeper **link = nullptr;
	sleeper *next_stopped = nullptr;
	std::atomic<claimant> claim = NOBODY;
	bool aborted = false;

	bool take(claimant who) noexcept
	{
		auto expected = NOBODY;
		return claim.compare_exchange_strong(expected, who);
	}
	void insert(sleeper *&list) noexcept
	{
		next = list;
		link = &list;
		if (list)
			list->link = &next;
		list = this;
	}
	void abort(sluice_engine *engine) noexcept
	{
		sluice_timer_stop(engine, &timer);
		aborted = true;
		resume();
	}
	void resume() noexcept
	{
		*link = next;
		if (next)
			next->link = link;
		waiting.resume();
	}
};

} // namespace detail

// Neither copies nor moves. Destroy it on its owning thread, never in a handler: operations in
// progress end with OperationAborted, sleeping coroutines with false.
class engine
{
      public:
	engine() = default;
	engine(const engine &) = delete;
	engine &operator=(const engine &) = delete;
	~engine()
	{
		destroy();
	}

	// NULL: the defaults. Call it once, first.
	std::error_code create(const sluice_options *options = nullptr) noexcept
	{
		return refusal(sluice_engine_create(&handle_, options));
	}
	std::error_code destroy() noexcept
	{
		if (!handle_)
			return {};
		sluice_engine_stop(handle_); // if it has a thread of its own
		stopped_.store(nullptr);
		while (detail::sleeper *first = sleepers_)
			first->abort(handle_);
		return refusal(sluice_engine_destroy(std::exchange(handle_, nullptr)));
	}

	sluice_engine *get() const noexcept
	{
		return handle_;
	}

	// As sluice_engine_run: calls handlers and resumes coroutines until at least one ran, or the
	// time is over (negative: no limit). ret_count: how many ran, 0 on an error.
	std::error_code run(nanoseconds timeout = nanoseconds(-1)) noexcept
	{
		return refusal(sluice_engine_run(handle_, timeout.count()));
	}
	std::error_code run(nanoseconds timeout, int &ret_count) noexcept
	{
		const int answer = sluice_engine_run(handle_, timeout.count());
		ret_count = answer > 0 ? answer : 0;
		return refusal(answer);
	}
	std::error_code start() noexcept
	{
		return refusal(sluice_engine_start(handle_));
	}
	std::error_code adopt() noexcept
	{
		return refusal(sluice_engine_adopt(handle_));
	}
	void wake() noexcept
	{
		sluice_engine_wake(handle_);
	}
	int fd() noexcept
	{
		return sluice_engine_fd(handle_);
	}
	const char *backend() const noexcept
	{
		return sluice_engine_backend(handle_);
	}

	struct sluice_engine_statistics statistics() const noexcept
	{
		auto counters = sized<struct sluice_engine_statistics>();
		sluice_engine_statistics(handle_, &counters);
		return counters;
	}

	// Takes ownership of fd; on error it stays the caller's.
	std::error_code attach(int fd, socket &ret_socket) noexcept
	{
		sluice_socket *handle = nullptr;
		const std::error_code error = refusal(sluice_socket_attach(handle_, fd, &handle));
		if (!error)
			ret_socket = socket(handle);
		return error;
	}

	// Runs until the task has completed, and puts what it returns into ret_value. For the owning
	// thread, outside of handlers.
	template <class T> std::error_code run(task<T> work, std::optional<T> &ret_value)
	{
		bool over = false;
		return finish(detail::run_into(std::move(work), ret_value, over), over);
	}
	std::error_code run(task<void> work)
	{
		bool over = false;
		int nothing = 0;
		return finish(detail::run_into(std::move(work), nothing, over), over);
	}

	class sleep_operation;
	// On the engine's thread: true when the time has passed, false if it was stopped, the
	// engine ended before, or the call was refused.
	sleep_operation sleep(nanoseconds time, std::stop_token stop = {}) noexcept;

	// Resumes on the engine's thread; false if the engine ends.
	class switch_operation;
	switch_operation switch_here() noexcept;

      private:
	std::error_code finish(detail::detached, const bool &over)
	{
		std::error_code error;
		while (!over && (!error || error == std::errc::interrupted))
			error = run();
		return over ? std::error_code() : error;
	}

	// Any thread: passes a stopped sleeper to the engine's thread. The only allocation per
	// sleeper is the library's post. If that fails for lack of memory, the timer resumes the
	// sleeper.
	void hand_over(detail::sleeper *stopped) noexcept
	{
		stopped->next_stopped = stopped_.load();
		while (!stopped_.compare_exchange_weak(stopped->next_stopped, stopped)) {
		}
		sluice_post(
			handle_,
			[](sluice_engine *, void *token) {
				static_cast<engine *>(token)->abort_stopped();
			},
			this);
	}
	void abort_stopped() noexcept
	{
		detail::sleeper *first = stopped_.exchange(nullptr);
		while (first)
			std::exchange(first, first->next_stopped)->abort(handle_);
	}

	sluice_engine *handle_ = nullptr;
	detail::sleeper *sleepers_ = nullptr;
	std::atomic<detail::sleeper *> stopped_ = nullptr;
};

class [[nodiscard]] engine::sleep_operation
{
      public:
	sleep_operation(engine &engine, nanoseconds time, std::stop_token stop) noexcept
		: engine_(engine), time_(time), stop_(std::move(stop))
	{
	}
	sleep_operation(const sleep_operation &) = delete;
	sleep_operation &operator=(const sleep_operation &) = delete;

	bool await_ready() const noexcept
	{
		return false;
	}
	bool await_suspend(std::coroutine_handle<> waiting) noexcept
	{
		sleeper_.waiting = waiting;
		sleeper_.timer.token = this;
		sleeper_.timer.expired = [](sluice_engine *, sluice_timer *timer) {
			auto &self = *static_cast<sleep_operation *>(timer->token);
			if (self.sleeper_.take(detail::sleeper::TIMER))
				self.sleeper_.resume();
			else
				self.engine_.abort_stopped();
		};
		sleeper_.aborted = stop_.stop_requested() ||
				   sluice_timer_start(engine_.handle_, &sleeper_.timer,
						      time_.count() > 0 ? time_.count() : 0) < 0;
		if (sleeper_.aborted)
			return false;
		sleeper_.insert(engine_.sleepers_);
		if (stop_.stop_possible())
			callback_.emplace(std::move(stop_), stopper{this});
		return true;
	}
	bool await_resume() const noexcept
	{
		return !sleeper_.aborted;
	}

      private:
	struct stopper {
		sleep_operation *self;
		void operator()() const noexcept
		{
			if (self->sleeper_.take(detail::sleeper::TOKEN))
				self->engine_.hand_over(&self->sleeper_);
		}
	};

	engine &engine_;
	nanoseconds time_;
	std::stop_token stop_;
	detail::sleeper sleeper_;
	std::optional<std::stop_callback<stopper>> callback_;
};

inline engine::sleep_operation engine::sleep(nanoseconds time, std::stop_token stop) noexcept
{
	return {*this, time, std::move(stop)};
}

class [[nodiscard]] engine::switch_operation
{
      public:
	explicit switch_operation(sluice_engine *engine) noexcept : engine_(engine)
	{
	}

	bool await_ready() const noexcept
	{
		return false;
	}
	bool await_suspend(std::coroutine_handle<> waiting) noexcept
	{
		// Do not touch *this after a post: it may have run.
		const int answer = sluice_post(
			engine_,
			[](sluice_engine *, void *token) {
				std::coroutine_handle<>::from_address(token).resume();
			},
			waiting.address());
		if (answer == 0)
			return true;
		refused_ = true;
		return false;
	}
	bool await_resume() const noexcept
	{
		return !refused_;
	}

      private:
	sluice_engine *engine_;
	bool refused_ = false;
};

inline engine::switch_operation engine::switch_here() noexcept
{
	return switch_operation(handle_);
}

} // namespace sluice

#endif
