/* SPDX-License-Identifier: MIT */
/* e01: receive_from, a datagram and who sent it. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* A receiver of the engine's, and a sender. */
struct scene {
	struct fixture fixture;
	struct sluice_socket *receiver;
	struct sockaddr_storage to;
	socklen_t to_length;
	int sender;
};

/* A record with memory for the bytes and for the address, with a guard after each. */
struct letter {
	struct operation operation;
	struct sockaddr_storage from;
	unsigned char bytes[4096];
};

static void scene_begin(struct scene *scene, int family)
{
	struct sockaddr_storage any;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(&any, 0, sizeof any);
	any.ss_family = (sa_family_t)family;
	if (family == AF_INET)
		((struct sockaddr_in *)&any)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (family == AF_INET6)
		((struct sockaddr_in6 *)&any)->sin6_addr = in6addr_loopback;
	scene->to_length = family == AF_INET    ? sizeof(struct sockaddr_in)
			   : family == AF_INET6 ? sizeof(struct sockaddr_in6)
						: sizeof(sa_family_t);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, scene->to_length) < 0) {
		close(fd);
		cr_skip("no such address here: %s", strerror(errno));
	}
	close(fd); /* it is bound anew below, with the fixture counting */
	fixture_begin(&scene->fixture);
	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&any, scene->to_length), 0);
	scene->sender = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(scene->sender, (struct sockaddr *)&any, scene->to_length), 0);
	scene->to_length = sizeof scene->to;
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&scene->to, &scene->to_length), 0);
	scene->receiver = attach(&scene->fixture, fd);
}

static void scene_end(struct scene *scene)
{
	sluice_socket_destroy(scene->receiver);
	close(scene->sender);
	fixture_end(&scene->fixture);
}

static void post(struct scene *scene, size_t length, uint64_t position)
{
	unsigned char *bytes = pattern_new(length, position);

	cr_assert_eq(sendto(scene->sender, bytes, length, 0, (struct sockaddr *)&scene->to,
			    scene->to_length),
		     (ssize_t)length);
	free(bytes);
}

static void letter_init(struct letter *letter, struct fixture *fixture, size_t room)
{
	memset(letter->bytes, 0xee, sizeof letter->bytes);
	memset(&letter->from, 0xee, sizeof letter->from);
	operation_init(&letter->operation, fixture);
	letter->operation.args.from_address = (struct sockaddr *)&letter->from;
	letter->operation.args.from_capacity = sizeof letter->from;
	cr_assert_eq(sluice_args_set_receive_buffer(&letter->operation.args, letter->bytes,
						    sizeof letter->bytes, 0, (int64_t)room),
		     0);
}

static int start_from(struct scene *scene, struct letter *letter)
{
	return start(sluice_receive_from_async, scene->receiver, &letter->operation);
}

static void assert_bytes(const struct letter *letter, size_t length, uint64_t position)
{
	cr_assert(pattern_matches(letter->bytes, length, position));
	for (size_t i = length; i < sizeof letter->bytes; i++)
		cr_assert_eq(letter->bytes[i], 0xee, "byte %zu was written", i);
}

/* The sender's own address, whole. */
static void assert_from(const struct scene *scene, const struct letter *letter)
{
	struct sockaddr_storage own;
	socklen_t length = sizeof own;

	cr_assert_eq(getsockname(scene->sender, (struct sockaddr *)&own, &length), 0);
	cr_assert_eq(letter->operation.args.from_length, length);
	cr_assert_arr_eq((const char *)&letter->from, (const char *)&own, length);
}

static void assert_letter(const struct scene *scene, const struct letter *letter, int32_t error,
			  size_t length, uint64_t position)
{
	assert_ended(&letter->operation, error, length);
	cr_assert_eq(letter->operation.args.last_operation, SLUICE_OPERATION_RECEIVE_FROM);
	assert_bytes(letter, length, position);
	assert_from(scene, letter);
}

static const int families[] = {AF_INET, AF_INET6, AF_UNIX};

Test(e01, e01_receive_from_tells_the_sender_of_what_has_come)
{
	struct scene scene;
	struct letter letter;

	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		scene_begin(&scene, families[i]);
		post(&scene, 1000, 3);
		letter_init(&letter, &scene.fixture, 2000);
		cr_assert_eq(start_from(&scene, &letter), 0);
		assert_letter(&scene, &letter, SLUICE_ERROR_SUCCESS, 1000, 3);
		scene_end(&scene);
	}
}

