/* SPDX-License-Identifier: MIT */
/* When zero copy is used, and memory that is registered for it. */
#include "contract_b11_zerocopy.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* ---- the policy ---- */

#define LARGE ((size_t)100000)

/* On loopback the kernel copies all the same: the bytes leave at once, and no record waits for an ACK. */
ENGINE_TEST(b11, b11_to_this_machine_nothing_goes_by_zero_copy)
{
	struct operation *operations;
	struct pair pair;
	unsigned char *bytes = pattern_new(LARGE * 30, 0);

	operations = operations_new(fixture, 30);
	tcp_pair(fixture, &pair, 0);
	for (size_t i = 0; i < 20; i++) {
		run_send(pair.socket, &operations[0], bytes + i * LARGE % 251, LARGE);
		run_reading(fixture, pair.peer, LARGE, i * LARGE);
	}
	/* More than one transmission takes, so that something is queued behind it. */
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < 30; i++)
		cr_assert_eq(start_send(pair.socket, &operations[i],
					bytes + (20 * LARGE) % 251 + i * (LARGE - 251),
					LARGE - 251),
			     1);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_reading(fixture, pair.peer, 30 * (LARGE - 251), 20 * LARGE);
	run_until(fixture, fixture->pending == 0);
	cr_assert_eq(engine_statistics(fixture).zerocopy_sends, 0);
	cr_assert_neq(learned(pair.socket), SLUICE_ZEROCOPY_LEARNED_USEFUL);
	pair_close(&pair);
	free(operations);
	free(bytes);
}

/* How many bytes the kernel accepts on a connection with default buffers and no reader. */
static size_t measure_room(struct fixture *fixture, const unsigned char *bytes, size_t most)
{
	struct pair pair;
	ssize_t taken;

	tcp_pair(fixture, &pair, 0);
	taken = send(sluice_socket_fd(pair.socket), bytes, most, MSG_DONTWAIT | MSG_NOSIGNAL);
	cr_assert_gt(taken, 0);
	pair_close(&pair);
	return (size_t)taken;
}

/* A program with one thread may send, and read its other end afterwards. */
ENGINE_TEST(b05, b05_what_the_kernel_has_room_for_ends_before_the_peer_reads)
{
	static const size_t parts[] = {1, 3, 40};
	size_t most = 16 << 20, room;
	unsigned char *bytes = pattern_new(most, 0);
	struct operation *operations;
	struct pair pair;

	operations = operations_new(fixture, 40);
	room = measure_room(fixture, bytes, most) / 2;
	for (size_t way = 0; way < 6; way++) {
		size_t count = parts[way / 2], length = room / count;

		tcp_pair(fixture, &pair, 0);
		if (way % 2)
			cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
		for (size_t i = 0; i < count; i++)
			cr_assert_geq(start_send(pair.socket, &operations[i], bytes + i * length,
						 length),
				      0);
		if (way % 2)
			cr_assert_eq(sluice_batch_end(fixture->engine), 0);
		run_until(fixture, fixture->pending == 0);
		run_reading(fixture, pair.peer, count * length, 0);
		pair_close(&pair);
	}
	free(operations);
	free(bytes);
}

/* ---- registered memory ---- */

static void *new_pages(size_t length)
{
	void *pages =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(pages, MAP_FAILED);
	return pages;
}

#define PAGES ((size_t)1 << 20)

