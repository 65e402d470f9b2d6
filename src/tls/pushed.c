/* SPDX-License-Identifier: MIT */
/*
 * How much of what the kernel has encrypted is in TCP's queue.
 *
 * The kernel reports bytes as sent when it has encrypted them. If the send buffer is full it keeps the
 * rest of the TLS record, and later pushes it in a work item; shutdown(2) and close(2) drop it. No call
 * tells what it keeps, so this is computed: the bytes that the records have, from their number, minus
 * those in the stream.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tls/inside.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

#define ATTEMPTS 16
#define HEADER 5u
#define TAG 16u
#define EXPLICIT_NONCE 8u
#define SEQUENCE 8u

/*
 * Bytes written to TCP since the connection exists: acknowledged ones, and those in its queue. Those
 * are two calls, between which an acknowledgement may arrive.
 */
static int stream_bytes(int fd, uint64_t *ret_bytes)
{
	struct tcp_info before, after = {0};
	int queued;

	for (int i = 0; i < ATTEMPTS; i++) {
		socklen_t length = sizeof after;

		before = after;
		if ((i && ioctl(fd, SIOCOUTQ, &queued) < 0) ||
		    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &after, &length) < 0)
			return -errno;
		if (i && before.tcpi_bytes_acked == after.tcpi_bytes_acked) {
			*ret_bytes = after.tcpi_bytes_acked + (uint64_t)queued;
			return 0;
		}
	}
	return -EAGAIN;
}

static bool is_connected(int fd)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof info;

	/* TCP_CLOSE in linux/tcp_states.h, which is not public */
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state != 7;
}

static size_t size_of(const struct tls_crypto_info *info)
{
	switch (info->cipher_type) {
	case TLS_CIPHER_AES_GCM_128:
		return sizeof(struct tls12_crypto_info_aes_gcm_128);
	case TLS_CIPHER_AES_GCM_256:
		return sizeof(struct tls12_crypto_info_aes_gcm_256);
	case TLS_CIPHER_AES_CCM_128:
		return sizeof(struct tls12_crypto_info_aes_ccm_128);
	case TLS_CIPHER_CHACHA20_POLY1305:
		return sizeof(struct tls12_crypto_info_chacha20_poly1305);
	default:
		return 0;
	}
}

static uint32_t overhead_of(const struct tls_crypto_info *info)
{
	if (info->version == TLS_1_3_VERSION)
		return HEADER + 1 + TAG;
	if (info->cipher_type == TLS_CIPHER_CHACHA20_POLY1305)
		return HEADER + TAG;
	return HEADER + EXPLICIT_NONCE + TAG;
}

/* The number of the next record, which is the last member of each of these structs. */
static bool next_record_number(int fd, uint64_t *ret_number, uint32_t *ret_overhead)
{
	union {
		struct tls_crypto_info info;
		unsigned char bytes[128];
	} state = {0};
	socklen_t length = sizeof state.info;
	size_t size;
	bool known;

	if (getsockopt(fd, SOL_TLS, TLS_TX, &state, &length) < 0)
		return false;
	size = size_of(&state.info);
	*ret_overhead = overhead_of(&state.info);
	length = (socklen_t)size;
	known = size && getsockopt(fd, SOL_TLS, TLS_TX, &state, &length) == 0;
	*ret_number = 0;
	for (size_t i = size - SEQUENCE; known && i < size; i++)
		*ret_number = *ret_number << 8 | state.bytes[i];
	OPENSSL_cleanse(&state, sizeof state);
	return known;
}

void tls_pushed_begin(struct tls_pushed *pushed, int fd)
{
	if (pushed->begun)
		return;
	pushed->begun = true;
	pushed->known = stream_bytes(fd, &pushed->first_byte) == 0 &&
			next_record_number(fd, &pushed->first_record, &pushed->overhead);
}

bool tls_pushed_lacks(const struct tls_pushed *pushed, int fd, uint64_t application_bytes)
{
	uint64_t number, encrypted, written;
	uint32_t overhead;
	int queued = 0;

	if (!is_connected(fd))
		return false;
	/* Then the rest has gone into the queue when the queue has become empty. */
	if (!pushed->known || !next_record_number(fd, &number, &overhead))
		return ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0;
	if (stream_bytes(fd, &written) < 0)
		return true;
	encrypted = application_bytes + pushed->control_bytes +
		    (number - pushed->first_record) * pushed->overhead;
	return written - pushed->first_byte < encrypted;
}

int tls_pushed_try(int fd)
{
	struct tls12_crypto_info_aes_gcm_128 state = {
		.info = {.version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128},
	};
	struct tls_pushed pushed = {0};

	if (setsockopt(fd, SOL_TLS, TLS_TX, &state, sizeof state) < 0)
		return -errno;
	tls_pushed_begin(&pushed, fd);
	if (send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	if (!pushed.known || tls_pushed_lacks(&pushed, fd, 1) || !tls_pushed_lacks(&pushed, fd, 2))
		return -EOPNOTSUPP;
	return 0;
}
