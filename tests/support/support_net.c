/* SPDX-License-Identifier: MIT */
/* The sockets, the peers and the bytes of the contract's tests. */
#include "support.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- sockets ---- */

static void set_option(int fd, int level, int option, int value)
{
	cr_assert_eq(setsockopt(fd, level, option, &value, sizeof value), 0);
}

/* A peer that waits in vain answers EAGAIN after the guard's time, and the test fails. */
static void bound_waiting(int fd)
{
	struct timeval limit = {.tv_sec = GUARD_NS / SECOND};

	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
}

struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

uint16_t port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

static void bind_loopback(int fd)
{
	struct sockaddr_in address = loopback(0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
}

static int new_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0);
	return fd;
}

int new_tcp(int send_bytes)
{
	int fd = new_socket(AF_INET, SOCK_STREAM);

	/*
	 * BBR paces even on loopback. Reno is built into every kernel, and without privileges it is
	 * usually allowed. If not, the tests only take longer.
	 */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (send_bytes)
		set_option(fd, SOL_SOCKET, SO_SNDBUF, send_bytes);
	return fd;
}

int listen_tcp(int receive_bytes)
{
	int fd = new_tcp(receive_bytes);

	if (receive_bytes)
		set_option(fd, SOL_SOCKET, SO_RCVBUF, receive_bytes);
	bind_loopback(fd);
	cr_assert_eq(listen(fd, 1024), 0);
	return fd;
}

struct sluice_socket *attach(struct fixture *fixture, int fd)
{
	struct sluice_socket *socket = NULL;

	cr_assert_eq(sluice_socket_attach(fixture->engine, fd, &socket), 0);
	cr_assert(socket);
	return socket;
}

static void connected_descriptors(int bytes, int *ret_client, int *ret_server)
{
	int listener = listen_tcp(bytes);
	struct sockaddr_in address = loopback(port_of(listener));

	*ret_client = new_tcp(bytes);
	if (bytes)
		set_option(*ret_client, SOL_SOCKET, SO_RCVBUF, bytes);
	cr_assert_eq(connect(*ret_client, (struct sockaddr *)&address, sizeof address), 0);
	*ret_server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert(*ret_server >= 0);
	close(listener);
}

void tcp_pair(struct fixture *fixture, struct pair *pair, int bytes)
{
	int client;

	connected_descriptors(bytes, &client, &pair->peer);
	bound_waiting(pair->peer);
	pair->socket = attach(fixture, client);
}

void attached_pair(struct fixture *fixture, struct sluice_socket **ret_one,
		   struct sluice_socket **ret_other)
{
	int client, server;

	connected_descriptors(0, &client, &server);
	*ret_one = attach(fixture, client);
	*ret_other = attach(fixture, server);
}

void udp_pair(struct fixture *fixture, struct pair *pair)
{
	int local = new_socket(AF_INET, SOCK_DGRAM);
	struct sockaddr_in address;

	pair->peer = new_socket(AF_INET, SOCK_DGRAM);
	bind_loopback(local);
	bind_loopback(pair->peer);
	address = loopback(port_of(pair->peer));
	cr_assert_eq(connect(local, (struct sockaddr *)&address, sizeof address), 0);
	address = loopback(port_of(local));
	cr_assert_eq(connect(pair->peer, (struct sockaddr *)&address, sizeof address), 0);
	bound_waiting(pair->peer);
	pair->socket = attach(fixture, local);
}

void unix_pair(struct fixture *fixture, struct pair *pair, int type)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
	bound_waiting(fds[1]);
	pair->socket = attach(fixture, fds[0]);
	pair->peer = fds[1];
}

void pair_close(struct pair *pair)
{
	sluice_socket_destroy(pair->socket);
	pair->socket = NULL;
	if (pair->peer >= 0)
		close(pair->peer);
	pair->peer = -1;
}

static void block(struct fixture *fixture, struct blocked *blocked)
{
	operation_init(&blocked->head, fixture);
	blocked->bytes = pattern_new(HEAD_BYTES, 0);
	cr_assert_eq(start_send(blocked->pair.socket, &blocked->head, blocked->bytes, HEAD_BYTES),
		     1);
}

void blocked_begin(struct fixture *fixture, struct blocked *blocked)
{
	tcp_pair(fixture, &blocked->pair, SMALL);
	block(fixture, blocked);
}

