/* SPDX-License-Identifier: MIT */
/*
 * Gives bytes to what reads the messages of `sluice send` and `sluice receive`, as one piece and as
 * many, and to what looks at the names in them. See http.c for how it is run.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transfer/address.h"
#include "transfer/name.h"
#include "transfer/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

/* The stream's shape, for comparing two readings. */
struct seen {
	uint64_t messages;
	uint64_t sum;
	bool wrong;
};

static void look_at_name(const struct wire_message *message)
{
	char shown[64];

	must(message->text_length <= WIRE_NAME_MAX);
	must(strlen(message->text) == message->text_length);
	name_show(message->text, shown, sizeof(shown));
	must(strlen(shown) < sizeof(shown));
	for (const char *at = shown; *at != '\0'; at++)
		must((unsigned char)*at >= 0x20 && *at != 0x7f);
	if (name_is_safe(message->text, message->text_length, true)) {
		must(strchr(message->text, '/') == NULL && message->text[0] != '\0');
		must(strcmp(message->text, ".") != 0 && strcmp(message->text, "..") != 0);
		must(name_of_path(message->text) == message->text);
	}
}

/* What was read is written as it was, and read again. */
static void look_at(const struct wire_message *message)
{
	unsigned char buffer[WIRE_MESSAGE_MAX];
	struct wire_reader reader = {0};
	struct wire_message again;
	size_t length = wire_write(message, buffer), used;

	must(length <= WIRE_MESSAGE_MAX);
	must(wire_read(&reader, buffer, length, &used, &again) == WIRE_MESSAGE);
	must(used == length && memcmp(message, &again, sizeof(again)) == 0);
	must(message->type != WIRE_DATA ||
	     message->count <= (uint64_t)WIRE_SIZE_MAX - message->offset);
	must(wire_code_text(message->code) != NULL);
	look_at_name(message);
}

static struct seen read_stream(const uint8_t *data, size_t size, size_t piece)
{
	struct wire_reader reader = {0};
	struct wire_message message;
	struct seen seen = {0};
	uint64_t raw = 0;

	for (size_t at = 0; at < size && !seen.wrong;) {
		size_t length = size - at < piece ? size - at : piece, used;

		if (raw > 0) {
			used = raw < length ? (size_t)raw : length;
			raw -= used;
			at += used;
			continue;
		}
		switch (wire_read(&reader, data + at, length, &used, &message)) {
		case WIRE_MORE:
			must(used == length);
			break;
		case WIRE_MESSAGE:
			must(used > 0 && used <= length);
			look_at(&message);
			seen.messages++;
			seen.sum = seen.sum * 31 + message.type;
			if (message.type == WIRE_DATA || message.type == WIRE_CHUNK)
				raw = message.count;
			break;
		case WIRE_WRONG:
			seen.wrong = true;
		}
		at += used;
	}
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own: what reads beyond the end is seen. */
	char *text = malloc(size + 1);
	struct seen whole, bytes;
	struct address address;

	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	whole = read_stream((const uint8_t *)text, size, size + 1);
	bytes = read_stream((const uint8_t *)text, size, 1);
	must(whole.messages == bytes.messages && whole.sum == bytes.sum &&
	     whole.wrong == bytes.wrong);
	if (address_parse(text, &address) == NULL)
		must(address.port > 0 && strlen(address.host) <= ADDRESS_HOST_MAX);
	free(text);
	return 0;
}
