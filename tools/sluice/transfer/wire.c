/* SPDX-License-Identifier: MIT */
#include "transfer/wire.h"

#include <string.h>

/* A header: the type, three bytes of 0, and the length of what follows. Numbers are big-endian. */
static const char magic[6] = {'s', 'l', 'u', 'i', 'c', 'e'};

#define HELLO_BODY (WIRE_HELLO_BYTES - WIRE_HEADER)
#define HELLO_SECRET 0x100 /* with the version, so that version 1 sees another version */
#define FILE_BODY 24       /* and the name */
#define HAVE_BODY (8 + WIRE_DIGEST)
#define DATA_BODY 16
#define END_BODY (8 + WIRE_DIGEST)
#define RESULT_BODY 4 /* and the text */

/* ---- numbers ---- */

static void put(unsigned char *at, uint64_t number, size_t bytes)
{
	while (bytes-- > 0) {
		at[bytes] = (unsigned char)number;
		number >>= 8;
	}
}

static uint64_t get(const unsigned char *at, size_t bytes)
{
	uint64_t number = 0;

	for (size_t i = 0; i < bytes; i++)
		number = number << 8 | at[i];
	return number;
}

/* ---- writing ---- */

static size_t put_text(unsigned char *at, const struct wire_message *message)
{
	size_t length = message->text_length < WIRE_TEXT_MAX ? message->text_length : WIRE_TEXT_MAX;

	memcpy(at, message->text, length);
	return length;
}

static size_t put_body(unsigned char *body, const struct wire_message *message)
{
	switch (message->type) {
	case WIRE_HELLO:
		memcpy(body, magic, sizeof(magic));
		put(body + 6, message->version | (message->secret ? HELLO_SECRET : 0), 2);
		return HELLO_BODY;
	case WIRE_FILE:
		put(body, message->size, 8);
		put(body + 8, (uint64_t)message->modified_s, 8);
		put(body + 16, message->modified_ns, 4);
		put(body + 20, message->mode, 4);
		return FILE_BODY + put_text(body + FILE_BODY, message);
	case WIRE_HAVE:
		put(body, message->offset, 8);
		memcpy(body + 8, message->digest, WIRE_DIGEST);
		return HAVE_BODY;
	case WIRE_DATA:
		put(body, message->offset, 8);
		put(body + 8, message->count, 8);
		return DATA_BODY;
	case WIRE_END:
		put(body, message->size, 8);
		memcpy(body + 8, message->digest, WIRE_DIGEST);
		return END_BODY;
	case WIRE_RESULT:
		put(body, message->code, 4);
		return RESULT_BODY + put_text(body + RESULT_BODY, message);
	default:
		return 0;
	}
}

size_t wire_write(const struct wire_message *message, unsigned char buffer[WIRE_MESSAGE_MAX])
{
	size_t length = put_body(buffer + WIRE_HEADER, message);

	memset(buffer, 0, 4);
	buffer[0] = (unsigned char)message->type;
	put(buffer + 4, message->type == WIRE_CHUNK ? message->count : length, 4);
	return WIRE_HEADER + length;
}

/* ---- reading ---- */

/* Whether the length is valid for the type. */
static bool length_fits(unsigned char type, uint64_t length)
{
	switch (type) {
	case WIRE_HELLO:
		return length == HELLO_BODY;
	case WIRE_FILE:
		return length > FILE_BODY && length <= FILE_BODY + WIRE_NAME_MAX;
	case WIRE_HAVE:
		return length == HAVE_BODY;
	case WIRE_DATA:
		return length == DATA_BODY;
	case WIRE_CHUNK:
		return length > 0 && length <= WIRE_CHUNK_MAX;
	case WIRE_END:
		return length == END_BODY;
	case WIRE_RESULT:
		return length >= RESULT_BODY && length <= RESULT_BODY + WIRE_TEXT_MAX;
	case WIRE_WAIT:
	case WIRE_BYE:
		return length == 0;
	default:
		return false;
	}
}

static bool header_is_right(const unsigned char *header)
{
	return header[1] == 0 && header[2] == 0 && header[3] == 0 &&
	       length_fits(header[0], get(header + 4, 4));
}

/* Text contains no 0, so that it is a string. */
static bool get_text(struct wire_message *message, const unsigned char *at, size_t length)
{
	memcpy(message->text, at, length);
	message->text[length] = '\0';
	message->text_length = length;
	return memchr(at, '\0', length) == NULL;
}