Test(b11, b11_sends_from_registered_memory_arrive)
{
	struct fixture fixture;
	struct operation operations[4];
	struct iovec segments[2];
	struct pair pair;
	unsigned char *bytes = new_pages(PAGES);

	begin_forced(&fixture);
	tcp_pair(&fixture, &pair, 0);
	pattern_fill(bytes, PAGES, 0);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, bytes, PAGES), 0);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (size_t i = 0; i < 3; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair.socket, &operations[i], bytes + i * 30000, 30000), 1);
	}
	operation_init(&operations[3], &fixture);
	segments[0] = segment(bytes + 90000, 100000);
	segments[1] = segment(bytes + 190000, 100000);
	cr_assert_eq(sluice_args_set_buffer_list(&operations[3].args, segments, 2), 0);
	cr_assert_eq(start(sluice_send_async, pair.socket, &operations[3]), 1);
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	run_reading(&fixture, pair.peer, 290000, 0);
	run_until(&fixture, fixture.pending == 0);
	assert_way(&fixture);

	/* A lone buffer, and the memory is unregistered while it is on its way. */
	cr_assert_geq(start_send(pair.socket, &operations[0], bytes + 290000, 30000), 0);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, bytes), 0);
	run_reading(&fixture, pair.peer, 30000, 290000);
	run_until(&fixture, fixture.pending == 0);
	if (has_zerocopy(&fixture) && has(&fixture, SLUICE_CAPABILITY_REGISTERED_MEMORY))
		cr_assert_gt(engine_statistics(&fixture).zerocopy_registered, 0);
	cr_assert_geq(start_send(pair.socket, &operations[0], bytes + 320000, 30000), 0);
	run_reading(&fixture, pair.peer, 30000, 320000);
	run_until(&fixture, fixture.pending == 0);
	pair_close(&pair);
	fixture_end(&fixture);
	munmap(bytes, PAGES);
}

Test(memory, memory_is_registered_once_and_by_its_base)
{
	struct fixture fixture;
	char *bytes = new_pages(PAGES);

	fixture_begin(&fixture);
	cr_assert_eq(sluice_engine_register_memory(NULL, bytes, PAGES), -EINVAL);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, NULL, PAGES), -EINVAL);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, bytes, 0), -EINVAL);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, bytes, SIZE_MAX), -EINVAL);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, bytes, PAGES), 0);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, bytes, 4096), -EEXIST);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, bytes + 1), -ENOENT);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, NULL), -EINVAL);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, bytes), 0);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, bytes), -ENOENT);
	for (int i = 0; i < 64; i++)
		cr_assert_eq(sluice_engine_register_memory(fixture.engine, bytes + i * 4096, 4096),
			     0);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, bytes + 64 * 4096, 4096),
		     -ENOBUFS);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, bytes + 5 * 4096), 0);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, bytes + 64 * 4096, 4096), 0);
	fixture_end(&fixture);
	munmap(bytes, PAGES);
}

static void *register_elsewhere(void *token)
{
	struct fixture *fixture = token;
	static char bytes[4096];

	cr_assert_eq(sluice_engine_register_memory(fixture->engine, bytes, sizeof bytes), -EPERM);
	cr_assert_eq(sluice_engine_unregister_memory(fixture->engine, bytes), -EPERM);
	return NULL;
}

ENGINE_TEST(memory, memory_is_the_owners_to_register)
{
	pthread_t thread;

	cr_assert_eq(sluice_engine_flush(fixture->engine), 0);
	cr_assert_eq(pthread_create(&thread, NULL, register_elsewhere, fixture), 0);
	pthread_join(thread, NULL);
}

/* b14: sends from it work, whether it can be registered or not. */
Test(b14, b14_read_only_memory_may_not_be_registered_but_sent)
{
	struct fixture fixture;
	struct operation operation;
	struct pair pair;
	unsigned char *bytes = new_pages(PAGES);
	int answer;

	begin_forced(&fixture);
	tcp_pair(&fixture, &pair, 0);
	pattern_fill(bytes, PAGES, 0);
	cr_assert_eq(mprotect(bytes, PAGES, PROT_READ), 0);
	answer = sluice_engine_register_memory(fixture.engine, bytes, PAGES);
	cr_assert(answer == 0 || answer == -EFAULT);
	operation_init(&operation, &fixture);
	cr_assert_geq(start_send(pair.socket, &operation, bytes, 50000), 0);
	run_reading(&fixture, pair.peer, 50000, 0);
	run_until(&fixture, fixture.pending == 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 50000);
	assert_way(&fixture);
	pair_close(&pair);
	fixture_end(&fixture);
	munmap(bytes, PAGES);
}
