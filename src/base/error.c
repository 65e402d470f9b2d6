/* SPDX-License-Identifier: MIT */
#include <sluice/error.h>

#include <errno.h>
#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Indexed by errno. An entry of 0 at an index other than 0 means that there is no mapping. */
static const int16_t socket_error_by_errno[] = {
	[EACCES] = SLUICE_ERROR_ACCESS_DENIED,
	[EADDRINUSE] = SLUICE_ERROR_ADDRESS_ALREADY_IN_USE,
	[EADDRNOTAVAIL] = SLUICE_ERROR_ADDRESS_NOT_AVAILABLE,
	[EAFNOSUPPORT] = SLUICE_ERROR_ADDRESS_FAMILY_NOT_SUPPORTED,
	[EAGAIN] = SLUICE_ERROR_WOULD_BLOCK,
	[EALREADY] = SLUICE_ERROR_ALREADY_IN_PROGRESS,
	[EBADF] = SLUICE_ERROR_OPERATION_ABORTED,
	[ECANCELED] = SLUICE_ERROR_OPERATION_ABORTED,
	[ECONNABORTED] = SLUICE_ERROR_CONNECTION_ABORTED,
	[ECONNREFUSED] = SLUICE_ERROR_CONNECTION_REFUSED,
	[ECONNRESET] = SLUICE_ERROR_CONNECTION_RESET,
	[EDEADLK] = SLUICE_ERROR_INVALID_ARGUMENT,
	[EDESTADDRREQ] = SLUICE_ERROR_DESTINATION_ADDRESS_REQUIRED,
	[EFAULT] = SLUICE_ERROR_FAULT,
	[EHOSTDOWN] = SLUICE_ERROR_HOST_DOWN,
	[EHOSTUNREACH] = SLUICE_ERROR_HOST_UNREACHABLE,
	[EINPROGRESS] = SLUICE_ERROR_IN_PROGRESS,
	[EINTR] = SLUICE_ERROR_INTERRUPTED,
	[EINVAL] = SLUICE_ERROR_INVALID_ARGUMENT,
	[EISCONN] = SLUICE_ERROR_IS_CONNECTED,
	[EMFILE] = SLUICE_ERROR_TOO_MANY_OPEN_SOCKETS,
	[EMSGSIZE] = SLUICE_ERROR_MESSAGE_SIZE,
	[ENETDOWN] = SLUICE_ERROR_NETWORK_DOWN,
	[ENETRESET] = SLUICE_ERROR_NETWORK_RESET,
	[ENETUNREACH] = SLUICE_ERROR_NETWORK_UNREACHABLE,
	[ENFILE] = SLUICE_ERROR_TOO_MANY_OPEN_SOCKETS,
	[ENOBUFS] = SLUICE_ERROR_NO_BUFFER_SPACE_AVAILABLE,
	[ENODATA] = SLUICE_ERROR_NO_DATA,
	[ENOENT] = SLUICE_ERROR_ADDRESS_NOT_AVAILABLE,
	[ENOPROTOOPT] = SLUICE_ERROR_PROTOCOL_OPTION,
	[ENOTCONN] = SLUICE_ERROR_NOT_CONNECTED,
	[ENOTSOCK] = SLUICE_ERROR_NOT_SOCKET,
	[ENXIO] = SLUICE_ERROR_HOST_NOT_FOUND,
	/* ENOTSUP is the same number on Linux. */
	[EOPNOTSUPP] = SLUICE_ERROR_OPERATION_NOT_SUPPORTED,
	[EPERM] = SLUICE_ERROR_ACCESS_DENIED,
	[EPFNOSUPPORT] = SLUICE_ERROR_PROTOCOL_FAMILY_NOT_SUPPORTED,
	[EPIPE] = SLUICE_ERROR_SHUTDOWN,
	[EPROTONOSUPPORT] = SLUICE_ERROR_PROTOCOL_NOT_SUPPORTED,
	[EPROTOTYPE] = SLUICE_ERROR_PROTOCOL_TYPE,
	[ERANGE] = SLUICE_ERROR_INVALID_ARGUMENT,
	[ESHUTDOWN] = SLUICE_ERROR_DISCONNECTING,
	[ESOCKTNOSUPPORT] = SLUICE_ERROR_SOCKET_NOT_SUPPORTED,
	[ETIMEDOUT] = SLUICE_ERROR_TIMED_OUT,
};

struct description {
	int16_t socket_error;
	const char *name;
	const char *text;
};

