/* SPDX-License-Identifier: MIT */
#include "core/sendq.h"

#include <sys/socket.h>

static uint64_t packets_memory_left(const struct sluice__packets *packets)
{
	uint64_t left = 0;

	for (uint32_t i = packets->index; i < packets->count; i++) {
		if (packets->parts[i].kind == SLUICE__PART_MEMORY)
			left += packets->parts[i].count - (i == packets->index ? packets->at : 0);
	}
	return left;
}

uint64_t sluice__sendq_memory(const struct sluice_args *args)
{
	if (args->run.op_flags & SLUICE__OP_DISCONNECT)
		return 0;
	if (args->run.op_flags & SLUICE__OP_PACKETS)
		return packets_memory_left(args->rare.side);
	return args->run.total - args->run.sent;
}

void sluice__sendq_remove(struct sluice__sendq *queue, struct sluice_args *args)
{
	sluice__assert(queue->list.head);
	sluice__assert(sluice__sendq_memory(args) <= queue->bytes);
	sluice__sendq_drop_prefilled(queue);
	sluice__sendq_count(queue, queue->bytes - sluice__sendq_memory(args));
	sluice__list_remove(&queue->list, args);
}

/* ---- gather ---- */

static bool gather_full(const struct sluice__gather *gather)
{
	return gather->count == gather->capacity || gather->bytes >= gather->budget;
}

/* Adds one segment, cut to the budget. Returns false if it was cut. */
static bool gather_memory(struct sluice__gather *gather, const char *base, uint64_t length)
{
	uint64_t left = gather->budget - gather->bytes;
	uint64_t part = length < left ? length : left;

	sluice__assert(gather->count <= gather->capacity);
	if (length == 0)
		return true;
	if (gather_full(gather))
		return false;
	gather->segments[gather->count].iov_base = (void *)(uintptr_t)base;
	gather->segments[gather->count].iov_len = part;
	gather->count++;
	gather->bytes += part;
	return part == length;
}

static bool gather_list(struct sluice__gather *gather, const struct sluice_args *args)
{
	const struct iovec *segments = args->run.base;
	uint64_t skip = args->rare.segment_offset;

	for (uint64_t i = args->rare.segment_index; i < args->run.count; i++) {
		const char *base = (const char *)segments[i].iov_base + skip;

		if (!gather_memory(gather, base, segments[i].iov_len - skip))
			return false;
		skip = 0;
	}
	return true;
}

/* Adds memory up to the next file; nothing may follow it in this transmission, which is corked. */
static bool gather_packets(struct sluice__gather *gather, const struct sluice_args *args)
{
	const struct sluice__packets *packets = args->rare.side;
	uint64_t skip = packets->at;

	for (uint32_t i = packets->index; i < packets->count; i++) {
		const struct sluice__part *part = &packets->parts[i];

		if (part->kind == SLUICE__PART_FILE) {
			gather->flags |= MSG_MORE;
			return false;
		}
		if (!gather_memory(gather, part->base + skip, part->count - skip))
			return false;
		skip = 0;
	}
	return true;
}

/* Out of band: only the last byte is urgent, so the others are sent before it. */
static bool gather_out_of_band(struct sluice__gather *gather, const struct sluice_args *args)
{
	uint64_t left = args->run.total - args->run.sent;
	uint64_t budget = gather->budget;
	bool whole;

	if (left <= 1)
		gather->flags |= left == 1 ? MSG_OOB : 0;
	else if (gather->budget > left - 1)
		gather->budget = left - 1;
	whole = args->run.op_flags & SLUICE__OP_LIST
			? gather_list(gather, args)
			: gather_memory(gather, (const char *)args->run.base + args->run.sent,
					left);
	gather->budget = budget;
	return whole;
}

static bool gather_bytes(struct sluice__gather *gather, const struct sluice_args *args)
{
	uint32_t op_flags = args->run.op_flags;

	if (op_flags & SLUICE__OP_OUT_OF_BAND)
		return gather_out_of_band(gather, args);
	if (op_flags & SLUICE__OP_PACKETS)
		return gather_packets(gather, args);
	if (op_flags & SLUICE__OP_LIST)
		return gather_list(gather, args);
	return gather_memory(gather, (const char *)args->run.base + args->run.sent,
			     args->run.total - args->run.sent);
}

