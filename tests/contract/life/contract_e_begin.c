/* SPDX-License-Identifier: MIT */
/* e01, e08: the other pairs of Begin and End: connect, accept, disconnect, receive; any thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apm.h"

static int begin_connect(struct call *call, uint16_t port)
{
	struct sockaddr_in address = loopback(port);

	return sluice_begin_connect(call->socket, (struct sockaddr *)&address, sizeof address,
				    call_back, call, &call->result);
}

static int begin_receive(struct call *call, void *base, size_t length)
{
	return sluice_begin_receive(call->socket, base, length, 0, (int64_t)length, 0, &call->error,
				    call_back, call, &call->result);
}

static int64_t ends_accept(struct call *call)
{
	return sluice_end_accept(call->socket, call->seen, call->token);
}

ENGINE_TEST(e01, e01_begin_connect_accept_send_receive_disconnect)
{
	struct call connecting, accepting, sending, receiving, leaving;
	struct sluice_socket *listener, *accepted = NULL;
	int fd;
	char got[16];

	fd = listen_tcp(0);
	listener = attach(fixture, fd);
	call_init(&accepting, fixture, listener);
	accepting.within = ends_accept;
	accepting.token = &accepted;
	cr_assert_eq(sluice_begin_accept(listener, call_back, &accepting, &accepting.result), 0);
	call_init(&connecting, fixture, attach(fixture, new_tcp(0)));
	connecting.within = ends_connect;
	cr_assert_eq(begin_connect(&connecting, port_of(fd)), 0);
	/* What is begun meanwhile waits for it. */
	call_init(&sending, fixture, connecting.socket);
	sending.within = ends_send;
	cr_assert_eq(begin_send(&sending, "hello", 5), 0);
	run_until(fixture,
		  was_called(&connecting) && was_called(&accepting) && was_called(&sending));
	cr_assert_eq(connecting.answer, 0);
	cr_assert_eq(accepting.answer, 0);
	cr_assert_eq(sending.answer, 5);
	cr_assert(accepted);
	cr_assert_eq(sluice_socket_engine(accepted), fixture->engine);
	cr_assert_eq(begin_connect(&connecting, port_of(fd)), -EISCONN);

	call_init(&receiving, fixture, accepted);
	receiving.within = ends_receive;
	cr_assert_eq(begin_receive(&receiving, got, sizeof got), 0);
	run_until(fixture, was_called(&receiving));
	cr_assert_eq(receiving.answer, 5);
	cr_assert_arr_eq(got, "hello", 5);
	call_init(&leaving, fixture, connecting.socket);
	leaving.within = ends_disconnect;
	cr_assert_eq(sluice_begin_disconnect(leaving.socket, 0, call_back, &leaving,
					     &leaving.result),
		     0);
	run_until(fixture, was_called(&leaving));
	cr_assert_eq(leaving.answer, 0);
	/* The end of the stream is success with 0 bytes. */
	atomic_store(&receiving.called, 0);
	cr_assert_eq(begin_receive(&receiving, got, sizeof got), 0);
	run_until(fixture, was_called(&receiving));
	cr_assert_eq(receiving.answer, 0);
	cr_assert_eq(receiving.error, SLUICE_ERROR_SUCCESS);
	sluice_socket_destroy(accepted);
	sluice_socket_destroy(connecting.socket);
	sluice_socket_destroy(listener);
}

ENGINE_TEST(e01, e01_begin_connect_refused_is_told_by_end_and_the_socket_connects_again)
{
	struct call call, behind;
	int listener, port;

	listener = listen_tcp(0);
	port = port_of(listener);
	close(listener);
	call_init(&call, fixture, attach(fixture, new_tcp(0)));
	call_init(&behind, fixture, call.socket);
	call.within = ends_connect;
	behind.within = ends_send;
	cr_assert_eq(begin_connect(&call, (uint16_t)port), 0);
	cr_assert_eq(begin_send(&behind, "x", 1), 0);
	run_until(fixture, was_called(&call) && was_called(&behind));
	cr_assert_eq(call.answer, -ECONNREFUSED);
	cr_assert_eq(behind.answer, -ENOTCONN);
	cr_assert_eq(begin_send(&behind, "x", 1), -ENOTCONN);
	listener = listen_tcp(0);
	atomic_store(&call.called, 0);
	cr_assert_eq(begin_connect(&call, port_of(listener)), 0);
	run_until(fixture, was_called(&call));
	cr_assert_eq(call.answer, 0);
	sluice_socket_destroy(call.socket);
	close(listener);
}

CALL_TEST(e01, e01_disconnect_with_reuse_and_connect_again, 0)
{
	int listener;

	listener = listen_tcp(0);
	cr_assert_eq(sluice_begin_disconnect(pair->socket, 1, NULL, NULL, &call->result), 0);
	run_until(fixture, sluice_async_result_is_completed(call->result));
	cr_assert_eq(sluice_end_disconnect(pair->socket, call->result), 0);
	assert_end_of_stream(pair->peer);
	cr_assert_eq(begin_send(call, "x", 1), -ENOTCONN);
	cr_assert_eq(begin_connect(call, port_of(listener)), 0);
	run_until(fixture, was_called(call));
	cr_assert_eq(sluice_end_connect(pair->socket, call->result), 0);
	close(listener);
}

