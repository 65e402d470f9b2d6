/* SPDX-License-Identifier: MIT */
#include "scripted_pair.h"

#include <errno.h>

struct fixture fixture;
unsigned char pattern[PATTERN];

void begin_over(bool sends, struct sluice_options *options)
{
	if (!pattern[1])
		pattern_fill(pattern, sizeof pattern, 0);
	if (options)
		scripted_begin_with(&fixture, sends, options);
	else
		scripted_begin(&fixture, sends);
}

void run(void)
{
	run_for(&fixture, 0);
}

void end_over(struct pair *pair)
{
	scripted.cancel_answer = -ECANCELED;
	pair_close(pair);
	run();
	scripted_end(&fixture);
}
