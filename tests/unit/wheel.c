/* SPDX-License-Identifier: MIT */

#include <stdlib.h>

#include "base/wheel.h"
#include "cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const uint64_t second_ns = 1000000000;

static struct sluice__wheel wheel;

/* Nodes taken off in one loop at now_ns; where ret_last is given, the last of them. */
static int loop_at(uint64_t now_ns, struct sluice__wheel_node **ret_last)
{
	struct sluice__wheel_node *node;
	int taken = 0;

	sluice__wheel_expire_begin(&wheel, now_ns);
	while ((node = sluice__wheel_expire(&wheel))) {
		if (ret_last)
			*ret_last = node;
		taken++;
	}
	return taken;
}

/* Wakeups, each at the time that the wheel asked for, until something expires. */
static int wakeups_until_expiry(uint64_t *ret_now_ns)
{
	for (int wakeups = 1; wakeups < 1000; wakeups++) {
		*ret_now_ns = sluice__wheel_next(&wheel);
		if (loop_at(*ret_now_ns, NULL))
			return wakeups;
	}
	return -1;
}

Test(wheel, a_node_of_zeros_is_not_armed)
{
	struct sluice__wheel_node node = {0};

	sluice__wheel_init(&wheel, 5);
	cr_expect_not(sluice__wheel_is_armed(&node));
	sluice__wheel_disarm(&wheel, &node);
	cr_expect_not(sluice__wheel_is_armed(&node));
	cr_expect_eq(loop_at(UINT64_MAX, NULL), 0);
}

Test(wheel, an_empty_wheel_asks_for_no_wakeup)
{
	struct sluice__wheel_node node = {0};

	sluice__wheel_init(&wheel, 5);
	cr_expect_eq(sluice__wheel_next(&wheel), UINT64_MAX);
	sluice__wheel_arm(&wheel, &node, 1000, 0);
	cr_expect_neq(sluice__wheel_next(&wheel), UINT64_MAX);
	sluice__wheel_disarm(&wheel, &node);
	cr_expect_eq(sluice__wheel_next(&wheel), UINT64_MAX);
}

Test(wheel, s05_a_deadline_is_exact_to_four_nanoseconds_and_never_early)
{
	static const struct {
		uint64_t start_ns, armed_ns, fires_ns;
	} rows[] = {
		{0, 1, 4},
		{0, 4, 4},
		{0, 5, 8},
		{0, 127, 128},
		{0, 128, 128},
		{0, 129, 132},
		{7, 9, 12},
		{100, 1000000, 1000000},
		{100, 1000001, 1000004},
		{1000000, 1000000000000, 1000000000000},
		{123456789, 86400ULL * 1000000000, 86400ULL * 1000000000},
		{(1ULL << 62) - 1, 1ULL << 62, 1ULL << 62},
		{(1ULL << 63) - 1, (1ULL << 63) + 1, (1ULL << 63) + 4},
		{0, 1ULL << 63, 1ULL << 63},
		{0, UINT64_MAX - 3, UINT64_MAX - 3},
		{0, UINT64_MAX, UINT64_MAX - 3},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sluice__wheel_node node = {0};

		sluice__wheel_init(&wheel, rows[i].start_ns);
		sluice__wheel_arm(&wheel, &node, rows[i].armed_ns, 0);
		cr_expect_eq(loop_at(rows[i].fires_ns - 1, NULL), 0, "row %zu early", i);
		cr_expect(sluice__wheel_is_armed(&node), "row %zu", i);
		cr_expect_eq(loop_at(rows[i].fires_ns, NULL), 1, "row %zu late", i);
		cr_expect_not(sluice__wheel_is_armed(&node), "row %zu", i);
		cr_expect_eq(loop_at(UINT64_MAX, NULL), 0, "row %zu twice", i);
	}
}

Test(wheel, the_kind_is_kept_and_moves_no_deadline)
{
	for (unsigned int kind = 0; kind < 4; kind++) {
		struct sluice__wheel_node node = {0};
		struct sluice__wheel_node *taken = NULL;

		sluice__wheel_init(&wheel, 0);
		sluice__wheel_arm(&wheel, &node, 1000, kind);
		cr_expect_eq(sluice__wheel_next(&wheel), 1000);
		cr_expect_eq(loop_at(999, NULL), 0);
		cr_expect_eq(loop_at(1000, &taken), 1);
		cr_expect_eq(taken, &node);
		cr_expect_eq(sluice__wheel_kind(&node), kind);
	}
}

