/* SPDX-License-Identifier: MIT */
/* Receiving over TLS if there is no memory for a buffer. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "streams.h"
#include "tls/peer.h"

#ifdef __SANITIZE_ADDRESS__

Test(t08, t08_receive_start_without_memory_for_a_buffer_ends_with_an_error)
{
	cr_skip("the address sanitizer's malloc cannot be made to fail");
}

#else

#define BUFFER_BYTES 12345u

void *__libc_malloc(size_t size);

static atomic_bool fails; /* the allocations of receive buffers */

void *malloc(size_t size)
{
	if (fails && size >= BUFFER_BYTES && size < BUFFER_BYTES + 256) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_malloc(size);
}

/* The bytes stay with the socket, for the next receive_start. */
Test(t08, t08_receive_start_without_memory_for_a_buffer_ends_with_an_error)
{
	struct sluice_options options;
	struct fixture fixture;
	struct tls tls;
	struct consumer consumer;
	char bytes[1000];

	pattern_fill(bytes, sizeof bytes, 0);
	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.receive_buffer_bytes = BUFFER_BYTES;
	fixture_begin_with(&fixture, &options);
	tls_pair_begin(&fixture, &tls, 0);
	consumer_init(&consumer, &fixture, tls.pair.socket);
	fails = true;
	cr_assert_eq(start_consuming(&consumer), 0);
	peer_write(&fixture, &tls.peer, bytes, sizeof bytes);
	run_until(&fixture, consumer.terminals == 1);
	assert_terminal(&consumer, SLUICE_ERROR_SOCKET_ERROR);
	fails = false;
	consumer.terminals = 0;
	cr_assert_eq(start_consuming(&consumer), 0);
	run_until(&fixture, consumer.bytes == sizeof bytes);
	sluice_socket_close(tls.pair.socket);
	run_until(&fixture, consumer.terminals == 1);
	tls_pair_end(&tls);
	fixture_end(&fixture);
}

#endif
