/* SPDX-License-Identifier: MIT */
/* Shared by `sluice send` and `sluice receive`: further exit codes, and messages. */
#ifndef SLUICE_COMMAND_TRANSFER_TRANSFER_H
#define SLUICE_COMMAND_TRANSFER_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	EXIT_NETWORK = 3,  /* no connection, or it failed; a retry resumes */
	EXIT_REFUSED = 4,  /* the receiver refused a file */
	EXIT_MISMATCH = 5, /* a checksum did not match */
	EXIT_UNFIT = 6,    /* versions or secrets do not match */
};

/* In addition to -errno. */
enum {
	TRANSFER_NO_SECRET = -5000, /* the peer has none, this side has one */
	TRANSFER_WANTS_SECRET,      /* the opposite */
	TRANSFER_OTHER_SECRET
};

#define TRANSFER_SHOWN 1024 /* size of a name for display */

/* The meaning of a network errno, for people. */
const char *transfer_error_text(int error);

/* Whether the sides do not match, so that a retry is useless. */
bool transfer_is_unfit(int error);

/* The exit code of a failed connection: EXIT_NETWORK or EXIT_UNFIT. */
int transfer_exit_code(int error);

/* Whether a send that failed with this -errno failed in the network, not in the file. */
bool transfer_is_network_error(int error);

struct transfer_figures {
	uint64_t bytes;    /* of the whole file */
	uint64_t from;     /* of them, sent by an earlier transfer */
	uint64_t spent_ns; /* for the rest */
};

/* "received name, 1.2 MiB in 0.3 s (4.0 MiB/s) (note)" on the standard output; "" is no note. */
void transfer_report(const char *verb, const char *shown, const struct transfer_figures *figures,
		     const char *note);

#endif
