// SPDX-License-Identifier: MIT
// What the tests of the C++ interface share. They print TAP.
#ifndef TESTS_CPP_CASES_HPP
#define TESTS_CPP_CASES_HPP

#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include <sluice/sluice.hpp>

inline void check_at(bool condition, const char *text, int line)
{
	if (condition)
		return;
	std::printf("Bail out! line %d: %s\n", line, text);
	std::exit(1);
}
#define check(condition) check_at(static_cast<bool>(condition), #condition, __LINE__)

// An engine and a connected pair, one end of it on the engine.
struct pair {
	sluice::engine engine;
	sluice::socket socket;
	int peer = -1;

	pair()
	{
		int fds[2];
		check(!engine.create());
		check(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
		check(!engine.attach(fds[0], socket));
		peer = fds[1];
	}
	~pair()
	{
		socket = {};
		engine.destroy();
		::close(peer);
	}
	void fill()
	{
		char bytes[4096] = {};
		while (::send(socket.fd(), bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
		}
	}
	std::string read(std::size_t size)
	{
		std::string text(size, ' ');
		check(::recv(peer, text.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size));
		return text;
	}
};

struct test {
	const char *name;
	void (*run)();
};
#define TEST(name)          \
	{                   \
#name, name \
	}

inline int run_tests(std::span<const test> tests)
{
	int number = 0;

	::alarm(120);
	std::printf("1..%zu\n", tests.size());
	for (const auto &test : tests) {
		test.run();
		std::printf("ok %d - hpp_%s\n", ++number, test.name);
		std::fflush(stdout);
	}
	return 0;
}

#endif
