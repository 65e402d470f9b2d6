/* SPDX-License-Identifier: MIT */
/*
 * Datagrams that are queued together: however they leave, in one call that the kernel cuts up, in
 * one sendmmsg(2), in one submission or each by itself, what arrives is what was sent, and every
 * record has its own outcome. Runs again without GSO, and with the ring forced.
 */
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

#define SENDS_MAX ((size_t)200)
#define LARGEST 65536

enum kind {
	UDP_4,
	UDP_6,
	UDP_DUAL, /* IPv6 that sends to a mapped IPv4 address */
	UNIX,
	KINDS
};

/* A socket of the engine's and its receiver, which is its peer or is named with each send. */
struct post {
	enum kind kind;
	bool connected;
	struct sluice_socket *socket;
	int peer;
	struct sockaddr_storage to;
	socklen_t to_length;
};

struct scene {
	struct fixture fixture;
	struct post post;
	struct operation *operations;
	unsigned char *bytes;
};

static int new_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0, "%s", strerror(errno));
	return fd;
}

static void address_of_receiver(struct post *post)
{
	static const int families[KINDS] = {AF_INET, AF_INET6, AF_INET, AF_UNIX};
	struct sockaddr_storage any;
	struct timeval limit = {.tv_sec = GUARD_NS / SECOND};
	int most = 4 << 20;

	memset(&any, 0, sizeof any);
	any.ss_family = (sa_family_t)families[post->kind];
	if (any.ss_family == AF_INET)
		((struct sockaddr_in *)&any)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (any.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&any)->sin6_addr = in6addr_loopback;
	post->to_length = any.ss_family == AF_INET    ? sizeof(struct sockaddr_in)
			  : any.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						      : sizeof(sa_family_t);
	post->peer = new_socket(any.ss_family, SOCK_DGRAM);
	if (bind(post->peer, (struct sockaddr *)&any, post->to_length) < 0) {
		close(post->peer);
		cr_skip("no such address here: %s", strerror(errno));
	}
	post->to_length = sizeof post->to;
	cr_assert_eq(getsockname(post->peer, (struct sockaddr *)&post->to, &post->to_length), 0);
	cr_assert_eq(setsockopt(post->peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	/* UDP drops what does not fit: as much as anybody may have holds each of the batches here. */
	cr_assert_eq(setsockopt(post->peer, SOL_SOCKET, SO_RCVBUF, &most, sizeof most), 0);
}

/* ::ffff:127.0.0.1 */
static void map_address(struct post *post)
{
	struct sockaddr_in own = *(struct sockaddr_in *)&post->to;
	struct sockaddr_in6 *mapped = (struct sockaddr_in6 *)&post->to;

	memset(mapped, 0, sizeof *mapped);
	mapped->sin6_family = AF_INET6;
	mapped->sin6_port = own.sin_port;
	mapped->sin6_addr.s6_addr[10] = mapped->sin6_addr.s6_addr[11] = 0xff;
	memcpy(&mapped->sin6_addr.s6_addr[12], &own.sin_addr, 4);
	post->to_length = sizeof *mapped;
}

static int new_sender(struct post *post)
{
	static const int families[KINDS] = {AF_INET, AF_INET6, AF_INET6, AF_UNIX};
	int no = 0;
	int fd;

	address_of_receiver(post);
	fd = new_socket(families[post->kind], SOCK_DGRAM);
	if (post->kind == UDP_DUAL) {
		map_address(post);
		cr_assert_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no), 0);
	}
	if (post->connected)
		cr_assert_eq(connect(fd, (struct sockaddr *)&post->to, post->to_length), 0);
	return fd;
}

static void scene_begin(struct scene *scene, enum kind kind, bool connected)
{
	scene->post = (struct post){.kind = kind, .connected = connected};
	fixture_begin(&scene->fixture);
	scene->post.socket = attach(&scene->fixture, new_sender(&scene->post));
	scene->operations = operations_new(&scene->fixture, SENDS_MAX);
	scene->bytes = pattern_new(LARGEST + 251, 0);
}

