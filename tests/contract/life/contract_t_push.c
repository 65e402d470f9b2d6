/* SPDX-License-Identifier: MIT */
/*
 * The end of a stream that the kernel encrypts. The kernel's TLS is played by a filter that says what
 * it says: the kernel keeps a part of what it took, or does not take the end yet.
 */
#include "support.h"

#include <errno.h>
#include <sluice/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct keeper {
	int fd;
	bool full;  /* does not take the end */
	bool keeps; /* FIN would lose some of what it took */
	bool unended;
	uint64_t taken; /* as it was told */
	int looks;
};

static int keeper_open(void *token, uint32_t *ret_events)
{
	(void)token;
	*ret_events = SLUICE_FILTER_READ;
	return 0;
}

static int64_t keeper_seal(void *token, const struct iovec *segments, size_t count, uint32_t flags)
{
	(void)token;
	(void)segments;
	(void)count;
	(void)flags;
	return -EPROTO;
}

static size_t keeper_output(void *token, const void **ret_base)
{
	(void)token;
	(void)ret_base;
	return 0;
}

static uint64_t keeper_sent(void *token, size_t bytes)
{
	(void)token;
	return bytes;
}

/* The alert is one byte. */
static void keeper_end(void *token)
{
	struct keeper *keeper = token;

	keeper->unended = keeper->full;
	if (!keeper->full)
		send(keeper->fd, "!", 1, MSG_NOSIGNAL);
}

static int64_t keeper_receive(void *token, const struct iovec *segments, size_t count,
			      uint32_t flags)
{
	const struct keeper *keeper = token;
	ssize_t got = recv(keeper->fd, segments->iov_base, segments->iov_len, MSG_DONTWAIT);

	(void)count;
	(void)flags;
	return got < 0 ? -errno : got;
}

static int keeper_pending(void *token)
{
	(void)token;
	return 0;
}

static void keeper_destroy(void *token)
{
	(void)token;
}

static int keeper_unended(void *token)
{
	const struct keeper *keeper = token;

	return keeper->unended;
}

static int keeper_unpushed(void *token, uint64_t bytes)
{
	struct keeper *keeper = token;

	keeper->taken = bytes;
	keeper->looks++;
	return keeper->keeps;
}

static struct keeper *opened;

static int open_keeper(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice_filter filter = {
		.size = sizeof filter,
		.token = opened,
		.open = keeper_open,
		.seal = keeper_seal,
		.output = keeper_output,
		.sent = keeper_sent,
		.end = keeper_end,
		.receive = keeper_receive,
		.pending = keeper_pending,
		.destroy = keeper_destroy,
		.unended = keeper_unended,
		.unpushed = keeper_unpushed,
	};

	return sluice_filter_async(socket, &filter, args);
}

struct scene {
	struct fixture fixture;
	struct pair pair;
	struct keeper keeper;
};

/* A connection, before the filter some bytes that do not count, and then three that do. */
static void scene_begin(struct scene *scene, int64_t close_linger_ns)
{
	struct sluice_options options;
	struct operation early, handshake, send;

	sluice_options_init(&options, sizeof options);
	if (close_linger_ns)
		options.close_linger_ns = close_linger_ns;
	*scene = (struct scene){0};
	fixture_begin_with(&scene->fixture, &options);
	tcp_pair(&scene->fixture, &scene->pair, 0);
	scene->keeper.fd = sluice_socket_fd(scene->pair.socket);
	operation_init(&early, &scene->fixture);
	operation_init(&handshake, &scene->fixture);
	operation_init(&send, &scene->fixture);
	run_send(scene->pair.socket, &early, "hello ", 6);
	opened = &scene->keeper;
	run_start(open_keeper, scene->pair.socket, &handshake);
	assert_ended(&handshake, SLUICE_ERROR_SUCCESS, 0);
	run_send(scene->pair.socket, &send, "abc", 3);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, 3);
}

static void scene_end(struct scene *scene)
{
	pair_close(&scene->pair);
	fixture_end(&scene->fixture);
}

/* What has come is what is expected, and no FIN. */
static void assert_come(struct scene *scene, const char *expected)
{
	char got[32];
	ssize_t length = recv(scene->pair.peer, got, sizeof got, MSG_DONTWAIT);

	cr_assert_eq(length, (ssize_t)strlen(expected));
	cr_assert_arr_eq(got, expected, strlen(expected));
	cr_assert_eq(recv(scene->pair.peer, got, sizeof got, MSG_DONTWAIT), -1, "FIN has come");
	cr_assert_eq(errno, EAGAIN);
}

static bool is_at_end(struct scene *scene)
{
	char byte;
	ssize_t got = recv(scene->pair.peer, &byte, 1, MSG_DONTWAIT);

	cr_assert_leq(got, 0);
	return got == 0;
}

