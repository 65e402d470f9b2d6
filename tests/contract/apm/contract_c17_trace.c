/* SPDX-License-Identifier: MIT */
/* With the trace on, every call, completion and error is told; off, there is none. */
#include "contract_c17_trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t allocations_of(struct fixture *fixture)
{
	struct sluice_engine_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_engine_statistics(fixture->engine, &statistics), 0);
	return statistics.allocations;
}

void begin_traced(struct fixture *fixture, uint32_t events)
{
	struct sluice_options options = traced(events);

	fixture_begin_with(fixture, &options);
}

ENGINE_TEST(c17, c17_off_there_is_no_trace_and_nothing_is_allocated_for_it)
{
	struct sluice_options options = traced(64);
	uint64_t allocations;

	cr_assert_eq(sluice_engine_trace_write(fixture->engine, 1, SLUICE_TRACE_TEXT), -EINVAL);
	allocations = allocations_of(fixture);
	fixture_end(fixture);
	fixture_begin_with(fixture, &options);
	cr_assert_eq(allocations_of(fixture), allocations + 3); /* itself, and two rings */
}

TRACE_TEST(c17, c17_a_send_that_completes_at_once_is_told, 1024)
{
	struct pair pair;
	struct operation operation;
	struct trace trace;
	int64_t from;

	from = now_ns();
	tcp_pair(fixture, &pair, 0);
	operation_init(&operation, fixture);
	cr_assert_eq(start_send(pair.socket, &operation, "hello", 5), 0);
	read_trace(fixture, &trace);
	assert_told(&trace, "send", pair.socket, &operation, 5);
	cr_assert_eq(bytes_of(&trace, "submit", pair.socket), 5);
	cr_assert_eq(bytes_of(&trace, "complete", pair.socket), 5);
	cr_assert_eq(line_of(&trace, "call", "attach", NULL)->fd, sluice_socket_fd(pair.socket));
	assert_ordered(&trace, from, now_ns());
	free_trace(&trace);
	pair_close(&pair);
	run_idle(fixture);
	read_trace(fixture, &trace);
	line_of(&trace, "call", "close", NULL);
	free_trace(&trace);
}

TRACE_TEST(c17, c17_gathered_sends_and_lists_are_told_one_by_one, 1024)
{
	struct pair pair;
	struct operation operations[20];
	struct iovec segments[] = {segment("abc", 3), segment("", 0), segment("defg", 4)};
	struct trace trace;

	tcp_pair(fixture, &pair, 0);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < 20; i++) {
		operation_init(&operations[i], fixture);
		if (i < 19) {
			cr_assert_eq(start_send(pair.socket, &operations[i], "0123456789", 10), 1);
			continue;
		}
		cr_assert_eq(sluice_args_set_buffer_list(&operations[i].args, segments, 3), 0);
		cr_assert_eq(start(sluice_send_async, pair.socket, &operations[i]), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, are_over(operations, 20));
	read_trace(fixture, &trace);
	for (size_t i = 0; i < 20; i++)
		assert_told(&trace, "send", pair.socket, &operations[i], i < 19 ? 10 : 7);
	cr_assert_eq(bytes_of(&trace, "settle", pair.socket), 197);
	cr_assert_eq(bytes_of(&trace, "complete", pair.socket), 197);
	free_trace(&trace);
	pair_close(&pair);
}

/* More than the buffers hold: the kernel is asked several times, each told with what it took. */
TRACE_TEST(c17, c17_a_large_send_is_told_with_every_completion, 1 << 16)
{
	struct pair pair;
	struct operation operation;
	struct reader reader;
	struct trace trace;
	void *bytes = pattern_new(5000000, 0);
	size_t completions = 0;

	tcp_pair(fixture, &pair, SMALL);
	operation_init(&operation, fixture);
	reader_start(&reader, pair.peer, 0);
	run_send(pair.socket, &operation, bytes, 5000000);
	read_trace(fixture, &trace);
	assert_told(&trace, "send", pair.socket, &operation, 5000000);
	cr_assert_eq(bytes_of(&trace, "complete", pair.socket), 5000000);
	for (size_t i = 0; i < trace.count; i++)
		completions += strcmp(trace.lines[i].event, "complete") == 0 &&
			       trace.lines[i].bytes > 0;
	cr_assert_gt(completions, 1);
	free_trace(&trace);
	cr_assert_eq(sluice_socket_shutdown(pair.socket, SHUT_WR), 0);
	run_idle(fixture);
	reader_join(&reader);
	pair_close(&pair);
	free(bytes);
}

