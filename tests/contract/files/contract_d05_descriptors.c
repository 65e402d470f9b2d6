/* SPDX-License-Identifier: MIT */
/* d05: paths are opened before the first byte leaves, and closed before the handler runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "measure.h"

#define LIMIT 64

SCENE_TEST(d05, d05_a_path_that_fails_sends_nothing_and_closes_the_others, 5000, 0)
{
	struct sluice_packet packets[4];

	packets[0] = path_packet(scene->file.path, 0, 0);
	packets[1] = memory_packet("memory", 6);
	packets[2] = path_packet(scene->file.path, 100, 0);
	packets[3] = path_packet("sluice-test-there-is-no-such-file", 0, 0);
	for (int i = 0; i < 200; i++) {
		int descriptors = count_descriptors();

		cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 4),
			     -ENOENT);
		cr_assert_eq(count_descriptors(), descriptors);
	}
	packets[3] = file_packet(-1, 0, 0);
	for (int i = 0; i < 200; i++) {
		int descriptors = count_descriptors();

		cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 4),
			     -EBADF);
		cr_assert_eq(count_descriptors(), descriptors);
	}
	run_idle(&scene->fixture);
	assert_nothing_to_read(scene->pair.peer);
	assert_still_sends(&scene->pair, &scene->fixture);
}

SCENE_TEST(d05, d05_out_of_descriptors_is_refused_and_sends_nothing, 5000, 0)
{
	struct sluice_packet packets[2];
	struct hoard hoard;

	packets[0] = memory_packet("memory", 6);
	packets[1] = path_packet(scene->file.path, 0, 0);
	hoard_begin(&hoard, LIMIT);

	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 2), -EMFILE);
	run_idle(&scene->fixture);
	assert_nothing_to_read(scene->pair.peer);
	assert_still_sends(&scene->pair, &scene->fixture);
	packets[1] = file_packet(scene->file.fd, 0, 0);
	send_packets(scene->pair.socket, &scene->operation, packets, 2);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 5006);

	hoard_end(&hoard);
}

/* Two paths, but only one free descriptor: the first file is closed again. */
SCENE_TEST(d05, d05_what_was_opened_is_closed_when_the_next_cannot_be, 5000, 0)
{
	struct sluice_packet packets[3];
	struct hoard hoard;

	packets[0] = path_packet(scene->file.path, 0, 10);
	packets[1] = path_packet(scene->file.path, 10, 10);
	packets[2] = path_packet(scene->file.path, 20, 10);
	hoard_begin(&hoard, LIMIT);
	hoard_release(&hoard, 2);

	for (int i = 0; i < 10; i++)
		cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 3),
			     -EMFILE);
	send_packets(scene->pair.socket, &scene->operation, packets, 2);
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 20);
	hoard_end(&hoard);
	read_pattern(scene->pair.peer, 20, 0);
}

/* ---- closed before the handler ---- */

static void count_in_handler(struct operation *operation)
{
	*(int *)operation->token = count_descriptors();
}

/* Paths that are in progress while their peer does not read; the descriptors open without them. */
struct stuck {
	struct scene scene;
	struct sluice_packet packets[4];
	int descriptors;
	int in_handler; /* descriptors open there */
};

static void stuck_begin(struct stuck *stuck)
{
	scene_begin(&stuck->scene, 8 * MIB, SMALL);
	stuck->scene.operation.then = count_in_handler;
	stuck->scene.operation.token = &stuck->in_handler;
	stuck->in_handler = -1;
	for (int i = 0; i < 4; i++)
		stuck->packets[i] =
			path_packet(stuck->scene.file.path, i * 2 * (int64_t)MIB, 2 * MIB);
	stuck->descriptors = count_descriptors();
	cr_assert_eq(start_packets(stuck->scene.pair.socket, &stuck->scene.operation,
				   stuck->packets, 4),
		     1);
	run_idle(&stuck->scene.fixture);
	cr_assert(!is_over(&stuck->scene.operation));
}

/* The engine's pipe may outlast the first operation that needed it; what belongs to the paths may not. */
static void assert_closed_in_handler(const struct stuck *stuck)
{
	cr_assert(is_over(&stuck->scene.operation));
	cr_assert_leq(stuck->in_handler, stuck->descriptors + 2,
		      "%d descriptors too many in the handler",
		      stuck->in_handler - stuck->descriptors);
}

Test(d05, d05_what_was_opened_is_closed_before_the_handler_of_a_success)
{
	struct stuck stuck;
	struct reader reader;

	stuck_begin(&stuck);
	reader_start(&reader, stuck.scene.pair.peer, 0);
	run_until(&stuck.scene.fixture, is_over(&stuck.scene.operation));
	assert_ended(&stuck.scene.operation, SLUICE_ERROR_SUCCESS, 8 * MIB);
	assert_closed_in_handler(&stuck);
	assert_read_to_end(&stuck.scene, &reader, 8 * MIB);
	scene_end(&stuck.scene);
}

Test(d05, d05_what_was_opened_is_closed_before_the_handler_of_a_reset)
{
	struct stuck stuck;

	stuck_begin(&stuck);
	close_with_reset(stuck.scene.pair.peer);
	stuck.scene.pair.peer = -1;
	stuck.descriptors--;
	run_until(&stuck.scene.fixture, is_over(&stuck.scene.operation));
	cr_assert_eq(stuck.scene.operation.args.error, SLUICE_ERROR_CONNECTION_RESET);
	assert_closed_in_handler(&stuck);
	scene_end(&stuck.scene);
}

