/* SPDX-License-Identifier: MIT */
#include "without.h"

WITHOUT(peer_libuv, "libuv", "libuv", LOADS(LOAD_RECORDS), "libuv1-dev");
