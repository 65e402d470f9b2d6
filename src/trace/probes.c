/* SPDX-License-Identifier: MIT */
/*
 * Static probes (USDT) for bpftrace, perf and gdb: one per kind of event, with the operation,
 * descriptor, socket, record, bytes and errno. A probe without a consumer is a single nop.
 */
#include <sys/sdt.h>

#include "trace/trace.h"

#define PROBE(name, event)                                                            \
	DTRACE_PROBE6(sluice, name, (event)->operation, (event)->fd, (event)->socket, \
		      (event)->record, (event)->bytes, (event)->native)

void sluice__trace_probe(const struct sluice__trace_event *event)
{
	switch (event->kind) {
	case SLUICE__TRACE_CALL:
		PROBE(call, event);
		break;
	case SLUICE__TRACE_SUBMIT:
		PROBE(submit, event);
		break;
	case SLUICE__TRACE_COMPLETE:
		PROBE(complete, event);
		break;
	case SLUICE__TRACE_SETTLE:
		PROBE(settle, event);
		break;
	default:
		PROBE(error, event);
	}
}