static bool get_file(struct wire_message *message, const unsigned char *body, size_t length)
{
	message->size = get(body, 8);
	message->modified_s = (int64_t)get(body + 8, 8);
	message->modified_ns = (uint32_t)get(body + 16, 4);
	message->mode = (uint32_t)get(body + 20, 4);
	if (message->size > WIRE_SIZE_MAX && message->size != WIRE_SIZE_UNKNOWN)
		return false;
	if (message->modified_ns >= 1000000000 || message->mode > 0777)
		return false;
	return get_text(message, body + FILE_BODY, length - FILE_BODY);
}

static bool get_data(struct wire_message *message, const unsigned char *body)
{
	message->offset = get(body, 8);
	message->count = get(body + 8, 8);
	return message->offset <= WIRE_SIZE_MAX &&
	       message->count <= WIRE_SIZE_MAX - message->offset;
}

static bool get_body(struct wire_message *message, const unsigned char *body, size_t length)
{
	switch (message->type) {
	case WIRE_HELLO:
		message->version = (uint32_t)get(body + 6, 2) & ~(uint32_t)HELLO_SECRET;
		message->secret = (get(body + 6, 2) & HELLO_SECRET) != 0;
		return memcmp(body, magic, sizeof(magic)) == 0;
	case WIRE_FILE:
		return get_file(message, body, length);
	case WIRE_HAVE:
		message->offset = get(body, 8);
		memcpy(message->digest, body + 8, WIRE_DIGEST);
		return message->offset <= WIRE_SIZE_MAX;
	case WIRE_DATA:
		return get_data(message, body);
	case WIRE_CHUNK:
		message->count = length;
		return true;
	case WIRE_END:
		message->size = get(body, 8);
		memcpy(message->digest, body + 8, WIRE_DIGEST);
		return message->size <= WIRE_SIZE_MAX;
	case WIRE_RESULT:
		message->code = (uint32_t)get(body, 4);
		return get_text(message, body + RESULT_BODY, length - RESULT_BODY);
	default:
		return true;
	}
}

/* Bytes that the reader stores of the message; what follows a CHUNK is not stored. */
static size_t wanted(const struct wire_reader *reader)
{
	if (reader->held < WIRE_HEADER || reader->buffer[0] == WIRE_CHUNK)
		return WIRE_HEADER;
	return WIRE_HEADER + (size_t)get(reader->buffer + 4, 4);
}

static size_t take(struct wire_reader *reader, const unsigned char *bytes, size_t length)
{
	size_t part = wanted(reader) - reader->held;

	if (part > length)
		part = length;
	memcpy(reader->buffer + reader->held, bytes, part);
	reader->held += part;
	return part;
}

enum wire_outcome wire_read(struct wire_reader *reader, const void *bytes, size_t length,
			    size_t *ret_used, struct wire_message *ret_message)
{
	const unsigned char *header = reader->buffer;
	size_t used = 0;

	*ret_used = 0;
	if (reader->held < WIRE_HEADER) {
		if (length > 0)
			used = take(reader, bytes, length);
		*ret_used = used;
		if (reader->held < WIRE_HEADER)
			return WIRE_MORE;
		if (!header_is_right(header))
			return WIRE_WRONG;
	}
	if (length > used)
		used += take(reader, (const unsigned char *)bytes + used, length - used);
	*ret_used = used;
	if (reader->held < wanted(reader))
		return WIRE_MORE;
	reader->held = 0;
	memset(ret_message, 0, sizeof(*ret_message));
	ret_message->type = header[0];
	return get_body(ret_message, header + WIRE_HEADER, (size_t)get(header + 4, 4))
		       ? WIRE_MESSAGE
		       : WIRE_WRONG;
}

const char *wire_code_text(uint32_t code)
{
	static const char *const texts[WIRE_CODES] = {
		[WIRE_OK] = "stored",
		[WIRE_EXISTS] = "file already exists",
		[WIRE_BAD_NAME] = "the receiver does not accept this name",
		[WIRE_NO_ROOM] = "no space left at the receiver",
		[WIRE_FAILED] = "the receiver cannot store the file",
		[WIRE_MISMATCH] = "checksum mismatch",
		[WIRE_BUSY] = "another sender is sending this file",
		[WIRE_PROTOCOL] = "the receiver reports a protocol error",
		[WIRE_STOPPED] = "the receiver is stopping",
	};

	return code < WIRE_CODES ? texts[code] : "the receiver refuses the file";
}
