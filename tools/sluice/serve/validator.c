/* SPDX-License-Identifier: MIT */
#include "serve/validator.h"

#include "hash.h"

#define NS_PER_S 1000000000

/* The resolution of time stamps: of most file systems, and of those with full seconds. */
#define RESOLUTION_NS 100000000
#define RESOLUTION_COARSE_NS 2000000000

/* Dates before HTTP existed are artificial: reproducible builds set 0, 1 or the like. */
#define FIRST_DATE_S 631152000 /* 1990 */

/*
 * Whether the file changed so shortly before the lookup that another change may not change its time
 * stamp.
 */
static bool may_keep_stamp(const struct lookup_result *result)
{
	int64_t changed = result->facts.changed_ns;
	int64_t resolution = changed % NS_PER_S == 0 ? RESOLUTION_COARSE_NS : RESOLUTION_NS;

	return changed >= result->looked_ns - resolution &&
	       changed <= result->looked_ns + RESOLUTION_COARSE_NS;
}

/* RFC 9110, 8.8.2.2: the file may change again within the same second. */
static bool may_keep_date(const struct lookup_result *result)
{
	return result->facts.modified_ns / NS_PER_S == result->looked_ns / NS_PER_S;
}

bool validator_is_unsettled(const struct lookup_result *result)
{
	return result->generated || may_keep_stamp(result) || may_keep_date(result);
}

/*
 * Different contents have different tags: a replaced file has another inode or a later ctime, even
 * if its mtime is the same. A change that affects neither is detected by its content, or by the
 * lookup. A hash, to conceal inode numbers. Without the device, whose number may change at a
 * restart of the machine.
 */
void validator_write_etag(struct text *text, const struct lookup_result *result)
{
	const struct file_facts *facts = &result->facts;
	const uint64_t hashed[] = {
		(uint64_t)facts->modified_ns,
		(uint64_t)facts->changed_ns,
		facts->inode,
		may_keep_stamp(result) ? (uint64_t)result->looked_ns : 0,
	};
	struct span bytes = {(const char *)hashed, sizeof(hashed)};

	text_add_character(text, '"');
	text_add_hex(text, result->generated ? result->content_hash : hash_bytes(0, bytes));
	text_add_character(text, '-');
	text_add_hex(text, facts->size);
	text_add_character(text, '"');
}

/* RFC 9110, 8.8.2.1: a date must not be later than that of the response. */
bool validator_is_dated(const struct lookup_result *result)
{
	return !result->generated && result->facts.modified_ns / NS_PER_S >= FIRST_DATE_S &&
	       result->facts.modified_ns / NS_PER_S < result->looked_ns / NS_PER_S;
}
