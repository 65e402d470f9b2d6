/* SPDX-License-Identifier: MIT */
#include "reader.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_VALUES 256

struct block {
	struct block *next;
	size_t used;
	struct reader_value values[BLOCK_VALUES];
};

struct parser {
	struct reader *reader;
	char *at;
	size_t depth;
};

static bool fail(struct parser *parser, const char *error)
{
	if (parser->reader->error == NULL)
		parser->reader->error = error;
	return false;
}

static struct reader_value *new_value(struct parser *parser)
{
	struct block *block = parser->reader->blocks;

	if (block == NULL || block->used == BLOCK_VALUES) {
		block = calloc(1, sizeof(*block));
		if (block == NULL) {
			fail(parser, "there is no memory for it");
			return NULL;
		}
		block->next = parser->reader->blocks;
		parser->reader->blocks = block;
	}
	return &block->values[block->used++];
}

static void skip_space(struct parser *parser)
{
	for (;; parser->at++) {
		if (*parser->at == '\n')
			parser->reader->line++;
		else if (*parser->at != ' ' && *parser->at != '\t' && *parser->at != '\r')
			return;
	}
}

static bool take(struct parser *parser, char wanted)
{
	if (*parser->at != wanted)
		return false;
	parser->at++;
	return true;
}

static bool take_digits(struct parser *parser)
{
	if (*parser->at < '0' || *parser->at > '9')
		return fail(parser, "a digit is missing");
	while (*parser->at >= '0' && *parser->at <= '9')
		parser->at++;
	return true;
}

/* Four hexadecimal digits, or -1. */
static long take_unit(struct parser *parser)
{
	long unit = 0;

	for (int i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdef";
		char c = *parser->at;
		const char *digit = strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c);

		if (c == '\0' || digit == NULL)
			return -1;
		unit = unit * 16 + (digit - digits);
		parser->at++;
	}
	return unit;
}

static char *put_character(char *to, unsigned long c)
{
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*to++ = (char)(0xe0 | c >> 12);
		} else {
			*to++ = (char)(0xf0 | c >> 18);
			*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (c & 0x3f));
	return to;
}

/* Behind "\u". What is written is shorter than what was read. NULL where it is wrong. */
static char *take_unicode(struct parser *parser, char *to)
{
	long high = take_unit(parser), low;

	if (high <= 0 || (high >= 0xdc00 && high < 0xe000))
		return NULL;
	if (high < 0xd800 || high >= 0xe000)
		return put_character(to, (unsigned long)high);
	if (!take(parser, '\\') || !take(parser, 'u'))
		return NULL;
	low = take_unit(parser);
	if (low < 0xdc00 || low >= 0xe000)
		return NULL;
	return put_character(to, 0x10000 + ((unsigned long)(high - 0xd800) << 10) +
					 (unsigned long)(low - 0xdc00));
}

