/* SPDX-License-Identifier: MIT */
/* Closing: what is pending, what the peer sees, and what becomes of the handle. */
#include "contract_e_close.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define QUEUED 3

void close_without_handlers(struct fixture *fixture, struct sluice_socket *socket)
{
	fixture->inside_call++;
	cr_assert_eq(sluice_socket_close(socket), 0);
	fixture->inside_call--;
}

static void queue_behind(struct fixture *fixture, struct blocked *blocked,
			 struct operation *operations)
{
	for (size_t i = 0; i < QUEUED; i++) {
		operation_init(&operations[i], fixture);
		cr_assert_eq(start_send(blocked->pair.socket, &operations[i], "x", i), 1);
	}
}

static void assert_aborted(struct fixture *fixture, const struct blocked *blocked,
			   const struct operation *operations)
{
	run_until(fixture, fixture->pending == 0);
	cr_assert_eq(blocked->head.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	cr_assert_eq(blocked->head.args.native_error, ECANCELED);
	cr_assert_gt(blocked->head.args.bytes_transferred, 0);
	cr_assert_lt(blocked->head.args.bytes_transferred, HEAD_BYTES);
	for (size_t i = 0; i < QUEUED; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_OPERATION_ABORTED, 0);
		cr_assert_eq(operations[i].turn, blocked->head.turn + i + 1);
	}
}

void assert_peer_reset(struct fixture *fixture, const struct blocked *blocked)
{
	int error;
	uint64_t received = run_reading_to_end(fixture, blocked->pair.peer, 0, &error);

	cr_assert_eq(error, ECONNRESET);
	cr_assert_leq(received, blocked->head.args.bytes_transferred);
}

BLOCKED_TEST(e03, e03_close_aborts_what_is_pending_and_resets_the_peer, blocked_begin)
{
	struct operation operations[QUEUED];

	queue_behind(fixture, blocked, operations);
	run_idle(fixture);

	close_without_handlers(fixture, blocked->pair.socket);
	close_without_handlers(fixture, blocked->pair.socket);
	cr_assert_eq(fixture->handled, 0);
	assert_aborted(fixture, blocked, operations);
	assert_peer_reset(fixture, blocked);
	close_without_handlers(fixture, blocked->pair.socket);
	cr_assert_eq(sluice_socket_fd(blocked->pair.socket), -EBADF);
}

BLOCKED_TEST(e03, e03_a_duplicate_of_the_descriptor_does_not_keep_the_reset_away, blocked_begin)
{
	struct operation operations[QUEUED];
	int duplicate;

	queue_behind(fixture, blocked, operations);
	duplicate = dup(sluice_socket_fd(blocked->pair.socket));
	close_without_handlers(fixture, blocked->pair.socket);
	assert_aborted(fixture, blocked, operations);
	assert_peer_reset(fixture, blocked);
	close(duplicate);
}

PAIR_TEST(e03, e03_a_duplicate_of_the_descriptor_does_not_keep_the_end_away, tcp_pair, 0)
{
	int duplicate;

	duplicate = dup(sluice_socket_fd(pair->socket));
	close_without_handlers(fixture, pair->socket);
	run_idle(fixture);
	assert_end_of_stream(pair->peer);
	close(duplicate);
}

#define SENT ((size_t)100000)

/* Closes with this much in the kernel, all of it a Success. */
static void close_after_success(struct fixture *fixture, struct pair *pair)
{
	struct operation send;
	unsigned char *bytes = pattern_new(SENT, 0);
	int error;

	operation_init(&send, fixture);
	run_send(pair->socket, &send, bytes, SENT);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, SENT);
	close_without_handlers(fixture, pair->socket);
	run_until(fixture, fixture->pending == 0);
	cr_assert_eq(run_reading_to_end(fixture, pair->peer, 0, &error), SENT);
	cr_assert_eq(error, 0, "%d instead of the end", error);
	free(bytes);
}

PAIR_TEST(e03, e03_with_nothing_pending_the_peer_gets_everything_then_the_end, tcp_pair, 0)
{
	close_after_success(fixture, pair);
	pair_close(pair);
	unix_pair(fixture, pair, SOCK_STREAM);
	close_after_success(fixture, pair);
}

