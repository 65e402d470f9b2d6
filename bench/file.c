/* SPDX-License-Identifier: MIT */
/* Files from the page cache, by descriptor and with an explicit count. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "suite.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

static const struct {
	const char *name;
	uint64_t bytes;
	double aim;
} sizes[] = {
	{"4KiB", 4 * KIB, 1.15},
	{"64KiB", 64 * KIB, 1.03},
	{"1MiB", MIB, 1.03},
	{"64MiB", 64 * MIB, 1.03},
};

static const struct {
	const char *name;
	enum receiver_mode mode;
} receivers[] = {
	{"discards", RECEIVER_DISCARDS},
	{"copies", RECEIVER_COPIES},
};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define RECEIVERS (sizeof(receivers) / sizeof(receivers[0]))

/* Each size with each receiver. */
static void make_scenario(struct scenario *scenario, size_t size, size_t receiver)
{
	static char names[SIZES][RECEIVERS][32];
	static char titles[SIZES][RECEIVERS][64];
	char *name = names[size][receiver];
	char *title = titles[size][receiver];

	snprintf(name, sizeof(names[0][0]), "%s-%s", sizes[size].name, receivers[receiver].name);
	snprintf(title, sizeof(titles[0][0]), "%s, cached, receiver %s", sizes[size].name,
		 receivers[receiver].name);
	*scenario = (struct scenario){
		.name = name,
		.title = title,
		.aim = sizes[size].aim,
		.ours = side_sluice_file_create,
		.baseline = side_sendfile_create,
		.receiver = receivers[receiver].mode,
		.load = {.sockets = 1, .file_bytes = sizes[size].bytes},
	};
}

/* Writing puts it into the page cache; on the disk as well, no writing back disturbs later. */
static void fill(int fd, uint64_t bytes)
{
	static char block[64 * 1024];
	uint64_t written = 0;

	while (written < bytes) {
		uint64_t left = bytes - written;
		ssize_t count = write(fd, block, left < sizeof(block) ? left : sizeof(block));

		if (count < 0)
			err(1, "cannot write the file to send");
		written += (uint64_t)count;
	}
	if (fsync(fd) != 0)
		err(1, "fsync");
}

static int make_file(const char *directory, uint64_t bytes)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/bench-file-XXXXXX", directory);
	fd = mkstemp(path);
	if (fd < 0)
		err(1, "%s", path);
	unlink(path);
	fill(fd, bytes);
	return fd;
}

int main(int argc, char **argv)
{
	struct scenario scenarios[SIZES * RECEIVERS];
	const struct suite suite = {
		.name = "file",
		.unit = "a file",
		.scenarios = scenarios,
		.scenario_count = SIZES * RECEIVERS,
		.make_file = make_file,
	};

	for (size_t i = 0; i < suite.scenario_count; i++)
		make_scenario(&scenarios[i], i / RECEIVERS, i % RECEIVERS);
	return suite_main(argc, argv, &suite);
}
