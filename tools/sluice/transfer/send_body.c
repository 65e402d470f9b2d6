/* SPDX-License-Identifier: MIT */
#include "transfer/send_body.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "transfer/name.h"
#include "transfer/send_session.h"
#include "transfer/transfer.h"

#define SMALL (1 << 20)             /* hashed before sending, in one send */
#define AHEAD (UINT64_C(256) << 20) /* how far the checksum may be ahead of sending */

/* ---- in other threads ---- */

void sending_work(struct sending *sending, work_fn *job, void *token)
{
	int error = 0;

	work_start(&sending->work, sending->channel.engine, job, token);
	while (error == 0 && !work_is_over(&sending->work)) {
		error = channel_turn(&sending->channel);
		channel_keep(&sending->channel);
	}
	work_wait(&sending->work);
}

struct hash_job {
	struct hash *hash;
	const struct sending_file *file;
	int error;
};

static void run_hash(void *token)
{
	struct hash_job *job = token;

	job->error = hash_add_file(job->hash, job->file->fd, job->file->from, job->file->size);
}

/* Reading the file failed, not the connection. */
static int fail_file(struct sending_file *file, int error)
{
	file->failed = error != 0;
	return error;
}

/* ---- where to start ---- */

/* The start of the file, added to the hash by a thread while the connection is kept alive. */
static int hash_beginning(struct sending *sending, struct sending_file *file, uint64_t length)
{
	struct channel *channel = &sending->channel;
	int error =
		hasher_start(&sending->hasher, channel->engine, sending->hash, file->fd, 0, length);

	if (error != 0)
		return fail_file(file, error);
	while (error == 0 && !hasher_is_over(&sending->hasher)) {
		error = channel_turn(channel);
		channel_keep(channel);
	}
	if (error != 0) {
		hasher_stop(&sending->hasher);
		return error;
	}
	return fail_file(file, hasher_join(&sending->hasher));
}

int sending_resume(struct sending *sending, struct sending_file *file,
		   const struct wire_message *have)
{
	bool stored = have->offset == file->size;
	unsigned char digest[WIRE_DIGEST];
	int error;

	if (have->offset == 0 || (sending->options->restart && !stored))
		return 0;
	error = hash_beginning(sending, file, have->offset);
	if (error != 0)
		return error;
	hash_digest(sending->hash, digest);
	/* A stored file is not sent again: the receiver reports if it differs. */
	if (stored || memcmp(digest, have->digest, WIRE_DIGEST) == 0)
		file->from = have->offset;
	else
		hash_reset(sending->hash); /* a different or damaged file */
	return 0;
}

/* ---- the end of a file ---- */

static struct wire_message end_of(const struct sending *sending, uint64_t size)
{
	struct wire_message end = {.type = WIRE_END, .size = size};

	hash_digest(sending->hash, end.digest);
	return end;
}

static void send_end(struct sending *sending, struct sending_file *file, uint64_t size)
{
	struct wire_message end = end_of(sending, size);

	file->sent_size = size;
	channel_send(&sending->channel, &end);
}

static void begin_progress(struct sending *sending, struct sending_file *file)
{
	char shown[TRANSFER_SHOWN];

	name_show(file->path, shown, sizeof(shown));
	file->begun_ns = clock_ns();
	progress_begin(&sending->progress, sending->options->quiet, shown, file->from, file->size,
		       file->begun_ns);
}

/* ---- regular files ---- */

static void on_body_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct channel *channel = args->user_token;

	if (args->error != SLUICE_ERROR_SUCCESS && channel->error == 0)
		channel->error = -args->native_error;
}

static struct sluice_packet memory_packet(const unsigned char *bytes, size_t length)
{
	return (struct sluice_packet){
		.kind = SLUICE_PACKET_MEMORY,
		.base = bytes,
		.count = (int64_t)length,
	};
}

