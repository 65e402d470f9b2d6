/* SPDX-License-Identifier: MIT */
/*
 * A record ends when its buffer is free: on the ring with zero copy forced, where the kernel has it
 * beyond the result, and on epoll, which copies and must not be told from it. Each handler writes over
 * its buffer; what arrives are the bytes that were there before.
 */
#include "contract_b11_zerocopy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sluice_options options_of(uint32_t way, uint32_t zerocopy)
{
	struct sluice_options options;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.transmit_way = way;
	options.zerocopy = zerocopy;
	return options;
}

void begin_forced(struct fixture *fixture)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);

	fixture_begin_with(fixture, &options);
}

struct sluice_engine_statistics engine_statistics(const struct fixture *fixture)
{
	struct sluice_engine_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_engine_statistics(fixture->engine, &statistics), 0);
	return statistics;
}

uint32_t learned(struct sluice_socket *socket)
{
	struct sluice_socket_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_socket_statistics(socket, &statistics), 0);
	return statistics.zerocopy;
}

bool has(const struct fixture *fixture, uint32_t capability)
{
	return engine_statistics(fixture).capabilities & capability;
}

bool has_zerocopy(const struct fixture *fixture)
{
	return has(fixture, SLUICE_CAPABILITY_ZEROCOPY);
}

void assert_way(const struct fixture *fixture)
{
	struct sluice_engine_statistics statistics = engine_statistics(fixture);

	if (has_zerocopy(fixture))
		cr_assert_gt(statistics.zerocopy_sends, 0);
	else
		cr_assert_eq(statistics.zerocopy_sends, 0);
	cr_assert_eq(statistics.zerocopy_pending, 0);
}

/* A record whose handler writes over the buffer at once. */
struct overwritten {
	struct operation operation;
	unsigned char *bytes;
	size_t length;
};

static void overwrite(struct operation *operation)
{
	struct overwritten *overwritten = (struct overwritten *)operation;

	memset(overwritten->bytes, 0xee, overwritten->length);
}

static void overwritten_init(struct overwritten *overwritten, struct fixture *fixture,
			     size_t length, size_t position)
{
	operation_init(&overwritten->operation, fixture);
	overwritten->operation.then = overwrite;
	overwritten->length = length;
	overwritten->bytes = pattern_new(length, position);
}

/* Done at once, its buffer is free already. */
static void overwritten_send(struct overwritten *overwritten, struct sluice_socket *socket)
{
	if (start_send(socket, &overwritten->operation, overwritten->bytes, overwritten->length) ==
	    0)
		overwrite(&overwritten->operation);
}

/* ---- b11 ---- */

#define SENDS ((size_t)40)

static size_t length_of(size_t number)
{
	return number % 7 == 3 ? 700001 : 1 + number * 5003 % 90001;
}

static void overwrite_everywhere(const struct sluice_options *options, int buffer)
{
	static struct overwritten sends[SENDS];
	struct fixture fixture;
	struct pair pair;
	size_t total = 0;

	fixture_begin_with(&fixture, options);
	tcp_pair(&fixture, &pair, buffer);
	for (size_t i = 0; i < SENDS; i++) {
		overwritten_init(&sends[i], &fixture, length_of(i), total);
		total += length_of(i);
	}
	for (size_t i = 0; i < SENDS; i++) {
		overwritten_send(&sends[i], pair.socket);
		if (i % 10 == 9)
			run_idle(&fixture);
	}
	run_reading(&fixture, pair.peer, total, 0);
	run_until(&fixture, fixture.pending == 0);
	for (size_t i = 0; i < SENDS; i++) {
		assert_ended(&sends[i].operation, SLUICE_ERROR_SUCCESS, length_of(i));
		free(sends[i].bytes);
	}
	if (options->transmit_way == SLUICE_TRANSMIT_WAY_ZEROCOPY)
		assert_way(&fixture);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(b11, b11_what_arrives_is_what_stood_there_before_the_record_ended)
{
	struct sluice_options forced =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);
	struct sluice_options always = options_of(SLUICE_TRANSMIT_WAY_AUTO, SLUICE_ZEROCOPY_ALWAYS);
	struct sluice_options normal = options_of(SLUICE_TRANSMIT_WAY_AUTO, SLUICE_ZEROCOPY_AUTO);

	overwrite_everywhere(&forced, 0);
	overwrite_everywhere(&forced, 4 * SMALL);
	overwrite_everywhere(&always, 0);
	overwrite_everywhere(&always, 4 * SMALL);
	overwrite_everywhere(&normal, 0);
	overwrite_everywhere(&normal, 4 * SMALL);
}

