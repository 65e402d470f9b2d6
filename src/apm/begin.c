/* SPDX-License-Identifier: MIT */
/*
 * The Begins. Each takes a result from its socket's pool, fills in the record inside it and starts
 * the record through the public call. If the operation completes inside that call, its callback is
 * queued without a turn of the engine; if it fails, Begin returns the error and the result is
 * released.
 */
#include "apm/apm.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "trace/trace.h"

#include <errno.h>
#include <sluice/operations.h>
#include <string.h>

/* The parameters of a Begin, and its result. */
struct begin {
	struct sluice_socket *socket;
	uint32_t operation; /* enum sluice_operation */
	sluice_async_callback *callback;
	void *state;
	enum sluice_socket_error *error; /* the caller's, or NULL */
	struct sluice_async_result **ret_result;

	struct sluice__result *result;
	struct sluice__others others; /* when it was begun */
};

typedef int start_fn(struct sluice_socket *socket, struct sluice_args *args);

static void set_outputs(const struct begin *begin, struct sluice_async_result *result, int error)
{
	if (begin->error)
		*begin->error = (enum sluice_socket_error)sluice_socket_error_from_errno(error);
	if (begin->ret_result)
		*begin->ret_result = result;
}

static int refuse_begin(const struct begin *begin, int error)
{
	if (begin->result)
		sluice__apm_untake(begin->result);
	set_outputs(begin, NULL, error);
	return error;
}

/* Refuses before the start, which would have traced the refusal. */
static int refuse_early(const struct begin *begin, int error)
{
	sluice__trace_refused(begin->socket, begin->result ? &begin->result->args : NULL,
			      begin->operation, error);
	return refuse_begin(begin, error);
}

/* Takes a result to fill in. needed: a parameter that must not be NULL, besides the socket. */
static int begin_open(struct begin *begin, const void *needed)
{
	struct sluice_socket *socket = begin->socket;

	if (!socket || !begin->ret_result || !needed)
		return -EINVAL;
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	return sluice__apm_take(socket, begin->operation, begin->callback, begin->state,
				&begin->result, &begin->others);
}

/*
 * Callbacks begin in the order in which operations completed. So while completed operations wait to
 * be delivered, this one must not complete inside its call.
 */
static int start_queued(const struct begin *begin, start_fn *start)
{
	struct sluice_engine *engine = begin->socket->engine;
	int answer;

	begin->result->args.flags &= ~(uint32_t)SLUICE_FLAG_EAGER;
	engine->busy++;
	answer = start(begin->socket, &begin->result->args);
	engine->busy--;
	return answer;
}

/*
 * Another thread does not know which operations have ended and await delivery. For a receive that does
 * not matter: nobody can see its end before. The callbacks of sends begin in the order of the stream.
 */
static void keep_order(const struct begin *begin)
{
	uint32_t *flags = &begin->result->args.flags;
	const uint32_t both = SLUICE_FLAG_EAGER | SLUICE_FLAG_BATCHED;

	if (begin->operation == SLUICE_OPERATION_SEND && begin->others.sends &&
	    (*flags & both) != both)
		*flags = (*flags & ~(uint32_t)SLUICE_FLAG_EAGER) | SLUICE_FLAG_BATCHED;
}

static int start_record(const struct begin *begin, start_fn *start)
{
	struct sluice_engine *engine = begin->socket->engine;

	if (!sluice__is_owner(engine))
		keep_order(begin);
	else if (begin->others.any && (engine->done.first || engine->delivering))
		return start_queued(begin, start);
	return start(begin->socket, &begin->result->args);
}

/* A truncated datagram has been consumed: it is no failure of Begin, and End returns what fit. */
static bool is_refused(const struct sluice_args *args)
{
	bool receives = args->last_operation == SLUICE_OPERATION_RECEIVE ||
			args->last_operation == SLUICE_OPERATION_RECEIVE_FROM;

	return args->error != SLUICE_ERROR_SUCCESS &&
	       !(receives && args->error == SLUICE_ERROR_MESSAGE_SIZE);
}