static void scene_end(struct scene *scene)
{
	sluice_socket_destroy(scene->post.socket);
	if (scene->post.peer >= 0)
		close(scene->post.peer);
	free(scene->operations);
	free(scene->bytes);
	fixture_end(&scene->fixture);
}

/* Datagram number i begins with the pattern from i on. */
static int send_number(struct scene *scene, size_t i, size_t length)
{
	struct operation *operation = &scene->operations[i];
	struct post *post = &scene->post;

	if (post->connected)
		return start_send(post->socket, operation, scene->bytes + i % 251, length);
	operation->args.remote_address = (struct sockaddr *)&post->to;
	operation->args.remote_address_length = post->to_length;
	cr_assert_eq(sluice_args_set_buffer(&operation->args, scene->bytes + i % 251, length, 0,
					    (int64_t)length),
		     0);
	return start(sluice_send_to_async, post->socket, operation);
}

static void receive_number(struct scene *scene, size_t i, size_t length)
{
	static unsigned char buffer[LARGEST];
	ssize_t count = recv(scene->post.peer, buffer, sizeof buffer, 0);

	cr_assert_eq(count, (ssize_t)length, "number %zu has %zd bytes, not %zu", i, count, length);
	cr_assert(pattern_matches(buffer, length, i), "number %zu is another one", i);
}

static void batch(struct scene *scene, const size_t *lengths, size_t count)
{
	cr_assert_eq(sluice_batch_begin(scene->fixture.engine), 0);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(send_number(scene, i, lengths[i]), 1);
	cr_assert_eq(sluice_batch_end(scene->fixture.engine), 0);
}

static struct sluice_engine_statistics statistics_of(struct scene *scene)
{
	struct sluice_engine_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_engine_statistics(scene->fixture.engine, &statistics), 0);
	return statistics;
}

static bool has_gso(struct scene *scene)
{
	return statistics_of(scene).capabilities & SLUICE_CAPABILITY_UDP_GSO;
}

static bool ring_forced(void)
{
	const char *way = getenv("SLUICE_TEST_TRANSMIT_WAY");

	return way && strcmp(way, "ring") == 0;
}

