/* SPDX-License-Identifier: MIT */
/* Built without sys/sdt.h: no static probes. */
#include "trace/trace.h"

void sluice__trace_probe(const struct sluice__trace_event *event)
{
}