PAIR_TEST(e03, e03_with_only_a_receive_pending_too, tcp_pair, 0)
{
	struct operation receive;
	char byte;

	operation_init(&receive, fixture);
	cr_assert_eq(start_receive(pair->socket, &receive, &byte, 1), 1);
	run_idle(fixture);
	close_after_success(fixture, pair);
	assert_ended(&receive, SLUICE_ERROR_OPERATION_ABORTED, 0);
}

PAIR_TEST(e03, e03_bytes_that_nobody_received_do_not_make_it_a_reset, tcp_pair, 0)
{
	struct operation send;

	operation_init(&send, fixture);
	write_pattern(pair->peer, 10, 0);
	cr_assert_eq(start_send(pair->socket, &send, "\0\1\2", 3), 0);
	close_without_handlers(fixture, pair->socket);
	run_idle(fixture);
	read_pattern(pair->peer, 3, 0);
	assert_end_of_stream(pair->peer);
}

BLOCKED_TEST(e03, e03_after_a_shutdown_close_is_an_end_and_no_reset, blocked_begin)
{
	int error;

	cr_assert_eq(sluice_socket_shutdown(blocked->pair.socket, SHUT_WR), 0);
	close_without_handlers(fixture, blocked->pair.socket);
	run_until(fixture, fixture->pending == 0);
	/* The shutdown came first: what it ended does not say that it was aborted. */
	cr_assert_eq(blocked->head.args.error, SLUICE_ERROR_SHUTDOWN);
	cr_assert_eq(run_reading_to_end(fixture, blocked->pair.peer, 0, &error),
		     blocked->head.args.bytes_transferred);
	cr_assert_eq(error, 0);
}

PAIR_TEST(e03, e03_a_flood_then_close_aborts_here_and_resets_there, tcp_pair, 0)
{
	enum {
		SENDS = 1000
	};
	struct operation *operations;
	unsigned char *bytes = pattern_new(65536 + 251, 0);
	size_t aborted = 0;
	int error;

	operations = operations_new(fixture, SENDS);
	for (size_t i = 0; i < SENDS; i++)
		start_send(pair->socket, &operations[i], bytes + i * 65536 % 251, 65536);
	cr_assert_gt(fixture->pending, 0);
	run_idle(fixture);
	close_without_handlers(fixture, pair->socket);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < SENDS; i++) {
		if (operations[i].args.error == SLUICE_ERROR_SUCCESS) {
			assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 65536);
			cr_assert_eq(aborted, 0, "a Success behind what was aborted");
			continue;
		}
		aborted++;
		cr_assert_eq(operations[i].args.error, SLUICE_ERROR_OPERATION_ABORTED);
	}
	cr_assert_gt(aborted, 0);
	run_reading_to_end(fixture, pair->peer, 0, &error);
	cr_assert_eq(error, ECONNRESET);

	free(operations);
	free(bytes);
}

static void close_own_socket(struct operation *operation)
{
	struct fixture *fixture = operation->fixture;

	close_without_handlers(fixture, operation->socket);
	cr_assert_eq(start(sluice_send_async, operation->socket, operation), -EBADF);
}

PAIR_TEST(e03, e03_closed_in_the_handler_of_the_first, tcp_pair, SMALL)
{
	struct operation *operations;
	unsigned char *bytes = pattern_new(4 * HEAD_BYTES, 0);
	int error;

	operations = operations_new(fixture, 4);
	operations[0].then = close_own_socket;
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(start_send(pair->socket, &operations[i], bytes + i * HEAD_BYTES,
					HEAD_BYTES),
			     1);
	run_reading_to_end(fixture, pair->peer, 0, &error);
	cr_assert_eq(error, ECONNRESET);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	cr_assert_eq(operations[1].args.error, SLUICE_ERROR_OPERATION_ABORTED);
	assert_ended(&operations[2], SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&operations[3], SLUICE_ERROR_OPERATION_ABORTED, 0);

	free(operations);
	free(bytes);
}

PAIR_TEST(e03, e03_close_inside_a_batch_aborts_what_the_batch_queued, tcp_pair, 0)
{
	struct operation *operations;

	operations = operations_new(fixture, 5);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < 5; i++)
		cr_assert_eq(start_send(pair->socket, &operations[i], "x", 1), 1);
	close_without_handlers(fixture, pair->socket);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < 5; i++)
		assert_ended(&operations[i], SLUICE_ERROR_OPERATION_ABORTED, 0);
	free(operations);
}

