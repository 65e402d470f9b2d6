/* SPDX-License-Identifier: MIT */
/*
 * The plan of a batch: which records share a message. Tables, and random queues against a model that
 * decides for each record from what stands before it, in the simplest way there is.
 */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "core/gso.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RECORDS_MAX 300
#define SEGMENTS 4096

static struct sluice_args records[RECORDS_MAX];
static struct iovec segments[SEGMENTS];
static struct iovec lists[RECORDS_MAX][8];
static struct iovec many[2000];
static struct sluice__gso_batch batch;
static uint32_t gso_records = SLUICE__GSO_RECORDS;
static char bytes[70000];
static struct sockaddr_in addresses[3];

/* One record: its size, and 0 or the number of its address. */
struct datagram {
	uint64_t size;
	uint32_t to;
	uint32_t op_flags;
};

static void plan_with(uint32_t messages, uint32_t capacity, uint32_t most, uint32_t gso_bytes)
{
	batch.segments = segments;
	batch.capacity = capacity;
	batch.messages = messages;
	batch.records = most;
	batch.gso_bytes = gso_bytes;
	batch.gso_records = gso_records;
	sluice__gso_plan(records, &batch);
}

static void plan(void)
{
	plan_with(SLUICE__GSO_MESSAGES, SEGMENTS, 256, SLUICE__GSO_BYTES);
}

static void queue(const struct datagram *datagrams, size_t count)
{
	memset(records, 0, sizeof records);
	for (size_t i = 0; i < COUNT(addresses); i++)
		addresses[i] = (struct sockaddr_in){.sin_family = AF_INET,
						    .sin_port = htons((uint16_t)(100 + i))};
	for (size_t i = 0; i < count; i++) {
		struct sluice_args *args = &records[i];

		args->run.base = bytes;
		args->run.total = datagrams[i].size;
		args->run.op_flags = datagrams[i].op_flags;
		if (datagrams[i].to) {
			args->run.op_flags |= SLUICE__OP_HAS_ADDRESS;
			sluice__record_keep_address(args, &addresses[datagrams[i].to - 1],
						    sizeof addresses[0]);
		}
		args->run.next = i + 1 < count ? &records[i + 1] : NULL;
	}
}

/* The message's size is what the control message says; 0: there is none. */
static uint32_t said(uint32_t index)
{
	struct msghdr *header = &batch.headers[index].msg_hdr;
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
	uint16_t size;

	if (!cmsg)
		return 0;
	cr_assert_eq(cmsg->cmsg_level, IPPROTO_UDP);
	cr_assert_eq(cmsg->cmsg_type, 103);
	cr_assert_eq(cmsg->cmsg_len, CMSG_LEN(sizeof size));
	memcpy(&size, CMSG_DATA(cmsg), sizeof size);
	return size;
}

/* What holds of every plan: the bytes are those of the records, in order. */
static void assert_sound(void)
{
	const struct sluice_args *args = records;
	uint32_t used = 0, joined = 0;

	for (uint32_t i = 0; i < batch.given.count; i++) {
		const struct sluice__message *message = &batch.of[i];
		const struct msghdr *header = &batch.headers[i].msg_hdr;
		uint64_t total = 0, given = 0;

		cr_assert(message->records > 0);
		cr_assert_eq(header->msg_iov, segments + used);
		cr_assert(header->msg_iovlen <= SLUICE__GSO_SEGMENTS);
		used += (uint32_t)header->msg_iovlen;
		joined += message->records > 1;
		cr_assert_eq(said(i), message->segment_bytes);
		cr_assert_eq(message->segment_bytes != 0, message->records > 1);
		for (size_t k = 0; k < header->msg_iovlen; k++)
			given += header->msg_iov[k].iov_len;
		for (uint32_t k = 0; k < message->records; k++, args = args->run.next) {
			const void *name = args->run.op_flags & SLUICE__OP_HAS_ADDRESS
						   ? sluice__record_address(args)
						   : NULL;

			if (k == 0)
				cr_assert_eq(header->msg_name, name);
			if (k + 1 < message->records)
				cr_assert_eq(args->run.total, message->segment_bytes);
			else if (k)
				cr_assert(args->run.total > 0 &&
					  args->run.total <= message->segment_bytes);
			total += args->run.total;
			cr_assert_eq(sluice__gso_flags(args), batch.given.flags);
			if (k + 1 == message->records && i + 1 == batch.given.count)
				cr_assert_eq(batch.last, args);
		}
		cr_assert_eq(given, total);
		cr_assert_eq(message->bytes, total);
	}
	cr_assert_eq(batch.used, used);
	cr_assert_eq(batch.joined, joined);
}

