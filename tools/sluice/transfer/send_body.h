/* SPDX-License-Identifier: MIT */
/* Sends the bytes of one file and computes their checksum. */
#ifndef SLUICE_COMMAND_TRANSFER_SEND_BODY_H
#define SLUICE_COMMAND_TRANSFER_SEND_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "transfer/channel.h"
#include "transfer/hash.h"
#include "transfer/progress.h"
#include "transfer/source.h"
#include "transfer/work.h"

#define SENDING_ANSWERS 4

struct send_options;

struct sending_file {
	const char *path;
	char name[WIRE_NAME_MAX + 1];
	int fd;
	uint64_t size; /* WIRE_SIZE_UNKNOWN: a stream */
	uint32_t mode;
	int64_t modified_s;
	uint32_t modified_ns;
	uint64_t from;      /* what the receiver already has */
	uint64_t sent_size; /* of the whole file, known at the end */
	uint64_t begun_ns;
	bool refused; /* by the receiver, which reported why */
	bool failed;  /* reading failed, with the returned error */
};

struct sending_chunk {
	struct sluice_args args;
	struct iovec segments[2];
	unsigned char header[WIRE_MESSAGE_MAX];
	struct sending *sending;
	size_t block;
};

struct sending {
	struct channel channel;
	const struct send_options *options;
	struct hash *hash;
	struct hasher hasher;
	struct work work;
	struct progress progress;
	struct wire_message answers[SENDING_ANSWERS];
	size_t answer_count;
	struct sluice_args body;
	struct sluice_packet packets[3];
	unsigned char before[WIRE_MESSAGE_MAX];
	unsigned char after[WIRE_MESSAGE_MAX];
	struct source source;
	struct sending_chunk chunks[SOURCE_BLOCKS];
	int code;
};

/* Runs a blocking job in a thread, and keeps the connection alive meanwhile. */
void sending_work(struct sending *sending, work_fn *job, void *token);

/*
 * Determines where to start: sets file->from and adds everything before it to the hash. 0 or
 * -errno.
 */
int sending_resume(struct sending *sending, struct sending_file *file,
		   const struct wire_message *have);

/* Sends everything up to END, which is queued if this returns 0. -errno. */
int sending_body(struct sending *sending, struct sending_file *file);

/* Ends running threads and operations. The channel must still be open. */
void sending_stop(struct sending *sending);

void sending_file_close(struct sending_file *file);

#endif
