/* SPDX-License-Identifier: MIT */
/* The engine over the scripted backend: random sends, answers and batches. */
#include "engine_scripted.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	SOCKETS = 4,
	SENDS = 400
};

struct traffic {
	uint64_t state;
	struct pair pairs[SOCKETS];
	struct operation operations[SOCKETS][SENDS];
	uint64_t bytes[SOCKETS][SENDS];
	int started[SOCKETS];
	size_t position[SOCKETS];
	bool in_batch;
};

static uint64_t below(uint64_t *state, uint64_t bound)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % bound;
}

static void send_one(struct traffic *traffic)
{
	static const uint32_t flags[] = {
		0, 0, 0, SLUICE_FLAG_MORE, SLUICE_FLAG_EAGER, SLUICE_FLAG_BATCHED,
	};
	int s = (int)below(&traffic->state, SOCKETS), k = traffic->started[s];
	size_t bytes = below(&traffic->state, 150);
	struct operation *operation = &traffic->operations[s][k];

	if (k == SENDS)
		return;
	operation_init(operation, &fixture);
	operation->args.flags = flags[below(&traffic->state, COUNT(flags))];
	cr_assert(start_send(traffic->pairs[s].socket, operation, pattern + traffic->position[s],
			     bytes) >= 0);
	traffic->started[s]++;
	traffic->bytes[s][k] = bytes;
	traffic->position[s] += bytes;
}

/* Some request, not always the oldest: all, short, or again. */
static void answer_one(struct traffic *traffic)
{
	uint32_t open = scripted_open(SLUICE__REQUEST_NONE);
	uint64_t which = open ? below(&traffic->state, open) : 0;

	for (uint32_t i = 0; i < scripted.request_count; i++) {
		const struct scripted_request *noted = &scripted.requests[i];

		if (noted->answered || which-- > 0)
			continue;
		if (noted->kind != SLUICE__REQUEST_SEND)
			scripted_answer(i, 0);
		else if (!noted->handed_over)
			return;
		else if (below(&traffic->state, 6) == 0)
			scripted_answer(i, below(&traffic->state, 2) ? -EAGAIN : -EINTR);
		else
			scripted_answer(
				i, (int32_t)(below(&traffic->state, 2)
						     ? noted->bytes
						     : below(&traffic->state, noted->bytes + 1)));
		return;
	}
}

static void change_answer(struct traffic *traffic)
{
	switch (below(&traffic->state, 3)) {
	case 0:
		scripted.attempt_answer = -EAGAIN;
		break;
	case 1:
		scripted.attempt_answer = (int64_t)below(&traffic->state, 300) + 1;
		break;
	default:
		scripted.attempt_answer = SCRIPTED_ALL;
	}
}

static void toggle_batch(struct traffic *traffic)
{
	traffic->in_batch = !traffic->in_batch;
	if (traffic->in_batch)
		cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	else
		cr_assert_eq(sluice_batch_end(fixture.engine), 0);
}

static void traffic_step(struct traffic *traffic)
{
	switch (below(&traffic->state, 8)) {
	case 0:
		run();
		break;
	case 1:
	case 2:
		answer_one(traffic);
		break;
	case 3:
		change_answer(traffic);
		break;
	case 4:
		toggle_batch(traffic);
		break;
	default:
		send_one(traffic);
	}
}

/* Everything is sent, in order, and each record reports its own bytes. */
static void traffic_end(struct traffic *traffic)
{
	if (traffic->in_batch)
		toggle_batch(traffic);
	scripted.attempt_answer = SCRIPTED_ALL;
	for (int turn = 0; turn < 1000 && fixture.pending; turn++) {
		answer_all();
		run();
	}
	for (int s = 0; s < SOCKETS; s++) {
		uint64_t turn = 0;

		for (int k = 0; k < traffic->started[s]; k++) {
			const struct operation *operation = &traffic->operations[s][k];

			assert_ended(operation, SLUICE_ERROR_SUCCESS, traffic->bytes[s][k]);
			cr_assert(!operation->turn || operation->turn > turn,
				  "a handler ran before an earlier record's");
			if (operation->turn)
				turn = operation->turn;
		}
		scripted_assert_stream(traffic->pairs[s].socket, traffic->position[s]);
		cr_assert_eq(sluice_socket_queued_bytes(traffic->pairs[s].socket), 0);
		pair_close(&traffic->pairs[s]);
	}
	run();
	answer_all();
	scripted_end(&fixture);
}

static uint64_t current_seed;

/* Runs also when the test has failed, and then there is a seed. */
static void tell_seed(void)
{
	if (current_seed)
		fprintf(stderr, "SLUICE_TEST_SEED=%llu runs it again\n",
			(unsigned long long)current_seed);
}

Test(engine, whatever_is_answered_each_stream_stays_whole_and_in_order, .fini = tell_seed)
{
	static struct traffic traffic;
	const char *given = getenv("SLUICE_TEST_SEED");
	uint64_t first = given ? strtoull(given, NULL, 0)
			       : (uint64_t)time(NULL) << 20 | (uint64_t)getpid() << 4 | 1;

	for (uint64_t seed = first; seed < first + (given ? 1 : 60); seed++) {
		current_seed = seed;
		memset(&traffic, 0, sizeof traffic);
		traffic.state = seed;
		begin_stream(&traffic.pairs[0], seed % 2);
		for (int s = 1; s < SOCKETS; s++)
			unix_pair(&fixture, &traffic.pairs[s], SOCK_STREAM);
		for (int step = 0; step < 1500; step++)
			traffic_step(&traffic);
		traffic_end(&traffic);
	}
	current_seed = 0;
}