/* Starts the record. error: result of setting its arguments. */
static int begin_finish(struct begin *begin, int error, start_fn *start)
{
	struct sluice__result *result = begin->result;
	int answer;

	if (error)
		return refuse_early(begin, error);
	/* First: once started it may complete and be ended, and the caller's variables be gone. */
	set_outputs(begin, sluice__handle_of(result), 0);
	answer = start_record(begin, start);
	if (answer == 1)
		return 0;
	if (answer == 0 && is_refused(&result->args))
		answer = -result->args.native_error;
	if (answer < 0)
		return refuse_begin(begin, answer);
	sluice__apm_finish(result, true);
	return 0;
}

static int set_address(struct sluice__result *result, const struct sockaddr *remote,
		       socklen_t length)
{
	if (length < sizeof remote->sa_family || length > sizeof result->with.address)
		return -EINVAL;
	memcpy(&result->with.address, remote, length);
	result->args.remote_address = (struct sockaddr *)&result->with.address;
	result->args.remote_address_length = length;
	return 0;
}

/* ---- the public calls ---- */

int sluice_begin_send(struct sluice_socket *socket, const void *buffer, size_t length,
		      int64_t offset, int64_t size, uint32_t flags, enum sluice_socket_error *error,
		      sluice_async_callback *callback, void *state,
		      struct sluice_async_result **ret_result)
{
	struct begin begin = {socket, SLUICE_OPERATION_SEND, callback, state, error, ret_result};
	int wrong = begin_open(&begin, buffer);

	if (wrong)
		return refuse_early(&begin, wrong);
	begin.result->args.flags = flags;
	wrong = sluice_args_set_buffer(&begin.result->args, buffer, length, offset, size);
	return begin_finish(&begin, wrong, sluice_send_async);
}

int sluice_begin_send_list(struct sluice_socket *socket, const struct iovec *segments,
			   size_t segment_count, uint32_t flags, enum sluice_socket_error *error,
			   sluice_async_callback *callback, void *state,
			   struct sluice_async_result **ret_result)
{
	struct begin begin = {socket, SLUICE_OPERATION_SEND, callback, state, error, ret_result};
	int wrong = begin_open(&begin, segments);

	if (wrong)
		return refuse_early(&begin, wrong);
	begin.result->args.flags = flags;
	wrong = sluice_args_set_buffer_list(&begin.result->args, segments, segment_count);
	return begin_finish(&begin, wrong, sluice_send_async);
}

int sluice_begin_send_to(struct sluice_socket *socket, const void *buffer, size_t length,
			 int64_t offset, int64_t size, uint32_t flags,
			 const struct sockaddr *remote, socklen_t remote_length,
			 sluice_async_callback *callback, void *state,
			 struct sluice_async_result **ret_result)
{
	struct begin begin = {socket, SLUICE_OPERATION_SEND_TO, callback, state, NULL, ret_result};
	int wrong = begin_open(&begin, remote ? buffer : NULL);

	if (wrong)
		return refuse_early(&begin, wrong);
	begin.result->args.flags = flags;
	wrong = sluice_args_set_buffer(&begin.result->args, buffer, length, offset, size);
	if (!wrong)
		wrong = set_address(begin.result, remote, remote_length);
	return begin_finish(&begin, wrong, sluice_send_to_async);
}

/* The memory before, the file and the memory after; NULL ones become empty elements. */
static int set_file(struct sluice__result *result, const char *path, const struct iovec *before,
		    const struct iovec *after)
{
	struct sluice_packet *packets = result->with.packets;

	if (before->iov_len > INT64_MAX || after->iov_len > INT64_MAX)
		return -ERANGE;
	memset(packets, 0, sizeof result->with.packets);
	packets[0].kind = SLUICE_PACKET_MEMORY;
	packets[0].base = before->iov_base;
	packets[0].count = (int64_t)before->iov_len;
	packets[1].kind = path ? SLUICE_PACKET_PATH : SLUICE_PACKET_NONE;
	packets[1].path = path;
	packets[2].kind = SLUICE_PACKET_MEMORY;
	packets[2].base = after->iov_base;
	packets[2].count = (int64_t)after->iov_len;
	return sluice_args_set_packets(&result->args, packets, 3);
}

int sluice_begin_send_file(struct sluice_socket *socket, const char *path, const void *before,
			   size_t before_length, const void *after, size_t after_length,
			   uint32_t flags, sluice_async_callback *callback, void *state,
			   struct sluice_async_result **ret_result)
{
	struct begin begin = {socket,    SLUICE_OPERATION_SEND_PACKETS, callback, state, NULL,
			      ret_result};
	struct iovec head = {(void *)(uintptr_t)before, before_length};
	struct iovec tail = {(void *)(uintptr_t)after, after_length};
	int wrong = (before_length && !before) || (after_length && !after)
			    ? -EINVAL
			    : begin_open(&begin, socket);

