/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzzer over the files of directories, each with hundreds or thousands of changes of its own
 * making, and says so in TAP: a case a file.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most of what a change breaks is seen by sanitizers only. */
#if !defined(__SANITIZE_ADDRESS__)
#define CHANGES 200
#elif defined(SLOW_INPUTS)
#define CHANGES 250
#else
#define CHANGES 2000
#endif
#define FILE_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state = 1;

/* A generator of our own gives the same changes everywhere. */
static size_t below(size_t limit)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(state >> 33) % limit;
}

static void change(uint8_t *data, size_t *size)
{
	size_t at = *size > 0 ? below(*size) : 0;

	switch (below(4)) {
	case 0:
		if (*size > 0)
			data[at] = (uint8_t)below(256);
		break;
	case 1:
		*size = at;
		break;
	case 2:
		if (*size < FILE_MAX) {
			memmove(data + at + 1, data + at, *size - at);
			data[at] = (uint8_t) "\r\n :/%.,-=\"\0a1"[below(15)];
			++*size;
		}
		break;
	default:
		if (*size > 0) {
			memmove(data + at, data + at + 1, *size - at - 1);
			--*size;
		}
		break;
	}
}

static void replay(const uint8_t *data, size_t size)
{
	static uint8_t changed[FILE_MAX];

	LLVMFuzzerTestOneInput(data, size);
	for (int i = 0; i < CHANGES; i++) {
		size_t changed_size = size;

		memcpy(changed, data, size);
		for (size_t changes = 1 + below(4); changes > 0; changes--)
			change(changed, &changed_size);
		LLVMFuzzerTestOneInput(changed, changed_size);
	}
}

static int replay_file(const char *directory, const char *name, int number)
{
	static uint8_t data[FILE_MAX];
	char path[4096];
	FILE *file;
	size_t size;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (file == NULL) {
		printf("not ok %d - %s cannot be read\n", number, name);
		return 1;
	}
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	replay(data, size);
	printf("ok %d - %s and its changes are read without harm\n", number, name);
	return 0;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	int cases = 0, failed = 0;

	for (int i = 1; i < argc; i++) {
		struct dirent **entries;
		int count = scandir(argv[i], &entries, is_visible, alphasort);

		for (int j = 0; j < count; j++) {
			failed += replay_file(argv[i], entries[j]->d_name, ++cases);
			free(entries[j]);
		}
		if (count >= 0)
			free(entries);
	}
	printf("1..%d\n", cases);
	return failed > 0 || cases == 0;
}