static void assert_messages(const uint32_t *counts, size_t count)
{
	cr_assert_eq(batch.given.count, count, "%u messages, not %zu", batch.given.count, count);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(batch.of[i].records, counts[i], "message %zu has %u records, not %u",
			     i, batch.of[i].records, counts[i]);
	assert_sound();
}

/* ---- tables ---- */

Test(gso, neighbours_of_one_size_share_a_message_and_the_last_may_be_shorter)
{
	static const struct {
		struct datagram datagrams[8];
		size_t count;
		uint32_t messages[8];
		size_t message_count;
	} rows[] = {
		{{{10, 0, 0}}, 1, {1}, 1},
		{{{10, 0, 0}, {10, 0, 0}}, 2, {2}, 1},
		{{{10, 0, 0}, {10, 0, 0}, {9, 0, 0}}, 3, {3}, 1},
		{{{10, 0, 0}, {9, 0, 0}, {9, 0, 0}, {9, 0, 0}}, 4, {2, 2}, 2},
		{{{10, 0, 0}, {9, 0, 0}, {10, 0, 0}}, 3, {2, 1}, 2},
		{{{9, 0, 0}, {10, 0, 0}, {10, 0, 0}}, 3, {1, 2}, 2},
		/* An empty one is not combined with others: it would be lost. */
		{{{10, 0, 0}, {10, 0, 0}, {0, 0, 0}}, 3, {2, 1}, 2},
		{{{0, 0, 0}, {0, 0, 0}, {1, 0, 0}}, 3, {1, 1, 1}, 3},
		/* Other destinations. */
		{{{10, 1, 0}, {10, 1, 0}, {10, 2, 0}, {10, 0, 0}}, 4, {2, 1, 1}, 3},
		{{{10, 1, 0}, {10, 2, 0}, {10, 1, 0}}, 3, {1, 1, 1}, 3},
		/* What asks not to be routed goes with its like: one call has one set of flags. */
		{{{10, 0, SLUICE__OP_DONT_ROUTE}, {10, 0, SLUICE__OP_DONT_ROUTE}, {10, 0, 0}},
		 3,
		 {2},
		 1},
		{{{10, 0, 0}, {10, 0, SLUICE__OP_DONT_ROUTE}}, 2, {1}, 1},
		/* A disconnect ends it. */
		{{{10, 0, 0}, {10, 0, SLUICE__OP_DISCONNECT}, {10, 0, 0}}, 3, {1}, 1},
		/* The bytes' bound: two fit, three do not. */
		{{{32733, 0, 0}, {32733, 0, 0}, {1, 0, 0}}, 3, {3}, 1},
		{{{32734, 0, 0}, {32734, 0, 0}}, 2, {1, 1}, 2},
		{{{65467, 0, 0}, {65467, 0, 0}}, 2, {1, 1}, 2},
		{{{70000, 0, 0}, {70000, 0, 0}}, 2, {1, 1}, 2},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		queue(rows[i].datagrams, rows[i].count);
		plan();
		cr_assert_eq(batch.head, SLUICE__GSO_MEMORY);
		assert_messages(rows[i].messages, rows[i].message_count);
	}
}

Test(gso, addresses_are_compared_by_what_they_say)
{
	const struct datagram datagrams[] = {{10, 1, 0}, {10, 2, 0}};

	queue(datagrams, 2);
	addresses[1] = addresses[0];
	plan();
	assert_messages((uint32_t[]){2}, 1);
	sluice__record_keep_address(&records[1], &addresses[1], sizeof addresses[1] - 1);
	plan();
	assert_messages((uint32_t[]){1, 1}, 2);
}

Test(gso, nothing_is_joined_where_the_kernel_does_not_cut_up)
{
	const struct datagram datagrams[] = {{1000, 0, 0}, {1000, 0, 0}, {999, 0, 0}, {999, 0, 0}};

	queue(datagrams, 4);
	plan_with(SLUICE__GSO_MESSAGES, SEGMENTS, 256, 0);
	assert_messages((uint32_t[]){1, 1, 1, 1}, 4);
	/* Larger ones were refused before. */
	plan_with(SLUICE__GSO_MESSAGES, SEGMENTS, 256, 999);
	assert_messages((uint32_t[]){1, 1, 2}, 3);
	plan_with(SLUICE__GSO_MESSAGES, SEGMENTS, 256, 1000);
	assert_messages((uint32_t[]){3, 1}, 2);
}

