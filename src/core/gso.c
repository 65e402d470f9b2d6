/* SPDX-License-Identifier: MIT */
#include "core/gso.h"

#include <netinet/in.h>
#include <string.h>

#define TOO_MANY (SLUICE__BURST_SEGMENTS + 1)

/* What asks for nothing when it succeeds but to be given back. */
#define EASY (SLUICE__LIST | SLUICE__TO | SLUICE__DONT_ROUTE)

/* The segments that are not empty, of a list; or TOO_MANY. */
static uint32_t count_segments(const struct sluice_args *args)
{
	const struct iovec *given = args->run.base;
	uint32_t count = 0;

	for (uint64_t i = 0; i < args->run.count; i++) {
		if (given[i].iov_len && ++count == TOO_MANY)
			break;
	}
	return count;
}

static uint32_t segments_of(const struct sluice_args *args)
{
	return args->run.extras & SLUICE__LIST ? count_segments(args) : 1;
}

static void fill_in(const struct sluice_args *args, struct iovec *segments)
{
	const struct iovec *given = args->run.base;

	if (!(args->run.extras & SLUICE__LIST)) {
		segments->iov_base = (void *)(uintptr_t)args->run.base;
		segments->iov_len = args->run.total;
		return;
	}
	for (uint64_t i = 0; i < args->run.count; i++) {
		if (given[i].iov_len)
			*segments++ = given[i];
	}
}

static void address(const struct sluice_args *args, struct msghdr *header)
{
	bool own = args->run.extras & SLUICE__TO;

	header->msg_name = own ? sluice__record_address(args) : NULL;
	header->msg_namelen = own ? sluice__record_address_length(args) : 0;
}

bool sluice__burst_single(const struct sluice_args *args, struct iovec *segments,
			  struct msghdr *header)
{
	uint32_t count = segments_of(args);

	if (count == TOO_MANY)
		return false;
	fill_in(args, segments);
	memset(header, 0, sizeof *header);
	address(args, header);
	header->msg_iov = segments;
	header->msg_iovlen = count;
	return true;
}

/* ---- joining ---- */

static bool same_destination(const struct msghdr *header, const struct sluice_args *args)
{
	if (!(args->run.extras & SLUICE__TO))
		return !header->msg_name;
	return header->msg_namelen == sluice__record_address_length(args) && header->msg_name &&
	       (header->msg_name == sluice__record_address(args) ||
		memcmp(header->msg_name, sluice__record_address(args), header->msg_namelen) == 0);
}

/* Whether the record may stand behind what the message holds already. */
static bool joins(const struct sluice__burst *burst, const struct sluice__message *message,
		  const struct msghdr *header, const struct sluice_args *args)
{
	/* The first record's size is everybody's; who is shorter is the last. */
	uint64_t size = message->segment_bytes ? message->segment_bytes : message->bytes;

	return args->run.total - 1 < size && size <= burst->gso_bytes &&
	       message->bytes == message->records * size &&
	       message->records < SLUICE__GSO_RECORDS &&
	       message->bytes + args->run.total <= SLUICE__GSO_BYTES &&
	       same_destination(header, args);
}

static void control(struct sluice__burst *burst, uint32_t index, uint16_t segment_bytes)
{
	struct msghdr *header = &burst->headers[index].msg_hdr;
	struct cmsghdr *cmsg;

	sluice__assert(segment_bytes > 0 && segment_bytes <= burst->gso_bytes);
	header->msg_control = &burst->control[index];
	header->msg_controllen = sizeof burst->control[index].bytes;
	cmsg = CMSG_FIRSTHDR(header);
	cmsg->cmsg_level = IPPROTO_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof segment_bytes);
	memcpy(CMSG_DATA(cmsg), &segment_bytes, sizeof segment_bytes);
}

static void add(struct sluice__burst *burst, struct sluice__message *message, struct msghdr *header,
		struct sluice_args *args, uint32_t count)
{
	sluice__assert(count <= burst->room - burst->used);
	sluice__assert(burst->records > 0);
	fill_in(args, burst->segments + burst->used);
	burst->used += count;
	burst->last = args;
	burst->records--;
	header->msg_iovlen += count;
	message->records++;
	message->bytes += args->run.total;
	message->plain &= !(args->run.extras & ~(uint32_t)EASY);
}

