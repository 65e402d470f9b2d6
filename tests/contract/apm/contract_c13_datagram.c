/* SPDX-License-Identifier: MIT */
/* c13: Begin and End on datagram sockets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apm.h"

/* The largest that fits a datagram, over IPv4 and over IPv6. */
#define LARGEST_4 65507
#define LARGEST_6 65527

static int receiver(int family)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = loopback(0);
	struct timeval limit = {.tv_sec = GUARD_NS / SECOND};
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0);
	cr_assert_eq(family == AF_INET6 ? bind(fd, (struct sockaddr *)&six, sizeof six)
					: bind(fd, (struct sockaddr *)&four, sizeof four),
		     0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	return fd;
}

static void assert_datagram(int fd, const char *text)
{
	char got[64];
	ssize_t length = recv(fd, got, sizeof got, 0);

	cr_assert_eq(length, (ssize_t)strlen(text));
	cr_assert_arr_eq(got, text, (size_t)length);
}

static int begin_connect(struct call *call, int peer)
{
	struct sockaddr_in address = loopback(port_of(peer));

	/* The address is the library's own copy from here on. */
	return sluice_begin_connect(call->socket, (struct sockaddr *)&address, sizeof address, NULL,
				    NULL, &call->result);
}

static int begin_send_to(struct call *call, const char *text, int peer)
{
	struct sockaddr_in address = loopback(port_of(peer));
	size_t length = strlen(text);

	return sluice_begin_send_to(call->socket, text, length, 0, (int64_t)length, 0,
				    (struct sockaddr *)&address, sizeof address, NULL, NULL,
				    &call->result);
}

static void send_text(struct call *call, const char *text)
{
	cr_assert_eq(sluice_begin_send(call->socket, text, strlen(text), 0, (int64_t)strlen(text),
				       0, NULL, NULL, NULL, &call->result),
		     0);
	cr_assert_eq(sluice_end_send(call->socket, call->result, NULL), (int64_t)strlen(text));
}

