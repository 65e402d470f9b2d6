/* SPDX-License-Identifier: MIT */
#include "serve/mime.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct mime_extension {
	struct span extension; /* lower case */
	struct span type;
	size_t order; /* the first of two types for an extension is used */
};

struct mime {
	char *text; /* the file's text, into which extensions and types point */
	struct mime_extension *extensions;
	size_t count;
	size_t capacity;
	struct span charset; /* at NULL: not sent */
};

#define EXTENSION_MAX 32

static const char built_in[] = "text/html html htm\n"
			       "text/css css\n"
			       "text/javascript js mjs\n"
			       "text/plain txt log conf\n"
			       "text/markdown md\n"
			       "text/csv csv\n"
			       "text/xml xml\n"
			       "application/json json map\n"
			       "application/pdf pdf\n"
			       "application/wasm wasm\n"
			       "application/zip zip\n"
			       "application/gzip gz tgz\n"
			       "application/x-tar tar\n"
			       "application/x-bzip2 bz2\n"
			       "application/x-xz xz\n"
			       "application/zstd zst\n"
			       "application/x-7z-compressed 7z\n"
			       "application/vnd.debian.binary-package deb\n"
			       "image/png png\n"
			       "image/jpeg jpeg jpg\n"
			       "image/gif gif\n"
			       "image/svg+xml svg svgz\n"
			       "image/webp webp\n"
			       "image/avif avif\n"
			       "image/bmp bmp\n"
			       "image/tiff tiff tif\n"
			       "image/vnd.microsoft.icon ico\n"
			       "font/woff woff\n"
			       "font/woff2 woff2\n"
			       "font/ttf ttf\n"
			       "font/otf otf\n"
			       "audio/mpeg mp3\n"
			       "audio/ogg ogg oga opus\n"
			       "audio/flac flac\n"
			       "audio/x-wav wav\n"
			       "audio/mp4 m4a\n"
			       "video/mp4 mp4\n"
			       "video/webm webm\n"
			       "video/ogg ogv\n"
			       "video/x-matroska mkv\n"
			       "video/quicktime mov qt\n";

static const struct span unknown_type = {"application/octet-stream", 24};

static bool add_extension(struct mime *mime, struct span extension, struct span type)
{
	if (mime->count == mime->capacity) {
		size_t capacity = mime->capacity > 0 ? mime->capacity * 2 : 256;
		void *larger = reallocarray(mime->extensions, capacity, sizeof(*mime->extensions));

		if (larger == NULL)
			return false;
		mime->extensions = larger;
		mime->capacity = capacity;
	}
	mime->extensions[mime->count] = (struct mime_extension){extension, type, mime->count};
	mime->count++;
	return true;
}

/* Reads the next word of the line; empty at its end. */
static struct span take_word(struct span *line)
{
	struct span word;

	*line = span_trim(*line);
	word = (struct span){line->at, 0};
	while (word.length < line->length && line->at[word.length] != ' ' &&
	       line->at[word.length] != '\t')
		word.length++;
	*line = span_from(*line, word.length);
	return word;
}

static bool add_line(struct mime *mime, struct span line)
{
	struct span type = take_word(&line), extension;

	if (type.length == 0 || type.at[0] == '#')
		return true;
	while ((extension = take_word(&line)).length > 0) {
		if (extension.length <= EXTENSION_MAX && !add_extension(mime, extension, type))
			return false;
	}
	return true;
}

static bool add_table(struct mime *mime, const char *table, size_t length)
{
	struct span rest = {table, length};

	while (rest.length > 0) {
		const char *end = memchr(rest.at, '\n', rest.length);
		size_t line = end != NULL ? (size_t)(end - rest.at) : rest.length;

		if (!add_line(mime, (struct span){rest.at, line}))
			return false;
		rest = span_from(rest, end != NULL ? line + 1 : line);
	}
	return true;
}

static int compare_spans(struct span a, struct span b)
{
	size_t shorter = a.length < b.length ? a.length : b.length;
	int difference = memcmp(a.at, b.at, shorter);

	if (difference != 0)
		return difference;
	return (a.length > b.length) - (a.length < b.length);
}

static int compare_extensions(const void *left, const void *right)
{
	const struct mime_extension *a = left, *b = right;
	int difference = compare_spans(a->extension, b->extension);

	if (difference != 0)
		return difference;
	return (a->order > b->order) - (a->order < b->order);
}

