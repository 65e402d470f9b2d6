/* SPDX-License-Identifier: MIT */
#include "tls/peer.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- certificates ---- */

static void write_pem(const char *path, X509 *certificate, EVP_PKEY *key)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	if (certificate)
		PEM_write_X509(file, certificate);
	else
		PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	cr_assert_not_null(extension);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

static void make_certificate(const char *name, const char *path, const char *key_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);
	char names[128];

	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), (long)(random() + 1));
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_set_pubkey(certificate, key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_set_issuer_name(certificate, subject);
	snprintf(names, sizeof names, "DNS:%s", name);
	add_extension(certificate, NID_subject_alt_name, names);
	add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
	cr_assert(X509_sign(certificate, key, EVP_sha256()) > 0);
	write_pem(path, certificate, NULL);
	write_pem(key_path, NULL, key);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

void files_make(struct files *files)
{
	strcpy(files->directory, "/tmp/sluice-tls-XXXXXX");
	cr_assert_not_null(mkdtemp(files->directory));
	snprintf(files->certificate, sizeof files->certificate, "%s/a.pem", files->directory);
	snprintf(files->key, sizeof files->key, "%s/a.key", files->directory);
	snprintf(files->other_certificate, sizeof files->other_certificate, "%s/b.pem",
		 files->directory);
	snprintf(files->other_key, sizeof files->other_key, "%s/b.key", files->directory);
	make_certificate("localhost", files->certificate, files->key);
	make_certificate("other.example", files->other_certificate, files->other_key);
}

void files_remove(struct files *files)
{
	unlink(files->certificate);
	unlink(files->key);
	unlink(files->other_certificate);
	unlink(files->other_key);
	rmdir(files->directory);
}

/* ---- contexts ---- */

struct sluice_tls_context *context_with(const struct sluice_tls_context_options *options)
{
	struct sluice_tls_context_options own = *options;
	const char *way = getenv("SLUICE_TEST_TLS_WAY");
	struct sluice_tls_context *context = NULL;
	char text[200] = "";
	int error;

	if (own.way == SLUICE_TLS_WAY_AUTO && way)
		own.way = !strcmp(way, "kernel") ? SLUICE_TLS_WAY_KERNEL : SLUICE_TLS_WAY_LIBRARY;
	own.error_text = text;
	own.error_capacity = sizeof text;
	error = sluice_tls_context_create(&context, &own);
	cr_assert_eq(error, 0, "%d: %s", error, text);
	return context;
}

uint32_t version_of_environment(void)
{
	const char *version = getenv("SLUICE_TEST_TLS_VERSION");

	return version && !strcmp(version, "1.2") ? SLUICE_TLS_VERSION_1_2 : SLUICE_TLS_VERSION_1_3;
}

struct sluice_tls_context_options server_options(const struct files *files,
						 struct sluice_tls_certificate *certificate)
{
	*certificate = (struct sluice_tls_certificate){files->certificate, files->key};
	return (struct sluice_tls_context_options){
		.size = sizeof(struct sluice_tls_context_options),
		.role = SLUICE_TLS_SERVER,
		.version_max = version_of_environment(),
		.certificates = certificate,
		.certificate_count = 1,
	};
}

struct sluice_tls_context *server_context(const struct files *files)
{
	struct sluice_tls_certificate certificate;
	struct sluice_tls_context_options options = server_options(files, &certificate);

	return context_with(&options);
}

/* ---- the peer ---- */

void peer_init(struct peer *peer, int fd)
{
	peer->fd = fd;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	peer->context = SSL_CTX_new(TLS_client_method());
	peer->ssl = SSL_new(peer->context);
	SSL_set_fd(peer->ssl, fd);
	SSL_set_connect_state(peer->ssl);
}

void peer_free(struct peer *peer)
{
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->context);
	if (peer->fd >= 0)
		close(peer->fd);
}

static bool is_waiting(struct peer *peer, int result)
{
	int error = SSL_get_error(peer->ssl, result);

	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

bool peer_step(struct peer *peer)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(peer->ssl);
	cr_assert(result == 1 || is_waiting(peer, result), "the peer's handshake failed: %s",
		  ERR_reason_error_string(ERR_peek_error()));
	return result == 1;
}

int peer_read(struct peer *peer, void *buffer, int length)
{
	int got;

	ERR_clear_error();
	got = SSL_read(peer->ssl, buffer, length);
	if (got > 0)
		return got;
	if (is_waiting(peer, got))
		return -1;
	return SSL_get_error(peer->ssl, got) == SSL_ERROR_ZERO_RETURN ? 0 : -2;
}

void peer_read_pattern(struct fixture *fixture, struct peer *peer, size_t length, uint64_t position)
{
	static char buffer[65536];
	int64_t deadline = now_ns() + GUARD_NS;

	while (length) {
		size_t most = length < sizeof buffer ? length : sizeof buffer;
		int got = peer_read(peer, buffer, (int)most);

		cr_assert(got > 0 || got == -1, "the stream ended %zu bytes early", length);
		cr_assert(now_ns() < deadline, "%zu bytes did not come", length);
		if (got < 0) {
			run_for(fixture, MILLISECOND);
			continue;
		}
		cr_assert(pattern_matches(buffer, (size_t)got, position));
		length -= (size_t)got;
		position += (uint64_t)got;
	}
}

