/* SPDX-License-Identifier: MIT */
/* Buffers beyond what 31 and 32 bits can count: a length is cut into calls, never truncated. */
#include "files.h"
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GIB (UINT64_C(1) << 30)
#define HUGE (4 * GIB + 4096)

/* A sparse file: only the pages that are touched cost memory, whatever the kernel's overcommitment. */
static int huge_fd;

static char *huge_map(void)
{
	char *base = MAP_FAILED;

	huge_fd = memfd_create("huge", MFD_CLOEXEC);
	if (huge_fd >= 0 && ftruncate(huge_fd, (off_t)HUGE) == 0)
		base = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, huge_fd, 0);
	if (base == MAP_FAILED)
		cr_skip("no 4 GiB of address space: %s", strerror(errno));
	return base;
}

static void huge_unmap(char *base)
{
	munmap(base, HUGE);
	close(huge_fd);
}

static const uint64_t lengths[] = {2 * GIB - 1, 2 * GIB, 4 * GIB - 1, 4 * GIB, 4 * GIB + 1};

#define LENGTHS (sizeof lengths / sizeof *lengths)

/* Pending first, which asks the backend, and then with the bytes there. */
static void assert_receives(struct fixture *fixture, struct operation *receive, char *base)
{
	for (int round = 0; round < 2; round++) {
		struct pair pair;

		tcp_pair(fixture, &pair, 0);
		memset(base, 0xee, 100);
		if (round == 0) {
			cr_assert_eq(start(sluice_receive_async, pair.socket, receive), 1);
			run_idle(fixture);
		}
		write_pattern(pair.peer, 100, 0);
		if (round == 1)
			run_start(sluice_receive_async, pair.socket, receive);
		run_until(fixture, is_over(receive));
		assert_ended(receive, SLUICE_ERROR_SUCCESS, 100);
		cr_assert(pattern_matches(base, 100, 0));
		pair_close(&pair);
	}
}

Test(e01, e01_a_receive_into_4_gib_takes_what_there_is)
{
	char *base = huge_map();
	struct fixture fixture;
	struct operation receive;
	struct iovec list;

	fixture_begin(&fixture);
	for (size_t i = 0; i < LENGTHS; i++) {
		operation_init(&receive, &fixture);
		cr_assert_eq(sluice_args_set_receive_buffer(&receive.args, base, lengths[i], 0,
							    (int64_t)lengths[i]),
			     0);
		assert_receives(&fixture, &receive, base);

		operation_init(&receive, &fixture);
		list = segment(base, lengths[i]);
		cr_assert_eq(sluice_args_set_buffer_list(&receive.args, &list, 1), 0);
		assert_receives(&fixture, &receive, base);
	}
	fixture_end(&fixture);
	huge_unmap(base);
}

Test(e01, e01_a_begin_receive_into_4_gib_takes_what_there_is)
{
	char *base = huge_map();
	struct sluice_async_result *result;
	struct fixture fixture;
	struct pair pair;

	fixture_begin(&fixture);
	for (size_t i = 0; i < LENGTHS; i++) {
		tcp_pair(&fixture, &pair, 0);
		cr_assert_eq(sluice_begin_receive(pair.socket, base, lengths[i], 0,
						  (int64_t)lengths[i], 0, NULL, NULL, NULL,
						  &result),
			     0);
		run_idle(&fixture);
		write_pattern(pair.peer, 100, 0);
		run_until(&fixture, sluice_async_result_is_completed(result));
		cr_assert_eq(sluice_end_receive(pair.socket, result, NULL), 100);
		cr_assert(pattern_matches(base, 100, 0));
		pair_close(&pair);
	}
	fixture_end(&fixture);
	huge_unmap(base);
}

Test(e01, e01_a_datagram_is_received_into_4_gib)
{
	char *base = huge_map();
	struct sockaddr_storage from;
	struct fixture fixture;
	struct operation receive;
	struct pair pair;

	fixture_begin(&fixture);
	udp_pair(&fixture, &pair);
	for (size_t i = 0; i < 2 * LENGTHS; i++) {
		start_fn *begin = i % 2 ? sluice_receive_from_async : sluice_receive_async;
		uint64_t length = lengths[i / 2];

		operation_init(&receive, &fixture);
		receive.args.from_address = (struct sockaddr *)&from;
		receive.args.from_capacity = sizeof from;
		cr_assert_eq(sluice_args_set_receive_buffer(&receive.args, base, length, 0,
							    (int64_t)length),
			     0);
		cr_assert_eq(start(begin, pair.socket, &receive), 1);
		run_idle(&fixture);
		write_pattern(pair.peer, 100, 0);
		run_until(&fixture, is_over(&receive));
		assert_ended(&receive, SLUICE_ERROR_SUCCESS, 100);
	}
	pair_close(&pair);
	fixture_end(&fixture);
	huge_unmap(base);
}

