/* SPDX-License-Identifier: MIT */
/*
 * What SLUICE_TRANSMIT_WAY_AUTO chooses by: a system call against an entry of the ring. Neither is
 * known beforehand, so both are measured, once per process, when the first ring is enabled: some
 * dozens of calls.
 */
#include <stdlib.h>

#include "backend/uring.h"
#include "engine/state.h"

#define ROUNDS 5
#define ENTRIES 16u

/*
 * Entries that do nothing, from their preparation to their completions. UINT64_MAX: the kernel does
 * not take them.
 */
static uint64_t time_entries(struct sluice_engine *engine, unsigned int count)
{
	struct io_uring *ring = &engine->uring->ring;
	uint64_t before = sluice__now();

	if (io_uring_sq_ready(ring))
		return UINT64_MAX;
	for (unsigned int i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, SLUICE__OURS_IGNORED);
	}
	io_uring_submit(ring); /* not counted: it serves no program */
	io_uring_cq_advance(ring, io_uring_cq_ready(ring));
	return sluice__now() - before;
}

/* The least of several rounds: what interrupts one of them is not the ring's. */
static void measure(struct sluice_engine *engine, struct sluice__costs *costs)
{
	uint64_t one = UINT32_MAX, many = UINT32_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t spent = time_entries(engine, 1);

		one = spent < one ? spent : one;
		spent = time_entries(engine, 1 + ENTRIES);
		many = spent < many ? spent : many;
	}
	costs->call = sluice__measure_call();
	costs->entry = many > one ? (uint32_t)(many - one) / ENTRIES : 0;
	costs->enter = one > costs->entry ? (uint32_t)one - costs->entry : 0;
}

/* One word, so that threads which measure at the same time need no lock. */
#define BITS 21
#define MOST ((UINT64_C(1) << BITS) - 1) /* two milliseconds */

static uint64_t pack(const struct sluice__costs *costs)
{
	uint64_t call = costs->call < MOST ? costs->call : MOST;
	uint64_t enter = costs->enter < MOST ? costs->enter : MOST;
	uint64_t entry = costs->entry < MOST ? costs->entry : MOST;

	return call << 2 * BITS | enter << BITS | entry;
}

static void unpack(uint64_t packed, struct sluice__costs *costs)
{
	costs->call = (uint32_t)(packed >> 2 * BITS);
	costs->enter = (uint32_t)(packed >> BITS & MOST);
	costs->entry = (uint32_t)(packed & MOST);
}

/* For tests: the choice changes every so many turns. */
static void read_flips(struct sluice_engine *engine)
{
	const char *turns = secure_getenv("SLUICE_TEST_FLIP_WAY");

	if (turns && !engine->options.ignore_environment)
		engine->way_flips = (uint32_t)strtoul(turns, NULL, 10);
}

void sluice__uring_measure(struct sluice_engine *engine)
{
	static uint64_t known; /* atomic; 0: not yet */
	uint64_t packed = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (engine->options.transmit_way != SLUICE_TRANSMIT_WAY_AUTO)
		return;
	read_flips(engine);
	if (!packed && engine->options.ring_entries > ENTRIES) {
		measure(engine, &engine->costs);
		packed = pack(&engine->costs);
		__atomic_store_n(&known, packed, __ATOMIC_RELAXED);
	}
	unpack(packed, &engine->costs);
}
