/* SPDX-License-Identifier: MIT */
/*
 * One buffer to many sockets: a send for each of them, and a count of those that have not ended. The
 * starting call counts as one more, so that no handler of another thread ends the fan-out first.
 */
#include <errno.h>
#include <sluice/fan_out.h>
#include <sluice/operations.h>

#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"

static void count_failed(struct sluice_fan_out *fan_out)
{
	__atomic_fetch_add(&fan_out->failed, 1, __ATOMIC_RELAXED);
}

static void count_result(struct sluice_fan_out *fan_out, const struct sluice_args *args)
{
	if (args->error != SLUICE_ERROR_SUCCESS)
		count_failed(fan_out);
}

/* True: that was the last one. From then on the record is the caller's. */
static bool count_down(struct sluice_fan_out *fan_out)
{
	return __atomic_fetch_sub(&fan_out->pending, 1, __ATOMIC_ACQ_REL) == 1;
}

static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice_fan_out *fan_out = args->user_token;
	sluice_fan_out_fn *completed = fan_out->completed;

	(void)socket;
	count_result(fan_out, args);
	if (count_down(fan_out) && completed)
		completed(fan_out);
}

static int check_fan_out(const struct sluice_fan_out *fan_out)
{
	if (!fan_out)
		return -EINVAL;
	if (__atomic_load_n(&fan_out->pending, __ATOMIC_ACQUIRE))
		return -EBUSY;
	if (!fan_out->base || (!fan_out->targets && fan_out->target_count) || fan_out->reserved)
		return -EINVAL;
	if (fan_out->length > INT64_MAX || fan_out->timeout_ns < 0)
		return -ERANGE;
	return 0;
}

/* Anything but 1 has ended, and counts no more. */
static int start_one(const struct sluice_fan_out *fan_out, struct sluice_fan_out_target *target)
{
	struct sluice_args *args = &target->args;
	int answer = sluice_args_set_buffer(args, fan_out->base, fan_out->length, 0,
					    (int64_t)fan_out->length);

	if (answer)
		return answer;
	args->completed = on_sent;
	args->user_token = (void *)(uintptr_t)fan_out;
	args->flags = fan_out->flags;
	args->timeout_ns = fan_out->timeout_ns;
	return sluice_send_async(target->socket, args);
}

static void start_target(struct sluice_fan_out *fan_out, struct sluice_fan_out_target *target)
{
	int answer = start_one(fan_out, target);

	if (answer > 0)
		return;
	if (answer == -EBUSY) {
		count_failed(fan_out); /* another operation's: neither read nor changed */
	} else {
		if (answer < 0) {
			target->args.completed = NULL;
			sluice_args_complete(target->socket, &target->args, answer);
		}
		count_result(fan_out, &target->args);
	}
	count_down(fan_out); /* not the last: the call itself is counted */
}

/* The engine whose sends are to leave together; NULL: they are queued anyway, or are tried at once. */
static struct sluice_engine *engine_to_batch(const struct sluice_fan_out *fan_out)
{
	for (size_t i = 0; i < fan_out->target_count; i++) {
		const struct sluice_socket *socket = fan_out->targets[i].socket;

		if (!socket || (fan_out->flags & SLUICE_FLAG_EAGER))
			continue;
		if (!sluice__may_act(socket->engine) || socket->engine->busy)
			return NULL;
		return socket->engine;
	}
	return NULL;
}

int sluice_fan_out_async(struct sluice_fan_out *fan_out)
{
	struct sluice_engine *engine;
	int error = check_fan_out(fan_out);

	if (error)
		return error;
	fan_out->failed = 0;
	__atomic_store_n(&fan_out->pending, fan_out->target_count + 1, __ATOMIC_RELEASE);
	engine = engine_to_batch(fan_out);
	if (engine)
		sluice_batch_begin(engine);
	for (size_t i = 0; i < fan_out->target_count; i++)
		start_target(fan_out, &fan_out->targets[i]);
	if (engine)
		sluice_batch_end(engine);
	return count_down(fan_out) ? 0 : 1;
}

int sluice_fan_out_cancel(struct sluice_fan_out *fan_out)
{
	if (!fan_out)
		return -EINVAL;
	if (!sluice_fan_out_in_progress(fan_out))
		return -ENOENT;
	for (size_t i = 0; i < fan_out->target_count; i++) {
		struct sluice_fan_out_target *target = &fan_out->targets[i];

		if (sluice_args_in_progress(&target->args))
			sluice_cancel(target->socket, &target->args);
	}
	return 0;
}

int sluice_fan_out_in_progress(const struct sluice_fan_out *fan_out)
{
	if (!fan_out)
		return -EINVAL;
	return __atomic_load_n(&fan_out->pending, __ATOMIC_ACQUIRE) != 0;
}