/* What is sent: the memory, or the file that it is a map of. */
typedef int send_fn(struct sluice_socket *socket, struct operation *send, char *base,
		    uint64_t length);

static int send_buffer(struct sluice_socket *socket, struct operation *send, char *base,
		       uint64_t length)
{
	return start_send(socket, send, base, length);
}

static struct sluice_packet packet;

static int send_memory_packet(struct sluice_socket *socket, struct operation *send, char *base,
			      uint64_t length)
{
	packet = memory_packet(base, (int64_t)length);
	return start_packets(socket, send, &packet, 1);
}

static int send_file_part(struct sluice_socket *socket, struct operation *send, char *base,
			  uint64_t length)
{
	packet = file_packet(huge_fd, 0, (int64_t)length);
	return start_packets(socket, send, &packet, 1);
}

/* What was taken before the cancel is read: by zero copy, the record ends when the peer has it. */
static void read_until_over(struct fixture *fixture, int peer, const struct operation *send)
{
	int64_t deadline = now_ns() + GUARD_NS;
	static char bytes[262144];

	while (!is_over(send)) {
		while (recv(peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
			;
		run_for(fixture, MILLISECOND);
		cr_assert_lt(now_ns(), deadline, "the cancelled send does not end");
	}
}

/* As much as the kernel accepts at once, by each way for memory; the rest is cancelled. */
static void assert_sends(uint32_t way, send_fn *send_huge)
{
	char *base = huge_map();
	struct sluice_options options;
	struct fixture fixture;
	struct operation send;
	struct pair pair;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.transmit_way = way;
	options.gather_bytes = GIB;
	fixture_begin_with(&fixture, &options);
	for (size_t i = 0; i < LENGTHS; i++) {
		tcp_pair(&fixture, &pair, SMALL);
		pattern_fill(base, 1000, 0);
		operation_init(&send, &fixture);
		cr_assert_eq(send_huge(pair.socket, &send, base, lengths[i]), 1);
		run_reading(&fixture, pair.peer, 1000, 0);
		cr_assert(!is_over(&send));
		cr_assert_eq(sluice_cancel(pair.socket, &send.args), 0);
		read_until_over(&fixture, pair.peer, &send);
		cr_assert_eq(send.args.error, SLUICE_ERROR_OPERATION_ABORTED);
		cr_assert_geq(send.args.bytes_transferred, 1000);
		cr_assert_lt(send.args.bytes_transferred, 64 << 20);
		pair_close(&pair);
	}
	run_idle(&fixture);
	fixture_end(&fixture);
	huge_unmap(base);
}

Test(b05, b05_a_send_of_4_gib_begins_with_its_first_byte)
{
	assert_sends(SLUICE_TRANSMIT_WAY_AUTO, send_buffer);
}

Test(b05, b05_a_send_of_4_gib_by_the_ring_begins_with_its_first_byte)
{
	assert_sends(SLUICE_TRANSMIT_WAY_RING, send_buffer);
}

Test(b05, b05_a_send_of_4_gib_by_zero_copy_begins_with_its_first_byte)
{
	assert_sends(SLUICE_TRANSMIT_WAY_ZEROCOPY, send_buffer);
}

Test(b05, b05_a_packet_of_4_gib_of_memory_begins_with_its_first_byte)
{
	assert_sends(SLUICE_TRANSMIT_WAY_AUTO, send_memory_packet);
	assert_sends(SLUICE_TRANSMIT_WAY_RING, send_memory_packet);
}

Test(d03, d03_a_part_of_4_gib_of_a_file_begins_with_its_first_byte)
{
	assert_sends(SLUICE_TRANSMIT_WAY_AUTO, send_file_part);
}

static void assert_datagrams_are_refused(uint32_t way)
{
	char *base = huge_map();
	struct sluice_options options;
	struct fixture fixture;
	struct operation send;
	struct pair pair;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.transmit_way = way;
	fixture_begin_with(&fixture, &options);
	udp_pair(&fixture, &pair);
	for (size_t i = 0; i < LENGTHS; i++) {
		operation_init(&send, &fixture);
		cr_assert_geq(start_send(pair.socket, &send, base, lengths[i]), 0);
		run_until(&fixture, is_over(&send));
		assert_ended(&send, SLUICE_ERROR_MESSAGE_SIZE, 0);
	}
	assert_nothing_to_read(pair.peer);
	pair_close(&pair);
	fixture_end(&fixture);
	huge_unmap(base);
}

Test(b08, b08_a_datagram_of_4_gib_is_message_size)
{
	assert_datagrams_are_refused(SLUICE_TRANSMIT_WAY_AUTO);
	assert_datagrams_are_refused(SLUICE_TRANSMIT_WAY_RING);
	assert_datagrams_are_refused(SLUICE_TRANSMIT_WAY_ZEROCOPY);
}
