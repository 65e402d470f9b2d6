/* SPDX-License-Identifier: MIT */
/* Closing while the peer keeps sending or reads nothing, and closing gracefully. */
#include "contract_e_close.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- while the peer keeps sending ---- */

#define PIECE ((size_t)4096)

/*
 * Sends until the kernel takes no more, and lets the peer read until what was started is a Success:
 * the buffers of both ends are nearly full. The bytes that are left there.
 */
static uint64_t fill(struct fixture *fixture, struct pair *pair, uint64_t *ret_read)
{
	unsigned char *bytes = pattern_new(PIECE + 251, 0);
	struct operation *operations = operations_new(fixture, 4096);
	uint64_t sent = 0;
	size_t i = 0;

	*ret_read = 0;
	do {
		cr_assert_lt(i, 4096);
		cr_assert_geq(start_send(pair->socket, &operations[i], bytes + sent % 251, PIECE),
			      0);
		sent += PIECE;
	} while (is_over(&operations[i++]));
	while (fixture->pending) {
		read_pattern(pair->peer, PIECE, *ret_read);
		*ret_read += PIECE;
		run_for(fixture, MILLISECOND);
	}
	free(operations);
	free(bytes);
	return sent - *ret_read;
}

static void keep_sending(int peer)
{
	static const char bytes[16384];

	send(peer, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void close_while_the_peer_sends(bool gracefully)
{
	struct fixture fixture;
	struct pair pair;
	uint64_t left, position;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, SMALL);
	left = fill(&fixture, &pair, &position);
	cr_assert_gt(left, PIECE);
	keep_sending(pair.peer);
	if (gracefully)
		cr_assert_eq(sluice_socket_close_gracefully(pair.socket, SECOND), 0);
	else
		close_without_handlers(&fixture, pair.socket);
	for (; left; left -= PIECE, position += PIECE) {
		run_for(&fixture, MILLISECOND);
		keep_sending(pair.peer);
		run_for(&fixture, MILLISECOND);
		read_pattern(pair.peer, PIECE, position);
	}
	assert_end_of_stream(pair.peer);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(e03, e03_close_loses_nothing_while_the_peer_keeps_sending)
{
	close_while_the_peer_sends(false);
}

Test(e03, e03_a_graceful_close_loses_nothing_while_the_peer_keeps_sending)
{
	close_while_the_peer_sends(true);
}

PAIR_TEST(e03, e03_a_unix_peer_gets_everything_and_the_end_in_spite_of_what_it_sent, unix_pair,
	  SOCK_STREAM)
{
	struct operation send_;

	operation_init(&send_, fixture);
	cr_assert_eq(start_send(pair->socket, &send_, "\0\1\2", 3), 0);
	keep_sending(pair->peer);
	close_without_handlers(fixture, pair->socket);
	run_idle(fixture);
	read_pattern(pair->peer, 3, 0);
	assert_end_of_stream(pair->peer);
}

/* ---- lingering has its bounds ---- */

/* 0 after a reset, too. */
static size_t send_what_fits(int peer)
{
	static const char bytes[1 << 20];
	ssize_t count = send(peer, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

	return count > 0 ? (size_t)count : 0;
}

static void close_before_a_peer_that_reads_nothing(int64_t linger_ns, bool destroys_engine)
{
	struct sluice_options options;
	struct fixture fixture;
	struct pair pair;
	struct watched watched = {0};
	uint64_t position;

	sluice_options_init(&options, sizeof options);
	options.close_linger_ns = linger_ns;
	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, SMALL);
	cr_assert_gt(fill(&fixture, &pair, &position), PIECE);
	cr_assert_eq(sluice_socket_set_closed(pair.socket, on_closed, &watched), 0);
	close_without_handlers(&fixture, pair.socket);
	if (linger_ns == 0)
		run_idle(&fixture);
	else if (destroys_engine)
		cr_assert_eq(watched.calls, 0);
	else
		run_until(&fixture, watched.calls);
	if (!destroys_engine)
		cr_assert_eq(watched.calls, 1);
	pair_close(&pair);
	fixture_end(&fixture);
	cr_assert_eq(watched.calls, 1);
}

Test(e03, e03_a_close_lingers_no_longer_than_it_is_told)
{
	close_before_a_peer_that_reads_nothing(50 * MILLISECOND, false);
}

Test(e03, e03_a_close_that_is_told_not_to_linger_closes_at_once)
{
	close_before_a_peer_that_reads_nothing(0, false);
}

/* Without a time, the bytes are the bound: the peer sends as long as it may, and reads nothing. */
Test(e03, e03_a_close_lingers_for_no_more_than_64_mib)
{
	const uint64_t most = UINT64_C(64) << 20, margin = UINT64_C(16) << 20;
	struct sluice_options options;
	struct fixture fixture;
	struct pair pair;
	struct watched watched = {0};
	uint64_t position, sent = 0;
	int buffer = 1 << 20;

	sluice_options_init(&options, sizeof options);
	options.close_linger_ns = -1;
	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, SMALL);
	cr_assert_gt(fill(&fixture, &pair, &position), PIECE);
	/* The direction that is discarded may be fast. */
	setsockopt(sluice_socket_fd(pair.socket), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	setsockopt(pair.peer, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	cr_assert_eq(sluice_socket_set_closed(pair.socket, on_closed, &watched), 0);
	close_without_handlers(&fixture, pair.socket);
	for (size_t went = 1; !watched.calls; sent += went) {
		went = send_what_fits(pair.peer);
		cr_assert_lt(sent, most + margin, "it still lingers");
		run_for(&fixture, went ? 0 : 10 * MILLISECOND);
	}
	cr_assert_geq(sent, most, "it lingered for %llu bytes only", (unsigned long long)sent);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(e09, e09_the_engine_s_end_waits_for_no_peer)
{
	close_before_a_peer_that_reads_nothing(-1, true);
}

/* ---- close_gracefully ---- */

/* Most is still in the queue, and none of what the peer sends is received. */
BLOCKED_TEST(e03, e03_a_graceful_close_sends_its_queue_while_the_peer_keeps_sending, blocked_begin)
{
	int64_t deadline = now_ns() + GUARD_NS;
	static char bytes[65536];
	uint64_t position = 0;
	ssize_t count;

	cr_assert_eq(sluice_socket_close_gracefully(blocked->pair.socket, -1), 0);
	for (;;) {
		keep_sending(blocked->pair.peer);
		count = recv(blocked->pair.peer, bytes, sizeof bytes, MSG_DONTWAIT);
		if (count < 0 && errno == EAGAIN) {
			cr_assert_lt(now_ns(), deadline, "neither bytes nor an end");
			run_for(fixture, MILLISECOND);
			continue;
		}
		cr_assert(count >= 0, "%s after %llu bytes", strerror(errno),
			  (unsigned long long)position);
		if (count == 0)
			break;
		cr_assert(pattern_matches(bytes, (size_t)count, position));
		position += (uint64_t)count;
	}
	cr_assert_eq(position, HEAD_BYTES);
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
}

BLOCKED_TEST(e03, e03_a_graceful_close_comes_after_the_last_byte, blocked_begin)
{
	struct operation behind;
	int error;

	operation_init(&behind, fixture);

	cr_assert_eq(sluice_socket_close_gracefully(blocked->pair.socket, -1), 0);
	cr_assert_eq(start_send(blocked->pair.socket, &behind, "x", 1), -EBADF);
	run_idle(fixture);
	cr_assert(!is_over(&blocked->head));
	cr_assert_eq(run_reading_to_end(fixture, blocked->pair.peer, 0, &error), HEAD_BYTES);
	cr_assert_eq(error, 0);
	run_until(fixture, is_over(&blocked->head));
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	cr_assert_eq(sluice_socket_close_gracefully(blocked->pair.socket, -1), -EBADF);
}

BLOCKED_TEST(e03, e03_a_graceful_close_that_takes_too_long_is_a_close, blocked_begin)
{
	int64_t begin = now_ns();

	cr_assert_eq(sluice_socket_close_gracefully(blocked->pair.socket, 30 * MILLISECOND), 0);
	run_until(fixture, is_over(&blocked->head));
	cr_assert_geq(now_ns() - begin, 30 * MILLISECOND);
	cr_assert_eq(blocked->head.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	assert_peer_reset(fixture, blocked);
}

PAIR_TEST(e03, e03_a_graceful_close_with_nothing_queued_is_an_end, tcp_pair, 0)
{
	cr_assert_eq(sluice_socket_close_gracefully(pair->socket, SECOND), 0);
	run_idle(fixture);
	assert_end_of_stream(pair->peer);
}
