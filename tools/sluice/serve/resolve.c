/* SPDX-License-Identifier: MIT */
#include "serve/resolve.h"

bool target_split(struct span target, struct target *ret_target)
{
	const char *query;

	/* The absolute form, for proxies: the host is ignored. */
	if (target.length > 7 && strncasecmp(target.at, "http://", 7) == 0) {
		struct span rest = span_from(target, 7);
		size_t host = 0;

		while (host < rest.length && rest.at[host] != '/' && rest.at[host] != '?')
			host++;
		if (host == rest.length || rest.at[host] == '?') {
			*ret_target = (struct target){{"/", 1}, span_from(rest, host)};
			return true;
		}
		target = span_from(rest, host);
	}
	if (target.length == 0 || target.at[0] != '/')
		return false;
	query = memchr(target.at, '?', target.length);
	ret_target->path = target;
	ret_target->query = (struct span){target.at + target.length, 0};
	if (query != NULL) {
		ret_target->path.length = (size_t)(query - target.at);
		ret_target->query = span_from(target, ret_target->path.length);
	}
	return true;
}

/* Reads one character, escaped or not; -1: an invalid escape. */
static int take_character(struct span *path)
{
	int high, low;

	if (path->at[0] != '%') {
		*path = span_from(*path, 1);
		return (unsigned char)path->at[-1];
	}
	if (path->length < 3)
		return -1;
	high = text_hex_value(path->at[1]);
	low = text_hex_value(path->at[2]);
	if (high < 0 || low < 0)
		return -1;
	*path = span_from(*path, 3);
	return high << 4 | low;
}

/* Checks the segment just written; removes it if it is a dot. Returns 0 or the status. */
static int end_segment(const char *path, size_t *length, size_t segment, bool dotfiles)
{
	size_t bytes = *length - segment;

	if (bytes == 0 || path[segment] != '.')
		return 0;
	if (bytes == 1) {
		*length = segment;
		return 0;
	}
	if ((bytes == 2 && path[segment + 1] == '.') || !dotfiles)
		return 403;
	return 0;
}

int resolve_path(struct span path, bool dotfiles, char ret_path[RESOLVE_PATH_MAX],
		 size_t *ret_length)
{
	size_t length = 0, segment = 0;
	int status;

	if (path.length == 0 || path.at[0] != '/')
		return 400;
	while (path.length > 0) {
		int character = take_character(&path);

		if (character < 0x20 || character == 0x7f)
			return 400;
		if (character == '/') {
			status = end_segment(ret_path, &length, segment, dotfiles);
			if (status != 0)
				return status;
			if (length > 0 && ret_path[length - 1] == '/')
				continue;
		}
		if (length == RESOLVE_PATH_MAX - 1)
			return 414;
		ret_path[length++] = (char)character;
		if (character == '/')
			segment = length;
	}
	status = end_segment(ret_path, &length, segment, dotfiles);
	ret_path[length] = '\0';
	*ret_length = length;
	return status;
}

void resolve_escape(struct text *text, struct span path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/-._~!$&'()*+,;=:@";

	for (size_t i = 0; i < path.length; i++) {
		unsigned char character = (unsigned char)path.at[i];

		if (character != 0 && strchr(plain, character) != NULL) {
			text_add_character(text, (char)character);
			continue;
		}
		text_add_character(text, '%');
		text_add_character(text, "0123456789ABCDEF"[character >> 4]);
		text_add_character(text, "0123456789ABCDEF"[character & 15]);
	}
}
