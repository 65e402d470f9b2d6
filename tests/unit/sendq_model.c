/* SPDX-License-Identifier: MIT */
/* The send queue against a model that moves single bytes. */
#include "sendq_queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the model: one byte at a time ---- */

static uint64_t current_seed; /* 0: a table's */

/* The seed runs the same queue again; what it was is in words. */
#define model_assert(condition)                                                         \
	cr_assert(condition, "%s; seed %llu, \"%s\", gathered %s, done %s", #condition, \
		  (unsigned long long)current_seed, described, gathered_words(), done_words())

static struct ended expected[RECORDS];
static uint32_t expected_count;
static uint32_t removed_count;

static struct record *next_of(const struct record *record)
{
	return record_of(record->args.run.next);
}

static bool has(const struct record *record, uint32_t op_flags)
{
	return record->args.run.op_flags & op_flags;
}

static void model_end(struct record *record, int32_t error, int32_t native, uint64_t bytes)
{
	model_assert(record->queued);
	record->queued = false;
	expected[expected_count++] = (struct ended){record, error, native, bytes};
}

static uint64_t model_memory(void)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < record_count; i++) {
		for (uint64_t at = records[i].at; records[i].queued && at < records[i].to; at++)
			bytes += kinds[at] == 'm';
	}
	return bytes;
}

static bool has_file_left(const struct record *record)
{
	return memchr(kinds + record->at, 'f', record->to - record->at) != NULL;
}

/* The model's half of a settle: hands out so many bytes. */
static void model_take(struct record *record, const struct record *last, uint64_t taken)
{
	for (;;) {
		struct record *next = next_of(record);
		uint64_t before = taken;

		while (taken && record->at < record->to && kinds[record->at] != 'f') {
			record->at++;
			taken--;
		}
		if (record->at < record->to && !(has(record, SLUICE__OP_PARTIAL) && taken < before))
			break;
		model_end(record, SLUICE_ERROR_SUCCESS, 0, record->at - record->from);
		if (record == last)
			break;
		record = next;
	}
	model_assert(taken == 0);
}

/* Whether a record may stand behind another one in a transmission. */
static bool may_follow(const struct record *record, const struct record *behind)
{
	if (has(behind, SLUICE__OP_UNGATHERED | SLUICE__OP_THEN_DISCONNECT) ||
	    has(record, SLUICE__OP_UNGATHERED))
		return false;
	if (record->packets.beyond)
		return false;
	if (has(record, SLUICE__OP_MORE))
		return has(behind, SLUICE__OP_MORE);
	return !has_file_left(record);
}

/*
 * What was gathered is, byte by byte, what comes next in the stream. Returns the place behind the
 * last byte; the records touched are counted on the way.
 */
static uint64_t check_gathered_bytes(void)
{
	struct record *record = record_of(queue.list.head);
	uint64_t at = record->at, bytes = 0;
	uint32_t touched = 1;

	for (uint32_t i = 0; i < gather.count; i++) {
		for (size_t k = 0; k < gather.segments[i].iov_len; k++, at++, bytes++) {
			while (at == record->to && record != record_of(gather.last)) {
				struct record *next = next_of(record);

				model_assert(may_follow(next, record));
				record = next;
				at = record->at;
				touched++;
			}
			model_assert(at < record->to && kinds[at] != 'f');
			if (is_copy(&gather.segments[i]))
				model_assert(((char *)gather.segments[i].iov_base)[k] ==
					     stream[at]);
			else
				model_assert((char *)gather.segments[i].iov_base + k ==
					     stream + at);
		}
	}
	for (; record != record_of(gather.last); touched++) {
		model_assert(at == record->to);
		model_assert(may_follow(next_of(record), record));
		record = next_of(record);
		at = record->at;
	}
	model_assert(gather.bytes == bytes);
	model_assert(gather.records == touched);
	return at;
}

/* It stopped for a reason. */
static void check_gathered_enough(uint64_t end)
{
	const struct record *last = record_of(gather.last);
	bool full = gather.count == gather.capacity || gather.bytes == gather.budget;
	bool urgent = has(last, SLUICE__OP_OUT_OF_BAND) && last->at + 1 < last->to;

	model_assert(gather.count <= gather.capacity && gather.bytes <= gather.budget);
	if (urgent)
		model_assert(end < last->to);
	if (end < last->to)
		model_assert(full || kinds[end] == 'f' || (urgent && end + 1 == last->to));
	else
		model_assert(full || !last->args.run.next || !may_follow(next_of(last), last));
}

static void check_gathered_flags(uint64_t end)
{
	const struct record *last = record_of(gather.last);
	bool more = has(last, SLUICE__OP_MORE) || (end < last->to && kinds[end] == 'f');
	bool urgent = has(last, SLUICE__OP_OUT_OF_BAND) && last->at + 1 == last->to;
	uint32_t flags = (more ? MSG_MORE : 0) | (urgent ? MSG_OOB : 0) |
			 (has(last, SLUICE__OP_DONT_ROUTE) ? MSG_DONTROUTE : 0);

	model_assert(gather.flags == flags);
}

