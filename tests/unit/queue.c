/* SPDX-License-Identifier: MIT */

#include <string.h>

#include "base/queue.h"
#include "cases.h"

#define ELEMENTS 4

struct element {
	char name;
	struct sluice__link link;
};

static struct element elements[ELEMENTS];

static void name_elements(void)
{
	for (int i = 0; i < ELEMENTS; i++)
		elements[i] = (struct element){.name = (char)('a' + i)};
}

/* The names from here on. */
static const char *names(const struct sluice__link *link)
{
	static char text[ELEMENTS + 1];
	size_t length = 0;

	for (; link && length < ELEMENTS; link = link->next)
		text[length++] =
			sluice__element((struct sluice__link *)link, struct element, link)->name;
	text[length] = 0;
	return text;
}

static struct sluice__link *link_of(char name)
{
	return &elements[name - 'a'].link;
}

/*
 * Runs a script: a letter pushes that element, '-' pops one, '*' takes everything, '+' appends what was
 * taken last, '!' and a letter removes that element. What was popped and taken goes into *out.
 */
static void run_fifo(struct sluice__fifo *fifo, const char *script, char *out)
{
	struct sluice__link *taken = NULL;

	for (; *script; script++) {
		const struct element *popped;

		switch (*script) {
		case '-':
			popped = sluice__element(sluice__fifo_pop(fifo), struct element, link);
			*out++ = popped ? popped->name : '.';
			break;
		case '*':
			taken = sluice__fifo_take_all(fifo);
			out = stpcpy(out, names(taken));
			break;
		case '+':
			sluice__fifo_append(fifo, taken);
			break;
		case '!':
			script++;
			*out++ = sluice__fifo_remove(fifo, link_of(*script)) ? 'y' : 'n';
			break;
		default:
			sluice__fifo_push(fifo, link_of(*script));
		}
	}
	*out = 0;
}

Test(queue, a_fifo_gives_back_in_order_whatever_leaves_in_between)
{
	static const struct {
		const char *script, *out, *left;
	} rows[] = {
		{"", "", ""},           {"-", ".", ""},       {"a", "", "a"},
		{"a-", "a", ""},        {"a--", "a.", ""},    {"abc", "", "abc"},
		{"ab-c-d", "ab", "cd"}, {"a-b-c", "ab", "c"}, {"*", "", ""},
		{"ab*", "ab", ""},      {"ab*c", "ab", "c"},  {"ab*cd+", "ab", "cdab"},
		{"ab*+c", "ab", "abc"}, {"*+a", "", "a"},     {"abc!a", "y", "bc"},
		{"abc!b", "y", "ac"},   {"abc!c", "y", "ab"}, {"abc!cd", "y", "abd"},
		{"a!ab", "y", "b"},     {"ab!c", "n", "ab"},  {"!a", "n", ""},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sluice__fifo fifo;
		char out[16];

		name_elements();
		sluice__fifo_init(&fifo);
		run_fifo(&fifo, rows[i].script, out);
		cr_expect_str_eq(out, rows[i].out, "row %zu: %s", i, out);
		cr_expect_str_eq(names(fifo.first), rows[i].left, "row %zu", i);
		cr_expect_eq(sluice__fifo_is_empty(&fifo), !*rows[i].left, "row %zu", i);
		cr_expect_null(*fifo.end, "row %zu", i);
		cr_expect(!*rows[i].left ? !sluice__fifo_last(&fifo)
					 : sluice__fifo_last(&fifo) ==
						   link_of(rows[i].left[strlen(rows[i].left) - 1]),
			  "row %zu", i);
	}
}

Test(queue, a_stack_is_taken_whole_the_oldest_first)
{
	struct sluice__stack stack = {NULL};

	name_elements();
	cr_expect(sluice__stack_is_empty(&stack, __ATOMIC_RELAXED));
	cr_expect_null(sluice__stack_take_all(&stack));
	cr_expect_eq(sluice__stack_push(&stack, link_of('a')), SLUICE__PUSHED_FIRST);
	cr_expect_eq(sluice__stack_push(&stack, link_of('b')), SLUICE__PUSHED);
	cr_expect_eq(sluice__stack_push(&stack, link_of('c')), SLUICE__PUSHED);
	cr_expect_not(sluice__stack_is_empty(&stack, __ATOMIC_SEQ_CST));
	cr_expect_str_eq(names(sluice__stack_take_all(&stack)), "abc");
	cr_expect(sluice__stack_is_empty(&stack, __ATOMIC_RELAXED));
	cr_expect_eq(sluice__stack_push(&stack, link_of('d')), SLUICE__PUSHED_FIRST);
	cr_expect_str_eq(names(sluice__stack_take_all(&stack)), "d");
}

Test(queue, a_closed_stack_takes_nothing_more)
{
	struct sluice__stack stack = {NULL}, empty = {NULL};

	name_elements();
	sluice__stack_push(&stack, link_of('a'));
	sluice__stack_push(&stack, link_of('b'));
	cr_expect_str_eq(names(sluice__stack_close(&stack)), "ab");
	cr_expect_eq(sluice__stack_push(&stack, link_of('c')), SLUICE__PUSH_CLOSED);
	cr_expect_eq(stack.top, SLUICE__STACK_CLOSED);
	cr_expect_null(sluice__stack_close(&empty));
	cr_expect_eq(sluice__stack_push(&empty, link_of('c')), SLUICE__PUSH_CLOSED);
}

Test(queue, a_pool_gives_what_was_put_last)
{
	struct sluice__pool pool = {NULL};

	name_elements();
	cr_expect(sluice__pool_is_empty(&pool));
	cr_expect_null(sluice__pool_get(&pool));
	sluice__pool_put(&pool, link_of('a'));
	sluice__pool_put(&pool, link_of('b'));
	cr_expect_not(sluice__pool_is_empty(&pool));
	cr_expect_eq(sluice__pool_get(&pool), link_of('b'));
	sluice__pool_put(&pool, link_of('c'));
	cr_expect_eq(sluice__pool_get(&pool), link_of('c'));
	cr_expect_eq(sluice__pool_get(&pool), link_of('a'));
	cr_expect_null(sluice__pool_get(&pool));
}

Test(queue, the_element_of_no_link_is_null)
{
	cr_expect_null(sluice__element(NULL, struct element, link));
}