Test(c17, c17_files_are_told_with_their_lengths)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct file file;
	struct trace trace;

	file_new(&file, 100000, 0);
	files_begin(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	{
		struct sluice_packet packets[] = {
			memory_packet("header", 6),
			file_packet(file.fd, 0, 0),
		};

		send_packets(pair.socket, &operation, packets, 2);
	}
	read_trace(&fixture, &trace);
	assert_told(&trace, "send-packets", pair.socket, &operation, 100006);
	cr_assert_eq(operation.args.bytes_transferred, 100006);
	free_trace(&trace);
	pair_close(&pair);
	fixture_end(&fixture);
	file_end(&file);
}

TRACE_TEST(c17, c17_datagrams_are_told, 1024)
{
	struct pair pair;
	struct operation operation;
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	udp_pair(fixture, &pair);
	operation_init(&operation, fixture);
	run_send(pair.socket, &operation, "datagram", 8);
	assert_operation(fixture, "send", pair.socket, &operation, 8);
	cr_assert_eq(getsockname(pair.peer, (struct sockaddr *)&address, &length), 0);
	operation.args.remote_address = (struct sockaddr *)&address;
	operation.args.remote_address_length = length;
	run_start(sluice_send_to_async, pair.socket, &operation);
	assert_operation(fixture, "send-to", pair.socket, &operation, 8);
	pair_close(&pair);
}

TRACE_TEST(c17, c17_the_rest_of_a_sockets_life_is_told, 1024)
{
	struct operation accept, connect, receive, disconnect;
	struct sluice_socket *listener, *client, *server;
	struct sockaddr_in address;
	int listening;
	char room[100];

	listening = listen_tcp(0);
	address = loopback(port_of(listening));
	listener = attach(fixture, listening);
	client = attach(fixture, new_tcp(0));
	operation_init(&accept, fixture);
	operation_init(&connect, fixture);
	operation_init(&receive, fixture);
	operation_init(&disconnect, fixture);
	cr_assert_eq(start(sluice_accept_async, listener, &accept), 1);
	run_connect(client, &connect, &address);
	run_until(fixture, is_over(&accept));
	server = accept.args.accept_socket;
	{
		struct trace trace;

		read_trace(fixture, &trace);
		assert_told(&trace, "accept", listener, &accept, 0);
		assert_told(&trace, "connect", client, &connect, 0);
		free_trace(&trace);
	}
	cr_assert_eq(send(sluice_socket_fd(server), "four", 4, 0), 4);
	run_receive(client, &receive, room, sizeof room);
	cr_assert_eq(receive.args.bytes_transferred, 4);
	assert_operation(fixture, "receive", client, &receive, sizeof room);
	run_start(sluice_disconnect_async, client, &disconnect);
	assert_operation(fixture, "disconnect", client, &disconnect, 0);
	sluice_socket_destroy(client);
	sluice_socket_destroy(server);
	sluice_socket_destroy(listener);
}

TRACE_TEST(c17, c17_errors_are_told_with_their_names, 1024)
{
	struct pair pair;
	struct operation operation;
	struct trace trace;
	const struct line *line;
	char room[8];

	tcp_pair(fixture, &pair, 0);
	operation_init(&operation, fixture);
	cr_assert_eq(start_receive(pair.socket, &operation, room, sizeof room), 1);
	close_with_reset(pair.peer);
	run_until(fixture, is_over(&operation));
	read_trace(fixture, &trace);
	line = line_of(&trace, "error", "receive", &operation.args);
	cr_assert_str_eq(line->error, "ConnectionReset");
	cr_assert_eq(line->native, ECONNRESET);
	cr_assert_eq(line->bytes, 0);
	cr_assert(!line->refused);
	free_trace(&trace);
	sluice_socket_destroy(pair.socket);
}

