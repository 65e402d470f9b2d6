/* SPDX-License-Identifier: MIT */
#include "transfer/name.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "transfer/wire.h"

#define PORTABLE_MAX 64

static bool is_control(unsigned char byte)
{
	return byte < 0x20 || byte == 0x7f;
}

bool name_is_safe(const char *name, size_t length, bool dotfiles)
{
	if (length == 0 || length > WIRE_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (name[i] == '/' || is_control((unsigned char)name[i]))
			return false;
	}
	if (name[0] != '.')
		return true;
	return dotfiles && !(length == 1) && !(length == 2 && name[1] == '.');
}

static bool is_alphanumeric(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9');
}

bool name_is_portable(const char *name)
{
	static const char *const devices[] = {"con", "prn", "aux", "nul", "com", "lpt"};
	size_t length = strlen(name);

	if (length == 0 || length > PORTABLE_MAX || !is_alphanumeric(name[length - 1]))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_alphanumeric(name[i]) && (i == 0 || strchr("._-", name[i]) == NULL))
			return false;
	}
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		if (strncasecmp(name, devices[i], 3) == 0)
			return false;
	}
	return true;
}

const char *name_of_path(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static bool is_tail(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/*
 * The length of the UTF-8 sequence at the start of a string; 0 if it is invalid or a control
 * character. Overlong forms, surrogates and values beyond Unicode are invalid.
 */
static size_t sequence(const unsigned char *at)
{
	uint32_t code;

	if (at[0] < 0x80)
		return is_control(at[0]) ? 0 : 1;
	if (at[0] >= 0xc2 && at[0] < 0xe0 && is_tail(at[1]))
		return at[0] == 0xc2 && at[1] < 0xa0 ? 0 : 2; /* C1 control characters */
	if (at[0] >= 0xe0 && at[0] < 0xf0 && is_tail(at[1]) && is_tail(at[2])) {
		code = (uint32_t)(at[0] & 0xf) << 12 | (uint32_t)(at[1] & 0x3f) << 6 |
		       (at[2] & 0x3f);
		/* Characters that change the direction of text could disguise a name. */
		if (code < 0x800 || (code >= 0xd800 && code < 0xe000) ||
		    (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
		    (code >= 0x2066 && code <= 0x2069) || code == 0xfeff)
			return 0;
		return 3;
	}
	if (at[0] >= 0xf0 && at[0] < 0xf5 && is_tail(at[1]) && is_tail(at[2]) && is_tail(at[3])) {
		code = (uint32_t)(at[0] & 7) << 18 | (uint32_t)(at[1] & 0x3f) << 12;
		return code >= 0x10000 && code < 0x110000 ? 4 : 0;
	}
	return 0;
}

void name_show(const char *name, char *ret_shown, size_t size)
{
	const unsigned char *at = (const unsigned char *)name;
	size_t length = 0;

	while (*at != '\0') {
		size_t bytes = sequence(at);

		if (length + (bytes > 0 ? bytes : 4) >= size)
			break;
		if (bytes > 0) {
			memcpy(ret_shown + length, at, bytes);
			length += bytes;
			at += bytes;
		} else {
			snprintf(ret_shown + length, 5, "\\x%02x", *at++);
			length += 4;
		}
	}
	ret_shown[length] = '\0';
}
