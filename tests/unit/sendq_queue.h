/* SPDX-License-Identifier: MIT */
/*
 * A send queue for the tests of it, made from a description, and what came of it in words.
 *
 * A queue is written down in words, one a record:
 *
 *   7           a buffer of 7 bytes
 *   (2,0,5)     a list of segments
 *   <m3,f9,r2>  packets: 3 bytes of memory, 9 of a file, 2 of a small file that was read
 *   x           a disconnect
 *   .           no record: a byte that is nobody's, so that the next record is not adjacent
 *
 * and behind it, where the record has it: + more, ! out of band, ~ partial, @ do not route, $ ends
 * the stream, ? beyond its file. All bytes lie one behind the other in one array, those of files
 * included, so that the address of a byte tells its place in the stream.
 */
#ifndef SENDQ_QUEUE_H
#define SENDQ_QUEUE_H

#include "cases.h"
#include "core/sendq.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define RECORDS 2100
#define PIECES 8
#define BYTES ((uint64_t)1 << 19)
#define SMALL SLUICE__COPIED_MAX
#define ROOM 1024
#define PLENTY ((uint64_t)1 << 20)

struct record {
	struct sluice_args args;
	struct sluice__packets packets;
	struct iovec segments[PIECES];
	uint64_t from; /* place of its first byte */
	uint64_t to;   /* behind its last one */
	uint64_t at;   /* the model's: of the first byte that is not gone */
	bool queued;   /* the model's */
};

/* How a record should have ended. */
struct ended {
	struct record *record;
	int32_t error, native;
	uint64_t bytes;
};

extern char stream[BYTES];
extern char kinds[BYTES]; /* of each byte: m, r, f as in a packet; m for buffers and lists */
extern struct record records[RECORDS];
extern uint32_t record_count;

extern struct sluice__sendq queue;
extern struct sluice__chain done;
extern struct sluice__gather gather;
extern struct sluice__prefilled prefilled;
extern char copies[1 << 16];
extern uint64_t copies_space; /* what gathering may copy into; 0: it may not copy */
extern bool prefills;         /* a lone plain record begins one */
extern bool was_prefilled;    /* what was gathered came from one */
extern const char *described; /* for messages */

/* Begins a queue of these records; add_records adds to it. */
void make_queue(const char *description);
void add_records(const char *description);

struct record *record_of(const struct sluice_args *args);

/* Not the callers' memory. */
bool is_copy(const struct iovec *segment);

/* Gathers at most so many segments and bytes. */
struct sluice__flight gather_now(uint32_t segments, uint64_t budget);

/*
 * The gathered in words: place+length of each segment, *length of a copy; then M, O, R for the flags;
 * /records; and = where it is plain.
 */
const char *gathered_words(void);

/* As the handler would see it: a record that left without a word is a success of all its bytes. */
struct ended ended_as(const struct sluice_args *args);

/* The done in words: number of the record, its bytes, and its error unless Success. */
const char *done_words(void);

/* Every link is what it says it is, and the end is where the next one will be linked. */
void assert_list_sound(void);

struct gather_row {
	const char *queue;
	uint32_t room;
	uint64_t budget;
	const char *gathered;
};

/* What each queue is gathered to. */
void check_gather(const struct gather_row *rows, size_t count);

#endif