Test(e01, e01_what_these_begins_refuse)
{
	struct fixture fixture;
	struct sluice_socket *fresh, *listener, *accepted = (struct sluice_socket *)&fixture;
	struct pair pair;
	struct call call;
	char byte;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	fresh = attach(&fixture, new_tcp(0));
	listener = attach(&fixture, listen_tcp(0));
	call_init(&call, &fixture, fresh);
	cr_assert_eq(begin_receive(&call, &byte, 1), -ENOTCONN);
	cr_assert_eq(call.error, SLUICE_ERROR_NOT_CONNECTED);
	cr_assert_eq(begin_receive(&call, NULL, 1), -EINVAL);
	cr_assert_eq(sluice_begin_accept(fresh, NULL, NULL, &call.result), -EINVAL);
	cr_assert_eq(sluice_begin_accept(NULL, NULL, NULL, &call.result), -EINVAL);
	cr_assert_eq(sluice_begin_disconnect(fresh, 0, NULL, NULL, &call.result), -ENOTCONN);
	cr_assert_eq(sluice_begin_connect(fresh, NULL, 0, NULL, NULL, &call.result), -EINVAL);
	call.socket = listener;
	cr_assert_eq(begin_connect(&call, 1), -EINVAL);
	cr_assert_null(call.result);
	call.socket = pair.socket;
	cr_assert_eq(sluice_begin_receive(pair.socket, &byte, 1, 0, 2, 0, NULL, NULL, NULL,
					  &call.result),
		     -ERANGE);
	cr_assert_eq(sluice_begin_receive(pair.socket, &byte, 1, 0, 1, SLUICE_FLAG_DONT_ROUTE, NULL,
					  NULL, NULL, &call.result),
		     -EOPNOTSUPP);
	cr_assert_eq(sluice_begin_accept(listener, NULL, NULL, &call.result), 0);
	cr_assert_eq(sluice_end_accept(listener, call.result, NULL), -EINVAL);
	cr_assert_eq(sluice_end_accept(listener, call.result, &accepted), -EDEADLK);
	cr_assert_null(accepted);
	sluice_socket_destroy(fresh);
	sluice_socket_destroy(listener);
	pair_close(&pair);
	fixture_end(&fixture);
}

/* A connection that no End has asked for goes with its listener, not only with the engine. */
Test(e01, e01_an_accepted_socket_that_no_end_took_goes_with_the_listener)
{
	struct fixture fixture;
	struct sluice_socket *listener;
	struct sockaddr_in address;
	struct call call;
	int fd, client = new_tcp(0);

	fixture_begin(&fixture);
	fixture.descriptors--; /* the client's, which is closed before the end */
	fd = listen_tcp(0);
	address = loopback(port_of(fd));
	listener = attach(&fixture, fd);
	call_init(&call, &fixture, listener);
	cr_assert_eq(sluice_begin_accept(listener, call_back, &call, &call.result), 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	run_until(&fixture, was_called(&call));
	assert_nothing_to_read(client);
	sluice_socket_destroy(listener);
	run_idle(&fixture);
	assert_end_of_stream(client);
	close(client);
	fixture_end(&fixture);
}

/* ---- e08 ---- */

static int64_t begins_and_ends(struct call *call)
{
	int answer = begin_send(call, "from elsewhere", 14);

	return answer == 0 ? sluice_end_send(call->socket, call->result, &call->error) : answer;
}

/* The first send of another thread is never lent the socket. */
static int64_t begins_and_ends_later(struct call *call)
{
	int answer = begin_send(call, "from elsewhere", 14);

	if (answer != 0)
		return answer;
	if (sluice_async_result_completed_synchronously(call->result))
		return -1;
	return sluice_end_send(call->socket, call->result, &call->error);
}

CALL_TEST(e08, e08_begin_and_end_from_another_thread, 0)
{
	struct other_thread other;
	struct sluice_socket *unconnected;
	char got[14];

	unconnected = attach(fixture, new_tcp(0));
	other_thread_start(&other, call, begins_and_ends_later);
	cr_assert_eq(other_thread_join(&other), 14);
	run_until(fixture, was_called(call));
	read_exactly(pair->peer, got, 14);
	cr_assert_arr_eq(got, "from elsewhere", 14);
	/* Refusals are answered there, at once. */
	call->socket = unconnected;
	other_thread_start(&other, call, begins_and_ends);
	cr_assert_eq(other_thread_join(&other), -ENOTCONN);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	call->socket = pair->socket;
	other_thread_start(&other, call, begins_and_ends);
	cr_assert_eq(other_thread_join(&other), -EBADF);
	sluice_socket_destroy(unconnected);
}

/* With an engine of its own thread, everybody is another. */
Test(e08, e08_begin_and_end_with_the_engines_own_thread)
{
	struct fixture fixture;
	struct pair pair;
	struct call call;
	char got[14];

	fixture_begin(&fixture);
	cr_assert_eq(sluice_engine_start(fixture.engine), 0);
	tcp_pair(&fixture, &pair, 0);
	call_init(&call, &fixture, pair.socket);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(begins_and_ends(&call), 14);
		read_exactly(pair.peer, got, 14);
	}
	pair_close(&pair);
	fixture_end(&fixture);
	cr_assert_eq(atomic_load(&call.called), 100);
}

/* Detaching waits for callbacks, and takes the results with it. */
Test(e08, e08_detach_is_busy_while_a_callback_runs)
{
	struct fixture fixture;
	struct pair pair;
	struct call call;
	int fd;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	call_init(&call, &fixture, pair.socket);
	cr_assert_eq(begin_send(&call, "x", 1), 0);
	while ((fd = sluice_socket_detach(pair.socket)) == -EBUSY)
		usleep(1000);
	cr_assert(was_called(&call));
	cr_assert_geq(fd, 0);
	close(fd);
	run_idle(&fixture);
	close(pair.peer);
	fixture_end(&fixture);
}
