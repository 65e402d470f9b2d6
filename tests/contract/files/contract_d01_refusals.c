/* SPDX-License-Identifier: MIT */
/* d01: what send_packets refuses. start() asserts each time that the record is untouched. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "measure.h"

/* A directory with a name, for what needs one. */
struct directory {
	char path[32];
	char entry[64];
};

static void directory_new(struct directory *directory, const char *entry)
{
	strcpy(directory->path, "sluice-test-XXXXXX");
	cr_assert(mkdtemp(directory->path));
	snprintf(directory->entry, sizeof directory->entry, "%s/%s", directory->path, entry);
}

static void directory_end(struct directory *directory)
{
	remove(directory->entry);
	rmdir(directory->path);
}

/* The answer to [4 bytes, the packet]; asserts that a refused one left nothing behind. */
static int answer_to(struct fixture *fixture, struct pair *pair, struct sluice_packet packet)
{
	struct sluice_packet packets[] = {memory_packet("head", 4), packet};
	struct operation operation;
	int descriptors = count_descriptors();
	int answer;

	operation_init(&operation, fixture);
	answer = start_packets(pair->socket, &operation, packets, 2);
	cr_assert(answer < 0, "it was not refused");
	cr_assert_eq(count_descriptors(), descriptors, "a refused call left a descriptor open");
	run_idle(fixture);
	assert_nothing_to_read(pair->peer);
	return answer;
}

/* What a TCP connection answers to [4 bytes, the packet]. */
static void assert_refused(struct sluice_packet packet, int expected)
{
	struct fixture fixture;
	struct pair pair;

	files_begin(&fixture, NULL);
	tcp_pair(&fixture, &pair, 0);
	cr_assert_eq(answer_to(&fixture, &pair, packet), expected);
	assert_still_sends(&pair, &fixture);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(d01, d01_a_missing_file_is_refused_before_anything_is_sent)
{
	assert_refused(path_packet("sluice-test-there-is-no-such-file", 0, 0), -ENOENT);
	assert_refused(path_packet("sluice-test-no-such-directory/file", 0, 0), -ENOENT);
}

Test(d01, d01_a_file_taken_for_a_directory_is_refused)
{
	char path[64];
	struct file file;

	file_new(&file, 4, 0);
	snprintf(path, sizeof path, "%s/name", file.path);
	assert_refused(path_packet(path, 0, 0), -ENOTDIR);
	file_end(&file);
}

Test(d01, d01_a_directory_is_refused)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_refused(path_packet(".", 0, 0), -EINVAL);
	assert_refused(file_packet(fd, 0, 0), -EINVAL);
	close(fd);
}

Test(d01, d01_an_empty_path_is_refused)
{
	assert_refused(path_packet("", 0, 0), -EINVAL);
}

/* Without O_NONBLOCK the open would wait for a writer, and the test for its time-out. */
Test(d01, d01_a_fifo_is_refused_and_does_not_block_the_caller)
{
	struct directory directory;

	directory_new(&directory, "fifo");
	cr_assert_eq(mkfifo(directory.entry, 0600), 0);
	assert_refused(path_packet(directory.entry, 0, 0), -EINVAL);
	assert_refused(path_packet(directory.entry, 0, 10), -EINVAL);
	directory_end(&directory);
}

