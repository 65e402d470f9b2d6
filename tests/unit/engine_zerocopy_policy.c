/* SPDX-License-Identifier: MIT */
/* When zero copy is used, and what the kernel says of the peer. */
#include "engine_zerocopy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- the policy ---- */

/*
 * Sends one large record with a small one queued behind it; whether the large one went by zero copy.
 * What the kernel says is the caller's word.
 */
static bool send_large(struct pair *pair, bool copied)
{
	size_t position = scripted.streams[sluice_socket_fd(pair->socket)].length % 251;
	uint32_t before = scripted.request_count, index;
	struct operation operation, behind;
	bool went;

	operation_init(&operation, &fixture);
	operation_init(&behind, &fixture);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	cr_assert_eq(start_send(pair->socket, &operation, pattern + position, LARGE), 1);
	cr_assert_eq(start_send(pair->socket, &behind, pattern + position + LARGE, 10), 1);
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	run();
	went = scripted.request_count > before;
	if (went) {
		index = flying();
		scripted_tell(index, LARGE);
		run();
		scripted_free(index, copied);
		run();
	}
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, LARGE);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 10);
	return went;
}

SCRIPTED_TEST(zerocopy, on_a_kernel_that_copies_four_sends_find_out, begin_auto)
{
	int went = 0;

	cr_assert_eq(learned(pair->socket), SLUICE_ZEROCOPY_LEARNED_NOTHING);
	for (int i = 0; i < 100; i++)
		went += send_large(pair, true);
	cr_assert_eq(went, 4);
	cr_assert_eq(learned(pair->socket), SLUICE_ZEROCOPY_LEARNED_USELESS);
	cr_assert_eq(statistics().zerocopy_sends, 4);
	cr_assert_eq(statistics().zerocopy_copied, 4);
	cr_assert_eq(statistics().zerocopy_rests, 1);
	cr_assert_eq(statistics().zerocopy_pending, 0);
	cr_assert_eq(scripted.asked_local, 1);
}

/* A sender that waits for each record would lose a round trip on each. */
SCRIPTED_TEST(zerocopy, a_send_alone_does_not_wait_for_the_peer, begin_auto)
{
	struct operation operation;

	operation_init(&operation, &fixture);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(start_send(pair->socket, &operation, pattern, LARGE), 0);
	operation.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair->socket, &operation, pattern, LARGE), 1);
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, LARGE);
	cr_assert_eq(scripted.request_count, 0);
	cr_assert_eq(scripted.asked_local, 0);
	cr_assert_eq(learned(pair->socket), SLUICE_ZEROCOPY_LEARNED_NOTHING);
}

SCRIPTED_TEST(zerocopy, a_sender_that_waits_for_each_queue_is_served_by_copying, begin_auto)
{
	int went = 0;

	for (int i = 0; i < 100; i++)
		went += send_large(pair, false);
	cr_assert_eq(went, 4);
	cr_assert_eq(statistics().zerocopy_copied, 0);
	cr_assert_eq(learned(pair->socket), SLUICE_ZEROCOPY_LEARNED_USELESS);
}

SCRIPTED_TEST(zerocopy, nothing_goes_to_this_machine, begin_auto)
{
	scripted.is_local = true;
	for (int i = 0; i < 100; i++)
		cr_assert_not(send_large(pair, true));
	cr_assert_eq(scripted.asked_local, 1, "it is asked once for each connection");
	cr_assert_eq(learned(pair->socket), SLUICE_ZEROCOPY_LEARNED_USELESS);
}

SCRIPTED_TEST(zerocopy, connections_that_send_once_teach_those_behind_them, begin_auto)
{
	struct pair next;
	int went = 0;

	(void)pair;
	for (int i = 0; i < 50; i++) {
		tcp_pair(&fixture, &next, 0);
		went += send_large(&next, true);
		pair_close(&next);
		run();
	}
	cr_assert_eq(went, SLUICE__ZEROCOPY_PRIOR_STREAK + 1);
}

SCRIPTED_TEST(zerocopy, a_sender_that_keeps_the_queue_filled_stays_with_it, begin_auto)
{
	enum {
		SENDS = 12
	};
	static struct operation operations[SENDS + 1];

	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < SENDS + 1; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair->socket, &operations[i], pattern, LARGE), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	for (int i = 0; i < SENDS; i++) {
		uint32_t index;

		run();
		index = flying();
		cr_assert_eq(scripted.requests[index].bytes, LARGE, "send %d", i);
		scripted_tell(index, LARGE);
		scripted_free(index, false);
		run();
	}
	cr_assert_eq(learned(pair->socket), SLUICE_ZEROCOPY_LEARNED_USEFUL);
	run();
	scripted_answer(flying(), LARGE);
	run();
	cr_assert(are_over(operations, SENDS + 1));
}

