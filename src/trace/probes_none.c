/* SPDX-License-Identifier: MIT */
/* Without sys/sdt.h there are no static probes. */
#include "trace/trace.h"

void sluice__trace_probe(const struct sluice__trace_event *event)
{
}
