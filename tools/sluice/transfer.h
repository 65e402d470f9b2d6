/* SPDX-License-Identifier: MIT */
/* What `sluice send` and `sluice receive` share: exit codes beside the common ones, words. */
#ifndef SLUICE_COMMAND_TRANSFER_H
#define SLUICE_COMMAND_TRANSFER_H

#include <stdint.h>

enum {
	EXIT_NETWORK = 3,  /* no connection, or it broke: what came is kept, trying again goes on */
	EXIT_REFUSED = 4,  /* the receiver does not take a file */
	EXIT_MISMATCH = 5, /* a checksum was wrong */
};

#define TRANSFER_SHOWN 1024 /* room for a name as it is shown */

/* What an errno of the network means, for people. */
const char *transfer_error_text(int error);

/* "received name, 1.2 MiB in 0.3 s (4.0 MiB/s)" on the standard output. */
void transfer_report(const char *verb, const char *shown, uint64_t bytes, uint64_t from,
		     uint64_t spent_ns);

#endif
