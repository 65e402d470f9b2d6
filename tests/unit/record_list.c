/* SPDX-License-Identifier: MIT */

#include "core/record_list.h"
#include "cases.h"

#define RECORDS 5

static struct sluice_args records[RECORDS];

static struct sluice_args *record(char name)
{
	return &records[name - 'a'];
}

static const char *names(const struct sluice_args *args)
{
	static char text[RECORDS + 1];
	size_t length = 0;

	for (; args && length < RECORDS; args = args->run.next)
		text[length++] = (char)('a' + (args - records));
	text[length] = 0;
	return text;
}

static void splice(struct sluice__chain *chain, const char *group)
{
	uint32_t count = 1;

	for (; group[count] >= 'a'; count++)
		record(group[count - 1])->run.next = record(group[count]);
	sluice__chain_splice(chain, record(group[0]), record(group[count - 1]), count);
}

/* ---- chain ---- */

Test(record_list, a_chain_keeps_the_order_in_which_records_ended)
{
	struct sluice__chain chain;

	sluice__chain_init(&chain);
	sluice__chain_add(&chain, record('b'));
	splice(&chain, "ca");
	sluice__chain_add(&chain, record('d'));
	cr_assert_str_eq(names(chain.first), "bcad");
	cr_assert(chain.added == 4);
}

Test(record_list, what_was_taken_out_returns_in_front_of_what_ended_since)
{
	struct sluice__chain chain;
	struct sluice_args *taken, **end;

	sluice__chain_init(&chain);
	splice(&chain, "abc");
	taken = sluice__chain_take_all(&chain, &end);
	cr_assert_str_eq(names(taken), "abc");
	cr_assert(!chain.first);
	sluice__chain_add(&chain, record('d'));
	sluice__chain_put_back(&chain, taken->run.next, end);
	cr_assert_str_eq(names(chain.first), "bcd");
	sluice__chain_add(&chain, record('e'));
	cr_assert_str_eq(names(chain.first), "bcde");
}

Test(record_list, a_moved_chain_is_empty)
{
	struct sluice__chain chain, from;

	sluice__chain_init(&chain);
	sluice__chain_init(&from);
	sluice__chain_move(&chain, &from);
	cr_assert(!chain.first && !chain.added);
	splice(&from, "ab");
	sluice__chain_add(&chain, record('c'));
	sluice__chain_move(&chain, &from);
	cr_assert_str_eq(names(chain.first), "cab");
	cr_assert(chain.added == 3 && !from.first && !from.added);
	sluice__chain_add(&from, record('d'));
	cr_assert_str_eq(names(from.first), "d");
}

Test(record_list, only_a_record_that_was_added_since_is_taken_back)
{
	/* what the chain holds before, whether the record ends in it, and whether it is taken back */
	static const struct {
		const char *before;
		bool ends;
	} cases[] = {{"", true}, {"", false}, {"a", true}, {"ab", true}, {"ab", false}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sluice__chain chain;
		struct sluice_args **end;
		uint64_t added;

		sluice__chain_init(&chain);
		if (*cases[i].before)
			splice(&chain, cases[i].before);
		end = chain.end;
		added = chain.added;
		if (cases[i].ends)
			sluice__chain_add(&chain, record('d'));
		cr_assert(sluice__chain_take_back(&chain, end, record('d')) == cases[i].ends,
			  "case %zu", i);
		cr_assert_str_eq(names(chain.first), cases[i].before);
		cr_assert(chain.added == added);
		sluice__chain_add(&chain, record('e'));
		cr_assert(record('e') == *end, "case %zu: the next record follows them", i);
	}
}

/* ---- list ---- */

Test(record_list, any_record_leaves_a_list)
{
	static const struct {
		char removed;
		const char *left;
	} cases[] = {{'a', "bc"}, {'b', "ac"}, {'c', "ab"}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sluice__list list;

		sluice__list_init(&list);
		for (char name = 'a'; name <= 'c'; name++)
			sluice__list_push(&list, record(name));
		sluice__list_remove(&list, record(cases[i].removed));
		cr_assert_str_eq(names(list.head), cases[i].left);
		sluice__list_push(&list, record('d'));
		sluice__list_cut(&list, record(cases[i].left[0]));
		cr_assert(list.head == record(cases[i].left[1]));
		sluice__list_cut(&list, record('d'));
		cr_assert(!list.head && list.end == &list.head);
	}
}
