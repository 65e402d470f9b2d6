/* SPDX-License-Identifier: MIT */
/*
 * e10: a want of memory loses no record. One allocation of the library's after the other fails; each
 * call then works or is refused, and what was accepted ends.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "measure.h"

#ifdef __SANITIZE_ADDRESS__

Test(e10, e10_a_want_of_memory_loses_no_record)
{
	cr_skip("the address sanitizer's malloc cannot be made to fail");
}

#else

/* The library's calls meet these before the C library's. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static __thread bool inside;  /* a call of the library's, in the thread that is meant */
static __thread long allowed; /* allocations before the one that fails */
static __thread bool failed;
static __thread bool for_good; /* and all after it */

static bool fails(void)
{
	if (!inside)
		return false;
	if (allowed-- > 0)
		return false;
	if (failed && !for_good)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	return fails() ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
	if (fails())
		return ENOMEM;
	*ret_memory = __libc_memalign(alignment, size);
	return *ret_memory ? 0 : ENOMEM;
}

/* A call of the library's, in which an allocation may fail. */
#define SCARCE(call)                  \
	({                            \
		int scarce_answer;    \
		inside = true;        \
		scarce_answer = call; \
		inside = false;       \
		scarce_answer;        \
	})

#define RECORDS 8
#define BEGUN 40

struct scarcity {
	struct sluice_engine *engine;
	struct pair pair;
	struct file *file;
	struct sluice_args args[RECORDS];
	int handled[RECORDS];
	bool accepted[RECORDS];
	char bytes[100];
	struct sluice_packet packets[3];
	struct sluice_timer timer;
	int expirations, posts, terminals;
	struct sluice_async_result *begun[BEGUN];
	atomic_int called;
	uint64_t received;
};

static void on_completed(struct sluice_socket *socket, struct sluice_args *args)
{
	++*(int *)args->user_token;
}

static void on_expired(struct sluice_engine *engine, struct sluice_timer *timer)
{
	++*(int *)timer->token;
}

static void on_post(struct sluice_engine *engine, void *token)
{
	++*(int *)token;
}

/* Started, done at once or refused for want of memory. */
static void start_scarce(struct scarcity *scarcity, int i, start_fn *begin)
{
	int answer = SCARCE(begin(scarcity->pair.socket, &scarcity->args[i]));

	cr_assert(answer >= 0 || answer == -ENOMEM || answer == -ENOBUFS, "record %d: %s", i,
		  strerror(-answer));
	scarcity->accepted[i] = answer == 1;
}

static void prepare(struct scarcity *scarcity)
{
	static struct iovec segments[2000];

	for (int i = 0; i < RECORDS; i++) {
		sluice_args_init(&scarcity->args[i]);
		scarcity->args[i].completed = on_completed;
		scarcity->args[i].user_token = &scarcity->handled[i];
		sluice_args_set_buffer(&scarcity->args[i], "0123456789", 10, 0, 10);
	}
	for (int i = 0; i < 2000; i++)
		segments[i] = segment(&"0123456789"[i % 10], 1);
	scarcity->args[1].flags = SLUICE_FLAG_BATCHED;
	sluice_args_set_buffer(&scarcity->args[2], NULL, 0, 0, 0);
	sluice_args_set_buffer_list(&scarcity->args[2], segments, 2000);
	scarcity->packets[0] = memory_packet("header", 6);
	scarcity->packets[1] = file_packet(scarcity->file->fd, 0, 1000);
	scarcity->packets[2] = path_packet(scarcity->file->path, 1000, 0);
	sluice_args_set_packets(&scarcity->args[3], scarcity->packets, 3);
	sluice_args_set_packets(&scarcity->args[4], scarcity->packets + 2, 1);
	scarcity->args[5].timeout_ns = SECOND;
	sluice_args_set_buffer(&scarcity->args[6], NULL, 0, 0, 0);
	sluice_args_set_receive_buffer(&scarcity->args[6], scarcity->bytes, 100, 0, 100);
}

static void start_all(struct scarcity *scarcity)
{
	for (int i = 0; i < 3; i++)
		start_scarce(scarcity, i, sluice_send_async);
	start_scarce(scarcity, 3, sluice_send_packets_async);
	start_scarce(scarcity, 4, sluice_send_packets_async);
	start_scarce(scarcity, 5, sluice_send_async);
	start_scarce(scarcity, 6, sluice_receive_async);
	start_scarce(scarcity, 7, sluice_send_async);
}

static void call_back(struct sluice_async_result *result)
{
	struct scarcity *scarcity = sluice_async_result_state(result);

	atomic_fetch_add(&scarcity->called, 1);
	sluice_engine_wake(scarcity->engine);
}

/* More than a pool holds at first, and a thread for their callbacks. */
static int begin_all(struct scarcity *scarcity)
{
	int accepted = 0;

	for (int i = 0; i < BEGUN; i++) {
		int answer = SCARCE(sluice_begin_send(scarcity->pair.socket, "01234", 5, 0, 5,
						      i % 2 ? SLUICE_FLAG_BATCHED : 0, NULL,
						      call_back, scarcity, &scarcity->begun[i]));

		cr_assert(answer == 0 || answer == -ENOMEM || answer == -EAGAIN, "begin %d: %s", i,
			  strerror(-answer));
		cr_assert_eq(answer == 0, scarcity->begun[i] != NULL);
		accepted += answer == 0;
	}
	return accepted;
}

