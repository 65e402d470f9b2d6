/* SPDX-License-Identifier: MIT */
/* The addresses of a host, tried by a clock of the test's own. */

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "cases.h"
#include "transfer/stagger.h"

#define QUARTER UINT64_C(250000000)
#define START (1000 * QUARTER)

/* Tries what is due. Returns how many were. */
static size_t try_due(struct stagger *stagger, uint64_t now)
{
	size_t tried = 0;

	while (stagger_is_due(stagger, now)) {
		cr_assert_eq(stagger->begun, stagger_begin(stagger, now));
		tried++;
	}
	return tried;
}

Test(transfer_stagger, the_second_address_is_tried_a_quarter_of_a_second_after_a_silent_first)
{
	struct stagger stagger = {.count = 3};

	cr_assert_eq(stagger_wait(&stagger, START), 0);
	cr_assert_eq(try_due(&stagger, START), 1);
	cr_assert_eq(stagger_wait(&stagger, START), QUARTER);
	cr_assert_eq(try_due(&stagger, START + QUARTER - 1), 0);
	cr_assert_eq(stagger_wait(&stagger, START + QUARTER - 1), 1);
	cr_assert_eq(try_due(&stagger, START + QUARTER), 1);
	cr_assert_eq(try_due(&stagger, START + 2 * QUARTER), 1);
	cr_assert_eq(stagger_wait(&stagger, START + 2 * QUARTER), -1);
	cr_assert_eq(try_due(&stagger, START + 100 * QUARTER), 0);
}

Test(transfer_stagger, a_clock_that_was_late_does_not_try_all_of_them_at_once)
{
	struct stagger stagger = {.count = 3};

	cr_assert_eq(try_due(&stagger, START), 1);
	cr_assert_eq(try_due(&stagger, START + 40 * QUARTER), 1);
	cr_assert_eq(stagger_wait(&stagger, START + 40 * QUARTER), QUARTER);
}

Test(transfer_stagger, an_address_that_failed_makes_way_for_the_next_at_once)
{
	struct stagger stagger = {.count = 3};

	cr_assert_eq(try_due(&stagger, START), 1);
	stagger_failed(&stagger);
	cr_assert_eq(stagger_wait(&stagger, START + 1), 0);
	cr_assert_eq(try_due(&stagger, START + 1), 1);
	cr_assert_eq(stagger_wait(&stagger, START + 1), QUARTER);
}

/* Checks the order of addresses of these families; 4 and 6, in both strings. */
static void check_order(const char *families, const char *wanted, size_t most)
{
	const struct addrinfo *ordered[8];
	struct addrinfo found[8] = {0};
	size_t count = strlen(families), got;

	for (size_t i = 0; i < count; i++) {
		found[i].ai_family = families[i] == '4' ? AF_INET : AF_INET6;
		found[i].ai_next = i + 1 < count ? &found[i + 1] : NULL;
	}
	got = stagger_order(found, ordered, most);
	cr_assert_eq(got, strlen(wanted), "%s: %zu", families, got);
	for (size_t i = 0; i < got; i++) {
		cr_assert_eq(ordered[i]->ai_family, wanted[i] == '4' ? AF_INET : AF_INET6,
			     "%s: %zu", families, i);
		/* Those of a family keep their order, so none comes twice. */
		for (size_t j = 0; j < i; j++)
			cr_assert(ordered[j]->ai_family != ordered[i]->ai_family ||
				  ordered[j] < ordered[i]);
	}
}

Test(transfer_stagger, the_families_take_turns)
{
	check_order("6644", "6464", 8);
	check_order("4466", "4646", 8);
	check_order("66664", "64666", 8);
	check_order("64444", "64444", 8);
	check_order("444", "444", 8);
	check_order("6", "6", 8);
	check_order("666644", "646", 3);
}