SCENE_TEST(a01, a01_a_pending_receive_from_writes_the_address_where_its_start_said, AF_INET)
{
	struct letter letters[2];
	struct sockaddr_storage elsewhere;

	memset(&elsewhere, 0xee, sizeof elsewhere);
	for (size_t i = 0; i < 2; i++) {
		letter_init(&letters[i], &scene->fixture, 2000);
		cr_assert_eq(start_from(scene, &letters[i]), 1);
	}
	for (size_t i = 0; i < 2; i++) {
		letters[i].operation.args.from_address = (struct sockaddr *)&elsewhere;
		letters[i].operation.args.from_capacity = 1;
		post(scene, 1000, 3);
	}
	run_until(&scene->fixture,
		  is_over(&letters[0].operation) && is_over(&letters[1].operation));
	for (size_t i = 0; i < 2; i++)
		assert_letter(scene, &letters[i], SLUICE_ERROR_SUCCESS, 1000, 3);
	for (size_t i = 0; i < sizeof elsewhere; i++)
		cr_assert_eq(((unsigned char *)&elsewhere)[i], 0xee);
}

Test(e01, e01_receive_from_waits_for_what_comes)
{
	struct scene scene;
	struct letter letter;

	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		scene_begin(&scene, families[i]);
		for (int round = 0; round < 3; round++) {
			letter_init(&letter, &scene.fixture, 2000);
			cr_assert_eq(start_from(&scene, &letter), 1);
			run_idle(&scene.fixture);
			post(&scene, 1000, 3);
			run_until(&scene.fixture, is_over(&letter.operation));
			assert_letter(&scene, &letter, SLUICE_ERROR_SUCCESS, 1000, 3);
		}
		scene_end(&scene);
	}
}

SCENE_TEST(e01, e01_receives_from_are_served_in_order, AF_INET)
{
	struct letter letters[10];

	for (size_t i = 0; i < 10; i++) {
		letter_init(&letters[i], &scene->fixture, 100);
		cr_assert_eq(start_from(scene, &letters[i]), 1);
	}
	for (size_t i = 0; i < 10; i++)
		post(scene, i, i);
	run_until(&scene->fixture, scene->fixture.pending == 0);
	for (size_t i = 0; i < 10; i++)
		assert_letter(scene, &letters[i], SLUICE_ERROR_SUCCESS, i, i);
}

/* .NET: MessageSize, and the bytes that fit; the rest is lost. */
Test(e01, e01_a_datagram_larger_than_its_room_is_message_size_with_what_fits)
{
	struct scene scene;
	struct letter letter;

	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		for (int pending = 0; pending < 2; pending++) {
			scene_begin(&scene, families[i]);
			letter_init(&letter, &scene.fixture, 10);
			if (!pending)
				post(&scene, 500, 7);
			cr_assert_eq(start_from(&scene, &letter), pending);
			if (pending)
				post(&scene, 500, 7);
			run_until(&scene.fixture, is_over(&letter.operation));
			assert_letter(&scene, &letter, SLUICE_ERROR_MESSAGE_SIZE, 10, 7);
			cr_assert_eq(letter.operation.args.native_error, EMSGSIZE);

			/* The record is as new, and so is the next datagram. */
			post(&scene, 10, 9);
			letter_init(&letter, &scene.fixture, 10);
			cr_assert_eq(start_from(&scene, &letter), 0);
			assert_letter(&scene, &letter, SLUICE_ERROR_SUCCESS, 10, 9);
			scene_end(&scene);
		}
	}
}

Test(e01, e01_an_address_larger_than_its_room_is_cut_and_tells_its_length)
{
	struct scene scene;
	struct letter letter;
	struct sockaddr_in own;
	socklen_t length = sizeof own;

	for (int pending = 0; pending < 2; pending++) {
		scene_begin(&scene, AF_INET);
		cr_assert_eq(getsockname(scene.sender, (struct sockaddr *)&own, &length), 0);
		letter_init(&letter, &scene.fixture, 100);
		letter.operation.args.from_capacity = 4;
		if (!pending)
			post(&scene, 5, 0);
		cr_assert_eq(start_from(&scene, &letter), pending);
		if (pending)
			post(&scene, 5, 0);
		run_until(&scene.fixture, is_over(&letter.operation));
		assert_ended(&letter.operation, SLUICE_ERROR_SUCCESS, 5);
		cr_assert_eq(letter.operation.args.from_length, sizeof own);
		cr_assert_arr_eq((char *)&letter.from, (char *)&own, 4);
		cr_assert_eq(((unsigned char *)&letter.from)[4], 0xee);
		cr_assert_eq(letter.operation.args.from_capacity, 4);
		scene_end(&scene);
	}
}