static void check_done(void)
{
	const struct sluice_args *args = done.first;

	for (uint32_t i = 0; i < expected_count; i++, args = args->run.next) {
		struct ended ended;

		model_assert(args);
		ended = ended_as(args);
		model_assert(
			ended.record == expected[i].record && ended.error == expected[i].error &&
			ended.native == expected[i].native && ended.bytes == expected[i].bytes);
	}
	model_assert(!args);
	model_assert(done.added == expected_count);
	model_assert(queue.bytes == model_memory());
	assert_list_sound();
}

static void check_gathered(void)
{
	uint64_t end = check_gathered_bytes();

	check_gathered_enough(end);
	check_gathered_flags(end);
}

/* So many bytes of the flight go, of the queue's and of the model's. */
static void take(struct sluice__flight flight, uint64_t taken)
{
	struct record *head = record_of(queue.list.head);
	uint32_t before = expected_count;

	model_take(head, record_of(flight.last), taken);
	model_assert(sluice__sendq_settle(&queue, &flight, taken, &done) ==
		     expected_count - before);
	check_done();
}

/* ---- every cut ---- */

/* The stream, taken in two pieces at every place, is the same records in the same order. */
Test(settle, every_cut_of_a_queue_moves_the_bytes_that_the_model_moves)
{
	static const char *const queues[] = {
		"3 4 5",
		"0 3 0 0 4 0",
		"3 (2,0,3) 4",
		"(0,1,0,2,0) (0) 3",
		"4~ 3 (2,2)~ 1",
		"3+ (1,2)+ 4",
		"3 <m2,r3,m1> 4",
		"<m2,r3,f4> 1",
		"5!",
		"(2,3)!",
		"6@",
		"3 <m4>$",
	};

	for (size_t i = 0; i < COUNT(queues); i++) {
		uint64_t bytes = 1;

		for (uint64_t cut = 0; cut <= bytes; cut++) {
			struct sluice__flight flight;

			make_queue(queues[i]);
			expected_count = 0;
			flight = gather_now(ROOM, PLENTY);
			bytes = flight.bytes;
			check_gathered();
			take(flight, cut);
			if (!queue.list.head)
				continue;
			flight = gather_now(ROOM, PLENTY);
			if (gather.what != SLUICE__GATHERED_MEMORY)
				continue;
			check_gathered();
			take(flight, flight.bytes);
		}
	}
}

/* ---- the randomised run ---- */

static uint64_t next_random(uint64_t *state)
{
	uint64_t mixed;

	*state += 0x9e3779b97f4a7c15u;
	mixed = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
	return mixed ^ mixed >> 31;
}

static uint64_t below(uint64_t *state, uint64_t bound)
{
	return next_random(state) % bound;
}

static void random_record(uint64_t *state, char *words, size_t size)
{
	static const char *const flags[] = {"", "", "", "", "+", "+", "!", "~", "@"};
	uint64_t kind = below(state, 10);
	int length = 0, pieces = (int)below(state, 4) + 1;

	if (kind < 5) {
		snprintf(words, size, "%s%d%s", below(state, 2) ? ". " : "",
			 (int)(below(state, 8) ? below(state, 20) : SMALL - 5 + below(state, 10)),
			 kind < 3 ? "" : flags[below(state, COUNT(flags))]);
	} else if (kind < 7) {
		for (int i = 0; i < pieces; i++)
			length += snprintf(words + length, size - (size_t)length, "%c%d",
					   i ? ',' : '(', (int)(below(state, 3) * below(state, 6)));
		snprintf(words + length, size - (size_t)length, ")%s",
			 flags[below(state, COUNT(flags))]);
	} else if (kind < 9) {
		pieces = (int)below(state, 4);
		for (int i = 0; i < pieces; i++)
			length += snprintf(words + length, size - (size_t)length, "%s%c%d",
					   i ? "," : "<", "mmrf"[below(state, 4)],
					   (int)below(state, 9) + 1);
		snprintf(words + length, size - (size_t)length, "%s>%s%s", pieces ? "" : "<",
			 below(state, 12) == 0 ? "?" : "", below(state, 4) == 0 ? "+" : "");
	} else {
		snprintf(words, size, below(state, 4) ? "3" : "x");
	}
}

static void push_some(uint64_t *state, uint64_t most)
{
	static char all[1 << 16];
	char words[128];

	if (record_count == 0)
		all[0] = 0;
	for (uint64_t count = below(state, most + 1); count; count--) {
		random_record(state, words, sizeof words);
		strcat(all, words);
		strcat(all, " ");
		add_records(words);
	}
	described = all;
}

