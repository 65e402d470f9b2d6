/* SPDX-License-Identifier: MIT */
/*
 * What the tests of Begin and End share. A callback runs in another thread, where an assertion has
 * no test to fail: it notes what it saw, and the test looks at that.
 */
#ifndef APM_H
#define APM_H

#include <stdatomic.h>

#include "support.h"

struct call;
typedef int64_t call_fn(struct call *call);

/* One Begin, and what its callback saw. */
struct call {
	struct fixture *fixture;
	struct sluice_socket *socket;
	struct sluice_async_result *result; /* that Begin handed out */
	call_fn *within; /* runs in the callback; what it returns is the answer. NULL: nothing */
	void *token;     /* the test's */

	atomic_int called; /* callbacks that have ended */
	atomic_int entered;
	struct sluice_async_result *seen; /* by the callback */
	int64_t answer;
	enum sluice_socket_error error;
	pthread_t thread;
	int turn; /* the callback's place among all */
};

void call_init(struct call *call, struct fixture *fixture, struct sluice_socket *socket);

/* As call_init, for an array; yours to free. */
struct call *calls_new(struct fixture *fixture, struct sluice_socket *socket, size_t count);

/* The callback of them all. */
void call_back(struct sluice_async_result *result);

/*
 * As PAIR_TEST of tcp_pair with this last argument, and the body has a `call` on the pair's socket. Like
 * the pair it lasts until the engine has ended.
 */
#define CALL_TEST(row, name, bytes)                                                             \
	static void name##_body(struct fixture *fixture, struct pair *pair, struct call *call); \
	Test(row, name)                                                                         \
	{                                                                                       \
		struct fixture fixture;                                                         \
		struct pair pair;                                                               \
		struct call call;                                                               \
                                                                                                \
		fixture_begin(&fixture);                                                        \
		tcp_pair(&fixture, &pair, bytes);                                               \
		call_init(&call, &fixture, pair.socket);                                        \
		name##_body(&fixture, &pair, &call);                                            \
		pair_close(&pair);                                                              \
		fixture_end(&fixture);                                                          \
	}                                                                                       \
	static void name##_body(struct fixture *fixture, struct pair *pair, struct call *call)

/* Ends of the call's result, for within: the answer, and the error where it has one. */
int64_t ends_send(struct call *call);
int64_t ends_send_to(struct call *call);
int64_t ends_send_file(struct call *call);
int64_t ends_receive(struct call *call);
int64_t ends_connect(struct call *call);
int64_t ends_disconnect(struct call *call);

/* begin_send of all length bytes, without flags, with call_back; the answer. */
int begin_send(struct call *call, const void *base, size_t length);

/* Whether the callback has ended. */
static inline bool was_called(const struct call *call)
{
	return atomic_load(&call->called) > 0;
}

bool were_called(const struct call *calls, size_t count);

/* A thread in which one function of a call runs. */
struct other_thread {
	pthread_t thread;
	struct call *call;
	call_fn *function;
	int64_t answer; /* of the function, after other_thread_join */
	atomic_bool over;
	atomic_int tid;
};

/* Afterwards the thread wakes the engine of the call's fixture; without a fixture it does not, which
 * is what a function needs during which the engine is destroyed.
 */
void other_thread_start(struct other_thread *other, struct call *call, call_fn *function);

/* Runs the engine until the function has returned; its answer. */
int64_t other_thread_join(struct other_thread *other);

/* Waits until the thread sleeps: what it does blocks. */
void other_thread_await_sleep(struct other_thread *other);

#endif
