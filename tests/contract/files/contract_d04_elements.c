/* SPDX-License-Identifier: MIT */
/* d04: what packets are made of, and that all of it arrives in order. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

SCENE_TEST(d04, d04_memory_path_and_descriptor_leave_in_order, 100000, 0)
{
	static const size_t sizes[] = {2, 2047, 2048, 2049, 4096, 65536, 100000};
	char *memory = pattern_new(100000, 0);

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		int64_t n = (int64_t)sizes[i] / 2;
		int64_t rest = (int64_t)sizes[i] - n;
		struct sluice_packet packets[] = {
			memory_packet(memory, sizes[i]),         file_packet(scene->file.fd, 0, n),
			path_packet(scene->file.path, n, rest),  memory_packet(memory, (size_t)n),
			memory_packet(memory + n, (size_t)rest),
		};
		char *arrived;

		arrived = send_and_read(scene, packets, 5, 3 * sizes[i]);
		for (size_t part = 0; part < 3; part++)
			cr_assert(pattern_matches(arrived + part * sizes[i], sizes[i], 0));
		free(arrived);
	}
	free(memory);
}

/* .NET's cases for one file of 1,024 bytes. */
SCENE_TEST(d04, d04_a_file_goes_whole_or_in_part, 1024, 0)
{
	static const struct {
		int64_t offset, count;
		size_t bytes;
	} cases[] = {
		{0, 0, 1024}, {0, 1024, 1024}, {10, 20, 20}, {1000, 0, 24},   {1024, 0, 0},
		{1023, 0, 1}, {1023, 1, 1},    {0, 1, 1},    {500, 524, 524},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sluice_packet by_path =
			path_packet(scene->file.path, cases[i].offset, cases[i].count);
		struct sluice_packet by_descriptor =
			file_packet(scene->file.fd, cases[i].offset, cases[i].count);
		uint64_t position = (uint64_t)cases[i].offset;

		assert_arrives(scene, &by_path, 1, cases[i].bytes, position);
		assert_arrives(scene, &by_descriptor, 1, cases[i].bytes, position);
	}
}

SCENE_TEST(d04, d04_several_parts_of_one_file, 300000, 0)
{
	assert_arrives(scene,
		       (struct sluice_packet[]){
			       path_packet(scene->file.path, 0, 7),
			       file_packet(scene->file.fd, 7, 99993),
			       file_packet(scene->file.fd, 100000, 1),
			       path_packet(scene->file.path, 100001, 0),
		       },
		       4, 300000, 0);
}

SCENE_TEST(d04, d04_the_offset_of_memory_is_heeded, 0, 0)
{
	char *memory = pattern_new(1000, 0);
	struct sluice_packet packet = memory_packet(memory, 900);

	packet.offset = 100;
	assert_arrives(scene, &packet, 1, 900, 100);
	free(memory);
}

Test(d04, d04_empty_elements_are_skipped)
{
	char *memory = pattern_new(20, 0);
	struct file empty;
	struct scene scene;

	file_new(&empty, 0, 0);
	scene_begin(&scene, 1024, 0);
	assert_arrives(&scene,
		       (struct sluice_packet[]){
			       {0},
			       memory_packet(memory, 10),
			       memory_packet(memory, 0),
			       memory_packet(NULL, 0),
			       {0},
			       file_packet(scene.file.fd, 10, 3),
			       file_packet(empty.fd, 0, 0),
			       path_packet(empty.path, 0, 0),
			       file_packet(scene.file.fd, 1024, 0),
			       memory_packet(memory + 13, 7),
			       {0},
		       },
		       11, 20, 0);
	scene_end(&scene);
	file_end(&empty);
	free(memory);
}

/* Success with 0 bytes, at once, and no handler. */
static void assert_nothing_sent(struct scene *scene, const struct sluice_packet *packets,
				size_t count)
{
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, count), 0);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 0);
	run_idle(&scene->fixture);
	assert_nothing_to_read(scene->pair.peer);
}

SCENE_TEST(d04, d04_an_array_of_none_is_success_with_no_bytes, 0, 0)
{
	struct sluice_packet none[4] = {{0}};

	assert_nothing_sent(scene, none, 0);
	assert_nothing_sent(scene, none, 1);
	assert_nothing_sent(scene, none, 4);
	assert_still_sends(&scene->pair, &scene->fixture);
}

