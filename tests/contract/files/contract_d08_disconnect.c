/* SPDX-License-Identifier: MIT */
/* d08: what the transmit flags do after the last byte. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "files.h"

static int send_text(struct scene *scene, struct operation *operation)
{
	operation_init(operation, &scene->fixture);
	return start_send(scene->pair.socket, operation, "text", 4);
}

/* b03: after a connection has ended nothing is refused; it completes with Shutdown. */
static void assert_ended_for_good(struct scene *scene)
{
	struct sockaddr_in nowhere = loopback(1);
	struct sluice_packet packet = memory_packet("x", 1);
	struct operation operation;

	cr_assert_eq(send_text(scene, &operation), 0);
	assert_ended(&operation, SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert_eq(start_packets(scene->pair.socket, &operation, &packet, 1), 0);
	assert_ended(&operation, SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert_eq(start_connect(scene->pair.socket, &operation, &nowhere), -EISCONN);
}

/* Connects the socket to a new peer and asserts that packets arrive there. */
static void assert_connects_again(struct scene *scene, const struct sluice_packet *packets,
				  size_t count, size_t bytes)
{
	int listener = listen_tcp(0);
	struct sockaddr_in address = loopback(port_of(listener));
	struct operation operation;

	cr_assert_eq(send_text(scene, &operation), -ENOTCONN);
	cr_assert(start_connect(scene->pair.socket, &operation, &address) >= 0);
	run_until(&scene->fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	close(scene->pair.peer);
	scene->pair.peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert(scene->pair.peer >= 0);
	close(listener);
	assert_arrives(scene, packets, count, bytes, 0);
}

SCENE_TEST(d08, d08_disconnect_ends_the_stream_after_the_last_byte, 5000, 0)
{
	struct sluice_packet packets[2];
	char head[4];

	packets[0] = memory_packet("head", 4);
	packets[1] = file_packet(scene->file.fd, 0, 0);
	scene->operation.args.transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
	send_packets(scene->pair.socket, &scene->operation, packets, 2);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 5004);
	read_exactly(scene->pair.peer, head, 4);
	read_pattern(scene->pair.peer, 5000, 0);
	assert_end_of_stream(scene->pair.peer);
	assert_ended_for_good(scene);
}

SCENE_TEST(d08, d08_disconnect_waits_for_a_slow_reader, 8 * MIB, SMALL)
{
	struct sluice_packet packets[2];
	struct reader reader;
	char *tail = pattern_new(10, 8 * MIB);

	packets[0] = file_packet(scene->file.fd, 0, 0);
	packets[1] = memory_packet(tail, 10);
	scene->operation.args.transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 2), 1);
	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&scene->operation));
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 8 * MIB + 10);
	reader_join(&reader);
	cr_assert_eq(reader.error, 0);
	cr_assert_eq(reader.bytes, 8 * MIB + 10);
	assert_ended_for_good(scene);
	free(tail);
}

static void assert_empty_disconnects(const struct sluice_packet *packets, size_t count)
{
	struct scene scene;

	scene_begin(&scene, 0, 0);
	scene.operation.args.transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
	send_packets(scene.pair.socket, &scene.operation, packets, count);
	assert_ended(&scene.operation, SLUICE_ERROR_SUCCESS, 0);
	assert_end_of_stream(scene.pair.peer);
	assert_ended_for_good(&scene);
	scene_end(&scene);
}

Test(d08, d08_disconnect_with_no_elements_ends_the_stream_at_once)
{
	struct sluice_packet none[3] = {{0}};

	assert_empty_disconnects(none, 0);
	assert_empty_disconnects(none, 3);
}