Test(d05, d05_what_was_opened_is_closed_before_the_handler_of_a_cancel)
{
	struct stuck stuck;

	stuck_begin(&stuck);
	cr_assert_eq(sluice_cancel(stuck.scene.pair.socket, &stuck.scene.operation.args), 0);
	run_until(&stuck.scene.fixture, is_over(&stuck.scene.operation));
	cr_assert_eq(stuck.scene.operation.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	assert_closed_in_handler(&stuck);
	scene_end(&stuck.scene);
}

Test(d05, d05_what_was_opened_is_closed_before_the_handler_of_a_file_past_its_end)
{
	struct stuck stuck;
	struct operation behind;
	struct sluice_packet past;
	struct reader reader;
	int in_handler = -1;

	stuck_begin(&stuck);
	past = path_packet(stuck.scene.file.path, 8 * MIB + 1, 0);
	operation_init(&behind, &stuck.scene.fixture);
	behind.then = count_in_handler;
	behind.token = &in_handler;
	cr_assert_eq(start_packets(stuck.scene.pair.socket, &behind, &past, 1), 1);
	reader_start(&reader, stuck.scene.pair.peer, 0);
	run_until(&stuck.scene.fixture, is_over(&behind));
	assert_ended(&behind, SLUICE_ERROR_INVALID_ARGUMENT, 0);
	assert_ended(&stuck.scene.operation, SLUICE_ERROR_SUCCESS, 8 * MIB);
	assert_closed_in_handler(&stuck);
	stuck.in_handler = in_handler;
	assert_closed_in_handler(&stuck);
	assert_read_to_end(&stuck.scene, &reader, 8 * MIB);
	scene_end(&stuck.scene);
}

/* The descriptor of an element is the caller's: looked at, sent from, and still open. */
SCENE_TEST(d05, d05_a_descriptor_that_was_given_is_not_closed, 5000, 0)
{
	struct sluice_packet packet;

	packet = file_packet(scene->file.fd, 0, 0);
	for (int i = 0; i < 3; i++) {
		send_packets(scene->pair.socket, &scene->operation, &packet, 1);
		assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 5000);
		cr_assert(fcntl(scene->file.fd, F_GETFD) >= 0,
			  "the caller's descriptor was closed");
		read_pattern(scene->pair.peer, 5000, 0);
	}
}

/* Whatever happens to the name afterwards, and however long the record waits. */
Test(d05, d05_paths_are_opened_by_the_starting_call)
{
	char directory[] = "sluice-test-XXXXXX", path[64];
	struct fixture fixture;
	struct blocked blocked;
	struct operation operation;
	struct sluice_packet packet;
	struct reader reader;
	int fd;

	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/file", directory);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_eq(write(fd, "contents", 8), 8);
	close(fd);
	files_begin(&fixture, NULL);
	blocked_begin(&fixture, &blocked);
	operation_init(&operation, &fixture);
	packet = path_packet(path, 0, 0);
	cr_assert_eq(start_packets(blocked.pair.socket, &operation, &packet, 1), 1);
	unlink(path);
	rmdir(directory);

	reader_start(&reader, blocked.pair.peer, 0);
	run_until(&fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 8);
	sluice_socket_close(blocked.pair.socket);
	run_idle(&fixture);
	cr_assert_eq(pthread_join(reader.thread, NULL), 0);
	cr_assert_eq(reader.bytes, HEAD_BYTES + 8);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

/* ---- thirty thousand ---- */

/* .NET leaks one descriptor each until it collects, and fails at call 19,944. */
Test(d05, d05_thirty_thousand_sends_of_a_path_under_a_limit_of_64_descriptors)
{
	enum {
		SENDS = 30000,
		LENGTH = 4096
	};
	struct scene scene;
	struct sluice_packet packet;
	struct reader reader;

	limit_descriptors(LIMIT);
	scene_begin(&scene, LENGTH, 0);
	packet = path_packet(scene.file.path, 0, 0);
	reader_start(&reader, scene.pair.peer, 0);
	for (int i = 0; i < SENDS; i++) {
		send_packets(scene.pair.socket, &scene.operation, &packet, 1);
		assert_ended(&scene.operation, SLUICE_ERROR_SUCCESS, LENGTH);
	}
	assert_read_to_end(&scene, &reader, (uint64_t)SENDS * LENGTH);
	scene_end(&scene);
}

/* Queued, so that many are open at once, up to the limit and then refused. */
Test(d05, d05_queued_paths_beyond_the_limit_are_refused_and_the_rest_arrives)
{
	enum {
		RECORDS = 100,
		LENGTH = 3000
	};
	struct fixture fixture;
	struct blocked blocked;
	struct operation *operations;
	struct file file;
	struct sluice_packet packet;
	struct reader reader;
	size_t accepted = 0;

	file_new(&file, LENGTH, 0);
	files_begin(&fixture, NULL);
	limit_descriptors(LIMIT);
	blocked_begin(&fixture, &blocked);
	operations = operations_new(&fixture, RECORDS);
	packet = path_packet(file.path, 0, 0);
	for (; accepted < RECORDS; accepted++) {
		int answer = start_packets(blocked.pair.socket, &operations[accepted], &packet, 1);

		if (answer == -EMFILE)
			break;
		cr_assert_eq(answer, 1);
	}
	cr_assert_gt(accepted, 10);
	cr_assert_lt(accepted, LIMIT);

	reader_start(&reader, blocked.pair.peer, 0);
	run_until(&fixture, are_over(operations, accepted) && is_over(&blocked.head));
	for (size_t i = 0; i < accepted; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, LENGTH);
	sluice_socket_close(blocked.pair.socket);
	run_idle(&fixture);
	cr_assert_eq(pthread_join(reader.thread, NULL), 0);
	cr_assert_eq(reader.bytes, HEAD_BYTES + accepted * LENGTH);
	blocked_end(&blocked);
	fixture_end(&fixture);
	free(operations);
	file_end(&file);
}
