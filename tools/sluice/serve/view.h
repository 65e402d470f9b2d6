/* SPDX-License-Identifier: MIT */
/* Numbers the forms of the answer for one path; 0 is the plain one. */
#ifndef SLUICE_COMMAND_SERVE_VIEW_H
#define SLUICE_COMMAND_SERVE_VIEW_H

#include "serve/listing.h"
#include "serve/negotiate.h"

/* The lowest bits are the list of negotiate_encodings(). */
#define VIEW_LISTING_SHIFT 8 /* a listing_view_number(), of a path that ends with a slash */

/* For the path of a directory: its page for missing files. */
#define VIEW_ERROR_PAGE (1u << 12)

static inline struct listing_view view_listing(uint32_t view)
{
	return listing_view_of(view >> VIEW_LISTING_SHIFT & (LISTING_VIEWS - 1));
}

static inline uint32_t view_with_listing(uint32_t view, struct listing_view listing)
{
	return view | listing_view_number(listing) << VIEW_LISTING_SHIFT;
}

static inline uint32_t view_encodings(uint32_t view)
{
	return view & ENCODINGS_MASK;
}

#endif
