/* SPDX-License-Identifier: MIT */
/* The errno beside a SocketError. */
#ifndef SLUICE_SRC_BASE_ERROR_H
#define SLUICE_SRC_BASE_ERROR_H

#include <stdint.h>

/*
 * The errno, positive, to report beside a SocketError that the library itself makes; where
 * several errnos mean the same error, the one that says most. 0 for Success and IOPending, EIO for
 * an error that no errno means.
 */
int sluice__errno_of_socket_error(int32_t socket_error);

#endif
