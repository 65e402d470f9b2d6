/* SPDX-License-Identifier: MIT */
/*
 * The ways of sending files: a forced way is used, the bytes are the same on each of them, and the
 * statistics count it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "measure.h"

/* An engine of these options sends files of many sizes between memory, and says what it did. */
static struct sluice_engine_statistics ways_of(const struct sluice_options *options,
					       const size_t *lengths, size_t count)
{
	char *around = pattern_new(100, 0);
	struct sluice_engine_statistics statistics;
	struct scene scene;

	file_new(&scene.file, 2 * MIB, 0);
	fixture_begin_with(&scene.fixture, options);
	tcp_pair(&scene.fixture, &scene.pair, 0);
	operation_init(&scene.operation, &scene.fixture);
	for (size_t i = 0; i < count; i++) {
		struct sluice_packet packets[] = {
			memory_packet(around, 100),
			file_packet(scene.file.fd, 7, (int64_t)lengths[i]),
			memory_packet(around, 100),
		};
		char *arrived = send_and_read(&scene, packets, 3, lengths[i] + 200);

		cr_assert(pattern_matches(arrived, 100, 0));
		cr_assert(pattern_matches(arrived + 100, lengths[i], 7));
		cr_assert(pattern_matches(arrived + 100 + lengths[i], 100, 0));
		free(arrived);
	}
	statistics = statistics_of(&scene.fixture);
	scene_end(&scene);
	free(around);
	return statistics;
}

static struct sluice_options options_of(uint32_t file_way)
{
	struct sluice_options options;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.file_way = file_way;
	return options;
}

static const size_t all_lengths[] = {1, 1000, 2048, 2049, 10000, 100000, 1500000};

#define LENGTHS (sizeof all_lengths / sizeof *all_lengths)

Test(d00, d00_files_are_always_read_where_that_is_asked_for)
{
	struct sluice_options options = options_of(SLUICE_FILE_WAY_READ);
	struct sluice_engine_statistics done = ways_of(&options, all_lengths, LENGTHS);

	cr_assert_geq(done.files_read, LENGTHS);
	cr_assert_eq(done.files_sendfile, 0);
	cr_assert_eq(done.inline_files, 0);
	cr_assert_eq(done.files_spliced, 0);
}

Test(d00, d00_files_always_go_by_sendfile_where_that_is_asked_for)
{
	struct sluice_options options = options_of(SLUICE_FILE_WAY_SENDFILE);
	struct sluice_engine_statistics done;

	if (getenv("SLUICE_DISABLE") && strstr(getenv("SLUICE_DISABLE"), "sendfile"))
		cr_skip("sendfile is taken away");
	done = ways_of(&options, all_lengths, LENGTHS);
	cr_assert_eq(done.files_read, 0);
	cr_assert_geq(done.files_sendfile, LENGTHS);
	cr_assert_geq(done.inline_files, LENGTHS);
	cr_assert_eq(done.files_spliced, 0);
}

Test(d00, d00_files_are_always_spliced_where_that_is_asked_for)
{
	struct sluice_options options = options_of(SLUICE_FILE_WAY_SPLICE);
	struct sluice_engine_statistics done = ways_of(&options, all_lengths, LENGTHS);

	cr_assert_geq(done.files_spliced, LENGTHS);
	cr_assert_eq(done.files_sendfile, 0);
	cr_assert_eq(done.files_read, 0);
}

/* Without a ring, or one that splices, as if splice had been asked for. */
Test(d00, d00_files_are_spliced_by_the_ring_where_that_is_asked_for)
{
	struct sluice_options options = options_of(SLUICE_FILE_WAY_SPLICE_RING);
	struct sluice_engine_statistics done = ways_of(&options, all_lengths, LENGTHS);

	cr_assert_geq(done.files_spliced, LENGTHS);
	cr_assert_eq(done.files_sendfile, 0);
	cr_assert_eq(done.files_read, 0);
	if (done.capabilities & SLUICE_CAPABILITY_RING_SPLICE) {
		cr_assert_geq(done.ring_files, LENGTHS);
		cr_assert_eq(done.inline_files, 0);
	} else {
		cr_assert_eq(done.ring_files, 0);
		cr_assert_geq(done.inline_files, LENGTHS);
	}
}

Test(d00, d00_without_the_rings_splice_files_are_spliced_by_calls)
{
	struct sluice_options options = options_of(SLUICE_FILE_WAY_SPLICE_RING);
	struct sluice_engine_statistics done;

	options.disable = SLUICE_CAPABILITY_RING_SPLICE;
	done = ways_of(&options, all_lengths, LENGTHS);
	cr_assert_geq(done.files_spliced, LENGTHS);
	cr_assert_geq(done.inline_files, LENGTHS);
	cr_assert_eq(done.ring_files, 0);
}

