// SPDX-License-Identifier: MIT
// sluice/sluice.hpp: the calls beside the operations: fan-outs, options and statistics.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <thread>
#include <vector>

#include "cases.hpp"

using namespace std::chrono_literals;
using sluice::engine;
using sluice::task;

static task<void> broadcasts(std::span<sluice::target> targets, sluice::fan_out_result &result)
{
	result = co_await sluice::fan_out("to all", targets, 10s);
}

static void a_fan_out_resumes_once_when_the_last_send_has_ended()
{
	pair one, full;
	std::vector<sluice::target> targets;
	sluice::fan_out_result result;

	full.socket = {};
	int fds[2];
	check(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	check(!one.engine.attach(fds[0], full.socket));
	full.fill();
	targets.emplace_back(one.socket);
	targets.emplace_back(full.socket);
	auto reader = std::thread([&] {
		char bytes[4096];
		while (::recv(fds[1], bytes, sizeof bytes, 0) > 0) {
		}
	});
	check(!one.engine.run(broadcasts(targets, result)));
	check(result && result.failed == 0);
	check(targets[0].result().size == 6 && targets[1].result().size == 6);
	check(one.read(6) == "to all");
	full.socket = {};
	check(!one.engine.run(0s));
	reader.join();
	::close(fds[1]);
}

static void a_fan_out_counts_what_failed_and_says_what_was_refused()
{
	pair pair, closed;
	std::vector<sluice::target> targets;
	sluice::fan_out_result result;
	auto bad = [&]() -> task<void> {
		result = co_await sluice::fan_out(sluice::bytes(nullptr, 1), targets);
	};

	targets.emplace_back(pair.socket);
	targets.emplace_back(closed.socket);
	check(!closed.socket.close());
	check(!pair.engine.run(broadcasts(targets, result)));
	check(!result && !result.error && result.failed == 1);
	check(!targets[0].result().error && targets[1].result().error);
	check(!pair.engine.run(bad()));
	check(result.error == std::errc::invalid_argument && result.failed == 0);
}

static void sockets_have_options_and_statistics()
{
	sluice::options options;
	engine engine;
	sluice::socket socket;
	auto udp = ::socket(AF_INET, SOCK_DGRAM, 0);
	auto tcp = ::socket(AF_INET, SOCK_STREAM, 0);
	int unsent = 0;
	socklen_t length = sizeof unsent;

	check(!engine.create(&options.wait_budget(20us)));
	check(options.wait_budget_ns == 20000 && options.handler_budget > 0);
	check(!engine.attach(tcp, socket));
	check(!socket.rate(1000000) && !socket.unsent_low(65536) && !socket.end_on_give_up(true));
	check(::getsockopt(tcp, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, &length) == 0);
	check(unsent == 65536);
	check(socket.rate(-1) == std::errc::invalid_argument);
	check(socket.statistics().size == sizeof(struct sluice_socket_statistics));
	check(socket.statistics().bytes_sent == 0 && engine.statistics().sockets == 1);
	check(!engine.attach(udp, socket));
	check(socket.unsent_low(1) == std::errc::operation_not_supported);
}

static void statistics_say_what_limits_a_connection()
{
	engine engine;
	sluice::socket socket;
	sockaddr_in address{};
	socklen_t length = sizeof address;
	int listener = ::socket(AF_INET, SOCK_STREAM, 0), fd = ::socket(AF_INET, SOCK_STREAM, 0);

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(::bind(listener, reinterpret_cast<sockaddr *>(&address), length) == 0);
	check(::listen(listener, 1) == 0);
	check(::getsockname(listener, reinterpret_cast<sockaddr *>(&address), &length) == 0);
	check(::connect(fd, reinterpret_cast<sockaddr *>(&address), length) == 0);
	check(!engine.create() && !engine.attach(fd, socket));
	std::vector<char> bytes(1 << 16);
	while (::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
	}
	check(socket.statistics().unsent_bytes > 0);
	::close(listener);
}

static void a_run_says_how_many_handlers_ran()
{
	engine engine;
	int count = 1;

	check(!engine.create());
	check(!engine.run(0s, count) && count == 0);
	sluice::spawn([](sluice::engine &here) -> task<void> {
		check(co_await here.sleep(1ms));
	}(engine));
	while (count == 0)
		check(!engine.run(-1ns, count));
	check(count == 1);
}

static const test tests[] = {
	TEST(a_run_says_how_many_handlers_ran),
	TEST(a_fan_out_resumes_once_when_the_last_send_has_ended),
	TEST(a_fan_out_counts_what_failed_and_says_what_was_refused),
	TEST(sockets_have_options_and_statistics),
	TEST(statistics_say_what_limits_a_connection),
};

int main()
{
	return run_tests(tests);
}