static bool packets_have_file(const struct sluice__packets *packets)
{
	for (uint32_t i = packets->index; i < packets->count; i++) {
		if (packets->parts[i].kind == SLUICE__PART_FILE)
			return true;
	}
	return false;
}

/* Whether a record may join the records gathered before it. */
static bool may_join(const struct sluice__gather *gather, const struct sluice_args *args)
{
	uint32_t op_flags = args->run.op_flags;

	if ((op_flags & SLUICE__OP_PACKETS) && ((struct sluice__packets *)args->rare.side)->beyond)
		return false;
	if (op_flags & (SLUICE__OP_UNGATHERED | SLUICE__OP_MORE)) {
		/* A record with MORE joins only records with MORE. */
		return (op_flags & SLUICE__OP_MORE) && (gather->flags & MSG_MORE) &&
		       !(op_flags & SLUICE__OP_UNGATHERED);
	}
	/* Memory before a file is corked, so nothing else may be sent with it. */
	return !(op_flags & SLUICE__OP_PACKETS) || !packets_have_file(args->rare.side);
}

/* Gathers a record with op_flags. Returns true if the walk may continue behind it. */
static bool gather_unusual(struct sluice__gather *gather, struct sluice_args *args)
{
	uint32_t op_flags = args->run.op_flags;

	if (gather->records && !may_join(gather, args))
		return false;
	gather->plain = false;
	gather->records++;
	gather->last = args;
	gather->flags &= ~(uint32_t)MSG_MORE;
	if (op_flags & SLUICE__OP_MORE)
		gather->flags |= MSG_MORE;
	if (op_flags & SLUICE__OP_DONT_ROUTE)
		gather->flags |= MSG_DONTROUTE;
	return gather_bytes(gather, args) &&
	       !(op_flags & (SLUICE__OP_UNGATHERED | SLUICE__OP_THEN_DISCONNECT));
}

static void gather_head(const struct sluice_args *head, struct sluice__gather *gather)
{
	const struct sluice__packets *packets;

	gather->what = SLUICE__GATHERED_MEMORY;
	if (head->run.op_flags & SLUICE__OP_DISCONNECT)
		gather->what = SLUICE__GATHERED_DISCONNECT;
	if (!(head->run.op_flags & SLUICE__OP_PACKETS))
		return;
	packets = head->rare.side;
	if (packets->beyond)
		gather->what = SLUICE__GATHERED_BEYOND;
	else if (!sluice__packets_done(packets) &&
		 packets->parts[packets->index].kind == SLUICE__PART_FILE)
		gather->what = SLUICE__GATHERED_FILE;
}

static void gather_reset(struct sluice__gather *gather)
{
	gather->what = SLUICE__GATHERED_NOTHING;
	gather->count = 0;
	gather->flags = 0;
	gather->records = 0;
	gather->bytes = 0;
	gather->last = NULL;
	gather->plain = true;
}

#define AHEAD (8 * sizeof(struct sluice_args))

/* Fast path: plain buffers that fit. Returns the first record that is none. */
static struct sluice_args *gather_plain(struct sluice__gather *gather, struct sluice_args *args)
{
	struct iovec *segment = gather->segments;
	struct iovec *end = segment + gather->capacity;
	struct sluice_args *last = NULL;
	int64_t left = (int64_t)gather->budget;

	while (args && args->run.op_flags == 0 && segment != end) {
		uint64_t length = args->run.total;

		if (length > (uint64_t)left)
			break;
		left -= (int64_t)length;
		segment->iov_base = (void *)(uintptr_t)args->run.base;
		segment->iov_len = length;
		segment++;
		/* Records are often adjacent in memory: prefetch some strides ahead. */
		__builtin_prefetch((const void *)((uintptr_t)args + AHEAD + 64));
		last = args;
		args = args->run.next;
	}
	gather->last = last;
	gather->count = (uint32_t)(segment - gather->segments);
	gather->records = gather->count;
	gather->bytes = gather->budget - (uint64_t)left;
	return args;
}