SCENE_TEST(e01, e01_receive_from_takes_empty_datagrams, AF_INET)
{
	struct letter letter;

	post(scene, 0, 0);
	letter_init(&letter, &scene->fixture, 100);
	cr_assert_eq(start_from(scene, &letter), 0);
	assert_letter(scene, &letter, SLUICE_ERROR_SUCCESS, 0, 0);
}

Test(e01, e01_receive_from_fills_a_list)
{
	struct scene scene;
	struct letter letter;
	struct iovec list[4];

	for (int pending = 0; pending < 2; pending++) {
		scene_begin(&scene, AF_INET);
		letter_init(&letter, &scene.fixture, 100);
		list[0] = segment(letter.bytes, 0);
		list[1] = segment(letter.bytes, 10);
		list[2] = segment(letter.bytes + 10, 20);
		list[3] = segment(letter.bytes + 30, 40);
		cr_assert_eq(sluice_args_set_receive_buffer(&letter.operation.args, NULL, 0, 0, 0),
			     0);
		cr_assert_eq(sluice_args_set_buffer_list(&letter.operation.args, list, 4), 0);
		if (!pending)
			post(&scene, 70, 1);
		cr_assert_eq(start_from(&scene, &letter), pending);
		if (pending)
			post(&scene, 70, 1);
		run_until(&scene.fixture, is_over(&letter.operation));
		assert_letter(&scene, &letter, SLUICE_ERROR_SUCCESS, 70, 1);
		scene_end(&scene);
	}
}

SCENE_TEST(e01, e01_receive_from_with_peek_leaves_the_datagram, AF_INET)
{
	struct letter letter;

	post(scene, 20, 4);
	for (int round = 0; round < 3; round++) {
		letter_init(&letter, &scene->fixture, 100);
		letter.operation.args.flags = round < 2 ? SLUICE_FLAG_PEEK : 0;
		cr_assert_eq(start_from(scene, &letter), 0);
		assert_letter(scene, &letter, SLUICE_ERROR_SUCCESS, 20, 4);
	}
	letter_init(&letter, &scene->fixture, 100);
	cr_assert_eq(start_from(scene, &letter), 1);
	cr_assert_eq(sluice_cancel(scene->receiver, &letter.operation.args), 0);
	run_until(&scene->fixture, is_over(&letter.operation));
}

