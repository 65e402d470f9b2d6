/* SPDX-License-Identifier: MIT */
/* What the library promises to need, and where the public members stand in their structures. */
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support.h"

/* Part of the interface: a program compiled against one version runs with the next. */
#define ASSERT_OFFSET(type, member, offset) \
	_Static_assert(offsetof(struct type, member) == (offset), #type "." #member " has moved")

_Static_assert(sizeof(struct sluice_args) == 256, "a record is 256 bytes");
ASSERT_OFFSET(sluice_args, completed, 0);
ASSERT_OFFSET(sluice_args, user_token, 8);
ASSERT_OFFSET(sluice_args, flags, 16);
ASSERT_OFFSET(sluice_args, reserved, 20);
ASSERT_OFFSET(sluice_args, timeout_ns, 24);
ASSERT_OFFSET(sluice_args, error, 32);
ASSERT_OFFSET(sluice_args, native_error, 36);
ASSERT_OFFSET(sluice_args, bytes_transferred, 40);
ASSERT_OFFSET(sluice_args, last_operation, 48);
ASSERT_OFFSET(sluice_args, transmit_flags, 52);
ASSERT_OFFSET(sluice_args, accept_socket, 56);
ASSERT_OFFSET(sluice_args, remote_address, 128);
ASSERT_OFFSET(sluice_args, from_address, 136);
ASSERT_OFFSET(sluice_args, remote_address_length, 144);
ASSERT_OFFSET(sluice_args, from_capacity, 148);
ASSERT_OFFSET(sluice_args, from_length, 152);
ASSERT_OFFSET(sluice_args, disconnect_reuse_socket, 156);

_Static_assert(sizeof(struct sluice_packet) == 48, "a packet is 48 bytes");
ASSERT_OFFSET(sluice_packet, kind, 0);
ASSERT_OFFSET(sluice_packet, fd, 4);
ASSERT_OFFSET(sluice_packet, base, 8);
ASSERT_OFFSET(sluice_packet, path, 16);
ASSERT_OFFSET(sluice_packet, offset, 24);
ASSERT_OFFSET(sluice_packet, count, 32);
ASSERT_OFFSET(sluice_packet, identity, 40);

_Static_assert(sizeof(struct sluice_timer) == 48, "a timer is 48 bytes");
ASSERT_OFFSET(sluice_timer, expired, 0);
ASSERT_OFFSET(sluice_timer, token, 8);

_Static_assert(sizeof(struct sluice_fan_out_target) == 264, "a target is a record and a pointer");
ASSERT_OFFSET(sluice_fan_out_target, args, 0);
ASSERT_OFFSET(sluice_fan_out_target, socket, 256);
_Static_assert(sizeof(struct sluice_fan_out) == 80, "a fan-out is 80 bytes");
ASSERT_OFFSET(sluice_fan_out, completed, 0);
ASSERT_OFFSET(sluice_fan_out, user_token, 8);
ASSERT_OFFSET(sluice_fan_out, base, 16);
ASSERT_OFFSET(sluice_fan_out, length, 24);
ASSERT_OFFSET(sluice_fan_out, targets, 32);
ASSERT_OFFSET(sluice_fan_out, target_count, 40);
ASSERT_OFFSET(sluice_fan_out, timeout_ns, 48);
ASSERT_OFFSET(sluice_fan_out, flags, 56);
ASSERT_OFFSET(sluice_fan_out, failed, 64);

/* A structure that says its size says it first. */
ASSERT_OFFSET(sluice_options, size, 0);
ASSERT_OFFSET(sluice_accept_options, size, 0);
ASSERT_OFFSET(sluice_receive_options, size, 0);
ASSERT_OFFSET(sluice_accepted, size, 0);
ASSERT_OFFSET(sluice_received, size, 0);
ASSERT_OFFSET(sluice_engine_statistics, size, 0);
ASSERT_OFFSET(sluice_socket_statistics, size, 0);
ASSERT_OFFSET(sluice_probe, size, 0);

_Static_assert(SLUICE_INLINE_SEGMENTS >= 2, "at least two segments are copied into the record");

static struct sluice_probe probe(void)
{
	struct sluice_probe found = {.size = sizeof found};

	cr_assert_eq(sluice_probe(&found), 0);
	return found;
}

Test(sizes, sizes_a_record_is_256_bytes_and_an_idle_socket_at_most_512)
{
	struct sluice_probe found = probe();

	cr_assert_eq(found.record_bytes, 256);
	cr_assert_gt(found.socket_bytes, 0);
	cr_assert_leq(found.socket_bytes, 512, "a socket costs %u bytes", found.socket_bytes);
	cr_assert_gt(found.engine_bytes, 0);
	cr_assert_eq(found.segments_max, 1024);
}

#ifndef __SANITIZE_ADDRESS__
/* What the process has from malloc. */
static long allocated_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return (long)(info.uordblks + info.hblkhd);
}

