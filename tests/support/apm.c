/* SPDX-License-Identifier: MIT */
#include "apm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int turns;

void call_init(struct call *call, struct fixture *fixture, struct sluice_socket *socket)
{
	memset(call, 0, sizeof *call);
	call->fixture = fixture;
	call->socket = socket;
}

struct call *calls_new(struct fixture *fixture, struct sluice_socket *socket, size_t count)
{
	struct call *calls = malloc(count * sizeof *calls);

	cr_assert(calls);
	for (size_t i = 0; i < count; i++)
		call_init(&calls[i], fixture, socket);
	return calls;
}

void call_back(struct sluice_async_result *result)
{
	struct call *call = sluice_async_result_state(result);
	struct sluice_engine *engine = call->fixture->engine;

	call->turn = atomic_fetch_add(&turns, 1);
	call->seen = result;
	call->thread = pthread_self();
	atomic_fetch_add(&call->entered, 1);
	if (call->within)
		call->answer = call->within(call);
	atomic_fetch_add(&call->called, 1);
	sluice_engine_wake(engine);
}

int64_t ends_send(struct call *call)
{
	return sluice_end_send(call->socket, call->seen, &call->error);
}

int64_t ends_send_to(struct call *call)
{
	return sluice_end_send_to(call->socket, call->seen);
}

int64_t ends_send_file(struct call *call)
{
	return sluice_end_send_file(call->socket, call->seen);
}

int64_t ends_receive(struct call *call)
{
	return sluice_end_receive(call->socket, call->seen, &call->error);
}

int64_t ends_connect(struct call *call)
{
	return sluice_end_connect(call->socket, call->seen);
}

int64_t ends_disconnect(struct call *call)
{
	return sluice_end_disconnect(call->socket, call->seen);
}

int begin_send(struct call *call, const void *base, size_t length)
{
	return sluice_begin_send(call->socket, base, length, 0, (int64_t)length, 0, NULL, call_back,
				 call, &call->result);
}

bool were_called(const struct call *calls, size_t count)
{
	while (count--)
		if (!was_called(&calls[count]))
			return false;
	return true;
}

static void *run_other_thread(void *token)
{
	struct other_thread *other = token;
	struct fixture *fixture = other->call->fixture;

	atomic_store(&other->tid, (int)gettid());
	other->answer = other->function(other->call);
	atomic_store(&other->over, true);
	if (fixture)
		sluice_engine_wake(fixture->engine);
	return NULL;
}

void other_thread_start(struct other_thread *other, struct call *call, call_fn *function)
{
	other->call = call;
	other->function = function;
	atomic_init(&other->over, false);
	atomic_init(&other->tid, 0);
	cr_assert_eq(pthread_create(&other->thread, NULL, run_other_thread, other), 0);
}

int64_t other_thread_join(struct other_thread *other)
{
	run_until(other->call->fixture, atomic_load(&other->over));
	cr_assert_eq(pthread_join(other->thread, NULL), 0);
	return other->answer;
}

static bool sleeps(int tid)
{
	char path[64], text[256] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
	file = fopen(path, "re");
	cr_assert(file, "%s cannot be read", path);
	state = fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
	fclose(file);
	return state && strncmp(state, ") S", 3) == 0;
}

void other_thread_await_sleep(struct other_thread *other)
{
	int64_t deadline = now_ns() + GUARD_NS;
	int looks = 0;

	/* A thread that starts may sleep for a moment's lock: only a long sleep is the wait. */
	while (looks < 20) {
		looks = atomic_load(&other->tid) && sleeps(atomic_load(&other->tid)) ? looks + 1
										     : 0;
		cr_assert(!atomic_load(&other->over), "it did not wait");
		cr_assert_lt(now_ns(), deadline, "it never slept");
		usleep(1000);
	}
}