/* The receiver reads while the engine runs, so that no buffer has to hold all of it. */
static void run_receiving(struct scene *scene, const size_t *lengths, size_t count)
{
	int64_t deadline = now_ns() + GUARD_NS;
	size_t arrived = 0;

	while (arrived < count) {
		char byte;

		cr_assert(now_ns() < deadline, "%zu of %zu have arrived", arrived, count);
		if (recv(scene->post.peer, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
			cr_assert_eq(errno, EAGAIN);
			run_for(&scene->fixture, MILLISECOND);
			continue;
		}
		receive_number(scene, arrived, lengths[arrived]);
		arrived++;
	}
	run_until(&scene->fixture, scene->fixture.pending == 0);
	for (size_t i = 0; i < count; i++)
		assert_ended(&scene->operations[i], SLUICE_ERROR_SUCCESS, lengths[i]);
	assert_nothing_to_read(scene->post.peer);
}

static void assert_arrive(enum kind kind, bool connected, const size_t *lengths, size_t count)
{
	struct scene scene;

	scene_begin(&scene, kind, connected);
	batch(&scene, lengths, count);
	run_receiving(&scene, lengths, count);
	scene_end(&scene);
}

/* ---- what arrives is what was sent ---- */

#define FOR_EACH_KIND(kind, connected)                     \
	for (enum kind kind = UDP_4; kind < KINDS; kind++) \
		for (int connected = 0; connected < 2; connected++)

Test(b08, b08_datagrams_of_one_size_arrive_as_they_were_sent)
{
	size_t lengths[100];

	for (size_t i = 0; i < 100; i++)
		lengths[i] = 1200;
	FOR_EACH_KIND(kind, connected)
	assert_arrive(kind, connected, lengths, 100);
}

Test(b08, b08_the_last_of_one_size_may_be_shorter)
{
	static const size_t lengths[] = {300, 300, 300, 1, 300, 300, 299, 299, 1, 2, 2, 1};

	FOR_EACH_KIND(kind, connected)
	assert_arrive(kind, connected, lengths, sizeof lengths / sizeof *lengths);
}

Test(b10, b10_empty_datagrams_arrive_between_others)
{
	static const size_t lengths[] = {0, 0, 7, 7, 0, 7, 0, 0, 1, 1, 0};

	FOR_EACH_KIND(kind, connected)
	assert_arrive(kind, connected, lengths, sizeof lengths / sizeof *lengths);
}

Test(b08, b08_datagrams_of_all_sizes_arrive_in_order)
{
	size_t lengths[150];

	for (size_t i = 0; i < 150; i++)
		lengths[i] = i % 50 == 49 ? 20000 : i % 7 == 6 ? i % 5 : 100 + i / 20;
	FOR_EACH_KIND(kind, connected)
	assert_arrive(kind, connected, lengths, 150);
}

/* Two of them are more than one call may hold. */
Test(b08, b08_large_datagrams_of_one_size_arrive)
{
	static const size_t lengths[] = {40000, 40000, 30000, 30000, 1, 60000, 60000};

	FOR_EACH_KIND(kind, connected)
	assert_arrive(kind, connected, lengths, sizeof lengths / sizeof *lengths);
}

SCENE_TEST(b08, b08_what_handlers_start_arrives_too, UDP_4, true)
{
	enum {
		SENDS = 120
	};
	size_t lengths[SENDS];

	for (size_t i = 0; i < SENDS; i++)
		lengths[i] = 500;
	for (int round = 0; round < 3; round++) {
		batch(scene, lengths, SENDS);
		run_receiving(scene, lengths, SENDS);
	}
}

Test(b08, b08_lists_of_one_size_arrive_as_they_were_sent)
{
	struct scene scene;
	struct iovec lists[40][4];
	size_t lengths[40];

	scene_begin(&scene, UDP_4, true);
	cr_assert_eq(sluice_batch_begin(scene.fixture.engine), 0);
	for (size_t i = 0; i < 40; i++) {
		lists[i][0] = segment(scene.bytes + i, 10 + i);
		lists[i][1] = segment(NULL, 0);
		lists[i][2] = segment(scene.bytes + i + 10 + i, 90 - i);
		lists[i][3] = segment(scene.bytes, 0);
		lengths[i] = 100;
		cr_assert_eq(sluice_args_set_buffer_list(&scene.operations[i].args, lists[i], 4),
			     0);
		cr_assert_eq(start(sluice_send_async, scene.post.socket, &scene.operations[i]), 1);
	}
	cr_assert_eq(sluice_batch_end(scene.fixture.engine), 0);
	run_receiving(&scene, lengths, 40);
	scene_end(&scene);
}

/* ---- how they leave ---- */

static void same_lengths(size_t *lengths, size_t count, size_t length)
{
	for (size_t i = 0; i < count; i++)
		lengths[i] = length;
}

SCENE_TEST(b08, b08_a_burst_of_one_size_is_one_send_for_64_kib, UDP_4, true)
{
	struct sluice_engine_statistics before, after;
	size_t lengths[108];

	same_lengths(lengths, 108, 1200);
	before = statistics_of(scene);
	batch(scene, lengths, 108);
	run_receiving(scene, lengths, 108);
	after = statistics_of(scene);
	if (has_gso(scene)) {
		cr_assert_eq(after.gso_sends - before.gso_sends, 2);
		cr_assert_eq(after.inline_sends - before.inline_sends, ring_forced() ? 0 : 2);
	} else {
		cr_assert_eq(after.gso_sends, 0);
	}
	cr_assert_eq(after.ring_bursts - before.ring_bursts > 0, ring_forced());
	cr_assert_eq(after.gso_refused, 0);
}

/* As many as the kernel takes: 128, or 64. */
SCENE_TEST(b08, b08_a_burst_of_small_ones_is_a_send_for_all_that_the_kernel_takes, UDP_4, true)
{
	struct sluice_engine_statistics before, after;
	uint64_t sends;
	size_t lengths[128];

	same_lengths(lengths, 128, 100);
	before = statistics_of(scene);
	batch(scene, lengths, 128);
	run_receiving(scene, lengths, 128);
	after = statistics_of(scene);
	sends = after.capabilities & SLUICE_CAPABILITY_UDP_GSO_128 ? 1 : 2;
	if (has_gso(scene)) {
		cr_assert_eq(after.gso_sends - before.gso_sends, sends);
		cr_assert_eq(after.inline_sends - before.inline_sends, ring_forced() ? 0 : sends);
	} else {
		cr_assert_eq(after.capabilities & SLUICE_CAPABILITY_UDP_GSO_128, 0);
	}
	cr_assert_eq(after.gso_refused, 0);
}

SCENE_TEST(b08, b08_a_burst_without_a_peer_is_one_call, UDP_4, false)
{
	struct sluice_engine_statistics before, after;
	size_t lengths[60];

	for (size_t i = 0; i < 60; i++)
		lengths[i] = 10 + i;
	before = statistics_of(scene);
	batch(scene, lengths, 60);
	run_receiving(scene, lengths, 60);
	after = statistics_of(scene);
	cr_assert_eq(after.inline_bursts - before.inline_bursts, ring_forced() ? 0 : 1);
	cr_assert_eq(after.ring_bursts - before.ring_bursts, ring_forced() ? 1 : 0);
	cr_assert_eq(after.inline_sends, before.inline_sends);
}

/* ---- what goes wrong belongs to one record ---- */

Test(b08, b08_a_bad_address_in_a_group_is_one_records_fault)
{
	struct scene scene;
	void *forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(forbidden, MAP_FAILED);
	FOR_EACH_KIND(kind, connected)
	{
		scene_begin(&scene, kind, connected);
		cr_assert_eq(sluice_batch_begin(scene.fixture.engine), 0);
		for (size_t i = 0; i < 10; i++) {
			unsigned char *bytes = scene.bytes;

			if (i == 4)
				scene.bytes = (unsigned char *)forbidden - 4;
			cr_assert_eq(send_number(&scene, i, 1000), 1);
			scene.bytes = bytes;
		}
		cr_assert_eq(sluice_batch_end(scene.fixture.engine), 0);
		run_until(&scene.fixture, scene.fixture.pending == 0);
		for (size_t i = 0; i < 10; i++) {
			if (i == 4) {
				assert_ended(&scene.operations[i], SLUICE_ERROR_FAULT, 0);
				continue;
			}
			assert_ended(&scene.operations[i], SLUICE_ERROR_SUCCESS, 1000);
			receive_number(&scene, i, 1000);
		}
		assert_nothing_to_read(scene.post.peer);
		scene_end(&scene);
	}
	munmap(forbidden, 4096);
}

Test(b08, b08_one_that_is_too_large_ends_alone_in_the_middle)
{
	struct scene scene;
	size_t lengths[21];

	for (enum kind kind = UDP_4; kind < UNIX; kind++) {
		for (int connected = 0; connected < 2; connected++) {
			scene_begin(&scene, kind, connected);
			same_lengths(lengths, 21, 600);
			lengths[10] = 65530;
			batch(&scene, lengths, 21);
			run_until(&scene.fixture, scene.fixture.pending == 0);
			for (size_t i = 0; i < 21; i++) {
				if (i == 10) {
					assert_ended(&scene.operations[i],
						     SLUICE_ERROR_MESSAGE_SIZE, 0);
					continue;
				}
				assert_ended(&scene.operations[i], SLUICE_ERROR_SUCCESS, 600);
				receive_number(&scene, i, 600);
			}
			assert_nothing_to_read(scene.post.peer);
			scene_end(&scene);
		}
	}
}

/* Without checksums the kernel cuts nothing up: EINVAL for the group, nothing for each. */
Test(b08, b08_where_the_kernel_will_not_cut_up_each_leaves_by_itself)
{
	struct scene scene;
	struct sluice_engine_statistics statistics;
	size_t lengths[100];
	int on = 1;

	scene_begin(&scene, UDP_4, true);
	cr_assert_eq(setsockopt(sluice_socket_fd(scene.post.socket), SOL_SOCKET, SO_NO_CHECK, &on,
				sizeof on),
		     0);
	same_lengths(lengths, 100, 700);
	for (int round = 0; round < 3; round++) {
		batch(&scene, lengths, 100);
		run_receiving(&scene, lengths, 100);
	}
	statistics = statistics_of(&scene);
	cr_assert_eq(statistics.gso_refused, has_gso(&scene) ? 1 : 0,
		     "it was tried %llu times in vain", (unsigned long long)statistics.gso_refused);
	cr_assert_eq(statistics.gso_sends, 0);
	scene_end(&scene);
}

/* Who has the kernel cut up every record of his own accord is left alone. */
Test(b08, b08_a_size_that_the_user_has_set_is_left_alone)
{
	struct scene scene;
	int size = 500;
	int fd;

	scene.post = (struct post){.kind = UDP_4, .connected = true};
	fixture_begin(&scene.fixture);
	fd = new_sender(&scene.post);
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) < 0)
		cr_skip("this kernel does not cut datagrams up");
	scene.post.socket = attach(&scene.fixture, fd);
	scene.operations = operations_new(&scene.fixture, SENDS_MAX);
	scene.bytes = pattern_new(LARGEST + 251, 0);
	batch(&scene, (const size_t[]){1200, 1200}, 2);
	run_until(&scene.fixture, scene.fixture.pending == 0);
	for (size_t i = 0; i < 2; i++) {
		assert_ended(&scene.operations[i], SLUICE_ERROR_SUCCESS, 1200);
		receive_number(&scene, i, 500);
		receive_number(&scene, i + 500, 500);
		receive_number(&scene, i + 1000, 200);
	}
	scene_end(&scene);
}

