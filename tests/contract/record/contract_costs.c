/* SPDX-License-Identifier: MIT */
/*
 * No allocation for an operation, after a socket's first: every malloc of the process and every
 * mmap is counted while a round of operations runs that has run before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "apm.h"
#include "files.h"
#include "measure.h"
#include "streams.h"

/* What counts the allocations of a process can be installed once. */
CASES_ALONE

static _Atomic uint64_t allocations;

#ifdef __SANITIZE_ADDRESS__

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *memory, size_t size)
{
	allocations++;
}

static void on_free(const volatile void *memory)
{
}

static void count_allocations(void)
{
	cr_assert(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free));
}

#else

/* The library's calls meet these before the C library's. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	allocations++;
	return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	allocations++;
	return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	allocations++;
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
	allocations++;
	*ret_memory = __libc_memalign(alignment, size);
	return *ret_memory ? 0 : ENOMEM;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	allocations++;
	return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

static void count_allocations(void)
{
}

#endif

/* What one round works with; rounds allocate nothing of their own. */
#define RECORDS 64

struct round {
	struct fixture fixture;
	struct pair pair;
	struct operation *operations;
	struct file file;
	char *memory;
	void (*run)(struct round *round);
};

static char sink[MIB];

/* Runs the engine and throws away what arrives until the operations are over. */
static void drain(struct round *round, size_t count)
{
	int64_t deadline = now_ns() + GUARD_NS;

	do {
		while (recv(round->pair.peer, sink, sizeof sink, MSG_DONTWAIT) > 0)
			;
		cr_assert(sluice_engine_run(round->fixture.engine, 0) >= 0);
		cr_assert_lt(now_ns(), deadline);
	} while (!are_over(round->operations, count));
	while (recv(round->pair.peer, sink, sizeof sink, MSG_DONTWAIT) > 0)
		;
}

static void round_begin(struct round *round)
{
	struct sluice_options options;

	count_allocations();
	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	/* A second one may still be starting, or be made later, while the first is not yet idle. */
	options.handler_threads_max = 1;
	round->memory = pattern_new(MIB, 0);
	file_new(&round->file, 2 * MIB, 0);
	files_begin(&round->fixture, &options);
	tcp_pair(&round->fixture, &round->pair, SMALL);
	round->operations = operations_new(&round->fixture, RECORDS);
}

static void round_end(struct round *round)
{
	pair_close(&round->pair);
	fixture_end(&round->fixture);
	file_end(&round->file);
	free(round->operations);
	free(round->memory);
}

/*
 * A pool has as many elements as were in use at one time. A round in which the socket is fuller than
 * before uses more of them, which the first rounds cannot rule out, so that a hundred rounds may fill
 * a pool: but not each hundred.
 */
#define HUNDREDS 5

static void assert_allocates_nothing(void (*run)(struct round *round))
{
	struct round round;
	uint64_t before, counted, found = 0, reported = 0;

	round_begin(&round);
	run(&round);
	run(&round);
	for (int attempt = 0; attempt < HUNDREDS; attempt++) {
		before = allocations;
		counted = statistics_of(&round.fixture).allocations;
		for (int i = 0; i < 100; i++)
			run(&round);
		found = allocations - before;
		reported = statistics_of(&round.fixture).allocations - counted;
		if (!found && !reported)
			break;
	}
	cr_assert_eq(found, 0, "%llu allocations in each hundred rounds",
		     (unsigned long long)found);
	cr_assert_eq(reported, 0);
	round_end(&round);
}

/* Otherwise the other tests would prove nothing. */
Test(costs, costs_allocations_are_seen)
{
	struct fixture fixture;
	uint64_t before;

	count_allocations();
	before = allocations;
	fixture_begin(&fixture);
	cr_assert_gt(allocations, before);
	cr_assert_gt(statistics_of(&fixture).allocations, 0);
	fixture_end(&fixture);
}

