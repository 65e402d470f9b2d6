/* SPDX-License-Identifier: MIT */
#include "serve/reply.h"

#include <assert.h>
#include <sluice/operations.h>
#include <stdlib.h>

#include "serve/connection.h"
#include "serve/multipart.h"
#include "serve/worker.h"

/* What a record was last used for; another use needs a new record. */
enum reply_shape {
	SHAPE_NONE,
	SHAPE_BUFFER,
	SHAPE_LIST,
	SHAPE_PACKETS,
};

/* The head, a delimiter before each range, and the final one. */
struct reply_parts {
	struct sluice_packet packets[1 + 2 * RANGES_MAX + 1];
	struct span delimiters[RANGES_MAX + 1];
	char text[];
};

static void on_sent(struct sluice_socket *socket, struct sluice_args *args);

struct reply *reply_take(struct connection *connection)
{
	struct worker *worker = connection->worker;
	struct reply *reply = worker->free_replies;

	if (reply != NULL) {
		worker->free_replies = reply->next;
		worker->free_reply_count--;
	} else {
		reply = malloc(sizeof(*reply));
		if (reply == NULL)
			return NULL;
		memset(reply, 0, offsetof(struct reply, head));
	}
	reply->connection = connection;
	connection->replies++;
	return reply;
}

void reply_drop(struct reply *reply)
{
	struct worker *worker = reply->connection->worker;

	reply->connection->replies--;
	cache_entry_release(reply->entry);
	block_release(reply->block);
	free(reply->long_head);
	free(reply->parts);
	free(reply->log_line);
	reply->entry = NULL;
	reply->block = NULL;
	reply->long_head = NULL;
	reply->parts = NULL;
	reply->log_line = NULL;
	if (worker->free_reply_count == REPLIES_KEPT) {
		free(reply);
		return;
	}
	reply->next = worker->free_replies;
	worker->free_replies = reply;
	worker->free_reply_count++;
}

void replies_free(struct worker *worker)
{
	while (worker->free_replies != NULL) {
		struct reply *reply = worker->free_replies;

		worker->free_replies = reply->next;
		free(reply);
	}
	worker->free_reply_count = 0;
}

static void set_shape(struct reply *reply, enum reply_shape shape)
{
	if (reply->shape == shape)
		return;
	sluice_args_init(&reply->args);
	reply->args.completed = on_sent;
	reply->shape = shape;
}

void reply_set_memory(struct reply *reply, const char *base, size_t length)
{
	int error;

	set_shape(reply, SHAPE_BUFFER);
	error = sluice_args_set_buffer(&reply->args, base, length, 0, (int64_t)length);
	assert(error == 0);
	(void)error;
}

void reply_set_two(struct reply *reply, struct span head, struct span body)
{
	/* An iovec has no const; sending never writes through it. */
	struct iovec segments[2] = {
		{(void *)(uintptr_t)head.at, head.length},
		{(void *)(uintptr_t)body.at, body.length},
	};
	int error;

	set_shape(reply, SHAPE_LIST);
	error = sluice_args_set_buffer_list(&reply->args, segments, 2);
	assert(error == 0);
	(void)error;
}

static struct sluice_packet memory_packet(struct span span)
{
	return (struct sluice_packet){
		.kind = SLUICE_PACKET_MEMORY,
		.base = span.at,
		.count = (int64_t)span.length,
	};
}

static struct sluice_packet range_packet(const struct cache_entry *entry, struct range range)
{
	if (entry->fd < 0)
		return memory_packet(
			(struct span){block_content(entry->block) + range.first, range.length});
	return (struct sluice_packet){
		.kind = SLUICE_PACKET_FILE,
		.fd = entry->fd,
		.offset = (int64_t)range.first,
		.count = (int64_t)range.length,
		.identity = entry->identity,
	};
}

void reply_set_file(struct reply *reply, struct span head, struct cache_entry *entry,
		    struct range range)
{
	int error;

	assert(range.length > 0); /* 0 would mean the whole file */
	reply->entry = cache_entry_hold(entry);
	reply->packets[0] = memory_packet(head);
	reply->packets[1] = range_packet(entry, range);
	set_shape(reply, SHAPE_PACKETS);
	error = sluice_args_set_packets(&reply->args, reply->packets, 2);
	assert(error == 0);
	(void)error;
}

uint64_t reply_prepare_parts(struct reply *reply, const struct multipart *multipart)
{
	size_t capacity = multipart_capacity(multipart);
	struct reply_parts *parts = malloc(sizeof(*parts) + capacity);
	struct text text;
	uint64_t bytes;

	if (parts == NULL)
		return 0;
	text = text_in(parts->text, capacity);
	for (size_t part = 0; part <= multipart->count; part++) {
		size_t before = text.length;

		multipart_write_delimiter(&text, multipart, part);
		parts->delimiters[part] = (struct span){text.base + before, text.length - before};
	}
	assert(!text.overflowed);
	reply->parts = parts;
	bytes = text.length;
	for (size_t part = 0; part < multipart->count; part++)
		bytes += multipart->ranges[part].length;
	return bytes;
}

void reply_set_parts(struct reply *reply, struct span head, struct cache_entry *entry,
		     const struct multipart *multipart)
{
	struct reply_parts *parts = reply->parts;
	size_t count = 0;
	int error;

	if (entry->fd >= 0) {
		reply->entry = cache_entry_hold(entry);
	} else {
		reply->block = entry->block;
		reply->block->references++;
	}
	parts->packets[count++] = memory_packet(head);
	for (size_t part = 0; part < multipart->count; part++) {
		parts->packets[count++] = memory_packet(parts->delimiters[part]);
		parts->packets[count++] = range_packet(entry, multipart->ranges[part]);
	}
	parts->packets[count++] = memory_packet(parts->delimiters[multipart->count]);
	set_shape(reply, SHAPE_PACKETS);
	error = sluice_args_set_packets(&reply->args, parts->packets, count);
	assert(error == 0);
	(void)error;
}

/* The completion of a reply, synchronous or not. */
static void finish(struct reply *reply)
{
	struct connection *connection = reply->connection;
	uint64_t sent = reply->args.bytes_transferred;

	if (reply->log_line != NULL) {
		accesslog_add(&connection->worker->log, reply->log_line,
			      sent > reply->head_bytes ? sent - reply->head_bytes : 0);
		reply->log_line = NULL;
	}
	if (reply->started_ns != 0)
		metrics_count(&connection->worker->metrics, reply->status,
			      sent > reply->head_bytes ? sent - reply->head_bytes : 0,
			      metrics_now_ns() - reply->started_ns);
	if (reply->args.error != SLUICE_ERROR_SUCCESS)
		connection->broken = true;
	reply_drop(reply);
}

static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct reply *reply = (struct reply *)args;
	struct connection *connection = reply->connection;

	finish(reply);
	connection_sent(connection);
}

void reply_start(struct reply *reply)
{
	struct connection *connection = reply->connection;
	int result;

	if (reply->shape == SHAPE_PACKETS)
		result = sluice_send_packets_async(connection->socket, &reply->args);
	else
		result = sluice_send_async(connection->socket, &reply->args);
	if (result == 0) {
		finish(reply);
	} else if (result < 0) {
		connection->broken = true;
		reply_drop(reply);
	}
}