Test(d01, d01_what_is_no_regular_file_is_refused)
{
	int pipe_fds[2];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_refused(path_packet("/dev/zero", 0, 100), -EINVAL);
	assert_refused(file_packet(null, 0, 0), -EINVAL);
	assert_refused(file_packet(pipe_fds[0], 0, 0), -EINVAL);
	assert_refused(file_packet(connection, 0, 0), -EINVAL);
	close(connection);
	close(null);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

Test(d01, d01_a_bad_descriptor_is_refused)
{
	assert_refused(file_packet(-1, 0, 0), -EBADF);
	assert_refused(file_packet(12345, 0, 0), -EBADF);
	assert_refused(file_packet(12345, 0, 10), -EBADF);
}

/* As an unprivileged user: root may read everything. */
Test(d01, d01_a_file_that_may_not_be_read_is_refused)
{
	struct file file;

	file_new(&file, 10, 0);
	cr_assert_eq(fchmod(file.fd, 0000), 0);
	become_nobody();
	assert_refused(path_packet(file.path, 0, 0), -EACCES);
	file_end(&file);
}

/* ---- the socket ---- */

static int answer_of(struct fixture *fixture, struct sluice_socket *socket,
		     struct sluice_packet packet)
{
	struct operation operation;

	operation_init(&operation, fixture);
	return start_packets(socket, &operation, &packet, 1);
}

static void assert_no_connected_stream(struct fixture *fixture, int fd)
{
	struct sluice_socket *socket = attach(fixture, fd);

	cr_assert_eq(answer_of(fixture, socket, memory_packet("x", 1)), -EOPNOTSUPP);
	cr_assert_eq(answer_of(fixture, socket, path_packet("/etc/passwd", 0, 0)), -EOPNOTSUPP);
	cr_assert_eq(answer_of(fixture, socket, path_packet("sluice-test-missing", 0, 0)),
		     -EOPNOTSUPP, "the socket's state comes before the file");
	sluice_socket_destroy(socket);
}

Test(d01, d01_a_socket_that_is_not_connected_is_refused)
{
	struct fixture fixture;

	files_begin(&fixture, NULL);
	assert_no_connected_stream(&fixture, new_tcp(0));
	assert_no_connected_stream(&fixture, listen_tcp(0));
	assert_no_connected_stream(&fixture, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	fixture_end(&fixture);
}

Test(d01, d01_a_datagram_socket_is_refused_connected_or_not)
{
	struct fixture fixture;
	struct pair pair;

	files_begin(&fixture, NULL);
	assert_no_connected_stream(&fixture, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	udp_pair(&fixture, &pair);
	cr_assert_eq(answer_of(&fixture, pair.socket, memory_packet("x", 1)), -EOPNOTSUPP);
	cr_assert_eq(answer_of(&fixture, pair.socket, path_packet("/etc/passwd", 0, 0)),
		     -EOPNOTSUPP);
	run_idle(&fixture);
	assert_nothing_to_read(pair.peer);
	pair_close(&pair);
	unix_pair(&fixture, &pair, SOCK_DGRAM);
	cr_assert_eq(answer_of(&fixture, pair.socket, memory_packet("x", 1)), -EOPNOTSUPP);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(d01, d01_a_closed_socket_is_refused_before_the_file_is_looked_at)
{
	struct fixture fixture;
	struct pair pair;

	files_begin(&fixture, NULL);
	tcp_pair(&fixture, &pair, 0);
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	cr_assert_eq(answer_of(&fixture, pair.socket, path_packet("sluice-test-missing", 0, 0)),
		     -EBADF);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(d01, d01_null_is_refused)
{
	struct fixture fixture;
	struct pair pair;
	struct operation operation;

	files_begin(&fixture, NULL);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	cr_assert_eq(sluice_send_packets_async(NULL, &operation.args), -EINVAL);
	cr_assert_eq(sluice_send_packets_async(pair.socket, NULL), -EINVAL);
	pair_close(&pair);
	fixture_end(&fixture);
}

/* ---- the record ---- */

Test(d01, d01_a_disposed_record_and_one_in_progress_are_refused)
{
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct sluice_packet packet = path_packet("sluice-test-missing", 0, 0);
	struct file file;
	struct reader reader;

	file_new(&file, 4 * MIB, 0);
	files_begin(&fixture, NULL);
	tcp_pair(&fixture, &pair, SMALL);
	operation_init(&operation, &fixture);
	cr_assert_eq(start_packets(pair.socket, &operation,
				   (struct sluice_packet[]){file_packet(file.fd, 0, 0)}, 1),
		     1);
	cr_assert_eq(sluice_send_packets_async(pair.socket, &operation.args), -EBUSY);
	cr_assert_eq(sluice_args_set_packets(&operation.args, &packet, 1), -EBUSY);
	reader_start(&reader, pair.peer, 0);
	run_until(&fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 4 * MIB);

	cr_assert_eq(sluice_args_dispose(&operation.args), 0);
	cr_assert_eq(sluice_args_set_packets(&operation.args, &packet, 1), -EBADF);
	cr_assert_eq(sluice_send_packets_async(pair.socket, &operation.args), -EBADF);
	sluice_socket_destroy(pair.socket);
	run_idle(&fixture);
	reader_join(&reader);
	close(pair.peer);
	fixture_end(&fixture);
	file_end(&file);
}

/* b13: MORE alone, beside EAGER or BATCHED, not both. */
Test(d01, d01_only_more_eager_and_batched_are_flags_of_packets)
{
	static const uint32_t bad[] = {
		SLUICE_FLAG_OUT_OF_BAND,
		SLUICE_FLAG_PEEK,
		SLUICE_FLAG_DONT_ROUTE,
		SLUICE_FLAG_PARTIAL,
		SLUICE_FLAG_MORE | SLUICE_FLAG_PARTIAL,
		SLUICE_FLAG_EAGER | SLUICE_FLAG_BATCHED,
		0x8,
		0x80000,
		0x80000000,
	};
	static const uint32_t good[] = {SLUICE_FLAG_EAGER, SLUICE_FLAG_BATCHED, SLUICE_FLAG_MORE,
					SLUICE_FLAG_MORE | SLUICE_FLAG_EAGER,
					SLUICE_FLAG_MORE | SLUICE_FLAG_BATCHED};
	struct sluice_packet packet = memory_packet("abc", 3);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;

	files_begin(&fixture, NULL);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		operation.args.flags = bad[i];
		cr_assert_eq(start_packets(pair.socket, &operation, &packet, 1), -EOPNOTSUPP,
			     "flags %x", bad[i]);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		char bytes[3];

		operation.args.flags = good[i];
		send_packets(pair.socket, &operation, &packet, 1);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 3);
		read_exactly(pair.peer, bytes, 3);
	}
	assert_still_sends(&pair, &fixture);
	pair_close(&pair);
	fixture_end(&fixture);
}

/* .NET's Connected becomes false, and packets are refused for good (d06.2). */
Test(d01, d01_no_failed_send_makes_a_living_connection_count_as_unconnected)
{
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct sluice_packet past, whole;
	struct file file;

	file_new(&file, 100, 0);
	files_begin(&fixture, NULL);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	past = file_packet(file.fd, 101, 0);
	whole = file_packet(file.fd, 0, 0);

	send_packets(pair.socket, &operation, &past, 1);
	assert_ended(&operation, SLUICE_ERROR_INVALID_ARGUMENT, 0);
	operation.args.flags = 0x40;
	cr_assert_eq(start_packets(pair.socket, &operation, &whole, 1), -EOPNOTSUPP);
	operation.args.flags = 0;
	send_packets(pair.socket, &operation, &whole, 1);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 100);
	read_pattern(pair.peer, 100, 0);
	pair_close(&pair);
	fixture_end(&fixture);
	file_end(&file);
}

/* Only a file with a count can have an identity (d06). */
Test(d01, d01_bad_elements_are_refused_when_they_are_set)
{
	static const struct {
		struct sluice_packet packet;
		int answer;
	} cases[] = {
		{{.kind = SLUICE_PACKET_FILE, .offset = -1}, -ERANGE},
		{{.kind = SLUICE_PACKET_FILE, .count = -1}, -ERANGE},
		{{.kind = SLUICE_PACKET_FILE, .offset = INT64_MIN}, -ERANGE},
		{{.kind = SLUICE_PACKET_MEMORY, .base = "x", .count = -1}, -ERANGE},
		{{.kind = SLUICE_PACKET_MEMORY, .base = "x", .offset = -1, .count = 1}, -ERANGE},
		{{.kind = SLUICE_PACKET_MEMORY, .count = 1}, -EINVAL},
		{{.kind = SLUICE_PACKET_PATH}, -EINVAL},
		{{.kind = 4}, -EINVAL},
		{{.kind = SLUICE_PACKET_MEMORY, .base = "x", .count = 1, .identity = 1}, -EINVAL},
	};
	struct sluice_packet packets[2] = {memory_packet("x", 1)};
	struct sluice_args args;

	cr_assert_eq(sluice_args_init(&args), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		packets[1] = cases[i].packet;
		cr_assert_eq(sluice_args_set_packets(&args, packets, 2), cases[i].answer,
			     "case %zu", i);
	}
}

Test(d01, d01_the_refused_element_can_be_found)
{
	struct sluice_packet packets[] = {memory_packet("head", 4),
					  {0},
					  path_packet("sluice-test-there-is-no-such-file", 0, 0),
					  path_packet("/dev/null", 0, 0)};
	struct file file;
	int error, descriptors = count_descriptors();

	file_new(&file, 4, 0);
	cr_assert_eq(sluice_packets_find_refused(packets, 4, &error), 2);
	cr_assert_eq(error, -ENOENT);
	packets[2].path = file.path;
	cr_assert_eq(sluice_packets_find_refused(packets, 4, &error), 3);
	cr_assert_eq(error, -EINVAL);
	packets[3] = (struct sluice_packet){.kind = SLUICE_PACKET_FILE, .fd = -1};
	cr_assert_eq(sluice_packets_find_refused(packets, 4, &error), 3);
	cr_assert_eq(error, -EBADF);
	packets[0].offset = -1;
	cr_assert_eq(sluice_packets_find_refused(packets, 4, NULL), 0);
	cr_assert_eq(sluice_packets_find_refused(packets + 1, 2, &error), 2);
	cr_assert_eq(error, 0);
	cr_assert_eq(sluice_packets_find_refused(NULL, 0, &error), 0);
	cr_assert_eq(error, 0);
	sluice_packets_find_refused(NULL, 1, &error);
	cr_assert_eq(error, -EINVAL);
	file_end(&file);
	cr_assert_eq(count_descriptors(), descriptors);
}
