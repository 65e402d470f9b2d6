/* SPDX-License-Identifier: MIT */
/* What .NET gets wrong on Linux with files and packets, done right: a test a fault. */
#include <errno.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

static struct sluice_async_result *begin_file(struct pair *pair, const char *path)
{
	struct sluice_async_result *result = NULL;

	cr_assert_eq(sluice_begin_send_file(pair->socket, path, NULL, 0, NULL, 0, 0, NULL, NULL,
					    &result),
		     0);
	return result;
}

/* .NET leaves a descriptor open for each file that was sent by its path, until it collects. */
SCENE_TEST(faults, fault_01_files_sent_by_path_leave_no_descriptor, 4096, 0)
{
	struct sluice_packet packet;
	int descriptors;

	packet = path_packet(scene->file.path, 0, 0);
	for (int i = 0; i < 2; i++) {
		send_packets(scene->pair.socket, &scene->operation, &packet, 1);
		read_pattern(scene->pair.peer, 4096, 0);
	}
	descriptors = count_descriptors();
	for (int i = 0; i < 500; i++) {
		struct sluice_async_result *result;

		send_packets(scene->pair.socket, &scene->operation, &packet, 1);
		read_pattern(scene->pair.peer, 4096, 0);
		cr_assert_eq(count_descriptors(), descriptors);

		result = begin_file(&scene->pair, scene->file.path);
		run_until(&scene->fixture, sluice_async_result_is_completed(result));
		cr_assert_eq(sluice_end_send_file(scene->pair.socket, result), 0);
		read_pattern(scene->pair.peer, 4096, 0);
		cr_assert_eq(count_descriptors(), descriptors);
	}
}

/* .NET sends what is started behind packets or a file into the middle of them: a z b c, p z F q. */
Test(faults, fault_02_nothing_comes_between_packets_and_files)
{
	struct fixture fixture;
	struct pair pair;
	struct file file;
	struct operation packets, single;
	struct sluice_packet three[3];
	struct sluice_async_result *result;
	struct reader reader;
	char *bytes = pattern_new(2000, 0);
	uint64_t at, before;

	file_new(&file, 400000, 10);
	files_begin(&fixture, NULL);
	tcp_pair(&fixture, &pair, SMALL);
	operation_init(&packets, &fixture);
	operation_init(&single, &fixture);
	reader_start_slow(&reader, pair.peer, 0);

	three[0] = memory_packet(bytes, 10);
	three[1] = file_packet(file.fd, 0, 400000);
	three[2] = memory_packet(bytes + (400010 % 251), 7);
	start_packets(pair.socket, &packets, three, 3);
	at = 400017;
	start_send(pair.socket, &single, bytes + at % 251, 1000);
	at += 1000;
	/* The file begins with the pattern's tenth byte: so many bytes precede it. */
	before = 251 + (251 + 10 - at % 251) % 251;
	cr_assert_eq(sluice_begin_send_file(pair.socket, file.path, bytes + at % 251, before, NULL,
					    0, 0, NULL, NULL, &result),
		     0);
	at += before + 400000;
	run_until(&fixture, fixture.pending == 0 && sluice_async_result_is_completed(result));
	cr_assert_eq(sluice_end_send_file(pair.socket, result), 0);
	cr_assert_eq(sluice_socket_shutdown(pair.socket, SHUT_WR), 0);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, at);
	pair_close(&pair);
	fixture_end(&fixture);
	file_end(&file);
	free(bytes);
}

/* .NET counts a living connection as unconnected after a bad flag or a file past its end. */
SCENE_TEST(faults, fault_07_harmless_errors_leave_the_connection_connected, 1000, 0)
{
	struct sluice_packet packet;
	struct sluice_async_result *result;

	packet = file_packet(scene->file.fd, 1001, 0);
	send_packets(scene->pair.socket, &scene->operation, &packet, 1);
	assert_ended(&scene->operation, SLUICE_ERROR_INVALID_ARGUMENT, 0);
	scene->operation.args.flags = 0x4000;
	cr_assert_eq(start_send(scene->pair.socket, &scene->operation, "x", 1), -EOPNOTSUPP);
	scene->operation.args.flags = 0;
	cr_assert_eq(sluice_args_set_buffer(&scene->operation.args, NULL, 0, 0, 0), 0);

	packet = file_packet(scene->file.fd, 0, 0);
	assert_arrives(scene, &packet, 1, 1000, 0);
	result = begin_file(&scene->pair, scene->file.path);
	run_until(&scene->fixture, sluice_async_result_is_completed(result));
	cr_assert_eq(sluice_end_send_file(scene->pair.socket, result), 0);
	read_pattern(scene->pair.peer, 1000, 0);
	assert_still_sends(&scene->pair, &scene->fixture);
}

/* .NET says Success of a file that shrank meanwhile, and sends the trailer all the same. */
SCENE_TEST(faults, fault_08_a_file_that_shrinks_while_it_is_sent_is_told, 8 * MIB, SMALL)
{
	struct sluice_packet packets[2];
	uint64_t got;
	int error;

	packets[0] = file_packet(scene->file.fd, 0, 0);
	packets[1] = memory_packet("trailer", 7);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 2), 1);
	run_idle(&scene->fixture);
	cr_assert_eq(ftruncate(scene->file.fd, MIB), 0);
	got = run_reading_to_end(&scene->fixture, scene->pair.peer, 0, &error);
	run_until(&scene->fixture, is_over(&scene->operation));
	cr_assert_eq(error, 0);
	assert_ended(&scene->operation, SLUICE_ERROR_NO_DATA, got);
	cr_assert_leq(got, MIB);
}

