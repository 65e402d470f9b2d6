/* SPDX-License-Identifier: MIT */
/*
 * Asio (Boost.Asio without Boost), on epoll or, where ASIO_HAS_IO_URING says so, on io_uring; the
 * build compiles this file twice, the second time with Asio's namespace renamed.
 *
 * One async_write for each record. Asio allows one at a time for each socket, so the next record of
 * a socket is started by the handler of the one before it.
 */
#include <array>
#include <asio.hpp>
#include <err.h>
#include <memory>
#include <vector>

#include "harness/runner.h"
#include "peers/asio.h"

#ifdef ASIO_HAS_IO_URING
#define PEER peer_asio_uring
#else
#define PEER peer_asio_epoll
#endif

namespace
{

using Buffers = std::array<asio::const_buffer, 2>;

/* The C header first, so that pointers to it are the same for all. */
struct AsioRunner {
	struct runner runner;
	struct load load;
	asio::io_context context{ASIO_CONCURRENCY_HINT_UNSAFE};
	std::vector<asio::ip::tcp::socket> sockets;
	std::vector<Buffers> records;
	char *payload;
	size_t pending = 0;

	void start(size_t record)
	{
		asio::async_write(sockets[record % load.sockets], records[record],
				  [this, record](const asio::error_code &error, size_t) {
					  written(record, error);
				  });
	}

	void written(size_t record, const asio::error_code &error)
	{
		if (error)
			errx(1, "async_write: %s", error.message().c_str());
		pending--;
		if (record + load.sockets < load.records)
			start(record + load.sockets);
	}
};

void run(struct runner *runner, uint64_t times)
{
	AsioRunner *self = reinterpret_cast<AsioRunner *>(runner);

	while (times-- > 0) {
		self->pending = self->load.records;
		for (size_t i = 0; i < self->load.sockets && i < self->load.records; i++)
			self->start(i);
		self->context.restart();
		while (self->pending > 0)
			self->context.run_one();
	}
}

void destroy(struct runner *runner)
{
	AsioRunner *self = reinterpret_cast<AsioRunner *>(runner);

	self->sockets.clear();
	free(self->payload);
	delete self;
}

struct runner *create(const struct load *load)
{
	AsioRunner *self = new AsioRunner;
	int *fds = runner_connect(load);

	self->runner = {};
	self->runner.run = run;
	self->runner.destroy = destroy;
	self->load = *load;
	self->payload = runner_payload(load);
	for (size_t i = 0; i < load->records; i++) {
		struct iovec pieces[2] = {};

		runner_record(load, self->payload, i, pieces);
		self->records.push_back({asio::buffer(pieces[0].iov_base, pieces[0].iov_len),
					 asio::buffer(pieces[1].iov_base, pieces[1].iov_len)});
	}
	for (size_t i = 0; i < load->sockets; i++) {
		self->sockets.emplace_back(self->context);
		self->sockets.back().assign(asio::ip::tcp::v4(), fds[i]);
		self->sockets.back().native_non_blocking(true);
	}
	free(fds);
	return &self->runner;
}

} // namespace

const struct peer PEER = asio_peer(LOADS(LOAD_RECORDS) | LOADS(LOAD_FAN_OUT), create);