#define LATER_BYTES 100

/* Receives what is shorter and comes before the first that is not. */
static void discard_shorter(int fd, ssize_t length)
{
	unsigned char byte;
	ssize_t count;

	do {
		count = recv(fd, &byte, 1, MSG_PEEK | MSG_TRUNC);
		cr_assert_geq(count, 0);
		if (count < length)
			cr_assert_eq(recv(fd, &byte, 1, MSG_TRUNC), count);
	} while (count < length);
}

Test(b12, b12_in_a_burst_to_a_dead_port_a_refused_one_was_not_sent)
{
	struct scene scene;
	struct sockaddr_storage address;
	size_t lengths[40], refused = 0;
	int again;

	for (int sizes = 0; sizes < 2; sizes++) {
		scene_begin(&scene, UDP_4, true);
		for (size_t i = 0; i < 40; i++)
			lengths[i] = sizes ? 10 + i : 10;
		address = scene.post.to;
		close(scene.post.peer);
		scene.post.peer = -1;
		batch(&scene, lengths, 40);
		run_until(&scene.fixture, scene.fixture.pending == 0);
		for (size_t i = 0; i < 40; i++) {
			bool failed = scene.operations[i].args.error != SLUICE_ERROR_SUCCESS;

			assert_ended(&scene.operations[i],
				     failed ? SLUICE_ERROR_CONNECTION_REFUSED
					    : SLUICE_ERROR_SUCCESS,
				     failed ? 0 : lengths[i]);
			refused += failed;
		}
		/* Of one size they may have been gone before anybody could refuse them. */
		if (sizes)
			cr_assert(refused > 0, "nobody was told that nobody listens");

		/*
		 * The port is bound again. A refusal may still arrive, and so may datagrams of the first
		 * batch that the kernel had not delivered: they are shorter.
		 */
		again = new_socket(AF_INET, SOCK_DGRAM);
		cr_assert_eq(bind(again, (struct sockaddr *)&address, scene.post.to_length), 0);
		scene.post.peer = again;
		for (size_t i = 0; i < 40; i++)
			lengths[i] += LATER_BYTES;
		batch(&scene, lengths, 40);
		run_until(&scene.fixture, scene.fixture.pending == 0);
		discard_shorter(again, LATER_BYTES);
		for (size_t i = 0; i < 40; i++) {
			if (i == 0 && scene.operations[0].args.error != SLUICE_ERROR_SUCCESS) {
				assert_ended(&scene.operations[0], SLUICE_ERROR_CONNECTION_REFUSED,
					     0);
				continue;
			}
			assert_ended(&scene.operations[i], SLUICE_ERROR_SUCCESS, lengths[i]);
			receive_number(&scene, i, lengths[i]);
		}
		assert_nothing_to_read(again);
		scene_end(&scene);
	}
}