Test(gso, no_message_has_more_than_64_records_and_no_burst_more_than_it_may)
{
	struct datagram datagrams[RECORDS_MAX];

	for (size_t i = 0; i < RECORDS_MAX; i++)
		datagrams[i] = (struct datagram){8, 0, 0};
	queue(datagrams, RECORDS_MAX);
	plan();
	assert_messages((uint32_t[]){64, 64, 64, 64}, 4);
	plan_with(2, SEGMENTS, 256, SLUICE__GSO_BYTES);
	assert_messages((uint32_t[]){64, 64}, 2);
	plan_with(SLUICE__GSO_MESSAGES, SEGMENTS, 70, SLUICE__GSO_BYTES);
	assert_messages((uint32_t[]){64, 6}, 2);
	plan_with(SLUICE__GSO_MESSAGES, 65, 256, SLUICE__GSO_BYTES);
	assert_messages((uint32_t[]){64, 1}, 2);
	plan_with(SLUICE__GSO_MESSAGES, SEGMENTS, 256, 7);
	cr_assert_eq(batch.given.count, SLUICE__GSO_MESSAGES);
	assert_sound();
}

Test(gso, newer_kernels_take_128_records_in_a_message)
{
	static const struct {
		uint32_t allowed, size;
		uint32_t messages[4];
		size_t count;
	} rows[] = {
		{128, 8, {128, 128}, 2},
		{128, 512, {127, 127, 2}, 3}, /* the bytes' bound comes first */
		{128, 511, {128, 128}, 2},
		{64, 511, {64, 64, 64, 64}, 4},
		{100, 8, {100, 100, 56}, 3},
	};
	struct datagram datagrams[RECORDS_MAX];

	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t k = 0; k < RECORDS_MAX; k++)
			datagrams[k] = (struct datagram){rows[i].size, 0, 0};
		queue(datagrams, RECORDS_MAX);
		gso_records = rows[i].allowed;
		plan();
		assert_messages(rows[i].messages, rows[i].count);
	}
	/* A record with an address, and lists, whose records join one by one. */
	for (size_t k = 0; k < RECORDS_MAX; k++)
		datagrams[k] = (struct datagram){8, 1, k % 2 ? SLUICE__OP_DEADLINE : 0};
	queue(datagrams, RECORDS_MAX);
	gso_records = 128;
	plan();
	assert_messages((uint32_t[]){128, 128}, 2);
}

Test(gso, what_leads_says_what_is_to_be_done)
{
	const struct datagram datagrams[] = {{10, 0, SLUICE__OP_DISCONNECT}, {10, 0, 0}};

	queue(datagrams, 2);
	plan();
	cr_assert_eq(batch.head, SLUICE__GSO_ALONE);
	cr_assert_eq(batch.given.count, 0);
	batch.records = 1;
	sluice__gso_plan(NULL, &batch);
	cr_assert_eq(batch.head, SLUICE__GSO_NOTHING);
	cr_assert_eq(batch.given.count, 0);
}

/* A list of so many segments of one byte, with as many empty ones between them. */
static void make_list(struct sluice_args *args, uint32_t full)
{
	for (uint32_t i = 0; i < full; i++) {
		many[2 * i % COUNT(many)] = (struct iovec){bytes, 0};
		many[(2 * i + 1) % COUNT(many)] = (struct iovec){bytes, 1};
	}
	args->run.op_flags |= SLUICE__OP_LIST;
	args->run.base = many;
	args->run.count = 2 * (uint64_t)full;
	args->run.total = full;
}

Test(gso, lists_are_segments_without_the_empty_ones)
{
	const struct datagram datagrams[] = {{900, 0, 0}, {0, 0, 0}, {900, 0, 0}, {900, 0, 0}};

	queue(datagrams, 4);
	make_list(&records[1], 900);
	plan();
	assert_messages((uint32_t[]){4}, 1);
	cr_assert_eq(batch.used, 903);
	cr_assert(batch.of[0].plain);
	/* Two such lists have too many segments for one message, and for the capacity behind it. */
	records[2] = records[1];
	records[2].run.next = &records[3];
	plan();
	assert_messages((uint32_t[]){2, 2}, 2);
	plan_with(SLUICE__GSO_MESSAGES, 1024, 256, SLUICE__GSO_BYTES);
	assert_messages((uint32_t[]){2}, 1);
}

Test(gso, more_than_1024_segments_are_too_many)
{
	static struct iovec ones[1025];
	const struct datagram datagrams[] = {{5, 0, 0}, {0, 0, SLUICE__OP_LIST}, {5, 0, 0}};
	struct msghdr header;

	for (size_t i = 0; i < COUNT(ones); i++)
		ones[i] = (struct iovec){bytes, 1};
	queue(datagrams, 3);
	records[1].run.base = ones;
	records[1].run.count = records[1].run.total = 1025;
	plan();
	assert_messages((uint32_t[]){1}, 1);
	records[0] = records[1];
	plan();
	cr_assert_eq(batch.head, SLUICE__GSO_TOO_MANY);
	cr_assert_not(sluice__gso_single(&records[0], segments, &header));
	records[0].run.count = records[0].run.total = 1024;
	plan();
	cr_assert_eq(batch.head, SLUICE__GSO_MEMORY);
	cr_assert_eq(batch.headers[0].msg_hdr.msg_iovlen, 1024);
	cr_assert(sluice__gso_single(&records[0], segments, &header));
	cr_assert_eq(header.msg_iovlen, 1024);
}

