/* SPDX-License-Identifier: MIT */
/*
 * Where received files are stored: in one directory, and nowhere else. A file is written under a
 * temporary name, and renamed once it is complete.
 */
#ifndef SLUICE_COMMAND_TRANSFER_STORE_H
#define SLUICE_COMMAND_TRANSFER_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "transfer/wire.h"

struct store {
	const char *path;
	int directory;
	mode_t umask;
	bool overwrite;
	bool dotfiles;
	bool sync;
};

/* What is wrong with all files of a directory alike; a sender is warned of each once. */
enum store_note {
	STORE_FOREIGN_OWNER = 1, /* new files belong to somebody else */
	STORE_MAY_REPLACE = 2,   /* nothing can be renamed without replacing */
};

/* A file that is being received. */
struct incoming {
	char name[WIRE_NAME_MAX + 1];
	char part[40];      /* its name until it is complete */
	int fd;             /* -1: none */
	uint64_t held;      /* bytes from its start that are present */
	bool stored;        /* a file of this name and size exists, which fd refers to */
	bool locked;        /* no other receiver writes into the part */
	unsigned int notes; /* enum store_note */
	uid_t owner;
	char warning[256]; /* what the file system does not support; "" if nothing */
};

/* The path must live as long as the store. 0 or -errno. */
int store_open(struct store *store, const char *path);
void store_close(struct store *store);

/*
 * Opens the file of a FILE message, in the directory that the path refers to now. held is what an
 * earlier transfer left, 0 if it cannot be resumed; if stored, it is the whole of a file that
 * already has the name, for comparison only. WIRE_OK, or why not; ret_error is the errno of
 * WIRE_FAILED, WIRE_NO_ROOM and WIRE_BAD_NAME, or 0. May block, like store_finish.
 */
enum wire_code store_begin(struct store *store, const struct wire_message *file,
			   struct incoming *incoming, int *ret_error);
/* Discards the part's content. */
enum wire_code store_restart(const struct store *store, struct incoming *incoming, int *ret_error);
enum wire_code store_write(const struct store *store, struct incoming *incoming, const void *bytes,
			   size_t length, int *ret_error);
/*
 * Gives the complete file, which has this checksum, its name. If this fails, it does not have it.
 */
enum wire_code store_finish(const struct store *store, struct incoming *incoming,
			    const struct wire_message *file, const unsigned char *digest,
			    int *ret_error);
/* Adds to the warning of a file that was stored the notes that were not told yet. */
void store_tell(struct incoming *incoming, unsigned int *told);
/* Ends early: the part is kept for the next time, or removed. */
void store_leave(const struct store *store, struct incoming *incoming, bool keep);

#endif
