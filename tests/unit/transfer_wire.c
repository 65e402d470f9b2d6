/* SPDX-License-Identifier: MIT */
/* Messages of docs/transfer.md: what is written is read again, in pieces of any size; else refused. */

#include <stdio.h>
#include <string.h>

#include "cases.h"
#include "transfer/wire.h"

static struct wire_message with_text(struct wire_message message, const char *text)
{
	message.text_length = strlen(text);
	memcpy(message.text, text, message.text_length);
	return message;
}

static struct wire_message with_digest(struct wire_message message)
{
	for (int i = 0; i < WIRE_DIGEST; i++)
		message.digest[i] = (unsigned char)(200 + i);
	return message;
}

#define MESSAGES 13

/* One of each, with numbers at their bounds. */
static void fill(struct wire_message messages[MESSAGES])
{
	char longest[WIRE_NAME_MAX + 1];

	memset(longest, 'n', WIRE_NAME_MAX);
	longest[WIRE_NAME_MAX] = '\0';
	messages[0] = (struct wire_message){.type = WIRE_HELLO, .version = WIRE_VERSION};
	messages[1] = with_text((struct wire_message){.type = WIRE_FILE,
						      .size = 4294967297,
						      .mode = 0644,
						      .modified_s = -1,
						      .modified_ns = 999999999},
				"name");
	messages[2] = with_text((struct wire_message){.type = WIRE_FILE, .size = WIRE_SIZE_UNKNOWN},
				longest);
	messages[3] =
		with_text((struct wire_message){.type = WIRE_FILE, .size = WIRE_SIZE_MAX}, "x");
	messages[4] = with_digest((struct wire_message){.type = WIRE_HAVE, .offset = 1});
	messages[5] =
		(struct wire_message){.type = WIRE_DATA, .offset = 5, .count = WIRE_SIZE_MAX - 5};
	messages[6] = (struct wire_message){.type = WIRE_CHUNK, .count = WIRE_CHUNK_MAX};
	messages[7] = with_digest((struct wire_message){.type = WIRE_END, .size = 6});
	messages[8] = (struct wire_message){.type = WIRE_RESULT, .code = WIRE_OK};
	messages[9] = with_text((struct wire_message){.type = WIRE_RESULT, .code = 77}, longest);
	messages[10] = (struct wire_message){.type = WIRE_WAIT};
	messages[11] = (struct wire_message){.type = WIRE_BYE};
	messages[12] =
		(struct wire_message){.type = WIRE_HELLO, .version = WIRE_VERSION, .secret = true};
}

static void assert_same(const struct wire_message *one, const struct wire_message *other)
{
	cr_assert_eq(one->type, other->type);
	cr_assert_eq(one->version, other->version);
	cr_assert_eq(one->secret, other->secret);
	cr_assert_eq(one->mode, other->mode);
	cr_assert_eq(one->code, other->code);
	cr_assert_eq(one->modified_s, other->modified_s);
	cr_assert_eq(one->modified_ns, other->modified_ns);
	cr_assert_eq(one->size, other->size);
	cr_assert_eq(one->offset, other->offset);
	cr_assert_eq(one->count, other->count);
	cr_assert_arr_eq(one->digest, other->digest, WIRE_DIGEST);
	cr_assert_str_eq(one->text, other->text);
	cr_assert_eq(one->text_length, other->text_length);
}

Test(transfer_wire, every_message_is_read_as_it_was_written)
{
	struct wire_message messages[MESSAGES], read;
	struct wire_reader reader = {0};
	unsigned char buffer[WIRE_MESSAGE_MAX];
	size_t used;

	fill(messages);
	for (size_t i = 0; i < MESSAGES; i++) {
		size_t length = wire_write(&messages[i], buffer);

		cr_assert_eq(wire_read(&reader, buffer, length, &used, &read), WIRE_MESSAGE,
			     "message %zu", i);
		cr_assert_eq(used, length);
		assert_same(&messages[i], &read);
	}
}

/* All of them in one stream, in pieces of each size. */
Test(transfer_wire, a_stream_may_come_in_pieces_of_any_size)
{
	struct wire_message messages[MESSAGES], read;
	unsigned char stream[MESSAGES * WIRE_MESSAGE_MAX];
	size_t length = 0;

	fill(messages);
	for (size_t i = 0; i < MESSAGES; i++)
		length += wire_write(&messages[i], stream + length);
	for (size_t piece = 1; piece <= length; piece++) {
		struct wire_reader reader = {0};
		size_t at = 0, next = 0, used;

		while (at < length) {
			size_t end = at + piece < length ? at + piece : length;

			while (at < end) {
				enum wire_outcome outcome =
					wire_read(&reader, stream + at, end - at, &used, &read);

				cr_assert_neq(outcome, WIRE_WRONG);
				at += used;
				if (outcome == WIRE_MESSAGE)
					assert_same(&messages[next++], &read);
				else
					cr_assert_eq(at, end);
			}
		}
		cr_assert_eq(next, MESSAGES, "pieces of %zu", piece);
	}
}

Test(transfer_wire, nothing_is_read_from_nothing)
{
	struct wire_reader reader = {0};
	struct wire_message read;
	size_t used = 5;

	cr_assert_eq(wire_read(&reader, NULL, 0, &used, &read), WIRE_MORE);
	cr_assert_eq(used, 0);
}

static enum wire_outcome read_bytes(const void *bytes, size_t length)
{
	struct wire_reader reader = {0};
	struct wire_message read;
	size_t used;

	return wire_read(&reader, bytes, length, &used, &read);
}

#define BYTES(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}

