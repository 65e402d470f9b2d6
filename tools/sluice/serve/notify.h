/* SPDX-License-Identifier: MIT */
/* What a service tells its manager, by the protocol of sd_notify(3). Nothing without NOTIFY_SOCKET. */
#ifndef SLUICE_COMMAND_SERVE_NOTIFY_H
#define SLUICE_COMMAND_SERVE_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_alive(void);

/* How often the manager wants to hear that the service is alive, halved; 0: not at all. */
int64_t notify_interval_ns(void);

#endif
