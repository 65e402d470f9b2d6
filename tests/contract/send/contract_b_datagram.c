/* SPDX-License-Identifier: MIT */
/* Datagrams: each succeeds or fails on its own. */
#include "support.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Receives one datagram and asserts that it is the pattern from position on. */
static void receive_datagram(int fd, size_t length, uint64_t position)
{
	static unsigned char buffer[65536];
	ssize_t count = recv(fd, buffer, sizeof buffer, 0);

	cr_assert_eq(count, (ssize_t)length, "a datagram of %zd bytes, not %zu", count, length);
	cr_assert(pattern_matches(buffer, length, position));
}

static void send_datagram(struct fixture *fixture, struct pair *pair, const void *base,
			  size_t length, int32_t error)
{
	struct operation operation;

	operation_init(&operation, fixture);
	run_send(pair->socket, &operation, base, length);
	assert_ended(&operation, error, error ? 0 : length);
}

/* ---- b08, b12 ---- */

PAIR_TEST(b08, b08_a_datagram_too_large_ends_alone, udp_pair)
{
	unsigned char *bytes = pattern_new(70000, 0);

	send_datagram(fixture, pair, bytes, 10, SLUICE_ERROR_SUCCESS);
	send_datagram(fixture, pair, bytes, 65508, SLUICE_ERROR_MESSAGE_SIZE);
	send_datagram(fixture, pair, bytes, 70000, SLUICE_ERROR_MESSAGE_SIZE);
	send_datagram(fixture, pair, bytes, 65507, SLUICE_ERROR_SUCCESS);
	receive_datagram(pair->peer, 10, 0);
	receive_datagram(pair->peer, 65507, 0);
	assert_nothing_to_read(pair->peer);

	free(bytes);
}

PAIR_TEST(b08, b08_in_a_batch_too_each_datagram_stands_for_itself, udp_pair)
{
	enum {
		SENDS = 40
	};
	struct operation *operations;
	unsigned char *bytes = pattern_new(70000, 0);

	operations = operations_new(fixture, SENDS);

	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < SENDS; i++)
		cr_assert_eq(
			start_send(pair->socket, &operations[i], bytes, i % 8 == 3 ? 70000 : i), 1);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < SENDS; i++) {
		if (i % 8 == 3) {
			assert_ended(&operations[i], SLUICE_ERROR_MESSAGE_SIZE, 0);
			continue;
		}
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, i);
		receive_datagram(pair->peer, i, 0);
	}
	assert_nothing_to_read(pair->peer);

	free(operations);
	free(bytes);
}

/* Waits until the kernel knows that the port is closed. */
static void wait_for_refusal(struct pair *pair)
{
	struct pollfd poll_fd = {.fd = sluice_socket_fd(pair->socket)};

	cr_assert_eq(poll(&poll_fd, 1, (int)(GUARD_NS / MILLISECOND)), 1);
	cr_assert(poll_fd.revents & POLLERR);
}

PAIR_TEST(b12, b12_a_dead_port_refuses_the_send_that_learns_of_it_and_the_next_is_tried, udp_pair)
{
	close(pair->peer);
	pair->peer = -1;

	for (int round = 0; round < 3; round++) {
		send_datagram(fixture, pair, "x", 1, SLUICE_ERROR_SUCCESS);
		wait_for_refusal(pair);
		send_datagram(fixture, pair, "x", 1, SLUICE_ERROR_CONNECTION_REFUSED);
	}
}

PAIR_TEST(b12, b12_the_refused_datagram_was_not_sent_and_the_next_arrives, udp_pair)
{
	struct sockaddr_in address, local;

	address = loopback(port_of(pair->peer));
	local = loopback(port_of(sluice_socket_fd(pair->socket)));
	close(pair->peer);
	send_datagram(fixture, pair, "\0", 1, SLUICE_ERROR_SUCCESS);
	wait_for_refusal(pair);

	/* The port is open again, but the kernel still has to report the refusal. */
	pair->peer = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(pair->peer, (struct sockaddr *)&address, sizeof address), 0);
	cr_assert_eq(connect(pair->peer, (struct sockaddr *)&local, sizeof local), 0);
	send_datagram(fixture, pair, "\1", 1, SLUICE_ERROR_CONNECTION_REFUSED);
	send_datagram(fixture, pair, "\2", 1, SLUICE_ERROR_SUCCESS);
	receive_datagram(pair->peer, 1, 2);
	assert_nothing_to_read(pair->peer);
}

