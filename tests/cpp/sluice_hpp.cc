// SPDX-License-Identifier: MIT
// sluice/sluice.hpp: what it promises beyond the C interface below it.
#include <arpa/inet.h>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <new>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "cases.hpp"

using namespace std::chrono_literals;
using sluice::engine;
using sluice::task;

static std::atomic<std::size_t> allocations;

[[gnu::noinline]] void *operator new(std::size_t size)
{
	allocations++;
	if (void *memory = std::malloc(size))
		return memory;
	std::abort();
}
[[gnu::noinline]] void operator delete(void *memory) noexcept
{
	std::free(memory);
}
[[gnu::noinline]] void operator delete(void *memory, std::size_t) noexcept
{
	std::free(memory);
}

static void what_is_in_progress_cannot_move()
{
	static_assert(!std::is_move_constructible_v<sluice::record>);
	static_assert(!std::is_copy_constructible_v<sluice::record>);
	static_assert(!std::is_move_constructible_v<engine>);
	static_assert(!std::is_copy_constructible_v<sluice::socket>);
	static_assert(!std::is_copy_constructible_v<sluice::buffer>);
	static_assert(std::is_nothrow_move_constructible_v<sluice::socket>);
	static_assert(!std::is_move_constructible_v<sluice::awaitable<sluice::operation::send>>);
	static_assert(!std::is_move_constructible_v<engine::sleep_operation>);
}

static void errors_are_error_codes_that_compare_with_errc()
{
	std::error_code reset = SLUICE_ERROR_CONNECTION_RESET;

	check(reset == std::errc::connection_reset);
	check(reset.category() == sluice::socket_category());
	check(reset.message() == sluice_socket_error_text(SLUICE_ERROR_CONNECTION_RESET));
	check(make_error_code(SLUICE_ERROR_OPERATION_ABORTED) == std::errc::operation_canceled);
	check(make_error_code(SLUICE_ERROR_TIMED_OUT) == std::errc::timed_out);
	check(make_error_code(SLUICE_ERROR_SHUTDOWN) == std::errc::broken_pipe);
	check(!make_error_code(SLUICE_ERROR_SUCCESS));
	check(sluice::refusal(-EBUSY) == std::errc::device_or_resource_busy);
	check(!sluice::refusal(1));
}

static task<void> say(sluice::socket_ref socket)
{
	using namespace std::string_view_literals;
	std::vector<std::byte> more(3, std::byte{'b'});
	iovec list[2] = {{const_cast<char *>("cc"), 2}, {const_cast<char *>("d"), 1}};

	check((co_await socket.send("aa"sv)).size == 2);
	check((co_await socket.send(std::span(more))).size == 3);
	check((co_await socket.send(std::span<const iovec>(list))).size == 3);
	check((co_await socket.send("")).size == 0);
}

static void sends_take_text_spans_and_lists()
{
	pair pair;

	check(!pair.engine.run(say(pair.socket)));
	check(pair.read(8) == "aabbbccd");
}

static task<sluice::result> receive_into(sluice::socket_ref socket, std::span<char> into)
{
	co_return co_await socket.receive(into);
}

static void a_receive_waits_and_resumes_with_the_bytes()
{
	pair pair;
	char bytes[8];
	std::optional<sluice::result> got;
	std::thread writer([&] { check(::write(pair.peer, "hello", 5) == 5); });

	check(!pair.engine.run(receive_into(pair.socket, bytes), got));
	writer.join();
	check(*got && got->size == 5 && std::memcmp(bytes, "hello", 5) == 0);
	::shutdown(pair.peer, SHUT_WR);
	check(!pair.engine.run(receive_into(pair.socket, bytes), got));
	check(*got && got->size == 0);
}

static task<void> refused(sluice::socket_ref socket)
{
	socket.close();
	const sluice::result result = co_await socket.send("x");
	check(result.error == std::errc::bad_file_descriptor);
	check(result.error.category() == std::generic_category());
}