/* Reads the whole file in lower case; types and extensions are case-insensitive. */
static size_t read_table(struct mime *mime, const char *path)
{
	FILE *file = fopen(path, "re");
	size_t length = 0, capacity = 256 * 1024;

	if (file == NULL)
		return 0;
	mime->text = malloc(capacity);
	if (mime->text != NULL)
		length = fread(mime->text, 1, capacity, file);
	fclose(file);
	for (size_t i = 0; i < length; i++) {
		if (mime->text[i] >= 'A' && mime->text[i] <= 'Z')
			mime->text[i] = (char)(mime->text[i] + ('a' - 'A'));
	}
	return length;
}

static bool is_token(const char *text, size_t length)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789!#$&^_.+-";

	return length > 0 && strspn(text, token) >= length;
}

bool mime_is_valid(const char *extra)
{
	size_t extension = strcspn(extra, "="), main_type;
	const char *type = extra + extension + 1;

	if (extra[extension] == '\0' || extension == 0 || extension > EXTENSION_MAX ||
	    memchr(extra, '/', extension) != NULL || extra[0] == '.')
		return false;
	/* Compared in lower case. */
	for (size_t i = 0; i < extension; i++) {
		if (extra[i] >= 'A' && extra[i] <= 'Z')
			return false;
	}
	main_type = strcspn(type, "/");
	return type[main_type] == '/' && is_token(type, main_type) &&
	       is_token(type + main_type + 1, strlen(type + main_type + 1));
}

bool mime_is_valid_charset(const char *charset)
{
	return charset[0] == '\0' || is_token(charset, strlen(charset));
}

static bool add_extras(struct mime *mime, const char *const *extras, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct span extension = {extras[i], strcspn(extras[i], "=")};

		if (!add_extension(mime, extension, span_of(extras[i] + extension.length + 1)))
			return false;
	}
	return true;
}

struct mime *mime_load(const char *file, const char *const *extras, size_t count,
		       const char *charset)
{
	struct mime *mime = calloc(1, sizeof(*mime));
	size_t length;

	if (mime == NULL)
		return NULL;
	if (charset[0] != '\0')
		mime->charset = span_of(charset);
	if (!add_extras(mime, extras, count)) {
		mime_free(mime);
		return NULL;
	}
	length = read_table(mime, file);
	if ((length > 0 && !add_table(mime, mime->text, length)) ||
	    !add_table(mime, built_in, sizeof(built_in) - 1)) {
		mime_free(mime);
		return NULL;
	}
	qsort(mime->extensions, mime->count, sizeof(*mime->extensions), compare_extensions);
	return mime;
}

void mime_free(struct mime *mime)
{
	if (mime == NULL)
		return;
	free(mime->extensions);
	free(mime->text);
	free(mime);
}

/* The first of equal ones. */
static const struct mime_extension *find_extension(const struct mime *mime, struct span extension)
{
	size_t low = 0, high = mime->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_spans(mime->extensions[middle].extension, extension) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < mime->count && span_equals(mime->extensions[low].extension, extension))
		return &mime->extensions[low];
	return NULL;
}

static bool is_one_of(struct span span, const struct span *list, size_t count)
{
	while (count > 0 && !span_equals(span, list[count - 1]))
		count--;
	return count > 0;
}

static struct media media_of(const struct mime *mime, struct span type, struct span extension)
{
	static const struct span compressed[] = {{"svgz", 4}};
	static const struct span text = {"text/", 5};
	struct media media = {.type = type};

	if (type.length > text.length && span_equals((struct span){type.at, text.length}, text))
		media.charset = mime->charset;
	if (is_one_of(extension, compressed, sizeof(compressed) / sizeof(compressed[0])))
		media.encoding = span_of("gzip");
	return media;
}

struct media mime_media(const struct mime *mime, struct span path)
{
	const struct mime_extension *found;
	char lower[EXTENSION_MAX];
	const char *dot = memrchr(path.at, '.', path.length);
	size_t length;

	if (dot == NULL)
		return (struct media){.type = unknown_type};
	length = path.length - (size_t)(dot + 1 - path.at);
	if (length == 0 || length > sizeof(lower))
		return (struct media){.type = unknown_type};
	for (size_t i = 0; i < length; i++) {
		char character = dot[1 + i];

		lower[i] = character >= 'A' && character <= 'Z' ? (char)(character + 32)
								: character;
	}
	found = find_extension(mime, (struct span){lower, length});
	return media_of(mime, found != NULL ? found->type : unknown_type,
			(struct span){lower, length});
}
