/* SPDX-License-Identifier: MIT */
/* The version of the library. */
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
 * Returns the version of the library at run time, "0.1.0"; the macros are the version at compile
 * time. The string belongs to the library and is valid as long as it is loaded. Any thread.
 * Since 0.1.
 */
const char *sluice_version(void);

#ifdef __cplusplus
}
#endif
#endif
