// SPDX-License-Identifier: MIT
// examples/send.c with coroutines of C++20: connects, sends, and gives both a time.
#include <chrono>
#include <cstdio>
#include <netdb.h>
#include <optional>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;

static sluice::task<sluice::result> greet(sluice::engine &engine, const addrinfo &to)
{
	sluice::socket peer;
	if (auto error = engine.attach(::socket(to.ai_family, SOCK_STREAM, 0), peer))
		co_return sluice::result{error, 0};
	auto connected = co_await peer.connect(to.ai_addr, to.ai_addrlen).timeout(5s);
	if (!connected)
		co_return connected;
	co_return co_await peer.send("Hello from sluice\n").timeout(5s);
} // closes the socket

int main(int argc, char **argv)
{
	addrinfo hints{}, *to;
	sluice::engine engine;
	std::optional<sluice::result> sent;

	hints.ai_socktype = SOCK_STREAM;
	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &to) != 0)
		return std::fputs("usage: send_await HOST PORT\n", stderr), 1;
	if (engine.create())
		return std::fputs("sluice could not start\n", stderr), 1;
	auto error = engine.run(greet(engine, *to), sent); // until greet has returned
	freeaddrinfo(to);
	if (error)
		return std::fprintf(stderr, "%s\n", error.message().c_str()), 1;
	std::printf("%s, %zu bytes\n", sent->error ? sent->error.message().c_str() : "Success",
		    sent->size);
	return !*sent;
}
