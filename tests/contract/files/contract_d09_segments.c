/* SPDX-License-Identifier: MIT */
/* d09: headers, files and trailers leave without small packets between them. */
#include <errno.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "files.h"

static struct tcp_info tcp_info_of(const struct pair *pair)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof info;
	int fd = sluice_socket_fd(pair->socket);

	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	if (length < offsetof(struct tcp_info, tcpi_data_segs_out) + sizeof(uint32_t))
		cr_skip("this kernel does not count the segments of data");
	return info;
}

static void set_cork(const struct pair *pair, int value)
{
	int fd = sluice_socket_fd(pair->socket);

	cr_assert_eq(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, sizeof value), 0);
}

/* The kernel holds back for 200 ms at most, and a busy machine may need as long for a file. */
#define HELD_NS (100 * MILLISECOND)
#define ATTEMPTS 20

/* How many segments of data the packets leave in. */
static uint32_t segments_of(struct scene *scene, const struct sluice_packet *packets, size_t count,
			    size_t bytes)
{
	uint32_t segments = 0;

	for (int i = 0; i < ATTEMPTS; i++) {
		uint32_t before = tcp_info_of(&scene->pair).tcpi_data_segs_out;
		int64_t begun = now_ns();

		free(send_and_read(scene, packets, count, bytes));
		segments = tcp_info_of(&scene->pair).tcpi_data_segs_out - before;
		if (now_ns() - begun < HELD_NS)
			break;
	}
	return segments;
}

static void assert_one_segment(size_t header, size_t file, size_t trailer)
{
	char *memory = pattern_new(header + trailer + 1, 0);
	size_t bytes = header + file + trailer;
	struct scene scene;
	struct sluice_packet packets[3];
	uint32_t segments;

	scene_begin(&scene, file, 0);
	if (bytes > tcp_info_of(&scene.pair).tcpi_snd_mss)
		cr_skip("loopback's segments are too small for %zu bytes", bytes);
	packets[0] = memory_packet(memory, header);
	packets[1] = file_packet(scene.file.fd, 0, 0);
	packets[2] = memory_packet(memory, trailer);
	segments = segments_of(&scene, packets, 3, bytes);
	cr_assert_eq(segments, 1, "%zu + %zu + %zu bytes left in %u segments", header, file,
		     trailer, segments);
	packets[1] = path_packet(scene.file.path, 0, 0);
	cr_assert_eq(segments_of(&scene, packets, 3, bytes), 1);
	cr_assert_eq(cork_of(&scene.pair), 0);
	scene_end(&scene);
	free(memory);
}

/* .NET: three. */
Test(d09, d09_header_file_and_trailer_leave_as_one_segment)
{
	static const size_t files[] = {100, 2000, 2048, 2049, 5000, 30000};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		assert_one_segment(120, files[i], 30);
}

Test(d09, d09_header_and_file_leave_as_one_segment)
{
	assert_one_segment(120, 1000, 0);
	assert_one_segment(120, 20000, 0);
}

Test(d09, d09_file_and_trailer_leave_as_one_segment)
{
	assert_one_segment(0, 1000, 10);
	assert_one_segment(0, 20000, 10);
}

/* .NET: ten. */
SCENE_TEST(d09, d09_ten_buffers_leave_as_one_segment, 0, 0)
{
	struct sluice_packet packets[10];

	for (size_t i = 0; i < 10; i++)
		packets[i] = memory_packet("0123456789", 10);
	cr_assert_eq(segments_of(scene, packets, 10, 100), 1);
}

SCENE_TEST(d09, d09_small_and_larger_files_in_turn_leave_as_one_segment, 20000, 0)
{
	struct sluice_packet packets[12];
	size_t bytes = 0;

	for (size_t i = 0; i < 12; i += 2) {
		int64_t length = i % 4 ? 300 : 5000;

		packets[i] = memory_packet("--boundary--", 12);
		packets[i + 1] = file_packet(scene->file.fd, 0, length);
		bytes += 12 + (size_t)length;
	}
	cr_assert_eq(segments_of(scene, packets, 12, bytes), 1);
	cr_assert_eq(cork_of(&scene->pair), 0);
}