uint64_t peer_read_to_end(struct fixture *fixture, struct peer *peer, uint64_t position,
			  bool *ret_orderly)
{
	static char buffer[65536];
	int64_t deadline = now_ns() + GUARD_NS;
	uint64_t bytes = 0;
	int got;

	while ((got = peer_read(peer, buffer, sizeof buffer)) > 0 || got == -1) {
		cr_assert(now_ns() < deadline, "the end did not come");
		if (got < 0) {
			run_for(fixture, MILLISECOND);
			continue;
		}
		cr_assert(pattern_matches(buffer, (size_t)got, position + bytes));
		bytes += (uint64_t)got;
	}
	*ret_orderly = got == 0;
	return bytes;
}

void peer_write(struct fixture *fixture, struct peer *peer, const void *bytes, int length)
{
	int64_t deadline = now_ns() + GUARD_NS;
	int result;

	SSL_set_mode(peer->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	while ((result = SSL_write(peer->ssl, bytes, length)) <= 0) {
		cr_assert(is_waiting(peer, result));
		cr_assert(now_ns() < deadline);
		run_for(fixture, MILLISECOND);
	}
	cr_assert_eq(result, length);
}

/* ---- pairs ---- */

/* handshake_async has more arguments than a start has. */
static struct sluice_tls_context *begun_context;
static const struct sluice_tls_options *begun_options;
static struct sluice_tls **begun_tls;

static int begin_handshake(struct sluice_socket *socket, struct sluice_args *args)
{
	return sluice_tls_handshake_async(begun_context, socket, begun_options, args, begun_tls);
}

int handshake(struct sluice_tls_context *context, struct sluice_socket *socket,
	      const struct sluice_tls_options *options, struct operation *operation,
	      struct sluice_tls **ret_tls)
{
	begun_context = context;
	begun_options = options;
	begun_tls = ret_tls;
	return start(begin_handshake, socket, operation);
}

void tls_pair_prepare(struct fixture *fixture, struct tls *tls, int bytes)
{
	files_make(&tls->files);
	tls->context = server_context(&tls->files);
	tcp_pair(fixture, &tls->pair, bytes);
	peer_init(&tls->peer, tls->pair.peer);
}

int tls_pair_start(struct tls *tls, struct operation *operation)
{
	return handshake(tls->context, tls->pair.socket, NULL, operation, &tls->tls);
}

void tls_pair_shake(struct fixture *fixture, struct tls *tls, struct operation *behind,
		    uint32_t flags)
{
	static char bytes[3];
	struct operation operation;
	int64_t deadline = now_ns() + GUARD_NS;

	operation_init(&operation, fixture);
	cr_assert_eq(tls_pair_start(tls, &operation), 1);
	if (behind) {
		pattern_fill(bytes, sizeof bytes, 0);
		behind->args.flags = flags;
		cr_assert_eq(start_send(tls->pair.socket, behind, bytes, sizeof bytes), 1);
	}
	while (!peer_step(&tls->peer) || !is_over(&operation)) {
		cr_assert(now_ns() < deadline);
		run_for(fixture, MILLISECOND);
	}
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
}

void tls_pair_begin(struct fixture *fixture, struct tls *tls, int bytes)
{
	tls_pair_prepare(fixture, tls, bytes);
	tls_pair_shake(fixture, tls, NULL, 0);
}

void tls_pair_end(struct tls *tls)
{
	sluice_socket_destroy(tls->pair.socket);
	peer_free(&tls->peer);
	sluice_tls_context_destroy(tls->context);
	files_remove(&tls->files);
}

/* ---- two sockets of the engine's ---- */

void both_begin(struct fixture *fixture, struct both *both)
{
	memset(both, 0, sizeof *both);
	both->fixture = fixture;
	files_make(&both->files);
	both->server_options = server_options(&both->files, &both->certificate);
	both->client_options.size = sizeof both->client_options;
	both->client_options.authorities_file = both->files.certificate;
}

static void both_close(struct both *both)
{
	sluice_socket_destroy(both->server);
	sluice_socket_destroy(both->client);
	both->server = both->client = NULL;
}

void both_end(struct both *both)
{
	both_close(both);
	sluice_tls_context_destroy(both->server_context);
	sluice_tls_context_destroy(both->client_context);
	files_remove(&both->files);
}

void both_reload(struct both *both)
{
	struct sluice_tls_context *old = both->server_context;

	both->server_context = context_with(&both->server_options);
	sluice_tls_context_destroy(old);
}

void both_reconnect(struct both *both, const struct sluice_tls_options *options)
{
	both_close(both);
	attached_pair(both->fixture, &both->server, &both->client);
	operation_init(&both->server_handshake, both->fixture);
	operation_init(&both->client_handshake, both->fixture);
	cr_assert_eq(handshake(both->client_context, both->client, options, &both->client_handshake,
			       &both->client_tls),
		     1);
	cr_assert_eq(handshake(both->server_context, both->server, NULL, &both->server_handshake,
			       &both->server_tls),
		     1);
	run_until(both->fixture,
		  is_over(&both->server_handshake) && is_over(&both->client_handshake));
}

void both_connect(struct both *both, const struct sluice_tls_options *options)
{
	both_close(both);
	both_reload(both);
	sluice_tls_context_destroy(both->client_context);
	both->client_context = context_with(&both->client_options);
	both_reconnect(both, options);
}

size_t both_session(struct both *both, void *session, size_t capacity)
{
	struct operation send, receive;
	size_t length;
	char got[8];

	operation_init(&send, both->fixture);
	operation_init(&receive, both->fixture);
	start_send(both->server, &send, "ticket", 6);
	run_receive(both->client, &receive, got, 6);
	length = sluice_tls_session(both->client_tls, session, capacity);
	cr_assert_leq(length, capacity);
	run_until(both->fixture, is_over(&send));
	return length;
}