/*
 * Sends DATA, the bytes, and with with_end also END. The count is that of DATA even if the file
 * grows meanwhile: a file element for the whole file could send more than was announced.
 */
static int start_body(struct sending *sending, struct sending_file *file, bool with_end)
{
	struct wire_message data = {
		.type = WIRE_DATA, .offset = file->from, .count = file->size - file->from};
	struct sluice_packet *packets = sending->packets;
	size_t count = 0;
	int answer;

	packets[count++] = memory_packet(sending->before, wire_write(&data, sending->before));
	if (data.count > 0)
		packets[count++] = (struct sluice_packet){
			.kind = SLUICE_PACKET_FILE,
			.fd = file->fd,
			.offset = (int64_t)data.offset,
			.count = (int64_t)data.count,
		};
	if (with_end) {
		struct wire_message end = end_of(sending, file->size);

		file->sent_size = file->size;
		packets[count++] = memory_packet(sending->after, wire_write(&end, sending->after));
	}
	sending->body.completed = on_body_sent;
	sending->body.user_token = &sending->channel;
	answer = sluice_args_set_packets(&sending->body, packets, count);
	if (answer == 0)
		answer = sluice_send_packets_async(sending->channel.socket, &sending->body);
	if (answer == 0)
		on_body_sent(sending->channel.socket, &sending->body);
	return answer < 0 ? answer : 0;
}

/* The receiver has refused the file in the middle of its body. */
static bool was_refused(struct sending *sending)
{
	return sending->answer_count > 0 && sending->answers[0].type == WIRE_RESULT &&
	       sending->answers[0].code != WIRE_OK;
}

static int watch_body(struct sending *sending, struct sending_file *file, uint64_t sent_before)
{
	struct channel *channel = &sending->channel;
	int error = 0;

	while (error == 0 && !was_refused(sending) &&
	       (sluice_args_in_progress(&sending->body) ||
		(sending->hasher.started && !hasher_is_over(&sending->hasher)))) {
		uint64_t at;

		error = channel_turn(channel);
		at = file->from + channel_sent(channel) - sent_before;
		hasher_allow(&sending->hasher, at + AHEAD);
		if (!sluice_args_in_progress(&sending->body))
			channel_keep(channel); /* the checksum takes longer */
		progress_show(&sending->progress, at < file->size ? at : file->size, clock_ns());
	}
	return error;
}

/* Whether reading the file failed, or the network: one send reports the errors of both. */
static int body_error(struct sending *sending, struct sending_file *file, int error)
{
	if (error != 0 && sending->hasher.started && hasher_is_over(&sending->hasher)) {
		int read_error = hasher_join(&sending->hasher);

		if (read_error != 0)
			return fail_file(file, read_error);
	}
	if (error != 0 && !transfer_is_network_error(error))
		return fail_file(file, error);
	return error;
}

/* If all bytes were sent nevertheless, an END takes the receiver to the next file. */
static int refused_body(struct sending *sending, struct sending_file *file)
{
	hasher_stop(&sending->hasher);
	if (sluice_args_in_progress(&sending->body))
		return -ECANCELED;
	send_end(sending, file, file->size);
	return 0;
}

static int send_large(struct sending *sending, struct sending_file *file)
{
	uint64_t sent_before = channel_sent(&sending->channel);
	int error = hasher_start(&sending->hasher, sending->channel.engine, sending->hash, file->fd,
				 file->from, file->size);

	hasher_allow(&sending->hasher, file->from + AHEAD);
	if (error == 0)
		error = start_body(sending, file, false);
	if (error == 0)
		error = watch_body(sending, file, sent_before);
	if (error != 0)
		return body_error(sending, file, error);
	if (was_refused(sending))
		return refused_body(sending, file);
	error = fail_file(file, hasher_join(&sending->hasher));
	if (error == 0)
		send_end(sending, file, file->size);
	return error;
}

