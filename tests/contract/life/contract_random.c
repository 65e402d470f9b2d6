/* SPDX-License-Identifier: MIT */
/*
 * Random loads on one engine: nothing may be left waiting. Each begins with a seed, which a failure
 * names; the same seed makes the same calls.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"
#include "streams.h"

/* Returns 0 to count - 1. */
static uint32_t pick(uint64_t *state, uint32_t count)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 33) % count;
}

/* ---- sends ---- */

#define SOCKETS 6
#define RECORDS 8
#define FILES 4
#define SEND_STEPS 1500

struct sends {
	struct fixture fixture;
	struct pair pair[SOCKETS];
	struct operation operation[SOCKETS][RECORDS];
	struct sluice_packet packets[SOCKETS][RECORDS][2];
	struct file file[FILES];
	char *bytes;
	uint64_t random;
};

static void new_pair(struct sends *sends, uint32_t i)
{
	switch (pick(&sends->random, 3)) {
	case 0:
		tcp_pair(&sends->fixture, &sends->pair[i], 0);
		break;
	case 1:
		tcp_pair(&sends->fixture, &sends->pair[i], 8192);
		break;
	default:
		unix_pair(&sends->fixture, &sends->pair[i], SOCK_STREAM);
	}
}

static void start_bytes(struct sends *sends, uint32_t i, struct operation *operation)
{
	static const size_t lengths[] = {1, 300, 5000, 200000};
	size_t length = lengths[pick(&sends->random, 4)];

	cr_assert_eq(sluice_args_set_buffer(&operation->args, sends->bytes, length, 0,
					    (int64_t)length),
		     0);
	start(sluice_send_async, sends->pair[i].socket, operation);
}

static void start_files(struct sends *sends, uint32_t i, uint32_t j)
{
	struct operation *operation = &sends->operation[i][j];
	struct sluice_packet *packets = sends->packets[i][j];
	uint32_t count = 1 + pick(&sends->random, 2);

	for (uint32_t k = 0; k < count; k++) {
		uint32_t file = pick(&sends->random, FILES + 1);

		packets[k] = file == FILES ? memory_packet(sends->bytes, 1000)
					   : file_packet(sends->file[file].fd,
							 pick(&sends->random, 90), 0);
	}
	cr_assert_eq(sluice_args_set_packets(&operation->args, packets, count), 0);
	start(sluice_send_packets_async, sends->pair[i].socket, operation);
}

static void start_any(struct sends *sends, uint32_t i, uint32_t j)
{
	static const uint32_t flags[] = {0, SLUICE_FLAG_MORE, SLUICE_FLAG_EAGER,
					 SLUICE_FLAG_BATCHED};
	struct operation *operation = &sends->operation[i][j];

	if (!is_over(operation))
		return;
	operation_init(operation, &sends->fixture);
	operation->args.flags = flags[pick(&sends->random, 4)];
	operation->args.timeout_ns = pick(&sends->random, 10) ? 0 : MILLISECOND;
	if (pick(&sends->random, 2))
		start_bytes(sends, i, operation);
	else
		start_files(sends, i, j);
}

