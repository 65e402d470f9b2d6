/* SPDX-License-Identifier: MIT */
/*
 * Datagrams that are queued together: however they leave, in one call that the kernel cuts up, in
 * one sendmmsg(2), in one submission or each by itself, what arrives is what was sent, and every
 * record has its own outcome. Runs again without GSO, and with the ring forced.
 */
#include "contract_b_gso.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int new_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0, "%s", strerror(errno));
	return fd;
}

void address_of_receiver(struct post *post)
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

int new_sender(struct post *post)
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

void scene_begin(struct scene *scene, enum kind kind, bool connected)
{
	scene->post = (struct post){.kind = kind, .connected = connected};
	fixture_begin(&scene->fixture);
	scene->post.socket = attach(&scene->fixture, new_sender(&scene->post));
	scene->operations = operations_new(&scene->fixture, SENDS_MAX);
	scene->bytes = pattern_new(LARGEST + 251, 0);
}

void scene_end(struct scene *scene)
{
	sluice_socket_destroy(scene->post.socket);
	if (scene->post.peer >= 0)
		close(scene->post.peer);
	free(scene->operations);
	free(scene->bytes);
	fixture_end(&scene->fixture);
}

int send_number(struct scene *scene, size_t i, size_t length)
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

void receive_number(struct scene *scene, size_t i, size_t length)
{
	static unsigned char buffer[LARGEST];
	ssize_t count = recv(scene->post.peer, buffer, sizeof buffer, 0);

	cr_assert_eq(count, (ssize_t)length, "number %zu has %zd bytes, not %zu", i, count, length);
	cr_assert(pattern_matches(buffer, length, i), "number %zu is another one", i);
}

void batch(struct scene *scene, const size_t *lengths, size_t count)
{
	cr_assert_eq(sluice_batch_begin(scene->fixture.engine), 0);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(send_number(scene, i, lengths[i]), 1);
	cr_assert_eq(sluice_batch_end(scene->fixture.engine), 0);
}

struct sluice_engine_statistics scene_statistics(struct scene *scene)
{
	struct sluice_engine_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_engine_statistics(scene->fixture.engine, &statistics), 0);
	return statistics;
}

bool has_gso(struct scene *scene)
{
	return scene_statistics(scene).capabilities & SLUICE_CAPABILITY_UDP_GSO;
}

static bool ring_forced(void)
{
	const char *way = getenv("SLUICE_TEST_TRANSMIT_WAY");

	return way && strcmp(way, "ring") == 0;
}

void run_receiving(struct scene *scene, const size_t *lengths, size_t count)
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

SCENE_TEST(b08, b08_lists_of_one_size_arrive_as_they_were_sent, UDP_4, true)
{
	struct iovec lists[40][4];
	size_t lengths[40];

	cr_assert_eq(sluice_batch_begin(scene->fixture.engine), 0);
	for (size_t i = 0; i < 40; i++) {
		lists[i][0] = segment(scene->bytes + i, 10 + i);
		lists[i][1] = segment(NULL, 0);
		lists[i][2] = segment(scene->bytes + i + 10 + i, 90 - i);
		lists[i][3] = segment(scene->bytes, 0);
		lengths[i] = 100;
		cr_assert_eq(sluice_args_set_buffer_list(&scene->operations[i].args, lists[i], 4),
			     0);
		cr_assert_eq(start(sluice_send_async, scene->post.socket, &scene->operations[i]),
			     1);
	}
	cr_assert_eq(sluice_batch_end(scene->fixture.engine), 0);
	run_receiving(scene, lengths, 40);
}

/* ---- how they leave ---- */

void same_lengths(size_t *lengths, size_t count, size_t length)
{
	for (size_t i = 0; i < count; i++)
		lengths[i] = length;
}

SCENE_TEST(b08, b08_a_burst_of_one_size_is_one_send_for_64_kib, UDP_4, true)
{
	struct sluice_engine_statistics before, after;
	size_t lengths[108];

	same_lengths(lengths, 108, 1200);
	before = scene_statistics(scene);
	batch(scene, lengths, 108);
	run_receiving(scene, lengths, 108);
	after = scene_statistics(scene);
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
	before = scene_statistics(scene);
	batch(scene, lengths, 128);
	run_receiving(scene, lengths, 128);
	after = scene_statistics(scene);
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
	before = scene_statistics(scene);
	batch(scene, lengths, 60);
	run_receiving(scene, lengths, 60);
	after = scene_statistics(scene);
	cr_assert_eq(after.inline_bursts - before.inline_bursts, ring_forced() ? 0 : 1);
	cr_assert_eq(after.ring_bursts - before.ring_bursts, ring_forced() ? 1 : 0);
	cr_assert_eq(after.inline_sends, before.inline_sends);
}