static void send_eagerly(struct round *round)
{
	for (int i = 0; i < RECORDS; i++) {
		cr_assert(start_send(round->pair.socket, &round->operations[i], "hello", 5) >= 0);
		drain(round, RECORDS);
	}
}

Test(costs, costs_an_eager_send_allocates_nothing)
{
	assert_allocates_nothing(send_eagerly);
}

static void send_batched(struct round *round)
{
	cr_assert_eq(sluice_batch_begin(round->fixture.engine), 0);
	for (int i = 0; i < RECORDS; i++)
		cr_assert_eq(start_send(round->pair.socket, &round->operations[i], "hello", 5), 1);
	cr_assert_eq(sluice_batch_end(round->fixture.engine), 0);
	drain(round, RECORDS);
}

Test(costs, costs_a_batch_of_sends_allocates_nothing)
{
	assert_allocates_nothing(send_batched);
}

/* Pending, short and continued. */
static void send_more_than_fits(struct round *round)
{
	for (int i = 0; i < 4; i++)
		cr_assert(start_send(round->pair.socket, &round->operations[i], round->memory,
				     200000) >= 0);
	drain(round, 4);
}

Test(costs, costs_a_send_that_waits_allocates_nothing)
{
	assert_allocates_nothing(send_more_than_fits);
}

static void send_lists(struct round *round)
{
	static struct iovec segments[2000];

	for (int i = 0; i < 2000; i++)
		segments[i] = segment(round->memory + i, 1);
	for (int i = 0; i < 4; i++) {
		struct operation *operation = &round->operations[i];

		cr_assert_eq(sluice_args_set_buffer_list(&operation->args, segments, 2000), 0);
		cr_assert(start(sluice_send_async, round->pair.socket, operation) >= 0);
	}
	drain(round, 4);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(sluice_args_set_buffer_list(&round->operations[i].args, NULL, 0), 0);
}

Test(costs, costs_a_list_allocates_nothing)
{
	assert_allocates_nothing(send_lists);
}

static void send_memory_packets(struct round *round)
{
	static struct sluice_packet packets[20];

	for (int i = 0; i < 20; i++)
		packets[i] = memory_packet(round->memory, 1000);
	for (int i = 0; i < 4; i++)
		cr_assert(start_packets(round->pair.socket, &round->operations[i], packets, 20) >=
			  0);
	drain(round, 4);
}

Test(costs, costs_packets_of_memory_allocate_nothing)
{
	assert_allocates_nothing(send_memory_packets);
}

static void send_files(struct round *round)
{
	static struct sluice_packet packets[4];

	packets[0] = memory_packet(round->memory, 100);
	packets[1] = file_packet(round->file.fd, 0, 1000);
	packets[2] = file_packet(round->file.fd, 0, 300000);
	packets[3] = memory_packet(round->memory, 100);
	for (int i = 0; i < 4; i++)
		cr_assert(start_packets(round->pair.socket, &round->operations[i], packets, 4) >=
			  0);
	drain(round, 4);
}

Test(costs, costs_files_by_descriptor_allocate_nothing)
{
	assert_allocates_nothing(send_files);
}

static void send_paths(struct round *round)
{
	static struct sluice_packet packets[2];

	packets[0] = path_packet(round->file.path, 0, 1000);
	packets[1] = path_packet(round->file.path, 0, 10000);
	for (int i = 0; i < 4; i++)
		cr_assert(start_packets(round->pair.socket, &round->operations[i], packets, 2) >=
			  0);
	drain(round, 4);
}

Test(costs, costs_files_by_path_allocate_nothing)
{
	assert_allocates_nothing(send_paths);
}

