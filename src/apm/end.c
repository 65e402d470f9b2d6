/* SPDX-License-Identifier: MIT */
/* The Ends, waiting for a result, and its other queries. */
#include <errno.h>
#include <string.h>

#include <sluice/operations.h>

#include "apm/apm.h"
#include "apm/callbacks.h"
#include "base/futex.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"

/* The outcome of an operation. */
struct outcome {
	int64_t bytes;
	int32_t error;
	int32_t native_error;
	struct sluice_socket *accepted;
	struct sockaddr *from;  /* in: buffer for the sender's address, or NULL */
	socklen_t *from_length; /* in: its size, or NULL; out: the address's full length */
};

static bool is_done(const struct sluice__result *result)
{
	return __atomic_load_n(&result->word, __ATOMIC_ACQUIRE) & SLUICE__ASYNC_DONE;
}

/* In a forked child, or after the owner thread exited: the operation never completes. */
static bool is_lost(const struct sluice_engine *engine)
{
	return sluice__dead(engine) & (SLUICE__DEAD_FORKED | SLUICE__DEAD_LOST);
}

/* ---- waiting ---- */

/* The calling thread uses the result: neither it nor its socket is freed meanwhile. Locked. */
static void enter_result(struct sluice__result *result)
{
	result->waiting++;
	result->socket->apm->users++;
	result->socket->engine->callbacks->users++;
}

static void leave_result(struct sluice__result *result)
{
	struct sluice_socket *socket = result->socket;

	result->waiting--;
	sluice__apm_retire(result);
	sluice__apm_leave(socket);
}

/* Returns 0, -ETIMEDOUT, or -EBADF if lost. Between enter_result and leave_result. */
static int sleep_until_done(struct sluice__result *result, uint64_t deadline_ns)
{
	struct sluice_engine *engine = result->socket->engine;

	sluice__callbacks_yield();
	for (;;) {
		uint32_t word =
			__atomic_fetch_or(&result->word, SLUICE__ASYNC_WAITED, __ATOMIC_ACQ_REL);

		if (word & SLUICE__ASYNC_DONE)
			return 0;
		if ((word & SLUICE__ASYNC_LOST) || is_lost(engine))
			return -EBADF;
		if (deadline_ns != UINT64_MAX && sluice__now() >= deadline_ns)
			return -ETIMEDOUT;
		sluice__futex_wait(&result->word, word | SLUICE__ASYNC_WAITED, deadline_ns);
	}
}

static uint64_t wait_deadline(int64_t timeout_ns)
{
	uint64_t now = sluice__now();

	if (timeout_ns < 0 || (uint64_t)timeout_ns >= UINT64_MAX - now)
		return UINT64_MAX;
	return now + (uint64_t)timeout_ns;
}

/* A caller that may wait has not ended the result yet. */
static int wait_for_result(const struct sluice_async_result *handle, struct sluice__result *result,
			   int64_t timeout_ns)
{
	struct sluice_engine *engine = result->socket->engine;
	int error;

	if (is_done(result))
		return 0;
	if (is_lost(engine))
		return -EBADF;
	if (timeout_ns == 0)
		return -ETIMEDOUT;
	if (sluice__is_owner(engine))
		return -EDEADLK;
	sluice__callbacks_lock(engine->callbacks);
	error = sluice__handle_find(handle, result->socket, &result);
	if (!error)
		enter_result(result);
	sluice__callbacks_unlock(engine->callbacks);
	if (error)
		return error == -EALREADY ? 0 : error;
	error = sleep_until_done(result, wait_deadline(timeout_ns));
	sluice__callbacks_lock(engine->callbacks);
	leave_result(result);
	sluice__callbacks_unlock(engine->callbacks);
	return error;
}

int sluice_async_result_wait(struct sluice_async_result *handle, int64_t timeout_ns)
{
	struct sluice__result *result;
	int error = sluice__handle_find(handle, NULL, &result);

	/* An ended result has completed. */
	if (error)
		return error == -EALREADY ? 0 : error;
	return wait_for_result(handle, result, timeout_ns);
}