Test(b11, b11_lists_and_packets_go_by_zero_copy_too)
{
	struct fixture fixture;
	struct operation list, packets;
	struct iovec segments[3];
	struct sluice_packet elements[2];
	struct pair pair;
	unsigned char *bytes = pattern_new(300000, 0);

	begin_forced(&fixture);
	tcp_pair(&fixture, &pair, 0);
	for (size_t i = 0; i < 3; i++)
		segments[i] = segment(bytes + i * 50000, 50000);
	memset(elements, 0, sizeof elements);
	for (size_t i = 0; i < 2; i++) {
		elements[i].kind = SLUICE_PACKET_MEMORY;
		elements[i].base = bytes + 150000 + i * 75000;
		elements[i].count = 75000;
	}
	operation_init(&list, &fixture);
	operation_init(&packets, &fixture);
	cr_assert_eq(sluice_args_set_buffer_list(&list.args, segments, 3), 0);
	cr_assert_eq(sluice_args_set_packets(&packets.args, elements, 2), 0);
	cr_assert_geq(start(sluice_send_async, pair.socket, &list), 0);
	cr_assert_geq(start(sluice_send_packets_async, pair.socket, &packets), 0);
	run_reading(&fixture, pair.peer, 300000, 0);
	run_until(&fixture, fixture.pending == 0);
	assert_ended(&list, SLUICE_ERROR_SUCCESS, 150000);
	assert_ended(&packets, SLUICE_ERROR_SUCCESS, 150000);
	assert_way(&fixture);
	pair_close(&pair);
	free(bytes);
	fixture_end(&fixture);
}

Test(b11, b11_unix_streams_and_datagrams_are_copied)
{
	struct fixture fixture;
	struct operation operation;
	struct pair pair;
	char got[1000];

	begin_forced(&fixture);
	operation_init(&operation, &fixture);
	unix_pair(&fixture, &pair, SOCK_STREAM);
	run_send(pair.socket, &operation, "stream", 6);
	read_exactly(pair.peer, got, 6);
	pair_close(&pair);
	udp_pair(&fixture, &pair);
	run_send(pair.socket, &operation, "datagram", 8);
	cr_assert_eq(recv(pair.peer, got, sizeof got, 0), 8);
	pair_close(&pair);
	cr_assert_eq(engine_statistics(&fixture).zerocopy_sends, 0);
	fixture_end(&fixture);
}

/* ---- a peer that does not read ---- */

/* A record that was taken whole and whose bytes the peer has not read. */
struct held {
	struct pair pair;
	struct overwritten send;
	size_t length;
};

