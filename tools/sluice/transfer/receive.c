/* SPDX-License-Identifier: MIT */
/* `sluice receive`: stores what `sluice send` sends, one connection after another. */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <sluice/sluice.h>
#include <sluice/tls.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "options.h"
#include "serve/listener.h"
#include "transfer/address.h"
#include "transfer/channel.h"
#include "transfer/log.h"
#include "transfer/receive_session.h"
#include "transfer/secret.h"
#include "transfer/secure.h"
#include "transfer/transfer.h"

#define DAY_S 86400
#define NO_PORT 65536
#define BUFFER_BYTES (256 << 10)
#define ACCEPT_PAUSE_NS 200000000
#define GREETING_S \
	10 /* within which a sender must prove that it has the secret; others wait meanwhile */

#define MEMBER(name) offsetof(struct receive_options, name)

static const struct option_spec specs[] = {
	{"output", "DIRECTORY", "store files there [.]", MEMBER(output), 0, 0, OPTION_STRING, 'o'},
	{"bind", "ADDRESS", "listen on this address [depends on --secret]", MEMBER(bind), 0, 0,
	 OPTION_STRING, 'b'},
	{"port", "PORT", "the same as the argument; 0 for a free one", MEMBER(port), 0, 65535,
	 OPTION_NUMBER, 'p'},
	{"once", NULL, "exit after one connection, with its status", MEMBER(once), 0, 0,
	 OPTION_FLAG, '1'},
	{"overwrite", NULL, "replace existing files", MEMBER(overwrite), 0, 0, OPTION_FLAG, 0},
	{"dotfiles", NULL, "accept names that begin with a dot", MEMBER(dotfiles), 0, 0,
	 OPTION_FLAG, 0},
	{"max-size", "BYTES", "refuse larger files; 0: no limit [0]", MEMBER(max_size), 0,
	 INT64_MAX, OPTION_SIZE, 0},
	{"sync", NULL, "write files to the disk before reporting success", MEMBER(sync), 0, 0,
	 OPTION_FLAG, 0},
	{"timeout", "SECONDS", "give up after this long without data [60]", MEMBER(timeout_s), 1,
	 DAY_S, OPTION_NUMBER, 0},
	{"max-pause", "SECONDS", "drop a sender that pauses this long [8 timeouts]",
	 MEMBER(max_pause_s), 1, 100 * DAY_S, OPTION_NUMBER, 0},
	{"backend", "NAME", "auto, uring or epoll [auto]", MEMBER(backend), 0, 0, OPTION_BACKEND,
	 0},
	{"secret", "FILE", "encrypt; accept only senders with the same secret", MEMBER(secret), 0,
	 0, OPTION_STRING, 0},
	{"new-secret", "FILE", "create a secret file; without a PORT, then exit",
	 MEMBER(new_secret), 0, 0, OPTION_STRING, 0},
	{"tls-way", "NAME", "what encrypts: auto, kernel or library [auto]", MEMBER(tls_way), 0, 0,
	 OPTION_TLS_WAY, 0},
	{"insecure", NULL, "accept other machines without a secret", MEMBER(insecure), 0, 0,
	 OPTION_FLAG, 0},
	{"quiet", NULL, "no progress bar", MEMBER(quiet), 0, 0, OPTION_FLAG, 'q'},
	{"trace", "FILE", "append a trace of all calls; JSON if named *.json", MEMBER(trace), 0, 0,
	 OPTION_STRING, 0},
};

static const struct option_table table = {
	.command = "receive",
	.arguments = "PORT",
	.summary = "Stores the files that 'sluice send' sends to the port.",
	.specs = specs,
	.count = sizeof(specs) / sizeof(specs[0]),
};

static const struct receive_options defaults = {
	.output = ".",
	.port = NO_PORT,
	.timeout_s = 60,
};

struct receiver {
	struct receive_options options;
	struct store store;
	struct sluice_engine *engine;
	struct sluice_socket *listener;
	struct listen_address address;
	struct sluice_args accept;
	struct secure *secure; /* NULL: no secret */
};

static struct sluice_engine *signalled;
static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	stopping = 1;
	sluice_engine_wake(signalled);
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "sluice receive: %s: %s\n", what, strerror(-error));
	return EXIT_FAILED;
}

static int create_engine(struct receiver *receiver)
{
	struct sluice_options options;
	int error;

	sluice_options_init(&options, sizeof(options));
	options.backend = (uint32_t)receiver->options.backend;
	options.sigpipe_ignored = 1;
	options.receive_buffers = CHANNEL_BUFFERS;
	options.receive_buffer_bytes = BUFFER_BYTES;
	options.receive_buffers_per_socket = CHANNEL_BUFFERS;
	options.trace_path = receiver->options.trace;
	error = sluice_engine_create(&receiver->engine, &options);
	return error == 0 ? EXIT_OK : fail("the engine", error);
}

