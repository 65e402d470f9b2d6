/* SPDX-License-Identifier: MIT */
#include "serve/validator.h"

#include "hash.h"

#define NS_PER_S 1000000000

/* The resolution of time stamps: of most file systems, and of those that count seconds. */
#define RESOLUTION_NS 100000000
#define RESOLUTION_COARSE_NS 2000000000

/* Dates before HTTP was there are made up: builds that are reproducible set 0, 1 or the like. */
#define FIRST_DATE_S 631152000 /* 1990 */

/*
 * Whether the file changed so shortly before the look that one more change may leave its time stamp
 * as it is.
 */
static bool may_keep_stamp(const struct loaded *loaded)
{
	int64_t changed = loaded->facts.changed_ns;
	int64_t resolution = changed % NS_PER_S == 0 ? RESOLUTION_COARSE_NS : RESOLUTION_NS;

	return changed >= loaded->looked_ns - resolution &&
	       changed <= loaded->looked_ns + RESOLUTION_COARSE_NS;
}

/* RFC 9110, 8.8.2.2: the file may change once more, and have the same date in seconds. */
static bool may_keep_date(const struct loaded *loaded)
{
	return loaded->facts.modified_ns / NS_PER_S == loaded->looked_ns / NS_PER_S;
}

bool validator_is_unsettled(const struct loaded *loaded)
{
	return loaded->generated || may_keep_stamp(loaded) || may_keep_date(loaded);
}

/*
 * Different contents have different tags: whatever replaces a file has another inode or a later
 * change, even with the same time of modification. What shows neither is told apart by its content,
 * or by the look. A hash, since an inode's number is not for strangers. Without the device, whose
 * number may be another after a restart of the machine.
 */
void validator_write_etag(struct text *text, const struct loaded *loaded)
{
	const struct file_facts *facts = &loaded->facts;
	const uint64_t hashed[] = {
		(uint64_t)facts->modified_ns,
		(uint64_t)facts->changed_ns,
		facts->inode,
		may_keep_stamp(loaded) ? (uint64_t)loaded->looked_ns : 0,
	};
	struct span bytes = {(const char *)hashed, sizeof(hashed)};

	text_add_character(text, '"');
	text_add_hex(text, loaded->generated ? loaded->content_hash : hash_bytes(0, bytes));
	text_add_character(text, '-');
	text_add_hex(text, facts->size);
	text_add_character(text, '"');
}

/* RFC 9110, 8.8.2.1: and no date may be later than that of the answer. */
bool validator_is_dated(const struct loaded *loaded)
{
	return !loaded->generated && loaded->facts.modified_ns / NS_PER_S >= FIRST_DATE_S &&
	       loaded->facts.modified_ns / NS_PER_S < loaded->looked_ns / NS_PER_S;
}