SCENE_TEST(d09, d09_a_large_file_leaves_in_large_segments, MIB, 0)
{
	const size_t length = MIB;
	struct sluice_packet packets[3];
	uint32_t mss, segments;

	mss = tcp_info_of(&scene->pair).tcpi_snd_mss;
	packets[0] = memory_packet("header", 6);
	packets[1] = file_packet(scene->file.fd, 0, 0);
	packets[2] = memory_packet("trailer", 7);
	segments = segments_of(scene, packets, 3, length + 13);
	cr_assert_leq(segments, 2 * (length / mss) + 8, "%u segments of at most %u bytes", segments,
		      mss);
}

/* b13: held back until the next send without it. */
SCENE_TEST(d09, d09_packets_with_more_leave_with_what_follows, 5000, 0)
{
	struct sluice_packet packets[2];
	struct operation next;
	uint32_t before;
	int64_t begun = now_ns();

	operation_init(&next, &scene->fixture);
	packets[0] = memory_packet("header", 6);
	packets[1] = file_packet(scene->file.fd, 0, 0);
	before = tcp_info_of(&scene->pair).tcpi_data_segs_out;
	scene->operation.args.flags = SLUICE_FLAG_MORE;
	send_packets(scene->pair.socket, &scene->operation, packets, 2);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 5006);
	cr_assert(start_send(scene->pair.socket, &next, "next", 4) >= 0);
	run_until(&scene->fixture, is_over(&next));
	cr_assert_eq(cork_of(&scene->pair), 0, "the cork was left on");
	read_exactly(scene->pair.peer, (char[5010]){0}, 5010);
	if (now_ns() - begun > HELD_NS)
		cr_skip("the machine was too slow to tell");
	cr_assert_eq(tcp_info_of(&scene->pair).tcpi_data_segs_out - before, 1);
}

/* ---- the cork ---- */

/* [header, file of 8 MiB, trailer] in progress in the middle of the file. */
static void stuck_begin(struct scene *scene, struct sluice_packet packets[3], int64_t timeout_ns)
{
	scene_begin(scene, 8 * MIB, SMALL);
	packets[0] = memory_packet("header", 6);
	packets[1] = file_packet(scene->file.fd, 0, 0);
	packets[2] = memory_packet("trailer", 7);
	scene->operation.args.timeout_ns = timeout_ns;
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 3), 1);
}

/* The record ended with this, the cork is off, and the next send arrives behind what was taken. */
static void assert_uncorked(struct scene *scene, int32_t error)
{
	struct reader reader;
	struct operation next;

	run_until(&scene->fixture, is_over(&scene->operation));
	cr_assert_eq(scene->operation.args.error, error);
	cr_assert_eq(cork_of(&scene->pair), 0, "the cork was left on");
	reader_start(&reader, scene->pair.peer, 0);
	operation_init(&next, &scene->fixture);
	cr_assert(start_send(scene->pair.socket, &next, "next", 4) >= 0);
	run_until(&scene->fixture, is_over(&next));
	cr_assert_eq(cork_of(&scene->pair), 0, "the cork was left on");
	assert_ended(&next, SLUICE_ERROR_SUCCESS, 4);
	assert_read_to_end(scene, &reader, scene->operation.args.bytes_transferred + 4);
}

Test(d09, d09_the_cork_is_taken_off_after_a_cancel)
{
	struct scene scene;
	struct sluice_packet packets[3];

	stuck_begin(&scene, packets, 0);
	run_idle(&scene.fixture);
	cr_assert_eq(sluice_cancel(scene.pair.socket, &scene.operation.args), 0);
	assert_uncorked(&scene, SLUICE_ERROR_OPERATION_ABORTED);
	scene_end(&scene);
}

Test(d09, d09_the_cork_is_taken_off_after_a_deadline)
{
	struct scene scene;
	struct sluice_packet packets[3];

	stuck_begin(&scene, packets, 50 * MILLISECOND);
	assert_uncorked(&scene, SLUICE_ERROR_TIMED_OUT);
	scene_end(&scene);
}