TRACE_TEST(c17, c17_what_is_aborted_is_told_with_the_bytes_that_went, 1024)
{
	struct blocked blocked;
	struct trace trace;
	const struct line *line;

	blocked_begin(fixture, &blocked);
	cr_assert_eq(sluice_cancel(blocked.pair.socket, &blocked.head.args), 0);
	run_until(fixture, is_over(&blocked.head));
	read_trace(fixture, &trace);
	line = line_of(&trace, "error", "send", &blocked.head.args);
	cr_assert_str_eq(line->error, "OperationAborted");
	cr_assert_eq(line->native, ECANCELED);
	cr_assert_gt(line->bytes, 0);
	cr_assert_eq(line->bytes, blocked.head.args.bytes_transferred);
	free_trace(&trace);
	blocked_end(&blocked);
}

static int refused_send(struct sluice_socket *socket, struct sluice_args *args)
{
	args->flags = 0x40000000;
	return sluice_send_async(socket, args);
}

TRACE_TEST(c17, c17_refused_calls_are_told, 1024)
{
	static const struct {
		start_fn *begin;
		const char *name;
		int answer;
		const char *error;
	} calls[] = {
		{sluice_send_async, "send", -EINVAL, "InvalidArgument"},
		{sluice_send_to_async, "send-to", -EINVAL, "InvalidArgument"},
		{sluice_send_packets_async, "send-packets", -EINVAL, "InvalidArgument"},
		{sluice_receive_async, "receive", -EINVAL, "InvalidArgument"},
		{sluice_connect_async, "connect", -EINVAL, "InvalidArgument"},
		{sluice_accept_async, "accept", -EINVAL, "InvalidArgument"},
	};
	struct pair pair;
	struct sluice_args args = {0};
	struct trace trace;
	const struct line *line;

	tcp_pair(fixture, &pair, 0);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		cr_assert_eq(calls[i].begin(pair.socket, &args), calls[i].answer);
		read_trace(fixture, &trace);
		line = line_of(&trace, "error", calls[i].name, &args);
		cr_assert(line->refused);
		cr_assert_str_eq(line->error, calls[i].error);
		cr_assert_eq(line->native, -calls[i].answer);
		cr_assert_eq(line->socket, (uintptr_t)pair.socket);
		free_trace(&trace);
	}
	cr_assert_eq(sluice_args_set_buffer(&args, "x", 1, 0, 1), 0);
	cr_assert_eq(refused_send(pair.socket, &args), -EOPNOTSUPP);
	read_trace(fixture, &trace);
	cr_assert_str_eq(line_of(&trace, "error", "send", &args)->error, "OperationNotSupported");
	free_trace(&trace);
	pair_close(&pair);
}

TRACE_TEST(c17, c17_each_event_is_written_once, 1024)
{
	struct pair pair;
	struct operation operation;
	struct trace trace;

	tcp_pair(fixture, &pair, 0);
	operation_init(&operation, fixture);
	run_send(pair.socket, &operation, "a", 1);
	assert_operation(fixture, "send", pair.socket, &operation, 1);
	read_trace(fixture, &trace);
	cr_assert_eq(trace.count, 0);
	free_trace(&trace);
	run_send(pair.socket, &operation, "bc", 2);
	assert_operation(fixture, "send", pair.socket, &operation, 2);
	pair_close(&pair);
}

TRACE_TEST(c17, c17_events_that_were_overwritten_are_counted, 64)
{
	struct pair pair;
	struct operation operation;
	struct trace trace;

	tcp_pair(fixture, &pair, 0);
	operation_init(&operation, fixture);
	read_trace(fixture, &trace);
	free_trace(&trace);
	for (int i = 0; i < 100; i++) /* each is a call, a submit, a complete and a settle */
		run_send(pair.socket, &operation, "a", 1);
	read_trace(fixture, &trace);
	cr_assert_eq(trace.lost, 400 - 64);
	cr_assert_eq(trace.count, 64);
	cr_assert_str_eq(trace.lines[63].event, "settle");
	free_trace(&trace);
	pair_close(&pair);
}

