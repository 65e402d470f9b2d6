/* SPDX-License-Identifier: MIT */
/*
 * d06: files that are shorter than was asked, that shrink and that grow; d07: the descriptor's own
 * position.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

/* ---- past the end ---- */

SCENE_TEST(d06, d06_past_the_end_is_invalid_argument_and_nothing_is_sent, 1024, 0)
{
	static const struct {
		int64_t offset, count;
	} cases[] = {
		{1025, 0},
		{1025, 1},
		{1024, 1},
		{0, 1025},
		{1000, 25},
		{INT64_MAX, 0},
		{0, INT64_MAX},
		{1, INT64_MAX},
		{INT64_MAX, INT64_MAX},
		{INT64_C(1) << 32, 10},
	};
	struct sluice_packet packets[4];

	packets[0] = memory_packet("head", 4);
	packets[1] = path_packet(scene->file.path, 0, 0);
	packets[3] = memory_packet("tail", 4);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		packets[2] = file_packet(scene->file.fd, cases[i].offset, cases[i].count);
		send_packets(scene->pair.socket, &scene->operation, packets, 4);
		assert_ended(&scene->operation, SLUICE_ERROR_INVALID_ARGUMENT, 0);
		cr_assert_eq(scene->operation.args.native_error, EINVAL);
		packets[2] = path_packet(scene->file.path, cases[i].offset, cases[i].count);
		send_packets(scene->pair.socket, &scene->operation, packets, 4);
		assert_ended(&scene->operation, SLUICE_ERROR_INVALID_ARGUMENT, 0);
	}
	run_idle(&scene->fixture);
	assert_nothing_to_read(scene->pair.peer);
	assert_still_sends(&scene->pair, &scene->fixture);
}

/* It fails for itself before its first byte (b08), in its turn. */
Test(d06, d06_past_the_end_ends_alone_and_the_next_goes_on)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation past, next;
	struct sluice_packet packets[2];
	struct file file;
	struct reader reader;

	file_new(&file, 1024, HEAD_BYTES);
	files_begin(&fixture, NULL);
	blocked_begin(&fixture, &blocked);
	operation_init(&past, &fixture);
	operation_init(&next, &fixture);
	packets[0] = file_packet(file.fd, 0, 1025);
	packets[1] = file_packet(file.fd, 0, 1024);
	cr_assert_eq(start_packets(blocked.pair.socket, &past, packets, 1), 1);
	cr_assert_eq(start_packets(blocked.pair.socket, &next, packets + 1, 1), 1);
	reader_start(&reader, blocked.pair.peer, 0);
	run_until(&fixture, is_over(&next));
	assert_ended(&blocked.head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	assert_ended(&past, SLUICE_ERROR_INVALID_ARGUMENT, 0);
	assert_ended(&next, SLUICE_ERROR_SUCCESS, 1024);
	cr_assert_lt(blocked.head.turn, past.turn);
	cr_assert_lt(past.turn, next.turn);
	sluice_socket_close(blocked.pair.socket);
	run_idle(&fixture);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, HEAD_BYTES + 1024);
	blocked_end(&blocked);
	fixture_end(&fixture);
	file_end(&file);
}

/* Whatever the kernel says to who may only write. */
SCENE_TEST(d06, d06_a_descriptor_that_cannot_be_read_ends_alone, 5000, 0)
{
	struct sluice_packet packet;
	int fd, answer;

	fd = open(scene->file.path, O_WRONLY | O_CLOEXEC);
	cr_assert(fd >= 0);
	packet = file_packet(fd, 0, 0);
	answer = start_packets(scene->pair.socket, &scene->operation, &packet, 1);
	if (answer != -EBADF) {
		cr_assert(answer >= 0);
		run_until(&scene->fixture, is_over(&scene->operation));
		cr_assert_neq(scene->operation.args.error, SLUICE_ERROR_SUCCESS);
		cr_assert_eq(scene->operation.args.bytes_transferred, 0);
	}
	close(fd);
	assert_still_sends(&scene->pair, &scene->fixture);
}

SCENE_TEST(d06, d06_a_failed_element_does_not_carry_out_its_disconnect, 100, 0)
{
	struct sluice_packet packet;

	packet = file_packet(scene->file.fd, 101, 0);
	scene->operation.args.transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
	send_packets(scene->pair.socket, &scene->operation, &packet, 1);
	assert_ended(&scene->operation, SLUICE_ERROR_INVALID_ARGUMENT, 0);
	run_idle(&scene->fixture);
	assert_nothing_to_read(scene->pair.peer);
	assert_still_sends(&scene->pair, &scene->fixture);
}

/* ---- shrinking ---- */

/* A file of 8 MiB and a trailer that stand still, and a send behind them. */
struct shrinking {
	struct scene scene;
	struct operation behind;
	struct sluice_packet packets[2];
};

