/* SPDX-License-Identifier: MIT */
/* --write-timeout and the other time-outs of `sluice serve`, by a clock of its own. */

#include "cases.h"
#include "serve/deadline.h"

#define TIMEOUT_S 3
#define SECOND_MS 1000
#define START_MS 100000

/* What a client has acknowledged after so many milliseconds. */
typedef uint64_t client_fn(uint64_t ms);

/* As the daemon does: a tick for each second, at which every connection is looked at. Milliseconds. */
static uint64_t lives(uint64_t begun_ms, client_fn *client)
{
	struct deadline deadline = {.taken = 0};
	uint64_t tick = begun_ms / SECOND_MS;

	deadline_begin(&deadline, tick, TIMEOUT_S);
	for (;;) {
		tick++;
		if (!deadline_took(&deadline, tick, TIMEOUT_S,
				   client(tick * SECOND_MS - begun_ms)) &&
		    deadline_is_over(&deadline, tick))
			return tick * SECOND_MS - begun_ms;
	}
}

static uint64_t takes_nothing(uint64_t ms)
{
	return 0;
}

/* The kernel takes what fits, and the client not a byte more. */
static uint64_t takes_a_little(uint64_t ms)
{
	return 65536;
}

static uint64_t takes_for_a_minute(uint64_t ms)
{
	return ms < 60 * SECOND_MS ? ms / 100 : 600;
}

/* Its kernel acknowledges seldom, but within the time. */
static uint64_t takes_every_three_seconds(uint64_t ms)
{
	return ms < 60 * SECOND_MS ? ms / (TIMEOUT_S * SECOND_MS) : 20;
}

Test(http_deadline, a_client_that_takes_nothing_is_given_up_within_a_second_of_the_timeout)
{
	for (uint64_t ms = 0; ms < SECOND_MS; ms++) {
		uint64_t took = lives(START_MS + ms, takes_nothing);

		cr_assert(took > TIMEOUT_S * SECOND_MS && took <= (TIMEOUT_S + 1) * SECOND_MS);
	}
}

Test(http_deadline, so_is_one_that_takes_no_more_than_its_kernel_does)
{
	for (uint64_t ms = 0; ms < SECOND_MS; ms++) {
		uint64_t took = lives(START_MS + ms, takes_a_little);

		cr_assert(took > TIMEOUT_S * SECOND_MS && took <= (TIMEOUT_S + 1) * SECOND_MS);
	}
}

Test(http_deadline, a_client_that_takes_something_in_each_timeout_is_not_given_up)
{
	for (uint64_t ms = 0; ms < SECOND_MS; ms += 10) {
		uint64_t took = lives(START_MS + ms, takes_every_three_seconds);

		cr_assert(took > (60 + TIMEOUT_S - 1) * SECOND_MS);
	}
}

Test(http_deadline, the_time_counts_from_the_last_byte_that_was_taken)
{
	for (uint64_t ms = 0; ms < SECOND_MS; ms++) {
		uint64_t took = lives(START_MS + ms, takes_for_a_minute);

		cr_assert(took > (60 + TIMEOUT_S - 1) * SECOND_MS &&
			  took <= (60 + TIMEOUT_S + 1) * SECOND_MS);
	}
}

Test(http_deadline, a_request_that_does_not_come_has_its_time_and_less_than_a_second_more)
{
	struct deadline deadline;

	deadline_begin(&deadline, 100, TIMEOUT_S);
	cr_assert(!deadline_is_over(&deadline, 100 + TIMEOUT_S));
	cr_assert(deadline_is_over(&deadline, 100 + TIMEOUT_S + 1));
}