static void a_refusal_is_a_result_like_any_other()
{
	pair pair;

	check(!pair.engine.run(refused(pair.socket)));
}

static task<void> connects(engine &engine, sockaddr_in address)
{
	sluice::socket client;
	check(!engine.attach(::socket(AF_INET, SOCK_STREAM, 0), client));
	check(co_await client.connect(reinterpret_cast<sockaddr *>(&address), sizeof address));
	check(co_await client.send("ping"));
	char bytes[4];
	std::size_t size = 0;
	while (size < 4) {
		auto got = co_await client.receive(std::span(bytes).subspan(size));
		check(got && got.size > 0);
		size += got.size;
	}
	check(std::memcmp(bytes, "ping", 4) == 0);
	check(co_await client.disconnect());
}

static task<void> echoes(engine &engine)
{
	sockaddr_in address{};
	socklen_t length = sizeof address;
	const int fd = ::socket(AF_INET, SOCK_STREAM, 0);

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(::bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
	check(::listen(fd, 8) == 0);
	check(::getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length) == 0);
	sluice::socket listener;
	check(!engine.attach(fd, listener));
	sluice::spawn(connects(engine, address));
	auto accepted = co_await listener.accept();
	check(accepted);
	char bytes[64];
	while (auto got = co_await accepted.socket.receive(std::span(bytes))) {
		if (got.size == 0)
			break;
		check(co_await accepted.socket.send(sluice::bytes(bytes, got.size)));
	}
}

static void connect_accept_send_and_receive_make_an_echo()
{
	engine engine;

	check(!engine.create());
	check(!engine.run(echoes(engine)));
}

static void a_deadline_ends_an_operation_with_timed_out()
{
	pair pair;
	auto receives = [](sluice::socket_ref socket) -> task<void> {
		char byte;
		auto result = co_await socket.receive(std::span(&byte, 1)).timeout(2ms);
		check(result.error == std::errc::timed_out);
		result = co_await socket.receive(std::span(&byte, 1))
				 .deadline(std::chrono::steady_clock::now() - 1s);
		check(result.error == std::errc::timed_out);
	};

	check(!pair.engine.run(receives(pair.socket)));
}

static task<void> stopped(sluice::socket_ref socket, std::stop_token token)
{
	char byte;
	const auto result = co_await socket.receive(std::span(&byte, 1)).stop(token);
	check(result.error == std::errc::operation_canceled);
}

static void a_stop_token_cancels()
{
	pair pair;
	std::stop_source source;

	std::thread stopper([&] {
		std::this_thread::sleep_for(5ms);
		source.request_stop();
	});
	check(!pair.engine.run(stopped(pair.socket, source.get_token())));
	stopper.join();
	// One that was stopped before starts nothing.
	check(!pair.engine.run(stopped(pair.socket, source.get_token())));
}

static task<void> stop_races(engine &engine, sluice::socket_ref socket, std::atomic<int> &rounds,
			     std::stop_source &source, int &ended)
{
	// Started from the stopping thread's point of view at any moment.
	for (int i = 0; i < 500; i++) {
		source = std::stop_source();
		rounds.store(i + 1);
		char byte;
		const auto result =
			co_await socket.receive(std::span(&byte, 1)).stop(source.get_token());
		check(result.error == std::errc::operation_canceled);
		ended++;
		while (rounds.load() > 0) // until the stopper has seen it
			check(co_await engine.switch_here());
	}
	rounds.store(-1);
}

static void a_stop_at_any_moment_ends_the_operation_once()
{
	pair pair;
	std::stop_source source;
	std::atomic<int> rounds = 0;
	int ended = 0;

	std::thread stopper([&] {
		int seen;
		while ((seen = rounds.load()) >= 0) {
			if (seen == 0)
				continue;
			std::atomic<int> spin = seen * 7 % 400;
			while (spin-- > 0) {
			}
			source.request_stop();
			rounds.store(0);
		}
	});
	check(!pair.engine.run(stop_races(pair.engine, pair.socket, rounds, source, ended)));
	stopper.join();
	check(ended == 500);
}