Test(d00, d00_by_itself_the_library_reads_small_files_sends_larger_ones_and_splices_large_ones)
{
	static const size_t small[] = {1, 100, 1000, 2000, 8192}, larger[] = {8193, 100000, 524287},
			    large[] = {524288, 1500000};
	struct sluice_options options = options_of(SLUICE_FILE_WAY_AUTO);
	struct sluice_engine_statistics done = ways_of(&options, small, 5);

	cr_assert_geq(done.files_read, 5);
	cr_assert_eq(done.files_sendfile, 0);
	if (getenv("SLUICE_DISABLE"))
		cr_skip("with something taken away larger files may be read as well");
	done = ways_of(&options, larger, 3);
	cr_assert_geq(done.files_sendfile, 3);
	cr_assert_eq(done.files_spliced, 0);
	done = ways_of(&options, large, 2);
	cr_assert_geq(done.files_spliced, 2);
	cr_assert_eq(done.files_sendfile, 0);
}

/* Then sendfile does it. */
SCENE_TEST(d00, d00_a_large_file_needs_no_pipe, 3 * MIB, 0)
{
	struct sluice_packet packet;
	struct reader reader;
	struct hoard hoard;

	packet = file_packet(scene->file.fd, 0, 0);
	hoard_begin(&hoard, 64);
	reader_start(&reader, scene->pair.peer, 0);
	send_packets(scene->pair.socket, &scene->operation, &packet, 1);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 3 * MIB);
	hoard_end(&hoard);
	assert_read_to_end(scene, &reader, 3 * MIB);
	cr_assert_eq(reader.mismatches, 0);
}

/*
 * A UNIX socket reports that it is writable whatever it holds: bytes that it did not accept remain
 * in the pipe, and none of them may be lost or sent twice.
 */
SCENE_TEST(d00, d00_what_a_socket_does_not_take_from_a_pipe_is_sent_later, 9 * MIB, 0)
{
	struct sluice_packet packets[3];
	struct reader reader;
	int buffer = 700 * KIB;

	pair_close(&scene->pair);
	unix_pair(&scene->fixture, &scene->pair, SOCK_STREAM);
	cr_assert_eq(setsockopt(sluice_socket_fd(scene->pair.socket), SOL_SOCKET, SO_SNDBUF,
				&buffer, sizeof buffer),
		     0);
	packets[0] = file_packet(scene->file.fd, 0, 5 * MIB);
	packets[1] = path_packet(scene->file.path, 5 * MIB, 1);
	packets[2] = file_packet(scene->file.fd, 5 * MIB + 1, 0);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 3), 1);
	run_idle(&scene->fixture);
	cr_assert(!is_over(&scene->operation));
	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&scene->operation));
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 9 * MIB);
	assert_read_to_end(scene, &reader, 9 * MIB);
	cr_assert_eq(reader.mismatches, 0);
}

/* Its header and trailer leave in the same call. */
Test(d00, d00_the_size_up_to_which_files_are_read_is_an_option)
{
	static const size_t lengths[] = {10000, 50000};
	struct sluice_options options = options_of(SLUICE_FILE_WAY_AUTO);
	struct sluice_engine_statistics done;

	options.file_read_bytes = 65536;
	done = ways_of(&options, lengths, 2);
	cr_assert_geq(done.files_read, 2);
	cr_assert_eq(done.files_sendfile, 0);
}

Test(d00, d00_without_sendfile_everything_is_read)
{
	struct sluice_options options = options_of(SLUICE_FILE_WAY_AUTO);
	struct sluice_engine_statistics done;

	options.disable = SLUICE_CAPABILITY_SENDFILE;
	done = ways_of(&options, all_lengths, LENGTHS);
	cr_assert_eq(done.files_sendfile, 0);
	cr_assert_eq(done.inline_files, 0);
	cr_assert_geq(done.files_read, LENGTHS);
}

Test(d00, d00_every_way_sends_more_than_a_windowful_to_a_slow_reader)
{
	for (uint32_t way = SLUICE_FILE_WAY_AUTO; way <= SLUICE_FILE_WAY_SPLICE_RING; way++) {
		struct sluice_options options = options_of(way);
		struct scene scene;
		struct reader reader;
		struct sluice_packet packet;

		file_new(&scene.file, 3 * MIB, 0);
		fixture_begin_with(&scene.fixture, &options);
		tcp_pair(&scene.fixture, &scene.pair, SMALL);
		operation_init(&scene.operation, &scene.fixture);
		packet = file_packet(scene.file.fd, 0, 0);
		reader_start_slow(&reader, scene.pair.peer, 0);
		send_packets(scene.pair.socket, &scene.operation, &packet, 1);
		assert_ended(&scene.operation, SLUICE_ERROR_SUCCESS, 3 * MIB);
		assert_read_to_end(&scene, &reader, 3 * MIB);
		cr_assert_eq(reader.mismatches, 0);
		scene_end(&scene);
	}
}