static void shrinking_begin(struct shrinking *shrinking, int64_t count, uint32_t transmit_flags)
{
	struct scene *scene = &shrinking->scene;

	scene_begin(scene, 8 * MIB, SMALL);
	operation_init(&shrinking->behind, &scene->fixture);
	shrinking->packets[0] = file_packet(scene->file.fd, 0, count);
	shrinking->packets[1] = memory_packet("trailer", 7);
	scene->operation.args.transmit_flags = transmit_flags;
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, shrinking->packets, 2),
		     1);
	cr_assert_eq(start_send(scene->pair.socket, &shrinking->behind, "behind", 6), 1);
	run_idle(&scene->fixture);
	cr_assert(!is_over(&scene->operation));
}

/*
 * NoData with what was taken; the peer gets exactly that, then FIN; what was behind and what comes
 * later is Shutdown. What it gets may be zeros where the file is no more: contents go by reference.
 */
static void assert_broken_off(struct shrinking *shrinking)
{
	struct scene *scene = &shrinking->scene;
	struct reader reader;
	uint64_t taken;

	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&shrinking->behind));
	cr_assert(is_over(&scene->operation));
	taken = scene->operation.args.bytes_transferred;
	assert_ended(&scene->operation, SLUICE_ERROR_NO_DATA, taken);
	cr_assert_eq(scene->operation.args.native_error, ENODATA);
	cr_assert_gt(taken, 0);
	cr_assert_lt(taken, 8 * MIB);
	assert_ended(&shrinking->behind, SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert_lt(scene->operation.turn, shrinking->behind.turn);
	cr_assert_eq(cork_of(&scene->pair), 0);

	cr_assert_eq(pthread_join(reader.thread, NULL), 0);
	cr_assert_eq(reader.error, 0, "the peer met: %s", strerror(reader.error));
	cr_assert_eq(reader.bytes, taken);
	cr_assert_eq(start_send(scene->pair.socket, &shrinking->behind, "later", 5), 0);
	assert_ended(&shrinking->behind, SLUICE_ERROR_SHUTDOWN, 0);
}

/* .NET reports success with fewer bytes, and sends the trailer. */
Test(d06, d06_a_file_that_shrinks_while_it_is_sent_is_no_data)
{
	struct shrinking shrinking;

	shrinking_begin(&shrinking, 0, 0);
	cr_assert_eq(ftruncate(shrinking.scene.file.fd, 5 * MIB), 0);
	assert_broken_off(&shrinking);
	scene_end(&shrinking.scene);
}

Test(d06, d06_a_file_that_shrinks_below_an_explicit_count_is_no_data)
{
	struct shrinking shrinking;

	shrinking_begin(&shrinking, 7 * MIB, 0);
	cr_assert_eq(ftruncate(shrinking.scene.file.fd, 5 * MIB), 0);
	assert_broken_off(&shrinking);
	scene_end(&shrinking.scene);
}

Test(d06, d06_a_file_that_is_emptied_while_it_is_sent_is_no_data)
{
	struct shrinking shrinking;

	shrinking_begin(&shrinking, 0, 0);
	cr_assert_eq(ftruncate(shrinking.scene.file.fd, 0), 0);
	assert_broken_off(&shrinking);
	scene_end(&shrinking.scene);
}

Test(d06, d06_a_file_that_shrinks_is_no_data_when_it_is_read_too)
{
	struct shrinking shrinking;

	shrinking_begin(&shrinking, 0, SLUICE_TRANSMIT_COPY);
	cr_assert_eq(ftruncate(shrinking.scene.file.fd, 3 * MIB), 0);
	assert_broken_off(&shrinking);
	scene_end(&shrinking.scene);
}

SCENE_TEST(d06, d06_a_file_that_shrinks_to_just_its_count_is_success, 8 * MIB, SMALL)
{
	struct sluice_packet packet;
	struct reader reader;

	packet = file_packet(scene->file.fd, 0, 5 * MIB);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, &packet, 1), 1);
	cr_assert_eq(ftruncate(scene->file.fd, 5 * MIB), 0);
	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&scene->operation));
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 5 * MIB);
	assert_read_to_end(scene, &reader, 5 * MIB);
	cr_assert_eq(reader.mismatches, 0);
}

/* None of it is sent yet: the stream is complete, and the next record is sent. */
Test(d06, d06_a_file_that_shrinks_before_its_first_byte_ends_alone)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation shrunk, next;
	struct sluice_packet packet;
	struct file file;
	struct reader reader;

	file_new(&file, 100000, 0);
	files_begin(&fixture, NULL);
	blocked_begin(&fixture, &blocked);
	operation_init(&shrunk, &fixture);
	operation_init(&next, &fixture);
	packet = file_packet(file.fd, 0, 0);
	cr_assert_eq(start_packets(blocked.pair.socket, &shrunk, &packet, 1), 1);
	cr_assert_eq(start_send(blocked.pair.socket, &next, "next", 4), 1);
	cr_assert_eq(ftruncate(file.fd, 0), 0);
	reader_start(&reader, blocked.pair.peer, 0);
	run_until(&fixture, is_over(&next));
	assert_ended(&shrunk, SLUICE_ERROR_NO_DATA, 0);
	assert_ended(&next, SLUICE_ERROR_SUCCESS, 4);
	sluice_socket_close(blocked.pair.socket);
	run_idle(&fixture);
	cr_assert_eq(pthread_join(reader.thread, NULL), 0);
	cr_assert_eq(reader.bytes, HEAD_BYTES + 4);
	blocked_end(&blocked);
	fixture_end(&fixture);
	file_end(&file);
}

