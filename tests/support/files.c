/* SPDX-License-Identifier: MIT */
/* Temporary files and packets for the contract's tests. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void file_new(struct file *file, size_t length, uint64_t position)
{
	char name[] = "sluice-test-XXXXXX";

	file->fd = mkostemp(name, O_CLOEXEC);
	cr_assert(file->fd >= 0, "%s: %s", name, strerror(errno));
	unlink(name);
	snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
	pattern_write(file->fd, length, position);
}

void file_end(struct file *file)
{
	close(file->fd);
	file->fd = -1;
}

uint32_t file_way_of_environment(void)
{
	static const char *const names[] = {
		[SLUICE_FILE_WAY_SENDFILE] = "sendfile",
		[SLUICE_FILE_WAY_READ] = "read",
		[SLUICE_FILE_WAY_SPLICE] = "splice",
		[SLUICE_FILE_WAY_SPLICE_RING] = "splice-ring",
	};
	const char *wanted = getenv("SLUICE_TEST_FILE_WAY");

	if (!wanted)
		return SLUICE_FILE_WAY_AUTO;
	for (uint32_t way = SLUICE_FILE_WAY_SENDFILE; way <= SLUICE_FILE_WAY_SPLICE_RING; way++)
		if (strcmp(wanted, names[way]) == 0)
			return way;
	cr_assert_fail("SLUICE_TEST_FILE_WAY is %s", wanted);
	return SLUICE_FILE_WAY_AUTO;
}

struct sluice_options files_options(void)
{
	struct sluice_options options;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.file_way = file_way_of_environment();
	return options;
}

void files_begin(struct fixture *fixture, const struct sluice_options *options)
{
	struct sluice_options defaults = files_options();

	fixture_begin_with(fixture, options ? options : &defaults);
}

bool files_unforced(void)
{
	return file_way_of_environment() == SLUICE_FILE_WAY_AUTO && !getenv("SLUICE_DISABLE");
}

/* ---- packets ---- */

struct sluice_packet memory_packet(const void *base, size_t count)
{
	return (struct sluice_packet){
		.kind = SLUICE_PACKET_MEMORY,
		.base = base,
		.count = (int64_t)count,
	};
}

struct sluice_packet file_packet(int fd, int64_t offset, int64_t count)
{
	return (struct sluice_packet){
		.kind = SLUICE_PACKET_FILE,
		.fd = fd,
		.offset = offset,
		.count = count,
	};
}

struct sluice_packet path_packet(const char *path, int64_t offset, int64_t count)
{
	return (struct sluice_packet){
		.kind = SLUICE_PACKET_PATH,
		.path = path,
		.offset = offset,
		.count = count,
	};
}

int start_packets(struct sluice_socket *socket, struct operation *operation,
		  const struct sluice_packet *packets, size_t count)
{
	cr_assert_eq(sluice_args_set_packets(&operation->args, packets, count), 0);
	return start(sluice_send_packets_async, socket, operation);
}

void send_packets(struct sluice_socket *socket, struct operation *operation,
		  const struct sluice_packet *packets, size_t count)
{
	int answer = start_packets(socket, operation, packets, count);

	cr_assert(answer >= 0, "send_packets was refused: %s", strerror(-answer));
	run_until(operation->fixture, is_over(operation));
}

void scene_begin(struct scene *scene, size_t file_length, int buffer_bytes)
{
	file_new(&scene->file, file_length, 0);
	files_begin(&scene->fixture, NULL);
	tcp_pair(&scene->fixture, &scene->pair, buffer_bytes);
	operation_init(&scene->operation, &scene->fixture);
}

void scene_end(struct scene *scene)
{
	pair_close(&scene->pair);
	fixture_end(&scene->fixture);
	file_end(&scene->file);
}

void assert_read_to_end(struct scene *scene, struct reader *reader, uint64_t bytes)
{
	sluice_socket_close(scene->pair.socket);
	run_idle(&scene->fixture);
	cr_assert_eq(pthread_join(reader->thread, NULL), 0);
	cr_assert_eq(reader->error, 0, "the peer met: %s", strerror(reader->error));
	cr_assert_eq(reader->bytes, bytes, "the peer got %llu bytes, not %llu",
		     (unsigned long long)reader->bytes, (unsigned long long)bytes);
}

void *send_and_read(struct scene *scene, const struct sluice_packet *packets, size_t count,
		    size_t bytes)
{
	struct operation *operation = &scene->operation;
	char *arrived = malloc(bytes + 1);
	size_t done = 0;
	int64_t deadline = now_ns() + GUARD_NS;
	int answer = start_packets(scene->pair.socket, operation, packets, count);

	cr_assert(arrived);
	cr_assert(answer >= 0, "send_packets was refused: %s", strerror(-answer));
	while (!is_over(operation) || done < bytes) {
		ssize_t got = recv(scene->pair.peer, arrived + done, bytes - done, MSG_DONTWAIT);

		if (got > 0)
			done += (size_t)got;
		cr_assert(sluice_engine_run(scene->fixture.engine, got > 0 ? 0 : MILLISECOND) >= 0);
		cr_assert_lt(now_ns(), deadline, "%zu of %zu bytes arrived", done, bytes);
	}
	assert_ended(operation, SLUICE_ERROR_SUCCESS, bytes);
	assert_nothing_to_read(scene->pair.peer);
	return arrived;
}

void assert_arrives(struct scene *scene, const struct sluice_packet *packets, size_t count,
		    size_t bytes, uint64_t position)
{
	void *arrived = send_and_read(scene, packets, count, bytes);

	cr_assert(pattern_matches(arrived, bytes, position), "what arrived is not the pattern");
	free(arrived);
}

/* ---- what a socket says ---- */

void assert_still_sends(struct pair *pair, struct fixture *fixture)
{
	struct operation probe;
	char byte;

	operation_init(&probe, fixture);
	cr_assert(start_send(pair->socket, &probe, "!", 1) >= 0);
	run_until(fixture, is_over(&probe));
	assert_ended(&probe, SLUICE_ERROR_SUCCESS, 1);
	read_exactly(pair->peer, &byte, 1);
	cr_assert_eq(byte, '!', "another byte came first");
}

int cork_of(const struct pair *pair)
{
	int value = -1;
	socklen_t length = sizeof value;
	int fd = sluice_socket_fd(pair->socket);

	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, &length), 0);
	return value;
}

/* ---- the page cache ---- */

/* By mincore, which unlike a read that does not wait starts no reading of its own. */
/* Not by reading with RWF_NOWAIT: that starts read-ahead. */
static bool is_cold(int fd)
{
	long page = sysconf(_SC_PAGESIZE);
	off_t length = lseek(fd, 0, SEEK_END);
	size_t pages = ((size_t)length + (size_t)page - 1) / (size_t)page;
	unsigned char *resident = calloc(pages + 1, 1);
	void *map = mmap(NULL, (size_t)length, PROT_READ, MAP_SHARED, fd, 0);
	bool cold = map != MAP_FAILED && mincore(map, (size_t)length, resident) == 0;

	for (size_t i = 0; i < pages; i++)
		cold = cold && !(resident[i] & 1);
	if (map != MAP_FAILED)
		munmap(map, (size_t)length);
	free(resident);
	return cold;
}

/* Recently accessed pages may survive the first request: it is repeated. */
int file_chill(int fd)
{
	for (int attempt = 0; attempt < 20; attempt++) {
		if (fsync(fd) < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
			return -1;
		if (is_cold(fd))
			return 0;
		usleep(1000);
	}
	return -1;
}