PAIR_TEST(b08, b08_of_a_group_only_the_first_takes_the_refusal_and_the_others_are_tried, udp_pair)
{
	enum {
		SENDS = 16
	};
	struct sockaddr_in address, local;
	struct operation *operations;
	unsigned char bytes[SENDS];

	operations = operations_new(fixture, SENDS);
	pattern_fill(bytes, sizeof bytes, 0);
	address = loopback(port_of(pair->peer));
	local = loopback(port_of(sluice_socket_fd(pair->socket)));
	close(pair->peer);
	send_datagram(fixture, pair, "x", 1, SLUICE_ERROR_SUCCESS);
	wait_for_refusal(pair);
	pair->peer = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(pair->peer, (struct sockaddr *)&address, sizeof address), 0);
	cr_assert_eq(connect(pair->peer, (struct sockaddr *)&local, sizeof local), 0);

	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < SENDS; i++)
		cr_assert_eq(start_send(pair->socket, &operations[i], bytes + i, 1), 1);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&operations[0], SLUICE_ERROR_CONNECTION_REFUSED, 0);
	for (size_t i = 1; i < SENDS; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 1);
		receive_datagram(pair->peer, 1, i);
	}
	assert_nothing_to_read(pair->peer);

	free(operations);
}

/* ---- b10 ---- */

ENGINE_TEST(b10, b10_an_empty_datagram_arrives)
{
	struct pair pairs[2];
	struct operation operation;
	const struct iovec empty[] = {segment("x", 0), segment(NULL, 0)};

	udp_pair(fixture, &pairs[0]);
	unix_pair(fixture, &pairs[1], SOCK_DGRAM);
	for (int i = 0; i < 2; i++) {
		send_datagram(fixture, &pairs[i], "x", 0, SLUICE_ERROR_SUCCESS);
		receive_datagram(pairs[i].peer, 0, 0);

		operation_init(&operation, fixture);
		cr_assert_eq(sluice_args_set_buffer_list(&operation.args, empty, 2), 0);
		run_start(sluice_send_async, pairs[i].socket, &operation);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
		receive_datagram(pairs[i].peer, 0, 0);
		assert_nothing_to_read(pairs[i].peer);
		pair_close(&pairs[i]);
	}
}

/* ---- send_to, and .NET's cases ---- */

static int start_send_to(struct sluice_socket *socket, struct operation *operation,
			 const struct sockaddr_in *address, const void *base, size_t length)
{
	operation->args.remote_address = (const struct sockaddr *)address;
	operation->args.remote_address_length = sizeof *address;
	cr_assert_eq(sluice_args_set_buffer(&operation->args, base, length, 0, (int64_t)length), 0);
	return start(sluice_send_to_async, socket, operation);
}

static void run_send_to(struct sluice_socket *socket, struct operation *operation,
			const struct sockaddr_in *address, const void *base, size_t length)
{
	int answer = start_send_to(socket, operation, address, base, length);

	cr_assert_geq(answer, 0);
	run_until(operation->fixture, is_over(operation));
}

static int bound_udp(void)
{
	struct sockaddr_in address = loopback(0);
	struct timeval limit = {.tv_sec = GUARD_NS / SECOND};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	return fd;
}