/* All addresses, of both families if available. */
static int open_any(struct receiver *receiver, int *ret_fd)
{
	uint16_t port = (uint16_t)receiver->options.port;
	int error = -EAFNOSUPPORT;

	if (listen_resolve("::", port, &receiver->address) == NULL)
		error = listen_open(&receiver->address, ret_fd, 1);
	if (error != -EAFNOSUPPORT && error != -EADDRNOTAVAIL)
		return error;
	if (listen_resolve("0.0.0.0", port, &receiver->address) != NULL)
		return error;
	return listen_open(&receiver->address, ret_fd, 1);
}

static bool is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;

	if (address->ss_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
	return address->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

static bool is_confined(const struct receiver *receiver)
{
	return receiver->secure == NULL && !receiver->options.insecure;
}

static bool is_too_open(const struct receiver *receiver)
{
	return is_confined(receiver) && !is_loopback(&receiver->address.address);
}

/* NULL: all addresses. */
static const char *bind_address(const struct receiver *receiver)
{
	if (receiver->options.bind != NULL || !is_confined(receiver))
		return receiver->options.bind;
	fprintf(stderr, "sluice receive: only this machine can connect; use --secret=FILE for "
			"others, or --insecure\n");
	return "127.0.0.1";
}

static int cannot_listen(const struct receiver *receiver, int error)
{
	char at[300], what[320];

	listen_text(&receiver->address, at, sizeof(at));
	snprintf(what, sizeof(what), "cannot listen on %s", at);
	return fail(what, error);
}

static int open_listener(struct receiver *receiver)
{
	const char *bind = bind_address(receiver);
	const char *wrong = NULL;
	int fd = -1, error;

	if (bind != NULL)
		wrong = listen_resolve(bind, (uint16_t)receiver->options.port, &receiver->address);
	if (wrong == NULL && bind != NULL && is_too_open(receiver))
		wrong = "other machines could connect; use --secret=FILE or --insecure";
	if (wrong != NULL) {
		options_complain("receive", "--bind=%s: %s", bind, wrong);
		return EXIT_USAGE;
	}
	error = bind != NULL ? listen_open(&receiver->address, &fd, 1) : open_any(receiver, &fd);
	if (error == 0) {
		error = sluice_socket_attach(receiver->engine, fd, &receiver->listener);
		if (error != 0)
			close(fd);
	}
	return error == 0 ? EXIT_OK : cannot_listen(receiver, error);
}

static void print_start(const struct receiver *receiver)
{
	const struct sockaddr_storage *address = &receiver->address.address;
	char host[64] = "", port[8] = "";

	getnameinfo((const struct sockaddr *)address, receiver->address.length, host, sizeof(host),
		    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	printf(address->ss_family == AF_INET6 ? "Receiving into %s at [%s]:%s with %s\n"
					      : "Receiving into %s at %s:%s with %s\n",
	       receiver->options.output, host, port, sluice_engine_backend(receiver->engine));
	fflush(stdout);
}

/* Errors that a later accept cannot overcome; all others may be temporary. */
static bool is_fatal(const struct receiver *receiver, int error)
{
	/* The engine failed, not the accept. */
	if (sluice_args_in_progress(&receiver->accept))
		return true;
	return error == -EBADF || error == -EINVAL || error == -ENOTSOCK || error == -EFAULT;
}

/* Accepts one connection. 0 and the connection; -ECANCELED: a signal arrived; -errno. */
static int accept_one(struct receiver *receiver, struct sluice_socket **ret_socket)
{
	struct sluice_args *args = &receiver->accept;
	int error = sluice_accept_async(receiver->listener, args);

	while (error >= 0 && sluice_args_in_progress(args)) {
		if (stopping)
			sluice_cancel(receiver->listener, args);
		error = sluice_engine_run(receiver->engine, -1);
		if (error == -EINTR)
			error = 0;
	}
	if (error >= 0)
		error = -args->native_error;
	if (stopping && error != 0)
		return -ECANCELED;
	*ret_socket = args->accept_socket;
	args->accept_socket = NULL;
	return error;
}

/* Lack of descriptors or memory, or a network failure: may be temporary. */
static void pause_accepting(struct receiver *receiver, int error)
{
	const struct timespec moment = {.tv_nsec = ACCEPT_PAUSE_NS};

	log_message("sluice receive", "cannot accept: %s", strerror(-error));
	if (!stopping)
		nanosleep(&moment, NULL);
}

/* Anyone may connect; a connection without the secret does not count as an outcome. */
static int serve_without(struct receiver *receiver, const struct secure_greeting *greeting,
			 int error)
{
	const struct receive_heard heard = {greeting->heard, greeting->heard_length};

	if (error == TRANSFER_NO_SECRET) {
		receive_session(receiver->engine, greeting->socket, &receiver->store,
				&receiver->options, &stopping, &heard);
		return -1;
	}
	if (error != -ECANCELED)
		log_message("sluice receive", "a connection failed before authentication: %s",
			    transfer_error_text(error));
	sluice_socket_destroy(greeting->socket);
	return -1;
}

/* Serves one connection. Its exit code; -1: the sender was not authenticated. */
static int serve_one(struct receiver *receiver, struct sluice_socket *socket)
{
	struct secure_greeting greeting = {
		.engine = receiver->engine,
		.socket = socket,
		.timeout_ns = (receiver->options.timeout_s < GREETING_S
				       ? receiver->options.timeout_s
				       : GREETING_S) *
			      UINT64_C(1000000000),
		.stopping = &stopping,
	};
	int error = 0;

	if (receiver->secure != NULL)
		error = secure_greet(receiver->secure, &greeting);
	if (error != 0)
		return serve_without(receiver, &greeting, error);
	return receive_session(receiver->engine, socket, &receiver->store, &receiver->options,
			       &stopping, NULL);
}

static int serve(struct receiver *receiver)
{
	while (!stopping) {
		struct sluice_socket *socket = NULL;
		int outcome = accept_one(receiver, &socket);

		if (outcome == -ECANCELED)
			break;
		if (is_fatal(receiver, outcome))
			return fail("cannot accept", outcome);
		if (outcome != 0) {
			pause_accepting(receiver, outcome);
			continue;
		}
		outcome = serve_one(receiver, socket);
		if (receiver->options.once && outcome >= 0)
			return outcome;
	}
	return EXIT_OK;
}

static void catch_signals(struct receiver *receiver)
{
	struct sigaction action = {.sa_handler = on_signal};

	signalled = receiver->engine;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* exceeding RLIMIT_FSIZE becomes an error */
}

static void let_signals_go(void)
{
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signalled = NULL;
}

static int read_arguments(struct receive_options *options, int argc, char **argv)
{
	uint16_t port;
	int index = 0;

	*options = defaults;
	switch (options_parse(&table, argc, argv, options, &index)) {
	case OPTIONS_OK:
		break;
	case OPTIONS_DONE:
		return -1;
	case OPTIONS_WRONG:
		return EXIT_USAGE;
	}
	if (index + 1 < argc || (index < argc && options->port != NO_PORT)) {
		options_complain("receive", "%s: only one port may be given", argv[argc - 1]);
		return EXIT_USAGE;
	}
	if (index < argc) {
		if (!address_read_port(argv[index], 0, &port)) {
			options_complain("receive", "%s: not a port", argv[index]);
			return EXIT_USAGE;
		}
		options->port = port;
	}
	if (options->new_secret != NULL && options->secret != NULL) {
		options_complain("receive", "--new-secret and --secret exclude each other");
		return EXIT_USAGE;
	}
	if (options->tls_way != SLUICE_TLS_WAY_AUTO && options->secret == NULL &&
	    options->new_secret == NULL) {
		options_complain("receive", "--tls-way needs --secret");
		return EXIT_USAGE;
	}
	if (options->insecure && (options->secret != NULL || options->new_secret != NULL)) {
		options_complain("receive", "--insecure and a secret exclude each other");
		return EXIT_USAGE;
	}
	if (options->port == NO_PORT && options->new_secret == NULL) {
		options_complain("receive", "missing PORT");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static int run(struct receiver *receiver)
{
	int code = create_engine(receiver);

	if (code != EXIT_OK)
		return code;
	catch_signals(receiver);
	code = open_listener(receiver);
	if (code == EXIT_OK) {
		print_start(receiver);
		code = serve(receiver);
	}
	log_end("sluice receive");
	let_signals_go();
	sluice_engine_destroy(receiver->engine);
	return code;
}

/* On the standard error: the first line of the output is the address. */
static int make_secret(struct receive_options *options)
{
	const char *path = options->new_secret;
	const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
	int code = secure_check("receive");

	if (code == EXIT_OK)
		code = secret_make("receive", path);
	if (code != EXIT_OK)
		return code;
	options->secret = path;
	fprintf(stderr,
		"%s holds a new secret. Copy it to the sender over an encrypted connection:\n"
		"  scp -p '%s' SENDER:\n"
		"and use it on both machines:\n"
		"  sluice receive --secret='%s' PORT\n"
		"  sluice send --secret='%s' FILE... HOST:PORT\n",
		path, path, path, name);
	return EXIT_OK;
}

static int open_secret(struct receiver *receiver)
{
	struct receive_options *options = &receiver->options;
	int code = options->new_secret != NULL ? make_secret(options) : EXIT_OK;

	if (code == EXIT_OK && options->secret != NULL)
		code = secure_create("receive", options->secret, true, options->tls_way,
				     &receiver->secure);
	return code;
}

int receive_main(int argc, char **argv)
{
	static struct receiver receiver;
	int code = read_arguments(&receiver.options, argc, argv);
	int error;

	if (code != EXIT_OK)
		return code < 0 ? EXIT_OK : code;
	receiver.store.overwrite = receiver.options.overwrite;
	receiver.store.dotfiles = receiver.options.dotfiles;
	receiver.store.sync = receiver.options.sync;
	code = open_secret(&receiver);
	if (code != EXIT_OK || receiver.options.port == NO_PORT) {
		secure_destroy(receiver.secure);
		return code;
	}
	error = store_open(&receiver.store, receiver.options.output);
	if (error == 0) {
		code = run(&receiver);
		store_close(&receiver.store);
	} else {
		code = fail(receiver.options.output, error);
	}
	secure_destroy(receiver.secure);
	return code;
}
