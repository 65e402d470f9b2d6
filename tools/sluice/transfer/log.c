/* SPDX-License-Identifier: MIT */
#include "transfer/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)
#define INTERVAL_NS (SECOND_NS / LOG_PER_SECOND)

static struct log_limit process_limit;

bool log_limit_take(struct log_limit *limit, uint64_t now_ns, uint64_t *ret_suppressed)
{
	uint64_t full_ns = limit->full_ns > now_ns ? limit->full_ns : now_ns;

	*ret_suppressed = 0;
	if (full_ns - now_ns > (LOG_BURST - 1) * INTERVAL_NS) {
		limit->suppressed++;
		return false;
	}
	limit->full_ns = full_ns + INTERVAL_NS;
	*ret_suppressed = limit->suppressed;
	limit->suppressed = 0;
	return true;
}

static void print_suppressed(const char *command, uint64_t count)
{
	if (count > 0)
		fprintf(stderr, "%s: %" PRIu64 " messages suppressed\n", command, count);
}

void log_message(const char *command, const char *format, ...)
{
	struct timespec now;
	uint64_t suppressed;
	va_list arguments;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!log_limit_take(&process_limit,
			    (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec, &suppressed))
		return;
	print_suppressed(command, suppressed);
	fprintf(stderr, "%s: ", command);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

void log_end(const char *command)
{
	print_suppressed(command, process_limit.suppressed);
	process_limit.suppressed = 0;
}