static int send_small(struct sending *sending, struct sending_file *file)
{
	struct hash_job job = {.hash = sending->hash, .file = file};
	int error;

	sending_work(sending, run_hash, &job);
	error = fail_file(file, job.error);
	if (error == 0)
		error = start_body(sending, file, true);
	while (error == 0 && sluice_args_in_progress(&sending->body))
		error = channel_turn(&sending->channel);
	return body_error(sending, file, error);
}

/* ---- standard input ---- */

static void on_chunk_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sending_chunk *chunk = args->user_token;

	if (args->error != SLUICE_ERROR_SUCCESS && chunk->sending->channel.error == 0)
		chunk->sending->channel.error = -args->native_error;
	source_give_back(&chunk->sending->source, chunk->block);
}

static int send_chunk(struct sending *sending)
{
	struct source *source = &sending->source;
	struct sending_chunk *chunk = &sending->chunks[source->next];
	struct wire_message message = {.type = WIRE_CHUNK, .count = source_length(source)};
	int answer;

	chunk->sending = sending;
	chunk->args.completed = on_chunk_sent;
	chunk->args.user_token = chunk;
	chunk->segments[0].iov_base = chunk->header;
	chunk->segments[0].iov_len = wire_write(&message, chunk->header);
	chunk->segments[1].iov_base = (char *)(uintptr_t)source_block(source);
	chunk->segments[1].iov_len = source_length(source);
	chunk->block = source_advance(source);
	answer = sluice_args_set_buffer_list(&chunk->args, chunk->segments, 2);
	if (answer == 0)
		answer = sluice_send_async(sending->channel.socket, &chunk->args);
	if (answer == 0)
		on_chunk_sent(sending->channel.socket, &chunk->args);
	return answer < 0 ? answer : 0;
}

static bool chunks_are_pending(const struct sending *sending)
{
	for (size_t i = 0; i < SOURCE_BLOCKS; i++) {
		if (sluice_args_in_progress(&sending->chunks[i].args))
			return true;
	}
	return false;
}

static int await_block(struct sending *sending)
{
	int error = 0;

	while (error == 0 && !was_refused(sending) && !source_has_block(&sending->source)) {
		error = channel_turn(&sending->channel);
		if (!chunks_are_pending(sending))
			channel_keep(&sending->channel); /* this side has no data */
	}
	return error;
}

static int send_stream(struct sending *sending, struct sending_file *file)
{
	uint64_t sent = 0;
	int error =
		source_start(&sending->source, sending->channel.engine, sending->hash, file->fd);

	while (error == 0) {
		size_t length;

		error = await_block(sending);
		if (error != 0 || was_refused(sending))
			break;
		length = source_length(&sending->source);
		if (length == 0)
			break;
		error = send_chunk(sending);
		sent += length;
		progress_show(&sending->progress, sent, clock_ns());
	}
	if (error != 0)
		return error;
	error = fail_file(file, source_stop(&sending->source));
	/* Also after a refusal: the receiver expects it. */
	if (error == 0)
		send_end(sending, file, sent);
	return error;
}

/* ---- entry points ---- */

int sending_body(struct sending *sending, struct sending_file *file)
{
	int error;

	begin_progress(sending, file);
	if (file->size == WIRE_SIZE_UNKNOWN)
		error = send_stream(sending, file);
	else if (file->size - file->from <= SMALL)
		error = send_small(sending, file);
	else
		error = send_large(sending, file);
	return error;
}

void sending_stop(struct sending *sending)
{
	work_stop(&sending->work);
	hasher_stop(&sending->hasher);
	if (sending->channel.socket != NULL)
		sluice_socket_close(sending->channel.socket);
	while (sluice_args_in_progress(&sending->body) || chunks_are_pending(sending)) {
		if (sluice_engine_run(sending->channel.engine, CHANNEL_TURN_NS) == -EPERM)
			break;
	}
	source_stop(&sending->source);
}