ENGINE_TEST(e03, e03_a_datagram_socket_closes)
{
	struct pair pairs[2];
	struct operation *operations;
	char byte;

	udp_pair(fixture, &pairs[0]);
	unix_pair(fixture, &pairs[1], SOCK_DGRAM);
	operations = operations_new(fixture, 1000);
	cr_assert_eq(start_receive(pairs[0].socket, &operations[0], &byte, 1), 1);
	for (size_t i = 1; i < 1000; i++)
		start_send(pairs[1].socket, &operations[i], "x", 1);
	cr_assert_gt(fixture->pending, 1);
	close_without_handlers(fixture, pairs[0].socket);
	close_without_handlers(fixture, pairs[1].socket);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < 1000; i++)
		if (operations[i].handled)
			assert_ended(&operations[i], SLUICE_ERROR_OPERATION_ABORTED, 0);
	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
	free(operations);
}

/* ---- the closed handler ---- */

static bool binds(const struct sockaddr_in *address, int type)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	int answer = bind(fd, (const struct sockaddr *)address, sizeof *address);

	close(fd);
	return answer == 0;
}

void on_closed(struct sluice_socket *socket, void *token)
{
	struct watched *watched = token;

	cr_assert_eq(sluice_socket_fd(socket), -EBADF);
	watched->calls++;
	if (watched->address.sin_port)
		watched->bind_failed = !binds(&watched->address, watched->type);
}

static struct sluice_socket *attach_bound(struct fixture *fixture, struct watched *watched,
					  int type)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	struct sluice_socket *socket_;

	*watched = (struct watched){.address = loopback(0), .type = type};
	cr_assert_eq(bind(fd, (struct sockaddr *)&watched->address, sizeof watched->address), 0);
	watched->address = loopback(port_of(fd));
	if (type == SOCK_STREAM)
		cr_assert_eq(listen(fd, 1), 0);
	socket_ = attach(fixture, fd);
	cr_assert_eq(sluice_socket_set_closed(socket_, on_closed, watched), 0);
	return socket_;
}

Test(e03, e03_the_closed_handler_runs_once_and_the_port_is_free)
{
	struct fixture fixture;
	struct sluice_socket *sockets[2];
	struct watched watched[2];
	struct operation accept_;

	fixture_begin(&fixture);
	for (int destroys = 0; destroys < 2; destroys++) {
		sockets[0] = attach_bound(&fixture, &watched[0], SOCK_STREAM);
		sockets[1] = attach_bound(&fixture, &watched[1], SOCK_DGRAM);
		operation_init(&accept_, &fixture);
		cr_assert_eq(start(sluice_accept_async, sockets[0], &accept_), 1);
		run_idle(&fixture);
		for (int i = 0; i < 2; i++) {
			if (!destroys)
				close_without_handlers(&fixture, sockets[i]);
			cr_assert_eq(watched[i].calls, 0);
			sluice_socket_destroy(sockets[i]);
		}
		run_until(&fixture, watched[0].calls && watched[1].calls && is_over(&accept_));
		run_idle(&fixture);
		for (int i = 0; i < 2; i++) {
			cr_assert_eq(watched[i].calls, 1);
			cr_assert(!watched[i].bind_failed);
		}
	}
	fixture_end(&fixture);
}

Test(e03, e03_an_idle_socket_is_closed_before_the_call_returns)
{
	struct fixture fixture;
	struct sluice_socket *socket_;
	struct watched watched;

	fixture_begin(&fixture);
	for (int destroys = 0; destroys < 2; destroys++) {
		socket_ = attach_bound(&fixture, &watched, destroys ? SOCK_DGRAM : SOCK_STREAM);
		run_idle(&fixture);
		if (!destroys)
			close_without_handlers(&fixture, socket_);
		else
			sluice_socket_destroy(socket_);
		cr_assert(binds(&watched.address, watched.type));
		if (!destroys)
			sluice_socket_destroy(socket_);
	}
	fixture_end(&fixture);
}