SCENE_TEST(d04, d04_no_packets_set_is_refused, 0, 0)
{
	struct sluice_packet packet = memory_packet("x", 1);

	cr_assert_eq(start(sluice_send_packets_async, scene->pair.socket, &scene->operation),
		     -EINVAL);
	cr_assert_eq(sluice_args_set_packets(&scene->operation.args, &packet, 1), 0);
	cr_assert_eq(sluice_args_set_packets(&scene->operation.args, NULL, 0), 0);
	cr_assert_eq(start(sluice_send_packets_async, scene->pair.socket, &scene->operation),
		     -EINVAL);
}

/* The record's buffer and its packets have places of their own (a03). */
SCENE_TEST(d04, d04_packets_do_not_look_at_the_buffer_nor_sends_at_the_packets, 0, 0)
{
	struct sluice_packet packet = memory_packet("packets", 7);
	char bytes[7];

	cr_assert_eq(sluice_args_set_buffer(&scene->operation.args, "buffer", 6, 0, 6), 0);
	send_packets(scene->pair.socket, &scene->operation, &packet, 1);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 7);
	read_exactly(scene->pair.peer, bytes, 7);
	cr_assert_arr_eq(bytes, "packets", 7);
	cr_assert_eq(start(sluice_send_async, scene->pair.socket, &scene->operation), 0);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 6);
	read_exactly(scene->pair.peer, bytes, 6);
	cr_assert_arr_eq(bytes, "buffer", 6);
}

/* .NET always says true and runs the handler inside the call. */
SCENE_TEST(d04, d04_done_at_once_returns_0_and_runs_no_handler, 10000, 0)
{
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation,
				   (struct sluice_packet[]){memory_packet("abc", 3)}, 1),
		     0);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 3);
	read_exactly(scene->pair.peer, (char[3]){0}, 3);
	if (!files_unforced())
		cr_skip("where the way of files is forced they may wait for it");

	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation,
				   (struct sluice_packet[]){file_packet(scene->file.fd, 0, 0)}, 1),
		     0);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 10000);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation,
				   (struct sluice_packet[]){path_packet(scene->file.path, 0, 0)},
				   1),
		     0);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 10000);
	run_idle(&scene->fixture);
	cr_assert_eq(scene->fixture.handled, 0);
}

SCENE_TEST(d04, d04_batched_packets_return_1_and_end_in_their_handler, 10000, 0)
{
	struct sluice_packet packet;

	packet = file_packet(scene->file.fd, 0, 0);
	scene->operation.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, &packet, 1), 1);
	run_until(&scene->fixture, is_over(&scene->operation));
	cr_assert_eq(scene->operation.handled, 1);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 10000);

	cr_assert_eq(sluice_batch_begin(scene->fixture.engine), 0);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, &packet, 1), 1);
	cr_assert_eq(sluice_batch_end(scene->fixture.engine), 0);
	run_until(&scene->fixture, is_over(&scene->operation));
	cr_assert_eq(scene->operation.handled, 2);
	read_pattern(scene->pair.peer, 10000, 0);
	read_pattern(scene->pair.peer, 10000, 0);
}

/* More elements than one vectored send can carry, small files and memory in turn. */
Test(d04, d04_thousands_of_elements_in_one_record)
{
	enum {
		ELEMENTS = 3000,
		EACH = 7
	};
	struct sluice_packet *packets = calloc(ELEMENTS, sizeof *packets);
	char *memory = pattern_new(ELEMENTS * EACH, 0);
	struct scene scene;

	scene_begin(&scene, ELEMENTS * EACH, 0);
	for (size_t i = 0; i < ELEMENTS; i++)
		packets[i] = i % 3 == 0 ? file_packet(scene.file.fd, (int64_t)i * EACH, EACH)
					: memory_packet(memory + i * EACH, EACH);
	assert_arrives(&scene, packets, ELEMENTS, (size_t)ELEMENTS * EACH, 0);

	for (size_t i = 0; i < ELEMENTS; i++)
		packets[i] = memory_packet(memory + i * EACH, EACH);
	assert_arrives(&scene, packets, ELEMENTS, (size_t)ELEMENTS * EACH, 0);
	scene_end(&scene);
	free(memory);
	free(packets);
}

