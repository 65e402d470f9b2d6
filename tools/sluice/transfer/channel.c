/* SPDX-License-Identifier: MIT */
#include "transfer/channel.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define KEEP_NS UINT64_C(333000000) /* a third of the smallest timeout */
#define PATIENCE 8                  /* timeouts during which a peer may send nothing but WAIT */
#define PATIENCE_RATE (16 << 20)    /* and the bytes per second at which it is expected to read */

uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void break_with(struct channel *channel, int error)
{
	if (channel->error == 0 && !channel->ended)
		channel->error = error;
}

/* ---- receiving ---- */

/* Takes bytes off the front. What is used up goes back to the engine. */
static void consume(struct channel *channel, size_t length)
{
	size_t done = 0;

	while (done < channel->input_count && length >= channel->inputs[done].length) {
		struct channel_input *input = &channel->inputs[done++];

		length -= input->length;
		if (input->buffer != NULL)
			sluice_buffer_release(channel->engine, input->buffer);
	}
	channel->input_count -= done;
	memmove(&channel->inputs[0], &channel->inputs[done],
		channel->input_count * sizeof(channel->inputs[0]));
	if (channel->input_count > 0) {
		channel->inputs[0].bytes += length;
		channel->inputs[0].length -= length;
	}
}

/* All that is there of the raw bytes, so that many buffers make one job for an owner that is slow. */
static int take_raw(struct channel *channel)
{
	struct iovec parts[CHANNEL_INPUTS];
	size_t count = 0, all = 0;
	int error;

	while (count < channel->input_count && channel->raw_left > 0) {
		const struct channel_input *input = &channel->inputs[count];
		size_t length = input->length < channel->raw_left ? input->length
								  : (size_t)channel->raw_left;

		parts[count++] = (struct iovec){.iov_base = (char *)(uintptr_t)input->bytes,
						.iov_len = length};
		channel->raw_left -= length;
		all += length;
	}
	channel->heard_ns = channel->moved_ns;
	error = channel->on_raw(channel, parts, count);
	if (channel->held)
		channel->raw_taken = all;
	else
		consume(channel, all);
	return error;
}

static int take_message(struct channel *channel)
{
	const struct channel_input *input = &channel->inputs[0];
	struct wire_message message;
	enum wire_outcome outcome;
	size_t used;

	outcome = wire_read(&channel->reader, input->bytes, input->length, &used, &message);
	if (outcome == WIRE_WRONG)
		return -EPROTO;
	consume(channel, used);
	if (outcome == WIRE_MORE)
		return 0;
	if (message.type != WIRE_WAIT)
		channel->heard_ns = channel->moved_ns;
	return channel->on_message(channel, &message);
}

/* Takes what is there, as far as that goes; behind it the stream may have ended. */
static void take(struct channel *channel)
{
	int error = 0;

	while (channel->input_count > 0 && !channel->held && channel->error == 0) {
		error = channel->raw_left > 0 ? take_raw(channel) : take_message(channel);
		if (error != 0)
			break_with(channel, error);
	}
	if (channel->input_count > 0 || channel->held || channel->receiving || channel->ended)
		return;
	if (channel->end_error != 0)
		break_with(channel, channel->end_error);
	channel->ended = true;
}

static void add_input(struct channel *channel, const void *bytes, size_t length,
		      struct sluice_buffer *buffer)
{
	channel->inputs[channel->input_count++] = (struct channel_input){
		.bytes = bytes,
		.length = length,
		.buffer = buffer,
	};
	channel->moved_ns = clock_ns();
}

void channel_feed(struct channel *channel, const void *bytes, size_t length)
{
	if (length > 0)
		add_input(channel, bytes, length, NULL);
	take(channel);
}

void channel_hold(struct channel *channel)
{
	channel->held = true;
}

void channel_resume(struct channel *channel)
{
	channel->held = false;
	consume(channel, channel->raw_taken);
	channel->raw_taken = 0;
	take(channel);
}

void channel_drop(struct channel *channel)
{
	channel->held = false;
	channel->raw_taken = 0;
	while (channel->input_count > 0)
		consume(channel, channel->inputs[0].length);
	take(channel);
}

static void on_received(struct sluice_socket *socket, const struct sluice_received *received,
			void *token)
{
	struct channel *channel = token;

	if (received->terminal) {
		channel->receiving = false;
		if (received->error != SLUICE_ERROR_SUCCESS)
			channel->end_error = received->native_error != 0 ? -received->native_error
									 : -ECONNRESET;
	}
	if (received->length > 0 && channel->input_count == CHANNEL_INPUTS)
		break_with(channel, -ENOBUFS);
	if (received->length > 0 && channel->error == 0 && !channel->ended)
		add_input(channel, received->data, received->length, received->buffer);
	else if (received->buffer != NULL)
		sluice_buffer_release(channel->engine, received->buffer);
	take(channel);
}

int channel_open(struct channel *channel, struct sluice_engine *engine,
		 struct sluice_socket *socket, uint64_t timeout_ns)
{
	struct sluice_receive_options options = {
		.size = sizeof(options),
		.on_received = on_received,
		.token = channel,
	};
	int error;

