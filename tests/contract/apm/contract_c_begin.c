/* SPDX-License-Identifier: MIT */
/* c01-c04, c14: what Begin refuses, and what it reports. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "apm.h"

static char bytes[8] = "01234567";

/* A Begin that is refused: no result, the error told, no callback. */
#define assert_refused(begin, answer)                                                           \
	do {                                                                                    \
		error = SLUICE_ERROR_IO_PENDING;                                                \
		call->result = (struct sluice_async_result *)bytes;                             \
		cr_assert_eq(begin, answer);                                                    \
		cr_assert_null(call->result);                                                   \
		cr_assert_eq(error,                                                             \
			     (enum sluice_socket_error)sluice_socket_error_from_errno(answer)); \
	} while (0)

#define BEGIN_SEND(socket, buffer, offset, size, flags)                                    \
	sluice_begin_send(socket, buffer, 8, offset, size, flags, &error, call_back, call, \
			  &call->result)

/* No callback came of what was refused; an empty send is one that was not. */
static void assert_not_called(struct fixture *fixture, const struct call *call)
{
	run_idle(fixture);
	cr_assert_eq(atomic_load(&call->called), 0);
}

CALL_TEST(c01, c01_buffer_offset_and_size_are_checked, 0)
{
	static const struct {
		int64_t offset, size;
	} wrong[] = {
		{-1, 0}, {9, 0},         {INT64_MAX, 1},         {0, -1}, {0, 9}, {4, 5},
		{8, 1},  {1, INT64_MAX}, {INT64_MIN, INT64_MIN},
	};
	enum sluice_socket_error error;

	assert_refused(BEGIN_SEND(pair->socket, NULL, 0, 0, 0), -EINVAL);
	assert_refused(BEGIN_SEND(NULL, bytes, 0, 8, 0), -EINVAL);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_refused(BEGIN_SEND(pair->socket, bytes, wrong[i].offset, wrong[i].size, 0),
			       -ERANGE);
	cr_assert_eq(sluice_begin_send(pair->socket, bytes, 8, 0, 8, 0, &error, NULL, NULL, NULL),
		     -EINVAL);
	cr_assert_eq(error, SLUICE_ERROR_INVALID_ARGUMENT);
	assert_not_called(fixture, call);
	assert_nothing_to_read(pair->peer);

	cr_assert_eq(BEGIN_SEND(pair->socket, bytes, 8, 0, 0), 0);
	cr_assert_eq(sluice_end_send(pair->socket, call->result, NULL), 0);
	cr_assert_eq(BEGIN_SEND(pair->socket, bytes, 3, 2, 0), 0);
	cr_assert_eq(sluice_end_send(pair->socket, call->result, NULL), 2);
	read_exactly(pair->peer, bytes, 2);
	cr_assert_arr_eq(bytes, "34", 2);
}