TRACE_TEST(c17, c17_a_file_that_cannot_be_written_to_is_told_and_loses_nothing, 1024)
{
	struct pair pair;
	struct operation operation;

	tcp_pair(fixture, &pair, 0);
	operation_init(&operation, fixture);
	run_send(pair.socket, &operation, "a", 1);
	cr_assert_eq(sluice_engine_trace_write(fixture->engine, -1, SLUICE_TRACE_JSON), -EBADF);
	cr_assert_eq(sluice_engine_trace_write(fixture->engine, 1, SLUICE_TRACE_JSON + 1), -EINVAL);
	cr_assert_eq(sluice_engine_trace_write(NULL, 1, SLUICE_TRACE_JSON), -EINVAL);
	assert_operation(fixture, "send", pair.socket, &operation, 1);
	pair_close(&pair);
}

TRACE_TEST(c17, c17_text_is_a_line_an_event, 1024)
{
	struct pair pair;
	struct operation operation;
	char *text, wanted[200];
	int64_t written;
	int lines = 0, fd;

	fd = memfd_create("trace", MFD_CLOEXEC);
	tcp_pair(fixture, &pair, 0);
	operation_init(&operation, fixture);
	run_send(pair.socket, &operation, "abc", 3);
	written = sluice_engine_trace_write(fixture->engine, fd, SLUICE_TRACE_TEXT);
	text = contents(fd);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	cr_assert_eq(lines, written);
	snprintf(wanted, sizeof wanted,
		 "settle   send                 fd %d socket %p record %p bytes 3\n",
		 sluice_socket_fd(pair.socket), (void *)pair.socket, (void *)&operation.args);
	cr_assert(strstr(text, wanted), "not in\n%s", text);
	free(text);
	close(fd);
	pair_close(&pair);
}

TRACE_TEST(c17, c17_begin_and_end_are_told_as_what_they_start, 1024)
{
	struct sluice_async_result *result = NULL;
	struct pair pair;
	struct trace trace;

	tcp_pair(fixture, &pair, 0);
	cr_assert_eq(sluice_begin_send(pair.socket, "hello", 5, 0, 5, 0, NULL, NULL, NULL, &result),
		     0);
	run_until(fixture, sluice_async_result_is_completed(result) == 1);
	cr_assert_eq(sluice_end_send(pair.socket, result, NULL), 5);
	cr_assert_lt(sluice_begin_send(pair.socket, "hello", 5, 0, 6, 0, NULL, NULL, NULL, &result),
		     0);
	read_trace(fixture, &trace);
	cr_assert_eq(bytes_of(&trace, "call", pair.socket), 5);
	cr_assert_eq(bytes_of(&trace, "complete", pair.socket), 5);
	cr_assert_eq(bytes_of(&trace, "settle", pair.socket), 5);
	cr_assert(trace.lines[trace.count - 1].refused);
	cr_assert_str_eq(trace.lines[trace.count - 1].operation, "send");
	free_trace(&trace);
	pair_close(&pair);
}

/* What leaves together is told together, and each of its records by itself. */
TRACE_TEST(c17, c17_bursts_of_datagrams_are_told_one_by_one, 1024)
{
	struct pair pair;
	struct operation operations[10];
	struct trace trace;

	udp_pair(fixture, &pair);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < 10; i++) {
		operation_init(&operations[i], fixture);
		cr_assert_eq(start_send(pair.socket, &operations[i], "0123456789", i + 1), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, are_over(operations, 10));
	read_trace(fixture, &trace);
	for (size_t i = 0; i < 10; i++)
		assert_told(&trace, "send", pair.socket, &operations[i], i + 1);
	cr_assert_eq(bytes_of(&trace, "submit", pair.socket), 55);
	cr_assert_eq(bytes_of(&trace, "settle", pair.socket), 55);
	free_trace(&trace);
	pair_close(&pair);
}
