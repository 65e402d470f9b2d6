/* SPDX-License-Identifier: MIT */
/* The bytes of one file on their way, and their checksum beside them. */
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
	uint64_t size; /* WIRE_SIZE_UNKNOWN: standard input's */
	uint32_t mode;
	int64_t modified_s;
	uint32_t modified_ns;
	uint64_t from;      /* what the receiver has already */
	uint64_t sent_size; /* of all of it, known at the end */
	uint64_t begun_ns;
	bool refused; /* by the receiver, who said why */
	bool failed;  /* reading it did, with the error that is returned */
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

/* Runs a job that may block in another thread, and keeps the connection meanwhile. */
void sending_work(struct sending *sending, work_fn *job, void *token);

/* From where on: sets file->from, and the hash holds what is before it. 0 or -errno. */
int sending_resume(struct sending *sending, struct sending_file *file,
		   const struct wire_message *have);

/* Everything up to the END, which is queued when this returns 0. -errno. */
int sending_body(struct sending *sending, struct sending_file *file);

/* Ends threads and operations that are still under way. The channel is still open. */
void sending_stop(struct sending *sending);

void sending_file_close(struct sending_file *file);

#endif
