/* SPDX-License-Identifier: MIT */
/* What the kernel is asked to do with one socket: how fast it sends, how much it holds unsent. */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "support.h"

#define RATE SLUICE_SOCKET_RATE_BYTES_PER_SECOND
#define UNSENT_LOW SLUICE_SOCKET_UNSENT_LOW_BYTES

static uint64_t rate_of(struct sluice_socket *socket)
{
	uint64_t rate = 0;
	socklen_t length = sizeof rate;

	cr_assert_eq(getsockopt(sluice_socket_fd(socket), SOL_SOCKET, SO_MAX_PACING_RATE, &rate,
				&length),
		     0);
	return rate;
}

static uint32_t unsent_low_of(struct sluice_socket *socket)
{
	uint32_t bytes = 0;
	socklen_t length = sizeof bytes;

	cr_assert_eq(getsockopt(sluice_socket_fd(socket), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes,
				&length),
		     0);
	return bytes;
}

PAIR_TEST(b18, b18_the_kernel_has_the_rate_and_every_byte_arrives, tcp_pair, 0)
{
	const size_t length = 3 << 20;
	void *bytes = pattern_new(length, 0);
	struct operation send;

	cr_assert_eq(sluice_socket_set_option(pair->socket, RATE, 100000000), 0);
	cr_assert_eq(rate_of(pair->socket), 100000000);
	operation_init(&send, fixture);
	start_send(pair->socket, &send, bytes, length);
	run_reading(fixture, pair->peer, length, 0);
	run_until(fixture, is_over(&send));
	assert_ended(&send, SLUICE_ERROR_SUCCESS, length);
	cr_assert_eq(sluice_socket_set_option(pair->socket, RATE, INT64_C(10) << 30), 0);
	cr_assert_eq(rate_of(pair->socket), UINT64_C(10) << 30);
	cr_assert_eq(sluice_socket_set_option(pair->socket, RATE, UINT32_MAX), 0);
	cr_assert_eq(rate_of(pair->socket), UINT32_MAX);
	cr_assert_eq(sluice_socket_set_option(pair->socket, RATE, 0), 0);
	cr_assert_eq(rate_of(pair->socket), UINT64_MAX);
	free(bytes);
}

/* The peer reads nothing: what the kernel has taken is what its window lets out, and little more. */
PAIR_TEST(b18, b18_the_kernel_holds_few_unsent_bytes_and_the_rest_waits_in_order, tcp_pair, SMALL)
{
	const size_t length = 4 << 20, each = 1 << 19;
	const int low = 1 << 14;
	void *bytes = pattern_new(length, 0);
	struct operation sends[8];
	int unsent = 0, large = 8 << 20;
	uint64_t kept;

	cr_assert_eq(setsockopt(sluice_socket_fd(pair->socket), SOL_SOCKET, SO_SNDBUF, &large,
				sizeof large),
		     0);
	cr_assert_eq(sluice_socket_set_option(pair->socket, UNSENT_LOW, low), 0);
	cr_assert_eq(unsent_low_of(pair->socket), (uint32_t)low);
	for (size_t i = 0; i < 8; i++) {
		operation_init(&sends[i], fixture);
		start_send(pair->socket, &sends[i], (char *)bytes + i * each, each);
	}
	run_idle(fixture);
	cr_assert_eq(ioctl(sluice_socket_fd(pair->socket), SIOCOUTQNSD, &unsent), 0);
	/* A segment that it has begun is filled. */
	cr_assert_leq(unsent, low + (64 << 10) + 4096, "%d bytes unsent", unsent);
	cr_assert(!is_over(&sends[7]));
	/* Nothing of the last one is with the kernel: a cancel ends it without a byte. */
	kept = sluice_socket_queued_bytes(pair->socket);
	cr_assert_geq(kept, 7 * each);
	cr_assert_eq(sluice_cancel(pair->socket, &sends[7].args), 0);
	run_until(fixture, is_over(&sends[7]));
	assert_ended(&sends[7], SLUICE_ERROR_OPERATION_ABORTED, 0);
	run_reading(fixture, pair->peer, 7 * each, 0);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < 7; i++)
		assert_ended(&sends[i], SLUICE_ERROR_SUCCESS, each);
	cr_assert_eq(sluice_socket_set_option(pair->socket, UNSENT_LOW, 0), 0);
	cr_assert_eq(unsent_low_of(pair->socket), 0);
	free(bytes);
}

ENGINE_TEST(b18, b18_what_a_listener_accepts_inherits_both)
{
	struct sluice_socket *listener = attach(fixture, listen_tcp(0));
	struct sluice_socket *client = attach(fixture, new_tcp(0));
	struct sockaddr_in address = loopback(port_of(sluice_socket_fd(listener)));
	struct operation accept, connecting;

	cr_assert_eq(sluice_socket_set_option(listener, RATE, 5000000), 0);
	cr_assert_eq(sluice_socket_set_option(listener, UNSENT_LOW, 77777), 0);
	operation_init(&accept, fixture);
	operation_init(&connecting, fixture);
	start(sluice_accept_async, listener, &accept);
	run_connect(client, &connecting, &address);
	run_until(fixture, is_over(&accept));
	cr_assert_eq(accept.args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(rate_of(accept.args.accept_socket), 5000000);
	cr_assert_eq(unsent_low_of(accept.args.accept_socket), 77777);
	sluice_socket_destroy(accept.args.accept_socket);
	sluice_socket_destroy(client);
	sluice_socket_destroy(listener);
}

PAIR_TEST(b18, b18_what_is_refused_changes_nothing, tcp_pair, 0)
{
	struct pair local, datagrams;
	int fd;

	cr_assert_eq(sluice_socket_set_option(NULL, RATE, 1), -EINVAL);
	cr_assert_eq(sluice_socket_set_option(pair->socket, RATE, 7000000), 0);
	cr_assert_eq(sluice_socket_set_option(pair->socket, RATE, -1), -EINVAL);
	cr_assert_eq(rate_of(pair->socket), 7000000);
	cr_assert_eq(sluice_socket_set_option(pair->socket, UNSENT_LOW, 5555), 0);
	cr_assert_eq(sluice_socket_set_option(pair->socket, UNSENT_LOW, -1), -EINVAL);
	cr_assert_eq(sluice_socket_set_option(pair->socket, UNSENT_LOW, INT64_C(1) << 32), -EINVAL);
	cr_assert_eq(unsent_low_of(pair->socket), 5555);

	unix_pair(fixture, &local, SOCK_STREAM);
	udp_pair(fixture, &datagrams);
	cr_assert_eq(sluice_socket_set_option(local.socket, RATE, 1), -EOPNOTSUPP);
	cr_assert_eq(sluice_socket_set_option(local.socket, UNSENT_LOW, 1), -EOPNOTSUPP);
	cr_assert_eq(sluice_socket_set_option(datagrams.socket, UNSENT_LOW, 1), -EOPNOTSUPP);
	cr_assert_eq(sluice_socket_set_option(datagrams.socket, RATE, 1000000), 0);
	pair_close(&local);
	pair_close(&datagrams);

	fd = dup(sluice_socket_fd(pair->socket));
	cr_assert(fd >= 0);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	cr_assert_eq(sluice_socket_set_option(pair->socket, RATE, 1), -EBADF);
	cr_assert_eq(sluice_socket_set_option(pair->socket, UNSENT_LOW, 1), -EBADF);
	cr_assert_eq(sluice_socket_set_option(pair->socket, SLUICE_SOCKET_END_ON_GIVE_UP, 1),
		     -EBADF);
	close(fd);
}
