/* SPDX-License-Identifier: MIT */
/* d10: a slow reader of one file delays no other socket and occupies no kernel worker thread. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "files.h"
#include "measure.h"

/* Connections whose peers read nothing, each with a file in progress. */
#define SLOW 50

struct slow {
	struct pair pairs[SLOW];
	struct operation *operations;
};

static void slow_begin(struct slow *slow, struct fixture *fixture,
		       const struct sluice_packet *packet)
{
	slow->operations = operations_new(fixture, SLOW);
	for (int i = 0; i < SLOW; i++) {
		tcp_pair(fixture, &slow->pairs[i], SMALL);
		cr_assert_eq(start_packets(slow->pairs[i].socket, &slow->operations[i], packet, 1),
			     1);
	}
}

static void slow_end(struct slow *slow, struct fixture *fixture)
{
	for (int i = 0; i < SLOW; i++)
		cr_assert(!is_over(&slow->operations[i]), "a reader that reads nothing was done");
	for (int i = 0; i < SLOW; i++)
		sluice_socket_close(slow->pairs[i].socket);
	run_until(fixture, are_over(slow->operations, SLOW));
	for (int i = 0; i < SLOW; i++)
		pair_close(&slow->pairs[i]);
	free(slow->operations);
}

/* A few may fetch cold files or splice; those of slow readers would be SLOW. */
static void assert_few_workers(void)
{
	struct sluice_options options = files_options();
	uint32_t workers = (uint32_t)count_ring_workers();

	cr_assert_leq(workers, options.worker_threads, "%u kernel threads work for the ring",
		      workers);
}

SCENE_TEST(d10, d10_slow_readers_delay_nobody_and_hold_no_worker_thread, 8 * MIB, 0)
{
	struct slow slow;
	struct sluice_packet packet, small;

	packet = file_packet(scene->file.fd, 0, 0);
	slow_begin(&slow, &scene->fixture, &packet);
	run_idle(&scene->fixture);
	assert_few_workers();
	/* The slow readers never read: what waited for one of them would wait forever. */
	small = file_packet(scene->file.fd, 0, 16 * KIB);
	for (int i = 0; i < 200; i++)
		assert_arrives(scene, &small, 1, 16 * KIB, 0);
	assert_few_workers();
	slow_end(&slow, &scene->fixture);
}

/* Nothing is tried again and again: the engine sleeps until a peer reads. */
SCENE_TEST(d10, d10_slow_readers_cost_no_turns, 8 * MIB, 0)
{
	struct slow slow;
	struct sluice_packet packet;
	uint64_t turns = 0;

	packet = file_packet(scene->file.fd, 0, 0);
	slow_begin(&slow, &scene->fixture, &packet);
	run_idle(&scene->fixture);
	/* On a busy machine the kernel may still be at the last slices. */
	for (int i = 0; i < 10; i++) {
		turns = turns_in(&scene->fixture, 200 * MILLISECOND);
		if (turns <= 20)
			break;
	}
	cr_assert_leq(turns, 20, "%llu turns in 200 ms in which nothing happened",
		      (unsigned long long)turns);
	slow_end(&slow, &scene->fixture);
}

/* ---- fast readers ---- */

/* Many gibibytes from a hot file: never done while the others are at it. */
#define REPEATS 1000

SCENE_TEST(d10, d10_a_fast_reader_of_a_large_file_starves_nobody, 32 * MIB, 0)
{
	struct sluice_packet *packets = calloc(REPEATS, sizeof *packets);
	struct pair other;
	struct operation small;
	struct reader reader;

	tcp_pair(&scene->fixture, &other, 0);
	operation_init(&small, &scene->fixture);
	for (size_t i = 0; i < REPEATS; i++)
		packets[i] = file_packet(scene->file.fd, 0, 0);
	reader_start(&reader, scene->pair.peer, 0);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, REPEATS), 1);
	for (int i = 0; i < 100; i++) {
		int turns = 0;

		small.args.flags = SLUICE_FLAG_BATCHED;
		cr_assert_eq(start_send(other.socket, &small, "small", 5), 1);
		for (; !is_over(&small); turns++)
			cr_assert(sluice_engine_run(scene->fixture.engine, MILLISECOND) >= 0);
		cr_assert_leq(turns, 5, "a small send took %d turns beside a large file", turns);
		read_exactly(other.peer, (char[5]){0}, 5);
	}
	cr_assert(!is_over(&scene->operation), "the file was done too early to tell anything");
	sluice_socket_close(scene->pair.socket);
	run_until(&scene->fixture, is_over(&scene->operation));
	cr_assert_eq(pthread_join(reader.thread, NULL), 0);
	pair_close(&other);
	free(packets);
}

Test(d10, d10_one_file_gets_no_more_than_its_slice_a_turn)
{
	const size_t slice = 64 * KIB, length = 16 * MIB;
	struct sluice_options options = files_options();
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct file file;
	struct sluice_packet packet;
	struct reader reader;
	uint64_t before, turns;

	options.file_slice_bytes = slice;
	file_new(&file, length, 0);
	files_begin(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	packet = file_packet(file.fd, 0, 0);
	reader_start(&reader, pair.peer, 0);
	before = statistics_of(&fixture).turns;
	send_packets(pair.socket, &operation, &packet, 1);
	turns = statistics_of(&fixture).turns - before;
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	/* One slice may have left in the starting call. */
	cr_assert_geq(turns + 1, length / slice, "%llu turns", (unsigned long long)turns);
	sluice_socket_close(pair.socket);
	run_idle(&fixture);
	reader_join(&reader);
	pair_close(&pair);
	fixture_end(&fixture);
	file_end(&file);
}