/* Behind the others, in their message; false: it does not fit there. */
static bool join(struct sluice__burst *burst, struct sluice_args *args, uint32_t count)
{
	uint32_t index = burst->given.count - 1;
	struct sluice__message *message = &burst->of[index];
	struct msghdr *header = &burst->headers[index].msg_hdr;

	if (!joins(burst, message, header, args) ||
	    header->msg_iovlen + count > SLUICE__BURST_SEGMENTS)
		return false;
	if (!message->segment_bytes) {
		message->segment_bytes = (uint32_t)message->bytes;
		control(burst, index, (uint16_t)message->bytes);
		burst->joined++;
	}
	add(burst, message, header, args, count);
	return true;
}

static uint32_t least(uint64_t one, uint64_t other)
{
	return (uint32_t)(one < other ? one : other);
}

/*
 * The fast path: plain buffers of the message's size behind its last record, with its very address.
 * Returns the first that is not one, or has no room.
 */
static struct sluice_args *join_plain(struct sluice__burst *burst, struct sluice_args *args)
{
	struct sluice__message *message = &burst->of[burst->given.count - 1];
	struct msghdr *header = &burst->headers[burst->given.count - 1].msg_hdr;
	uint64_t size = message->segment_bytes;
	uint32_t extras = header->msg_name ? SLUICE__TO : 0;
	struct iovec *segment = burst->segments + burst->used;
	struct sluice_args *last = burst->last;
	uint32_t room, left;

	if (!size || message->bytes != message->records * size || burst->given.flags)
		return args;
	room = least(least((SLUICE__GSO_BYTES - message->bytes) / size,
			   SLUICE__GSO_RECORDS - message->records),
		     least(burst->records, least(burst->room - burst->used,
						 SLUICE__BURST_SEGMENTS - header->msg_iovlen)));
	for (left = room; left && args && args->run.extras == extras && args->run.total == size;
	     left--) {
		if (extras && (sluice__record_address(args) != header->msg_name ||
			       sluice__record_address_length(args) != header->msg_namelen))
			break;
		segment->iov_base = (void *)(uintptr_t)args->run.base;
		segment->iov_len = size;
		segment++;
		last = args;
		args = args->run.next;
	}
	room -= left;
	burst->last = last;
	burst->used += room;
	burst->records -= room;
	header->msg_iovlen += room;
	message->records += room;
	message->bytes += room * size;
	return args;
}

static void begin(struct sluice__burst *burst, struct sluice_args *args, uint32_t count)
{
	struct sluice__message *message = &burst->of[burst->given.count];
	struct msghdr *header = &burst->headers[burst->given.count].msg_hdr;

	memset(header, 0, sizeof *header);
	address(args, header);
	header->msg_iov = burst->segments + burst->used;
	*message = (struct sluice__message){.plain = true};
	add(burst, message, header, args, count);
	burst->given.count++;
}

/* One record more; false: the burst ends before it. */
static bool take(struct sluice__burst *burst, struct sluice_args *args)
{
	uint32_t count = segments_of(args);

	if (count == TOO_MANY || count > burst->room - burst->used ||
	    sluice__burst_flags(args) != burst->given.flags)
		return false;
	if (burst->given.count && join(burst, args, count))
		return true;
	if (burst->given.count == burst->messages)
		return false;
	begin(burst, args, count);
	return true;
}

void sluice__burst_plan(struct sluice_args *head, struct sluice__burst *burst)
{
	struct sluice_args *args = head;

	sluice__assert(burst->messages > 0 && burst->messages <= SLUICE__BURST_MESSAGES);
	sluice__assert(burst->room > 0);
	burst->given = (struct sluice__messages){.headers = burst->headers};
	burst->used = 0;
	burst->joined = 0;
	burst->last = NULL;
	burst->what = SLUICE__BURST_NOTHING;
	if (!head)
		return;
	burst->given.flags = sluice__burst_flags(head);
	burst->what = SLUICE__BURST_MEMORY;
	while (args && burst->records && !(args->run.extras & SLUICE__DISCONNECT) &&
	       take(burst, args))
		args = join_plain(burst, args->run.next);
	if (burst->given.count)
		return;
	burst->what = head->run.extras & SLUICE__DISCONNECT ? SLUICE__BURST_ALONE
							    : SLUICE__BURST_TOO_MANY;
}
