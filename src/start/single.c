/* SPDX-License-Identifier: MIT */
/*
 * The fast path of a record that is one open file, on a socket with an empty queue: the usual case
 * of a file server. Two system calls (fstat and sendfile) are nearly all of the cost of a small
 * file, so the code around them is kept short.
 */
#include <errno.h>
#include <sys/stat.h>

#include "core/packets.h"
#include "core/plan.h"
#include "core/record.h"
#include "engine/owner.h"
#include "engine/packets_pool.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"
#include "loop/loop.h"
#include "send/send.h"
#include "start/start.h"

/* Fills in the part by fstat. Returns 0, -errno, or SLUICE__USE_QUEUE past the end of the file. */
static int stat_single_file(const struct sluice_packet *packet, struct sluice__part *part)
{
	uint64_t size, offset = (uint64_t)packet->offset, count = (uint64_t)packet->count;
	struct stat status;

	if (sluice__file_status(packet->fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	size = (uint64_t)status.st_size;
	if (offset > size || count > size - offset)
		return SLUICE__USE_QUEUE;
	*part = (struct sluice__part){
		.kind = SLUICE__PART_FILE,
		.fd = packet->fd,
		.offset = offset,
		.count = count ? count : size - offset,
		.identity = sluice__page_cache_identity(&status),
		.device = (uint64_t)status.st_dev,
	};
	return 0;
}

static int fill_in_part(const struct sluice_packet *packet, struct sluice__part *part)
{
	if (!packet->identity)
		return stat_single_file(packet, part);
	sluice__part_trust_identity(part, packet);
	return 0;
}

static void finish_single_file(struct sluice_socket *socket, struct sluice_args *args,
			       uint64_t count, int way)
{
	struct sluice_engine *engine = socket->engine;

	if (engine->files->sigpipe_masked)
		sluice__sigpipe_unmask(engine);
	engine->statistics.records_started++;
	engine->statistics.records_eager++;
	if (way == SLUICE__PLAN_SPLICE)
		engine->statistics.files_spliced++;
	else
		engine->statistics.files_sendfile++;
	sluice__count_sent(socket, 1, count);
	sluice__record_publish_success(args, count);
	args->native_error = 0;
	args->last_operation = SLUICE_OPERATION_SEND_PACKETS;
}

/* Attaches the side structure that was reserved. */
static struct sluice__packets *attach_part(struct sluice_socket *socket, struct sluice_args *args,
					   const struct sluice__part *part)
{
	struct sluice__packets *packets = sluice__packets_take(socket->engine);

	sluice__assert(packets);
	sluice__packets_reset(packets);
	packets->parts[0] = *part;
	packets->count = 1;
	args->rare.side = packets;
	return packets;
}

/*
 * The file was probed and is not in the page cache. It must not be probed again, because the first
 * probe has started read-ahead.
 */
static int start_uncached(struct sluice_socket *socket, struct sluice_args *args,
			  const struct sluice__part *part)
{
	attach_part(socket, args, part)->uncached = true;
	return sluice__start(socket, args, SLUICE_OPERATION_SEND_PACKETS, SLUICE__OP_PACKETS, 0);
}

/* After a short send or an error: continues with the record as the head of the queue. */
static int continue_queued(struct sluice_socket *socket, struct sluice_args *args,
			   const struct sluice__part *part, int64_t taken)
{
	struct sluice_engine *engine = socket->engine;
	int answer;

	attach_part(socket, args, part);
	args->run.op_flags |= SLUICE__OP_PACKETS;
	engine->statistics.records_started++;
	sluice__record_accept(args, socket, SLUICE_OPERATION_SEND_PACKETS);
	answer = sluice__send_begin_tried_file(socket, args, part->count, taken);
	if (answer)
		sluice__listen_if_idle(engine);
	return answer;
}

/*
 * A file that is sent whole needs no side structure. One is reserved all the same: after a short send
 * there is no way back if memory runs out.
 */
int sluice__send_single_file(struct sluice_socket *socket, struct sluice_args *args)
{
	static const struct sluice__packets single = {.count = 1};
	const struct sluice_packet *packet = args->rare.packets;
	struct sluice_engine *engine = socket->engine;
	struct sluice__part part;
	int64_t taken;
	int answer, way;

	sluice__assert_owner(engine);
	answer = fill_in_part(packet, &part);
	if (answer)
		return answer;
	if (!part.count || part.count > engine->options.file_slice_bytes)
		return SLUICE__USE_QUEUE;
	if (!sluice__packets_reserve(engine))
		return -ENOMEM;
	way = sluice__file_way_now(engine, &single, &part);
	if (unlikely(way == SLUICE__PLAN_READ || way == SLUICE__PLAN_SPLICE_RING))
		return SLUICE__USE_QUEUE;
	if (unlikely(!sluice__page_cache_holds(engine, &part, part.offset, part.count)))
		return start_uncached(socket, args, &part);
	taken = sluice__file_send(socket, part.fd, part.offset, part.count,
				  way == SLUICE__PLAN_SPLICE);
	if (taken != (int64_t)part.count)
		return continue_queued(socket, args, &part, taken);
	finish_single_file(socket, args, part.count, way);
	return 0;
}
