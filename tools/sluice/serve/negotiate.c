/* SPDX-License-Identifier: MIT */
#include "serve/negotiate.h"

/* Reads the part before the separator, or all of it; without surrounding white space. */
static struct span take_part(struct span *list, char separator)
{
	const char *end = memchr(list->at, separator, list->length);
	struct span part = *list;

	if (end != NULL)
		part.length = (size_t)(end - list->at);
	*list = span_from(*list, part.length + (end != NULL));
	return span_trim(part);
}

/* "1", "0.5", "0.125" in thousandths; an invalid value counts as 1. */
static unsigned int read_quality(struct span text)
{
	unsigned int quality, weight = 100;

	if (text.length == 0 || (text.at[0] != '0' && text.at[0] != '1'))
		return 1000;
	quality = text.at[0] == '1' ? 1000 : 0;
	if (text.length > 1 && text.at[1] != '.')
		return 1000;
	for (size_t i = 2; i < text.length && i < 5; i++, weight /= 10) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return 1000;
		quality += (unsigned int)(text.at[i] - '0') * weight;
	}
	return quality < 1000 ? quality : 1000;
}

/* Reads one element of the list: its name and quality. False at the end. */
static bool take_element(struct span *list, struct span *ret_name, unsigned int *ret_quality)
{
	struct span element;

	do {
		if (list->length == 0)
			return false;
		element = take_part(list, ',');
	} while (element.length == 0);
	*ret_name = take_part(&element, ';');
	*ret_quality = 1000;
	while (element.length > 0) {
		struct span parameter = take_part(&element, ';');

		if (parameter.length >= 2 && (parameter.at[0] | 0x20) == 'q' &&
		    parameter.at[1] == '=')
			*ret_quality = read_quality(span_from(parameter, 2));
	}
	return true;
}

/* How specifically a media range matches the type: 0 not at all, 3 literally. */
static unsigned int specificity(struct span range, struct span type)
{
	const char *slash = memchr(type.at, '/', type.length);
	size_t main_length = slash != NULL ? (size_t)(slash - type.at) + 1 : 0;

	if (span_matches(range, type))
		return 3;
	if (range.length == main_length + 1 && range.at[main_length] == '*' &&
	    span_matches((struct span){range.at, main_length}, (struct span){type.at, main_length}))
		return 2;
	return span_equals(range, span_of("*/*")) ? 1 : 0;
}

unsigned int negotiate_media(struct span accept, struct span type, bool *ret_named)
{
	unsigned int best = 0, found = 0, quality;
	struct span range;

	while (take_element(&accept, &range, &quality)) {
		unsigned int exact = specificity(range, type);

		if (exact > best) {
			best = exact;
			found = quality;
		}
	}
	*ret_named = best == 3;
	return found;
}

static const struct {
	const char *name;
	const char *suffix;
} encodings_known[ENCODINGS] = {
	[ENCODING_IDENTITY] = {NULL, NULL},
	[ENCODING_BR] = {"br", ".br"},
	[ENCODING_ZSTD] = {"zstd", ".zst"},
	[ENCODING_GZIP] = {"gzip", ".gz"},
};

const char *encoding_name(enum encoding encoding)
{
	return encodings_known[encoding].name;
}

const char *encoding_suffix(enum encoding encoding)
{
	return encodings_known[encoding].suffix;
}

/* The number of the coding; ENCODINGS: unsupported. */
static unsigned int encoding_of(struct span name)
{
	if (span_matches(name, span_of("identity")))
		return ENCODING_IDENTITY;
	if (span_matches(name, span_of("x-gzip")))
		return ENCODING_GZIP;
	for (unsigned int i = ENCODING_IDENTITY + 1; i < ENCODINGS; i++) {
		if (span_matches(name, span_of(encodings_known[i].name)))
			return i;
	}
	return ENCODINGS;
}

/* The quality of each coding. The identity is acceptable unless it is refused. */
static void read_encodings(struct span list, unsigned int quality[ENCODINGS])
{
	bool named[ENCODINGS] = {false};
	unsigned int value, others = 0;
	bool any = false;
	struct span name;

	while (take_element(&list, &name, &value)) {
		unsigned int encoding = encoding_of(name);

		if (encoding < ENCODINGS) {
			quality[encoding] = value;
			named[encoding] = true;
		} else if (span_equals(name, span_of("*"))) {
			others = value;
			any = true;
		}
	}
	for (unsigned int i = 0; i < ENCODINGS; i++) {
		if (!named[i])
			quality[i] = others;
	}
	/* An asterisk may forbid the identity, but accepts any of the codings. */
	if (!named[ENCODING_IDENTITY])
		quality[ENCODING_IDENTITY] = any && others == 0 ? 0 : 1;
}

uint32_t negotiate_encodings(struct span accept_encoding)
{
	unsigned int quality[ENCODINGS], least;
	uint32_t encodings = 0, shift = 0;

	read_encodings(accept_encoding, quality);
	if (quality[ENCODING_IDENTITY] == 0)
		encodings = ENCODINGS_WITHOUT_IDENTITY;
	least = quality[ENCODING_IDENTITY] > 0 ? quality[ENCODING_IDENTITY] : 1;
	for (;;) {
		unsigned int best = ENCODING_IDENTITY;

		/* If equally preferred, the one that usually compresses best. */
		for (unsigned int i = ENCODINGS - 1; i > ENCODING_IDENTITY; i--) {
			if (quality[i] >= least &&
			    (best == ENCODING_IDENTITY || quality[i] >= quality[best]))
				best = i;
		}
		if (best == ENCODING_IDENTITY)
			return encodings;
		encodings |= best << shift;
		shift += 2;
		quality[best] = 0;
	}
}

enum encoding negotiate_next(uint32_t *encodings)
{
	enum encoding first = (enum encoding)(*encodings & 3);

	*encodings = (*encodings & (ENCODINGS_MASK & ~ENCODINGS_WITHOUT_IDENTITY)) >> 2;
	return first;
}
