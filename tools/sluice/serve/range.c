/* SPDX-License-Identifier: MIT */
#include "serve/range.h"

/* Takes the digits off the front; what does not fit into 64 bits is as good as the highest. */
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

enum range_kind range_parse(struct span value, uint64_t size, struct range *ret_range)
{
	static const struct span unit = {"bytes=", 6};
	struct span text = span_trim(value);

	/* Clients that add a range to every request expect an empty file, not an error. */
	if (size == 0)
		return RANGE_IGNORED;
	if (text.length <= unit.length || !span_matches((struct span){text.at, unit.length}, unit))
		return RANGE_IGNORED;
	text = span_trim(span_from(text, unit.length));
	if (text.length == 0)
		return RANGE_IGNORED;
	if (text.at[0] == '-')
		return suffix_range(span_from(text, 1), size, ret_range);
	return plain_range(text, size, ret_range);
}
