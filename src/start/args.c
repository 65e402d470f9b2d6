/* SPDX-License-Identifier: MIT */
/* Calls on a record alone, without a socket. */
#include <errno.h>
#include <string.h>

#include <sluice/error.h>
#include <sluice/operations.h>

#include "base/wheel.h"
#include "core/record.h"
#include "file/file.h"

_Static_assert(sizeof(struct sluice_args) == 256, "a record is four cache lines");
_Static_assert(offsetof(struct sluice_args, run) == 64, "run is the second cache line");
_Static_assert(offsetof(struct sluice_args, remote_address) == 128, "rare members follow");
_Static_assert(sizeof(((struct sluice_args *)0)->rare.timer) == sizeof(struct sluice__wheel_node),
	       "the node of the deadline fits");

int sluice_args_init(struct sluice_args *args)
{
	if (!args)
		return -EINVAL;
	memset(args, 0, sizeof *args);
	return 0;
}

int sluice_args_dispose(struct sluice_args *args)
{
	if (!args)
		return -EINVAL;
	__atomic_store_n(&args->run.disposed, 1, __ATOMIC_RELEASE);
	return 0;
}

int sluice_args_complete(struct sluice_socket *socket, struct sluice_args *args, int answer)
{
	if (!args)
		return -EINVAL;
	if (answer > 0)
		return 1;
	if (answer < 0) {
		if (sluice_args_in_progress(args))
			return -EBUSY;
		args->error = sluice_socket_error_from_errno(answer);
		args->native_error = -answer;
		args->bytes_transferred = 0;
		args->accept_socket = NULL;
		args->flags = 0;
	}
	if (args->completed)
		args->completed(socket, args);
	return 1;
}

int sluice_args_in_progress(const struct sluice_args *args)
{
	if (!args)
		return -EINVAL;
	return sluice__record_owner(args) != 0;
}

/* Whether the record may be changed. */
static int args_check(const struct sluice_args *args)
{
	if (!args)
		return -EINVAL;
	if (sluice__record_owner(args))
		return -EBUSY; /* a dispose takes effect when the operation ends */
	return sluice__record_disposed(args) ? -EBADF : 0;
}

static int set_buffer(struct sluice_args *args, const void *base, size_t length, int64_t offset,
		      int64_t count, uint64_t writable)
{
	if (args->run.op_flags & SLUICE__OP_LIST)
		return base || count ? -EINVAL : 0;
	if (!base) {
		if (count)
			return -EINVAL;
		args->run.base = NULL;
		args->run.total = 0;
		return 0;
	}
	if (unlikely(offset < 0 || (uint64_t)offset > length))
		return -ERANGE;
	if (unlikely(count < 0 || (uint64_t)count > length - (uint64_t)offset))
		return -ERANGE;
	args->run.base = (const char *)base + offset;
	args->run.total = (uint64_t)count;
	args->run.count = writable;
	return 0;
}

int sluice_args_set_buffer(struct sluice_args *args, const void *base, size_t length,
			   int64_t offset, int64_t count)
{
	int error = args_check(args);

	return error ? error : set_buffer(args, base, length, offset, count, 0);
}

int sluice_args_set_receive_buffer(struct sluice_args *args, void *base, size_t length,
				   int64_t offset, int64_t count)
{
	int error = args_check(args);

	return error ? error : set_buffer(args, base, length, offset, count, SLUICE__WRITABLE);
}

static int clear_list(struct sluice_args *args)
{
	if (args->run.op_flags & SLUICE__OP_LIST) {
		args->run.op_flags &= ~(uint32_t)SLUICE__OP_LIST;
		args->run.base = NULL;
		args->run.total = 0;
		args->run.count = 0;
	}
	return 0;
}

int sluice_args_set_buffer_list(struct sluice_args *args, const struct iovec *segments,
				size_t segment_count)
{
	int error = args_check(args);

	if (error)
		return error;
	if (!segments)
		return segment_count ? -EINVAL : clear_list(args);
	if (segment_count == 0 || segment_count > UINT32_MAX)
		return -EINVAL;
	if (args->run.base && !(args->run.op_flags & SLUICE__OP_LIST))
		return -EINVAL;
	for (size_t i = 0; i < segment_count; i++) {
		if (!segments[i].iov_base && segments[i].iov_len)
			return -EINVAL;
	}
	args->run.base = segments;
	if (segment_count <= SLUICE_INLINE_SEGMENTS) {
		memmove(args->rare.segments, segments, segment_count * sizeof *segments);
		args->run.base = args->rare.segments;
	}
	args->run.count = segment_count;
	args->run.op_flags |= SLUICE__OP_LIST;
	args->rare.segment_index = 0;
	args->rare.segment_offset = 0;
	return 0;
}

static int packet_check(const struct sluice_packet *packet)
{
	if (packet->kind > SLUICE_PACKET_FILE)
		return -EINVAL;
	if (packet->identity && (packet->kind != SLUICE_PACKET_FILE || packet->count == 0))
		return -EINVAL;
	if (packet->kind == SLUICE_PACKET_NONE)
		return 0;
	if (packet->offset < 0 || packet->count < 0)
		return -ERANGE;
	if (packet->identity && packet->offset > INT64_MAX - packet->count)
		return -ERANGE;
	if (packet->kind == SLUICE_PACKET_MEMORY && !packet->base && packet->count)
		return -EINVAL;
	if (packet->kind == SLUICE_PACKET_PATH && !packet->path)
		return -EINVAL;
	return 0;
}

int sluice_args_set_packets(struct sluice_args *args, const struct sluice_packet *packets,
			    size_t packet_count)
{
	int error = args_check(args);

	if (error)
		return error;
	if ((!packets && packet_count) || packet_count > UINT32_MAX)
		return -EINVAL;
	for (size_t i = 0; i < packet_count; i++) {
		error = packet_check(&packets[i]);
		if (error)
			return error;
	}
	args->rare.packets = packets;
	args->rare.packet_count = packet_count;
	return 0;
}

int64_t sluice_packets_find_refused(const struct sluice_packet *packets, size_t packet_count,
				    int *ret_error)
{
	int error = packets || !packet_count ? 0 : -EINVAL;
	size_t i = 0;

	while (!error && i < packet_count) {
		error = packet_check(&packets[i]);
		if (!error)
			error = sluice__packet_try(&packets[i]);
		if (!error)
			i++;
	}
	if (ret_error)
		*ret_error = error;
	return (int64_t)i;
}
