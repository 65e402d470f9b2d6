/* SPDX-License-Identifier: MIT */
#include "transfer/secure.h"

#include <errno.h>
#include <sluice/sluice.h>
#include <sluice/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "tlsprobe.h"
#include "transfer/channel.h"
#include "transfer/secret.h"
#include "transfer/transfer.h"

/* One connection at a time. */
struct secure {
	struct sluice_tls_context *context;
	bool receiver;
	struct sluice_args args;
	unsigned char hello[WIRE_MESSAGE_MAX];
};

int secure_check(const char *command)
{
	return EXIT_OK;
}

int secure_create(const char *command, const char *path, bool receiver, uint64_t way,
		  struct secure **ret_secure)
{
	struct secure *secure = calloc(1, sizeof(*secure));
	struct secret secret = {.length = 0};
	char text[160] = "";
	struct sluice_tls_context_options options = {
		.size = sizeof(options),
		.role = receiver ? SLUICE_TLS_SERVER : SLUICE_TLS_CLIENT,
		.way = (uint32_t)way,
		.version_min = SLUICE_TLS_VERSION_1_3,
		.secret = secret.bytes,
		.error_text = text,
		.error_capacity = sizeof(text),
	};
	int code = secret_read(command, path, &secret);
	int error;

	if (code == EXIT_OK && !tlsprobe_has_way(way, text, sizeof(text))) {
		fprintf(stderr, "sluice %s: --tls-way=kernel: %s\n", command, text);
		secret_forget(&secret);
		code = EXIT_FAILED;
	}
	if (code != EXIT_OK || secure == NULL) {
		free(secure);
		return code != EXIT_OK ? code : EXIT_FAILED;
	}
	secure->receiver = receiver;
	options.secret_length = secret.length;
	error = sluice_tls_context_create(&secure->context, &options);
	secret_forget(&secret);
	if (error != 0) {
		fprintf(stderr, "sluice %s: TLS: %s\n", command,
			text[0] != '\0' ? text : strerror(-error));
		free(secure);
		return EXIT_FAILED;
	}
	*ret_secure = secure;
	return EXIT_OK;
}

void secure_destroy(struct secure *secure)
{
	if (secure == NULL)
		return;
	sluice_tls_context_destroy(secure->context);
	free(secure);
}

/* ---- one operation at a time ---- */

static bool set_deadline(struct secure *secure, uint64_t until_ns)
{
	uint64_t now = clock_ns();

	secure->args.timeout_ns = until_ns > now ? (int64_t)(until_ns - now) : 1;
	return until_ns > now;
}

/* The outcome of an operation that returned this. 0 or -errno. */
static int await(struct secure *secure, const struct secure_greeting *greeting, int answer)
{
	while (answer > 0 && sluice_args_in_progress(&secure->args)) {
		int result;

		if (greeting->stopping != NULL && *greeting->stopping)
			sluice_cancel(greeting->socket, &secure->args);
		result = sluice_engine_run(greeting->engine, CHANNEL_TURN_NS);
		if (result < 0 && result != -EINTR)
			return result;
	}
	if (answer < 0)
		return answer;
	return secure->args.error == SLUICE_ERROR_SUCCESS ? 0 : -secure->args.native_error;
}

static int say_hello(struct secure *secure, const struct secure_greeting *greeting,
		     uint64_t until_ns)
{
	const struct wire_message hello = {
		.type = WIRE_HELLO, .version = WIRE_VERSION, .secret = true};
	size_t length = wire_write(&hello, secure->hello);
	int error =
		sluice_args_set_buffer(&secure->args, secure->hello, length, 0, (int64_t)length);

	set_deadline(secure, until_ns);
	if (error == 0)
		error = sluice_send_async(greeting->socket, &secure->args);
	return await(secure, greeting, error);
}

/* Reads exactly a HELLO: TLS follows it. Less at the end of the stream. */
static int hear_hello(struct secure *secure, struct secure_greeting *greeting, uint64_t until_ns)
{
	size_t *length = &greeting->heard_length;
	int error = 0;

	*length = 0;
	while (error == 0 && *length < WIRE_HELLO_BYTES) {
		if (!set_deadline(secure, until_ns))
			return -ETIMEDOUT;
		error = sluice_args_set_receive_buffer(&secure->args, greeting->heard,
						       WIRE_HELLO_BYTES, (int64_t)*length,
						       (int64_t)(WIRE_HELLO_BYTES - *length));
		if (error == 0)
			error = sluice_receive_async(greeting->socket, &secure->args);
		error = await(secure, greeting, error);
		if (error == 0 && secure->args.bytes_transferred == 0)
			break;
		if (error == 0)
			*length += (size_t)secure->args.bytes_transferred;
	}
	return error;
}

/* Whether the bytes are the HELLO of a matching peer. 0 or -errno or TRANSFER_*. */
static int check_hello(const struct secure_greeting *greeting)
{
	struct wire_reader reader = {0};
	struct wire_message hello;
	size_t used;

	if (greeting->heard_length == 0)
		return -EPIPE;
	if (wire_read(&reader, greeting->heard, greeting->heard_length, &used, &hello) !=
		    WIRE_MESSAGE ||
	    hello.type != WIRE_HELLO)
		return -EPROTO;
	if (hello.version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	return hello.secret ? 0 : TRANSFER_NO_SECRET;
}

static int shake_hands(struct secure *secure, const struct secure_greeting *greeting,
		       uint64_t until_ns)
{
	int error;

	set_deadline(secure, until_ns);
	error = await(secure, greeting,
		      sluice_tls_handshake_async(secure->context, greeting->socket, NULL,
						 &secure->args, NULL));
	secure->args.timeout_ns = 0;
	return error == -EACCES ? TRANSFER_OTHER_SECRET : error;
}

int secure_greet(struct secure *secure, struct secure_greeting *greeting)
{
	uint64_t until_ns = clock_ns() + greeting->timeout_ns;
	int error = 0;

	greeting->heard_length = 0;
	if (!secure->receiver)
		error = say_hello(secure, greeting, until_ns);
	if (error == 0)
		error = hear_hello(secure, greeting, until_ns);
	if (error == 0)
		error = check_hello(greeting);
	/* A receiver leaves the reply to the session if the sender has no secret. */
	if (error != 0 && secure->receiver && greeting->heard_length > 0)
		return error == -ECANCELED || error == -ETIMEDOUT ? error : TRANSFER_NO_SECRET;
	if (error == 0 && secure->receiver)
		error = say_hello(secure, greeting, until_ns);
	return error == 0 ? shake_hands(secure, greeting, until_ns) : error;
}
