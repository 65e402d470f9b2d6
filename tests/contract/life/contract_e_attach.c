/* SPDX-License-Identifier: MIT */
/* Giving a descriptor to the engine, and taking it back. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

ENGINE_TEST(e03, e03_what_attach_refuses_stays_the_caller_s)
{
	struct sluice_socket *socket_ = (struct sluice_socket *)fixture;
	int pipes[2], fd;

	cr_assert_eq(pipe(pipes), 0);
	fd = new_tcp(0);
	cr_assert_eq(sluice_socket_attach(fixture->engine, pipes[0], &socket_), -ENOTSOCK);
	cr_assert_eq(sluice_socket_attach(fixture->engine, -1, &socket_), -EBADF);
	cr_assert_eq(sluice_socket_attach(fixture->engine, 100000, &socket_), -EBADF);
	cr_assert_eq(sluice_socket_attach(fixture->engine, fd, NULL), -EINVAL);
	cr_assert_eq(sluice_socket_attach(NULL, fd, &socket_), -EINVAL);
	cr_assert_eq(close(fd), 0);
	cr_assert_eq(close(pipes[0]), 0);
	cr_assert_eq(close(pipes[1]), 0);
}

BLOCKED_TEST(e03, e03_detach_gives_the_descriptor_back_when_nothing_is_pending, blocked_begin)
{
	struct operation receive;
	char byte = 9;
	int fd;

	operation_init(&receive, fixture);

	cr_assert_eq(sluice_socket_detach(blocked->pair.socket), -EBUSY);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
	cr_assert_eq(start_receive(blocked->pair.socket, &receive, &byte, 1), 1);
	cr_assert_eq(sluice_socket_detach(blocked->pair.socket), -EBUSY);
	cr_assert_eq(sluice_cancel(blocked->pair.socket, &receive.args), 0);
	run_until(fixture, is_over(&receive));

	fd = sluice_socket_fd(blocked->pair.socket);
	cr_assert_eq(sluice_socket_detach(blocked->pair.socket), fd);
	blocked->pair.socket = NULL;
	cr_assert_eq(send(fd, "\0\1", 2, 0), 2);
	read_pattern(blocked->pair.peer, 2, 0);
	blocked->pair.socket = attach(fixture, fd);
	cr_assert_eq(start_send(blocked->pair.socket, &receive, "\2", 1), 0);
	read_pattern(blocked->pair.peer, 1, 2);
}

PAIR_TEST(e03, e03_an_attached_descriptor_is_non_blocking_and_close_on_exec, unix_pair, SOCK_STREAM)
{
	int fd;

	fd = dup(pair->peer); /* dup(2) leaves close-on-exec behind */
	cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	close(pair->peer);
	pair->peer = -1;
	sluice_socket_destroy(pair->socket);
	pair->socket = attach(fixture, fd);
	cr_assert_eq(sluice_socket_fd(pair->socket), fd);
	cr_assert_neq(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	cr_assert_neq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

PAIR_TEST(e03, e03_what_is_queued_keeps_a_socket_from_being_detached, tcp_pair, 0)
{
	struct operation send;
	int fd;

	operation_init(&send, fixture);
	send.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair->socket, &send, "\0", 1), 1);
	cr_assert_eq(sluice_socket_detach(pair->socket), -EBUSY);
	run_until(fixture, is_over(&send));
	fd = sluice_socket_detach(pair->socket);
	cr_assert_geq(fd, 0);
	pair->socket = NULL;
	cr_assert_eq(close(fd), 0);
	read_pattern(pair->peer, 1, 0);
	assert_end_of_stream(pair->peer);
}