	if (wrong)
		return refuse_early(&begin, wrong);
	begin.result->args.transmit_flags = flags;
	wrong = set_file(begin.result, path, &head, &tail);
	return begin_finish(&begin, wrong, sluice_send_packets_async);
}

int sluice_begin_receive(struct sluice_socket *socket, void *buffer, size_t length, int64_t offset,
			 int64_t size, uint32_t flags, enum sluice_socket_error *error,
			 sluice_async_callback *callback, void *state,
			 struct sluice_async_result **ret_result)
{
	struct begin begin = {socket, SLUICE_OPERATION_RECEIVE, callback, state, error, ret_result};
	int wrong = begin_open(&begin, buffer);

	if (wrong)
		return refuse_early(&begin, wrong);
	begin.result->args.flags = flags;
	wrong = sluice_args_set_receive_buffer(&begin.result->args, buffer, length, offset, size);
	return begin_finish(&begin, wrong, sluice_receive_async);
}

int sluice_begin_receive_list(struct sluice_socket *socket, const struct iovec *segments,
			      size_t segment_count, uint32_t flags, enum sluice_socket_error *error,
			      sluice_async_callback *callback, void *state,
			      struct sluice_async_result **ret_result)
{
	struct begin begin = {socket, SLUICE_OPERATION_RECEIVE, callback, state, error, ret_result};
	int wrong = begin_open(&begin, segments);

	if (wrong)
		return refuse_early(&begin, wrong);
	begin.result->args.flags = flags;
	wrong = sluice_args_set_buffer_list(&begin.result->args, segments, segment_count);
	return begin_finish(&begin, wrong, sluice_receive_async);
}

int sluice_begin_receive_from(struct sluice_socket *socket, void *buffer, size_t length,
			      int64_t offset, int64_t size, uint32_t flags,
			      sluice_async_callback *callback, void *state,
			      struct sluice_async_result **ret_result)
{
	struct begin begin = {socket,    SLUICE_OPERATION_RECEIVE_FROM, callback, state, NULL,
			      ret_result};
	int wrong = begin_open(&begin, buffer);
	struct sluice_args *args;

	if (wrong)
		return refuse_early(&begin, wrong);
	args = &begin.result->args;
	args->flags = flags;
	args->from_address = (struct sockaddr *)&begin.result->with.address;
	args->from_capacity = sizeof begin.result->with.address;
	wrong = sluice_args_set_receive_buffer(args, buffer, length, offset, size);
	return begin_finish(&begin, wrong, sluice_receive_from_async);
}

int sluice_begin_accept(struct sluice_socket *socket, sluice_async_callback *callback, void *state,
			struct sluice_async_result **ret_result)
{
	struct begin begin = {socket, SLUICE_OPERATION_ACCEPT, callback, state, NULL, ret_result};
	int wrong = begin_open(&begin, socket);

	if (wrong)
		return refuse_early(&begin, wrong);
	return begin_finish(&begin, 0, sluice_accept_async);
}

int sluice_begin_connect(struct sluice_socket *socket, const struct sockaddr *remote,
			 socklen_t remote_length, sluice_async_callback *callback, void *state,
			 struct sluice_async_result **ret_result)
{
	struct begin begin = {socket, SLUICE_OPERATION_CONNECT, callback, state, NULL, ret_result};
	int wrong = begin_open(&begin, remote);

	if (wrong)
		return refuse_early(&begin, wrong);
	wrong = set_address(begin.result, remote, remote_length);
	return begin_finish(&begin, wrong, sluice_connect_async);
}

int sluice_begin_disconnect(struct sluice_socket *socket, int reuse,
			    sluice_async_callback *callback, void *state,
			    struct sluice_async_result **ret_result)
{
	struct begin begin = {socket,    SLUICE_OPERATION_DISCONNECT, callback, state, NULL,
			      ret_result};
	int wrong = begin_open(&begin, socket);

	if (wrong)
		return refuse_early(&begin, wrong);
	begin.result->args.disconnect_reuse_socket = reuse != 0;
	return begin_finish(&begin, 0, sluice_disconnect_async);
}