static void *discard(void *token)
{
	struct reader *reader = token;
	ssize_t count;

	/* TCP throws away what is read so, without a copy. */
	while ((count = recv(reader->fd, NULL, 1 << 30, MSG_TRUNC)) > 0)
		reader->bytes += (uint64_t)count;
	return NULL;
}

/* .NET says -2,147,483,549. */
SCENE_TEST(faults, fault_09_more_than_two_gibibytes_are_counted, 0, 0)
{
	struct sluice_packet packets[33];
	struct reader reader = {.bytes = 0};

	cr_assert_eq(ftruncate(scene->file.fd, 64 * MIB), 0);
	for (int i = 0; i < 32; i++)
		packets[i] = file_packet(scene->file.fd, 0, 64 * MIB);
	packets[32] = file_packet(scene->file.fd, 0, 99);
	reader.fd = scene->pair.peer;
	cr_assert_eq(pthread_create(&reader.thread, NULL, discard, &reader), 0);
	cr_assert(start_packets(scene->pair.socket, &scene->operation, packets, 33) >= 0);
	for (int64_t end = now_ns() + 40 * SECOND; !is_over(&scene->operation);)
		run_turn(&scene->fixture, end, "2 GiB");
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, UINT64_C(2147483747));
	cr_assert_eq(sluice_socket_shutdown(scene->pair.socket, SHUT_WR), 0);
	cr_assert_eq(pthread_join(reader.thread, NULL), 0);
	cr_assert_eq(reader.bytes, UINT64_C(2147483747));
}

/* .NET's SendPacketsAsync always says true, and runs the handler inside the call. */
SCENE_TEST(faults, fault_11_packets_done_at_once_say_so_and_run_no_handler, 100, 0)
{
	struct sluice_packet packets[2];

	packets[0] = memory_packet("0123456789", 10);
	packets[1] = memory_packet("0123456789", 10);
	scene->operation.args.flags = SLUICE_FLAG_EAGER;
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 2), 0);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 20);
	run_idle(&scene->fixture);
	cr_assert_eq(scene->operation.handled, 0);
	scene->operation.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 2), 1);
	cr_assert_eq(scene->operation.handled, 0);
	run_until(&scene->fixture, is_over(&scene->operation));
	cr_assert_eq(scene->operation.handled, 1);
}

/* .NET blocks in open(2) until a writer opens the FIFO. */
Test(faults, fault_13_a_fifo_as_path_blocks_nobody)
{
	char path[] = "fault-fifo-XXXXXX";
	struct scene scene;
	struct sluice_packet packet;
	struct sluice_async_result *result;

	scene_begin(&scene, 0, 0);
	close(mkstemp(path));
	unlink(path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	packet = path_packet(path, 0, 0);
	cr_assert_eq(start_packets(scene.pair.socket, &scene.operation, &packet, 1), -EINVAL);
	cr_assert_eq(sluice_begin_send_file(scene.pair.socket, path, NULL, 0, NULL, 0, 0, NULL,
					    NULL, &result),
		     -EINVAL);
	unlink(path);
	assert_still_sends(&scene.pair, &scene.fixture);
	scene_end(&scene);
}

/* .NET queues without a bound. */
Test(faults, fault_19_a_queue_can_be_bounded)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation *operations;
	size_t accepted = 0;

	files_begin(&fixture, NULL);
	blocked_begin(&fixture, &blocked);
	operations = operations_new(&fixture, 20000);
	cr_assert_eq(sluice_socket_set_water_marks(blocked.pair.socket, 0, SIZE_MAX,
						   sluice_socket_queued_bytes(blocked.pair.socket) +
							   5000),
		     0);
	for (size_t i = 0; i < 20000; i++) {
		int answer = start_send(blocked.pair.socket, &operations[i],
					(char *)blocked.bytes + accepted, 1);

		cr_assert(answer == 1 || answer == -ENOBUFS);
		accepted += answer == 1;
	}
	cr_assert_eq(accepted, 5000);
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_reading(&fixture, blocked.pair.peer, accepted, 0);
	run_until(&fixture, fixture.pending == 0);
	blocked_end(&blocked);
	free(operations);
	fixture_end(&fixture);
}

static uint32_t segments_out(const struct pair *pair)
{
	struct tcp_info info = {.tcpi_state = 0};
	socklen_t length = sizeof info;

	cr_assert_eq(getsockopt(sluice_socket_fd(pair->socket), IPPROTO_TCP, TCP_INFO, &info,
				&length),
		     0);
	return info.tcpi_data_segs_out;
}

/* .NET sends header, file and trailer as three. */
SCENE_TEST(faults, fault_19_header_file_and_trailer_leave_as_one, 4096, 0)
{
	struct sluice_packet packets[3];
	uint32_t before;

	packets[0] = memory_packet("header", 6);
	packets[1] = file_packet(scene->file.fd, 0, 0);
	packets[2] = memory_packet("trailer", 7);
	before = segments_out(&scene->pair);
	send_packets(scene->pair.socket, &scene->operation, packets, 3);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 4109);
	cr_assert_eq(segments_out(&scene->pair) - before, 1);
}