	channel->engine = engine;
	channel->timeout_ns = timeout_ns;
	channel->moved_ns = channel->heard_ns = channel->waited_ns = clock_ns();
	if (channel->pause_ns == 0)
		channel->pause_ns = PATIENCE * timeout_ns;
	channel_set_patience(channel, 0);
	error = sluice_receive_start(socket, &options);
	if (error != 0)
		return error;
	channel->socket = socket;
	channel->receiving = true;
	return 0;
}

/* ---- sending ---- */

static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct channel *channel = args->user_token;

	if (args->error != SLUICE_ERROR_SUCCESS)
		break_with(channel, -args->native_error);
}

static struct channel_record *free_record(struct channel *channel)
{
	for (size_t i = 0; i < CHANNEL_RECORDS; i++) {
		if (!sluice_args_in_progress(&channel->records[i].args))
			return &channel->records[i];
	}
	return NULL;
}

void channel_send(struct channel *channel, const struct wire_message *message)
{
	struct channel_record *record = free_record(channel);
	size_t length;
	int error;

	if (channel->error != 0)
		return;
	if (record == NULL) {
		break_with(channel, -ENOBUFS);
		return;
	}
	length = wire_write(message, record->bytes);
	record->args.completed = on_sent;
	record->args.user_token = channel;
	error = sluice_args_set_buffer(&record->args, record->bytes, length, 0, (int64_t)length);
	if (error == 0)
		error = sluice_send_async(channel->socket, &record->args);
	if (error == 0)
		on_sent(channel->socket, &record->args);
	if (error < 0)
		break_with(channel, error);
}

void channel_send_hello(struct channel *channel, bool secret)
{
	struct wire_message message = {
		.type = WIRE_HELLO, .version = WIRE_VERSION, .secret = secret};

	channel_send(channel, &message);
}

void channel_send_type(struct channel *channel, enum wire_type type)
{
	struct wire_message message = {.type = type};

	channel_send(channel, &message);
}

void channel_send_result(struct channel *channel, enum wire_code code, const char *text)
{
	struct wire_message message = {.type = WIRE_RESULT, .code = code};

	message.text_length = strnlen(text, WIRE_TEXT_MAX);
	memcpy(message.text, text, message.text_length);
	channel_send(channel, &message);
}

void channel_keep(struct channel *channel)
{
	uint64_t now = clock_ns();

	channel->moved_ns = channel->heard_ns = now;
	if (now - channel->waited_ns < KEEP_NS || free_record(channel) == NULL)
		return;
	channel->waited_ns = now;
	channel_send_type(channel, WIRE_WAIT);
}

uint64_t channel_sent(const struct channel *channel)
{
	/* Without the members that cost a system call. */
	struct sluice_socket_statistics statistics = {
		.size = offsetof(struct sluice_socket_statistics, busy_ns),
	};

	sluice_socket_statistics(channel->socket, &statistics);
	return statistics.bytes_sent;
}

/* ---- turns ---- */

/* Bytes that the peer has not acknowledged; they decrease while the send buffer drains. */
static int unacknowledged(const struct channel *channel)
{
	int bytes = 0;

	if (ioctl(sluice_socket_fd(channel->socket), SIOCOUTQ, &bytes) != 0)
		return 0;
	return bytes;
}

void channel_set_patience(struct channel *channel, uint64_t bytes)
{
	channel->patience_ns = channel->pause_ns + (uint64_t)((double)bytes / PATIENCE_RATE * 1e9);
	channel->heard_ns = clock_ns();
}

/* 0; -ETIMEDOUT: no progress; -ETIME: nothing but WAIT arrived. */
static int check_time(struct channel *channel)
{
	uint64_t now = clock_ns(), sent = channel_sent(channel);
	int waiting = unacknowledged(channel);

	if (sent != channel->sent || waiting < channel->waiting)
		channel->moved_ns = channel->heard_ns = now;
	channel->sent = sent;
	channel->waiting = waiting;
	if (now - channel->moved_ns > channel->timeout_ns)
		return -ETIMEDOUT;
	return now - channel->heard_ns > channel->patience_ns ? -ETIME : 0;
}

int channel_turn(struct channel *channel)
{
	int result = 0;

	if (channel->error == 0 && !channel->ended)
		result = sluice_engine_run(channel->engine, CHANNEL_TURN_NS);
	if (result < 0 && result != -EINTR)
		return result;
	if (channel->error != 0)
		return channel->error;
	if (channel->ended)
		return -EPIPE;
	return check_time(channel);
}

static bool is_pending(const struct channel *channel)
{
	for (size_t i = 0; i < CHANNEL_RECORDS; i++) {
		if (sluice_args_in_progress(&channel->records[i].args))
			return true;
	}
	return channel->receiving || sluice_args_in_progress(&channel->last);
}

void channel_end(struct channel *channel)
{
	int error = sluice_disconnect_async(channel->socket, &channel->last);

	if (error < 0)
		break_with(channel, error);
}

void channel_close(struct channel *channel, uint64_t grace_ns)
{
	if (channel->socket == NULL)
		return;
	channel_drop(channel);
	if (grace_ns > 0)
		sluice_socket_close_gracefully(channel->socket, (int64_t)grace_ns);
	else
		sluice_socket_close(channel->socket);
	while (is_pending(channel) && sluice_engine_run(channel->engine, CHANNEL_TURN_NS) != -EPERM)
		;
	sluice_socket_destroy(channel->socket);
	channel->socket = NULL;
}