/* file_chill looks whether it worked, and allocates for that. */
static void send_cold_files(struct round *round)
{
	struct sluice_packet packet = file_packet(round->file.fd, 0, 0);

	cr_assert_eq(fsync(round->file.fd), 0);
	cr_assert_eq(posix_fadvise(round->file.fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	cr_assert(start_packets(round->pair.socket, &round->operations[0], &packet, 1) >= 0);
	drain(round, 1);
}

Test(costs, costs_cold_files_allocate_nothing)
{
	assert_allocates_nothing(send_cold_files);
}

static void receive(struct round *round)
{
	for (int i = 0; i < 10; i++) {
		cr_assert(start_receive(round->pair.socket, &round->operations[i], sink, 10) >= 0);
		cr_assert_eq(send(round->pair.peer, "0123456789", 10, MSG_NOSIGNAL), 10);
		drain(round, 10);
	}
}

Test(costs, costs_a_receive_allocates_nothing)
{
	assert_allocates_nothing(receive);
}

static void give_up(struct round *round)
{
	struct operation *overdue = &round->operations[0], *cancelled = &round->operations[1];
	static char bytes[2][16];

	overdue->args.timeout_ns = MILLISECOND;
	cr_assert_eq(start_receive(round->pair.socket, overdue, bytes[0], 16), 1);
	cancelled->args.timeout_ns = SECOND;
	cr_assert_eq(start_receive(round->pair.socket, cancelled, bytes[1], 16), 1);
	cr_assert_eq(sluice_cancel(round->pair.socket, &cancelled->args), 0);
	drain(round, 2);
	cr_assert_eq(overdue->args.error, SLUICE_ERROR_TIMED_OUT);
	cr_assert_eq(cancelled->args.error, SLUICE_ERROR_OPERATION_ABORTED);
}

Test(costs, costs_deadlines_and_cancels_allocate_nothing)
{
	assert_allocates_nothing(give_up);
}

static void count_expiration(struct sluice_engine *engine, struct sluice_timer *timer)
{
	++*(int *)timer->token;
}

static void arm_timers(struct round *round)
{
	static struct sluice_timer timers[1000];
	int expirations = 0;

	for (int i = 0; i < 1000; i++) {
		timers[i].expired = count_expiration;
		timers[i].token = &expirations;
		cr_assert_eq(sluice_timer_start(round->fixture.engine, &timers[i],
						i % 2 ? 3600 * SECOND : i * 1000),
			     0);
	}
	while (expirations < 500)
		drain(round, 0);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(sluice_timer_stop(round->fixture.engine, &timers[i]), 0);
}

Test(costs, costs_timers_allocate_nothing)
{
	assert_allocates_nothing(arm_timers);
}

/* Delivered events, on a stream that pauses for lack of buffers and resumes. */
Test(costs, costs_a_stream_of_received_bytes_allocates_nothing)
{
	static struct consumer consumer;
	struct round round;
	uint64_t before = 0;

	round_begin(&round);
	consumer_init(&consumer, &round.fixture, round.pair.socket);
	cr_assert_eq(start_consuming(&consumer), 0);
	for (uint64_t position = 0; position < 200 * 10000; position += 10000) {
		if (position == 20 * 10000)
			before = allocations;
		consumer.holds = position / 10000 % 2;
		pattern_fill(sink, 10000, position);
		cr_assert_eq(send(round.pair.peer, sink, 10000, MSG_NOSIGNAL), 10000);
		while (consumer.position < position + 10000) {
			cr_assert(sluice_engine_run(round.fixture.engine, SECOND) >= 0);
			release_all(&consumer);
		}
	}
	cr_assert_eq(allocations, before, "%llu allocations",
		     (unsigned long long)(allocations - before));
	cr_assert_eq(stop_consuming(&consumer), 0);
	run_until(&round.fixture, consumer.terminals > 0);
	round_end(&round);
}

/* ---- Begin and End ---- */

/* c16: the first use may fill the pool, the ninety-nine after it allocate nothing. */
static void assert_first_use_is_enough(void (*run)(struct round *round))
{
	struct round round;
	uint64_t before, counted;

	round_begin(&round);
	run(&round);
	before = allocations;
	counted = statistics_of(&round.fixture).allocations;
	for (int i = 0; i < 99; i++)
		run(&round);
	cr_assert_eq(allocations, before, "%llu allocations in ninety-nine uses",
		     (unsigned long long)(allocations - before));
	cr_assert_eq(statistics_of(&round.fixture).allocations, counted);
	round_end(&round);
}

static void begin_and_end(struct round *round)
{
	struct sluice_async_result *result;
	enum sluice_socket_error error;

	cr_assert_eq(sluice_begin_send(round->pair.socket, "hello", 5, 0, 5, 0, &error, NULL, NULL,
				       &result),
		     0);
	cr_assert_eq(sluice_end_send(round->pair.socket, result, &error), 5);
	drain(round, 0);
}

Test(c16, c16_begin_and_end_allocate_nothing_after_the_first)
{
	assert_first_use_is_enough(begin_and_end);
}

static void begin_with_callback(struct round *round)
{
	static struct call call;
	int64_t deadline = now_ns() + GUARD_NS;

	call_init(&call, &round->fixture, round->pair.socket);
	call.within = ends_send;
	cr_assert_eq(begin_send(&call, "hello", 5), 0);
	while (!was_called(&call)) {
		cr_assert_lt(now_ns(), deadline);
		usleep(100);
	}
	cr_assert_eq(call.answer, 5);
	drain(round, 0);
}

Test(c16, c16_callbacks_allocate_nothing_after_the_first)
{
	assert_first_use_is_enough(begin_with_callback);
}

/* Short, waited for and continued, with a callback in between. */
static void begin_more_than_fits(struct round *round)
{
	static struct call call;

	call_init(&call, &round->fixture, round->pair.socket);
	call.within = ends_send;
	cr_assert_eq(begin_send(&call, round->memory, 200000), 0);
	while (!was_called(&call))
		drain(round, 0);
	cr_assert_eq(call.answer, 200000);
}

Test(c16, c16_sends_that_wait_allocate_nothing_after_the_first)
{
	assert_first_use_is_enough(begin_more_than_fits);
}

/* The first time cold, so that what fetches it is there: a page may go at any time. */
static void begin_file(struct round *round)
{
	static struct call call;

	if (!call.fixture) {
		cr_assert_eq(fsync(round->file.fd), 0);
		cr_assert_eq(posix_fadvise(round->file.fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	}
	call_init(&call, &round->fixture, round->pair.socket);
	call.within = ends_send_file;
	cr_assert_eq(sluice_begin_send_file(round->pair.socket, round->file.path, "before", 6,
					    "after", 5, 0, call_back, &call, &call.result),
		     0);
	while (!was_called(&call))
		drain(round, 0);
	cr_assert_eq(call.answer, 0);
}

Test(c16, c16_files_allocate_nothing_after_the_first)
{
	assert_first_use_is_enough(begin_file);
}

static void begin_list_and_receive(struct round *round)
{
	struct iovec segments[] = {segment("a", 1), segment("b", 1), segment("c", 1)};
	struct sluice_async_result *sending, *receiving;

	cr_assert_eq(send(round->pair.peer, "answer", 6, MSG_NOSIGNAL), 6);
	cr_assert_eq(sluice_begin_receive(round->pair.socket, sink, sizeof sink, 0, 6, 0, NULL,
					  NULL, NULL, &receiving),
		     0);
	cr_assert_eq(sluice_begin_send_list(round->pair.socket, segments, 3, 0, NULL, NULL, NULL,
					    &sending),
		     0);
	while (!sluice_async_result_is_completed(receiving))
		cr_assert(sluice_engine_run(round->fixture.engine, SECOND) >= 0);
	cr_assert_eq(sluice_end_receive(round->pair.socket, receiving, NULL), 6);
	cr_assert_eq(sluice_end_send(round->pair.socket, sending, NULL), 3);
	drain(round, 0);
}

Test(c16, c16_lists_and_receives_allocate_nothing_after_the_first)
{
	assert_first_use_is_enough(begin_list_and_receive);
}