static void a_coroutine_of_another_thread_resumes_on_the_engine_s()
{
	pair pair;
	std::thread::id resumed;
	std::atomic<bool> over = false;
	auto sends = [&](sluice::socket_ref socket) -> task<void> {
		check((co_await socket.send("hello")).size == 5);
		resumed = std::this_thread::get_id();
		std::stop_source source;
		check((co_await socket.send("again").stop(source.get_token())).size == 5);
		over = true;
		pair.engine.wake();
	};

	std::thread other([&] { sluice::spawn(sends(pair.socket)); });
	while (!over)
		check(!pair.engine.run());
	other.join();
	check(resumed == std::this_thread::get_id());
	check(pair.read(10) == "helloagain");
}

static task<void> sends_file(sluice::socket_ref socket, const char *path, int fd)
{
	check((co_await socket.send_file(path, "<", ">")).size == 12);
	check((co_await socket.send_file(fd, 2, 3)).size == 3);
	const auto result = co_await socket.send_file("/nowhere/at all");
	check(result.error == std::errc::no_such_file_or_directory);
}

static void a_file_goes_between_its_header_and_trailer()
{
	pair pair;
	char path[] = "/tmp/sluice-hpp-XXXXXX";
	const int fd = ::mkstemp(path);

	check(fd >= 0 && ::write(fd, "0123456789", 10) == 10);
	check(!pair.engine.run(sends_file(pair.socket, path, fd)));
	check(pair.read(15) == "<0123456789>234");
	::close(fd);
	::unlink(path);
}

static task<void> sleeps(engine &engine, std::stop_source &source)
{
	const auto before = std::chrono::steady_clock::now();
	check(co_await engine.sleep(3ms));
	check(std::chrono::steady_clock::now() - before >= 3ms);
	check(!co_await engine.sleep(1h, source.get_token()));
	check(!co_await engine.sleep(1h, source.get_token()));
}

static void a_sleep_ends_with_its_time_or_its_stop_token()
{
	engine engine;
	std::stop_source source;
	check(!engine.create());
	std::thread stopper([&] {
		std::this_thread::sleep_for(10ms);
		source.request_stop();
	});
	check(!engine.run(sleeps(engine, source)));
	stopper.join();
}

static task<void> sleeps_long(engine &engine, int &ended)
{
	ended += !co_await engine.sleep(1h);
	ended += !co_await engine.sleep(1h);
}

static task<void> receives_long(sluice::socket_ref socket, int &ended)
{
	char byte;
	const auto result = co_await socket.receive(std::span(&byte, 1));
	ended += result.error == std::errc::operation_canceled;
}

static void the_engine_s_end_ends_what_waits()
{
	int ended = 0;
	{
		pair pair;
		sluice::spawn(sleeps_long(pair.engine, ended));
		sluice::spawn(receives_long(pair.socket, ended));
		check(!pair.engine.run(0ns));
		check(ended == 0);
	}
	check(ended == 3);
}

static task<void> many(sluice::socket_ref socket, int peer, std::size_t &during)
{
	char bytes[512];
	std::stop_source source;

	for (int i = 0; i < 1010; i++) {
		if (i == 10)
			during = allocations;
		check(co_await socket.send("hello"));
		check(::recv(peer, bytes, sizeof bytes, 0) == 5);
		check(::send(peer, "x", 1, 0) == 1);
		check(co_await socket.receive(std::span(bytes)).timeout(1s));
		check(co_await socket.send("hello").timeout(1s).stop(source.get_token()));
		check(::recv(peer, bytes, sizeof bytes, 0) == 5);
		// Queued, so that it suspends.
		check(co_await socket.send("hello").flags(SLUICE_FLAG_BATCHED));
		check(::recv(peer, bytes, sizeof bytes, 0) == 5);
	}
	during = allocations - during;
}