void train(struct pair *pair)
{
	struct operation operations[2];
	uint32_t index;

	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < 2; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair->socket, &operations[i], pattern, LARGE), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	index = flying();
	scripted_tell(index, LARGE);
	scripted_free(index, false);
	run();
	run();
	scripted_answer(flying(), LARGE);
	run();
	cr_assert(are_over(operations, 2));
	cr_assert_eq(learned(pair->socket), SLUICE_ZEROCOPY_LEARNED_USEFUL);
}

bool goes(struct pair *pair, struct operation *operation, size_t length)
{
	uint32_t before = scripted.request_count;
	int answer = start_send(pair->socket, operation, pattern, length);

	if (answer == 0) {
		cr_assert_eq(scripted.request_count, before);
		return false;
	}
	run();
	if (scripted.request_count == before ||
	    scripted.requests[before].kind != SLUICE__REQUEST_SEND_ZEROCOPY)
		return false;
	scripted_answer(before, (int32_t)length);
	run();
	return true;
}

SCRIPTED_TEST(zerocopy, by_itself_it_takes_only_what_can_be_given_back, begin_auto)
{
	struct operation operation;
	int small = SMALL;

	train(pair);
	operation_init(&operation, &fixture);
	cr_assert(goes(pair, &operation, 32768));
	cr_assert_not(goes(pair, &operation, 32767));
	operation.args.timeout_ns = SECOND;
	cr_assert_not(goes(pair, &operation, LARGE), "a record with a deadline");
	operation.args.timeout_ns = 0;
	operation.args.flags = SLUICE_FLAG_OUT_OF_BAND;
	cr_assert_not(goes(pair, &operation, LARGE), "an urgent byte");
	operation.args.flags = 0;
	scripted.window = LARGE - 1;
	cr_assert_not(goes(pair, &operation, LARGE), "more than the peer's window takes");
	scripted.window = LARGE;
	cr_assert(goes(pair, &operation, LARGE));
	cr_assert_eq(setsockopt(sluice_socket_fd(pair->socket), SOL_SOCKET, SO_SNDBUF, &small,
				sizeof small),
		     0);
	cr_assert_not(goes(pair, &operation, LARGE), "more than the socket has room for");
	cr_assert(is_over(&operation));
}

Test(zerocopy, switched_off_or_masked_nothing_goes_that_way)
{
	for (int way = 0; way < 2; way++) {
		struct sluice_options options =
			options_of(SLUICE_TRANSMIT_WAY_AUTO,
				   way ? SLUICE_ZEROCOPY_ALWAYS : SLUICE_ZEROCOPY_OFF);
		struct operation operation;
		struct pair pair;

		if (way)
			options.disable = SLUICE_CAPABILITY_ZEROCOPY;
		begin_with(&options, &pair);
		operation_init(&operation, &fixture);
		cr_assert_not(goes(&pair, &operation, LARGE));
		end_over(&pair);
	}
}

Test(zerocopy, always_takes_parts_deadlines_and_what_the_kernel_copies)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_AUTO, SLUICE_ZEROCOPY_ALWAYS);
	struct operation operation;
	struct pair pair;

	options.gather_bytes = LARGE;
	begin_with(&options, &pair);
	for (int i = 0; i < 50; i++)
		cr_assert(send_large(&pair, true));
	operation_init(&operation, &fixture);
	operation.args.timeout_ns = SECOND;
	cr_assert(goes(&pair, &operation, LARGE));
	cr_assert_not(goes(&pair, &operation, 32767));
	end_over(&pair);
}

Test(zerocopy, unix_sockets_are_not_asked)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);
	struct operation operation;
	struct pair pair;

	begin_over(true, &options);
	unix_pair(&fixture, &pair, SOCK_STREAM);
	operation_init(&operation, &fixture);
	cr_assert_not(goes(&pair, &operation, LARGE));
	end_over(&pair);
}

/* ---- what the kernel says of the peer ---- */

static bool is_local(int fd, int family)
{
	struct sluice_socket socket = {.fd = fd, .family = (uint8_t)family};

	return sluice__syscall_is_local(&socket);
}