/* Empty elements, however many in a row, lose nothing (as b09 of segments). */
SCENE_TEST(d04, d04_thousands_of_empty_elements_lose_nothing, 10, 0)
{
	enum {
		EMPTY = 2500
	};
	struct sluice_packet *packets = calloc(EMPTY + 2, sizeof *packets);
	char *memory = pattern_new(10, 0);

	packets[0] = memory_packet(memory, 3);
	packets[EMPTY + 1] = file_packet(scene->file.fd, 3, 7);
	assert_arrives(scene, packets, EMPTY + 2, 10, 0);
	free(memory);
	free(packets);
}

SCENE_TEST(d04, d04_a_symbolic_link_is_followed, 5000, 0)
{
	char directory[] = "sluice-test-XXXXXX", link[64];
	struct sluice_packet packet;

	cr_assert(mkdtemp(directory));
	snprintf(link, sizeof link, "%s/link", directory);
	cr_assert_eq(symlink(scene->file.path, link), 0);
	packet = path_packet(link, 1, 0);
	assert_arrives(scene, &packet, 1, 4999, 1);
	unlink(link);
	rmdir(directory);
}

/* They are regular files of size 0. */
SCENE_TEST(d04, d04_a_file_without_a_size_is_as_long_as_it_says, 0, 0)
{
	struct sluice_packet packet = path_packet("/proc/version", 0, 0);

	assert_nothing_sent(scene, &packet, 1);
	packet.count = 10;
	send_packets(scene->pair.socket, &scene->operation, &packet, 1);
	assert_ended(&scene->operation, SLUICE_ERROR_INVALID_ARGUMENT, 0);
	assert_still_sends(&scene->pair, &scene->fixture);
}

/* .NET sends a z b c d e f. */
SCENE_TEST(d04, d04_a_send_started_behind_packets_leaves_behind_them, 0, 0)
{
	static const char letters[] = "abcdefz";
	struct sluice_packet packets[6];
	struct operation behind;
	char bytes[7];

	for (size_t i = 0; i < 6; i++)
		packets[i] = memory_packet(letters + i, 1);
	scene->operation.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 6), 1);
	operation_init(&behind, &scene->fixture);
	cr_assert_eq(start_send(scene->pair.socket, &behind, letters + 6, 1), 1);
	run_until(&scene->fixture, is_over(&behind) && is_over(&scene->operation));
	cr_assert_lt(scene->operation.turn, behind.turn);
	read_exactly(scene->pair.peer, bytes, 7);
	cr_assert_arr_eq(bytes, letters, 7);
}

/*
 * .NET tears files that are sent at once in the middle. The pattern runs through all of them: any
 * other order than that of the starts is seen.
 */
Test(d04, d04_files_and_sends_of_one_socket_never_interleave)
{
	enum {
		RECORDS = 12
	};
	const size_t each = 400000;
	char *memory = pattern_new(RECORDS * each, 0);
	struct operation *operations;
	struct sluice_packet packets[RECORDS][2];
	struct scene scene;
	struct reader reader;

	scene_begin(&scene, RECORDS * each, SMALL);
	operations = operations_new(&scene.fixture, RECORDS);
	for (size_t i = 0; i < RECORDS; i++) {
		size_t at = i * each;
		int answer;

		packets[i][0] = memory_packet(memory + at, 1000);
		packets[i][1] =
			file_packet(scene.file.fd, (int64_t)at + 1000, (int64_t)each - 1000);
		if (i % 3 == 2)
			answer = start_send(scene.pair.socket, &operations[i], memory + at, each);
		else
			answer = start_packets(scene.pair.socket, &operations[i], packets[i], 2);
		cr_assert_eq(answer, 1);
	}
	reader_start(&reader, scene.pair.peer, 0);
	run_until(&scene.fixture, are_over(operations, RECORDS));
	for (size_t i = 0; i < RECORDS; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, each);
		cr_assert_eq(operations[i].turn, i + 1);
	}
	assert_read_to_end(&scene, &reader, RECORDS * each);
	cr_assert_eq(reader.mismatches, 0);
	scene_end(&scene);
	free(operations);
	free(memory);
}

