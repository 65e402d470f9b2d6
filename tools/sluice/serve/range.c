/* SPDX-License-Identifier: MIT */
#include "serve/range.h"

#include <string.h>

/* Parses the leading digits; a number beyond 64 bits counts as the maximum. */
static bool take_position(struct span *text, uint64_t *ret_position)
{
	uint64_t position = 0;
	size_t digits = 0;

	while (digits < text->length && text->at[digits] >= '0' && text->at[digits] <= '9') {
		unsigned int digit = (unsigned int)(text->at[digits++] - '0');

		if (position > (UINT64_MAX - digit) / 10)
			position = UINT64_MAX;
		else
			position = position * 10 + digit;
	}
	*text = span_from(*text, digits);
	*ret_position = position;
	return digits > 0;
}

/* "-500": the last 500 bytes. */
static enum range_kind suffix_range(struct span text, uint64_t size, struct range *ret_range)
{
	uint64_t length;

	if (!take_position(&text, &length) || text.length != 0)
		return RANGE_IGNORED;
	if (length == 0)
		return RANGE_UNSATISFIABLE;
	if (length > size)
		length = size;
	*ret_range = (struct range){size - length, length};
	return RANGE_SATISFIABLE;
}

/* "0-499", "500-" */
static enum range_kind plain_range(struct span text, uint64_t size, struct range *ret_range)
{
	uint64_t first, last = UINT64_MAX;

	if (!take_position(&text, &first) || text.length == 0 || text.at[0] != '-')
		return RANGE_IGNORED;
	text = span_from(text, 1);
	if (text.length > 0 && (!take_position(&text, &last) || text.length != 0))
		return RANGE_IGNORED;
	if (last < first)
		return RANGE_IGNORED;
	if (first >= size)
		return RANGE_UNSATISFIABLE;
	if (last >= size)
		last = size - 1;
	*ret_range = (struct range){first, last - first + 1};
	return RANGE_SATISFIABLE;
}

static enum range_kind parse_one(struct span text, uint64_t size, struct range *ret_range)
{
	if (text.at[0] == '-')
		return suffix_range(span_from(text, 1), size, ret_range);
	return plain_range(text, size, ret_range);
}

/* Removes the first element of a list; an element may be empty. */
static struct span take_element(struct span *list)
{
	const char *comma = memchr(list->at, ',', list->length);
	size_t length = comma != NULL ? (size_t)(comma - list->at) : list->length;
	struct span element = {list->at, length};

	*list = span_from(*list, comma != NULL ? length + 1 : length);
	return span_trim(element);
}

static enum range_kind parse_list(struct span list, uint64_t size, struct range *ranges,
				  size_t *ret_count)
{
	size_t asked = 0, count = 0;
	uint64_t left = size;

	while (list.length > 0) {
		struct span element = take_element(&list);
		enum range_kind kind;

		if (element.length == 0)
			continue;
		if (asked++ == RANGES_MAX)
			return RANGE_IGNORED;
		kind = parse_one(element, size, &ranges[count]);
		if (kind == RANGE_IGNORED)
			return RANGE_IGNORED;
		if (kind == RANGE_UNSATISFIABLE)
			continue;
		if (ranges[count].length > left)
			return RANGE_IGNORED;
		left -= ranges[count++].length;
	}
	*ret_count = count;
	if (count > 0)
		return RANGE_SATISFIABLE;
	return asked > 0 ? RANGE_UNSATISFIABLE : RANGE_IGNORED;
}

enum range_kind ranges_parse(struct span value, uint64_t size, struct range ret_ranges[RANGES_MAX],
			     size_t *ret_count)
{
	static const struct span unit = {"bytes=", 6};
	struct span text = span_trim(value);
	struct range ranges[RANGES_MAX];
	enum range_kind kind;
	size_t count;

	/* Clients that add a range to every request expect an empty file, not an error. */
	if (size == 0)
		return RANGE_IGNORED;
	if (text.length <= unit.length || !span_matches((struct span){text.at, unit.length}, unit))
		return RANGE_IGNORED;
	kind = parse_list(span_from(text, unit.length), size, ranges, &count);
	if (kind == RANGE_SATISFIABLE) {
		memcpy(ret_ranges, ranges, count * sizeof(ranges[0]));
		*ret_count = count;
	}
	return kind;
}
