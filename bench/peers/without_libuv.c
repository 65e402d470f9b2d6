/* SPDX-License-Identifier: MIT */
#include "peers/without.h"

WITHOUT(peer_libuv, "libuv", "libuv", LOADS(LOAD_RECORDS) | LOADS(LOAD_FAN_OUT) | LOADS(LOAD_ECHO),
	"libuv1-dev");

/* The one above reports it for this, too. */
WITHOUT(peer_libuv_echo, "libuv", "libuv", 0, "libuv1-dev");