Test(gso, a_record_with_a_deadline_makes_its_message_settle_one_by_one)
{
	const struct datagram datagrams[] = {{5, 1, 0}, {5, 1, SLUICE__OP_DEADLINE}, {6, 1, 0}};

	queue(datagrams, 3);
	plan();
	assert_messages((uint32_t[]){2, 1}, 2);
	cr_assert_not(batch.of[0].plain);
	cr_assert(batch.of[1].plain);
}

/* ---- random ---- */

static uint64_t seed = 1;

static uint32_t random_below(uint32_t bound)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % bound;
}

static void random_queue(uint32_t count)
{
	static const uint64_t sizes[] = {0, 1, 100, 100, 100, 99, 1200, 1200, 33000, 65467, 70000};
	struct datagram datagrams[RECORDS_MAX] = {0};

	for (uint32_t i = 0; i < count; i++) {
		bool again = i && random_below(4);

		datagrams[i] =
			(struct datagram){sizes[random_below(COUNT(sizes))], random_below(3), 0};
		if (again)
			datagrams[i] = datagrams[i - 1];
		if (random_below(40) == 0)
			datagrams[i].op_flags = SLUICE__OP_DONT_ROUTE;
		if (random_below(60) == 0)
			datagrams[i].op_flags = SLUICE__OP_DISCONNECT;
	}
	queue(datagrams, count);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t parts = random_below(8) ? 0 : 1 + random_below(8);
		uint64_t left = records[i].run.total;

		if (!parts || (records[i].run.op_flags & SLUICE__OP_DISCONNECT))
			continue;
		for (uint32_t k = 0; k < parts; k++) {
			uint64_t part = k + 1 == parts || left == 0
						? left
						: random_below((uint32_t)left + 1);

			lists[i][k] = (struct iovec){bytes, part};
			left -= part;
		}
		records[i].run.op_flags |= SLUICE__OP_LIST;
		records[i].run.base = lists[i];
		records[i].run.count = parts;
	}
}

static uint32_t full_segments(const struct sluice_args *args)
{
	uint32_t full = 0;

	if (!(args->run.op_flags & SLUICE__OP_LIST))
		return 1;
	for (uint64_t k = 0; k < args->run.count; k++)
		full += lists[args - records][k].iov_len > 0;
	return full;
}

/* Where the message that holds record `at` begins, if the record's predecessors stand in it. */
static bool model_joins(uint32_t begin, uint32_t at, uint32_t gso_bytes)
{
	uint64_t size = records[begin].run.total, total = 0;

	for (uint32_t i = begin; i <= at; i++) {
		total += records[i].run.total;
		if (i < at && records[i].run.total != size)
			return false;
		if ((records[i].run.op_flags ^ records[begin].run.op_flags) &
		    SLUICE__OP_HAS_ADDRESS)
			return false;
		if (sluice__record_address(&records[i]) != sluice__record_address(&records[begin]))
			return false;
	}
	return size && size <= gso_bytes && records[at].run.total &&
	       records[at].run.total <= size && total <= 65467 && at - begin < 64;
}

static void assert_as_the_model(uint32_t count, uint32_t messages, uint32_t capacity, uint32_t most,
				uint32_t gso_bytes)
{
	uint32_t expected[RECORDS_MAX] = {0}, made = 0, begin = 0, used = 0;

	for (uint32_t i = 0; i < count && i < most; i++) {
		if ((records[i].run.op_flags & SLUICE__OP_DISCONNECT) ||
		    sluice__gso_flags(&records[i]) != sluice__gso_flags(&records[0]) ||
		    used + full_segments(&records[i]) > capacity)
			break;
		if (made == 0 || !model_joins(begin, i, gso_bytes)) {
			if (made == messages)
				break;
			begin = i;
			made++;
		}
		used += full_segments(&records[i]);
		expected[made - 1]++;
	}
	plan_with(messages, capacity, most, gso_bytes);
	assert_messages(expected, made);
}

Test(gso, random_queues_are_planned_as_the_model_says)
{
	static const uint32_t gso[] = {0, 99, 100, 1200, 65467};

	for (int round = 0; round < 20000; round++) {
		uint32_t count = 1 + random_below(RECORDS_MAX);

		random_queue(count);
		assert_as_the_model(count, 1 + random_below(64), 8 + random_below(600),
				    1 + random_below(RECORDS_MAX), gso[random_below(COUNT(gso))]);
	}
}