static char *take_escape(struct parser *parser, char *to)
{
	static const char names[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *name;

	if (take(parser, 'u'))
		return take_unicode(parser, to);
	name = *parser->at != '\0' ? strchr(names, *parser->at) : NULL;
	if (name == NULL)
		return NULL;
	parser->at++;
	*to++ = meanings[name - names];
	return to;
}

/* The string is put together in its own place. */
static const char *take_string(struct parser *parser)
{
	char *start, *to;

	if (!take(parser, '"')) {
		fail(parser, "a string is missing");
		return NULL;
	}
	start = to = parser->at;
	while (*parser->at != '"') {
		if ((unsigned char)*parser->at < 0x20) {
			fail(parser, "a string does not end");
			return NULL;
		}
		if (take(parser, '\\')) {
			to = take_escape(parser, to);
			if (to == NULL) {
				fail(parser, "no such escape");
				return NULL;
			}
		} else {
			*to++ = *parser->at++;
		}
	}
	parser->at++;
	*to = '\0';
	return start;
}

static bool take_number(struct parser *parser, struct reader_value *value)
{
	char *start = parser->at, *end;

	value->type = READER_NUMBER;
	take(parser, '-');
	if (!take(parser, '0') && !take_digits(parser))
		return false;
	if (take(parser, '.') && !take_digits(parser))
		return false;
	if (take(parser, 'e') || take(parser, 'E')) {
		if (!take(parser, '+'))
			take(parser, '-');
		if (!take_digits(parser))
			return false;
	}
	value->number = strtod(start, &end);
	return true;
}

static bool read_word(struct parser *parser, const char *word, struct reader_value *value,
		      enum reader_type type, double number)
{
	size_t length = strlen(word);

	if (strncmp(parser->at, word, length) != 0)
		return fail(parser, "no such word");
	parser->at += length;
	value->type = type;
	value->number = number;
	return true;
}

static bool read_value(struct parser *parser, struct reader_value *value);

static bool read_member(struct parser *parser, struct reader_value *value, bool named)
{
	skip_space(parser);
	if (named) {
		value->key = take_string(parser);
		if (value->key == NULL)
			return false;
		skip_space(parser);
		if (!take(parser, ':'))
			return fail(parser, "a colon is missing");
	}
	return read_value(parser, value);
}

static bool read_members(struct parser *parser, struct reader_value *value, bool named, char end)
{
	struct reader_value **link = &value->first;

	value->type = named ? READER_OBJECT : READER_ARRAY;
	parser->at++;
	skip_space(parser);
	if (take(parser, end))
		return true;
	for (;;) {
		struct reader_value *member = new_value(parser);

		if (member == NULL || !read_member(parser, member, named))
			return false;
		*link = member;
		link = &member->next;
		skip_space(parser);
		if (take(parser, end))
			return true;
		if (!take(parser, ','))
			return fail(parser, "a comma, or the end of a list, is missing");
	}
}

static bool read_value(struct parser *parser, struct reader_value *value)
{
	bool read;

	skip_space(parser);
	switch (*parser->at) {
	case '{':
	case '[':
		if (parser->depth == READER_DEPTH_MAX)
			return fail(parser, "it is nested too deeply");
		parser->depth++;
		read = *parser->at == '{' ? read_members(parser, value, true, '}')
					  : read_members(parser, value, false, ']');
		parser->depth--;
		return read;
	case '"':
		value->type = READER_STRING;
		value->string = take_string(parser);
		return value->string != NULL;
	case 't':
		return read_word(parser, "true", value, READER_BOOLEAN, 1);
	case 'f':
		return read_word(parser, "false", value, READER_BOOLEAN, 0);
	case 'n':
		return read_word(parser, "null", value, READER_NULL, 0);
	default:
		return take_number(parser, value);
	}
}

bool reader_read(struct reader *reader, char *text)
{
	struct parser parser = {reader, text, 0};
	struct reader_value *root;

	*reader = (struct reader){.line = 1};
	root = new_value(&parser);
	if (root != NULL && read_value(&parser, root)) {
		skip_space(&parser);
		if (*parser.at == '\0') {
			reader->root = root;
			return true;
		}
		fail(&parser, "something follows the end");
	}
	return false;
}

void reader_free(struct reader *reader)
{
	while (reader->blocks != NULL) {
		struct block *block = reader->blocks;

		reader->blocks = block->next;
		free(block);
	}
	reader->root = NULL;
}

const struct reader_value *reader_get(const struct reader_value *object, const char *key)
{
	const struct reader_value *member =
		object != NULL && object->type == READER_OBJECT ? object->first : NULL;

	while (member != NULL && strcmp(member->key, key) != 0)
		member = member->next;
	return member;
}

double reader_number(const struct reader_value *object, const char *key, double fallback)
{
	const struct reader_value *value = reader_get(object, key);

	return value != NULL && (value->type == READER_NUMBER || value->type == READER_BOOLEAN)
		       ? value->number
		       : fallback;
}

const char *reader_string(const struct reader_value *object, const char *key, const char *fallback)
{
	const struct reader_value *value = reader_get(object, key);

	return value != NULL && value->type == READER_STRING ? value->string : fallback;
}

const struct reader_value *reader_first(const struct reader_value *object, const char *key)
{
	const struct reader_value *value = reader_get(object, key);

	return value != NULL ? value->first : NULL;
}