/* For few bytes a call of memcpy costs more than the copying. */
static inline void copy_small(char *to, const char *from, uint64_t length)
{
	const char *from_end = from + length;
	char *to_end = to + length;

	if (likely(length >= 32)) {
		memcpy(to, from, 32);
		for (uint64_t at = 32; at + 32 < length; at += 32)
			memcpy(to + at, from + at, 32);
		memcpy(to_end - 32, from_end - 32, 32);
	} else if (length >= 16) {
		memcpy(to, from, 16);
		memcpy(to_end - 16, from_end - 16, 16);
	} else if (length >= 8) {
		memcpy(to, from, 8);
		memcpy(to_end - 8, from_end - 8, 8);
	} else {
		while (to < to_end)
			*to++ = *from++;
	}
}

/*
 * The same with copies of small records, and with segments that are adjacent in memory merged. Returns
 * NULL if there is no space for a copy: the remaining records are left to the next transmission.
 */
static struct sluice_args *gather_copied(struct sluice__gather *gather, struct sluice_args *args)
{
	uint64_t left = gather->budget;
	char *copy = gather->copies;
	uintptr_t behind = 0;

	for (; args && args->run.op_flags == 0; args = args->run.next) {
		uint64_t length = args->run.total;
		uintptr_t base = (uintptr_t)args->run.base;

		if (length > left)
			break;
		if (base != behind && length <= SLUICE__COPIED_MAX) {
			if (length > (uint64_t)(gather->copies_end - copy)) {
				args = NULL;
				break;
			}
			copy_small(copy, args->run.base, length);
			base = (uintptr_t)copy;
			copy += length;
		}
		if (base != behind) {
			if (gather->count == gather->capacity)
				break;
			gather->segments[gather->count++] = (struct iovec){(void *)base, 0};
		}
		gather->segments[gather->count - 1].iov_len += length;
		behind = base + length;
		left -= length;
		gather->records++;
		gather->last = args;
		__builtin_prefetch((const void *)((uintptr_t)args + AHEAD + 64));
	}
	gather->bytes = gather->budget - left;
	return args;
}

void sluice__sendq_gather(const struct sluice__sendq *queue, struct sluice__gather *gather)
{
	struct sluice_args *args = queue->list.head;

	sluice__assert(gather->capacity > 0 && gather->budget > 0);
	gather_reset(gather);
	if (!args)
		return;
	gather_head(args, gather);
	if (gather->what != SLUICE__GATHERED_MEMORY)
		return;
	if (!args->run.sent)
		args = gather->copies ? gather_copied(gather, args) : gather_plain(gather, args);
	while (args && !gather_full(gather) && gather_unusual(gather, args))
		args = args->run.next;
}

/* ---- prefilled ---- */

static struct sluice_args *record_of_link(struct sluice_args **link)
{
	return (struct sluice_args *)((char *)link - offsetof(struct sluice_args, run.next));
}

void sluice__sendq_begin_prefilled(struct sluice__sendq *queue, struct sluice__prefilled *prefilled)
{
	const struct sluice_args *args = queue->list.head;

	sluice__assert(args && !args->run.next && !args->run.op_flags && !args->run.sent);
	sluice__assert(((uintptr_t)prefilled & (SLUICE__PREFILLED_BYTES - 1)) == 0);
	prefilled->next = prefilled->copies + SLUICE__COPIED_MAX;
	prefilled->last = NULL;
	prefilled->merged = 0;
	prefilled->segments->iov_base = (void *)(uintptr_t)args->run.base;
	prefilled->segments->iov_len = args->run.total;
	queue->prefilled = prefilled->segments + 1;
}

static struct sluice__prefilled *prefilled_of(const struct iovec *next)
{
	return (void *)((uintptr_t)(next - 1) & ~(SLUICE__PREFILLED_BYTES - 1));
}