static void no_operation_allocates()
{
	pair pair;
	std::size_t during = 0;

	check(!pair.engine.run(many(pair.socket, pair.peer, during)));
	check(during == 0);
}

static void a_record_runs_its_handler()
{
	pair pair;
	sluice::record record;
	int calls = 0;

	record.on_completed(
		+[](int *count, sluice::record &self) {
			++*count;
			check(self.result().size == 5);
		},
		&calls);
	check(!record.set("hello"));
	const auto over = pair.socket.send(record);
	check(!over.error && !over.pending && record.result() && calls == 0);
	check(!sluice::refusal(sluice_batch_begin(pair.engine.get())));
	const auto queued = pair.socket.send(record);
	check(!queued.error && queued.pending);
	check(pair.socket.send(record).error == std::errc::device_or_resource_busy);
	check(!sluice::refusal(sluice_batch_end(pair.engine.get())));
	while (calls == 0)
		check(!pair.engine.run());
	check(calls == 1 && !record.in_progress());
}

static void a_buffer_is_released_with_its_object()
{
	pair pair;
	std::vector<sluice::buffer> kept;
	auto options = sluice::sized<sluice_receive_options>();
	auto lent = [&] {
		auto statistics = sluice::sized<struct sluice_engine_statistics>();
		sluice_engine_statistics(pair.engine.get(), &statistics);
		return statistics.buffers_lent;
	};

	options.on_received = [](sluice_socket *socket, const sluice_received *received,
				 void *token) {
		if (received->buffer)
			static_cast<std::vector<sluice::buffer> *>(token)->emplace_back(
				sluice_socket_engine(socket), *received);
	};
	options.token = &kept;
	check(sluice_receive_start(pair.socket.get(), &options) == 0);
	check(::write(pair.peer, "hello", 5) == 5);
	while (kept.empty())
		check(!pair.engine.run());
	check(kept[0].data().size() == 5 && lent() == 1);
	sluice::buffer moved = std::move(kept[0]);
	check(!kept[0] && moved && lent() == 1);
	moved = sluice::buffer();
	check(!pair.engine.run(0ns));
	check(lent() == 0);
}

static task<int> throws()
{
	throw 7;
	co_return 0;
}

static task<void> catches()
{
	try {
		co_await throws();
		check(false);
	} catch (int number) {
		check(number == 7);
	}
}

static void a_task_s_exception_is_thrown_where_it_is_awaited()
{
	engine engine;

	check(!engine.create());
	check(!engine.run(catches()));
}

static void a_destroyed_socket_ends_what_waits_on_it()
{
	pair pair;
	int ended = 0;

	sluice::spawn(receives_long(pair.socket, ended));
	pair.socket = {};
	while (ended == 0)
		check(!pair.engine.run());
	check(ended == 1);
}

static const test tests[] = {
	TEST(what_is_in_progress_cannot_move),
	TEST(errors_are_error_codes_that_compare_with_errc),
	TEST(sends_take_text_spans_and_lists),
	TEST(a_receive_waits_and_resumes_with_the_bytes),
	TEST(a_refusal_is_a_result_like_any_other),
	TEST(connect_accept_send_and_receive_make_an_echo),
	TEST(a_deadline_ends_an_operation_with_timed_out),
	TEST(a_stop_token_cancels),
	TEST(a_stop_at_any_moment_ends_the_operation_once),
	TEST(a_coroutine_of_another_thread_resumes_on_the_engine_s),
	TEST(a_file_goes_between_its_header_and_trailer),
	TEST(a_sleep_ends_with_its_time_or_its_stop_token),
	TEST(the_engine_s_end_ends_what_waits),
	TEST(no_operation_allocates),
	TEST(a_record_runs_its_handler),
	TEST(a_buffer_is_released_with_its_object),
	TEST(a_task_s_exception_is_thrown_where_it_is_awaited),
	TEST(a_destroyed_socket_ends_what_waits_on_it),
};

int main()
{
	return run_tests(tests);
}