/* sluice_cancel may act at once, on the engine's thread: so the lock is not held across it. */
int sluice_async_result_cancel(struct sluice_async_result *handle)
{
	struct sluice__result *result;
	int error = sluice__handle_find(handle, NULL, &result);
	struct sluice__callbacks *callbacks;

	/* An ended result has completed. */
	if (error == -EALREADY || (!error && is_done(result)))
		return -ENOENT;
	if (error)
		return error;
	callbacks = result->socket->engine->callbacks;
	sluice__callbacks_lock(callbacks);
	error = sluice__handle_find(handle, result->socket, &result);
	if (!error)
		enter_result(result);
	sluice__callbacks_unlock(callbacks);
	if (error)
		return error == -EALREADY ? -ENOENT : error;
	error = sluice_cancel(result->socket, &result->args);
	sluice__callbacks_lock(callbacks);
	leave_result(result);
	sluice__callbacks_unlock(callbacks);
	return error;
}

/* ---- ending ---- */

/* Claims a result for this End: a second one fails. Locked. */
static int claim_result(struct sluice__result *result, uint32_t operation)
{
	if (result->operation != operation)
		return -EINVAL;
	if (result->ended)
		return -EALREADY;
	if (!is_done(result) && sluice__is_owner(result->socket->engine))
		return -EDEADLK;
	result->ended = true;
	return 0;
}

static void collect_outcome(const struct sluice__result *result, struct outcome *outcome)
{
	outcome->bytes = (int64_t)result->args.bytes_transferred;
	outcome->error = result->args.error;
	outcome->native_error = result->args.native_error;
	outcome->accepted = result->args.accept_socket;
	if (!outcome->from_length)
		return;
	if (outcome->from)
		memcpy(outcome->from, &result->with.address,
		       *outcome->from_length < result->args.from_length ? *outcome->from_length
									: result->args.from_length);
	*outcome->from_length = result->args.from_length;
}

static int end_locked(struct sluice_socket *socket, const struct sluice_async_result *handle,
		      uint32_t operation, struct outcome *outcome)
{
	struct sluice__callbacks *callbacks = socket->engine->callbacks;
	struct sluice__result *result;
	int error = sluice__handle_find(handle, socket, &result);

	if (!error)
		error = claim_result(result, operation);
	if (error)
		return error;
	enter_result(result);
	if (!is_done(result)) {
		sluice__callbacks_unlock(callbacks);
		error = sleep_until_done(result, UINT64_MAX);
		sluice__callbacks_lock(callbacks);
	}
	if (!error && sluice__socket_is_closed(socket))
		error = -EBADF;
	if (error)
		result->ended = false; /* an accepted connection in it is freed with the socket */
	else
		collect_outcome(result, outcome);
	leave_result(result);
	return error;
}

/* End after a close: returns only when the operation has completed, if this thread can wait. */
static int end_closed(const struct sluice_socket *socket, const struct sluice_async_result *handle)
{
	struct sluice__result *result;

	if (!is_lost(socket->engine) && sluice__handle_find(handle, socket, &result) == 0)
		wait_for_result(handle, result, -1);
	return -EBADF;
}

static int end_operation(struct sluice_socket *socket, const struct sluice_async_result *handle,
			 uint32_t operation, struct outcome *outcome)
{
	struct sluice__callbacks *callbacks;
	int error;

	if (!socket || !handle)
		return -EINVAL;
	if (sluice__socket_is_closed(socket))
		return end_closed(socket, handle);
	callbacks = socket->engine->callbacks;
	sluice__callbacks_lock(callbacks);
	error = end_locked(socket, handle, operation, outcome);
	sluice__callbacks_unlock(callbacks);
	if (!error && outcome->error != SLUICE_ERROR_SUCCESS)
		error = -outcome->native_error;
	return error;
}