Test(wheel, arming_an_armed_node_moves_it)
{
	struct sluice__wheel_node node = {0};

	sluice__wheel_init(&wheel, 0);
	sluice__wheel_arm(&wheel, &node, 1000, 1);
	sluice__wheel_arm(&wheel, &node, 5000, 2);
	cr_expect_eq(loop_at(4999, NULL), 0);
	sluice__wheel_arm(&wheel, &node, 6000, 2);
	sluice__wheel_arm(&wheel, &node, 5500, 3);
	cr_expect_eq(loop_at(5500, NULL), 1);
	cr_expect_eq(sluice__wheel_kind(&node), 3);
	cr_expect_eq(loop_at(UINT64_MAX, NULL), 0);
}

Test(wheel, nodes_leave_in_the_order_of_their_times)
{
	static const uint64_t times[] = {
		900, 4, 86400000000000, 128, 132, 4096, 5000000000, 4100, 1000000, 0,
	};
	struct sluice__wheel_node nodes[COUNT(times)] = {0};
	struct sluice__wheel_node *node;
	uint64_t before_ns = 0;
	size_t taken = 0;

	sluice__wheel_init(&wheel, 0);
	for (size_t i = 0; i < COUNT(times); i++)
		sluice__wheel_arm(&wheel, &nodes[i], times[i], 0);
	sluice__wheel_expire_begin(&wheel, UINT64_MAX);
	while ((node = sluice__wheel_expire(&wheel))) {
		cr_expect_geq(node->expires_ns, before_ns);
		before_ns = node->expires_ns;
		taken++;
	}
	cr_expect_eq(taken, COUNT(times));
}

Test(wheel, nodes_of_one_time_leave_in_the_order_of_arming)
{
	enum {
		NODES = 20
	};
	struct sluice__wheel_node nodes[NODES] = {0};

	sluice__wheel_init(&wheel, 0);
	for (int i = 0; i < NODES; i++) {
		/* Armed from nearer and nearer, so that they start at different levels. */
		sluice__wheel_arm(&wheel, &nodes[i], 30 * second_ns, 0);
		loop_at(30 * second_ns - (30 * second_ns >> i), NULL);
	}
	sluice__wheel_expire_begin(&wheel, 31 * second_ns);
	for (int i = 0; i < NODES; i++)
		cr_expect_eq(sluice__wheel_expire(&wheel), &nodes[i], "%d", i);
	cr_expect_null(sluice__wheel_expire(&wheel));
}

Test(wheel, a_time_already_past_wakes_at_once)
{
	struct sluice__wheel_node node = {0};

	sluice__wheel_init(&wheel, 1000);
	sluice__wheel_arm(&wheel, &node, 1000, 0);
	cr_expect_eq(sluice__wheel_next(&wheel), 0);
	cr_expect_eq(loop_at(1000, NULL), 1);
	sluice__wheel_arm(&wheel, &node, 3, 0);
	cr_expect_eq(sluice__wheel_next(&wheel), 0);
	cr_expect_eq(loop_at(0, NULL), 1, "also when the clock stands, or went back");
	cr_expect_eq(sluice__wheel_next(&wheel), UINT64_MAX);
}

Test(wheel, a_node_that_always_arms_itself_again_expires_once_a_loop)
{
	struct sluice__wheel_node again = {0};
	struct sluice__wheel_node other = {0};
	struct sluice__wheel_node *node;

	sluice__wheel_init(&wheel, 1000);
	sluice__wheel_arm(&wheel, &again, 0, 0);
	sluice__wheel_arm(&wheel, &other, 2000, 0);
	for (uint64_t now_ns = 1000; now_ns <= 3000; now_ns += 100) {
		int times = 0;

		sluice__wheel_expire_begin(&wheel, now_ns);
		while ((node = sluice__wheel_expire(&wheel))) {
			if (node != &again)
				continue;
			sluice__wheel_arm(&wheel, &again, now_ns % 200 ? 0 : now_ns, 0);
			cr_assert_lt(times++, 1);
		}
		cr_expect_eq(times, 1);
	}
	cr_expect_not(sluice__wheel_is_armed(&other));
}