/* Whatever the probe says: so much more memory do many of them take. */
Test(sizes, sizes_many_idle_sockets_cost_no_more_than_they_may)
{
	enum {
		SOCKETS = 900
	};
	static struct sluice_socket *sockets[SOCKETS];
	struct fixture fixture;
	long before, each;

	fixture_begin(&fixture);
	for (int i = 0; i < 10; i++) /* so that there is the first of everything */
		sockets[i] = attach(&fixture, new_tcp(0));
	before = allocated_bytes();
	for (int i = 10; i < SOCKETS; i++)
		sockets[i] = attach(&fixture, new_tcp(0));
	each = (allocated_bytes() - before) / (SOCKETS - 10);
	for (int i = 0; i < SOCKETS; i++)
		sluice_socket_destroy(sockets[i]);
	fixture_end(&fixture);
	cr_assert_leq(each, 512 + 16, "%ld bytes each", each);
}
#endif

/* ---- cache lines ---- */

#define LINE 64
#define LINED 8 /* records */

/*
 * Records of which only the first two cache lines can be touched: where the third begins, there
 * begins a page that is forbidden.
 */
struct lined {
	struct fixture fixture;
	struct pair pair;
	struct sluice_args *records[LINED];
	char *pages;
	size_t page_bytes;
	size_t pending;
};

static void count_down(struct sluice_socket *socket, struct sluice_args *args)
{
	--*(size_t *)args->user_token;
}

static void lined_begin(struct lined *lined, const struct sluice_options *options)
{
	fixture_begin_with(&lined->fixture, options);
	tcp_pair(&lined->fixture, &lined->pair, 0);
	lined->pending = 0;
	lined->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	lined->pages = mmap(NULL, 2 * LINED * lined->page_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(lined->pages, MAP_FAILED);
	for (size_t i = 0; i < LINED; i++) {
		char *forbidden = lined->pages + (2 * i + 1) * lined->page_bytes;
		struct sluice_args *args = (void *)(forbidden - 2 * LINE);

		args->completed = count_down;
		args->user_token = &lined->pending;
		cr_assert_eq(sluice_args_set_buffer(args, "hello", 5, 0, 5), 0);
		cr_assert_eq(mprotect(forbidden, lined->page_bytes, PROT_NONE), 0);
		lined->records[i] = args;
	}
}

static void lined_start(struct lined *lined, size_t record)
{
	int answer = sluice_send_async(lined->pair.socket, lined->records[record]);

	cr_assert(answer >= 0, "%s", strerror(-answer));
	lined->pending += (size_t)answer;
}

static void lined_end(struct lined *lined)
{
	run_until(&lined->fixture, lined->pending == 0);
	for (size_t i = 0; i < LINED; i++) {
		cr_assert_eq(lined->records[i]->error, SLUICE_ERROR_SUCCESS);
		cr_assert_eq(lined->records[i]->bytes_transferred, 5);
	}
	munmap(lined->pages, 2 * LINED * lined->page_bytes);
	pair_close(&lined->pair);
	fixture_end(&lined->fixture);
}

Test(sizes, sizes_an_eager_send_touches_two_cache_lines_of_its_record)
{
	struct lined lined;

	lined_begin(&lined, NULL);
	for (size_t i = 0; i < LINED; i++)
		lined_start(&lined, i);
	lined_end(&lined);
}

static void send_gathered(uint32_t way)
{
	struct sluice_options options;
	struct lined lined;

	sluice_options_init(&options, sizeof options);
	options.transmit_way = way;
	lined_begin(&lined, &options);
	cr_assert_eq(sluice_batch_begin(lined.fixture.engine), 0);
	for (size_t i = 0; i < LINED; i++)
		lined_start(&lined, i);
	cr_assert_eq(sluice_batch_end(lined.fixture.engine), 0);
	lined_end(&lined);
}

Test(sizes, sizes_a_gathered_send_touches_two_cache_lines_of_its_record)
{
	send_gathered(SLUICE_TRANSMIT_WAY_INLINE);
}

Test(sizes, sizes_so_does_one_that_goes_by_the_ring)
{
	send_gathered(SLUICE_TRANSMIT_WAY_RING);
}
