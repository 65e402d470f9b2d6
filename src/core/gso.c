/* SPDX-License-Identifier: MIT */
#include "core/gso.h"

#include <netinet/in.h>
#include <string.h>

#define TOO_MANY (SLUICE__GSO_SEGMENTS + 1)

/* The op_flags of a record that on success only has to be published. */
#define PLAIN_FLAGS (SLUICE__OP_LIST | SLUICE__OP_HAS_ADDRESS | SLUICE__OP_DONT_ROUTE)

/* The number of nonempty segments of a list, or TOO_MANY. */
static uint32_t count_list_segments(const struct sluice_args *args)
{
	const struct iovec *given = args->run.base;
	uint32_t count = 0;

	for (uint64_t i = 0; i < args->run.count; i++) {
		if (given[i].iov_len && ++count == TOO_MANY)
			break;
	}
	return count;
}

static uint32_t count_record_segments(const struct sluice_args *args)
{
	return args->run.op_flags & SLUICE__OP_LIST ? count_list_segments(args) : 1;
}

static void fill_record_segments(const struct sluice_args *args, struct iovec *segments)
{
	const struct iovec *given = args->run.base;

	if (!(args->run.op_flags & SLUICE__OP_LIST)) {
		segments->iov_base = (void *)(uintptr_t)args->run.base;
		segments->iov_len = args->run.total;
		return;
	}
	for (uint64_t i = 0; i < args->run.count; i++) {
		if (given[i].iov_len)
			*segments++ = given[i];
	}
}

static void header_set_address(const struct sluice_args *args, struct msghdr *header)
{
	bool own = args->run.op_flags & SLUICE__OP_HAS_ADDRESS;

	header->msg_name = own ? sluice__record_address(args) : NULL;
	header->msg_namelen = own ? sluice__record_address_length(args) : 0;
}

bool sluice__gso_single(const struct sluice_args *args, struct iovec *segments,
			struct msghdr *header)
{
	uint32_t count = count_record_segments(args);

	if (count == TOO_MANY)
		return false;
	fill_record_segments(args, segments);
	memset(header, 0, sizeof *header);
	header_set_address(args, header);
	header->msg_iov = segments;
	header->msg_iovlen = count;
	return true;
}

/* ---- joining ---- */

static bool same_destination(const struct msghdr *header, const struct sluice_args *args)
{
	if (!(args->run.op_flags & SLUICE__OP_HAS_ADDRESS))
		return !header->msg_name;
	return header->msg_namelen == sluice__record_address_length(args) && header->msg_name &&
	       (header->msg_name == sluice__record_address(args) ||
		memcmp(header->msg_name, sluice__record_address(args), header->msg_namelen) == 0);
}

/* Whether the record may follow those that the message has already. */
static bool gso_record_joins(const struct sluice__gso_batch *batch,
			     const struct sluice__message *message, const struct msghdr *header,
			     const struct sluice_args *args)
{
	/* All segments have the size of the first record; only the last may be shorter. */
	uint64_t size = message->segment_bytes ? message->segment_bytes : message->bytes;

	return args->run.total - 1 < size && size <= batch->gso_bytes &&
	       message->bytes == message->records * size && message->records < batch->gso_records &&
	       message->bytes + args->run.total <= SLUICE__GSO_BYTES &&
	       same_destination(header, args);
}

static void gso_set_segment_size(struct sluice__gso_batch *batch, uint32_t index,
				 uint16_t segment_bytes)
{
	struct msghdr *header = &batch->headers[index].msg_hdr;
	struct cmsghdr *cmsg;

	sluice__assert(segment_bytes > 0 && segment_bytes <= batch->gso_bytes);
	header->msg_control = &batch->control[index];
	header->msg_controllen = sizeof batch->control[index].bytes;
	cmsg = CMSG_FIRSTHDR(header);
	cmsg->cmsg_level = IPPROTO_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof segment_bytes);
	memcpy(CMSG_DATA(cmsg), &segment_bytes, sizeof segment_bytes);
}

static void gso_add_record(struct sluice__gso_batch *batch, struct sluice__message *message,
			   struct msghdr *header, struct sluice_args *args, uint32_t count)
{
	sluice__assert(count <= batch->capacity - batch->used);
	sluice__assert(batch->records > 0);
	fill_record_segments(args, batch->segments + batch->used);
	batch->used += count;
	batch->last = args;
	batch->records--;
	header->msg_iovlen += count;
	message->records++;
	message->bytes += args->run.total;
	message->plain &= !(args->run.op_flags & ~(uint32_t)PLAIN_FLAGS);
}