/* A look calls no handler, so run does not return for it. */
#define run_shortly_until(scene, condition)                               \
	do {                                                              \
		int64_t deadline = now_ns() + GUARD_NS;                   \
		while (!(condition)) {                                    \
			cr_assert(now_ns() < deadline, "no " #condition); \
			run_for(&(scene)->fixture, MILLISECOND);          \
		}                                                         \
	} while (0)

/* Until it has looked so often again. */
static void run_looks(struct scene *scene, int count)
{
	count += scene->keeper.looks;
	run_shortly_until(scene, scene->keeper.looks >= count);
}

static void run_to_end(struct scene *scene)
{
	run_shortly_until(scene, is_at_end(scene));
}

SCENE_TEST(t07, t07_close_sends_fin_when_the_kernel_has_pushed_what_it_took, 0)
{
	scene->keeper.keeps = true;
	cr_assert_eq(sluice_socket_close(scene->pair.socket), 0);
	run_looks(scene, 3);
	assert_come(scene, "hello abc!");
	cr_assert_eq(scene->keeper.taken, 3);
	scene->keeper.keeps = false;
	run_to_end(scene);
}

SCENE_TEST(t07, t07_close_tells_the_end_again_if_the_socket_was_full, 0)
{
	scene->keeper.full = true;
	cr_assert_eq(sluice_socket_close(scene->pair.socket), 0);
	for (int i = 0; i < 5; i++)
		run_for(&scene->fixture, MILLISECOND);
	assert_come(scene, "hello abc");
	scene->keeper.full = false;
	scene->keeper.keeps = true;
	run_looks(scene, 2);
	assert_come(scene, "!");
	scene->keeper.keeps = false;
	run_to_end(scene);
}

SCENE_TEST(t07, t07_close_waits_for_the_push_no_longer_than_it_lingers, 20 * MILLISECOND)
{
	int64_t begun = now_ns();
	char got[32];

	scene->keeper.keeps = true;
	cr_assert_eq(sluice_socket_close(scene->pair.socket), 0);
	cr_assert_eq(recv(scene->pair.peer, got, sizeof got, MSG_DONTWAIT), 10);
	run_to_end(scene);
	cr_assert_geq(now_ns() - begun, 20 * MILLISECOND);
}

SCENE_TEST(t07, t07_an_engine_that_ends_does_not_wait_for_the_push, -1)
{
	scene->keeper.keeps = true;
	cr_assert_eq(sluice_socket_close(scene->pair.socket), 0);
	run_looks(scene, 1);
	assert_come(scene, "hello abc!");
	sluice_socket_destroy(scene->pair.socket);
	scene->pair.socket = NULL;
	cr_assert_eq(sluice_engine_destroy(scene->fixture.engine), 0);
	scene->fixture.engine = NULL;
	cr_assert(is_at_end(scene));
}

SCENE_TEST(t07, t07_a_disconnect_ends_when_the_kernel_has_pushed_what_it_took, 0)
{
	struct operation disconnect;

	scene->keeper.keeps = true;
	operation_init(&disconnect, &scene->fixture);
	cr_assert_eq(start(sluice_disconnect_async, scene->pair.socket, &disconnect), 1);
	run_looks(scene, 3);
	assert_come(scene, "hello abc!");
	cr_assert(!is_over(&disconnect));
	scene->keeper.keeps = false;
	run_until(&scene->fixture, is_over(&disconnect));
	assert_ended(&disconnect, SLUICE_ERROR_SUCCESS, 0);
	cr_assert(is_at_end(scene));
}

SCENE_TEST(t07, t07_a_shutdown_ends_sends_at_once_and_the_stream_after_the_push, 0)
{
	struct operation late;

	scene->keeper.keeps = true;
	operation_init(&late, &scene->fixture);
	cr_assert_eq(sluice_socket_shutdown(scene->pair.socket, SHUT_WR), 0);
	run_send(scene->pair.socket, &late, "late", 4);
	assert_ended(&late, SLUICE_ERROR_SHUTDOWN, 0);
	run_looks(scene, 2);
	assert_come(scene, "hello abc!");
	scene->keeper.keeps = false;
	run_to_end(scene);
}

SCENE_TEST(t07, t07_a_close_behind_a_shutdown_waits_for_the_push_too, 0)
{
	scene->keeper.keeps = true;
	cr_assert_eq(sluice_socket_shutdown(scene->pair.socket, SHUT_WR), 0);
	run_looks(scene, 1);
	cr_assert_eq(sluice_socket_close(scene->pair.socket), 0);
	run_looks(scene, 2);
	assert_come(scene, "hello abc!");
	scene->keeper.keeps = false;
	run_to_end(scene);
}

SCENE_TEST(t07, t07_the_end_flag_of_packets_sends_fin_after_the_push, 0)
{
	struct operation packets;
	struct sluice_packet packet = {.kind = SLUICE_PACKET_MEMORY, .base = "def", .count = 3};

	scene->keeper.keeps = true;
	operation_init(&packets, &scene->fixture);
	packets.args.transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
	cr_assert_eq(sluice_args_set_packets(&packets.args, &packet, 1), 0);
	run_start(sluice_send_packets_async, scene->pair.socket, &packets);
	assert_ended(&packets, SLUICE_ERROR_SUCCESS, 3);
	run_looks(scene, 2);
	assert_come(scene, "hello abcdef!");
	cr_assert_eq(scene->keeper.taken, 6);
	scene->keeper.keeps = false;
	run_to_end(scene);
}

/* A reset connection has nothing left to push. */
SCENE_TEST(t07, t07_a_close_of_a_reset_connection_does_not_wait, -1)
{
	scene->keeper.keeps = true;
	close_with_reset(scene->pair.peer);
	scene->pair.peer = -1;
	cr_assert_eq(sluice_socket_close(scene->pair.socket), 0);
	run_shortly_until(scene, sluice_socket_fd(scene->pair.socket) < 0);
}