/* A record that is not in flight: those behind last are not. */
static void remove_one(uint64_t *state, const struct sluice_args *last)
{
	struct sluice_args *args = last ? last->run.next : queue.list.head;

	for (uint64_t skip = below(state, 4); args && skip; skip--)
		args = args->run.next;
	if (!args)
		return;
	sluice__sendq_remove(&queue, args);
	model_assert(record_of(args)->queued);
	record_of(args)->queued = false;
	removed_count++;
}

static uint64_t short_count(uint64_t *state, uint64_t bytes)
{
	return below(state, 2) ? bytes : below(state, bytes + 1);
}

static void step_memory(uint64_t *state, struct sluice__flight flight)
{
	check_gathered();
	/* While it is in flight, others come and go behind it. */
	if (record_count < 60)
		push_some(state, 2);
	if (below(state, 8) == 0)
		remove_one(state, flight.last);
	take(flight, short_count(state, flight.bytes));
}

static void step_file(uint64_t *state)
{
	struct record *head = record_of(queue.list.head);
	const struct sluice__packets *packets = &head->packets;
	uint64_t taken = packets->parts[packets->index].count - packets->at;

	model_assert(kinds[head->at] == 'f');
	if (below(state, 2))
		taken = below(state, taken) + 1;
	head->at += taken;
	if (!sluice__sendq_advance_file(&head->args, taken)) {
		model_assert(head->at < head->to);
		return;
	}
	model_assert(head->at == head->to);
	model_end(head, SLUICE_ERROR_SUCCESS, 0, head->to - head->from);
	sluice__sendq_finish_head(&queue, &done, SLUICE_ERROR_SUCCESS, 0, head->args.run.sent);
}

static void step_refused(int32_t error, int32_t native)
{
	model_end(record_of(queue.list.head), error, native, 0);
	sluice__sendq_finish_head(&queue, &done, error, native, 0);
}

static void step_fail(void)
{
	for (struct sluice_args *args = queue.list.head; args; args = args->run.next) {
		struct record *record = record_of(args);

		if (args == queue.list.head)
			model_end(record, SLUICE_ERROR_CONNECTION_RESET, ECONNRESET,
				  record->at - record->from);
		else
			model_end(record, SLUICE_ERROR_SHUTDOWN, EPIPE, 0);
	}
	sluice__sendq_fail(&queue, SLUICE_ERROR_CONNECTION_RESET, ECONNRESET, SLUICE_ERROR_SHUTDOWN,
			   EPIPE, &done);
}

static void step(uint64_t *state)
{
	uint64_t budget = below(state, 3) ? below(state, 60) + 1 : PLENTY;
	struct sluice__flight flight =
		gather_now(below(state, 3) ? ROOM : (uint32_t)below(state, 6) + 1, budget);

	switch (gather.what) {
	case SLUICE__GATHERED_MEMORY:
		step_memory(state, flight);
		break;
	case SLUICE__GATHERED_FILE:
		step_file(state);
		break;
	case SLUICE__GATHERED_BEYOND:
		model_assert(record_of(queue.list.head)->packets.beyond);
		step_refused(SLUICE_ERROR_INVALID_ARGUMENT, EINVAL);
		break;
	case SLUICE__GATHERED_DISCONNECT:
		model_assert(has(record_of(queue.list.head), SLUICE__OP_DISCONNECT));
		step_refused(SLUICE_ERROR_SUCCESS, 0);
		break;
	default:
		model_assert(!queue.list.head);
	}
}

/* One queue's life, from the first record to the last. */
static void run_random(uint64_t seed)
{
	uint64_t state = seed;
	uint32_t steps = 0;

	prefills = below(&state, 2);
	copies_space = below(&state, 2) ? sizeof copies : 0;
	make_queue("");
	expected_count = removed_count = 0;
	push_some(&state, 12);
	while (queue.list.head) {
		model_assert(++steps < 10000);
		if (record_count < 60)
			push_some(&state, 3);
		if (below(&state, 12) == 0)
			remove_one(&state, NULL);
		if (queue.list.head && below(&state, 40) == 0)
			step_fail();
		step(&state);
		check_done();
	}
	model_assert(expected_count + removed_count == record_count);
	model_assert(queue.bytes == 0);
}

/* SLUICE_TEST_SEED=N runs the one queue that a failure has named. */
Test(sendq, a_random_queue_moves_the_bytes_that_the_model_moves)
{
	const char *given = getenv("SLUICE_TEST_SEED");
	uint64_t first = given ? strtoull(given, NULL, 0)
			       : (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid() << 4;
	uint64_t count = given ? 1 : 4000;

	for (uint64_t seed = first; seed < first + count; seed++) {
		current_seed = seed;
		run_random(seed);
	}
}