Test(d04, d04_one_file_is_sent_on_many_sockets_at_once)
{
	enum {
		SOCKETS = 16
	};
	struct fixture fixture;
	struct file file;
	struct pair pairs[SOCKETS];
	struct reader readers[SOCKETS];
	struct operation *operations;
	struct sluice_packet packet;

	file_new(&file, MIB, 0);
	files_begin(&fixture, NULL);
	operations = operations_new(&fixture, SOCKETS);
	packet = file_packet(file.fd, 0, 0);
	for (int i = 0; i < SOCKETS; i++) {
		tcp_pair(&fixture, &pairs[i], SMALL);
		reader_start(&readers[i], pairs[i].peer, 0);
		cr_assert(start_packets(pairs[i].socket, &operations[i], &packet, 1) >= 0);
	}
	run_until(&fixture, are_over(operations, SOCKETS));
	for (int i = 0; i < SOCKETS; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, MIB);
		sluice_socket_close(pairs[i].socket);
	}
	run_idle(&fixture);
	for (int i = 0; i < SOCKETS; i++) {
		reader_join(&readers[i]);
		cr_assert_eq(readers[i].bytes, MIB);
		pair_close(&pairs[i]);
	}
	fixture_end(&fixture);
	free(operations);
	file_end(&file);
}

SCENE_TEST(d04, d04_packets_go_over_unix_streams_too, 2 * MIB, 0)
{
	struct reader reader;
	struct sluice_packet packets[2];

	pair_close(&scene->pair);
	unix_pair(&scene->fixture, &scene->pair, SOCK_STREAM);
	packets[0] = file_packet(scene->file.fd, 0, MIB);
	packets[1] = path_packet(scene->file.path, MIB, 0);
	reader_start(&reader, scene->pair.peer, 0);
	send_packets(scene->pair.socket, &scene->operation, packets, 2);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 2 * MIB);
	assert_read_to_end(scene, &reader, 2 * MIB);
	cr_assert_eq(reader.mismatches, 0);
}

/* .NET overflows its stack when packets are started again in their handler. */
static void start_again(struct operation *operation)
{
	size_t *left = operation->token;

	if ((*left)-- > 0)
		cr_assert(start(sluice_send_packets_async, operation->socket, operation) == 1,
			  "inside a handler packets are queued");
}

SCENE_TEST(d04, d04_packets_started_again_in_their_handler_twenty_thousand_times, 0, 0)
{
	size_t left = 20000;
	struct sluice_packet packet = memory_packet("abc", 3);
	struct reader reader;

	reader_start(&reader, scene->pair.peer, 0);
	scene->operation.then = start_again;
	scene->operation.token = &left;
	scene->operation.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, &packet, 1), 1);
	run_until(&scene->fixture, is_over(&scene->operation));
	assert_read_to_end(scene, &reader, 20001 * 3);
}

/* Memory elements count like any other memory (b15). */
SCENE_TEST(d04, d04_files_count_nothing_as_queued_bytes, 3 * MIB, SMALL)
{
	struct operation head, third;
	char *memory = pattern_new(8 * MIB, 0);
	struct reader reader;
	size_t queued;
	struct sluice_packet packets[2];

	operation_init(&head, &scene->fixture);
	operation_init(&third, &scene->fixture);
	cr_assert_eq(start_send(scene->pair.socket, &head, memory, 8 * MIB), 1);
	queued = sluice_socket_queued_bytes(scene->pair.socket);
	cr_assert_eq(sluice_socket_set_water_marks(scene->pair.socket, 0, 0, queued + 1000), 0);
	packets[0] = memory_packet(memory, 600);
	packets[1] = file_packet(scene->file.fd, 0, 0);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 2), 1);
	cr_assert_eq(sluice_socket_queued_bytes(scene->pair.socket), queued + 600);
	cr_assert_eq(start_packets(scene->pair.socket, &third, packets, 2), -ENOBUFS);
	cr_assert_eq(start_packets(scene->pair.socket, &third, packets + 1, 1), 1);

	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&third));
	assert_ended(&head, SLUICE_ERROR_SUCCESS, 8 * MIB);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 3 * MIB + 600);
	assert_ended(&third, SLUICE_ERROR_SUCCESS, 3 * MIB);
	cr_assert_eq(sluice_socket_queued_bytes(scene->pair.socket), 0);
	assert_read_to_end(scene, &reader, 14 * MIB + 600);
	free(memory);
}