/* Appends the record to the last message; false: it does not fit there. */
static bool gso_join_record(struct sluice__gso_batch *batch, struct sluice_args *args,
			    uint32_t count)
{
	uint32_t index = batch->given.count - 1;
	struct sluice__message *message = &batch->of[index];
	struct msghdr *header = &batch->headers[index].msg_hdr;

	if (!gso_record_joins(batch, message, header, args) ||
	    header->msg_iovlen + count > SLUICE__GSO_SEGMENTS)
		return false;
	if (!message->segment_bytes) {
		message->segment_bytes = (uint32_t)message->bytes;
		gso_set_segment_size(batch, index, (uint16_t)message->bytes);
		batch->joined++;
	}
	gso_add_record(batch, message, header, args, count);
	return true;
}

static uint32_t min_u32(uint64_t one, uint64_t other)
{
	return (uint32_t)(one < other ? one : other);
}

/*
 * The fast path: appends plain buffers of the message's segment size whose destination is the same
 * pointer. Returns the first record that is not one, or that does not fit.
 */
static struct sluice_args *gso_join_plain_records(struct sluice__gso_batch *batch,
						  struct sluice_args *args)
{
	struct sluice__message *message = &batch->of[batch->given.count - 1];
	struct msghdr *header = &batch->headers[batch->given.count - 1].msg_hdr;
	uint64_t size = message->segment_bytes;
	uint32_t op_flags = header->msg_name ? SLUICE__OP_HAS_ADDRESS : 0;
	struct iovec *segment = batch->segments + batch->used;
	struct sluice_args *last = batch->last;
	uint32_t fitting, left;

	if (!size || message->bytes != message->records * size || batch->given.flags)
		return args;
	fitting = min_u32(min_u32((SLUICE__GSO_BYTES - message->bytes) / size,
				  batch->gso_records - message->records),
			  min_u32(batch->records,
				  min_u32(batch->capacity - batch->used,
					  SLUICE__GSO_SEGMENTS - header->msg_iovlen)));
	for (left = fitting;
	     left && args && args->run.op_flags == op_flags && args->run.total == size; left--) {
		if (op_flags && (sluice__record_address(args) != header->msg_name ||
				 sluice__record_address_length(args) != header->msg_namelen))
			break;
		segment->iov_base = (void *)(uintptr_t)args->run.base;
		segment->iov_len = size;
		segment++;
		last = args;
		args = args->run.next;
	}
	fitting -= left;
	batch->last = last;
	batch->used += fitting;
	batch->records -= fitting;
	header->msg_iovlen += fitting;
	message->records += fitting;
	message->bytes += fitting * size;
	return args;
}

static void gso_begin_message(struct sluice__gso_batch *batch, struct sluice_args *args,
			      uint32_t count)
{
	struct sluice__message *message = &batch->of[batch->given.count];
	struct msghdr *header = &batch->headers[batch->given.count].msg_hdr;

	memset(header, 0, sizeof *header);
	header_set_address(args, header);
	header->msg_iov = batch->segments + batch->used;
	*message = (struct sluice__message){.plain = true};
	gso_add_record(batch, message, header, args, count);
	batch->given.count++;
}

/* Adds one record to the batch; false: the batch ends before it. */
static bool gso_take_record(struct sluice__gso_batch *batch, struct sluice_args *args)
{
	uint32_t count = count_record_segments(args);

	if (count == TOO_MANY || count > batch->capacity - batch->used ||
	    sluice__gso_flags(args) != batch->given.flags)
		return false;
	if (batch->given.count && gso_join_record(batch, args, count))
		return true;
	if (batch->given.count == batch->messages)
		return false;
	gso_begin_message(batch, args, count);
	return true;
}

void sluice__gso_plan(struct sluice_args *head, struct sluice__gso_batch *batch)
{
	struct sluice_args *args = head;

	sluice__assert(batch->messages > 0 && batch->messages <= SLUICE__GSO_MESSAGES);
	sluice__assert(batch->capacity > 0);
	sluice__assert(batch->gso_records > 0 && batch->gso_records <= SLUICE__GSO_RECORDS_MAX);
	batch->given = (struct sluice__messages){.headers = batch->headers};
	batch->used = 0;
	batch->joined = 0;
	batch->last = NULL;
	batch->head = SLUICE__GSO_NOTHING;
	if (!head)
		return;
	batch->given.flags = sluice__gso_flags(head);
	batch->head = SLUICE__GSO_MEMORY;
	while (args && batch->records && !(args->run.op_flags & SLUICE__OP_DISCONNECT) &&
	       gso_take_record(batch, args))
		args = gso_join_plain_records(batch, args->run.next);
	if (batch->given.count)
		return;
	batch->head = head->run.op_flags & SLUICE__OP_DISCONNECT ? SLUICE__GSO_ALONE
								 : SLUICE__GSO_TOO_MANY;
}
