/* SPDX-License-Identifier: MIT */
/* Replaces a peer whose library was not found by the build. */
#ifndef BENCH_PEERS_WITHOUT_H
#define BENCH_PEERS_WITHOUT_H

#include "harness/runner.h"

#define WITHOUT(symbol, its_name, its_title, its_loads, package)      \
	static const char *lacks_##symbol(const struct load *load)    \
	{                                                             \
		(void)load;                                           \
		return "built without it; Debian has it as " package; \
	}                                                             \
	const struct peer symbol = {                                  \
		.name = its_name,                                     \
		.title = its_title,                                   \
		.loads = its_loads,                                   \
		.lacks = lacks_##symbol,                              \
	}

#endif
