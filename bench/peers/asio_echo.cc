/* SPDX-License-Identifier: MIT */
/* An echo by Asio; see asio.cc for why it is compiled twice. */
#include <array>
#include <asio.hpp>
#include <err.h>
#include <memory>
#include <vector>

#include "peers/asio.h"

#ifdef ASIO_HAS_IO_URING
#define PEER peer_asio_uring_echo
#else
#define PEER peer_asio_epoll_echo
#endif

namespace
{

/* The C header first, so that pointers to it are the same for all. */
struct EchoRunner {
	struct runner runner;
	struct load load;
	asio::io_context context{ASIO_CONCURRENCY_HINT_UNSAFE};
	uint64_t echoed = 0; /* bytes, ever */
	uint64_t wanted = 0;
	std::vector<std::unique_ptr<class Connection>> connections;
};

class Connection
{
      public:
	Connection(EchoRunner &echo_runner, int fd)
		: runner(echo_runner), socket(echo_runner.context, asio::ip::tcp::v4(), fd)
	{
		socket.native_non_blocking(true);
		read();
	}

      private:
	void read()
	{
		socket.async_read_some(asio::buffer(bytes),
				       [this](const asio::error_code &error, size_t count) {
					       if (error == asio::error::operation_aborted)
						       return;
					       check(error);
					       write(count);
				       });
	}

	void write(size_t count)
	{
		asio::async_write(socket, asio::buffer(bytes, count),
				  [this](const asio::error_code &error, size_t written) {
					  if (error == asio::error::operation_aborted)
						  return;
					  check(error);
					  runner.echoed += written;
					  read();
				  });
	}

	static void check(const asio::error_code &error)
	{
		if (error)
			errx(1, "echo: %s", error.message().c_str());
	}

	EchoRunner &runner;
	asio::ip::tcp::socket socket;
	std::array<char, 16384> bytes;
};

void run(struct runner *runner, uint64_t times)
{
	EchoRunner *self = reinterpret_cast<EchoRunner *>(runner);

	self->wanted += times * self->load.record_bytes;
	while (self->echoed < self->wanted)
		self->context.run_one();
}

void destroy(struct runner *runner)
{
	EchoRunner *self = reinterpret_cast<EchoRunner *>(runner);

	for (auto &connection : self->connections)
		connection.reset();
	delete self;
}

struct runner *create(const struct load *load)
{
	EchoRunner *self = new EchoRunner;
	int *fds = runner_connect(load);

	self->runner = {};
	self->runner.run = run;
	self->runner.destroy = destroy;
	self->load = *load;
	for (size_t i = 0; i < load->sockets; i++)
		self->connections.emplace_back(new Connection(*self, fds[i]));
	free(fds);
	return &self->runner;
}

} // namespace

const struct peer PEER = asio_peer(LOADS(LOAD_ECHO), create);
