/* SPDX-License-Identifier: MIT */
#include "random_items.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define CONTENT_BYTES (2048 * KIB)
#define LARGEST (512 * KIB)

atomic_long outstanding;

static unsigned char *content;

static struct {
	int fd;
	char path[32];
	size_t start; /* in the content */
	size_t length;
} files[FILES] = {
	{.length = 0},        {.length = 700},       {.length = 3000},
	{.length = 70 * KIB}, {.length = 200 * KIB}, {.length = 600 * KIB},
};

uint64_t next_random(struct random *random)
{
	uint64_t mixed = random->state += 0x9e3779b97f4a7c15;

	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
	return mixed ^ (mixed >> 31);
}

uint64_t below(struct random *random, uint64_t bound)
{
	return next_random(random) % bound;
}

bool one_in(struct random *random, uint64_t cases)
{
	return below(random, cases) == 0;
}

/* ---- what is sent ---- */

/* A file without a name in the working directory, which holds a part of the content. */
static void file_prepare(unsigned number, struct random *random)
{
	char name[] = "end-to-end-XXXXXX";
	size_t length = files[number].length;

	files[number].start = below(random, CONTENT_BYTES - length);
	files[number].fd = mkostemp(name, O_CLOEXEC);
	check(files[number].fd >= 0);
	unlink(name);
	snprintf(files[number].path, sizeof files[number].path, "/proc/self/fd/%d",
		 files[number].fd);
	check(write(files[number].fd, content + files[number].start, length) == (ssize_t)length);
}

void contents_prepare(uint64_t seed)
{
	struct random random = {seed};

	if (content)
		return;
	content = malloc(CONTENT_BYTES);
	check(content != NULL);
	for (size_t i = 0; i < CONTENT_BYTES; i += sizeof(uint64_t))
		memcpy(content + i, &(uint64_t){next_random(&random)}, sizeof(uint64_t));
	for (unsigned number = 0; number < FILES; number++)
		file_prepare(number, &random);
}

/*
 * Mostly small, sometimes larger than what a socket holds: so the queues are long and the whole is not.
 * Sanitizers look at every byte, several times.
 */
static size_t random_length(struct random *random)
{
	switch (below(random, 10)) {
	case 0:
		return below(random, 2);
	case 1 ... 4:
		return below(random, 4 * KIB);
	case 5 ... 8:
		return below(random, 48 * KIB);
	default:
		return below(random, LARGEST + 1);
	}
}

static void add_memory(struct item *item, const void *bytes, size_t length)
{
	check(item->piece_count < PIECES_MAX);
	item->pieces[item->piece_count++] = (struct piece){bytes, length, -1, 0};
	item->total += length;
}

static void add_content(struct item *item, struct random *random, size_t length)
{
	add_memory(item, content + below(random, CONTENT_BYTES - length), length);
}

static void add_file(struct item *item, unsigned number, size_t offset, size_t length)
{
	check(item->piece_count < PIECES_MAX);
	item->pieces[item->piece_count++] = (struct piece){content + files[number].start + offset,
							   length, (int)number, (int64_t)offset};
	item->total += length;
}

/* A part of a file, or all of it; a count of 0 would mean to its end. */
static void add_some_file(struct item *item, struct random *random)
{
	unsigned number = (unsigned)below(random, FILES);
	size_t length = files[number].length, offset = 0;

	if (one_in(random, 2) && length > 0) {
		offset = below(random, length);
		length = 1 + below(random, length - offset);
	}
	add_file(item, number, offset, length);
}

/* The body after the header: so many pieces, some of them empty, of one random length in all. */
static void add_body(struct item *item, struct random *random, size_t pieces)
{
	size_t length = random_length(random);

	while (pieces-- > 1) {
		size_t part = one_in(random, 3) ? 0 : below(random, length + 1);

		add_content(item, random, part);
		length -= part;
	}
	add_content(item, random, length);
}

static void fill(struct item *item, struct random *random)
{
	item->header[0] = (unsigned char)(item->source << 5 | (item->number & 31));
	memcpy(item->header + 1, &item->number, 4);
	item->header[5] = (unsigned char)item->stream->index;
	if (one_in(random, 30) && item->kind == ITEM_BUFFER) {
		add_memory(item, item->header, 0);
		return;
	}
	add_memory(item, item->header, sizeof item->header);
	switch (item->kind) {
	case ITEM_LIST:
	case ITEM_BEGIN_LIST:
		add_body(item, random, 1 + below(random, 8));
		break;
	case ITEM_PACKETS:
		add_body(item, random, 1);
		while (one_in(random, 2) && item->piece_count < PIECES_MAX - 3) {
			add_some_file(item, random);
			add_content(item, random, below(random, 3000));
		}
		break;
	case ITEM_BEGIN_FILE: {
		unsigned number = (unsigned)below(random, FILES);

		add_file(item, number, 0, files[number].length);
		add_content(item, random, below(random, 3000));
		break;
	}
	default:
		add_body(item, random, 1);
	}
}

