/* SPDX-License-Identifier: MIT */
/* Datagrams that are queued together: what goes wrong belongs to one of them; where each of them goes. */
#include "contract_b_gso.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
SCENE_TEST(b08, b08_where_the_kernel_will_not_cut_up_each_leaves_by_itself, UDP_4, true)
{
	struct sluice_engine_statistics statistics;
	size_t lengths[100];
	int on = 1;

	cr_assert_eq(setsockopt(sluice_socket_fd(scene->post.socket), SOL_SOCKET, SO_NO_CHECK, &on,
				sizeof on),
		     0);
	same_lengths(lengths, 100, 700);
	for (int round = 0; round < 3; round++) {
		batch(scene, lengths, 100);
		run_receiving(scene, lengths, 100);
	}
	statistics = scene_statistics(scene);
	cr_assert_eq(statistics.gso_refused, has_gso(scene) ? 1 : 0,
		     "it was tried %llu times in vain", (unsigned long long)statistics.gso_refused);
	cr_assert_eq(statistics.gso_sends, 0);
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

SCENE_TEST(c13, c13_broadcast_is_denied_to_each_without_the_option_and_arrives_with_it, UDP_4,
	   false)
{
	struct sockaddr_in *to = (struct sockaddr_in *)&scene->post.to;
	struct sockaddr_in any;
	size_t lengths[8];
	int on = 1;

	any = *to;
	any.sin_addr.s_addr = htonl(INADDR_ANY);
	any.sin_port = 0;
	close(scene->post.peer);
	scene->post.peer = new_socket(AF_INET, SOCK_DGRAM);
	cr_assert_eq(bind(scene->post.peer, (struct sockaddr *)&any, sizeof any), 0);
	to->sin_port = htons(port_of(scene->post.peer));
	to->sin_addr.s_addr = htonl(0x7fffffff); /* 127.255.255.255 */
	same_lengths(lengths, 8, 64);

	batch(scene, lengths, 8);
	run_until(&scene->fixture, scene->fixture.pending == 0);
	for (size_t i = 0; i < 8; i++)
		assert_ended(&scene->operations[i], SLUICE_ERROR_ACCESS_DENIED, 0);
	assert_nothing_to_read(scene->post.peer);

	cr_assert_eq(setsockopt(sluice_socket_fd(scene->post.socket), SOL_SOCKET, SO_BROADCAST, &on,
				sizeof on),
		     0);
	batch(scene, lengths, 8);
	run_receiving(scene, lengths, 8);
}

SCENE_TEST(c13, c13_multicast_reaches_every_member, UDP_4, false)
{
	struct sockaddr_in *to = (struct sockaddr_in *)&scene->post.to;
	struct in_addr loopback_interface = {htonl(INADDR_LOOPBACK)};
	struct ip_mreq membership = {.imr_interface = loopback_interface};
	struct sockaddr_in any = {.sin_family = AF_INET};
	size_t lengths[10];
	int on = 1, members[2];

	inet_aton("239.193.7.11", &membership.imr_multiaddr);
	close(scene->post.peer);
	for (int i = 0; i < 2; i++) {
		members[i] = new_socket(AF_INET, SOCK_DGRAM);
		cr_assert_eq(setsockopt(members[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
		cr_assert_eq(bind(members[i], (struct sockaddr *)&any, sizeof any), 0);
		any.sin_port = htons(port_of(members[0]));
		if (setsockopt(members[i], IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership,
			       sizeof membership) < 0)
			cr_skip("no multicast on loopback: %s", strerror(errno));
	}
	cr_assert_eq(setsockopt(sluice_socket_fd(scene->post.socket), IPPROTO_IP, IP_MULTICAST_IF,
				&loopback_interface, sizeof loopback_interface),
		     0);
	to->sin_addr = membership.imr_multiaddr;
	to->sin_port = any.sin_port;
	same_lengths(lengths, 10, 333);
	batch(scene, lengths, 10);
	for (int i = 0; i < 2; i++) {
		scene->post.peer = members[i];
		run_receiving(scene, lengths, 10);
	}
	close(members[0]);
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

SCENE_TEST(c13, c13_a_connect_that_fails_in_its_turn_leaves_the_remote_as_it_was, UDP_4, true)
{
	struct sockaddr_in nowhere = loopback(9);
	struct operation connecting;

	nowhere.sin_addr.s_addr = htonl(0x7fffffff); /* broadcast, without the option */
	operation_init(&connecting, &scene->fixture);
	cr_assert_eq(sluice_batch_begin(scene->fixture.engine), 0);
	cr_assert_eq(send_number(scene, 0, 50), 1);
	cr_assert_eq(start_connect(scene->post.socket, &connecting, &nowhere), 1);
	cr_assert_eq(send_number(scene, 1, 50), 1);
	cr_assert_eq(sluice_batch_end(scene->fixture.engine), 0);
	run_until(&scene->fixture, scene->fixture.pending == 0);
	assert_ended(&connecting, SLUICE_ERROR_ACCESS_DENIED, 0);
	for (size_t i = 0; i < 2; i++) {
		assert_ended(&scene->operations[i], SLUICE_ERROR_SUCCESS, 50);
		receive_number(scene, i, 50);
	}
}

/* The sends of one batch are in the order of their starts whatever their destinations are. */
SCENE_TEST(c13, c13_each_datagram_of_a_batch_reaches_its_own_remote, UDP_4, true)
{
	struct post posts[2];
	size_t at = 0;

	posts[0] = scene->post;
	posts[1] = (struct post){.kind = UDP_4};
	address_of_receiver(&posts[1]);
	cr_assert_eq(sluice_batch_begin(scene->fixture.engine), 0);
	for (size_t i = 0; i < 60; i++) {
		scene->post.connected = i % 3 != 0;
		scene->post.to = posts[1].to;
		cr_assert_eq(send_number(scene, i, 50), 1);
	}
	cr_assert_eq(sluice_batch_end(scene->fixture.engine), 0);
	run_until(&scene->fixture, scene->fixture.pending == 0);
	for (int other = 0; other < 2; other++) {
		scene->post.peer = posts[other].peer;
		for (at = 0; at < 60; at++) {
			assert_ended(&scene->operations[at], SLUICE_ERROR_SUCCESS, 50);
			if ((at % 3 == 0) == (other == 1))
				receive_number(scene, at, 50);
		}
		assert_nothing_to_read(scene->post.peer);
	}
	close(posts[0].peer);
}
