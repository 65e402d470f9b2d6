/* SPDX-License-Identifier: MIT */
/*
 * What the tests of files share: temporary files of the tests' pattern, packets, and engines that
 * take the way which SLUICE_TEST_FILE_WAY names (sendfile, read, splice or splice-ring; unset: the
 * library's own choice).
 */
#ifndef FILES_H
#define FILES_H

#include "support.h"

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

/*
 * Lies in the working directory, which under meson is the build's and so no tmpfs. It has no name
 * any more, so that nothing is left of it however the test ends; path still opens it.
 */
struct file {
	int fd;
	char path[32];
};

/* Fills the file with the pattern from position on. Before fixture_begin or after fixture_end. */
void file_new(struct file *file, size_t length, uint64_t position);
void file_end(struct file *file);

/* SLUICE_FILE_WAY_*, from SLUICE_TEST_FILE_WAY. */
uint32_t file_way_of_environment(void);

/* As fixture_begin, with the file way of the environment; options may be NULL. */
void files_begin(struct fixture *fixture, const struct sluice_options *options);

/* The defaults, with the file way of the environment. */
struct sluice_options files_options(void);

/* Whether the library chooses the way itself and no capability is taken away. */
bool files_unforced(void);

/* One element each. */
struct sluice_packet memory_packet(const void *base, size_t count);
struct sluice_packet file_packet(int fd, int64_t offset, int64_t count);
struct sluice_packet path_packet(const char *path, int64_t offset, int64_t count);

/* set_packets, then send_packets_async. */
int start_packets(struct sluice_socket *socket, struct operation *operation,
		  const struct sluice_packet *packets, size_t count);

/* start_packets, and runs the engine until the operation is over. */
void send_packets(struct sluice_socket *socket, struct operation *operation,
		  const struct sluice_packet *packets, size_t count);

/* A connection, a file of the pattern and a record: what most tests of files want. */
struct scene {
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct file file;
};

/* The pair's buffers have buffer_bytes; 0: the default. */
void scene_begin(struct scene *scene, size_t file_length, int buffer_bytes);
void scene_end(struct scene *scene);

/* Closes the socket, and asserts that the peer's reader got so many bytes and then the end. */
void assert_read_to_end(struct scene *scene, struct reader *reader, uint64_t bytes);

/*
 * Sends the packets while the peer reads, whatever the buffers hold; asserts success, and that so
 * many bytes arrived and no more. They are the caller's to free.
 */
void *send_and_read(struct scene *scene, const struct sluice_packet *packets, size_t count,
		    size_t bytes);

/* send_and_read, and asserts that what arrived is the pattern from position on. */
void assert_arrives(struct scene *scene, const struct sluice_packet *packets, size_t count,
		    size_t bytes, uint64_t position);

/* A byte sent as a plain record reaches the peer next: the stream is whole, the socket lives. */
void assert_still_sends(struct pair *pair, struct fixture *fixture);

/* The value of TCP_CORK. */
int cork_of(const struct pair *pair);

/* Drops the file from the page cache; -1 where the filesystem will not let go of it. */
int file_chill(int fd);

#endif