Test(d09, d09_the_cork_is_taken_off_after_a_shutdown)
{
	struct scene scene;
	struct sluice_packet packets[3];
	struct reader reader;

	stuck_begin(&scene, packets, 0);
	run_idle(&scene.fixture);
	cr_assert_eq(sluice_socket_shutdown(scene.pair.socket, SHUT_WR), 0);
	run_until(&scene.fixture, is_over(&scene.operation));
	cr_assert_eq(scene.operation.args.error, SLUICE_ERROR_SHUTDOWN);
	cr_assert_eq(cork_of(&scene.pair), 0, "the cork was left on");
	reader_start(&reader, scene.pair.peer, 0);
	assert_read_to_end(&scene, &reader, scene.operation.args.bytes_transferred);
	scene_end(&scene);
}

Test(d09, d09_the_cork_is_taken_off_after_a_success)
{
	struct scene scene;
	struct sluice_packet packets[3];
	struct reader reader;

	stuck_begin(&scene, packets, 0);
	reader_start(&reader, scene.pair.peer, 0);
	run_until(&scene.fixture, is_over(&scene.operation));
	assert_ended(&scene.operation, SLUICE_ERROR_SUCCESS, 8 * MIB + 13);
	cr_assert_eq(cork_of(&scene.pair), 0, "the cork was left on");
	assert_read_to_end(&scene, &reader, 8 * MIB + 13);
	scene_end(&scene);
}

/* MSG_MORE joins the header to the file. */
SCENE_TEST(d09, d09_there_is_no_cork_where_nothing_follows_a_file, 8 * MIB, SMALL)
{
	struct sluice_packet packets[2];
	struct reader reader;

	packets[0] = memory_packet("header", 6);
	packets[1] = file_packet(scene->file.fd, 0, 0);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 2), 1);
	for (int turn = 0; turn < 5; turn++) {
		cr_assert_eq(cork_of(&scene->pair), 0);
		cr_assert(sluice_engine_run(scene->fixture.engine, MILLISECOND) >= 0);
	}
	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&scene->operation));
	assert_read_to_end(scene, &reader, 8 * MIB + 6);
}

SCENE_TEST(d09, d09_a_cork_that_the_user_set_stays, 5000, 0)
{
	struct sluice_packet packets[3];
	char *memory = pattern_new(100, 0);

	packets[0] = memory_packet(memory, 100);
	packets[1] = file_packet(scene->file.fd, 0, 0);
	packets[2] = memory_packet(memory, 100);
	set_cork(&scene->pair, 1);
	for (size_t count = 1; count <= 3; count++) {
		send_packets(scene->pair.socket, &scene->operation, packets, count);
		cr_assert_eq(scene->operation.args.error, SLUICE_ERROR_SUCCESS);
		cr_assert_eq(cork_of(&scene->pair), 1, "the user's cork was taken off");
	}
	set_cork(&scene->pair, 0);
	read_pattern(scene->pair.peer, 100, 0);
	read_pattern(scene->pair.peer, 100, 0);
	read_pattern(scene->pair.peer, 5000, 0);
	read_pattern(scene->pair.peer, 100, 0);
	read_pattern(scene->pair.peer, 5000, 0);
	read_pattern(scene->pair.peer, 100, 0);
	free(memory);
}

SCENE_TEST(d09, d09_a_cork_that_the_user_set_stays_after_a_cancel, 8 * MIB, SMALL)
{
	struct sluice_packet packets[2];

	set_cork(&scene->pair, 1);
	packets[0] = file_packet(scene->file.fd, 0, 0);
	packets[1] = memory_packet("trailer", 7);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 2), 1);
	run_idle(&scene->fixture);
	cr_assert_eq(sluice_cancel(scene->pair.socket, &scene->operation.args), 0);
	run_until(&scene->fixture, is_over(&scene->operation));
	cr_assert_eq(cork_of(&scene->pair), 1, "the user's cork was taken off");
}
