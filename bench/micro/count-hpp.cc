// SPDX-License-Identifier: MIT
// Sends N records at once, through the C and C++20 interfaces, for bench/instructions.sh.
//
//   count-hpp c|await N
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

#include <sluice/sluice.hpp>

static const char text[64] = "";

static void failed(const char *what)
{
	std::fprintf(stderr, "count-hpp: %s failed\n", what);
	std::exit(1);
}

// A record that is kept, as bench/count.c keeps one.
static void send_in_c(sluice_socket *socket, long count)
{
	sluice_args args{};

	for (long i = 0; i < count; i++) {
		sluice_args_set_buffer(&args, text, sizeof text, 0, sizeof text);
		if (sluice_send_async(socket, &args) != 0 || args.error)
			failed("send");
	}
}

static sluice::task<void> send_awaited(sluice::socket_ref socket, long count)
{
	const std::span bytes(text);

	for (long i = 0; i < count; i++)
		if (!co_await socket.send(bytes))
			failed("send");
}

int main(int argc, char **argv)
{
	sluice::engine engine;
	sluice::socket socket;
	int fds[2];
	const int buffer_bytes = 4 << 20;

	if (argc != 3 || engine.create() || ::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		failed("start");
	::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &buffer_bytes, sizeof buffer_bytes);
	if (engine.attach(fds[0], socket))
		failed("attach");
	if (std::strcmp(argv[1], "c") == 0)
		send_in_c(socket.get(), std::atol(argv[2]));
	else if (engine.run(send_awaited(socket, std::atol(argv[2]))))
		failed("run");
	std::puts(engine.backend());
	socket = {};
	engine.destroy();
	::close(fds[1]);
	return 0;
}