ENGINE_TEST(e01, e01_send_to_two_receivers_binds_the_sender)
{
	struct sluice_socket *sender;
	struct sockaddr_in addresses[2], from;
	socklen_t length = sizeof from;
	struct operation *operations;
	char byte;
	int peers[2];

	sender = attach(fixture, socket(AF_INET, SOCK_DGRAM, 0));
	operations = operations_new(fixture, 10);
	cr_assert_eq(port_of(sluice_socket_fd(sender)), 0);
	for (int i = 0; i < 2; i++) {
		peers[i] = bound_udp();
		addresses[i] = loopback(port_of(peers[i]));
	}

	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(start_send_to(sender, &operations[i], &addresses[i % 2], "\0\1\2\3\4",
					   (size_t)i / 2),
			     1);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
	for (int i = 0; i < 10; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, i / 2);
		receive_datagram(peers[i % 2], (size_t)i / 2, 0);
	}
	cr_assert_neq(port_of(sluice_socket_fd(sender)), 0);
	start_send_to(sender, &operations[0], &addresses[0], "x", 1);
	run_until(fixture, fixture->pending == 0);
	cr_assert_eq(recvfrom(peers[0], &byte, 1, 0, (struct sockaddr *)&from, &length), 1);
	cr_assert_eq(ntohs(from.sin_port), port_of(sluice_socket_fd(sender)));

	close(peers[0]);
	close(peers[1]);
	sluice_socket_destroy(sender);
	free(operations);
}

ENGINE_TEST(e01, e01_256_datagrams_of_256_bytes)
{
	struct sluice_socket *sender;
	struct sockaddr_in address;
	struct operation operation;
	unsigned char *bytes = pattern_new(512, 0);
	int peer;

	sender = attach(fixture, socket(AF_INET, SOCK_DGRAM, 0));
	operation_init(&operation, fixture);
	peer = bound_udp();
	address = loopback(port_of(peer));

	for (size_t i = 0; i < 256; i++) {
		run_send_to(sender, &operation, &address, bytes + i, 256);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 256);
		receive_datagram(peer, 256, i);
	}

	close(peer);
	sluice_socket_destroy(sender);
	free(bytes);
}

ENGINE_TEST(e01, e01_send_to_a_broadcast_address_without_the_option_is_access_denied)
{
	struct sluice_socket *sender;
	struct sockaddr_in address = loopback(9);
	struct operation operation;

	sender = attach(fixture, socket(AF_INET, SOCK_DGRAM, 0));
	operation_init(&operation, fixture);

	address.sin_addr.s_addr = htonl(0x7fffffff); /* 127.255.255.255 */
	run_send_to(sender, &operation, &address, "x", 1);
	assert_ended(&operation, SLUICE_ERROR_ACCESS_DENIED, 0);
	cr_assert_eq(operation.args.native_error, EACCES);

	sluice_socket_destroy(sender);
}

PAIR_TEST(e01, e01_send_to_on_a_connected_datagram_socket_reaches_any_remote, udp_pair)
{
	struct operation operation;
	struct sockaddr_in address;
	int other;

	operation_init(&operation, fixture);
	other = bound_udp();
	address = loopback(port_of(other));

	run_send_to(pair->socket, &operation, &address, "\0\1", 2);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 2);
	receive_datagram(other, 2, 0);
	send_datagram(fixture, pair, "\0\1\2", 3, SLUICE_ERROR_SUCCESS);
	receive_datagram(pair->peer, 3, 0);
	assert_nothing_to_read(other);

	close(other);
}

PAIR_TEST(e01, e01_send_to_on_a_connected_stream_ignores_the_address, tcp_pair, 0)
{
	struct operation operation;
	struct sockaddr_in nobody = loopback(1);

	operation_init(&operation, fixture);

	run_send_to(pair->socket, &operation, &nobody, "\0\1", 2);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 2);
	read_pattern(pair->peer, 2, 0);
}

ENGINE_TEST(e01, e01_send_to_an_address_of_another_family)
{
	struct sluice_socket *sender;
	struct operation operation;
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(9)};

	sender = attach(fixture, socket(AF_INET, SOCK_DGRAM, 0));
	operation_init(&operation, fixture);

	operation.args.remote_address = (const struct sockaddr *)&address;
	operation.args.remote_address_length = sizeof address;
	cr_assert_eq(sluice_args_set_buffer(&operation.args, "x", 1, 0, 1), 0);
	run_start(sluice_send_to_async, sender, &operation);
	assert_ended(&operation, SLUICE_ERROR_ADDRESS_FAMILY_NOT_SUPPORTED, 0);

	sluice_socket_destroy(sender);
}
