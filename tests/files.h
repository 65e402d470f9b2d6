/* SPDX-License-Identifier: MIT */
/*
 * What the tests of files share: temporary files of the tests' pattern, packets, and engines that
 * take the way which SLUICE_TEST_FILE_WAY names (sendfile, read or splice; unset: the library's own
 * choice).
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

/* A byte sent as a plain record reaches the peer next: the stream is whole, the socket lives. */
void assert_still_sends(struct pair *pair, struct fixture *fixture);

/* The value of TCP_CORK. */
int cork_of(const struct pair *pair);

/*
 * Drops the file from the page cache. 0, or -1 where the filesystem cannot say whether a page is
 * there, or will not let go of it.
 */
int file_chill(int fd);

/* Kernel threads that work for this process's rings. */
int count_ring_workers(void);

#endif