static bool all_ended(const struct scarcity *scarcity)
{
	for (int i = 0; i < RECORDS; i++)
		if (scarcity->accepted[i] && !scarcity->handled[i])
			return false;
	return true;
}

/* Memory may fail for some turns, then there is enough again. */
static void run_to_the_end(struct scarcity *scarcity, int posts, bool timer, int begun)
{
	int64_t deadline = now_ns() + GUARD_NS;
	static char sink[65536];

	for (int turn = 0;
	     !all_ended(scarcity) || scarcity->posts < posts || (timer && !scarcity->expirations) ||
	     atomic_load(&scarcity->called) < begun;
	     turn++) {
		int answer;

		while (recv(scarcity->pair.peer, sink, sizeof sink, MSG_DONTWAIT) > 0)
			;
		inside = turn < 20;
		answer = sluice_engine_run(scarcity->engine, MILLISECOND);
		inside = false;
		cr_assert(answer >= 0 || answer == -ENOMEM || answer == -EINTR, "%s",
			  strerror(-answer));
		cr_assert_lt(now_ns(), deadline, "an accepted record did not end");
	}
	for (int i = 0; i < BEGUN; i++)
		cr_assert(!scarcity->begun[i] ||
			  sluice_end_send(scarcity->pair.socket, scarcity->begun[i], NULL) == 5);
	for (int i = 0; i < RECORDS; i++) {
		cr_assert_eq(scarcity->handled[i], scarcity->accepted[i], "record %d", i);
		cr_assert_eq(sluice_args_in_progress(&scarcity->args[i]), 0);
	}
}

static void connected_pair(int fds[2])
{
	int listener = listen_tcp(0);
	struct sockaddr_in address = loopback(port_of(listener));

	fds[0] = new_tcp(0);
	cr_assert_eq(connect(fds[0], (struct sockaddr *)&address, sizeof address), 0);
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(fds[1], 0);
	close(listener);
}

/* Everything once. Returns whether an allocation failed on the way. */
static bool go_through(struct file *file, uint32_t way, long fail_at, bool and_all_after)
{
	struct scarcity *scarcity = __libc_calloc(1, sizeof *scarcity);
	int fds[2], answer, posted, armed, begun;
	struct sluice_options options;

	scarcity->file = file;
	allowed = fail_at;
	for_good = and_all_after;
	failed = false;
	sluice_options_init(&options, sizeof options);
	options.transmit_way = way;
	answer = SCARCE(sluice_engine_create(&scarcity->engine, &options));
	if (answer < 0) {
		cr_assert_eq(answer, -ENOMEM, "create: %s", strerror(-answer));
		cr_assert_null(scarcity->engine);
		free(scarcity);
		return true;
	}
	connected_pair(fds);
	scarcity->pair.peer = fds[1];
	answer = SCARCE(sluice_socket_attach(scarcity->engine, fds[0], &scarcity->pair.socket));
	if (answer == 0) {
		prepare(scarcity);
		start_all(scarcity);
		begun = begin_all(scarcity);
		posted = SCARCE(sluice_post(scarcity->engine, on_post, &scarcity->posts));
		scarcity->timer.expired = on_expired;
		scarcity->timer.token = &scarcity->expirations;
		armed = SCARCE(sluice_timer_start(scarcity->engine, &scarcity->timer, 1000));
		cr_assert(posted == 0 || posted == -ENOMEM);
		cr_assert(armed == 0 || armed == -ENOMEM);
		cr_assert_eq(send(fds[1], "bytes", 5, 0), 5);
		run_to_the_end(scarcity, posted == 0, armed == 0, begun);
		sluice_socket_destroy(scarcity->pair.socket);
	} else {
		cr_assert_eq(answer, -ENOMEM, "attach: %s", strerror(-answer));
		close(fds[0]);
	}
	cr_assert_eq(SCARCE(sluice_engine_destroy(scarcity->engine)), 0);
	close(fds[1]);
	free(scarcity);
	return failed;
}

static void one_after_the_other(uint32_t way, bool and_all_after)
{
	struct file file;
	long fail_at = 0;
	int before;

	file_new(&file, 300000, 0);
	before = count_descriptors();
	while (go_through(&file, way, fail_at, and_all_after)) {
		cr_assert_eq(count_descriptors(), before, "allocation %ld", fail_at);
		fail_at++;
	}
	cr_assert_gt(fail_at, 3, "hardly an allocation was seen");
	file_end(&file);
}

Test(e10, e10_a_want_of_memory_loses_no_record)
{
	one_after_the_other(SLUICE_TRANSMIT_WAY_AUTO, false);
}

Test(e10, e10_a_lasting_want_of_memory_loses_no_record)
{
	one_after_the_other(SLUICE_TRANSMIT_WAY_AUTO, true);
}

Test(e10, e10_a_want_of_memory_loses_no_record_by_zero_copy)
{
	one_after_the_other(SLUICE_TRANSMIT_WAY_ZEROCOPY, false);
	one_after_the_other(SLUICE_TRANSMIT_WAY_ZEROCOPY, true);
}

#endif