void blocked_begin_unix(struct fixture *fixture, struct blocked *blocked)
{
	unix_pair(fixture, &blocked->pair, SOCK_STREAM);
	block(fixture, blocked);
}

void blocked_end(struct blocked *blocked)
{
	cr_assert(is_over(&blocked->head));
	pair_close(&blocked->pair);
	free(blocked->bytes);
}

void close_with_reset(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	close(fd);
}

/* ---- bytes ---- */

#define PATTERN_BYTES ((size_t)PATTERN_PERIOD * 256)

/* One period more than is compared at a time, so that any phase of the pattern begins in it. */
static unsigned char pattern[PATTERN_BYTES + PATTERN_PERIOD];

__attribute__((constructor)) static void pattern_prepare(void)
{
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = pattern_at(i);
}

void pattern_fill(void *base, size_t length, uint64_t position)
{
	const unsigned char *phase = pattern + position % PATTERN_PERIOD;
	unsigned char *to = base;

	for (; length > PATTERN_BYTES; length -= PATTERN_BYTES, to += PATTERN_BYTES)
		memcpy(to, phase, PATTERN_BYTES);
	memcpy(to, phase, length);
}

void pattern_write(int file, size_t length, uint64_t position)
{
	for (size_t done = 0, part; done < length; done += part) {
		const unsigned char *phase = pattern + (position + done) % PATTERN_PERIOD;

		part = length - done < PATTERN_BYTES ? length - done : PATTERN_BYTES;
		cr_assert_eq(pwrite(file, phase, part, (off_t)done), (ssize_t)part, "%s",
			     strerror(errno));
	}
}

void *pattern_new(size_t length, uint64_t position)
{
	void *base = malloc(length ? length : 1);

	cr_assert(base);
	pattern_fill(base, length, position);
	return base;
}

bool pattern_matches(const void *base, size_t length, uint64_t position)
{
	const unsigned char *phase = pattern + position % PATTERN_PERIOD;
	const unsigned char *from = base;

	for (; length > PATTERN_BYTES; length -= PATTERN_BYTES, from += PATTERN_BYTES)
		if (memcmp(from, phase, PATTERN_BYTES) != 0)
			return false;
	return memcmp(from, phase, length) == 0;
}

/* As recv: a ring that an earlier case of this process closed may interrupt the wait. */
static ssize_t receive(int fd, void *base, size_t length)
{
	ssize_t count;

	do {
		count = recv(fd, base, length, 0);
	} while (count < 0 && errno == EINTR);
	return count;
}

void read_exactly(int fd, void *base, size_t length)
{
	unsigned char *to = base;

	while (length > 0) {
		ssize_t count = receive(fd, to, length);

		cr_assert(count != 0, "the stream ended %zu bytes early", length);
		cr_assert(count > 0, "%zu bytes did not come: %s", length, strerror(errno));
		to += count;
		length -= (size_t)count;
	}
}

void read_pattern(int fd, size_t length, uint64_t position)
{
	void *base = malloc(length ? length : 1);

	cr_assert(base);
	read_exactly(fd, base, length);
	cr_assert(pattern_matches(base, length, position), "the bytes from %llu on are wrong",
		  (unsigned long long)position);
	free(base);
}

/* What one read of at most length bytes brought; waits one turn of the engine's at most. */
static ssize_t run_and_receive(struct fixture *fixture, int fd, void *base, size_t length)
{
	ssize_t count = recv(fd, base, length, MSG_DONTWAIT);

	if (count < 0 && errno == EAGAIN) {
		run_for(fixture, MILLISECOND);
		count = recv(fd, base, length, MSG_DONTWAIT);
	}
	return count;
}

/* Reads until limit bytes came, the stream ended or broke, or the guard's time passed. */
static uint64_t run_reading_some(struct fixture *fixture, int fd, uint64_t limit, uint64_t position,
				 int *ret_error)
{
	static unsigned char buffer[262144];
	int64_t deadline = now_ns() + GUARD_NS;
	uint64_t done = 0;

	while (done < limit) {
		size_t room = limit - done < sizeof buffer ? limit - done : sizeof buffer;
		ssize_t count = run_and_receive(fixture, fd, buffer, room);

		*ret_error = count < 0 ? errno : 0;
		if (*ret_error == EAGAIN && now_ns() < deadline)
			continue;
		if (count <= 0)
			break;
		cr_assert(pattern_matches(buffer, (size_t)count, position + done),
			  "the bytes from %llu on are wrong",
			  (unsigned long long)(position + done));
		done += (uint64_t)count;
	}
	return done;
}

