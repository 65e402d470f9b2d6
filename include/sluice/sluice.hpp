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
// - engine, socket, record, timer and buffer own what they hold and release it. Objects in progress
//   cannot be moved.
// - Addresses, bytes, files and segments stay the caller's until the co_await ends.
#ifndef SLUICE_SLUICE_HPP
#define SLUICE_SLUICE_HPP

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <sluice/sluice.h>

template <> struct std::is_error_code_enum<sluice_socket_error> : std::true_type {
};

namespace sluice
{

using std::chrono::nanoseconds;

// ---- errors ----

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

// ---- memory ----

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

// ---- results ----

struct [[nodiscard]] result {
	std::error_code error;
	std::size_t size = 0; // bytes moved, also with an error

	explicit operator bool() const noexcept
	{
		return !error;
	}
};

class socket;

struct [[nodiscard]] accept_result;

// ---- records, for handlers instead of coroutines ----

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

// ---- operations that are awaited ----

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

// ---- sockets ----

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

// ---- coroutines ----

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

// ---- engines ----

class engine;

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

	// Returns the handlers called and coroutines resumed; takes the timeout_ns of
	// sluice_engine_run.
	std::error_code run(nanoseconds timeout = nanoseconds(-1)) noexcept
	{
		return refusal(sluice_engine_run(handle_, timeout.count()));
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

	// Takes ownership of fd; on error it stays the caller's.
	std::error_code attach(int fd, socket &ret_socket) noexcept
	{
		sluice_socket *handle = nullptr;
		const std::error_code error = refusal(sluice_socket_attach(handle_, fd, &handle));
		if (!error)
			ret_socket = socket(handle);
		return error;
	}

	// Runs until the task has completed. For the owning thread, outside of handlers.
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

inline std::error_code make_error_code(sluice_socket_error error) noexcept
{
	return {error, sluice::socket_category()};
}

#endif