CALL_TEST(c02, c02_what_is_unconnected_closed_or_flagged_wrongly_is_refused, 0)
{
	static const uint32_t flags[] = {0x8,
					 0x10,
					 0x40,
					 0x400,
					 0x100000,
					 UINT32_MAX,
					 SLUICE_FLAG_PEEK,
					 SLUICE_FLAG_OUT_OF_BAND | SLUICE_FLAG_DONT_ROUTE};
	enum sluice_socket_error error;
	struct sluice_socket *unconnected, *listener, *datagram;

	unconnected = attach(fixture, new_tcp(0));
	listener = attach(fixture, listen_tcp(0));
	datagram = attach(fixture, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	assert_refused(BEGIN_SEND(unconnected, bytes, 0, 8, 0), -ENOTCONN);
	assert_refused(BEGIN_SEND(listener, bytes, 0, 8, 0), -ENOTCONN);
	assert_refused(BEGIN_SEND(datagram, bytes, 0, 8, 0), -EDESTADDRREQ);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		assert_refused(BEGIN_SEND(pair->socket, bytes, 0, 8, flags[i]), -EOPNOTSUPP);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	assert_refused(BEGIN_SEND(pair->socket, bytes, 0, 8, 0), -EBADF);
	/* Closed comes before arguments, NULL before closed. */
	assert_refused(BEGIN_SEND(pair->socket, bytes, -1, 8, 0), -EBADF);
	assert_refused(BEGIN_SEND(pair->socket, NULL, 0, 8, 0), -EINVAL);
	assert_not_called(fixture, call);
	assert_end_of_stream(pair->peer);
	sluice_socket_destroy(unconnected);
	sluice_socket_destroy(listener);
	sluice_socket_destroy(datagram);
}

/* .NET hands out a result that has failed already; the seeds have BeginSend itself throw. */
ENGINE_TEST(c02, c02_what_the_network_refuses_at_once_begin_returns)
{
	struct pair pair;
	struct call refused, *call = &refused;
	enum sluice_socket_error error;

	tcp_pair(fixture, &pair, 0);
	call_init(call, fixture, pair.socket);
	cr_assert_eq(sluice_socket_shutdown(pair.socket, SHUT_WR), 0);
	assert_refused(BEGIN_SEND(pair.socket, bytes, 0, 8, 0), -EPIPE);
	pair_close(&pair);

	tcp_pair(fixture, &pair, 0);
	close_with_reset(pair.peer);
	pair.peer = -1;
	usleep(20000);
	assert_refused(BEGIN_SEND(pair.socket, bytes, 0, 8, 0), -ECONNRESET);
	assert_refused(BEGIN_SEND(pair.socket, bytes, 0, 8, 0), -EPIPE);
	assert_not_called(fixture, call);
	pair_close(&pair);
}

BLOCKED_TEST(c03, c03_pending_tells_success_and_the_failure_is_ends, blocked_begin)
{
	struct call begun, *call = &begun;
	enum sluice_socket_error error = SLUICE_ERROR_IO_PENDING;

	call_init(call, fixture, blocked->pair.socket);
	call->within = ends_send;
	cr_assert_eq(BEGIN_SEND(blocked->pair.socket, bytes, 0, 8, 0), 0);
	cr_assert_eq(error, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(sluice_async_result_is_completed(call->result), 0);
	close_with_reset(blocked->pair.peer);
	blocked->pair.peer = -1;
	run_until(fixture, was_called(call));
	cr_assert_eq(call->answer, -EPIPE);
	cr_assert_eq(call->error, SLUICE_ERROR_SHUTDOWN);
	cr_assert_eq(blocked->head.args.error, SLUICE_ERROR_CONNECTION_RESET);
}

CALL_TEST(c03, c03_the_error_may_be_left_out, 0)
{
	cr_assert_eq(begin_send(call, bytes, 8), 0);
	cr_assert_eq(sluice_end_send(pair->socket, call->result, NULL), 8);
	cr_assert_eq(sluice_begin_send(pair->socket, bytes, 8, 0, 9, 0, NULL, NULL, NULL,
				       &call->result),
		     -ERANGE);
	cr_assert_null(call->result);
}

CALL_TEST(c04, c04_lists_are_sent_as_one_and_checked, 0)
{
	struct iovec segments[] = {segment("ab", 2), segment("", 0), segment("cde", 3),
				   segment(NULL, 0), segment("f", 1)};
	struct iovec wrong[] = {segment("ab", 2), segment(NULL, 1)};
	char got[6];
	enum sluice_socket_error error;

#define BEGIN_LIST(list, count) \
	sluice_begin_send_list(pair->socket, list, count, 0, &error, call_back, call, &call->result)
	assert_refused(BEGIN_LIST(NULL, 0), -EINVAL);
	assert_refused(BEGIN_LIST(NULL, 3), -EINVAL);
	assert_refused(BEGIN_LIST(segments, 0), -EINVAL);
	assert_refused(BEGIN_LIST(wrong, 2), -EINVAL);
	assert_not_called(fixture, call);
	cr_assert_eq(BEGIN_LIST(segments, 5), 0);
	cr_assert_eq(error, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(sluice_end_send(pair->socket, call->result, &error), 6);
	cr_assert_eq(error, SLUICE_ERROR_SUCCESS);
	read_exactly(pair->peer, got, 6);
	cr_assert_arr_eq(got, "abcdef", 6);
	cr_assert_eq(BEGIN_LIST(segments + 1, 1), 0);
	cr_assert_eq(sluice_end_send(pair->socket, call->result, NULL), 0);
}

/* A short list is copied: the array may go while the send is pending. */
BLOCKED_TEST(c04, c04_a_short_list_is_the_callers_again_at_once, blocked_begin)
{
	struct call call;
	struct iovec segments[SLUICE_INLINE_SEGMENTS];

	call_init(&call, fixture, blocked->pair.socket);
	call.within = ends_send;
	for (int i = 0; i < SLUICE_INLINE_SEGMENTS; i++)
		segments[i] = segment(blocked->bytes, 100);
	cr_assert_eq(sluice_begin_send_list(call.socket, segments, SLUICE_INLINE_SEGMENTS, 0, NULL,
					    call_back, &call, &call.result),
		     0);
	memset(segments, 0xee, sizeof segments);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	for (int i = 0; i < SLUICE_INLINE_SEGMENTS; i++)
		run_reading(fixture, blocked->pair.peer, 100, 0);
	run_until(fixture, was_called(&call) && is_over(&blocked->head));
	cr_assert_eq(call.answer, 100 * SLUICE_INLINE_SEGMENTS);
}

CALL_TEST(c14, c14_dont_route_sends, 0)
{
	cr_assert_eq(sluice_begin_send(pair->socket, "near", 4, 0, 4, SLUICE_FLAG_DONT_ROUTE, NULL,
				       NULL, NULL, &call->result),
		     0);
	cr_assert_eq(sluice_end_send(pair->socket, call->result, NULL), 4);
	read_exactly(pair->peer, bytes, 4);
	cr_assert_arr_eq(bytes, "near", 4);
}

/* Whether this host reaches the rest of the world by way of a router. */
static bool has_router(void)
{
	FILE *routes = fopen("/proc/net/route", "re");
	unsigned int destination, gateway, flags;
	char line[256];
	bool found = false;

	while (routes && fgets(line, sizeof line, routes))
		if (sscanf(line, "%*s %x %x %x", &destination, &gateway, &flags) == 3)
			found |= destination == 0 && gateway != 0;
	if (routes)
		fclose(routes);
	return found;
}

ENGINE_TEST(c14, c14_dont_route_is_not_routed)
{
	struct sockaddr_in far = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sluice_socket *datagram;
	struct call call;

	if (!has_router())
		cr_skip("this host has no route by way of a router");
	far.sin_addr.s_addr = htonl(0xcb007109); /* 203.0.113.9, reserved for documentation */
	datagram = attach(fixture, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	call_init(&call, fixture, datagram);
	cr_assert_eq(sluice_begin_send_to(datagram, "x", 1, 0, 1, SLUICE_FLAG_DONT_ROUTE,
					  (struct sockaddr *)&far, sizeof far, NULL, NULL,
					  &call.result),
		     -ENETUNREACH);
	cr_assert_null(call.result);
	sluice_socket_destroy(datagram);
}