/* ---- growing, rewriting ---- */

SCENE_TEST(d06, d06_a_file_that_grows_is_sent_as_long_as_it_was_at_the_start, 4 * MIB, SMALL)
{
	struct sluice_packet packets[2];
	struct reader reader;
	char *more = pattern_new(MIB, 4 * MIB);

	packets[0] = file_packet(scene->file.fd, 0, 0);
	packets[1] = path_packet(scene->file.path, 0, 0);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 2), 1);
	cr_assert_eq(pwrite(scene->file.fd, more, MIB, 4 * MIB), (ssize_t)MIB);
	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&scene->operation));
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 8 * MIB);
	assert_read_to_end(scene, &reader, 8 * MIB);
	free(more);
}

/* The kernel has taken all of it, the peer has read none: what is in the socket is its own copy. */
Test(d06, d06_copy_sends_what_the_file_held_whatever_is_written_later)
{
	enum {
		LENGTH = 50000
	};
	char *other = calloc(1, LENGTH);
	struct scene scene;
	struct sluice_packet packet;

	scene_begin(&scene, LENGTH, 0);
	packet = file_packet(scene.file.fd, 0, 0);
	scene.operation.args.transmit_flags = SLUICE_TRANSMIT_COPY;
	send_packets(scene.pair.socket, &scene.operation, &packet, 1);
	assert_ended(&scene.operation, SLUICE_ERROR_SUCCESS, LENGTH);
	cr_assert_eq(pwrite(scene.file.fd, other, LENGTH, 0), LENGTH);
	cr_assert_eq(ftruncate(scene.file.fd, 10), 0);
	read_pattern(scene.pair.peer, LENGTH, 0);
	scene_end(&scene);
	free(other);
}

SCENE_TEST(d06, d06_copy_sends_large_files_whole, 6 * MIB, SMALL)
{
	struct sluice_packet packets[3];
	struct reader reader;
	char *tail = pattern_new(100, 6 * MIB);

	packets[0] = file_packet(scene->file.fd, 0, 3 * MIB);
	packets[1] = path_packet(scene->file.path, 3 * MIB, 0);
	packets[2] = memory_packet(tail, 100);
	scene->operation.args.transmit_flags = SLUICE_TRANSMIT_COPY;
	reader_start(&reader, scene->pair.peer, 0);
	send_packets(scene->pair.socket, &scene->operation, packets, 3);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 6 * MIB + 100);
	assert_read_to_end(scene, &reader, 6 * MIB + 100);
	cr_assert_eq(reader.mismatches, 0);
	free(tail);
}

/* ---- d07 ---- */

static void assert_position_stays(size_t length)
{
	struct scene scene;
	struct sluice_packet packets[2];

	scene_begin(&scene, length, 0);
	packets[0] = file_packet(scene.file.fd, 0, 0);
	packets[1] = file_packet(scene.file.fd, 100, (int64_t)length - 100);
	cr_assert_eq(lseek(scene.file.fd, 77, SEEK_SET), 77);
	for (int i = 0; i < 2; i++) {
		assert_arrives(&scene, packets, 1, length, 0);
		cr_assert_eq(lseek(scene.file.fd, 0, SEEK_CUR), 77, "the position was moved");
	}
	assert_arrives(&scene, packets + 1, 1, length - 100, 100);
	scene.operation.args.transmit_flags = SLUICE_TRANSMIT_COPY;
	assert_arrives(&scene, packets, 1, length, 0);
	cr_assert_eq(lseek(scene.file.fd, 0, SEEK_CUR), 77, "the position was moved");
	scene_end(&scene);
}

Test(d07, d07_the_descriptors_own_position_is_neither_used_nor_moved)
{
	assert_position_stays(1000);
	assert_position_stays(10000);
	assert_position_stays(100000);
}

/* Nor when it has to wait in the middle. */
SCENE_TEST(d07, d07_the_position_of_a_large_file_stays, 8 * MIB, SMALL)
{
	struct sluice_packet packet;
	struct reader reader;

	packet = file_packet(scene->file.fd, 0, 0);
	cr_assert_eq(lseek(scene->file.fd, 77, SEEK_SET), 77);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, &packet, 1), 1);
	cr_assert_eq(lseek(scene->file.fd, 0, SEEK_CUR), 77);
	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&scene->operation));
	cr_assert_eq(lseek(scene->file.fd, 0, SEEK_CUR), 77);
	assert_read_to_end(scene, &reader, 8 * MIB);
	cr_assert_eq(reader.mismatches, 0);
}