Test(transfer_wire, what_is_no_message_is_refused)
{
	static const struct {
		const char *bytes;
		size_t length;
	} wrong[] = {
		BYTES("\0\0\0\0\0\0\0\0"),  /* no type */
		BYTES("\12\0\0\0\0\0\0\0"), /* a type beyond the last */
		BYTES("\11\1\0\0\0\0\0\0"), /* what has to be 0 is not */
		BYTES("\11\0\1\0\0\0\0\0"),
		BYTES("\11\0\0\1\0\0\0\0"),
		BYTES("\11\0\0\0\0\0\0\1"),           /* a BYE of one byte */
		BYTES("\1\0\0\0\0\0\0\7"),            /* a HELLO that is too short */
		BYTES("\1\0\0\0\0\0\0\10SLUICE\0\1"), /* of another sender */
		BYTES("\2\0\0\0\0\0\0\30"),           /* a FILE without a name */
		BYTES("\2\0\0\0\0\0\1\30"),           /* with a name of 256 bytes */
		BYTES("\2\0\0\0\377\377\377\377"),    /* with one of 4 GiB */
		BYTES("\2\0\0\0\0\0\0\31\200\0\0\0\0\0\0\0"
		      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x"), /* of 2^63 bytes */
		BYTES("\2\0\0\0\0\0\0\31\0\0\0\0\0\0\0\0"
		      "\0\0\0\0\0\0\0\0\73\232\312\0\0\0\0\0x"), /* 10^9 nanoseconds */
		BYTES("\2\0\0\0\0\0\0\31\0\0\0\0\0\0\0\0"
		      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0x"), /* a mode of 01000 */
		BYTES("\2\0\0\0\0\0\0\33\0\0\0\0\0\0\0\0"
		      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a\0b"), /* a 0 in the name */
		BYTES("\3\0\0\0\0\0\0\27"),                    /* a HAVE of 23 bytes */
		BYTES("\4\0\0\0\0\0\0\20\177\377\377\377\377\377\377\377"
		      "\0\0\0\0\0\0\0\1"),           /* DATA beyond 2^63 */
		BYTES("\5\0\0\0\0\0\0\0"),           /* a CHUNK of nothing */
		BYTES("\5\0\0\0\1\0\0\1"),           /* of more than 16 MiB */
		BYTES("\7\0\0\0\0\0\0\3"),           /* a RESULT without its code */
		BYTES("\7\0\0\0\0\0\1\4"),           /* with 256 bytes of text */
		BYTES("\7\0\0\0\0\0\0\5\0\0\0\0\0"), /* with a 0 in it */
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(read_bytes(wrong[i].bytes, wrong[i].length), WIRE_WRONG, "number %zu",
			     i);
}

/* The bytes themselves: what docs/transfer.md says. */
Test(transfer_wire, messages_have_the_bytes_that_are_documented)
{
	static const char hello[] = "\1\0\0\0\0\0\0\10sluice\0\2";
	static const char secret[] = "\1\0\0\0\0\0\0\10sluice\1\2";
	static const char file[] = "\2\0\0\0\0\0\0\34\0\0\0\0\0\0\1\2"
				   "\0\0\0\0\0\0\0\3\0\0\0\4\0\0\1\244name";
	static const char data[] = "\4\0\0\0\0\0\0\20\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\6";
	static const char chunk[] = "\5\0\0\0\0\4\0\0";
	static const char result[] = "\7\0\0\0\0\0\0\6\0\0\0\3no";
	unsigned char buffer[WIRE_MESSAGE_MAX];
	struct wire_message message = {.type = WIRE_HELLO, .version = WIRE_VERSION};

	cr_assert_eq(wire_write(&message, buffer), sizeof(hello) - 1);
	cr_assert_arr_eq(buffer, hello, sizeof(hello) - 1);
	message.secret = true;
	cr_assert_eq(wire_write(&message, buffer), sizeof(secret) - 1);
	cr_assert_arr_eq(buffer, secret, sizeof(secret) - 1);
	message = with_text((struct wire_message){.type = WIRE_FILE,
						  .size = 258,
						  .modified_s = 3,
						  .modified_ns = 4,
						  .mode = 0644},
			    "name");
	cr_assert_eq(wire_write(&message, buffer), sizeof(file) - 1);
	cr_assert_arr_eq(buffer, file, sizeof(file) - 1);
	message = (struct wire_message){.type = WIRE_DATA, .offset = 5, .count = 6};
	cr_assert_eq(wire_write(&message, buffer), sizeof(data) - 1);
	cr_assert_arr_eq(buffer, data, sizeof(data) - 1);
	message = (struct wire_message){.type = WIRE_CHUNK, .count = 1 << 18};
	cr_assert_eq(wire_write(&message, buffer), sizeof(chunk) - 1);
	cr_assert_arr_eq(buffer, chunk, sizeof(chunk) - 1);
	message = with_text((struct wire_message){.type = WIRE_RESULT, .code = WIRE_NO_ROOM}, "no");
	cr_assert_eq(wire_write(&message, buffer), sizeof(result) - 1);
	cr_assert_arr_eq(buffer, result, sizeof(result) - 1);
}

Test(transfer_wire, every_code_has_its_words)
{
	for (uint32_t code = 0; code < WIRE_CODES; code++) {
		cr_assert_not_null(wire_code_text(code));
		for (uint32_t other = 0; other < code; other++)
			cr_assert_str_neq(wire_code_text(code), wire_code_text(other));
	}
	cr_assert_not_null(wire_code_text(WIRE_CODES));
	cr_assert_not_null(wire_code_text(UINT32_MAX));
}
