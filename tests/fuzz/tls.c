/* SPDX-License-Identifier: MIT */
/*
 * Gives bytes to either side of TLS before its handshake ends. The first byte says to which side and
 * from whom: a stranger, whose bytes are those of the input, or a client or server of OpenSSL's with
 * TLS 1.2 or 1.3, of whose bytes the input changes some. The second says in which pieces they arrive.
 * The handshake has to end exactly once, soon, and never in favour of a stranger; a client that
 * succeeds has the certificate of its server. See http.c for how it is run.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sluice/sluice.h>
#include <sluice/tls.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TURNS_MAX 10000
#define CHANGE_BYTES 3 /* where, and what */

enum sender {
	STRANGER, /* to a server */
	CLIENT_1_2,
	CLIENT_1_3,
	STRANGER_AS_SERVER,
	SERVER_1_2,
	SERVER_1_3,
	SENDERS,
};

struct input {
	const uint8_t *data;
	size_t size;
	size_t piece; /* bytes that arrive together; 0: all */
};

struct handshake {
	struct sluice_args args; /* first: the handler finds the rest by it */
	int ends;
	bool success;
};

static struct sluice_engine *engine;
static struct sluice_tls_context *server, *client;
static SSL_CTX *senders[SENDERS]; /* NULL: a stranger */
static uint8_t certificate_bytes[1024];
static size_t certificate_length;

static void must(bool condition)
{
	if (!condition)
		abort();
}

static bool is_server(enum sender sender)
{
	return sender >= STRANGER_AS_SERVER;
}

/* ---- once ---- */

/* Of localhost, signed by itself. */
static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	X509_EXTENSION *names =
		X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
	uint8_t *bytes = certificate_bytes;
	X509_NAME *name;

	must(certificate && names);
	name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1,
				   0);
	X509_set_issuer_name(certificate, name);
	X509_set_version(certificate, 2);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_set_pubkey(certificate, key);
	X509_add_ext(certificate, names, -1);
	X509_EXTENSION_free(names);
	must(X509_sign(certificate, key, EVP_sha256()) > 0);
	must((size_t)i2d_X509(certificate, NULL) <= sizeof(certificate_bytes));
	certificate_length = (size_t)i2d_X509(certificate, &bytes);
	return certificate;
}

