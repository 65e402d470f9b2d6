/* SPDX-License-Identifier: MIT */
/*
 * Assertions about the library's own state. Invalid arguments from the application return an error
 * instead. Enabled in debug and sanitizer builds; no code in release builds.
 */
#ifndef SLUICE_SRC_BASE_ASSERT_H
#define SLUICE_SRC_BASE_ASSERT_H

#include <assert.h>

#ifdef NDEBUG
/* The condition is compiled for its warnings and never evaluated. */
#define sluice__assert(condition) ((void)sizeof((condition) ? 1 : 0))
#else
#define sluice__assert(condition) assert(condition)
#endif

#endif
