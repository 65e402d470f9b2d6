/* SPDX-License-Identifier: MIT */
#include "report/jsonwriter.h"

/* The bytes of the UTF-8 character that starts here; 0 if it is invalid. */
static size_t character_bytes(const unsigned char *text)
{
	static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t bytes = *text < 0x80   ? 1
		       : *text < 0xc0 ? 0
		       : *text < 0xe0 ? 2
		       : *text < 0xf0 ? 3
				      : 4;
	unsigned long character = bytes > 1 ? *text & (0x7fu >> bytes) : *text;

	for (size_t i = 1; i < bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (text[i] & 0x3f);
	}
	if (character < least[bytes] || character > 0x10ffff ||
	    (character >= 0xd800 && character < 0xe000))
		return 0;
	return bytes;
}

/*
 * JSON is UTF-8: invalid bytes, such as half a character at the end of a cut text, are replaced. '<'
 * is escaped so that the JSON can be embedded in an HTML script element.
 */
static void put_string(struct json_writer *writer, const char *string)
{
	const unsigned char *at = (const unsigned char *)string;

	fputc('"', writer->file);
	while (*at) {
		size_t bytes = character_bytes(at);

		if (*at == '"' || *at == '\\')
			fprintf(writer->file, "\\%c", *at);
		else if (*at < 0x20 || *at == '<')
			fprintf(writer->file, "\\u%04x", *at);
		else if (bytes > 0)
			fwrite(at, 1, bytes, writer->file);
		else
			fputs("\\ufffd", writer->file);
		at += bytes > 0 ? bytes : 1;
	}
	fputc('"', writer->file);
}

static void new_line(struct json_writer *writer)
{
	fprintf(writer->file, "\n%*s", 2 * writer->depth, "");
}

/* Everything before a value. */
static void begin(struct json_writer *writer, const char *key)
{
	if (writer->values++)
		fputc(',', writer->file);
	if (writer->depth > 0)
		new_line(writer);
	if (key) {
		put_string(writer, key);
		fputs(": ", writer->file);
	}
}

void json_writer_open(struct json_writer *writer, const char *key, char bracket)
{
	begin(writer, key);
	fputc(bracket, writer->file);
	writer->depth++;
	writer->values = 0;
}

void json_writer_close(struct json_writer *writer, char bracket)
{
	writer->depth--;
	if (writer->values)
		new_line(writer);
	fputc(bracket, writer->file);
	writer->values = 1; /* at least the one that ends here */
	if (writer->depth == 0)
		fputc('\n', writer->file);
}

void json_writer_string(struct json_writer *writer, const char *key, const char *value)
{
	begin(writer, key);
	put_string(writer, value);
}

void json_writer_integer(struct json_writer *writer, const char *key, uint64_t value)
{
	begin(writer, key);
	fprintf(writer->file, "%llu", (unsigned long long)value);
}

void json_writer_number(struct json_writer *writer, const char *key, double value)
{
	begin(writer, key);
	fprintf(writer->file, "%.7g", value);
}

void json_writer_numbers(struct json_writer *writer, const char *key, const double *values,
			 size_t count)
{
	begin(writer, key);
	fputc('[', writer->file);
	for (size_t i = 0; i < count; i++)
		fprintf(writer->file, "%s%.15g", i > 0 ? ", " : "", values[i]);
	fputc(']', writer->file);
}