static void make_files(const char *certificate_path, const char *key_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make_certificate(key);
	FILE *file = fopen(certificate_path, "w");
	FILE *key_file = fopen(key_path, "w");

	must(key && file && key_file);
	PEM_write_X509(file, certificate);
	PEM_write_PrivateKey(key_file, key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	fclose(key_file);
	for (int sender = SERVER_1_2; sender < SENDERS; sender++)
		must(SSL_CTX_use_certificate(senders[sender], certificate) == 1 &&
		     SSL_CTX_use_PrivateKey(senders[sender], key) == 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void make_contexts(void)
{
	static const char *const protocols[] = {"http/1.1"};
	char directory[] = "/tmp/sluice-fuzz-XXXXXX", certificate[64], key[64];
	struct sluice_tls_certificate files = {certificate, key};
	struct sluice_tls_context_options options = {
		.size = sizeof(options),
		.role = SLUICE_TLS_SERVER,
		.way = SLUICE_TLS_WAY_LIBRARY,
		.certificates = &files,
		.certificate_count = 1,
		.protocols = protocols,
		.protocol_count = 1,
	};

	must(mkdtemp(directory) != NULL);
	snprintf(certificate, sizeof(certificate), "%s/certificate", directory);
	snprintf(key, sizeof(key), "%s/key", directory);
	make_files(certificate, key);
	must(sluice_tls_context_create(&server, &options) == 0);
	options = (struct sluice_tls_context_options){
		.size = sizeof(options),
		.role = SLUICE_TLS_CLIENT,
		.way = SLUICE_TLS_WAY_LIBRARY,
		.authorities_file = certificate,
	};
	must(sluice_tls_context_create(&client, &options) == 0);
	unlink(certificate);
	unlink(key);
	rmdir(directory);
}

static void prepare(void)
{
	struct sluice_options options;

	sluice_options_init(&options, sizeof(options));
	options.backend = SLUICE_BACKEND_EPOLL;
	must(sluice_engine_create(&engine, &options) == 0);
	for (int sender = 0; sender < SENDERS; sender++) {
		bool old = sender == CLIENT_1_2 || sender == SERVER_1_2;

		if (sender == STRANGER || sender == STRANGER_AS_SERVER)
			continue;
		senders[sender] = SSL_CTX_new(is_server((enum sender)sender) ? TLS_server_method()
									     : TLS_client_method());
		must(senders[sender] != NULL);
		SSL_CTX_set_max_proto_version(senders[sender],
					      old ? TLS1_2_VERSION : TLS1_3_VERSION);
	}
	make_contexts();
}

/* ---- the side that is tested ---- */

static void on_handshake(struct sluice_socket *socket, struct sluice_args *args)
{
	struct handshake *handshake = (struct handshake *)args;

	handshake->ends++;
	handshake->success = args->error == SLUICE_ERROR_SUCCESS;
}

static void run(void)
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		if (sluice_engine_run(engine, 0) <= 0)
			return;
	}
	abort();
}

/* Writes in pieces, with turns of the engine between them. False: the other side has ended. */
static bool deliver(int fd, const uint8_t *bytes, size_t length, size_t piece)
{
	for (size_t at = 0; at < length;) {
		size_t part = piece > 0 && piece < length - at ? piece : length - at;
		ssize_t sent = send(fd, bytes + at, part, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0)
			return false;
		at += (size_t)sent;
		run();
	}
	return true;
}

/* ---- the senders ---- */

/* Changes those bytes of a flight that the input names by their place in all that is sent. */
static void change(const struct input *input, uint8_t *flight, size_t length, size_t before)
{
	for (size_t at = 0; at + CHANGE_BYTES <= input->size; at += CHANGE_BYTES) {
		size_t place = input->data[at] + 256u * input->data[at + 1];

		if (place >= before && place - before < length)
			flight[place - before] ^= input->data[at + 2];
	}
}

/* One step of an honest sender, whose bytes are changed. False: it has nothing more to say. */
static bool step(SSL *ssl, int fd, const struct input *input, size_t *sent)
{
	uint8_t flight[16384], answer[16384];
	int result = SSL_do_handshake(ssl), length;
	bool spoke = false;
	ssize_t got;

	while ((length = BIO_read(SSL_get_wbio(ssl), flight, sizeof(flight))) > 0) {
		change(input, flight, (size_t)length, *sent);
		*sent += (size_t)length;
		if (!deliver(fd, flight, (size_t)length, input->piece))
			return false;
		spoke = true;
	}
	while ((got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT)) > 0) {
		BIO_write(SSL_get_rbio(ssl), answer, (int)got);
		spoke = true;
	}
	return spoke && result != 1;
}

static void send_honestly(enum sender sender, int fd, const struct input *input)
{
	SSL *ssl = SSL_new(senders[sender]);
	size_t sent = 0;

	must(ssl != NULL);
	if (is_server(sender))
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	while (step(ssl, fd, input, &sent))
		;
	SSL_free(ssl);
}

/* ---- one input ---- */

static void check_certificate(const struct sluice_tls *tls)
{
	uint8_t bytes[sizeof(certificate_bytes)];

	must(sluice_tls_peer_certificate(tls, bytes, sizeof(bytes)) == certificate_length);
	must(memcmp(bytes, certificate_bytes, certificate_length) == 0);
}

static void meet(enum sender sender, const struct input *input)
{
	struct sluice_tls_options options = {.size = sizeof(options), .server_name = "localhost"};
	struct handshake handshake = {.ends = 0};
	bool stranger = senders[sender] == NULL;
	struct sluice_socket *socket;
	struct sluice_tls *tls;
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	must(sluice_socket_attach(engine, fds[0], &socket) == 0);
	sluice_args_init(&handshake.args);
	handshake.args.completed = on_handshake;
	must(sluice_tls_handshake_async(is_server(sender) ? client : server, socket,
					is_server(sender) ? &options : NULL, &handshake.args,
					&tls) == 1);
	run();
	if (stranger)
		deliver(fds[1], input->data, input->size, input->piece);
	else
		send_honestly(sender, fds[1], input);
	run();
	shutdown(fds[1], SHUT_WR);
	run();
	must(handshake.ends == 1);
	must(!stranger || !handshake.success);
	must(stranger || input->size >= CHANGE_BYTES || handshake.success);
	if (handshake.success && is_server(sender))
		check_certificate(tls);
	sluice_socket_destroy(socket);
	run();
	close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.data = data, .size = size};
	enum sender sender = STRANGER;

	if (engine == NULL)
		prepare();
	if (size >= 2) {
		sender = data[0] % SENDERS;
		input = (struct input){data + 2, size - 2, data[1]};
	}
	/* Single bytes of a long input take long, and show what those of a short one show. */
	if (input.size > 2048)
		input.piece = 0;
	meet(sender, &input);
	return 0;
}