void sluice__sendq_seal(struct sluice__sendq *queue)
{
	struct sluice_args *args = record_of_link(queue->list.end);
	struct sluice__prefilled *prefilled;

	if (!queue->prefilled)
		return;
	prefilled = prefilled_of(queue->prefilled);
	if (prefilled->last)
		return;
	prefilled->last = record_of_link(args->run.link);
	prefilled->count = (uint32_t)(queue->prefilled - prefilled->segments);
	queue->prefilled = prefilled->segments + SLUICE__PREFILLED;
}

int sluice__sendq_push_copied(struct sluice__sendq *queue, struct sluice_args *args)
{
	struct sluice__prefilled *prefilled = sluice__sendq_prefilled(queue);
	struct iovec *next = queue->prefilled, *before = next - 1;
	uint64_t length = args->run.total;
	char *copy = prefilled->next;

	sluice__list_push(&queue->list, args);
	if (unlikely(length > (uint64_t)(prefilled->copies + sizeof prefilled->copies - copy))) {
		sluice__sendq_seal(queue);
		return 1;
	}
	prefilled->next = copy + length;
	if (likely((char *)before->iov_base + before->iov_len == copy)) {
		before->iov_len += length;
		prefilled->merged++;
	} else {
		next->iov_base = copy;
		next->iov_len = length;
		queue->prefilled = next + 1;
	}
	copy_small(copy, args->run.base, length);
	return 1;
}

/*
 * The first record is listed and not copied, because the next record may be adjacent to it. If copies
 * follow, it is copied to the space before them.
 */
static struct iovec *join_first(struct sluice__prefilled *prefilled, uint32_t *count)
{
	struct iovec *first = prefilled->segments, *second = first + 1;

	if (*count == 1 || first->iov_len > SLUICE__COPIED_MAX ||
	    second->iov_base != prefilled->copies + SLUICE__COPIED_MAX)
		return first;
	second->iov_base = memcpy(prefilled->copies + SLUICE__COPIED_MAX - first->iov_len,
				  first->iov_base, first->iov_len);
	second->iov_len += first->iov_len;
	--*count;
	return second;
}

static uint64_t bytes_of(const struct iovec *segments, uint32_t count)
{
	uint64_t bytes = 0;

	while (count--)
		bytes += segments++->iov_len;
	return bytes;
}

bool sluice__sendq_take_prefilled(struct sluice__sendq *queue, struct sluice__gather *gather)
{
	struct iovec *next = queue->prefilled;
	struct sluice__prefilled *prefilled;

	sluice__sendq_drop_prefilled(queue);
	if (!next)
		return false;
	prefilled = prefilled_of(next);
	gather_reset(gather);
	gather->what = SLUICE__GATHERED_MEMORY;
	if (prefilled->last) {
		gather->last = prefilled->last;
		gather->count = prefilled->count;
		gather->bytes = bytes_of(prefilled->segments, gather->count);
	} else {
		gather->last = record_of_link(queue->list.end);
		gather->count = (uint32_t)(next - prefilled->segments);
		gather->bytes = queue->bytes;
	}
	if (gather->bytes > gather->budget)
		return false;
	gather->records = gather->count + prefilled->merged;
	gather->segments = join_first(prefilled, &gather->count);
	return true;
}

/* ---- settle ---- */

void sluice__sendq_advance_list(struct sluice_args *args, uint64_t taken)
{
	const struct iovec *segments = args->run.base;

	while (taken) {
		const struct iovec *segment = &segments[args->rare.segment_index];
		uint64_t left = segment->iov_len - args->rare.segment_offset;

		if (taken < left) {
			args->rare.segment_offset += taken;
			return;
		}
		taken -= left;
		args->rare.segment_index++;
		args->rare.segment_offset = 0;
	}
}

static void next_part(struct sluice__packets *packets)
{
	sluice__assert(packets->index < packets->count);
	packets->index++;
	packets->at = 0;
	packets->cached_to = 0;
	packets->uncached = false;
}

/* Returns how many of the bytes are memory. */
static uint64_t advance_packets(struct sluice__packets *packets, uint64_t taken)
{
	uint64_t counted = 0;

	while (taken) {
		const struct sluice__part *part = sluice__packets_part(packets);
		uint64_t left = part->count - packets->at;
		uint64_t bytes = taken < left ? taken : left;

		if (part->kind == SLUICE__PART_MEMORY)
			counted += bytes;
		packets->at += bytes;
		taken -= bytes;
		if (packets->at == part->count)
			next_part(packets);
	}
	return counted;
}

