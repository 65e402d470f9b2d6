/* SPDX-License-Identifier: MIT */
/*
 * The BIO that OpenSSL reads and writes through. It is pushed onto OpenSSL's socket BIO, which can
 * pass a session to the kernel, and adds three things: it never raises SIGPIPE, it never blocks,
 * and it stores writes as output once the library encrypts.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "tls/inside.h"

static BIO_METHOD *method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int write_output(struct sluice_tls *tls, const char *bytes, int length)
{
	if (!tls->output)
		tls->output = tls_output_take(tls->context);
	if (!tls->output || !tls_output_append(tls->output, bytes, (size_t)length))
		return -1;
	return length;
}

/* OpenSSL's BIO sends control records with sendmsg without MSG_NOSIGNAL, so block SIGPIPE. */
static int write_kernel(BIO *bio, const char *bytes, int length)
{
	const struct timespec now = {0};
	struct sluice_tls *tls = BIO_get_data(bio);
	sigset_t pipe, before, pending;
	int written;

	tls_pushed_begin(&tls->pushed, tls->fd);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	written = BIO_write(BIO_next(bio), bytes, length);
	BIO_copy_next_retry(bio);
	if (written > 0)
		tls->pushed.control_bytes += (uint64_t)written;
	if (!sigismember(&pending, SIGPIPE)) {
		int error_number = errno;

		while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
			;
		errno = error_number;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return written;
}

static int bio_write(BIO *bio, const char *bytes, int length)
{
	struct sluice_tls *tls = BIO_get_data(bio);
	ssize_t written;

	BIO_clear_retry_flags(bio);
	if (tls->buffered)
		return write_output(tls, bytes, length);
	if (BIO_get_ktls_send(BIO_next(bio)))
		return write_kernel(bio, bytes, length);
	do {
		written = send(tls->fd, bytes, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (written < 0 && errno == EINTR);
	if (written < 0 && errno == EAGAIN)
		BIO_set_retry_write(bio);
	return (int)written;
}

static int bio_read(BIO *bio, char *bytes, int length)
{
	struct sluice_tls *tls = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (BIO_get_ktls_recv(BIO_next(bio))) {
		got = BIO_read(BIO_next(bio), bytes, length);
		BIO_copy_next_retry(bio);
		tls->at_end |= got == 0;
		return (int)got;
	}
	do {
		got = recv(tls->fd, bytes, (size_t)length, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		BIO_set_retry_read(bio);
	tls->at_end |= got == 0;
	return (int)got;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	struct sluice_tls *tls = BIO_get_data(bio);

	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return tls->at_end || BIO_eof(BIO_next(bio));
	case BIO_CTRL_PUSH:
	case BIO_CTRL_POP:
		return 0;
	default:
		return BIO_next(bio) ? BIO_ctrl(BIO_next(bio), command, number, pointer) : 0;
	}
}

static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_FILTER, "sluice");
	if (!method)
		return;
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_ctrl(method, bio_ctrl);
}

BIO *tls_bio_new(struct sluice_tls *tls)
{
	BIO *mine, *kernel;

	pthread_once(&once, make_method);
	mine = method ? BIO_new(method) : NULL;
	kernel = BIO_new_socket(tls->fd, BIO_NOCLOSE);
	if (!mine || !kernel) {
		BIO_free(mine);
		BIO_free(kernel);
		return NULL;
	}
	BIO_set_data(mine, tls);
	BIO_set_init(mine, 1);
	return BIO_push(mine, kernel);
}
