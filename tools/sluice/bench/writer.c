/* SPDX-License-Identifier: MIT */
#include "writer.h"

static void put_string(struct json *json, const char *string)
{
	fputc('"', json->file);
	for (; *string; string++) {
		unsigned char c = (unsigned char)*string;

		if (c == '"' || c == '\\')
			fprintf(json->file, "\\%c", c);
		else if (c < 0x20)
			fprintf(json->file, "\\u%04x", c);
		else
			fputc(c, json->file);
	}
	fputc('"', json->file);
}

static void new_line(struct json *json)
{
	fprintf(json->file, "\n%*s", 2 * json->depth, "");
}

/* Everything that stands before a value. */
static void begin(struct json *json, const char *key)
{
	if (json->values++)
		fputc(',', json->file);
	if (json->depth > 0)
		new_line(json);
	if (key) {
		put_string(json, key);
		fputs(": ", json->file);
	}
}

void json_open(struct json *json, const char *key, char bracket)
{
	begin(json, key);
	fputc(bracket, json->file);
	json->depth++;
	json->values = 0;
}

void json_close(struct json *json, char bracket)
{
	json->depth--;
	if (json->values)
		new_line(json);
	fputc(bracket, json->file);
	json->values = 1; /* at least the one that ends here */
	if (json->depth == 0)
		fputc('\n', json->file);
}

void json_string(struct json *json, const char *key, const char *value)
{
	begin(json, key);
	put_string(json, value);
}

void json_integer(struct json *json, const char *key, uint64_t value)
{
	begin(json, key);
	fprintf(json->file, "%llu", (unsigned long long)value);
}

void json_number(struct json *json, const char *key, double value)
{
	begin(json, key);
	fprintf(json->file, "%.7g", value);
}

void json_numbers(struct json *json, const char *key, const double *values, size_t count)
{
	begin(json, key);
	fputc('[', json->file);
	for (size_t i = 0; i < count; i++)
		fprintf(json->file, "%s%.15g", i > 0 ? ", " : "", values[i]);
	fputc(']', json->file);
}