Test(zerocopy, a_peer_on_this_machine_is_known_by_its_address)
{
	struct sockaddr_in address = loopback(0), away = loopback(9);
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
	int listener = listen_tcp(0), client = new_tcp(0), six, datagram, both[2];

	address = loopback(port_of(listener));
	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	cr_assert(is_local(client, AF_INET));
	close(client);
	mapped.sin6_port = address.sin_port;
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
	six = socket(AF_INET6, SOCK_STREAM, 0);
	if (six >= 0 && connect(six, (struct sockaddr *)&mapped, sizeof mapped) == 0)
		cr_assert(is_local(six, AF_INET6));
	close(six);
	close(listener);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, both), 0);
	cr_assert(is_local(both[0], AF_UNIX));
	close(both[0]);
	close(both[1]);
	/* An address for documentation: nothing is sent, but a route is needed. */
	inet_pton(AF_INET, "192.0.2.1", &away.sin_addr);
	datagram = socket(AF_INET, SOCK_DGRAM, 0);
	if (connect(datagram, (struct sockaddr *)&away, sizeof away) == 0)
		cr_assert_not(is_local(datagram, AF_INET));
	close(datagram);
}

/* ---- addresses of a network namespace of its own ---- */

static void set_interface(unsigned long request, struct ifreq *interface)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(ioctl(fd, request, interface), 0, "%s", strerror(errno));
	close(fd);
}

static void add_address(const char *name, const char *address)
{
	struct ifreq interface = {.ifr_name = ""};
	struct sockaddr_in value = {.sin_family = AF_INET};

	strcpy(interface.ifr_name, name);
	inet_pton(AF_INET, address, &value.sin_addr);
	memcpy(&interface.ifr_addr, &value, sizeof value);
	set_interface(SIOCSIFADDR, &interface);
}

/* Two addresses that are not loopback's. */
static void enter_network(void)
{
	struct ifreq interface = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		cr_skip("no network namespace of its own: %s", strerror(errno));
	set_interface(SIOCSIFFLAGS, &interface);
	add_address("lo:1", "198.51.100.1");
	add_address("lo:2", "198.51.100.2");
}

/* A connection to this address, from that one if it is given. */
static bool is_known_as_local(const char *peer, const char *own)
{
	struct sockaddr_in to = {.sin_family = AF_INET}, from = {.sin_family = AF_INET};
	socklen_t length = sizeof to;
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	bool known;

	inet_pton(AF_INET, peer, &to.sin_addr);
	cr_assert_eq(bind(listener, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&to, &length), 0);
	if (own) {
		inet_pton(AF_INET, own, &from.sin_addr);
		cr_assert_eq(bind(client, (struct sockaddr *)&from, sizeof from), 0);
	}
	cr_assert_eq(connect(client, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
	known = is_local(client, AF_INET);
	close(client);
	close(listener);
	return known;
}

Test(zerocopy, a_peer_on_this_machine_is_known_by_an_address_that_is_not_loopback_s)
{
	enter_network();
	cr_assert(is_known_as_local("198.51.100.1", NULL));
	cr_assert(is_known_as_local("198.51.100.2", "198.51.100.1"), "the source was bound");
}

Test(zerocopy, a_peer_on_this_machine_is_known_by_its_address_of_ipv6)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET6, SOCK_STREAM, 0), client = socket(AF_INET6, SOCK_STREAM, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
		cr_skip("no IPv6: %s", strerror(errno));
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	cr_assert(is_local(client, AF_INET6));
	close(client);
	close(listener);
}

/* The peer's kernel acknowledges so much without a reader; and it is less than one buffer. */
Test(zerocopy, the_window_is_what_the_peer_takes_without_reading)
{
	struct sluice_socket socket = {.family = AF_INET};
	struct sockaddr_in address;
	int listener = listen_tcp(4096), peer, pending = 1;
	int64_t deadline = now_ns() + GUARD_NS;
	uint64_t window;

	address = loopback(port_of(listener));
	socket.fd = new_tcp(1 << 20);
	cr_assert_eq(connect(socket.fd, (struct sockaddr *)&address, sizeof address), 0);
	peer = accept(listener, NULL, NULL);
	window = sluice__syscall_window(&socket);
	if (window == 0)
		cr_skip("the kernel does not say the peer's window");
	cr_assert_lt(window, 65536);
	cr_assert_eq(send(socket.fd, pattern, window, MSG_DONTWAIT), (ssize_t)window);
	while (pending) {
		cr_assert_eq(ioctl(socket.fd, SIOCOUTQ, &pending), 0);
		cr_assert(now_ns() < deadline, "%d of %zu bytes wait for the reader", pending,
			  (size_t)window);
		usleep(1000);
	}
	cr_assert_lt(sluice__syscall_window(&socket), window);
	close(socket.fd);
	close(peer);
	close(listener);
}
