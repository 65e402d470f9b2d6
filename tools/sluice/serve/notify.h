/* SPDX-License-Identifier: MIT */
/*
 * Notifications to the service manager, by the protocol of sd_notify(3). No effect without
 * NOTIFY_SOCKET.
 */
#ifndef SLUICE_COMMAND_SERVE_NOTIFY_H
#define SLUICE_COMMAND_SERVE_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_alive(void);

/* Half of the manager's watchdog interval; 0: no watchdog. */
int64_t notify_interval_ns(void);

#endif
