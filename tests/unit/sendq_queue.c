/* SPDX-License-Identifier: MIT */
#include "sendq_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char stream[BYTES];
char kinds[BYTES];
struct record records[RECORDS];
uint32_t record_count;

struct sluice__sendq queue;
struct sluice__chain done;
struct sluice__gather gather;
struct sluice__prefilled prefilled;
char copies[1 << 16];
uint64_t copies_space;
bool prefills;
bool was_prefilled;
const char *described;

static uint64_t stream_end;
static struct iovec room[ROOM];

/* ---- a queue from its description ---- */

static uint64_t read_number(const char **at)
{
	char *end;
	uint64_t number = strtoull(*at, &end, 10);

	cr_assert_neq(end, *at, "a number is missing in \"%s\" at \"%s\"", described, *at);
	*at = end;
	return number;
}

/* Gives the record the next bytes of the stream. */
static char *take_bytes(struct record *record, uint64_t count, char kind)
{
	char *base = stream + stream_end;

	cr_assert(stream_end + count <= BYTES);
	memset(kinds + stream_end, kind, count);
	stream_end += count;
	record->to = stream_end;
	return base;
}

static void read_list(struct record *record, const char **at)
{
	struct sluice_args *args = &record->args;

	args->run.base = record->segments;
	args->run.op_flags |= SLUICE__OP_LIST;
	do {
		struct iovec *segment = &record->segments[args->run.count++];

		++*at;
		segment->iov_len = read_number(at);
		segment->iov_base = segment->iov_len ? take_bytes(record, segment->iov_len, 'm')
						     : NULL;
		args->run.total += segment->iov_len;
	} while (**at == ',');
	cr_assert_eq(*(*at)++, ')');
}

static void read_packets(struct record *record, const char **at)
{
	struct sluice__packets *packets = &record->packets;

	record->args.run.op_flags |= SLUICE__OP_PACKETS;
	record->args.rare.side = packets;
	packets->parts = packets->inline_parts;
	while (*++*at != '>') {
		struct sluice__part *part = &packets->parts[packets->count++];
		char kind = *(*at)++;

		cr_assert(packets->count <= SLUICE__PARTS_INLINE);
		part->kind = kind == 'm'   ? SLUICE__PART_MEMORY
			     : kind == 'r' ? SLUICE__PART_READ
					   : SLUICE__PART_FILE;
		part->count = read_number(at);
		part->base = take_bytes(record, part->count, kind);
		if (**at == '>')
			break;
	}
	++*at;
}

static void read_flags(struct record *record, const char **at)
{
	static const struct {
		char letter;
		uint32_t extra;
	} flags[] = {
		{'+', SLUICE__OP_MORE},
		{'!', SLUICE__OP_OUT_OF_BAND},
		{'@', SLUICE__OP_DONT_ROUTE},
		{'~', SLUICE__OP_PARTIAL},
		{'$', SLUICE__OP_THEN_DISCONNECT},
	};

	for (; **at && **at != ' '; ++*at) {
		if (**at == '?')
			record->packets.beyond = true;
		for (size_t i = 0; i < COUNT(flags); i++) {
			if (flags[i].letter == **at)
				record->args.run.op_flags |= flags[i].extra;
		}
	}
}

/* As a start does it. */
static void push(struct record *record)
{
	if (record->args.run.op_flags)
		sluice__sendq_push(&queue, &record->args);
	else if (sluice__sendq_is_listed(&queue))
		cr_assert_eq(sluice__sendq_push_listed(&queue, &record->args), 1);
	else
		sluice__sendq_push_unlisted(&queue, &record->args);
	queue.bytes += sluice__sendq_memory(&record->args);
	record->queued = true;
	if (prefills && !record->args.run.op_flags && queue.list.head == &record->args)
		sluice__sendq_begin_prefilled(&queue, &prefilled);
}

static void add_record(const char **at)
{
	struct record *record = &records[record_count++];

	cr_assert(record_count <= RECORDS);
	memset(record, 0, sizeof *record);
	record->from = record->to = record->at = stream_end;
	if (**at == '(') {
		read_list(record, at);
	} else if (**at == '<') {
		read_packets(record, at);
	} else if (**at == 'x') {
		++*at;
		record->args.run.op_flags |= SLUICE__OP_DISCONNECT;
	} else {
		record->args.run.total = read_number(at);
		record->args.run.base = take_bytes(record, record->args.run.total, 'm');
	}
	read_flags(record, at);
	push(record);
}

void add_records(const char *description)
{
	described = description;
	while (*description) {
		if (*description == ' ' || *description == '.')
			stream_end += *description++ == '.';
		else
			add_record(&description);
	}
}