ENGINE_TEST(c13, c13_the_default_remote_and_any_other)
{
	struct call call;
	int one, other;

	one = receiver(AF_INET);
	other = receiver(AF_INET);
	call_init(&call, fixture, attach(fixture, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
	/* To anybody, unconnected. */
	cr_assert_eq(begin_send_to(&call, "first", one), 0);
	cr_assert_eq(sluice_end_send_to(call.socket, call.result), 5);
	assert_datagram(one, "first");
	cr_assert_eq(begin_send(&call, "x", 1), -EDESTADDRREQ);
	/* The default remote, which begin_send_to leaves alone. */
	cr_assert_eq(begin_connect(&call, one), 0);
	cr_assert_eq(sluice_end_connect(call.socket, call.result), 0);
	send_text(&call, "default");
	assert_datagram(one, "default");
	cr_assert_eq(begin_send_to(&call, "other", other), 0);
	cr_assert_eq(sluice_end_send_to(call.socket, call.result), 5);
	assert_datagram(other, "other");
	send_text(&call, "default again");
	assert_datagram(one, "default again");
	/* Another connect changes it. */
	cr_assert_eq(begin_connect(&call, other), 0);
	cr_assert_eq(sluice_end_connect(call.socket, call.result), 0);
	send_text(&call, "changed");
	assert_datagram(other, "changed");
	sluice_socket_destroy(call.socket);
	close(one);
	close(other);
}

/* Each with its sender's address; one that is larger than the buffer is reported as such. */
ENGINE_TEST(c13, c13_begin_receive_from_tells_who_sent)
{
	struct sockaddr_in to, from;
	socklen_t length = sizeof from;
	struct call call;
	int sender, fd;
	char got[8];

	sender = receiver(AF_INET);
	fd = receiver(AF_INET);
	to = loopback(port_of(fd));
	call_init(&call, fixture, attach(fixture, fd));
#define BEGIN_RECEIVE_FROM(size)                                                              \
	sluice_begin_receive_from(call.socket, got, sizeof got, 0, size, 0, call_back, &call, \
				  &call.result)
	cr_assert_eq(BEGIN_RECEIVE_FROM(9), -ERANGE);
	cr_assert_null(call.result);
	cr_assert_eq(BEGIN_RECEIVE_FROM(8), 0);
	cr_assert_eq(sendto(sender, "who", 3, 0, (struct sockaddr *)&to, sizeof to), 3);
	run_until(fixture, was_called(&call));
	cr_assert_eq(sluice_end_receive(call.socket, call.result, NULL), -EINVAL);
	cr_assert_eq(sluice_end_receive_from(call.socket, call.result, (struct sockaddr *)&from,
					     &length),
		     3);
	cr_assert_eq(length, sizeof from);
	cr_assert_eq(ntohs(from.sin_port), port_of(sender));
	cr_assert_eq(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	cr_assert_arr_eq(got, "who", 3);
	/* Without asking for the address, and of a datagram that does not fit. */
	cr_assert_eq(BEGIN_RECEIVE_FROM(4), 0);
	cr_assert_eq(sendto(sender, "too much", 8, 0, (struct sockaddr *)&to, sizeof to), 8);
	run_until(fixture, sluice_async_result_is_completed(call.result));
	cr_assert_eq(sluice_async_result_bytes(call.result), 4);
	cr_assert_eq(sluice_end_receive_from(call.socket, call.result, NULL, NULL), -EMSGSIZE);
	run_until(fixture, atomic_load(&call.called) == 2);
	sluice_socket_destroy(call.socket);
	close(sender);
}

/* Once pending, and once with the datagram there before Begin. */
ENGINE_TEST(c13, c13_a_datagram_that_does_not_fit_is_message_size_in_end)
{
	enum sluice_socket_error error;
	struct sockaddr_in to;
	struct call call;
	int sender, fd;
	char got[8];

	sender = receiver(AF_INET);
	fd = receiver(AF_INET);
	to = loopback(port_of(fd));
	call_init(&call, fixture, attach(fixture, fd));
	for (int way = 0; way < 4; way++) {
		bool pending = way & 1, from = way & 2;

		if (!pending)
			cr_assert_eq(sendto(sender, "too much", 8, 0, (struct sockaddr *)&to,
					    sizeof to),
				     8);
		cr_assert_eq(from ? sluice_begin_receive_from(call.socket, got, sizeof got, 0, 4, 0,
							      NULL, NULL, &call.result)
				  : sluice_begin_receive(call.socket, got, sizeof got, 0, 4, 0,
							 &error, NULL, NULL, &call.result),
			     0);
		if (pending) {
			run_idle(fixture);
			cr_assert_eq(sendto(sender, "too much", 8, 0, (struct sockaddr *)&to,
					    sizeof to),
				     8);
		}
		run_until(fixture, sluice_async_result_is_completed(call.result));
		cr_assert_eq(sluice_async_result_bytes(call.result), 4);
		cr_assert_arr_eq(got, "too ", 4);
		if (from) {
			cr_assert_eq(sluice_end_receive_from(call.socket, call.result, NULL, NULL),
				     -EMSGSIZE);
			continue;
		}
		cr_assert_eq(sluice_end_receive(call.socket, call.result, &error), -EMSGSIZE);
		cr_assert_eq(error, SLUICE_ERROR_MESSAGE_SIZE);
	}
	sluice_socket_destroy(call.socket);
	close(sender);
}

ENGINE_TEST(c13, c13_another_family_is_told)
{
	struct sockaddr_in6 six = {
		.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct call call;

	call_init(&call, fixture, attach(fixture, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
	cr_assert_eq(sluice_begin_send_to(call.socket, "x", 1, 0, 1, 0, (struct sockaddr *)&six,
					  sizeof six, NULL, NULL, &call.result),
		     -EAFNOSUPPORT);
	cr_assert_null(call.result);
	cr_assert_eq(sluice_socket_error_from_errno(-EAFNOSUPPORT),
		     SLUICE_ERROR_ADDRESS_FAMILY_NOT_SUPPORTED);
	sluice_socket_destroy(call.socket);
}

ENGINE_TEST(c13, c13_send_to_checks_its_arguments)
{
	struct sockaddr_in four = loopback(9);
	struct sockaddr *to = (struct sockaddr *)&four;
	struct call call;
	struct sluice_async_result **ret = &call.result;

	call_init(&call, fixture, attach(fixture, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
#define BEGIN(buffer, offset, size, flags, remote, length)                                      \
	sluice_begin_send_to(call.socket, buffer, 4, offset, size, flags, remote, length, NULL, \
			     NULL, ret)
	cr_assert_eq(BEGIN(NULL, 0, 0, 0, to, sizeof four), -EINVAL);
	cr_assert_eq(BEGIN("data", 0, 4, 0, NULL, sizeof four), -EINVAL);
	cr_assert_eq(BEGIN("data", 0, 4, 0, to, 1), -EINVAL);
	cr_assert_eq(BEGIN("data", 0, 4, 0, to, 4096), -EINVAL);
	cr_assert_eq(BEGIN("data", -1, 4, 0, to, sizeof four), -ERANGE);
	cr_assert_eq(BEGIN("data", 1, 4, 0, to, sizeof four), -ERANGE);
	cr_assert_eq(BEGIN("data", 0, 4, SLUICE_FLAG_PARTIAL, to, sizeof four), -EOPNOTSUPP);
	cr_assert_null(call.result);
	cr_assert_eq(sluice_socket_close(call.socket), 0);
	cr_assert_eq(BEGIN("data", 0, 4, 0, to, sizeof four), -EBADF);
	sluice_socket_destroy(call.socket);
}

/* On a connected stream the address is ignored; its End is its own. */
CALL_TEST(c13, c13_on_a_connected_stream_the_address_is_ignored, 0)
{
	int nobody;
	char got[4];

	nobody = receiver(AF_INET);
	cr_assert_eq(begin_send_to(call, "here", nobody), 0);
	cr_assert_eq(sluice_end_send(pair->socket, call->result, NULL), -EINVAL);
	cr_assert_eq(sluice_end_send_to(pair->socket, call->result), 4);
	cr_assert_eq(sluice_end_send_to(pair->socket, call->result), -EALREADY);
	read_exactly(pair->peer, got, 4);
	cr_assert_arr_eq(got, "here", 4);
	assert_nothing_to_read(nobody);
	close(nobody);
}

/*
 * An error known at once is reported by Begin, otherwise by End; in neither case is anything sent.
 */
static void assert_limit(int family, size_t largest)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	struct fixture fixture;
	struct call call;
	enum sluice_socket_error error;
	int peer, fd;
	char *memory = calloc(1, largest + 1), *got = malloc(largest + 1);

	fixture_begin(&fixture);
	peer = receiver(family);
	cr_assert_eq(getsockname(peer, (struct sockaddr *)&address, &length), 0);
	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, length), 0);
	call_init(&call, &fixture, attach(&fixture, fd));
	cr_assert_eq(sluice_begin_send(call.socket, memory, largest + 1, 0, (int64_t)largest + 1, 0,
				       &error, NULL, NULL, &call.result),
		     -EMSGSIZE);
	cr_assert_eq(error, SLUICE_ERROR_MESSAGE_SIZE);
	cr_assert_eq(sluice_begin_send(call.socket, memory, largest + 1, 0, (int64_t)largest + 1,
				       SLUICE_FLAG_BATCHED, &error, NULL, NULL, &call.result),
		     0);
	cr_assert_eq(error, SLUICE_ERROR_SUCCESS);
	run_until(&fixture, sluice_async_result_is_completed(call.result));
	cr_assert_eq(sluice_end_send(call.socket, call.result, &error), -EMSGSIZE);
	cr_assert_eq(error, SLUICE_ERROR_MESSAGE_SIZE);
	assert_nothing_to_read(peer);
	cr_assert_eq(begin_send(&call, memory, largest), 0);
	run_until(&fixture, was_called(&call));
	cr_assert_eq(sluice_end_send(call.socket, call.result, NULL), (int64_t)largest);
	cr_assert_eq(recv(peer, got, largest + 1, 0), (ssize_t)largest);
	sluice_socket_destroy(call.socket);
	close(peer);
	fixture_end(&fixture);
	free(memory);
	free(got);
}

Test(c13, c13_a_datagram_over_the_limit_is_message_size)
{
	assert_limit(AF_INET, LARGEST_4);
}

Test(c13, c13_a_datagram_over_the_limit_is_message_size_over_ipv6)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int bound = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&six, sizeof six);

	if (fd >= 0)
		close(fd);
	if (bound != 0)
		cr_skip("this machine has no IPv6");
	assert_limit(AF_INET6, LARGEST_6);
}

static int64_t end_of_begun(struct call *call)
{
	return sluice_end_send(call->socket, call->result, NULL);
}

/* A full socket: End blocks until the datagram has left. */
ENGINE_TEST(c13, c13_end_blocks_until_the_datagram_is_sent)
{
	struct pair pair;
	struct call call;
	struct other_thread other;
	char byte;
	int sent = 0;

	unix_pair(fixture, &pair, SOCK_DGRAM);
	call_init(&call, fixture, pair.socket);
	for (;; sent++) {
		cr_assert_eq(sluice_begin_send(pair.socket, "x", 1, 0, 1, 0, NULL, NULL, NULL,
					       &call.result),
			     0);
		if (!sluice_async_result_is_completed(call.result))
			break;
		cr_assert_eq(end_of_begun(&call), 1);
	}
	other_thread_start(&other, &call, end_of_begun);
	other_thread_await_sleep(&other);
	for (int i = 0; i < sent; i++)
		cr_assert_eq(recv(pair.peer, &byte, 1, 0), 1);
	cr_assert_eq(other_thread_join(&other), 1);
	cr_assert_eq(recv(pair.peer, &byte, 1, 0), 1);
	pair_close(&pair);
}

ENGINE_TEST(c13, c13_a_dead_port_is_told_to_the_send_that_learns_of_it)
{
	struct pair pair;
	struct call call;
	enum sluice_socket_error error;

	udp_pair(fixture, &pair);
	close(pair.peer);
	pair.peer = -1;
	call_init(&call, fixture, pair.socket);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(sluice_begin_send(pair.socket, "x", 1, 0, 1, 0, &error, NULL, NULL,
					       &call.result),
			     0);
		cr_assert_eq(sluice_end_send(pair.socket, call.result, NULL), 1);
		cr_assert_eq(sluice_begin_send(pair.socket, "x", 1, 0, 1, 0, &error, NULL, NULL,
					       &call.result),
			     -ECONNREFUSED);
		cr_assert_eq(error, SLUICE_ERROR_CONNECTION_REFUSED);
		cr_assert_null(call.result);
	}
	pair_close(&pair);
}
