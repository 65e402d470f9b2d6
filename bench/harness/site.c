/* SPDX-License-Identifier: MIT */
#include "harness/site.h"

/* Texts shrink to about a quarter by gzip and a fifth by brotli. */
#define TEXT(name, kb)                                                      \
	{                                                                   \
		name, (size_t)(kb)*1000, (size_t)(kb)*250, (size_t)(kb)*200 \
	}
#define BINARY(name, kb)                      \
	{                                     \
		name, (size_t)(kb)*1000, 0, 0 \
	}

const struct site_file site_files[SITE_FILES] = {
	TEXT("reset.css", 3),      TEXT("icon.svg", 4),      TEXT("manifest.json", 5),
	TEXT("logo.svg", 8),       TEXT("helpers.js", 10),   TEXT("theme.css", 12),
	TEXT("home.html", 15),     TEXT("router.js", 20),    BINARY("regular.woff2", 22),
	TEXT("about.html", 25),    TEXT("layout.css", 30),   BINARY("bold.woff2", 35),
	BINARY("thumb.webp", 45),  TEXT("analytics.js", 55), TEXT("app.js", 80),
	TEXT("data.json", 100),    BINARY("hero.webp", 140), TEXT("components.css", 180),
	BINARY("photo.webp", 220), TEXT("vendor.js", 300),
};

size_t site_body(const struct site_file *file, bool accepts_compressed, bool has_brotli,
		 const char **ret_encoding)
{
	*ret_encoding = NULL;
	if (!accepts_compressed || file->gzip_bytes == 0)
		return file->bytes;
	*ret_encoding = has_brotli ? "br" : "gzip";
	return has_brotli ? file->brotli_bytes : file->gzip_bytes;
}
