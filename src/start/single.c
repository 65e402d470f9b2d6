/* SPDX-License-Identifier: MIT */
/*
 * One open file and nothing else, with nothing before it on its socket: most of what a sender of
 * files does. The kernel's two calls (the look, and sendfile) are nearly all of what a small one
 * costs, so what stands around them is kept short.
 */
#include <errno.h>
#include <sys/stat.h>

#include "core/plan.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"
#include "loop/loop.h"
#include "send/send.h"
#include "start/start.h"

/* What of the file is to be sent: 0, -errno, or SLUICE__USE_QUEUE, where a part may end early. */
static int measure(const struct sluice_packet *packet, struct sluice__part *part)
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

static int take_part(const struct sluice_packet *packet, struct sluice__part *part)
{
	if (!packet->identity)
		return measure(packet, part);
	sluice__part_trust_identity(part, packet);
	return 0;
}

static void finish(struct sluice_socket *socket, struct sluice_args *args, uint64_t count, int way)
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
	args->error = SLUICE_ERROR_SUCCESS;
	args->native_error = 0;
	args->bytes_transferred = count;
	args->last_operation = SLUICE_OPERATION_SEND_PACKETS;
}

static void pack(struct sluice_args *args, struct sluice__packets *packets,
		 const struct sluice__part *part)
{
	packets->parts[0] = *part;
	packets->count = 1;
	args->rare.side = packets;
}

/*
 * It was looked at and is not in the page cache, which must not be asked again: the look has
 * started to read it.
 */
static int start_cold(struct sluice_socket *socket, struct sluice_args *args,
		      struct sluice__packets *packets, const struct sluice__part *part)
{
	pack(args, packets, part);
	packets->cold = true;
	return sluice__start(socket, args, SLUICE_OPERATION_SEND_PACKETS, SLUICE__OP_PACKETS, 0);
}

/* Not all of it was taken, or none: on as the head of the queue, what is over begins there. */
static int go_on(struct sluice_socket *socket, struct sluice_args *args,
		 struct sluice__packets *packets, const struct sluice__part *part, int64_t taken)
{
	struct sluice_engine *engine = socket->engine;
	int answer;

	pack(args, packets, part);
	args->run.op_flags |= SLUICE__OP_PACKETS;
	engine->statistics.records_started++;
	sluice__record_accept(args, socket, SLUICE_OPERATION_SEND_PACKETS);
	answer = sluice__send_begin_tried_file(socket, args, part->count, taken);
	if (answer)
		sluice__listen_if_idle(engine);
	return answer;
}

int sluice__send_single_file(struct sluice_socket *socket, struct sluice_args *args)
{
	const struct sluice_packet *packet = args->rare.packets;
	struct sluice_engine *engine = socket->engine;
	struct sluice__packets *packets;
	struct sluice__part part;
	int64_t taken;
	int answer, way;

	answer = take_part(packet, &part);
	if (answer)
		return answer;
	if (!part.count || part.count > engine->options.file_slice_bytes)
		return SLUICE__USE_QUEUE;
	packets = sluice__packets_take(engine);
	if (!packets)
		return -ENOMEM;
	sluice__packets_reset(packets);
	way = sluice__file_way_now(engine, packets, &part);
	if (unlikely(way == SLUICE__PLAN_READ)) {
		sluice__packets_give(engine, packets);
		return SLUICE__USE_QUEUE;
	}
	if (unlikely(!sluice__page_cache_holds(engine, &part, part.offset, part.count)))
		return start_cold(socket, args, packets, &part);
	taken = sluice__file_send(socket, part.fd, part.offset, part.count,
				  way == SLUICE__PLAN_SPLICE);
	if (taken != (int64_t)part.count)
		return go_on(socket, args, packets, &part, taken);
	sluice__packets_give(engine, packets);
	finish(socket, args, part.count, way);
	return 0;
}