/* The first entry also describes unknown numbers. */
static const struct description descriptions[] = {
	{SLUICE_ERROR_SOCKET_ERROR, "SocketError", "An unspecified error occurred."},
	{SLUICE_ERROR_SUCCESS, "Success", "The operation succeeded."},
	{SLUICE_ERROR_OPERATION_ABORTED, "OperationAborted",
	 "The operation was cancelled, or its socket was closed."},
	{SLUICE_ERROR_IO_PENDING, "IOPending", "The operation has not completed yet."},
	{SLUICE_ERROR_INTERRUPTED, "Interrupted", "A blocking call was interrupted."},
	{SLUICE_ERROR_ACCESS_DENIED, "AccessDenied",
	 "The socket's permissions do not allow this access."},
	{SLUICE_ERROR_FAULT, "Fault", "An argument points to invalid memory."},
	{SLUICE_ERROR_INVALID_ARGUMENT, "InvalidArgument", "An argument is invalid."},
	{SLUICE_ERROR_TOO_MANY_OPEN_SOCKETS, "TooManyOpenSockets",
	 "Too many descriptors are open."},
	{SLUICE_ERROR_WOULD_BLOCK, "WouldBlock",
	 "The operation would block on a non-blocking socket."},
	{SLUICE_ERROR_IN_PROGRESS, "InProgress", "A blocking operation is in progress."},
	{SLUICE_ERROR_ALREADY_IN_PROGRESS, "AlreadyInProgress",
	 "The socket has an operation of this kind in progress."},
	{SLUICE_ERROR_NOT_SOCKET, "NotSocket", "The descriptor is not a socket."},
	{SLUICE_ERROR_DESTINATION_ADDRESS_REQUIRED, "DestinationAddressRequired",
	 "The operation requires a destination address."},
	{SLUICE_ERROR_MESSAGE_SIZE, "MessageSize", "The datagram is too long."},
	{SLUICE_ERROR_PROTOCOL_TYPE, "ProtocolType",
	 "The protocol is of the wrong type for this socket."},
	{SLUICE_ERROR_PROTOCOL_OPTION, "ProtocolOption",
	 "The option or its level is unknown, invalid or not supported."},
	{SLUICE_ERROR_PROTOCOL_NOT_SUPPORTED, "ProtocolNotSupported",
	 "The protocol is not available on this system."},
	{SLUICE_ERROR_SOCKET_NOT_SUPPORTED, "SocketNotSupported",
	 "The type of socket is not supported in this address family."},
	{SLUICE_ERROR_OPERATION_NOT_SUPPORTED, "OperationNotSupported",
	 "The socket does not support this operation."},
	{SLUICE_ERROR_PROTOCOL_FAMILY_NOT_SUPPORTED, "ProtocolFamilyNotSupported",
	 "The protocol family is not available on this system."},
	{SLUICE_ERROR_ADDRESS_FAMILY_NOT_SUPPORTED, "AddressFamilyNotSupported",
	 "The socket does not support addresses of this family."},
	{SLUICE_ERROR_ADDRESS_ALREADY_IN_USE, "AddressAlreadyInUse",
	 "The address is already in use."},
	{SLUICE_ERROR_ADDRESS_NOT_AVAILABLE, "AddressNotAvailable",
	 "The address is not valid here."},
	{SLUICE_ERROR_NETWORK_DOWN, "NetworkDown", "The network is down."},
	{SLUICE_ERROR_NETWORK_UNREACHABLE, "NetworkUnreachable",
	 "There is no route to the network."},
	{SLUICE_ERROR_NETWORK_RESET, "NetworkReset",
	 "The connection was dropped because a keep-alive failed."},
	{SLUICE_ERROR_CONNECTION_ABORTED, "ConnectionAborted",
	 "The connection was aborted on this side."},
	{SLUICE_ERROR_CONNECTION_RESET, "ConnectionReset", "The peer reset the connection."},
	{SLUICE_ERROR_NO_BUFFER_SPACE_AVAILABLE, "NoBufferSpaceAvailable",
	 "The queue is full, or no buffer space is available."},
	{SLUICE_ERROR_IS_CONNECTED, "IsConnected", "The socket is already connected."},
	{SLUICE_ERROR_NOT_CONNECTED, "NotConnected", "The socket is not connected."},
	{SLUICE_ERROR_SHUTDOWN, "Shutdown",
	 "The connection has ended, or its sending side was shut down."},
	{SLUICE_ERROR_TIMED_OUT, "TimedOut",
	 "The time allowed has passed, or the peer did not answer."},
	{SLUICE_ERROR_CONNECTION_REFUSED, "ConnectionRefused",
	 "The peer refused the connection: nothing listens there."},
	{SLUICE_ERROR_HOST_DOWN, "HostDown", "The remote host is down."},
	{SLUICE_ERROR_HOST_UNREACHABLE, "HostUnreachable", "There is no route to the host."},
	{SLUICE_ERROR_PROCESS_LIMIT, "ProcessLimit", "Too many processes use the network system."},
	{SLUICE_ERROR_SYSTEM_NOT_READY, "SystemNotReady", "The network system is not available."},
	{SLUICE_ERROR_VERSION_NOT_SUPPORTED, "VersionNotSupported",
	 "The version of the network system is not supported."},
	{SLUICE_ERROR_NOT_INITIALIZED, "NotInitialized",
	 "The network system has not been initialised."},
	{SLUICE_ERROR_DISCONNECTING, "Disconnecting", "An orderly shutdown is in progress."},
	{SLUICE_ERROR_TYPE_NOT_FOUND, "TypeNotFound", "The class was not found."},
	{SLUICE_ERROR_HOST_NOT_FOUND, "HostNotFound", "The host is not known."},
	{SLUICE_ERROR_TRY_AGAIN, "TryAgain", "The name could not be resolved; try again later."},
	{SLUICE_ERROR_NO_RECOVERY, "NoRecovery",
	 "The name cannot be resolved; the error is permanent."},
	{SLUICE_ERROR_NO_DATA, "NoData", "The requested data does not exist."},
};

int32_t sluice_socket_error_from_errno(int error_number)
{
	/* Unsigned, because -INT_MIN overflows. */
	unsigned int index = error_number;

	if (error_number < 0)
		index = -index;
	if (index == 0)
		return SLUICE_ERROR_SUCCESS;
	if (index >= COUNT(socket_error_by_errno) || !socket_error_by_errno[index])
		return SLUICE_ERROR_SOCKET_ERROR;
	return socket_error_by_errno[index];
}

/* Never NULL. A linear search will do: this is an error path. */
static const struct description *find_description(int32_t socket_error)
{
	for (size_t i = 0; i < COUNT(descriptions); i++) {
		if (descriptions[i].socket_error == socket_error)
			return &descriptions[i];
	}
	return &descriptions[0];
}

const char *sluice_socket_error_name(int32_t socket_error)
{
	return find_description(socket_error)->name;
}

const char *sluice_socket_error_text(int32_t socket_error)
{
	return find_description(socket_error)->text;
}
