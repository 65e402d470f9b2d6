/* SPDX-License-Identifier: MIT */
/* Dates of HTTP (RFC 9110, 5.6.7). */
#ifndef SLUICE_COMMAND_SERVE_HTTPDATE_H
#define SLUICE_COMMAND_SERVE_HTTPDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

#define HTTPDATE_LENGTH 29 /* of "Sun, 06 Nov 1994 08:49:37 GMT" */

/* Writes the HTTPDATE_LENGTH characters of the date, without a terminator; years 1 to 9999. */
void httpdate_format(char *ret_text, int64_t seconds);

/*
 * Parses a date in any of the three forms that a recipient must accept; now determines the century
 * of a year of two digits. Independent of the locale, unlike strptime.
 */
bool httpdate_parse(struct span text, int64_t now, int64_t *ret_seconds);

#endif
