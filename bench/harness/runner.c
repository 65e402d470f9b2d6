/* SPDX-License-Identifier: MIT */
#include "harness/runner.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define HALF_PAGE ((size_t)PAGE_BYTES / 2)

void *runner_allocate(size_t count, size_t bytes)
{
	size_t pages = (count * bytes + PAGE_BYTES - 1) / PAGE_BYTES;
	void *memory = aligned_alloc(PAGE_BYTES, pages * PAGE_BYTES);

	if (!memory)
		err(1, "out of memory");
	memset(memory, 0, pages * PAGE_BYTES);
	return memory;
}

/* Headers are stored separately, after all bodies, because a program builds each one anew. */
static size_t body_bytes(const struct load *load)
{
	return load->record_bytes - load->header_bytes;
}

/* From one body to the next. */
static size_t stride(const struct load *load)
{
	size_t halves = (body_bytes(load) + HALF_PAGE - 1) / HALF_PAGE;

	return load->scattered ? halves * HALF_PAGE : body_bytes(load);
}

char *runner_payload(const struct load *load)
{
	return runner_allocate(load->shared ? 1 : load->records, stride(load) + load->header_bytes);
}

size_t runner_record(const struct load *load, char *payload, size_t record,
		     struct iovec segments[2])
{
	size_t place = load->shared ? 0 : record;
	size_t places = load->shared ? 1 : load->records;
	size_t count = 0;

	if (load->header_bytes > 0)
		segments[count++] =
			(struct iovec){payload + places * stride(load) + place * load->header_bytes,
				       load->header_bytes};
	segments[count++] = (struct iovec){payload + place * stride(load), body_bytes(load)};
	return count;
}

int *runner_connect(const struct load *load)
{
	int *fds = (int *)runner_allocate(load->sockets, sizeof(*fds));

	for (size_t i = 0; i < load->sockets; i++)
		fds[i] = load->kind == LOAD_DATAGRAMS ? net_connect_datagrams(load->receiver)
						      : net_connect(load->receiver);
	return fds;
}

void runner_disconnect(const struct load *load, int *fds)
{
	for (size_t i = 0; i < load->sockets; i++)
		close(fds[i]);
	free(fds);
}
