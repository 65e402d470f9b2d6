/* SPDX-License-Identifier: MIT */
/* `sluice send`: connects to a `sluice receive` and sends it files. */
#include <errno.h>
#include <signal.h>
#include <sluice/sluice.h>
#include <sluice/tls.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "options.h"
#include "transfer/address.h"
#include "transfer/name.h"
#include "transfer/secure.h"
#include "transfer/send_connect.h"
#include "transfer/send_session.h"
#include "transfer/transfer.h"

#define DAY_S 86400

#define MEMBER(name) offsetof(struct send_options, name)

static const struct option_spec specs[] = {
	{"name", "NAME", "name of the standard input at the receiver [stdin]", MEMBER(name), 0, 0,
	 OPTION_STRING, 'n'},
	{"restart", NULL, "send whole files even if the receiver has a part", MEMBER(restart), 0, 0,
	 OPTION_FLAG, 0},
	{"timeout", "SECONDS", "give up after this long without progress [60]", MEMBER(timeout_s),
	 1, DAY_S, OPTION_NUMBER, 0},
	{"backend", "NAME", "auto, uring or epoll [auto]", MEMBER(backend), 0, 0, OPTION_BACKEND,
	 0},
	{"secret", "FILE", "encrypt; the receiver needs the same secret", MEMBER(secret), 0, 0,
	 OPTION_STRING, 0},
	{"tls-way", "NAME", "what encrypts: auto, kernel or library [auto]", MEMBER(tls_way), 0, 0,
	 OPTION_TLS_WAY, 0},
	{"quiet", NULL, "no progress bar", MEMBER(quiet), 0, 0, OPTION_FLAG, 'q'},
	{"trace", "FILE", "append a trace of all calls; JSON if named *.json", MEMBER(trace), 0, 0,
	 OPTION_STRING, 0},
};

static const struct option_table table = {
	.command = "send",
	.arguments = "FILE... HOST:PORT",
	.summary = "Sends files to a 'sluice receive'; '-' is the standard input.",
	.specs = specs,
	.count = sizeof(specs) / sizeof(specs[0]),
};

static const struct send_options defaults = {
	.name = "stdin",
	.timeout_s = 60,
};

/* ---- the command line ---- */

/* Finds unreadable files before anything is sent. */
static int check_files(char **paths, size_t count)
{
	size_t inputs = 0;

	for (size_t i = 0; i < count; i++) {
		char shown[TRANSFER_SHOWN];

		if (strcmp(paths[i], "-") == 0) {
			inputs++;
			continue;
		}
		if (access(paths[i], R_OK) == 0)
			continue;
		name_show(paths[i], shown, sizeof(shown));
		fprintf(stderr, "sluice send: %s: %s\n", shown, strerror(errno));
		return EXIT_FAILED;
	}
	if (inputs > 1) {
		options_complain("send", "-: the standard input may be given only once");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static int read_arguments(struct send_options *options, int argc, char **argv, int *ret_index,
			  struct address *ret_address)
{
	const char *wrong;

	*options = defaults;
	switch (options_parse(&table, argc, argv, options, ret_index)) {
	case OPTIONS_OK:
		break;
	case OPTIONS_DONE:
		return -1;
	case OPTIONS_WRONG:
		return EXIT_USAGE;
	}
	if (argc - *ret_index < 2) {
		options_complain("send", "missing FILE and HOST:PORT");
		return EXIT_USAGE;
	}
	wrong = address_parse(argv[argc - 1], ret_address);
	if (wrong != NULL) {
		options_complain("send", "%s: %s", argv[argc - 1], wrong);
		return EXIT_USAGE;
	}
	if (!name_is_safe(options->name, strlen(options->name), true)) {
		options_complain("send", "--name=%s: not a valid file name", options->name);
		return EXIT_USAGE;
	}
	if (options->tls_way != SLUICE_TLS_WAY_AUTO && options->secret == NULL) {
		options_complain("send", "--tls-way needs --secret");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static int create_engine(const struct send_options *send, struct sluice_engine **ret_engine)
{
	struct sluice_options options;
	int error;

	sluice_options_init(&options, sizeof(options));
	options.backend = (uint32_t)send->backend;
	options.sigpipe_ignored = 1;
	options.receive_buffers = 8;
	options.receive_buffer_bytes = 4096;
	options.trace_path = send->trace;
	error = sluice_engine_create(ret_engine, &options);
	if (error == 0)
		return EXIT_OK;
	fprintf(stderr, "sluice send: the engine: %s\n", strerror(-error));
	return EXIT_FAILED;
}

/* The socket is connected; it is destroyed if the exit code is not EXIT_OK. */
static int secure_socket(struct secure *secure, struct sluice_engine *engine,
			 struct sluice_socket *socket, const char *where,
			 const struct send_options *options)
{
	struct secure_greeting greeting = {
		.engine = engine,
		.socket = socket,
		.timeout_ns = options->timeout_s * UINT64_C(1000000000),
	};
	int error = secure_greet(secure, &greeting);

	if (error == 0)
		return EXIT_OK;
	fprintf(stderr, "sluice send: %s: %s\n", where, transfer_error_text(error));
	sluice_socket_destroy(socket);
	return transfer_exit_code(error);
}

int send_main(int argc, char **argv)
{
	struct send_options options;
	struct secure *secure = NULL;
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	struct address address;
	int index = 0;
	int code = read_arguments(&options, argc, argv, &index, &address);

	if (code != EXIT_OK)
		return code < 0 ? EXIT_OK : code;
	code = check_files(argv + index, (size_t)(argc - 1 - index));
	if (code == EXIT_OK && options.secret != NULL)
		code = secure_create("send", options.secret, false, options.tls_way, &secure);
	if (code == EXIT_OK)
		code = create_engine(&options, &engine);
	if (code != EXIT_OK) {
		secure_destroy(secure);
		return code;
	}
	signal(SIGPIPE, SIG_IGN);
	code = connect_host(engine, argv[argc - 1], &address,
			    options.timeout_s * UINT64_C(1000000000), &socket);
	if (code == EXIT_OK && secure != NULL)
		code = secure_socket(secure, engine, socket, argv[argc - 1], &options);
	if (code == EXIT_OK)
		code = send_session(engine, socket, argv + index, (size_t)(argc - 1 - index),
				    &options);
	sluice_engine_destroy(engine);
	secure_destroy(secure);
	return code;
}