/* ---- how it is sent ---- */

static void copy_into_one(struct item *item)
{
	unsigned char *to = malloc(item->total + 1);

	check(to != NULL);
	item->memory = to;
	for (size_t i = 0; i < item->piece_count; i++) {
		memcpy(to, item->pieces[i].bytes, item->pieces[i].length);
		to += item->pieces[i].length;
	}
}

static void make_segments(struct item *item)
{
	item->segments = calloc(item->piece_count, sizeof *item->segments);
	check(item->segments != NULL);
	for (size_t i = 0; i < item->piece_count; i++)
		item->segments[i] = (struct iovec){(void *)(uintptr_t)item->pieces[i].bytes,
						   item->pieces[i].length};
}

static struct sluice_packet packet_of(const struct piece *piece, bool by_path)
{
	struct sluice_packet packet = {.offset = piece->offset, .count = (int64_t)piece->length};

	if (piece->file < 0) {
		packet.kind = SLUICE_PACKET_MEMORY;
		packet.base = piece->bytes;
	} else if (by_path) {
		packet.kind = SLUICE_PACKET_PATH;
		packet.path = files[piece->file].path;
	} else {
		packet.kind = SLUICE_PACKET_FILE;
		packet.fd = files[piece->file].fd;
	}
	return packet;
}

static void make_packets(struct item *item, struct random *random)
{
	item->packets = calloc(item->piece_count, sizeof *item->packets);
	check(item->packets != NULL);
	for (size_t i = 0; i < item->piece_count; i++)
		item->packets[i] = packet_of(&item->pieces[i], one_in(random, 2));
}

static void choose_flags(struct item *item, struct random *random)
{
	static const uint32_t ways[] = {0, 0, SLUICE_FLAG_EAGER, SLUICE_FLAG_BATCHED};
	bool record = item->kind <= ITEM_PACKETS;

	if (item->kind == ITEM_BEGIN_FILE)
		return;
	item->flags = ways[below(random, 4)];
	if (one_in(random, 8))
		item->flags |= SLUICE_FLAG_MORE;
	else if (one_in(random, 8) && item->kind != ITEM_PACKETS)
		item->flags |= SLUICE_FLAG_PARTIAL;
	if (record && one_in(random, 8))
		item->timeout_ns = 1 + (int64_t)below(random, 20 * MILLISECOND);
	item->cancelled = record && item->source != OF_THE_ENGINE && one_in(random, 8);
}

struct item *item_new(struct stream *stream, unsigned source, struct random *random)
{
	struct item *item = calloc(1, sizeof *item);

	check(item != NULL);
	check(stream->counts[source] < ITEMS_MAX);
	item->stream = stream;
	item->source = source;
	item->number = stream->counts[source];
	item->kind = (enum item_kind)below(random, ITEM_KINDS);
	fill(item, random);
	choose_flags(item, random);
	item->ends_by_hand = item->kind >= ITEM_BEGIN && source != OF_THE_ENGINE &&
			     one_in(random, 3);
	if (item->kind == ITEM_BUFFER || item->kind == ITEM_BEGIN)
		copy_into_one(item);
	else if (item->kind == ITEM_LIST || item->kind == ITEM_BEGIN_LIST)
		make_segments(item);
	else if (item->kind == ITEM_PACKETS)
		make_packets(item, random);
	stream->items[source][stream->counts[source]++] = item;
	return item;
}

/* ---- how it ends ---- */

/* What the library needs no longer is spoilt, so that it is noticed if it does. */
static void let_go(struct item *item)
{
	if (item->memory)
		memset(item->memory, 0xee, item->total);
	free(item->memory);
	free(item->segments);
	free(item->packets);
	item->memory = NULL;
	item->segments = NULL;
	item->packets = NULL;
	if (!item->cancelled) {
		if (item->args)
			memset(item->args, 0xee, sizeof *item->args);
		free(item->args);
		item->args = NULL;
	}
}