SCENE_TEST(e01, e01_receive_from_without_room_waits_and_takes_nothing, AF_INET)
{
	struct letter letter;

	letter_init(&letter, &scene->fixture, 0);
	cr_assert_eq(start_from(scene, &letter), 1);
	post(scene, 20, 4);
	run_until(&scene->fixture, is_over(&letter.operation));
	assert_ended(&letter.operation, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_eq(letter.operation.args.from_length, 0);
	letter_init(&letter, &scene->fixture, 100);
	cr_assert_eq(start_from(scene, &letter), 0);
	assert_letter(scene, &letter, SLUICE_ERROR_SUCCESS, 20, 4);
}

SCENE_TEST(e01, e01_who_has_no_name_is_told_as_none, AF_UNIX)
{
	struct letter letter;

	close(scene->sender);
	scene->sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	post(scene, 20, 4);
	letter_init(&letter, &scene->fixture, 100);
	cr_assert_eq(start_from(scene, &letter), 0);
	assert_ended(&letter.operation, SLUICE_ERROR_SUCCESS, 20);
	cr_assert_eq(letter.operation.args.from_length, 0);
}

PAIR_TEST(e01, e01_a_stream_tells_no_sender, tcp_pair, 0)
{
	struct letter letter;

	letter_init(&letter, fixture, 100);
	cr_assert_eq(start(sluice_receive_from_async, pair->socket, &letter.operation), 1);
	write_pattern(pair->peer, 50, 0);
	run_until(fixture, is_over(&letter.operation));
	assert_ended(&letter.operation, SLUICE_ERROR_SUCCESS, 50);
	cr_assert_eq(letter.operation.args.from_length, 0);
}

SCENE_TEST(e01, e01_receive_from_refuses_what_it_cannot_do, AF_INET)
{
	struct letter letter;
	struct sluice_args *args = &letter.operation.args;
	struct sluice_socket *listener;

	letter_init(&letter, &scene->fixture, 100);
	cr_assert_eq(sluice_receive_from_async(NULL, args), -EINVAL);
	cr_assert_eq(sluice_receive_from_async(scene->receiver, NULL), -EINVAL);
	args->from_address = NULL;
	cr_assert_eq(start_from(scene, &letter), -EINVAL);
	letter_init(&letter, &scene->fixture, 100);
	args->from_capacity = 0;
	cr_assert_eq(start_from(scene, &letter), -EINVAL);
	letter_init(&letter, &scene->fixture, 100);
	args->flags = SLUICE_FLAG_DONT_ROUTE;
	cr_assert_eq(start_from(scene, &letter), -EOPNOTSUPP);
	letter_init(&letter, &scene->fixture, 100);
	cr_assert_eq(sluice_args_set_receive_buffer(args, NULL, 0, 0, 0), 0);
	cr_assert_eq(start_from(scene, &letter), -EINVAL);
	cr_assert_eq(sluice_args_set_buffer(args, letter.bytes, 10, 0, 10), 0);
	cr_assert_eq(start_from(scene, &letter), -EINVAL);

	letter_init(&letter, &scene->fixture, 100);
	listener = attach(&scene->fixture, listen_tcp(0));
	cr_assert_eq(start(sluice_receive_from_async, listener, &letter.operation), -ENOTCONN);
	sluice_socket_destroy(listener);
	cr_assert_eq(sluice_socket_close(scene->receiver), 0);
	cr_assert_eq(start_from(scene, &letter), -EBADF);
}

/* ---- cancelled ---- */

enum end {
	CANCEL,
	DEADLINE,
	CLOSE,
	CANCEL_ALL,
	ENDS
};

static void end_it(struct scene *scene, struct letter *letter, enum end end)
{
	if (end == CANCEL)
		cr_assert_eq(sluice_cancel(scene->receiver, &letter->operation.args), 0);
	else if (end == CLOSE)
		cr_assert_eq(sluice_socket_close(scene->receiver), 0);
	else if (end == CANCEL_ALL)
		cr_assert_eq(sluice_socket_cancel_all(scene->receiver), 0);
}

Test(e02, e02_a_receive_from_is_given_up_as_any_other)
{
	struct scene scene;
	struct letter letters[2];

	for (enum end end = CANCEL; end < ENDS; end++) {
		int32_t error = end == DEADLINE ? SLUICE_ERROR_TIMED_OUT
						: SLUICE_ERROR_OPERATION_ABORTED;

		scene_begin(&scene, AF_INET);
		for (int i = 0; i < 2; i++) {
			letter_init(&letters[i], &scene.fixture, 100);
			if (end == DEADLINE && i == 0)
				letters[i].operation.args.timeout_ns = 5 * MILLISECOND;
			cr_assert_eq(start_from(&scene, &letters[i]), 1);
		}
		run_for(&scene.fixture, 0);
		end_it(&scene, &letters[0], end);
		run_until(&scene.fixture, is_over(&letters[0].operation));
		assert_ended(&letters[0].operation, error, 0);
		cr_assert_eq(letters[0].operation.args.from_length, 0);
		assert_bytes(&letters[0], 0, 0);
		if (end == CANCEL || end == DEADLINE) {
			post(&scene, 30, 6);
			run_until(&scene.fixture, is_over(&letters[1].operation));
			assert_letter(&scene, &letters[1], SLUICE_ERROR_SUCCESS, 30, 6);
		}
		run_until(&scene.fixture, scene.fixture.pending == 0);
		scene_end(&scene);
	}
}

/* A receive with the sender, one without, one that only looks: each as it was started. */
SCENE_TEST(e01, e01_receives_of_all_kinds_take_turns, AF_INET)
{
	struct letter letters[6];

	for (size_t i = 0; i < 6; i++) {
		letter_init(&letters[i], &scene->fixture, 100);
		cr_assert_eq(start(i % 2 ? sluice_receive_async : sluice_receive_from_async,
				   scene->receiver, &letters[i].operation),
			     1);
	}
	for (size_t i = 0; i < 6; i++)
		post(scene, 10 + i, i);
	run_until(&scene->fixture, scene->fixture.pending == 0);
	for (size_t i = 0; i < 6; i++) {
		assert_ended(&letters[i].operation, SLUICE_ERROR_SUCCESS, 10 + i);
		assert_bytes(&letters[i], 10 + i, i);
		if (i % 2 == 0)
			assert_from(scene, &letters[i]);
		else
			cr_assert_eq(((unsigned char *)&letters[i].from)[0], 0xee);
	}
}