Test(wheel, what_is_disarmed_or_moved_inside_the_loop_does_not_expire_in_it)
{
	struct sluice__wheel_node nodes[5] = {0};

	sluice__wheel_init(&wheel, 0);
	for (int i = 0; i < 5; i++)
		sluice__wheel_arm(&wheel, &nodes[i], 100 + 4 * i, 0);
	sluice__wheel_expire_begin(&wheel, 1000);
	cr_expect_eq(sluice__wheel_expire(&wheel), &nodes[0]);
	sluice__wheel_disarm(&wheel, &nodes[1]);
	sluice__wheel_arm(&wheel, &nodes[2], 2000, 0);
	sluice__wheel_arm(&wheel, &nodes[4], 500, 0);
	cr_expect_eq(sluice__wheel_expire(&wheel), &nodes[3]);
	cr_expect_null(sluice__wheel_expire(&wheel));

	sluice__wheel_expire_begin(&wheel, 1000);
	cr_expect_eq(sluice__wheel_expire(&wheel), &nodes[4]);
	cr_expect_null(sluice__wheel_expire(&wheel));
	cr_expect_eq(loop_at(1999, NULL), 0);
	cr_expect_eq(loop_at(2000, NULL), 1);
}

Test(wheel, a_loop_left_early_goes_on_in_the_next)
{
	struct sluice__wheel_node nodes[4] = {0};

	sluice__wheel_init(&wheel, 0);
	sluice__wheel_arm(&wheel, &nodes[0], 100, 0);
	sluice__wheel_arm(&wheel, &nodes[1], 200, 0);
	sluice__wheel_arm(&wheel, &nodes[3], 1200, 0);
	sluice__wheel_expire_begin(&wheel, 1000);
	cr_expect_eq(sluice__wheel_expire(&wheel), &nodes[0]);
	sluice__wheel_arm(&wheel, &nodes[2], 50, 0);
	cr_expect_eq(sluice__wheel_next(&wheel), 0);

	sluice__wheel_expire_begin(&wheel, 2000);
	for (int i = 1; i < 4; i++)
		cr_expect_eq(sluice__wheel_expire(&wheel), &nodes[i]);
	cr_expect_null(sluice__wheel_expire(&wheel));
}

Test(wheel, the_last_of_a_list_can_be_disarmed_and_another_appended)
{
	struct sluice__wheel_node nodes[3] = {0};

	sluice__wheel_init(&wheel, 1000);
	sluice__wheel_arm(&wheel, &nodes[0], 0, 0);
	sluice__wheel_arm(&wheel, &nodes[1], 0, 0);
	sluice__wheel_disarm(&wheel, &nodes[1]);
	sluice__wheel_arm(&wheel, &nodes[2], 0, 0);
	sluice__wheel_expire_begin(&wheel, 1000);
	sluice__wheel_disarm(&wheel, &nodes[2]);
	sluice__wheel_arm(&wheel, &nodes[1], 0, 0);
	cr_expect_eq(sluice__wheel_expire(&wheel), &nodes[0]);
	cr_expect_null(sluice__wheel_expire(&wheel));
	cr_expect_eq(loop_at(1000, NULL), 1);
	cr_expect_eq(sluice__wheel_next(&wheel), UINT64_MAX);
}

Test(wheel, one_deadline_is_one_wakeup_however_far)
{
	uint64_t now_ns;

	for (uint64_t expires_ns = 4; expires_ns; expires_ns *= 2) {
		struct sluice__wheel_node node = {0};

		sluice__wheel_init(&wheel, 0);
		sluice__wheel_arm(&wheel, &node, expires_ns, 0);
		cr_expect_eq(wakeups_until_expiry(&now_ns), 1, "%lu", expires_ns);
		cr_expect_eq(now_ns, expires_ns);
	}
}

Test(wheel, a_few_of_one_time_are_one_wakeup)
{
	struct sluice__wheel_node nodes[4] = {0};
	uint64_t now_ns;

	sluice__wheel_init(&wheel, 12345);
	for (int i = 0; i < 4; i++)
		sluice__wheel_arm(&wheel, &nodes[i], 30 * second_ns, 0);
	cr_expect_eq(wakeups_until_expiry(&now_ns), 1);
	cr_expect_eq(sluice__wheel_next(&wheel), UINT64_MAX);
}

Test(wheel, a_crowd_wakes_at_most_once_a_level_before_its_time)
{
	enum {
		NODES = 100
	};
	struct sluice__wheel_node nodes[NODES] = {0};
	uint64_t now_ns;

	sluice__wheel_init(&wheel, 12345);
	for (int i = 0; i < NODES; i++)
		sluice__wheel_arm(&wheel, &nodes[i], 30 * second_ns, 0);
	/* 30 s are 33 bits of 4 ns, 7 levels. */
	cr_expect_leq(wakeups_until_expiry(&now_ns), 8);
	cr_expect_eq(now_ns, 30 * second_ns);
	cr_expect_eq(sluice__wheel_next(&wheel), UINT64_MAX);
}

