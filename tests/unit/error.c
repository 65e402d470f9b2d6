/* SPDX-License-Identifier: MIT */

#include <errno.h>
#include <limits.h>
#include <sluice/error.h>

#include "cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	int error_number;
	int32_t socket_error;
} by_errno[] = {
	{0, 0},
	{EACCES, 10013},
	{EPERM, 10013},
	{EADDRINUSE, 10048},
	{EADDRNOTAVAIL, 10049},
	{ENOENT, 10049},
	{EAFNOSUPPORT, 10047},
	{EAGAIN, 10035},
	{EWOULDBLOCK, 10035},
	{EALREADY, 10037},
	{EBADF, 995},
	{ECANCELED, 995},
	{ECONNABORTED, 10053},
	{ECONNREFUSED, 10061},
	{ECONNRESET, 10054},
	{EDESTADDRREQ, 10039},
	{EFAULT, 10014},
	{EHOSTDOWN, 10064},
	{ENXIO, 11001},
	{EHOSTUNREACH, 10065},
	{EINPROGRESS, 10036},
	{EINTR, 10004},
	{EINVAL, 10022},
	{ERANGE, 10022},
	{EDEADLK, 10022},
	{EISCONN, 10056},
	{EMFILE, 10024},
	{ENFILE, 10024},
	{EMSGSIZE, 10040},
	{ENETDOWN, 10050},
	{ENETRESET, 10052},
	{ENETUNREACH, 10051},
	{ENOBUFS, 10055},
	{ENODATA, 11004},
	{ENOPROTOOPT, 10042},
	{ENOTCONN, 10057},
	{ENOTSOCK, 10038},
	{ENOTSUP, 10045},
	{EOPNOTSUPP, 10045},
	{EPIPE, 10058},
	{EPFNOSUPPORT, 10046},
	{EPROTONOSUPPORT, 10043},
	{EPROTOTYPE, 10041},
	{ESOCKTNOSUPPORT, 10044},
	{ESHUTDOWN, 10101},
	{ETIMEDOUT, 10060},
};

/* Name and number as .NET has them. */
static const struct {
	int32_t socket_error;
	const char *name;
} names[] = {
	{-1, "SocketError"},
	{0, "Success"},
	{995, "OperationAborted"},
	{997, "IOPending"},
	{10004, "Interrupted"},
	{10013, "AccessDenied"},
	{10014, "Fault"},
	{10022, "InvalidArgument"},
	{10024, "TooManyOpenSockets"},
	{10035, "WouldBlock"},
	{10036, "InProgress"},
	{10037, "AlreadyInProgress"},
	{10038, "NotSocket"},
	{10039, "DestinationAddressRequired"},
	{10040, "MessageSize"},
	{10041, "ProtocolType"},
	{10042, "ProtocolOption"},
	{10043, "ProtocolNotSupported"},
	{10044, "SocketNotSupported"},
	{10045, "OperationNotSupported"},
	{10046, "ProtocolFamilyNotSupported"},
	{10047, "AddressFamilyNotSupported"},
	{10048, "AddressAlreadyInUse"},
	{10049, "AddressNotAvailable"},
	{10050, "NetworkDown"},
	{10051, "NetworkUnreachable"},
	{10052, "NetworkReset"},
	{10053, "ConnectionAborted"},
	{10054, "ConnectionReset"},
	{10055, "NoBufferSpaceAvailable"},
	{10056, "IsConnected"},
	{10057, "NotConnected"},
	{10058, "Shutdown"},
	{10060, "TimedOut"},
	{10061, "ConnectionRefused"},
	{10064, "HostDown"},
	{10065, "HostUnreachable"},
	{10067, "ProcessLimit"},
	{10091, "SystemNotReady"},
	{10092, "VersionNotSupported"},
	{10093, "NotInitialized"},
	{10101, "Disconnecting"},
	{10109, "TypeNotFound"},
	{11001, "HostNotFound"},
	{11002, "TryAgain"},
	{11003, "NoRecovery"},
	{11004, "NoData"},
};

static const int32_t unknown[] = {INT32_MIN, -995,  -2,          1,        996,
				  10059,     11005, 65536 + 995, INT32_MAX};

static int is_in_table(int error_number)
{
	for (size_t i = 0; i < COUNT(by_errno); i++) {
		if (by_errno[i].error_number == error_number)
			return 1;
	}
	return 0;
}

Test(error, every_errno_of_the_table_has_its_socket_error)
{
	for (size_t i = 0; i < COUNT(by_errno); i++) {
		int error_number = by_errno[i].error_number;

		cr_expect_eq(sluice_socket_error_from_errno(error_number), by_errno[i].socket_error,
			     "errno %d", error_number);
	}
}

Test(error, either_sign_of_an_errno_means_the_same)
{
	for (size_t i = 0; i < COUNT(by_errno); i++) {
		int error_number = by_errno[i].error_number;

		cr_expect_eq(sluice_socket_error_from_errno(-error_number),
			     by_errno[i].socket_error, "errno -%d", error_number);
	}
}

Test(error, any_other_errno_is_socket_error)
{
	static const int far[] = {4096, 65536 + EPIPE, INT_MAX, -INT_MAX, INT_MIN};

	for (int i = 1; i < 4096; i++) {
		if (is_in_table(i))
			continue;
		cr_expect_eq(sluice_socket_error_from_errno(i), -1, "errno %d", i);
		cr_expect_eq(sluice_socket_error_from_errno(-i), -1, "errno -%d", i);
	}
	for (size_t i = 0; i < COUNT(far); i++)
		cr_expect_eq(sluice_socket_error_from_errno(far[i]), -1, "errno %d", far[i]);
}

Test(error, names_are_those_of_dotnet)
{
	for (size_t i = 0; i < COUNT(names); i++) {
		cr_expect_str_eq(sluice_socket_error_name(names[i].socket_error), names[i].name,
				 "%d", names[i].socket_error);
	}
}

Test(error, every_error_has_a_text_of_its_own)
{
	for (size_t i = 0; i < COUNT(names); i++) {
		const char *text = sluice_socket_error_text(names[i].socket_error);

		cr_assert_not_null(text);
		cr_expect_eq(text[strlen(text) - 1], '.', "a sentence: %s", text);
		for (size_t j = 0; j < i; j++) {
			cr_expect_str_neq(text, sluice_socket_error_text(names[j].socket_error),
					  "%s, %s", names[i].name, names[j].name);
		}
	}
}

Test(error, an_unknown_number_is_described_as_socket_error)
{
	for (size_t i = 0; i < COUNT(unknown); i++) {
		cr_expect_str_eq(sluice_socket_error_name(unknown[i]), "SocketError", "%d",
				 unknown[i]);
		cr_expect_str_eq(sluice_socket_error_text(unknown[i]), sluice_socket_error_text(-1),
				 "%d", unknown[i]);
	}
}
