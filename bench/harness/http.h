/* SPDX-License-Identifier: MIT */
#ifndef BENCH_HARNESS_HTTP_H
#define BENCH_HARNESS_HTTP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Asks once, and answers how many bytes the answer has, head and body. Ends the program where it is
 * not a 200 with so many bytes of body in that encoding, NULL: in none.
 */
size_t http_answer_bytes(uint16_t port, const char *question, uint64_t body_bytes,
			 const char *encoding);

#endif
