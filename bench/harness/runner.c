/* SPDX-License-Identifier: MIT */
#include "harness/runner.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES 4096

void *runner_allocate(size_t count, size_t bytes)
{
	size_t pages = (count * bytes + PAGE_BYTES - 1) / PAGE_BYTES;
	void *memory = aligned_alloc(PAGE_BYTES, pages * PAGE_BYTES);

	if (!memory)
		err(1, "out of memory");
	memset(memory, 0, pages * PAGE_BYTES);
	return memory;
}

/* A header has a place of its own, behind all bodies: it is built for each record anew. */
static size_t body_bytes(const struct load *load)
{
	return load->record_bytes - load->header_bytes;
}

char *runner_payload(const struct load *load)
{
	return runner_allocate(load->shared ? 1 : load->records, load->record_bytes);
}

size_t runner_record(const struct load *load, char *payload, size_t record,
		     struct iovec segments[2])
{
	size_t place = load->shared ? 0 : record;
	size_t places = load->shared ? 1 : load->records;
	size_t count = 0;

	if (load->header_bytes > 0)
		segments[count++] = (struct iovec){payload + places * body_bytes(load) +
							   place * load->header_bytes,
						   load->header_bytes};
	segments[count++] = (struct iovec){payload + place * body_bytes(load), body_bytes(load)};
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