static void drain(const struct pair *pair)
{
	char bytes[65536];

	while (recv(pair->peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
}

static void replace(struct sends *sends, uint32_t i)
{
	sluice_socket_close(sends->pair[i].socket);
	run_until(&sends->fixture, are_over(sends->operation[i], RECORDS));
	pair_close(&sends->pair[i]);
	new_pair(sends, i);
}

static void send_step(struct sends *sends)
{
	uint32_t i = pick(&sends->random, SOCKETS), j = pick(&sends->random, RECORDS);
	uint32_t what = pick(&sends->random, 40);

	if (what < 24)
		start_any(sends, i, j);
	else if (what < 30)
		run_for(&sends->fixture, 0);
	else if (what < 35)
		drain(&sends->pair[i]);
	else if (what < 39)
		(void)sluice_cancel(sends->pair[i].socket, &sends->operation[i][j].args);
	else
		replace(sends, i);
}

static bool drain_all(struct sends *sends)
{
	bool over = true;

	for (uint32_t i = 0; i < SOCKETS; i++) {
		drain(&sends->pair[i]);
		over &= are_over(sends->operation[i], RECORDS);
	}
	return over;
}

/* Nothing is found in the page cache without a prefetch, and few may prefetch at a time. */
static void sends_begin(struct sends *sends, uint64_t seed)
{
	static const size_t lengths[FILES] = {100, 5000, 70000, 300000};
	struct sluice_options options = files_options();

	memset(sends, 0, sizeof *sends);
	sends->random = seed * 0x9e3779b97f4a7c15u;
	if (files_unforced())
		setenv("SLUICE_DISABLE", "cache-look", 1);
	options.fetch_windows = 1 + (uint32_t)seed % 2;
	options.fetch_window_bytes = 65536;
	options.handler_budget = seed % 2 ? 4 : options.handler_budget;
	for (int i = 0; i < FILES; i++)
		file_new(&sends->file[i], lengths[i], 0);
	sends->bytes = pattern_new(200000, 0);
	files_begin(&sends->fixture, &options);
	for (uint32_t i = 0; i < SOCKETS; i++)
		new_pair(sends, i);
}

static void sends_end(struct sends *sends)
{
	for (int i = 0; i < SOCKETS; i++)
		pair_close(&sends->pair[i]);
	fixture_end(&sends->fixture);
	for (int i = 0; i < FILES; i++)
		file_end(&sends->file[i]);
	free(sends->bytes);
}

/* Does not sleep for long: the peers are this thread's. */
static void run_to_end(struct sends *sends, uint64_t seed, int step)
{
	int64_t deadline = now_ns() + GUARD_NS;

	while (!drain_all(sends)) {
		cr_assert_lt(now_ns(), deadline, "seed %d, step %d: a record does not end",
			     (int)seed, step);
		run_for(&sends->fixture, MILLISECOND);
	}
}

static void send_at_random(uint64_t seed)
{
	static struct sends sends;

	sends_begin(&sends, seed);
	for (int step = 0; step < SEND_STEPS; step++) {
		send_step(&sends);
		if (!pick(&sends.random, 100))
			run_to_end(&sends, seed, step);
	}
	run_to_end(&sends, seed, SEND_STEPS);
	sends_end(&sends);
}

Test(b01, b01_every_record_of_a_random_load_ends_when_the_peers_read)
{
	send_at_random(1);
}

Test(b01, b01_every_record_of_another_random_load_ends_when_the_peers_read)
{
	send_at_random(2);
}

/* ---- receives ---- */

#define CONSUMERS 24
#define BUFFERS 16
#define RECEIVE_STEPS 2000

struct receives {
	struct fixture fixture;
	struct pair pair[CONSUMERS];
	struct consumer consumer[CONSUMERS];
	uint64_t written[CONSUMERS];
	uint64_t random;
};

static void new_consumer(struct receives *receives, uint32_t i)
{
	struct consumer *consumer = &receives->consumer[i];

	unix_pair(&receives->fixture, &receives->pair[i], SOCK_STREAM);
	consumer_init(consumer, &receives->fixture, receives->pair[i].socket);
	consumer->holds = true;
	receives->written[i] = 0;
	cr_assert_eq(start_consuming(consumer), 0);
}

static void end_consumer(struct receives *receives, uint32_t i)
{
	struct consumer *consumer = &receives->consumer[i];

	consumer->holds = false;
	cr_assert_eq(sluice_socket_close(receives->pair[i].socket), 0);
	release_all(consumer);
	run_until(&receives->fixture, consumer->terminals == 1);
	pair_close(&receives->pair[i]);
}

static void release_some(struct receives *receives)
{
	for (int k = 0; k < 12; k++) {
		struct consumer *consumer = &receives->consumer[pick(&receives->random, CONSUMERS)];

		if (consumer->held_count)
			release_held(consumer,
				     (int)pick(&receives->random, (uint32_t)consumer->held_count));
	}
}

static void receive_step(struct receives *receives)
{
	uint32_t i = pick(&receives->random, CONSUMERS), what = pick(&receives->random, 20);

	if (what < 8) {
		receives->written[i] += write_what_fits(receives->pair[i].peer,
							1 + pick(&receives->random, 3000),
							receives->written[i]);
	} else if (what < 15) {
		release_some(receives);
	} else if (what < 19) {
		run_for(&receives->fixture, 0);
	} else {
		end_consumer(receives, i);
		new_consumer(receives, i);
	}
}

/* A buffer is free, and a socket that has none of them has bytes to receive. */
static bool is_starving(const struct receives *receives)
{
	int held = 0;

	for (uint32_t i = 0; i < CONSUMERS; i++)
		held += receives->consumer[i].held_count;
	for (uint32_t i = 0; i < CONSUMERS && held < BUFFERS; i++) {
		int bytes = 0;

		cr_assert_eq(ioctl(sluice_socket_fd(receives->pair[i].socket), FIONREAD, &bytes),
			     0);
		if (bytes && !receives->consumer[i].held_count)
			return true;
	}
	return false;
}

Test(s02, s02_no_socket_without_a_buffer_waits_while_one_is_free)
{
	static struct receives receives;
	struct sluice_options options;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.receive_buffers = BUFFERS;
	options.receive_buffer_bytes = 1000;
	options.receive_bytes_max = 1;
	options.receive_buffers_per_socket = 8;
	fixture_begin_with(&receives.fixture, &options);
	receives.random = 88172645463325252u;
	for (uint32_t i = 0; i < CONSUMERS; i++)
		new_consumer(&receives, i);
	for (int step = 0; step < RECEIVE_STEPS; step++) {
		receive_step(&receives);
		if (!pick(&receives.random, 10))
			run_until(&receives.fixture, !is_starving(&receives));
	}
	for (uint32_t i = 0; i < CONSUMERS; i++)
		end_consumer(&receives, i);
	assert_no_buffer_lent(&receives.fixture);
	fixture_end(&receives.fixture);
}
