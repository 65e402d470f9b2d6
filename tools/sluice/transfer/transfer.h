/* SPDX-License-Identifier: MIT */
/* What `sluice send` and `sluice receive` share: exit codes beside the common ones, words. */
#ifndef SLUICE_COMMAND_TRANSFER_TRANSFER_H
#define SLUICE_COMMAND_TRANSFER_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	EXIT_NETWORK = 3,  /* no connection, or it broke: what came is kept, trying again goes on */
	EXIT_REFUSED = 4,  /* the receiver does not take a file */
	EXIT_MISMATCH = 5, /* a checksum was wrong */
	EXIT_UNFIT = 6, /* the two ends do not fit: another version, another secret, or only one */
};

/* Beside -errno. */
enum {
	TRANSFER_NO_SECRET = -5000, /* the other end has none, this one has */
	TRANSFER_WANTS_SECRET,      /* the other way round */
	TRANSFER_OTHER_SECRET
};

#define TRANSFER_SHOWN 1024 /* room for a name as it is shown */

/* What an errno of the network means, for people. */
const char *transfer_error_text(int error);

/* Whether it means that the ends do not fit, so that trying again is of no use. */
bool transfer_is_unfit(int error);

/* Of a connection that failed so: EXIT_NETWORK or EXIT_UNFIT. */
int transfer_exit_code(int error);

/* Whether a send that failed with this -errno failed in the network, not in the file. */
bool transfer_is_network_error(int error);

struct transfer_figures {
	uint64_t bytes;    /* of the whole file */
	uint64_t from;     /* of them sent by an earlier transfer */
	uint64_t spent_ns; /* for the others */
};

/* "received name, 1.2 MiB in 0.3 s (4.0 MiB/s) (note)" on the standard output; "" is no note. */
void transfer_report(const char *verb, const char *shown, const struct transfer_figures *figures,
		     const char *note);

#endif