static void fill_stream(void)
{
	uint32_t mixed = 1;

	for (uint64_t i = 0; i < BYTES; i++) {
		mixed = mixed * 1664525 + 1013904223;
		stream[i] = (char)(mixed >> 24);
	}
}

void make_queue(const char *description)
{
	if (!stream[0])
		fill_stream();
	record_count = 0;
	stream_end = 0;
	sluice__sendq_init(&queue);
	sluice__chain_init(&done);
	add_records(description);
}

struct record *record_of(const struct sluice_args *args)
{
	return (struct record *)(uintptr_t)args;
}

/* ---- what came of it ---- */

struct sluice__flight gather_now(uint32_t segments, uint64_t budget)
{
	gather.segments = NULL;
	gather.capacity = segments;
	gather.budget = budget;
	was_prefilled = segments == ROOM && sluice__sendq_take_prefilled(&queue, &gather);
	if (!was_prefilled) {
		gather.segments = room;
		gather.copies = copies_space ? copies : NULL;
		gather.copies_end = copies + copies_space;
		sluice__sendq_gather(&queue, &gather);
		cr_assert(gather.segments == room, "what was given in was changed");
	}
	cr_assert(gather.capacity == segments && gather.budget == budget,
		  "what was given in was changed");
	return (struct sluice__flight){gather.last, gather.bytes, gather.records, gather.plain};
}

bool is_copy(const struct iovec *segment)
{
	const char *base = segment->iov_base;

	return base < stream || base >= stream + BYTES;
}

const char *gathered_words(void)
{
	static const char *const others[] = {
		[SLUICE__GATHERED_NOTHING] = "nothing",
		[SLUICE__GATHERED_FILE] = "file",
		[SLUICE__GATHERED_BEYOND] = "beyond",
		[SLUICE__GATHERED_DISCONNECT] = "disconnect",
	};
	static char words[4096];
	int length = 0;

	if (gather.what != SLUICE__GATHERED_MEMORY)
		return others[gather.what];
	for (uint32_t i = 0; i < gather.count && length < 4000; i++) {
		const struct iovec *segment = &gather.segments[i];

		if (!is_copy(segment))
			length += snprintf(words + length, sizeof words - (size_t)length, "%td",
					   (char *)segment->iov_base - stream);
		length += snprintf(words + length, sizeof words - (size_t)length, "%c%zu ",
				   is_copy(segment) ? '*' : '+', segment->iov_len);
	}
	snprintf(words + length, sizeof words - (size_t)length, "%s%s%s/%u%s",
		 gather.flags & MSG_MORE ? "M" : "", gather.flags & MSG_OOB ? "O" : "",
		 gather.flags & MSG_DONTROUTE ? "R" : "", gather.records, gather.plain ? "=" : "");
	return words;
}

struct ended ended_as(const struct sluice_args *args)
{
	struct ended ended = {record_of(args), SLUICE_ERROR_SUCCESS, 0, args->run.total};

	if (args->run.op_flags & SLUICE__OP_HAS_RESULT) {
		ended.error = (int32_t)(args->rare.segment_offset >> 32);
		ended.native = (int32_t)args->rare.segment_offset;
		ended.bytes = args->run.sent;
	}
	return ended;
}

const char *done_words(void)
{
	static char words[1024];
	int length = 0;

	words[0] = 0;
	for (struct sluice_args *args = done.first; args; args = args->run.next) {
		struct ended ended = ended_as(args);

		length += snprintf(words + length, sizeof words - (size_t)length, "%s%td:%llu",
				   length ? " " : "", record_of(args) - records,
				   (unsigned long long)ended.bytes);
		if (ended.error)
			length += snprintf(words + length, sizeof words - (size_t)length, "=%d/%d",
					   ended.error, ended.native);
	}
	return words;
}

void assert_list_sound(void)
{
	struct sluice_args **link = &queue.list.head;

	for (struct sluice_args *args = queue.list.head; args; args = args->run.next) {
		cr_assert_eq(args->run.link, link);
		link = &args->run.next;
	}
	cr_assert_eq(queue.list.end, link);
}

void check_gather(const struct gather_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t bytes;

		make_queue(rows[i].queue);
		bytes = queue.bytes;
		gather_now(rows[i].room, rows[i].budget);
		cr_expect_str_eq(gathered_words(), rows[i].gathered,
				 "\"%s\", %u segments, %llu bytes: %s, not %s", rows[i].queue,
				 rows[i].room, (unsigned long long)rows[i].budget, gathered_words(),
				 rows[i].gathered);
		/* It only looks. */
		cr_expect_eq(queue.bytes, bytes);
		assert_list_sound();
	}
}