static int64_t end_with_bytes(struct sluice_socket *socket, struct sluice_async_result *result,
			      uint32_t operation, enum sluice_socket_error *error)
{
	struct outcome outcome = {0};
	int answer = end_operation(socket, result, operation, &outcome);

	if (error)
		*error = (enum sluice_socket_error)(
			outcome.error ? outcome.error : sluice_socket_error_from_errno(answer));
	return answer ? answer : outcome.bytes;
}

static int end_without_bytes(struct sluice_socket *socket, struct sluice_async_result *result,
			     uint32_t operation)
{
	struct outcome outcome = {0};

	return end_operation(socket, result, operation, &outcome);
}

int64_t sluice_end_send(struct sluice_socket *socket, struct sluice_async_result *result,
			enum sluice_socket_error *error)
{
	return end_with_bytes(socket, result, SLUICE_OPERATION_SEND, error);
}

int64_t sluice_end_send_to(struct sluice_socket *socket, struct sluice_async_result *result)
{
	return end_with_bytes(socket, result, SLUICE_OPERATION_SEND_TO, NULL);
}

int sluice_end_send_file(struct sluice_socket *socket, struct sluice_async_result *result)
{
	return end_without_bytes(socket, result, SLUICE_OPERATION_SEND_PACKETS);
}

int64_t sluice_end_receive(struct sluice_socket *socket, struct sluice_async_result *result,
			   enum sluice_socket_error *error)
{
	return end_with_bytes(socket, result, SLUICE_OPERATION_RECEIVE, error);
}

int64_t sluice_end_receive_from(struct sluice_socket *socket, struct sluice_async_result *result,
				struct sockaddr *from, socklen_t *from_length)
{
	struct outcome outcome = {.from = from, .from_length = from_length};
	int answer = end_operation(socket, result, SLUICE_OPERATION_RECEIVE_FROM, &outcome);

	return answer ? answer : outcome.bytes;
}

int sluice_end_accept(struct sluice_socket *socket, struct sluice_async_result *result,
		      struct sluice_socket **ret_accepted)
{
	struct outcome outcome = {0};
	int answer;

	if (!ret_accepted)
		return -EINVAL;
	answer = end_operation(socket, result, SLUICE_OPERATION_ACCEPT, &outcome);
	*ret_accepted = answer ? NULL : outcome.accepted;
	return answer;
}

int sluice_end_connect(struct sluice_socket *socket, struct sluice_async_result *result)
{
	return end_without_bytes(socket, result, SLUICE_OPERATION_CONNECT);
}

int sluice_end_disconnect(struct sluice_socket *socket, struct sluice_async_result *result)
{
	return end_without_bytes(socket, result, SLUICE_OPERATION_DISCONNECT);
}

/* ---- queries ---- */

void *sluice_async_result_state(struct sluice_async_result *handle)
{
	struct sluice__result *result;

	return sluice__handle_find(handle, NULL, &result) ? NULL : result->state;
}

struct sluice_socket *sluice_async_result_socket(struct sluice_async_result *handle)
{
	struct sluice__result *result;

	return sluice__handle_find(handle, NULL, &result) ? NULL : result->socket;
}

int sluice_async_result_is_completed(struct sluice_async_result *handle)
{
	struct sluice__result *result;
	int error = sluice__handle_find(handle, NULL, &result);

	if (error)
		return error == -EALREADY ? 1 : error;
	return is_done(result);
}

int sluice_async_result_completed_synchronously(struct sluice_async_result *handle)
{
	struct sluice__result *result;
	int error = sluice__handle_find(handle, NULL, &result);

	if (error)
		return error;
	return is_done(result) && result->synchronously;
}

int64_t sluice_async_result_bytes(struct sluice_async_result *handle)
{
	struct sluice__result *result;
	int error = sluice__handle_find(handle, NULL, &result);

	if (error)
		return error;
	return is_done(result) ? (int64_t)result->args.bytes_transferred : -EAGAIN;
}
