/* SPDX-License-Identifier: MIT */
/*
 * The messages of `sluice send` and `sluice receive`, as docs/transfer.md describes them: written
 * into memory, and read from a stream that comes in pieces of any size. No system call.
 */
#ifndef SLUICE_COMMAND_TRANSFER_WIRE_H
#define SLUICE_COMMAND_TRANSFER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 2
#define WIRE_HEADER 8
#define WIRE_HELLO_BYTES (WIRE_HEADER + 8)
#define WIRE_NAME_MAX 255 /* as of most file systems */
#define WIRE_TEXT_MAX WIRE_NAME_MAX
#define WIRE_DIGEST 16
#define WIRE_BODY_MAX (24 + WIRE_NAME_MAX) /* of what is not raw bytes */
#define WIRE_CHUNK_MAX (1 << 24)
#define WIRE_SIZE_UNKNOWN UINT64_MAX
#define WIRE_SIZE_MAX INT64_MAX

enum wire_type {
	WIRE_HELLO = 1, /* both: the version, and whether there is a secret */
	WIRE_FILE,      /* sender: what comes next */
	WIRE_HAVE,      /* receiver: send from this offset on, if what I have has your digest */
	WIRE_DATA,      /* sender: an offset and a count, then so many raw bytes */
	WIRE_CHUNK,     /* sender: raw bytes of a file whose size is not known */
	WIRE_END,       /* sender: the size and the digest of all of the file */
	WIRE_RESULT,    /* receiver: how it ended; also in place of HAVE */
	WIRE_WAIT,      /* both: still at work, have patience */
	WIRE_BYE        /* both: that was all */
};

/* code of a RESULT */
enum wire_code {
	WIRE_OK,
	WIRE_EXISTS,   /* and is not to be overwritten */
	WIRE_BAD_NAME, /* that the receiver does not store */
	WIRE_NO_ROOM,
	WIRE_FAILED,   /* the receiver's disk, its rights, ... */
	WIRE_MISMATCH, /* the digest is another one */
	WIRE_BUSY,     /* somebody else sends this file just now */
	WIRE_PROTOCOL, /* what came was no such message */
	WIRE_STOPPED,  /* the receiver ends */
	WIRE_CODES
};

struct wire_message {
	enum wire_type type;
	uint32_t version;                  /* HELLO */
	bool secret;                       /* HELLO: this end has one */
	uint32_t mode;                     /* FILE: permission bits */
	uint32_t code;                     /* RESULT */
	uint32_t modified_ns;              /* FILE */
	int64_t modified_s;                /* FILE */
	uint64_t size;                     /* FILE, perhaps WIRE_SIZE_UNKNOWN; END */
	uint64_t offset;                   /* HAVE, DATA */
	uint64_t count;                    /* DATA, CHUNK: raw bytes that follow */
	unsigned char digest[WIRE_DIGEST]; /* HAVE, END */
	size_t text_length;
	char text[WIRE_NAME_MAX + 1]; /* FILE: the name; RESULT: for people; ends with a 0 */
};

/* The most that a message needs, raw bytes apart. */
#define WIRE_MESSAGE_MAX (WIRE_HEADER + WIRE_BODY_MAX)

/* Writes the message; returns its length. Text beyond the maximum is cut off. */
size_t wire_write(const struct wire_message *message, unsigned char buffer[WIRE_MESSAGE_MAX]);

struct wire_reader {
	size_t held;
	unsigned char buffer[WIRE_MESSAGE_MAX];
};

enum wire_outcome {
	WIRE_MORE,    /* everything was taken, more is needed */
	WIRE_MESSAGE, /* one is complete; what is behind it was not taken */
	WIRE_WRONG    /* no such message: the stream is lost */
};

/*
 * Takes bytes until a message is complete: *ret_used of them. Raw bytes are the caller's to count
 * off, behind a DATA or CHUNK. A reader that is all 0 is new.
 */
enum wire_outcome wire_read(struct wire_reader *reader, const void *bytes, size_t length,
			    size_t *ret_used, struct wire_message *ret_message);

/* For people: "the file exists already". */
const char *wire_code_text(uint32_t code);

#endif