/* ---- broadcast and multicast ---- */

Test(c13, c13_broadcast_is_denied_to_each_without_the_option_and_arrives_with_it)
{
	struct scene scene;
	struct sockaddr_in *to = (struct sockaddr_in *)&scene.post.to;
	struct sockaddr_in any;
	size_t lengths[8];
	int on = 1;

	scene_begin(&scene, UDP_4, false);
	any = *to;
	any.sin_addr.s_addr = htonl(INADDR_ANY);
	any.sin_port = 0;
	close(scene.post.peer);
	scene.post.peer = new_socket(AF_INET, SOCK_DGRAM);
	cr_assert_eq(bind(scene.post.peer, (struct sockaddr *)&any, sizeof any), 0);
	to->sin_port = htons(port_of(scene.post.peer));
	to->sin_addr.s_addr = htonl(0x7fffffff); /* 127.255.255.255 */
	same_lengths(lengths, 8, 64);

	batch(&scene, lengths, 8);
	run_until(&scene.fixture, scene.fixture.pending == 0);
	for (size_t i = 0; i < 8; i++)
		assert_ended(&scene.operations[i], SLUICE_ERROR_ACCESS_DENIED, 0);
	assert_nothing_to_read(scene.post.peer);

	cr_assert_eq(setsockopt(sluice_socket_fd(scene.post.socket), SOL_SOCKET, SO_BROADCAST, &on,
				sizeof on),
		     0);
	batch(&scene, lengths, 8);
	run_receiving(&scene, lengths, 8);
	scene_end(&scene);
}