Test(e03, e03_the_closed_handler_can_be_taken_off_and_not_set_after_a_close)
{
	struct fixture fixture;
	struct pair pair;
	struct watched watched = {0};

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	cr_assert_eq(sluice_socket_set_closed(NULL, on_closed, NULL), -EINVAL);
	cr_assert_eq(sluice_socket_set_closed(pair.socket, on_closed, NULL), 0);
	cr_assert_eq(sluice_socket_set_closed(pair.socket, on_closed, &watched), 0);
	cr_assert_eq(sluice_socket_set_closed(pair.socket, NULL, NULL), 0);
	close_without_handlers(&fixture, pair.socket);
	cr_assert_eq(sluice_socket_set_closed(pair.socket, on_closed, &watched), -EBADF);
	run_idle(&fixture);
	cr_assert_eq(watched.calls, 0);
	pair_close(&pair);
	fixture_end(&fixture);
}

/* ---- destroy ---- */

static int token;
static int destroyed_handlers;

static void compare_destroyed(struct operation *operation)
{
	destroyed_handlers++;
	cr_assert_eq(sluice_socket_user_data(operation->socket), &token);
	cr_assert_eq(operation->args.error, SLUICE_ERROR_OPERATION_ABORTED);
}

Test(e03, e03_destroy_closes_and_the_handlers_still_get_the_socket)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation receive;
	char byte;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	operation_init(&receive, &fixture);
	cr_assert_eq(start_receive(blocked.pair.socket, &receive, &byte, 1), 1);
	blocked.head.then = receive.then = compare_destroyed;
	sluice_socket_set_user_data(blocked.pair.socket, &token);
	cr_assert_eq(sluice_socket_user_data(blocked.pair.socket), &token);

	fixture.inside_call++;
	sluice_socket_destroy(blocked.pair.socket);
	fixture.inside_call--;
	blocked.pair.socket = NULL;
	run_until(&fixture, fixture.pending == 0);
	cr_assert_eq(destroyed_handlers, 2);
	assert_peer_reset(&fixture, &blocked);

	blocked_end(&blocked);
	fixture_end(&fixture);
}

static void destroy_own_socket(struct operation *operation)
{
	sluice_socket_destroy(operation->socket);
}

BLOCKED_TEST(e03, e03_destroyed_in_its_own_handler, blocked_begin)
{
	static unsigned char more[HEAD_BYTES];
	struct operation behind;
	int error;

	operation_init(&behind, fixture);
	pattern_fill(more, HEAD_BYTES, HEAD_BYTES);
	cr_assert_eq(start_send(blocked->pair.socket, &behind, more, HEAD_BYTES), 1);
	blocked->head.then = destroy_own_socket;
	/* The reset that aborts the one behind may take the last bytes of the head along. */
	run_reading_to_end(fixture, blocked->pair.peer, 0, &error);
	cr_assert_eq(error, ECONNRESET);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	cr_assert_eq(behind.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	cr_assert_lt(behind.args.bytes_transferred, HEAD_BYTES);

	blocked->pair.socket = NULL;
}

static void destroy_the_other_s_socket(struct operation *operation)
{
	struct operation *other = operation->token;

	sluice_socket_destroy(other->socket);
}

Test(e03, e03_what_had_ended_keeps_its_result_when_its_socket_is_destroyed)
{
	struct fixture fixture;
	struct pair pairs[2];
	struct operation *operations;

	fixture_begin(&fixture);
	operations = operations_new(&fixture, 2);
	tcp_pair(&fixture, &pairs[0], 0);
	tcp_pair(&fixture, &pairs[1], 0);
	operations[0].then = destroy_the_other_s_socket;
	operations[0].token = &operations[1];
	sluice_socket_set_user_data(pairs[1].socket, &token);

	/* Both end in one turn; the first handler destroys the second's socket. */
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(start_send(pairs[i].socket, &operations[i], "\0\1", 2), 1);
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	run_until(&fixture, fixture.pending == 0);
	cr_assert_lt(operations[0].turn, operations[1].turn);
	for (int i = 0; i < 2; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 2);
		read_pattern(pairs[i].peer, 2, 0);
	}
	assert_end_of_stream(pairs[1].peer);

	pairs[1].socket = NULL;
	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
	free(operations);
	fixture_end(&fixture);
}
