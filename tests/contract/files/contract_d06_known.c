/* SPDX-License-Identifier: MIT */
/* d06: files that the caller knows, and that are not looked at before they are sent. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "files.h"

#define KNOWN 7

static struct sluice_packet known_packet(int fd, int64_t offset, int64_t count)
{
	struct sluice_packet packet = file_packet(fd, offset, count);

	packet.identity = KNOWN;
	return packet;
}

Test(d06, d06_a_known_file_arrives_whole)
{
	static const size_t lengths[] = {1, 100, 5000, 100000, 3 * MIB};

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		size_t length = lengths[i];
		struct sluice_packet packets[2];
		struct scene scene;
		char *head = pattern_new(10, 0);

		scene_begin(&scene, length, 0);
		packets[0] = known_packet(scene.file.fd, 0, (int64_t)length);
		assert_arrives(&scene, packets, 1, length, 0);
		packets[0] = known_packet(scene.file.fd, (int64_t)length / 2, 1);
		assert_arrives(&scene, packets, 1, 1, length / 2);
		scene_end(&scene);

		/* Behind memory, the file going on with the pattern. */
		scene_begin(&scene, length + 10, 0);
		packets[0] = memory_packet(head, 10);
		packets[1] = known_packet(scene.file.fd, 10, (int64_t)length);
		assert_arrives(&scene, packets, 2, length + 10, 0);
		scene_end(&scene);
		free(head);
	}
}

/* Its end is found when it is reached; a file that is looked at ends before its first byte. */
static void assert_found_short(size_t head_bytes)
{
	struct sluice_packet packets[2];
	struct scene scene;
	char *head = pattern_new(10, 0);
	size_t first = head_bytes ? 0 : 1;
	char *got;

	scene_begin(&scene, 5000, 0);
	packets[0] = memory_packet(head, head_bytes);
	packets[1] = file_packet(scene.file.fd, 0, 5001);
	send_packets(scene.pair.socket, &scene.operation, packets + first, 2 - first);
	assert_ended(&scene.operation, SLUICE_ERROR_INVALID_ARGUMENT, 0);

	packets[1] = known_packet(scene.file.fd, 0, 5001);
	send_packets(scene.pair.socket, &scene.operation, packets + first, 2 - first);
	assert_ended(&scene.operation, SLUICE_ERROR_NO_DATA, head_bytes + 5000);
	got = malloc(head_bytes + 5000);
	cr_assert(got);
	read_exactly(scene.pair.peer, got, head_bytes + 5000);
	cr_assert_eq(got[head_bytes], head[0]);
	cr_assert_eq(start_send(scene.pair.socket, &scene.operation, "later", 5), 0);
	assert_ended(&scene.operation, SLUICE_ERROR_SHUTDOWN, 0);
	scene_end(&scene);
	free(got);
	free(head);
}

Test(d06, d06_a_known_file_that_is_too_short_is_no_data)
{
	assert_found_short(0);
	assert_found_short(10);
}

/* Nothing of it has left: the stream is whole. */
SCENE_TEST(d06, d06_a_known_descriptor_that_is_none_ends_alone, 5000, 0)
{
	struct sluice_packet packet;
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(write(ends[1], "pipe", 4), 4);
	for (int i = 0; i < 3; i++) {
		packet = known_packet(i == 0 ? -1 : ends[i - 1], 0, 4);
		send_packets(scene->pair.socket, &scene->operation, &packet, 1);
		cr_assert_neq(scene->operation.args.error, SLUICE_ERROR_SUCCESS, "case %d", i);
		cr_assert_eq(scene->operation.args.bytes_transferred, 0);
		assert_still_sends(&scene->pair, &scene->fixture);
	}
	close(ends[0]);
	close(ends[1]);
}

Test(d06, d06_only_a_descriptor_with_its_count_can_be_known)
{
	static const struct {
		struct sluice_packet packet;
		int answer;
	} cases[] = {
		{{.kind = SLUICE_PACKET_FILE, .count = 1, .identity = KNOWN}, 0},
		{{.kind = SLUICE_PACKET_FILE, .count = 1, .identity = UINT64_MAX}, 0},
		{{.kind = SLUICE_PACKET_FILE, .count = 0, .identity = KNOWN}, -EINVAL},
		{{.kind = SLUICE_PACKET_PATH, .path = "x", .count = 1, .identity = KNOWN}, -EINVAL},
		{{.kind = SLUICE_PACKET_MEMORY, .base = "x", .count = 1, .identity = KNOWN},
		 -EINVAL},
		{{.kind = SLUICE_PACKET_NONE, .count = 1, .identity = KNOWN}, -EINVAL},
		{{.kind = SLUICE_PACKET_FILE, .offset = INT64_MAX, .count = 1, .identity = KNOWN},
		 -ERANGE},
		{{.kind = SLUICE_PACKET_FILE,
		  .offset = INT64_MAX - 1,
		  .count = 1,
		  .identity = KNOWN},
		 0},
	};
	struct sluice_args args = {0};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		cr_assert_eq(sluice_args_set_packets(&args, &cases[i].packet, 1), cases[i].answer,
			     "case %zu", i);
}