/*
 * The naive model: each armed node with its time, its turn among those armed, and once it is due
 * the loop that made it so. Random operations are done to both, and everything is compared.
 */
enum {
	MODEL_NODES = 150,
	MODEL_STEPS = 4000,
	MODEL_SEEDS = 60
};

struct model_node {
	struct sluice__wheel_node node;
	uint64_t expires_ns;
	unsigned int kind;
	int armed;
	int overdue;   /* its time was past when it was armed */
	uint64_t turn; /* of arming */
	uint64_t loop; /* that made it due; 0: not due */
};

static struct {
	struct model_node nodes[MODEL_NODES];
	uint64_t now_ns;
	uint64_t turns;
	uint64_t loops;
	uint64_t random;
	unsigned int seed;
	int step;
} model;

/* Asserts only what fails: there are millions of these. */
static void hold(int condition, const char *promise)
{
	if (!condition)
		cr_assert_fail("%s; seed %u, step %d", promise, model.seed, model.step);
}

/* splitmix64 */
static uint64_t random_bits(void)
{
	uint64_t z = model.random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* From nanoseconds to days, each magnitude as likely as another. */
static uint64_t random_span(void)
{
	return random_bits() >> (64 - random_bits() % 50 - 1);
}

static struct model_node *random_node(void)
{
	return &model.nodes[random_bits() % MODEL_NODES];
}

static uint64_t later(uint64_t time_ns, uint64_t span_ns)
{
	return time_ns > UINT64_MAX - span_ns ? UINT64_MAX : time_ns + span_ns;
}

static uint64_t random_time(void)
{
	uint64_t span_ns = random_span();

	switch (random_bits() % 8) {
	case 0:
		return span_ns > model.now_ns ? 0 : model.now_ns - span_ns;
	case 1:
		return random_node()->expires_ns;
	case 2:
		return random_bits();
	default:
		return later(model.now_ns, span_ns);
	}
}

static void model_arm(struct model_node *node)
{
	uint64_t expires_ns = random_time();

	node->kind = random_bits() % 4;
	node->armed = 1;
	node->turn = ++model.turns;
	node->loop = 0;
	sluice__wheel_arm(&wheel, &node->node, expires_ns, node->kind);
	node->expires_ns = expires_ns > UINT64_MAX - 3 ? UINT64_MAX - 3 : (expires_ns + 3) & ~3ULL;
	node->overdue = node->expires_ns <= model.now_ns;
}

static void model_disarm(struct model_node *node)
{
	node->armed = 0;
	sluice__wheel_disarm(&wheel, &node->node);
}

static int leaves_before(const struct model_node *a, const struct model_node *b)
{
	if (a->loop != b->loop)
		return a->loop < b->loop;
	if (a->overdue != b->overdue)
		return a->overdue;
	if (!a->overdue && a->expires_ns != b->expires_ns)
		return a->expires_ns < b->expires_ns;
	return a->turn < b->turn;
}

static void model_begin(uint64_t now_ns)
{
	model.loops++;
	if (now_ns > model.now_ns)
		model.now_ns = now_ns;
	for (int i = 0; i < MODEL_NODES; i++) {
		struct model_node *node = &model.nodes[i];

		if (node->armed && !node->loop && node->expires_ns <= model.now_ns)
			node->loop = model.loops;
	}
	sluice__wheel_expire_begin(&wheel, now_ns);
}

static struct model_node *model_first_due(void)
{
	struct model_node *first = NULL;

	for (int i = 0; i < MODEL_NODES; i++) {
		struct model_node *node = &model.nodes[i];

		if (node->armed && node->loop && (!first || leaves_before(node, first)))
			first = node;
	}
	return first;
}

static void change_something(void)
{
	if (random_bits() % 3)
		model_arm(random_node());
	else
		model_disarm(random_node());
}

static void check_next(void)
{
	uint64_t next_ns = sluice__wheel_next(&wheel);
	uint64_t earliest_ns = UINT64_MAX;

	for (int i = 0; i < MODEL_NODES; i++) {
		struct model_node *node = &model.nodes[i];

		hold(node->armed == sluice__wheel_is_armed(&node->node), "armed as in the model");
		if (node->armed && node->expires_ns < earliest_ns)
			earliest_ns = node->expires_ns;
	}
	hold(next_ns <= earliest_ns, "next is not later than the earliest");
	if (earliest_ns == UINT64_MAX)
		hold(next_ns == UINT64_MAX, "nothing armed, no wakeup");
	else if (earliest_ns <= model.now_ns)
		hold(next_ns == 0, "what is due is due at once");
	else
		hold(next_ns > model.now_ns, "no wakeup for nothing");
}

/* One loop, with changes in its middle; now and then left early. */
static int run_loop(uint64_t now_ns)
{
	int taken = 0;

	model_begin(now_ns);
	while (random_bits() % 64) {
		struct model_node *expected = model_first_due();
		struct sluice__wheel_node *node = sluice__wheel_expire(&wheel);

		hold(node == (expected ? &expected->node : NULL), "the right node leaves");
		if (!expected)
			break;
		hold(sluice__wheel_kind(node) == expected->kind, "the kind is kept");
		expected->armed = 0;
		taken++;
		if (random_bits() % 2)
			change_something();
	}
	check_next();
	return taken;
}

/* Waiting as long as the wheel says, again and again, comes to an expiry in a few wakeups. */
static void follow_next(void)
{
	for (int wakeups = 0; sluice__wheel_next(&wheel) != UINT64_MAX; wakeups++) {
		hold(wakeups <= SLUICE__WHEEL_LEVELS, "few wakeups before an expiry");
		if (run_loop(sluice__wheel_next(&wheel)))
			return;
	}
}

static void do_something(void)
{
	switch (random_bits() % 16) {
	case 0:
		run_loop(later(model.now_ns, random_span()));
		break;
	case 1:
		run_loop(later(model.now_ns, random_span() >> 20));
		break;
	case 2:
		follow_next();
		break;
	case 3:
		if (sluice__wheel_next(&wheel) > 0)
			run_loop(sluice__wheel_next(&wheel) - 1);
		break;
	default:
		change_something();
	}
	check_next();
}

static void drain(void)
{
	struct model_node *expected;

	model_begin(UINT64_MAX);
	while ((expected = model_first_due())) {
		hold(sluice__wheel_expire(&wheel) == &expected->node, "none is missed");
		expected->armed = 0;
	}
	hold(!sluice__wheel_expire(&wheel), "none expires twice");
	check_next();
}

static void run_model(unsigned int seed, uint64_t start_ns)
{
	memset(&model, 0, sizeof(model));
	model.seed = seed;
	model.random = seed;
	model.now_ns = start_ns;
	sluice__wheel_init(&wheel, start_ns);
	for (model.step = 0; model.step < MODEL_STEPS; model.step++)
		do_something();
	drain();
}

/* SLUICE_TEST_SEED=N runs that seed alone. */
Test(wheel, s05_random_use_agrees_with_a_naive_model)
{
	static const uint64_t starts_ns[] = {0, 1754321098765432, (1ULL << 62) - 12345,
					     UINT64_MAX - (1ULL << 50)};
	const char *chosen = getenv("SLUICE_TEST_SEED");
	unsigned int first = chosen ? strtoul(chosen, NULL, 0) : 1;
	unsigned int last = chosen ? first : MODEL_SEEDS;

	for (unsigned int seed = first; seed <= last; seed++)
		run_model(seed, starts_ns[seed % COUNT(starts_ns)]);
}

Test(wheel, s05_a_hundred_thousand_expire_once_each_and_in_order)
{
	enum {
		NODES = 100000
	};
	struct sluice__wheel_node *nodes = calloc(NODES, sizeof(*nodes));
	struct sluice__wheel_node *node;
	uint64_t before_ns = 0;
	int taken = 0;

	cr_assert_not_null(nodes);
	model.random = 1;
	sluice__wheel_init(&wheel, 0);
	for (int i = 0; i < NODES; i++)
		sluice__wheel_arm(&wheel, &nodes[i], 1 + random_bits() % (30 * second_ns), 0);
	for (uint64_t now_ns = 0; now_ns <= 30 * second_ns; now_ns += 100000) {
		sluice__wheel_expire_begin(&wheel, now_ns);
		while ((node = sluice__wheel_expire(&wheel))) {
			if (node->expires_ns < before_ns || node->expires_ns > now_ns ||
			    node->expires_ns + 100000 <= now_ns)
				cr_assert_fail("%lu at %lu", node->expires_ns, now_ns);
			before_ns = node->expires_ns;
			taken++;
		}
	}
	cr_expect_eq(taken, NODES);
	free(nodes);
}
