/* SPDX-License-Identifier: MIT */
#include "transfer/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "transfer/progress.h"

const char *transfer_error_text(int error)
{
	switch (error) {
	case -EPIPE:
		return "the other side closed the connection";
	case -ECONNRESET:
	case -ECONNABORTED:
		return "the other side reset the connection";
	case -EPROTO:
		return "the other side does not speak this protocol";
	case -ETIMEDOUT:
		return "timed out: no progress";
	case -ETIME:
		return "timed out: the other side sent nothing but WAIT";
	case -ENODATA:
		return "the file became shorter while it was sent";
	case -EPROTONOSUPPORT:
		return "the other side speaks another version of the protocol: use the same sluice on both";
	case TRANSFER_NO_SECRET:
		return "the other side has no secret: use --secret=FILE on both";
	case TRANSFER_WANTS_SECRET:
		return "the other side requires a secret: use the same --secret=FILE on both";
	case TRANSFER_OTHER_SECRET:
		return "the other side has another secret";
	case -ECANCELED:
		return "interrupted";
	default:
		return strerror(-error);
	}
}

bool transfer_is_unfit(int error)
{
	return error == -EPROTONOSUPPORT || error == TRANSFER_NO_SECRET ||
	       error == TRANSFER_WANTS_SECRET || error == TRANSFER_OTHER_SECRET;
}

int transfer_exit_code(int error)
{
	return transfer_is_unfit(error) ? EXIT_UNFIT : EXIT_NETWORK;
}

bool transfer_is_network_error(int error)
{
	switch (error) {
	case -EPIPE:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -ECONNREFUSED:
	case -ENOTCONN:
	case -ESHUTDOWN:
	case -ETIMEDOUT:
	case -ETIME:
	case -EPROTO:
	case -EPROTONOSUPPORT:
	case TRANSFER_NO_SECRET:
	case TRANSFER_WANTS_SECRET:
	case TRANSFER_OTHER_SECRET:
	case -ECANCELED:
	case -EHOSTUNREACH:
	case -EHOSTDOWN:
	case -ENETUNREACH:
	case -ENETDOWN:
	case -ENETRESET:
	case -ENONET:
	case -ENOPROTOOPT:
	case -EMSGSIZE:
	case -EPERM: /* by a firewall */
	case -ENOBUFS:
	case -ENOMEM:
	case -EAGAIN:
		return true;
	default:
		return false;
	}
}

void transfer_report(const char *verb, const char *shown, const struct transfer_figures *figures,
		     const char *note)
{
	char size[PROGRESS_TEXT], rate[PROGRESS_TEXT];
	uint64_t sent = figures->bytes - figures->from;
	double seconds = (double)figures->spent_ns / 1e9;

	progress_size(figures->bytes, size);
	progress_size(seconds > 0 ? (uint64_t)((double)sent / seconds) : 0, rate);
	printf("%s %s, %s in %.1f s (%s/s)", verb, shown, size, seconds, rate);
	if (figures->from > 0) {
		progress_size(figures->from, size);
		printf(", %s of it before", size);
	}
	if (note[0] != '\0')
		printf(" (%s)", note);
	putchar('\n');
	fflush(stdout);
}
