/* SPDX-License-Identifier: MIT */
/*
 * Measures the costs by which SLUICE_TRANSMIT_WAY_AUTO chooses: those of a system call and of an
 * entry. Both depend on the machine, so they are measured once per process, when the first ring is
 * enabled; that takes some dozens of system calls.
 */
#include <stdlib.h>

#include "backend/backend.h"
#include "backend/uring.h"
#include "core/plan.h"
#include "engine/owner.h"
#include "engine/state.h"

#define ROUNDS 5
#define ENTRIES 16u

/*
 * The time for no-op entries, from preparation to completion. UINT64_MAX: entries are waiting, so
 * nothing can be measured.
 */
static uint64_t measure_nops(struct sluice_engine *engine, unsigned int count)
{
	struct io_uring *ring = &engine->uring->ring;
	uint64_t before = sluice__now();

	if (io_uring_sq_ready(ring))
		return UINT64_MAX;
	for (unsigned int i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, SLUICE__INTERNAL_IGNORED);
	}
	io_uring_submit(ring); /* not counted in statistics.enters: not the application's */
	io_uring_cq_advance(ring, io_uring_cq_ready(ring));
	return sluice__now() - before;
}

/* The minimum of several rounds, because an interruption only adds time. */
static void measure_costs(struct sluice_engine *engine, struct sluice__costs *costs)
{
	uint64_t one = UINT32_MAX, many = UINT32_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t spent = measure_nops(engine, 1);

		one = spent < one ? spent : one;
		spent = measure_nops(engine, 1 + ENTRIES);
		many = spent < many ? spent : many;
	}
	costs->call = sluice__measure_call();
	costs->entry = many > one ? (uint32_t)(many - one) / ENTRIES : 0;
	costs->enter = one > costs->entry ? (uint32_t)one - costs->entry : 0;
}

/* Packed into one word, so that threads measuring concurrently need no lock. */
#define COST_BITS 21
#define COST_MAX ((UINT64_C(1) << COST_BITS) - 1) /* 2 ms */

static uint64_t costs_pack(const struct sluice__costs *costs)
{
	uint64_t call = costs->call < COST_MAX ? costs->call : COST_MAX;
	uint64_t enter = costs->enter < COST_MAX ? costs->enter : COST_MAX;
	uint64_t entry = costs->entry < COST_MAX ? costs->entry : COST_MAX;

	return call << 2 * COST_BITS | enter << COST_BITS | entry;
}

static void costs_unpack(uint64_t packed, struct sluice__costs *costs)
{
	costs->call = (uint32_t)(packed >> 2 * COST_BITS);
	costs->enter = (uint32_t)(packed >> COST_BITS & COST_MAX);
	costs->entry = (uint32_t)(packed & COST_MAX);
}

/* For tests: the number of turns after which the choice is reversed. */
static void read_test_flips(struct sluice_engine *engine)
{
	const char *turns = secure_getenv("SLUICE_TEST_FLIP_WAY");

	if (turns && !engine->options.ignore_environment)
		engine->ways.flips = (uint32_t)strtoul(turns, NULL, 10);
}

void sluice__uring_measure(struct sluice_engine *engine)
{
	static uint64_t known; /* atomic; 0: not yet */
	uint64_t packed = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (engine->options.transmit_way != SLUICE_TRANSMIT_WAY_AUTO)
		return;
	read_test_flips(engine);
	if (!packed && engine->options.ring_entries > ENTRIES) {
		measure_costs(engine, &engine->ways.costs);
		packed = costs_pack(&engine->ways.costs);
		__atomic_store_n(&known, packed, __ATOMIC_RELAXED);
	}
	costs_unpack(packed, &engine->ways.costs);
}