void run_reading(struct fixture *fixture, int fd, size_t length, uint64_t position)
{
	int error;
	uint64_t done = run_reading_some(fixture, fd, length, position, &error);

	cr_assert_eq(done, length, "%llu of %zu bytes came, then: %s", (unsigned long long)done,
		     length, error ? strerror(error) : "the end");
}

uint64_t run_reading_to_end(struct fixture *fixture, int fd, uint64_t position, int *ret_error)
{
	uint64_t done = run_reading_some(fixture, fd, UINT64_MAX, position, ret_error);

	cr_assert_neq(*ret_error, EAGAIN, "neither the end nor an error, %llu bytes came",
		      (unsigned long long)done);
	return done;
}

void assert_end_of_stream(int fd)
{
	char byte;
	ssize_t count = receive(fd, &byte, 1);

	cr_assert(count >= 0, "an error instead of the end: %s", strerror(errno));
	cr_assert_eq(count, 0, "a byte instead of the end");
}

void assert_nothing_to_read(int fd)
{
	char byte;

	cr_assert_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1, "something came, or the end");
	cr_assert_eq(errno, EAGAIN, "%s", strerror(errno));
}

void write_pattern(int fd, size_t length, uint64_t position)
{
	unsigned char *base = pattern_new(length, position);
	size_t done = 0;

	cr_assert_leq(length, WRITE_MOST, "run_writing or write_what_fits is for that much");
	while (done < length) {
		ssize_t count = send(fd, base + done, length - done, MSG_NOSIGNAL);

		cr_assert(count > 0, "%s", strerror(errno));
		done += (size_t)count;
	}
	free(base);
}

size_t write_what_fits(int fd, size_t length, uint64_t position)
{
	unsigned char *base = pattern_new(length, position);
	ssize_t count = 1;
	size_t done = 0;

	for (; done < length && count > 0; done += count > 0 ? (size_t)count : 0)
		count = send(fd, base + done, length - done, MSG_DONTWAIT | MSG_NOSIGNAL);
	cr_assert(count > 0 || errno == EAGAIN, "%s", strerror(errno));
	free(base);
	return done;
}

void run_writing(struct fixture *fixture, int fd, size_t length, uint64_t position)
{
	int64_t deadline = now_ns() + GUARD_NS;
	size_t done = write_what_fits(fd, length, position);

	while (done < length) {
		size_t more;

		run_for(fixture, MILLISECOND);
		more = write_what_fits(fd, length - done, position + done);
		if (more)
			deadline = now_ns() + GUARD_NS;
		cr_assert_lt(now_ns(), deadline, "only %zu of %zu bytes were received", done,
			     length);
		done += more;
	}
}

/* ---- a peer with a thread of its own ---- */

#define READER_CHUNK 262144
#define SLOW_READER_CHUNK 3000

/* No assertion in here: reader_join says what was wrong. */
static void *reader_main(void *token)
{
	struct reader *reader = token;
	char *buffer = malloc(reader->chunk);
	uint64_t position = reader->bytes;
	ssize_t count;

	while ((count = recv(reader->fd, buffer, reader->chunk, 0)) > 0) {
		if (!pattern_matches(buffer, (size_t)count, position))
			reader->mismatches++;
		position += (uint64_t)count;
	}
	reader->error = count < 0 ? errno : 0;
	reader->bytes = position - reader->bytes;
	free(buffer);
	return NULL;
}

static void reader_start_with(struct reader *reader, int fd, uint64_t position, size_t chunk)
{
	memset(reader, 0, sizeof *reader);
	reader->fd = fd;
	reader->chunk = chunk;
	reader->bytes = position;
	cr_assert_eq(pthread_create(&reader->thread, NULL, reader_main, reader), 0);
}

void reader_start(struct reader *reader, int fd, uint64_t position)
{
	reader_start_with(reader, fd, position, READER_CHUNK);
}

void reader_start_slow(struct reader *reader, int fd, uint64_t position)
{
	reader_start_with(reader, fd, position, SLOW_READER_CHUNK);
}

void reader_join(struct reader *reader)
{
	cr_assert_eq(pthread_join(reader->thread, NULL), 0);
	cr_assert_eq(reader->mismatches, 0, "%llu of the chunks that came are wrong",
		     (unsigned long long)reader->mismatches);
}
