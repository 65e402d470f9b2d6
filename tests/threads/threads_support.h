/* SPDX-License-Identifier: MIT */
/*
 * What the tests with several threads share. They print TAP themselves and check by hand, so that
 * ThreadSanitizer can watch them. A check that fails ends the program: what the other threads
 * would do then is not worth knowing.
 */
#ifndef THREADS_SUPPORT_H
#define THREADS_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <semaphore.h>

#include <sluice/sluice.h>

#define SECOND INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)

struct thread_test {
	const char *name;
	void (*run)(void);
	const char *skip; /* why it is not run; NULL: it is */
};

/* ThreadSanitizer runs signal handlers at its own next call, not when the signal comes. */
#if defined(__SANITIZE_THREAD__)
#define DELAYS_SIGNALS "ThreadSanitizer delays signals"
#else
#define DELAYS_SIGNALS NULL
#endif

/* Runs them all; what main returns. A test that hangs is ended after a while. */
int run_tests(const struct thread_test *tests, size_t count);

#define TESTS(array) run_tests(array, sizeof(array) / sizeof *(array))

#define check(condition)                                              \
	do {                                                          \
		if (!(condition))                                     \
			check_failed(#condition, __FILE__, __LINE__); \
	} while (0)

__attribute__((noreturn)) void check_failed(const char *condition, const char *file, int line);

/* An engine on the backend that SLUICE_BACKEND names. */
struct sluice_engine *engine_new(void);

/* A connected TCP pair; buffers of `bytes`, 0: the default. */
void tcp_descriptors(int bytes, int ret_fds[2]);

struct sluice_socket *attach(struct sluice_engine *engine, int fd);

void thread_start(pthread_t *thread, void *(*function)(void *), void *token);
void thread_join(pthread_t thread);

/* Waits for a semaphore, in spite of signals. */
void wait_for(sem_t *semaphore);

/* Reads exactly so many bytes; false at the end of the stream or at an error. */
bool read_whole(int fd, void *base, size_t length);

int64_t now_ns(void);

#endif