static void note_end(struct item *item, int32_t error, uint64_t bytes)
{
	item->error = error;
	item->bytes = bytes;
	let_go(item);
	atomic_fetch_add(&item->ended, 1);
}

static void on_completed(struct sluice_socket *socket, struct sluice_args *args)
{
	struct item *item = args->user_token;
	item_fn *then = item->then;

	check(socket == item->stream->socket);
	check(args->last_operation ==
	      (item->kind == ITEM_PACKETS ? SLUICE_OPERATION_SEND_PACKETS : SLUICE_OPERATION_SEND));
	note_end(item, args->error, args->bytes_transferred);
	if (then)
		then(item);
	atomic_fetch_sub(&outstanding, 1);
}

static void end_begun(struct item *item)
{
	struct sluice_async_result *result = item->result;
	struct sluice_socket *socket = item->stream->socket;
	int64_t bytes = sluice_async_result_bytes(result);
	int64_t answer = item->kind == ITEM_BEGIN_FILE ? sluice_end_send_file(socket, result)
						       : sluice_end_send(socket, result, NULL);

	check(bytes >= 0);
	check(answer < 0 || item->kind == ITEM_BEGIN_FILE || answer == bytes);
	note_end(item, answer < 0 ? sluice_socket_error_from_errno((int)answer) : 0,
		 (uint64_t)bytes);
	atomic_fetch_sub(&outstanding, 1);
}

static void on_called_back(struct sluice_async_result *result)
{
	struct item *item = sluice_async_result_state(result);

	check(result == item->result);
	check(sluice_async_result_is_completed(result) == 1);
	end_begun(item);
}

void item_end_by_hand(struct item *item)
{
	if (item->refused)
		return;
	check(sluice_async_result_wait(item->result, -1) == 0);
	end_begun(item);
}

/* ---- how it starts ---- */

static int start_record(struct item *item)
{
	struct sluice_args *args = calloc(1, sizeof *args);
	struct sluice_socket *socket = item->stream->socket;

	check(args != NULL);
	item->args = args;
	args->completed = on_completed;
	args->user_token = item;
	args->flags = item->flags;
	args->timeout_ns = item->timeout_ns;
	if (item->kind == ITEM_PACKETS) {
		check(sluice_args_set_packets(args, item->packets, item->piece_count) == 0);
		return sluice_send_packets_async(socket, args);
	}
	if (item->kind == ITEM_LIST)
		check(sluice_args_set_buffer_list(args, item->segments, item->piece_count) == 0);
	else
		check(sluice_args_set_buffer(args, item->memory, item->total, 0,
					     (int64_t)item->total) == 0);
	return sluice_send_async(socket, args);
}

static int start_begun(struct item *item)
{
	sluice_async_callback *callback = item->ends_by_hand ? NULL : on_called_back;
	struct sluice_socket *socket = item->stream->socket;
	const struct piece *pieces = item->pieces;
	struct sluice_async_result **result = &item->result;
	enum sluice_socket_error error = SLUICE_ERROR_FAULT;
	int answer;

	if (item->kind == ITEM_BEGIN_FILE)
		return sluice_begin_send_file(socket, files[pieces[1].file].path, pieces[0].bytes,
					      pieces[0].length, pieces[2].bytes, pieces[2].length,
					      0, callback, item, result);
	if (item->kind == ITEM_BEGIN_LIST)
		answer = sluice_begin_send_list(socket, item->segments, item->piece_count,
						item->flags, &error, callback, item, result);
	else
		answer = sluice_begin_send(socket, item->memory, item->total, 0,
					   (int64_t)item->total, item->flags, &error, callback,
					   item, result);
	check(error == sluice_socket_error_from_errno(answer));
	return answer;
}

void item_start(struct item *item)
{
	bool record = item->kind <= ITEM_PACKETS;
	int answer;

	atomic_fetch_add(&outstanding, 1);
	answer = record ? start_record(item) : start_begun(item);
	if (answer == 1 || (answer == 0 && !record))
		return;
	if (answer == 0) {
		note_end(item, item->args->error, item->args->bytes_transferred);
	} else {
		check(answer == -EPIPE && item->stream->ends_on_give_up);
		item->refused = true;
		let_go(item);
	}
	atomic_fetch_sub(&outstanding, 1);
}

void item_cancel(struct item *item)
{
	int answer;

	if (item->refused)
		return;
	answer = sluice_cancel(item->stream->socket, item->args);
	check(answer == 0 || answer == -ENOENT);
}

