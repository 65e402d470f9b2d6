/* SPDX-License-Identifier: MIT */
/*
 * Opens the elements of a send_packets: all paths are opened and all descriptors checked before the
 * first byte is sent, on the calling thread. engine/packets_pool.c has the side structures.
 */
#include "core/packets.h"
#include "core/plan.h"
#include "core/record.h"
#include "core/refusal.h"
#include "engine/owner.h"
#include "engine/packets_pool.h"
#include "engine/state.h"
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int reserve_parts(struct sluice_engine *engine, struct sluice__packets *packets,
			 uint64_t count)
{
	struct sluice__part *parts;

	if (count <= packets->capacity)
		return 0;
	parts = sluice__allocate(engine, count * sizeof *parts);
	if (!parts)
		return -ENOMEM;
	if (packets->parts != packets->inline_parts)
		free(packets->parts);
	packets->parts = parts;
	packets->capacity = (uint32_t)count;
	return 0;
}

/* ---- parts ---- */

int sluice__file_status(int fd, struct stat *status)
{
#if defined(__x86_64__)
	/* glibc uses newfstatat(2), which costs a third more. */
	return (int)syscall(SYS_fstat, fd, status);
#else
	return fstat(fd, status);
#endif
}

/* Fills in a file part by fstat. Only regular files have a size to send. */
static int stat_packet(int fd, struct sluice__part *part, const struct sluice_packet *packet)
{
	struct stat status;
	uint64_t size, offset = (uint64_t)packet->offset, count = (uint64_t)packet->count;

	if (sluice__file_status(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	size = (uint64_t)status.st_size;
	part->kind = SLUICE__PART_FILE;
	part->fd = fd;
	part->offset = offset;
	part->identity = sluice__page_cache_identity(&status);
	part->device = (uint64_t)status.st_dev;
	/* Past the end of the file: accepted, and the record fails alone, in its turn. */
	part->beyond = offset > size || count > size - offset;
	part->count = count || part->beyond ? count : size - offset;
	return 0;
}

void sluice__part_trust_identity(struct sluice__part *part, const struct sluice_packet *packet)
{
	*part = (struct sluice__part){
		.kind = SLUICE__PART_FILE,
		.fd = packet->fd,
		.offset = (uint64_t)packet->offset,
		.count = (uint64_t)packet->count,
		.identity = sluice__page_cache_identity_of(packet->identity),
	};
}

static int open_packet_path(const struct sluice_packet *packet, struct sluice__part *part)
{
	int fd, error;

	if (!*packet->path)
		return -EINVAL;
	/* O_NONBLOCK: a FIFO must not block the caller. */
	fd = open(packet->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	error = stat_packet(fd, part, packet);
	if (error) {
		close(fd);
		return error;
	}
	part->ours = true;
	return 0;
}

static int add_part(struct sluice__packets *packets, const struct sluice_packet *packet)
{
	struct sluice__part *part = &packets->parts[packets->count];
	int error = 0;

	memset(part, 0, sizeof *part);
	switch (packet->kind) {
	case SLUICE_PACKET_MEMORY:
		part->kind = SLUICE__PART_MEMORY;
		part->base = (const char *)packet->base + packet->offset;
		part->count = (uint64_t)packet->count;
		packets->memory += part->count;
		break;
	case SLUICE_PACKET_PATH:
		error = open_packet_path(packet, part);
		break;
	case SLUICE_PACKET_FILE:
		if (packet->identity)
			sluice__part_trust_identity(part, packet);
		else
			error = stat_packet(packet->fd, part, packet);
		break;
	default:
		return 0;
	}
	if (error)
		return error;
	packets->beyond |= part->beyond;
	if (part->count && !part->beyond) {
		packets->opened |= part->ours;
		packets->count++;
	} else if (part->ours) {
		close(part->fd);
	}
	return 0;
}

int sluice__packets_open(struct sluice_engine *engine, struct sluice_args *args, bool copy,
			 struct sluice__packets **ret_packets)
{
	struct sluice__packets *packets = sluice__packets_take(engine);
	int error;

	if (!packets)
		return -ENOMEM;
	sluice__packets_reset(packets);
	packets->copy = copy || (args->transmit_flags & SLUICE_TRANSMIT_COPY);
	error = reserve_parts(engine, packets, args->rare.packet_count);
	for (uint64_t i = 0; i < args->rare.packet_count && !error; i++)
		error = add_part(packets, &args->rare.packets[i]);
	if (error) {
		sluice__packets_close(engine, packets);
		return error;
	}
	sluice__file_read_small(engine, packets);
	*ret_packets = packets;
	return 0;
}

int sluice__packet_try(const struct sluice_packet *packet)
{
	struct sluice__part part = {0};
	int error = 0;

	if (packet->kind == SLUICE_PACKET_PATH) {
		error = open_packet_path(packet, &part);
		if (!error)
			close(part.fd);
	} else if (packet->kind == SLUICE_PACKET_FILE && !packet->identity) {
		error = stat_packet(packet->fd, &part, packet);
	}
	return error;
}

static int choose_file_way(const struct sluice_engine *engine,
			   const struct sluice__packets *packets, const struct sluice__part *part,
			   bool ring)
{
	struct sluice__plan_file facts = {
		.way = engine->options.file_way,
		/* Not engine->capabilities, which the engine's thread changes as it learns. */
		.sendfile = !(engine->options.disable & SLUICE_CAPABILITY_SENDFILE),
		.ring = ring,
		.copy = packets->copy,
		.joins_memory = packets->count > 1,
		/* Only a file that is read at its start saves the calls. */
		.followed = packets->count > 1 && part != &packets->parts[packets->count - 1] &&
			    part->count <= SLUICE__BOUNCE_BYTES,
		.count = part->count,
		.read_bytes = engine->options.file_read_bytes,
	};

	return sluice__plan_file(&facts);
}

int sluice__file_way(const struct sluice_engine *engine, const struct sluice__packets *packets,
		     const struct sluice__part *part)
{
	return choose_file_way(engine, packets, part, false);
}

/* The device number, by fstat if the part has an identity of the caller's. 0: unknown. */
static uint64_t device_of(struct sluice__part *part)
{
	struct stat status;

	if (!part->device && sluice__file_status(part->fd, &status) == 0)
		part->device = (uint64_t)status.st_dev;
	return part->device;
}

int sluice__file_way_now(struct sluice_engine *engine, const struct sluice__packets *packets,
			 struct sluice__part *part)
{
	sluice__assert_owner(engine);
	if (unlikely(engine->files->refusals.count) &&
	    sluice__refusal_knows(&engine->files->refusals, device_of(part)))
		return SLUICE__PLAN_READ;
	return choose_file_way(engine, packets, part,
			       (engine->capabilities & SLUICE_CAPABILITY_RING_SPLICE) &&
				       !packets->by_calls);
}

void sluice__file_refused(struct sluice_engine *engine, struct sluice__part *part)
{
	sluice__assert_owner(engine);
	sluice__refusal_remember(&engine->files->refusals, device_of(part));
}