/* Bytes that gather took from this record: memory up to its end or its next file. */
static uint64_t packets_gathered(const struct sluice__packets *packets)
{
	uint64_t bytes = 0;

	for (uint32_t i = packets->index; i < packets->count; i++) {
		if (packets->parts[i].kind == SLUICE__PART_FILE)
			break;
		bytes += packets->parts[i].count - (i == packets->index ? packets->at : 0);
	}
	return bytes;
}

uint64_t sluice__sendq_unsent(const struct sluice_args *args)
{
	return args->run.op_flags & SLUICE__OP_PACKETS ? packets_gathered(args->rare.side)
						       : args->run.total - args->run.sent;
}

/* Credits the record with its part of the bytes taken. Returns true if it was sent whole. */
static bool settle_record(struct sluice__sendq *queue, struct sluice_args *args, uint64_t *left)
{
	bool packets = args->run.op_flags & SLUICE__OP_PACKETS;
	uint64_t rest = sluice__sendq_unsent(args);
	uint64_t bytes = *left < rest ? *left : rest;

	args->run.sent += bytes;
	*left -= bytes;
	if (packets) {
		sluice__sendq_count(queue, queue->bytes - advance_packets(args->rare.side, bytes));
		return sluice__packets_done(args->rare.side);
	}
	sluice__sendq_count(queue, queue->bytes - bytes);
	if (args->run.sent == args->run.total)
		return true;
	if (args->run.op_flags & SLUICE__OP_LIST)
		sluice__sendq_advance_list(args, bytes);
	return (args->run.op_flags & SLUICE__OP_PARTIAL) && bytes > 0;
}

void sluice__sendq_finish_head(struct sluice__sendq *queue, struct sluice__chain *done,
			       int32_t error, int32_t native, uint64_t bytes)
{
	struct sluice_args *args = queue->list.head;

	sluice__assert(args);
	sluice__sendq_remove(queue, args);
	sluice__record_result(args, error, native, bytes);
	sluice__chain_add(done, args);
}

static uint32_t settle_walk(struct sluice__sendq *queue, const struct sluice_args *last,
			    uint64_t taken, struct sluice__chain *done)
{
	uint64_t left = taken;
	uint32_t finished = 0;
	bool more = queue->list.head != NULL;

	while (more) {
		struct sluice_args *args = queue->list.head;

		more = args != last && args->run.next;
		if (!settle_record(queue, args, &left))
			break;
		sluice__sendq_finish_head(queue, done, SLUICE_ERROR_SUCCESS, 0, args->run.sent);
		finished++;
	}
	return finished;
}

uint32_t sluice__sendq_settle(struct sluice__sendq *queue, const struct sluice__flight *flight,
			      uint64_t taken, struct sluice__chain *done)
{
	sluice__assert(taken <= flight->bytes);
	if (likely(sluice__sendq_settle_plain(queue, flight, taken, done)))
		return flight->records;
	sluice__sendq_drop_prefilled(queue);
	return settle_walk(queue, flight->last, taken, done);
}

bool sluice__sendq_advance_file(struct sluice_args *args, uint64_t taken)
{
	struct sluice__packets *packets = args->rare.side;

	sluice__assert(!sluice__packets_done(packets));
	sluice__assert(taken <= sluice__packets_part(packets)->count - packets->at);
	args->run.sent += taken;
	advance_packets(packets, taken);
	return sluice__packets_done(packets);
}

uint32_t sluice__sendq_fail(struct sluice__sendq *queue, int32_t error, int32_t native,
			    int32_t rest_error, int32_t rest_native, struct sluice__chain *done)
{
	uint32_t finished = 0;

	while (queue->list.head) {
		struct sluice_args *args = queue->list.head;

		sluice__sendq_finish_head(queue, done, error, native, args->run.sent);
		error = rest_error;
		native = rest_native;
		finished++;
	}
	return finished;
}