Test(c13, c13_multicast_reaches_every_member)
{
	struct scene scene;
	struct sockaddr_in *to = (struct sockaddr_in *)&scene.post.to;
	struct in_addr loopback_interface = {htonl(INADDR_LOOPBACK)};
	struct ip_mreq membership = {.imr_interface = loopback_interface};
	struct sockaddr_in any = {.sin_family = AF_INET};
	size_t lengths[10];
	int on = 1, members[2];

	inet_aton("239.193.7.11", &membership.imr_multiaddr);
	scene_begin(&scene, UDP_4, false);
	close(scene.post.peer);
	for (int i = 0; i < 2; i++) {
		members[i] = new_socket(AF_INET, SOCK_DGRAM);
		cr_assert_eq(setsockopt(members[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
		cr_assert_eq(bind(members[i], (struct sockaddr *)&any, sizeof any), 0);
		any.sin_port = htons(port_of(members[0]));
		if (setsockopt(members[i], IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership,
			       sizeof membership) < 0)
			cr_skip("no multicast on loopback: %s", strerror(errno));
	}
	cr_assert_eq(setsockopt(sluice_socket_fd(scene.post.socket), IPPROTO_IP, IP_MULTICAST_IF,
				&loopback_interface, sizeof loopback_interface),
		     0);
	to->sin_addr = membership.imr_multiaddr;
	to->sin_port = any.sin_port;
	same_lengths(lengths, 10, 333);
	batch(&scene, lengths, 10);
	for (int i = 0; i < 2; i++) {
		scene.post.peer = members[i];
		run_receiving(&scene, lengths, 10);
	}
	close(members[0]);
	scene_end(&scene);
}

/* ---- remotes ---- */

/* A connect takes its place: what was started before it has the old remote, what behind it the new. */
Test(c13, c13_another_connect_changes_the_remote_of_what_is_started_behind_it)
{
	struct scene scene;
	struct post second = {.kind = UDP_4};
	struct operation connecting;
	int first;

	for (int connected = 0; connected < 2; connected++) {
		scene_begin(&scene, UDP_4, connected);
		address_of_receiver(&second);
		operation_init(&connecting, &scene.fixture);
		first = scene.post.peer;
		cr_assert_eq(sluice_batch_begin(scene.fixture.engine), 0);
		for (size_t i = 0; i < 20; i++) {
			if (i == 10) {
				cr_assert_eq(start_connect(scene.post.socket, &connecting,
							   (struct sockaddr_in *)&second.to),
					     1);
				scene.post.connected = true;
			}
			cr_assert_eq(send_number(&scene, i, 50), 1);
		}
		cr_assert_eq(sluice_batch_end(scene.fixture.engine), 0);
		run_until(&scene.fixture, scene.fixture.pending == 0);
		assert_ended(&connecting, SLUICE_ERROR_SUCCESS, 0);
		for (size_t i = 0; i < 20; i++) {
			assert_ended(&scene.operations[i], SLUICE_ERROR_SUCCESS, 50);
			scene.post.peer = i < 10 ? first : second.peer;
			receive_number(&scene, i, 50);
		}
		assert_nothing_to_read(first);
		close(first);
		scene_end(&scene);
	}
}

Test(c13, c13_a_connect_that_fails_in_its_turn_leaves_the_remote_as_it_was)
{
	struct scene scene;
	struct sockaddr_in nowhere = loopback(9);
	struct operation connecting;

	scene_begin(&scene, UDP_4, true);
	nowhere.sin_addr.s_addr = htonl(0x7fffffff); /* broadcast, without the option */
	operation_init(&connecting, &scene.fixture);
	cr_assert_eq(sluice_batch_begin(scene.fixture.engine), 0);
	cr_assert_eq(send_number(&scene, 0, 50), 1);
	cr_assert_eq(start_connect(scene.post.socket, &connecting, &nowhere), 1);
	cr_assert_eq(send_number(&scene, 1, 50), 1);
	cr_assert_eq(sluice_batch_end(scene.fixture.engine), 0);
	run_until(&scene.fixture, scene.fixture.pending == 0);
	assert_ended(&connecting, SLUICE_ERROR_ACCESS_DENIED, 0);
	for (size_t i = 0; i < 2; i++) {
		assert_ended(&scene.operations[i], SLUICE_ERROR_SUCCESS, 50);
		receive_number(&scene, i, 50);
	}
	scene_end(&scene);
}

/* The sends of one batch are in the order of their starts whatever their destinations are. */
Test(c13, c13_each_datagram_of_a_batch_reaches_its_own_remote)
{
	struct scene scene;
	struct post posts[2];
	size_t at = 0;

	scene_begin(&scene, UDP_4, true);
	posts[0] = scene.post;
	posts[1] = (struct post){.kind = UDP_4};
	address_of_receiver(&posts[1]);
	cr_assert_eq(sluice_batch_begin(scene.fixture.engine), 0);
	for (size_t i = 0; i < 60; i++) {
		scene.post.connected = i % 3 != 0;
		scene.post.to = posts[1].to;
		cr_assert_eq(send_number(&scene, i, 50), 1);
	}
	cr_assert_eq(sluice_batch_end(scene.fixture.engine), 0);
	run_until(&scene.fixture, scene.fixture.pending == 0);
	for (int other = 0; other < 2; other++) {
		scene.post.peer = posts[other].peer;
		for (at = 0; at < 60; at++) {
			assert_ended(&scene.operations[at], SLUICE_ERROR_SUCCESS, 50);
			if ((at % 3 == 0) == (other == 1))
				receive_number(&scene, at, 50);
		}
		assert_nothing_to_read(scene.post.peer);
	}
	close(posts[0].peer);
	scene_end(&scene);
}