/* The peer's buffer is small, so that most of what is sent stays at this end. */
static int connect_narrow(int *ret_peer)
{
	int listener = listen_tcp(4096);
	struct sockaddr_in address = loopback(port_of(listener));
	int client = new_tcp(1 << 20);
	struct timeval limit = {.tv_sec = GUARD_NS / SECOND};

	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	*ret_peer = accept(listener, NULL, NULL);
	cr_assert(*ret_peer >= 0);
	cr_assert_eq(setsockopt(*ret_peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	close(listener);
	return client;
}

/* A quarter of what such a connection takes. That depends on limits, page sizes and the kernel. */
static size_t quarter_of_room(void)
{
	int peer, client = connect_narrow(&peer);
	unsigned char bytes[4096] = {0};
	size_t room = 0;
	ssize_t taken;

	while ((taken = send(client, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		room += (size_t)taken;
	close(client);
	close(peer);
	cr_assert_gt(room, 4 * sizeof bytes);
	return room / 4;
}

static void held_begin(struct fixture *fixture, struct held *held)
{
	int client;

	held->length = quarter_of_room();
	client = connect_narrow(&held->pair.peer);
	held->pair.socket = attach(fixture, client);
	overwritten_init(&held->send, fixture, held->length, 0);
	overwritten_send(&held->send, held->pair.socket);
	run_idle(fixture);
	cr_assert_eq(sluice_socket_queued_bytes(held->pair.socket), 0);
	/* Copied, it has ended; else it waits. */
	cr_assert_eq(is_over(&held->send.operation), !has_zerocopy(fixture));
}

static void held_end(struct held *held)
{
	if (held->pair.peer >= 0)
		close(held->pair.peer);
	free(held->send.bytes);
}

Test(b11, b11_a_record_waits_for_a_peer_that_does_not_read)
{
	struct fixture fixture;
	struct held held;

	begin_forced(&fixture);
	held_begin(&fixture, &held);
	run_reading(&fixture, held.pair.peer, held.length, 0);
	run_until(&fixture, fixture.pending == 0);
	assert_ended(&held.send.operation, SLUICE_ERROR_SUCCESS, held.length);
	assert_way(&fixture);
	sluice_socket_destroy(held.pair.socket);
	held_end(&held);
	fixture_end(&fixture);
}

Test(e02, e02_a_record_that_waits_for_its_buffer_is_not_aborted)
{
	struct fixture fixture;
	struct held held;

	begin_forced(&fixture);
	held_begin(&fixture, &held);
	cr_assert_eq(sluice_cancel(held.pair.socket, &held.send.operation.args),
		     is_over(&held.send.operation) ? -ENOENT : 0);
	cr_assert_eq(sluice_socket_cancel_all(held.pair.socket), 0);
	run_idle(&fixture);
	cr_assert_eq(is_over(&held.send.operation), !has_zerocopy(&fixture));
	run_reading(&fixture, held.pair.peer, held.length, 0);
	run_until(&fixture, fixture.pending == 0);
	assert_ended(&held.send.operation, SLUICE_ERROR_SUCCESS, held.length);
	sluice_socket_destroy(held.pair.socket);
	held_end(&held);
	fixture_end(&fixture);
}

/* All bytes up to the end of the stream, the engine running meanwhile. */
static uint64_t read_to_end(struct fixture *fixture, int fd, unsigned char *bytes, size_t room)
{
	int64_t deadline = now_ns() + GUARD_NS;
	uint64_t got = 0;

	for (;;) {
		ssize_t count = recv(fd, bytes + got, room - got, MSG_DONTWAIT);

		if (count == 0)
			return got;
		cr_assert(count > 0 || errno == EAGAIN);
		got += count > 0 ? (uint64_t)count : 0;
		cr_assert(now_ns() < deadline);
		run_for(fixture, MILLISECOND);
	}
}

Test(e02, e02_cancelled_half_sent_by_zero_copy_the_stream_holds_what_it_says)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation behind;
	unsigned char *stream = malloc(HEAD_BYTES);
	uint64_t taken, got;

	begin_forced(&fixture);
	blocked_begin(&fixture, &blocked);
	operation_init(&behind, &fixture);
	cr_assert_eq(start_send(blocked.pair.socket, &behind, blocked.bytes, 1000), 1);
	run_idle(&fixture);
	cr_assert_eq(sluice_cancel(blocked.pair.socket, &blocked.head.args), 0);
	run_idle(&fixture);
	cr_assert_eq(is_over(&blocked.head), !has_zerocopy(&fixture));
	cr_assert_eq(sluice_socket_close_gracefully(blocked.pair.socket, 5 * SECOND), 0);
	got = read_to_end(&fixture, blocked.pair.peer, stream, HEAD_BYTES);
	run_until(&fixture, fixture.pending == 0);
	taken = blocked.head.args.bytes_transferred;
	assert_ended(&blocked.head, SLUICE_ERROR_OPERATION_ABORTED, taken);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 1000);
	cr_assert_gt(taken, 0);
	cr_assert_eq(got, taken + 1000);
	cr_assert(pattern_matches(stream, taken, 0));
	cr_assert(pattern_matches(stream + taken, 1000, 0));
	free(stream);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

Test(e03, e03_close_lets_a_record_that_was_taken_whole_arrive)
{
	struct fixture fixture;
	struct held held;
	int error;

	begin_forced(&fixture);
	held_begin(&fixture, &held);
	cr_assert_eq(sluice_socket_close(held.pair.socket), 0);
	run_idle(&fixture);
	cr_assert_eq(sluice_socket_fd(held.pair.socket), -EBADF);
	cr_assert_eq(run_reading_to_end(&fixture, held.pair.peer, 0, &error), held.length);
	cr_assert_eq(error, 0);
	run_until(&fixture, fixture.pending == 0);
	assert_ended(&held.send.operation, SLUICE_ERROR_SUCCESS, held.length);
	sluice_socket_destroy(held.pair.socket);
	held_end(&held);
	fixture_end(&fixture);
}

Test(e03, e03_close_resets_when_the_buffer_does_not_come_free_in_time)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);
	struct fixture fixture;
	struct held held;
	int error;

	options.zerocopy_linger_ns = 30 * MILLISECOND;
	fixture_begin_with(&fixture, &options);
	held_begin(&fixture, &held);
	sluice_socket_destroy(held.pair.socket);
	run_until(&fixture, fixture.pending == 0);
	assert_ended(&held.send.operation, SLUICE_ERROR_SUCCESS, held.length);
	run_idle(&fixture);
	run_reading_to_end(&fixture, held.pair.peer, 0, &error);
	cr_assert_eq(error, has_zerocopy(&fixture) ? ECONNRESET : 0);
	held_end(&held);
	fixture_end(&fixture);
}

/* If destroy waited as long as a close may, the test would not end. */
Test(e09, e09_destroy_frees_the_buffers_at_once)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);
	struct fixture fixture;
	struct held held;

	options.zerocopy_linger_ns = 3600 * SECOND;
	fixture_begin_with(&fixture, &options);
	held_begin(&fixture, &held);
	cr_assert_eq(sluice_engine_destroy(fixture.engine), 0);
	fixture.engine = NULL;
	assert_ended(&held.send.operation, SLUICE_ERROR_SUCCESS, held.length);
	held_end(&held);
	fixture_end(&fixture);
}

Test(b12, b12_a_reset_frees_the_buffers_and_is_told_once)
{
	struct fixture fixture;
	struct held held;
	struct overwritten sends[3];

	begin_forced(&fixture);
	held_begin(&fixture, &held);
	for (size_t i = 0; i < 3; i++) {
		overwritten_init(&sends[i], &fixture, 4000000, 0);
		overwritten_send(&sends[i], held.pair.socket);
	}
	run_idle(&fixture);
	close_with_reset(held.pair.peer);
	held.pair.peer = -1;
	run_until(&fixture, fixture.pending == 0);
	assert_ended(&held.send.operation, SLUICE_ERROR_SUCCESS, held.length);
	cr_assert_eq(sends[0].operation.args.error, SLUICE_ERROR_CONNECTION_RESET);
	assert_ended(&sends[1].operation, SLUICE_ERROR_SHUTDOWN, 0);
	assert_ended(&sends[2].operation, SLUICE_ERROR_SHUTDOWN, 0);
	for (size_t i = 0; i < 3; i++)
		free(sends[i].bytes);
	sluice_socket_destroy(held.pair.socket);
	held_end(&held);
	fixture_end(&fixture);
}
