/* SPDX-License-Identifier: MIT */
#include "serve/conditional.h"

#include "serve/httpdate.h"

/*
 * Reads one entity-tag from the start of the list; false at its end or at an invalid one. The tag
 * keeps its quotes, but not its W/.
 */
static bool take_etag(struct span *list, struct span *ret_etag, bool *ret_weak)
{
	const char *quote;

	while (list->length > 0 && strchr(" \t,", list->at[0]) != NULL)
		*list = span_from(*list, 1);
	*ret_weak = list->length > 2 && memcmp(list->at, "W/", 2) == 0;
	if (*ret_weak)
		*list = span_from(*list, 2);
	if (list->length < 2 || list->at[0] != '"')
		return false;
	quote = memchr(list->at + 1, '"', list->length - 1);
	if (quote == NULL)
		return false;
	*ret_etag = (struct span){list->at, (size_t)(quote - list->at) + 1};
	*list = span_from(*list, ret_etag->length);
	return true;
}

/* Reads one line; the span is empty after the last. */
static struct span take_line(struct span *lines)
{
	const char *end = memchr(lines->at, '\r', lines->length);
	struct span line = *lines;

	if (end == NULL) {
		*lines = span_from(*lines, lines->length);
		return line;
	}
	line.length = (size_t)(end - lines->at);
	/* The parser guarantees that a line feed follows. */
	*lines = span_from(*lines, line.length + 1);
	if (lines->length > 0 && lines->at[0] == '\n')
		*lines = span_from(*lines, 1);
	return line;
}

/* The value of the next header of this name; false: there is none. */
static bool take_value(struct span *lines, struct span name, struct span *ret_value)
{
	while (lines->length > 0) {
		struct span line = take_line(lines);

		if (line.length > name.length && line.at[name.length] == ':' &&
		    span_matches((struct span){line.at, name.length}, name)) {
			*ret_value = span_from(line, name.length + 1);
			return true;
		}
	}
	return false;
}

/* Weak comparison treats W/"x" as "x"; strong comparison does not. */
static bool line_names(struct span list, struct span etag, bool strong)
{
	struct span candidate;
	bool weak;

	list = span_trim(list);
	if (span_equals(list, span_of("*")))
		return true;
	while (take_etag(&list, &candidate, &weak)) {
		if (span_equals(candidate, etag) && !(weak && strong))
			return true;
	}
	return false;
}

/* The lines of one list header, whose name is needed to find its other lines. */
static bool list_names(struct span lines, struct span name, struct span etag, bool strong)
{
	struct span value = take_line(&lines);

	do {
		if (line_names(value, etag, strong))
			return true;
	} while (take_value(&lines, name, &value));
	return false;
}

/*
 * Whether the file changed after the date; an invalid date has its own result. If a file is
 * replaced by an older one, it changed although its date is earlier: only the date that was sent
 * with it, or a later one, denotes this file.
 */
static bool modified_after(struct span date, const struct validators *validators, int64_t now,
			   bool otherwise)
{
	int64_t seconds;

	if (!validators->dated || !httpdate_parse(span_trim(date), now, &seconds))
		return otherwise;
	return seconds != validators->modified &&
	       (seconds < validators->modified || seconds <= validators->changed);
}

enum verdict conditions_judge(const struct conditions *conditions,
			      const struct validators *validators, int64_t now)
{
	if (conditions->if_match.at != NULL) {
		if (!list_names(conditions->if_match, span_of("If-Match"), validators->etag, true))
			return VERDICT_PRECONDITION_FAILED;
	} else if (conditions->if_unmodified_since.at != NULL) {
		if (modified_after(conditions->if_unmodified_since, validators, now, false))
			return VERDICT_PRECONDITION_FAILED;
	}

	if (conditions->if_none_match.at != NULL) {
		if (list_names(conditions->if_none_match, span_of("If-None-Match"),
			       validators->etag, false))
			return VERDICT_NOT_MODIFIED;
	} else if (conditions->if_modified_since.at != NULL) {
		if (!modified_after(conditions->if_modified_since, validators, now, true))
			return VERDICT_NOT_MODIFIED;
	}
	return VERDICT_SEND;
}

/*
 * If-Range compares strongly: the identical tag, or the identical date. Any other date denotes
 * another version, and the whole file is sent; likewise if the file was put there after its date,
 * since its predecessor may have had the same.
 */
bool conditions_allow_range(const struct conditions *conditions,
			    const struct validators *validators, int64_t now)
{
	struct span value = conditions->if_range;
	int64_t seconds;

	if (value.at == NULL)
		return true;
	value = span_trim(value);
	if (span_equals(value, validators->etag))
		return true;
	return validators->dated && validators->changed <= validators->modified &&
	       httpdate_parse(value, now, &seconds) && seconds == validators->modified;
}
