/* SPDX-License-Identifier: MIT */
/* Which version of the library this is. */
#ifndef SLUICE_VERSION_H
#define SLUICE_VERSION_H

#define SLUICE_VERSION_MAJOR 0
#define SLUICE_VERSION_MINOR 1
#define SLUICE_VERSION_PATCH 0
#define SLUICE_VERSION_STRING "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of the library that runs, "0.1.0"; the macros are those it was compiled against.
 * The string is the library's and lives as long as it. Any thread. Since 0.1.
 */
const char *sluice_version(void);

#ifdef __cplusplus
}
#endif
#endif