/* It takes its place in the queue: FIN behind what was started before it. */
Test(d08, d08_disconnect_with_no_elements_waits_for_what_was_started_before)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation operation;
	struct sluice_packet none = {0};
	struct reader reader;

	files_begin(&fixture, NULL);
	blocked_begin(&fixture, &blocked);
	operation_init(&operation, &fixture);
	operation.args.transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
	cr_assert_eq(start_packets(blocked.pair.socket, &operation, &none, 0), 1);
	reader_start(&reader, blocked.pair.peer, 0);
	run_until(&fixture, is_over(&operation));
	assert_ended(&blocked.head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	reader_join(&reader);
	cr_assert_eq(reader.error, 0);
	cr_assert_eq(reader.bytes, HEAD_BYTES);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

SCENE_TEST(d08, d08_what_is_queued_behind_a_disconnect_completes_with_shutdown, 4 * MIB, SMALL)
{
	struct sluice_packet packet;
	struct operation behind;
	struct reader reader;

	packet = file_packet(scene->file.fd, 0, 0);
	scene->operation.args.transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, &packet, 1), 1);
	cr_assert_eq(send_text(scene, &behind), 1);
	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&behind));
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 4 * MIB);
	assert_ended(&behind, SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert_lt(scene->operation.turn, behind.turn);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, 4 * MIB);
}

SCENE_TEST(d08, d08_a_cancelled_record_does_not_disconnect, 4 * MIB, SMALL)
{
	struct sluice_packet packet;
	struct operation behind;
	struct reader reader;

	packet = file_packet(scene->file.fd, 0, 0);
	scene->operation.args.transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, &packet, 1), 1);
	cr_assert_eq(send_text(scene, &behind), 1);
	cr_assert_eq(sluice_cancel(scene->pair.socket, &scene->operation.args), 0);
	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&behind));
	cr_assert_eq(scene->operation.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 4);
	assert_read_to_end(scene, &reader, scene->operation.args.bytes_transferred + 4);
}

static void assert_reusable(uint32_t transmit_flags)
{
	struct scene scene;
	struct sluice_packet packet;

	scene_begin(&scene, 5000, 0);
	packet = file_packet(scene.file.fd, 0, 0);
	for (int i = 0; i < 3; i++) {
		scene.operation.args.transmit_flags = transmit_flags;
		send_packets(scene.pair.socket, &scene.operation, &packet, 1);
		assert_ended(&scene.operation, SLUICE_ERROR_SUCCESS, 5000);
		read_pattern(scene.pair.peer, 5000, 0);
		assert_end_of_stream(scene.pair.peer);
		scene.operation.args.transmit_flags = 0;
		assert_connects_again(&scene, &packet, 1, 5000);
	}
	scene_end(&scene);
}

Test(d08, d08_reuse_disconnects_and_the_socket_connects_again)
{
	assert_reusable(SLUICE_TRANSMIT_DISCONNECT | SLUICE_TRANSMIT_REUSE_SOCKET);
}

Test(d08, d08_reuse_disconnects_also_alone)
{
	assert_reusable(SLUICE_TRANSMIT_REUSE_SOCKET);
}

/* e01: after a disconnect with reuse the socket is not connected until the next connect. */
SCENE_TEST(d08, d08_after_reuse_sends_are_refused_until_the_next_connect, 0, 0)
{
	struct sluice_packet packet = memory_packet("x", 1);
	struct operation operation;

	scene->operation.args.transmit_flags = SLUICE_TRANSMIT_REUSE_SOCKET;
	send_packets(scene->pair.socket, &scene->operation, &packet, 1);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 1);
	cr_assert_eq(send_text(scene, &operation), -ENOTCONN);
	cr_assert_eq(start_packets(scene->pair.socket, &operation, &packet, 1), -EOPNOTSUPP);
}

SCENE_TEST(d08, d08_flags_that_mean_nothing_here_are_accepted, 5000, 0)
{
	struct sluice_packet packet;

	packet = file_packet(scene->file.fd, 0, 0);
	scene->operation.args.transmit_flags = SLUICE_TRANSMIT_WRITE_BEHIND |
					       SLUICE_TRANSMIT_USE_SYSTEM_THREAD |
					       SLUICE_TRANSMIT_USE_KERNEL_APC;
	assert_arrives(scene, &packet, 1, 5000, 0);
	assert_still_sends(&scene->pair, &scene->fixture);
}
