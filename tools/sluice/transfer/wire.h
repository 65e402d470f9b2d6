/* SPDX-License-Identifier: MIT */
/*
 * The messages of `sluice send` and `sluice receive`, as described in docs/transfer.md: encoding
 * into memory, and decoding from a stream in pieces of any size. No system call.
 */
#ifndef SLUICE_COMMAND_TRANSFER_WIRE_H
#define SLUICE_COMMAND_TRANSFER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 2
#define WIRE_HEADER 8
#define WIRE_HELLO_BYTES (WIRE_HEADER + 8)
#define WIRE_NAME_MAX 255 /* as on most file systems */
#define WIRE_TEXT_MAX WIRE_NAME_MAX
#define WIRE_DIGEST 16
#define WIRE_BODY_MAX (24 + WIRE_NAME_MAX) /* without raw bytes */
#define WIRE_CHUNK_MAX (1 << 24)
#define WIRE_SIZE_UNKNOWN UINT64_MAX
#define WIRE_SIZE_MAX INT64_MAX

enum wire_type {
	WIRE_HELLO = 1, /* both: the version, and whether there is a secret */
	WIRE_FILE,      /* sender: the next file */
	WIRE_HAVE,   /* receiver: send from this offset, if the bytes before it have this digest */
	WIRE_DATA,   /* sender: an offset and a count, followed by so many raw bytes */
	WIRE_CHUNK,  /* sender: raw bytes of a file of unknown size */
	WIRE_END,    /* sender: the size and the digest of the whole file */
	WIRE_RESULT, /* receiver: the outcome; also in place of HAVE */
	WIRE_WAIT,   /* both: still working */
	WIRE_BYE     /* both: no more messages */
};

/* code of a RESULT */
enum wire_code {
	WIRE_OK,
	WIRE_EXISTS,   /* and must not be overwritten */
	WIRE_BAD_NAME, /* which the receiver does not accept */
	WIRE_NO_ROOM,
	WIRE_FAILED,   /* at the receiver: disk, permissions, ... */
	WIRE_MISMATCH, /* the digest does not match */
	WIRE_BUSY,     /* another sender is sending this file */
	WIRE_PROTOCOL, /* an invalid message */
	WIRE_STOPPED,  /* the receiver is stopping */
	WIRE_CODES
};

struct wire_message {
	enum wire_type type;
	uint32_t version;                  /* HELLO */
	bool secret;                       /* HELLO: this side has one */
	uint32_t mode;                     /* FILE: permission bits */
	uint32_t code;                     /* RESULT */
	uint32_t modified_ns;              /* FILE */
	int64_t modified_s;                /* FILE */
	uint64_t size;                     /* FILE, perhaps WIRE_SIZE_UNKNOWN; END */
	uint64_t offset;                   /* HAVE, DATA */
	uint64_t count;                    /* DATA, CHUNK: count of the raw bytes that follow */
	unsigned char digest[WIRE_DIGEST]; /* HAVE, END */
	size_t text_length;
	char text[WIRE_NAME_MAX + 1]; /* FILE: the name; RESULT: for people; terminated by a 0 */
};

/* Maximum size of a message, without raw bytes. */
#define WIRE_MESSAGE_MAX (WIRE_HEADER + WIRE_BODY_MAX)

/* Encodes the message; returns its length. Text beyond the maximum is truncated. */
size_t wire_write(const struct wire_message *message, unsigned char buffer[WIRE_MESSAGE_MAX]);

struct wire_reader {
	size_t held;
	unsigned char buffer[WIRE_MESSAGE_MAX];
};

enum wire_outcome {
	WIRE_MORE,    /* all bytes were consumed, more are needed */
	WIRE_MESSAGE, /* one is complete; the bytes after it were not consumed */
	WIRE_WRONG    /* invalid: the stream cannot be continued */
};

/*
 * Consumes bytes until a message is complete: *ret_used of them. The caller counts the raw bytes
 * after a DATA or CHUNK. A reader is initialised with 0.
 */
enum wire_outcome wire_read(struct wire_reader *reader, const void *bytes, size_t length,
			    size_t *ret_used, struct wire_message *ret_message);

/* For people: "file already exists". */
const char *wire_code_text(uint32_t code);

#endif