/* ---- what arrived ---- */

__attribute__((noreturn, format(printf, 2, 3))) static void item_failed(const struct item *item,
									const char *format, ...)
{
	va_list arguments;

	printf("# stream %u, source %u, item %u: kind %d, flags %#x, %llu bytes, "
	       "time-out %lld, cancelled %d\n# ended %d times with %s and %llu bytes: ",
	       item->stream->index, item->source, item->number, (int)item->kind, item->flags,
	       (unsigned long long)item->total, (long long)item->timeout_ns, item->cancelled,
	       atomic_load(&item->ended), sluice_socket_error_name(item->error),
	       (unsigned long long)item->bytes);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	check_failed("item", __FILE__, __LINE__);
}

static bool result_is_possible(const struct item *item)
{
	const struct stream *stream = item->stream;
	bool partial = item->flags & SLUICE_FLAG_PARTIAL;

	switch (item->error) {
	case SLUICE_ERROR_SUCCESS:
		return item->bytes == item->total ||
		       (partial && item->bytes >= 1 && item->bytes <= item->total);
	case SLUICE_ERROR_OPERATION_ABORTED:
		return item->bytes <= item->total &&
		       (item->cancelled || atomic_load(&stream->cancelled));
	case SLUICE_ERROR_TIMED_OUT:
		return item->bytes <= item->total && item->timeout_ns > 0;
	case SLUICE_ERROR_SHUTDOWN:
		return item->bytes == 0 && stream->ends_on_give_up;
	default:
		return false;
	}
}

static void check_result(const struct item *item)
{
	int times = atomic_load(&item->ended);

	if (item->refused ? times != 0 : times != 1)
		item_failed(item, "not once");
	if (!item->refused && !result_is_possible(item))
		item_failed(item, "that cannot be");
}

/* The next item of the source of which something arrived; NULL: none. */
static const struct item *next_of(const struct stream *stream, unsigned source, unsigned *at)
{
	while (*at < stream->counts[source]) {
		const struct item *item = stream->items[source][*at];

		if (!item->refused && item->bytes > 0)
			return item;
		(*at)++;
	}
	return NULL;
}

static void compare(const struct item *item, const unsigned char *read, size_t length)
{
	uint64_t left = item->bytes, done = 0;

	if (left > length)
		item_failed(item, "only %zu bytes of it came", length);
	for (size_t i = 0; i < item->piece_count && left > 0; i++) {
		const struct piece *piece = &item->pieces[i];
		size_t part = piece->length < left ? piece->length : (size_t)left;

		for (size_t at = 0; at < part && memcmp(read + done, piece->bytes, part); at++)
			if (read[done + at] != piece->bytes[at])
				item_failed(item, "byte %zu of its piece %zu is wrong", at, i);
		done += part;
		left -= part;
	}
}

static bool was_cut(const struct item *item)
{
	return item->error != SLUICE_ERROR_SUCCESS && item->bytes < item->total;
}

void stream_check(const struct stream *stream)
{
	unsigned at[SOURCES] = {0};
	size_t position = 0;

	for (unsigned source = 0; source < SOURCES; source++)
		for (unsigned i = 0; i < stream->counts[source]; i++)
			check_result(stream->items[source][i]);
	while (position < stream->read_length) {
		unsigned source = stream->read[position] >> 5;
		const struct item *item = source < SOURCES ? next_of(stream, source, &at[source])
							   : NULL;

		if (!item || item->header[0] != stream->read[position]) {
			printf("# stream %u has at %zu of %zu a byte %#x\n", stream->index,
			       position, stream->read_length, stream->read[position]);
			if (item)
				item_failed(item, "it should come next");
			check_failed("an item", __FILE__, __LINE__);
		}
		compare(item, stream->read + position, stream->read_length - position);
		position += item->bytes;
		at[source]++;
		if (stream->ends_on_give_up && was_cut(item) && position != stream->read_length)
			item_failed(item, "something came behind it");
	}
	for (unsigned source = 0; source < SOURCES; source++) {
		const struct item *item = next_of(stream, source, &at[source]);

		if (item)
			item_failed(item, "it never came");
	}
}

void stream_free(struct stream *stream)
{
	for (unsigned source = 0; source < SOURCES; source++)
		for (unsigned i = 0; i < stream->counts[source]; i++) {
			free(stream->items[source][i]->args);
			free(stream->items[source][i]);
		}
	free(stream->read);
}
