/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "transfer-progress.h"

const char *transfer_error_text(int error)
{
	switch (error) {
	case -EPIPE:
		return "the other end has closed the connection";
	case -ECONNRESET:
		return "the other end has broken the connection off";
	case -EPROTO:
		return "the other end does not speak this protocol";
	case -ETIMEDOUT:
		return "nothing has moved for too long";
	case -ENODATA:
		return "the file became shorter while it was sent";
	case -EPROTONOSUPPORT:
		return "the other end speaks another version of this protocol";
	case -ECANCELED:
		return "broken off";
	default:
		return strerror(-error);
	}
}

void transfer_report(const char *verb, const char *shown, uint64_t bytes, uint64_t from,
		     uint64_t spent_ns)
{
	char size[PROGRESS_TEXT], rate[PROGRESS_TEXT];

	progress_size(bytes, size);
	progress_size(spent_ns == 0 ? 0
				    : (uint64_t)((double)(bytes - from) * 1e9 / (double)spent_ns),
		      rate);
	printf("%s %s, %s in %.1f s (%s/s)", verb, shown, size, (double)spent_ns / 1e9, rate);
	if (from > 0) {
		progress_size(from, size);
		printf(", %s of it before", size);
	}
	putchar('\n');
	fflush(stdout);
}
