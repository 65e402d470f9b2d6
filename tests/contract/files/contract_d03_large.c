/* SPDX-License-Identifier: MIT */
/* d03: files over 2 GiB and sparse files arrive byte for byte; counts are 64 bits. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

#define GIB (INT64_C(1) << 30)
#define MARK_BYTES 64

/* Where a sparse file is no hole: the pattern from the mark's own offset on. */
static const int64_t marks[] = {
	0,
	4096 - 7,
	GIB - MARK_BYTES,
	2 * GIB - MARK_BYTES / 2, /* across the largest count of 31 bits */
	2 * GIB + 99 - MARK_BYTES,
	4 * GIB - MARK_BYTES / 2, /* across the largest count of 32 bits */
};

#define MARKS (sizeof marks / sizeof *marks)

/* Writes the part of a mark that lies in the length bytes at position; whether there is one. */
static bool overlay(char *bytes, int64_t position, int64_t length, int64_t mark)
{
	char pattern[MARK_BYTES];
	int64_t from = mark > position ? mark : position;
	int64_t to = mark + MARK_BYTES < position + length ? mark + MARK_BYTES : position + length;

	if (from >= to)
		return false;
	pattern_fill(pattern, sizeof pattern, (uint64_t)mark);
	memcpy(bytes + (from - position), pattern + (from - mark), (size_t)(to - from));
	return true;
}

static void sparse_new(struct file *file, int64_t length)
{
	char pattern[MARK_BYTES];

	file_new(file, 0, 0);
	cr_assert_eq(ftruncate(file->fd, length), 0);
	for (size_t i = 0; i < MARKS; i++) {
		int64_t room = length - marks[i];

		pattern_fill(pattern, sizeof pattern, (uint64_t)marks[i]);
		if (room > 0)
			cr_assert(pwrite(file->fd, pattern,
					 room < MARK_BYTES ? (size_t)room : MARK_BYTES,
					 marks[i]) > 0);
	}
}

/* A peer that knows what the sparse file holds. */
struct sparse_reader {
	pthread_t thread;
	int fd;
	int64_t position; /* in the file, of the next byte */
	int64_t end;
	int64_t wrong; /* offset of the first chunk that differs; -1: none */
	int error;
};

#define CHUNK ((int64_t)524288)

static void *sparse_reader_main(void *token)
{
	struct sparse_reader *reader = token;
	char *bytes = malloc(CHUNK), *expected = calloc(1, CHUNK);

	while (reader->position < reader->end) {
		int64_t left = reader->end - reader->position;
		ssize_t count = recv(reader->fd, bytes, left < CHUNK ? (size_t)left : CHUNK, 0);
		bool marked = false;

		if (count <= 0) {
			reader->error = count < 0 ? errno : ENODATA;
			break;
		}
		for (size_t i = 0; i < MARKS; i++)
			marked |= overlay(expected, reader->position, count, marks[i]);
		if (reader->wrong < 0 && memcmp(bytes, expected, (size_t)count) != 0)
			reader->wrong = reader->position;
		if (marked)
			memset(expected, 0, (size_t)count);
		reader->position += count;
	}
	free(bytes);
	free(expected);
	return NULL;
}

/* Sends count bytes of the file from offset on, and a trailer, to a peer that looks at every byte. */
static void assert_large_arrives(int64_t file_length, int64_t offset, int64_t count,
				 int64_t expected)
{
	struct sparse_reader reader = {.position = offset, .end = offset + expected, .wrong = -1};
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct file file;
	struct sluice_packet packets[2];
	char trailer[7];

	sparse_new(&file, file_length);
	files_begin(&fixture, NULL);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	reader.fd = pair.peer;
	cr_assert_eq(pthread_create(&reader.thread, NULL, sparse_reader_main, &reader), 0);

	packets[0] = file_packet(file.fd, offset, count);
	packets[1] = memory_packet("trailer", 7);
	cr_assert(start_packets(pair.socket, &operation, packets, 2) >= 0);
	while (!is_over(&operation))
		run_turn(&fixture, now_ns() + GUARD_NS, "the end of a large file");
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, (uint64_t)expected + 7);

	cr_assert_eq(pthread_join(reader.thread, NULL), 0);
	cr_assert_eq(reader.error, 0, "%s", strerror(reader.error));
	cr_assert_eq(reader.wrong, -1, "wrong near byte %lld", (long long)reader.wrong);
	read_exactly(pair.peer, trailer, sizeof trailer);
	cr_assert_arr_eq(trailer, "trailer", 7);
	assert_nothing_to_read(pair.peer);
	pair_close(&pair);
	fixture_end(&fixture);
	file_end(&file);
}

/* .NET's case; its BytesTransferred wraps to -2,147,483,549. */
Test(d03, d03_two_to_the_31_and_99_bytes_of_a_sparse_file_are_counted_in_64_bits)
{
	assert_large_arrives(2 * GIB + 99, 0, 2 * GIB + 99, 2 * GIB + 99);
}

Test(d03, d03_offsets_over_4_gib_are_64_bits)
{
	assert_large_arrives(5 * GIB, 4 * GIB - 1000, 2000000, 2000000);
	assert_large_arrives(5 * GIB + 12345, 5 * GIB, 0, 12345);
}
