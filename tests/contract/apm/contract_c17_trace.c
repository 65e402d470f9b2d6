/* SPDX-License-Identifier: MIT */
/* With the trace on, every call, completion and error is told; off, there is none. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One line of JSON, taken apart. */
struct line {
	uint64_t time_ns;
	uint32_t engine;
	char event[16];
	char operation[32];
	int fd;
	uint64_t socket;
	uint64_t record;
	uint64_t bytes;
	char error[40];
	int native;
	bool refused;
};

struct trace {
	struct line *lines;
	size_t count;
	uint64_t lost;
};

static struct sluice_options traced(uint32_t events)
{
	struct sluice_options options = files_options();

	options.trace_events = events;
	return options;
}

/* What is in the file; the caller frees it. */
static char *contents(int fd)
{
	off_t length = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)length + 1);

	cr_assert_eq(pread(fd, text, (size_t)length, 0), length);
	return text;
}

static void parse_line(struct line *line, const char *text)
{
	char refused[8];
	int fields = sscanf(text,
			    "{\"time_ns\":%" SCNu64 ",\"engine\":%" SCNu32
			    ",\"event\":\"%15[a-z]\",\"operation\":\"%31[a-z-]\",\"fd\":%d,"
			    "\"socket\":\"%" SCNx64 "\",\"record\":\"%" SCNx64
			    "\",\"bytes\":%" SCNu64
			    ",\"error\":\"%39[A-Za-z]\",\"errno\":%d,\"refused\":%7[a-z]}",
			    &line->time_ns, &line->engine, line->event, line->operation, &line->fd,
			    &line->socket, &line->record, &line->bytes, line->error, &line->native,
			    refused);

	cr_assert_eq(fields, 11, "not such a line: %s", text);
	line->refused = strcmp(refused, "true") == 0;
}

static void parse(struct trace *trace, char *text)
{
	char *rest = text, *one;
	uint32_t engine;
	uint64_t lost;

	*trace = (struct trace){.lines = calloc(strlen(text) / 16 + 1, sizeof(struct line))};
	while ((one = strsep(&rest, "\n"))) {
		if (sscanf(one, "{\"engine\":%" SCNu32 ",\"event\":\"lost\",\"count\":%" SCNu64 "}",
			   &engine, &lost) == 2)
			trace->lost += lost;
		else if (*one)
			parse_line(&trace->lines[trace->count++], one);
	}
	free(text);
}

/* The trace written since the last call. */
static void read_trace(struct fixture *fixture, struct trace *trace)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);
	int64_t written = sluice_engine_trace_write(fixture->engine, fd, SLUICE_TRACE_JSON);

	cr_assert_geq(written, 0);
	parse(trace, contents(fd));
	cr_assert_eq((int64_t)trace->count, written);
	close(fd);
}

static void free_trace(struct trace *trace)
{
	free(trace->lines);
}

/* The only line of this event and operation, about this record. */
static const struct line *line_of(const struct trace *trace, const char *event,
				  const char *operation, const void *record)
{
	const struct line *found = NULL;

	for (size_t i = 0; i < trace->count; i++) {
		const struct line *line = &trace->lines[i];

		if (strcmp(line->event, event) || strcmp(line->operation, operation) ||
		    line->record != (uintptr_t)record)
			continue;
		cr_assert_null(found, "told twice: %s %s", event, operation);
		found = line;
	}
	cr_assert(found, "not told: %s %s", event, operation);
	return found;
}

/* The bytes of a socket in the lines of this event, on every way. */
static uint64_t bytes_of(const struct trace *trace, const char *event,
			 const struct sluice_socket *socket)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < trace->count; i++) {
		if (strcmp(trace->lines[i].event, event) == 0 &&
		    trace->lines[i].socket == (uintptr_t)socket)
			bytes += trace->lines[i].bytes;
	}
	return bytes;
}

static void assert_ordered(const struct trace *trace, int64_t from_ns, int64_t to_ns)
{
	uint64_t last = (uint64_t)from_ns;

	for (size_t i = 0; i < trace->count; i++) {
		cr_assert_geq(trace->lines[i].time_ns + 1000, last, "line %zu goes back", i);
		last = trace->lines[i].time_ns;
	}
	cr_assert_leq(last, (uint64_t)to_ns + 1000);
}

/* The call with what it asked for, and the end with what it got, on this socket. */
static void assert_told(const struct trace *trace, const char *name, struct sluice_socket *socket,
			const struct operation *operation, uint64_t asked)
{
	const struct line *call = line_of(trace, "call", name, &operation->args);
	const struct line *end = line_of(trace, "settle", name, &operation->args);

	cr_assert_eq(call->socket, (uintptr_t)socket);
	cr_assert_eq(call->fd, sluice_socket_fd(socket));
	cr_assert_eq(call->bytes, asked, "%s asked for %" PRIu64, name, call->bytes);
	cr_assert_eq(end->socket, (uintptr_t)socket);
	cr_assert_eq(end->fd, call->fd);
	cr_assert_eq(end->bytes, operation->args.bytes_transferred);
	cr_assert_str_eq(end->error, "Success");
	cr_assert_eq(end->native, 0);
	cr_assert_leq(call->time_ns, end->time_ns);
}

/* The trace of one operation that has just ended well. */
static void assert_operation(struct fixture *fixture, const char *name,
			     struct sluice_socket *socket, const struct operation *operation,
			     uint64_t asked)
{
	struct trace trace;

	read_trace(fixture, &trace);
	cr_assert_eq(trace.lost, 0);
	assert_told(&trace, name, socket, operation, asked);
	free_trace(&trace);
}

static uint64_t allocations_of(struct fixture *fixture)
{
	struct sluice_engine_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_engine_statistics(fixture->engine, &statistics), 0);
	return statistics.allocations;
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

Test(c17, c17_a_send_that_completes_at_once_is_told)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct trace trace;
	int64_t from;

	fixture_begin_with(&fixture, &options);
	from = now_ns();
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	cr_assert_eq(start_send(pair.socket, &operation, "hello", 5), 0);
	read_trace(&fixture, &trace);
	assert_told(&trace, "send", pair.socket, &operation, 5);
	cr_assert_eq(bytes_of(&trace, "submit", pair.socket), 5);
	cr_assert_eq(bytes_of(&trace, "complete", pair.socket), 5);
	cr_assert_eq(line_of(&trace, "call", "attach", NULL)->fd, sluice_socket_fd(pair.socket));
	assert_ordered(&trace, from, now_ns());
	free_trace(&trace);
	pair_close(&pair);
	run_idle(&fixture);
	read_trace(&fixture, &trace);
	line_of(&trace, "call", "close", NULL);
	free_trace(&trace);
	fixture_end(&fixture);
}

Test(c17, c17_gathered_sends_and_lists_are_told_one_by_one)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct operation operations[20];
	struct iovec segments[] = {segment("abc", 3), segment("", 0), segment("defg", 4)};
	struct trace trace;

	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (size_t i = 0; i < 20; i++) {
		operation_init(&operations[i], &fixture);
		if (i < 19) {
			cr_assert_eq(start_send(pair.socket, &operations[i], "0123456789", 10), 1);
			continue;
		}
		cr_assert_eq(sluice_args_set_buffer_list(&operations[i].args, segments, 3), 0);
		cr_assert_eq(start(sluice_send_async, pair.socket, &operations[i]), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	run_until(&fixture, are_over(operations, 20));
	read_trace(&fixture, &trace);
	for (size_t i = 0; i < 20; i++)
		assert_told(&trace, "send", pair.socket, &operations[i], i < 19 ? 10 : 7);
	cr_assert_eq(bytes_of(&trace, "settle", pair.socket), 197);
	cr_assert_eq(bytes_of(&trace, "complete", pair.socket), 197);
	free_trace(&trace);
	pair_close(&pair);
	fixture_end(&fixture);
}

/* More than the buffers hold: the kernel is asked several times, each told with what it took. */
Test(c17, c17_a_large_send_is_told_with_every_completion)
{
	struct sluice_options options = traced(1 << 16);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct reader reader;
	struct trace trace;
	void *bytes = pattern_new(5000000, 0);
	size_t completions = 0;

	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, SMALL);
	operation_init(&operation, &fixture);
	reader_start(&reader, pair.peer, 0);
	run_send(pair.socket, &operation, bytes, 5000000);
	read_trace(&fixture, &trace);
	assert_told(&trace, "send", pair.socket, &operation, 5000000);
	cr_assert_eq(bytes_of(&trace, "complete", pair.socket), 5000000);
	for (size_t i = 0; i < trace.count; i++)
		completions += strcmp(trace.lines[i].event, "complete") == 0 &&
			       trace.lines[i].bytes > 0;
	cr_assert_gt(completions, 1);
	free_trace(&trace);
	cr_assert_eq(sluice_socket_shutdown(pair.socket, SHUT_WR), 0);
	run_idle(&fixture);
	reader_join(&reader);
	pair_close(&pair);
	fixture_end(&fixture);
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

Test(c17, c17_datagrams_are_told)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	fixture_begin_with(&fixture, &options);
	udp_pair(&fixture, &pair);
	operation_init(&operation, &fixture);
	run_send(pair.socket, &operation, "datagram", 8);
	assert_operation(&fixture, "send", pair.socket, &operation, 8);
	cr_assert_eq(getsockname(pair.peer, (struct sockaddr *)&address, &length), 0);
	operation.args.remote_address = (struct sockaddr *)&address;
	operation.args.remote_address_length = length;
	run_start(sluice_send_to_async, pair.socket, &operation);
	assert_operation(&fixture, "send-to", pair.socket, &operation, 8);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(c17, c17_the_rest_of_a_sockets_life_is_told)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct operation accept, connect, receive, disconnect;
	struct sluice_socket *listener, *client, *server;
	struct sockaddr_in address;
	int listening;
	char room[100];

	fixture_begin_with(&fixture, &options);
	listening = listen_tcp(0);
	address = loopback(port_of(listening));
	listener = attach(&fixture, listening);
	client = attach(&fixture, new_tcp(0));
	operation_init(&accept, &fixture);
	operation_init(&connect, &fixture);
	operation_init(&receive, &fixture);
	operation_init(&disconnect, &fixture);
	cr_assert_eq(start(sluice_accept_async, listener, &accept), 1);
	run_connect(client, &connect, &address);
	run_until(&fixture, is_over(&accept));
	server = accept.args.accept_socket;
	{
		struct trace trace;

		read_trace(&fixture, &trace);
		assert_told(&trace, "accept", listener, &accept, 0);
		assert_told(&trace, "connect", client, &connect, 0);
		free_trace(&trace);
	}
	cr_assert_eq(send(sluice_socket_fd(server), "four", 4, 0), 4);
	run_receive(client, &receive, room, sizeof room);
	cr_assert_eq(receive.args.bytes_transferred, 4);
	assert_operation(&fixture, "receive", client, &receive, sizeof room);
	run_start(sluice_disconnect_async, client, &disconnect);
	assert_operation(&fixture, "disconnect", client, &disconnect, 0);
	sluice_socket_destroy(client);
	sluice_socket_destroy(server);
	sluice_socket_destroy(listener);
	fixture_end(&fixture);
}

Test(c17, c17_errors_are_told_with_their_names)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct trace trace;
	const struct line *line;
	char room[8];

	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	cr_assert_eq(start_receive(pair.socket, &operation, room, sizeof room), 1);
	close_with_reset(pair.peer);
	run_until(&fixture, is_over(&operation));
	read_trace(&fixture, &trace);
	line = line_of(&trace, "error", "receive", &operation.args);
	cr_assert_str_eq(line->error, "ConnectionReset");
	cr_assert_eq(line->native, ECONNRESET);
	cr_assert_eq(line->bytes, 0);
	cr_assert(!line->refused);
	free_trace(&trace);
	sluice_socket_destroy(pair.socket);
	fixture_end(&fixture);
}

Test(c17, c17_what_is_aborted_is_told_with_the_bytes_that_went)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct blocked blocked;
	struct trace trace;
	const struct line *line;

	fixture_begin_with(&fixture, &options);
	blocked_begin(&fixture, &blocked);
	cr_assert_eq(sluice_cancel(blocked.pair.socket, &blocked.head.args), 0);
	run_until(&fixture, is_over(&blocked.head));
	read_trace(&fixture, &trace);
	line = line_of(&trace, "error", "send", &blocked.head.args);
	cr_assert_str_eq(line->error, "OperationAborted");
	cr_assert_eq(line->native, ECANCELED);
	cr_assert_gt(line->bytes, 0);
	cr_assert_eq(line->bytes, blocked.head.args.bytes_transferred);
	free_trace(&trace);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

static int refused_send(struct sluice_socket *socket, struct sluice_args *args)
{
	args->flags = 0x40000000;
	return sluice_send_async(socket, args);
}

Test(c17, c17_refused_calls_are_told)
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
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct sluice_args args = {0};
	struct trace trace;
	const struct line *line;

	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		cr_assert_eq(calls[i].begin(pair.socket, &args), calls[i].answer);
		read_trace(&fixture, &trace);
		line = line_of(&trace, "error", calls[i].name, &args);
		cr_assert(line->refused);
		cr_assert_str_eq(line->error, calls[i].error);
		cr_assert_eq(line->native, -calls[i].answer);
		cr_assert_eq(line->socket, (uintptr_t)pair.socket);
		free_trace(&trace);
	}
	cr_assert_eq(sluice_args_set_buffer(&args, "x", 1, 0, 1), 0);
	cr_assert_eq(refused_send(pair.socket, &args), -EOPNOTSUPP);
	read_trace(&fixture, &trace);
	cr_assert_str_eq(line_of(&trace, "error", "send", &args)->error, "OperationNotSupported");
	free_trace(&trace);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(c17, c17_each_event_is_written_once)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct trace trace;

	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	run_send(pair.socket, &operation, "a", 1);
	assert_operation(&fixture, "send", pair.socket, &operation, 1);
	read_trace(&fixture, &trace);
	cr_assert_eq(trace.count, 0);
	free_trace(&trace);
	run_send(pair.socket, &operation, "bc", 2);
	assert_operation(&fixture, "send", pair.socket, &operation, 2);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(c17, c17_events_that_were_overwritten_are_counted)
{
	struct sluice_options options = traced(64);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct trace trace;

	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	read_trace(&fixture, &trace);
	free_trace(&trace);
	for (int i = 0; i < 100; i++) /* each is a call, a submit, a complete and a settle */
		run_send(pair.socket, &operation, "a", 1);
	read_trace(&fixture, &trace);
	cr_assert_eq(trace.lost, 400 - 64);
	cr_assert_eq(trace.count, 64);
	cr_assert_str_eq(trace.lines[63].event, "settle");
	free_trace(&trace);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(c17, c17_a_file_that_cannot_be_written_to_is_told_and_loses_nothing)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;

	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	run_send(pair.socket, &operation, "a", 1);
	cr_assert_eq(sluice_engine_trace_write(fixture.engine, -1, SLUICE_TRACE_JSON), -EBADF);
	cr_assert_eq(sluice_engine_trace_write(fixture.engine, 1, SLUICE_TRACE_JSON + 1), -EINVAL);
	cr_assert_eq(sluice_engine_trace_write(NULL, 1, SLUICE_TRACE_JSON), -EINVAL);
	assert_operation(&fixture, "send", pair.socket, &operation, 1);
	pair_close(&pair);
	fixture_end(&fixture);
}

Test(c17, c17_text_is_a_line_an_event)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	char *text, wanted[200];
	int64_t written;
	int lines = 0, fd;

	fixture_begin_with(&fixture, &options);
	fd = memfd_create("trace", MFD_CLOEXEC);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	run_send(pair.socket, &operation, "abc", 3);
	written = sluice_engine_trace_write(fixture.engine, fd, SLUICE_TRACE_TEXT);
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
	fixture_end(&fixture);
}

Test(c17, c17_begin_and_end_are_told_as_what_they_start)
{
	struct sluice_options options = traced(1024);
	struct sluice_async_result *result = NULL;
	struct fixture fixture;
	struct pair pair;
	struct trace trace;

	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	cr_assert_eq(sluice_begin_send(pair.socket, "hello", 5, 0, 5, 0, NULL, NULL, NULL, &result),
		     0);
	run_until(&fixture, sluice_async_result_is_completed(result) == 1);
	cr_assert_eq(sluice_end_send(pair.socket, result, NULL), 5);
	cr_assert_lt(sluice_begin_send(pair.socket, "hello", 5, 0, 6, 0, NULL, NULL, NULL, &result),
		     0);
	read_trace(&fixture, &trace);
	cr_assert_eq(bytes_of(&trace, "call", pair.socket), 5);
	cr_assert_eq(bytes_of(&trace, "complete", pair.socket), 5);
	cr_assert_eq(bytes_of(&trace, "settle", pair.socket), 5);
	cr_assert(trace.lines[trace.count - 1].refused);
	cr_assert_str_eq(trace.lines[trace.count - 1].operation, "send");
	free_trace(&trace);
	pair_close(&pair);
	fixture_end(&fixture);
}

/* What leaves together is told together, and each of its records by itself. */
Test(c17, c17_bursts_of_datagrams_are_told_one_by_one)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct operation operations[10];
	struct trace trace;

	fixture_begin_with(&fixture, &options);
	udp_pair(&fixture, &pair);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (size_t i = 0; i < 10; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair.socket, &operations[i], "0123456789", i + 1), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	run_until(&fixture, are_over(operations, 10));
	read_trace(&fixture, &trace);
	for (size_t i = 0; i < 10; i++)
		assert_told(&trace, "send", pair.socket, &operations[i], i + 1);
	cr_assert_eq(bytes_of(&trace, "submit", pair.socket), 55);
	cr_assert_eq(bytes_of(&trace, "settle", pair.socket), 55);
	free_trace(&trace);
	pair_close(&pair);
	fixture_end(&fixture);
}

/* ---- a path ---- */

static void send_some(struct fixture *fixture, int count)
{
	struct pair pair;
	struct operation operation;

	tcp_pair(fixture, &pair, 0);
	operation_init(&operation, fixture);
	for (int i = 0; i < count; i++)
		run_send(pair.socket, &operation, "a", 1);
	run_idle(fixture);
	pair_close(&pair);
}

/* Lines of the file that hold this; the file is removed. */
static int count_in_file(const char *path, const char *wanted)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;
	int count = 0;

	cr_assert_geq(fd, 0, "%s is not there", path);
	text = contents(fd);
	for (const char *at = text; (at = strstr(at, wanted)); at++)
		count++;
	free(text);
	close(fd);
	unlink(path);
	return count;
}

static void path_new(char path[64], const char *ending)
{
	snprintf(path, 64, "trace-%d-%s", getpid(), ending);
	unlink(path);
}

Test(c17, c17_a_path_gets_every_event_as_the_ring_fills_and_at_the_end)
{
	struct sluice_options options = traced(4096);
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	char path[64];

	path_new(path, "path");
	options.trace_path = path;
	options.trace_format = SLUICE_TRACE_JSON;
	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	for (int i = 0; i < 500; i++) {
		run_send(pair.socket, &operation, "a", 1);
	}
	pair_close(&pair);
	fixture_end(&fixture);
	{
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct trace trace;
		size_t settled = 0;

		parse(&trace, contents(fd));
		for (size_t i = 0; i < trace.count; i++)
			settled += strcmp(trace.lines[i].event, "settle") == 0;
		cr_assert_eq(trace.lost, 0);
		cr_assert_eq(settled, 500);
		free_trace(&trace);
		close(fd);
		unlink(path);
	}
}

static void *read_to_the_end(void *token)
{
	FILE *stream = fdopen(*(int *)token, "r");
	char *text = NULL;
	size_t room = 0;

	if (!stream || getdelim(&text, &room, 0, stream) < 0)
		return NULL;
	fclose(stream);
	return text;
}

/* A pipe that is full blocks a write; nothing else waits for it. */
Test(c17, c17_a_path_that_takes_nothing_costs_events_and_no_send)
{
	struct sluice_options options = traced(64);
	struct fixture fixture;
	pthread_t thread;
	void *text;
	char path[64];
	int fd, writer;

	path_new(path, "pipe");
	cr_assert_eq(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	options.trace_path = path;
	options.close_linger_ns = 0;
	fixture_begin_with(&fixture, &options);
	send_some(&fixture, 2000);
	/* Without a writer of its own the reader would see the end of the pipe too early. */
	writer = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert_geq(writer, 0);
	cr_assert_eq(fcntl(fd, F_SETFL, 0), 0);
	cr_assert_eq(pthread_create(&thread, NULL, read_to_the_end, &fd), 0);
	cr_assert_eq(sluice_engine_destroy(fixture.engine), 0);
	close(writer);
	cr_assert_eq(pthread_join(thread, &text), 0);
	cr_assert_not_null(text);
	cr_assert(strstr(text, " lost "), "%s", (char *)text);
	cr_assert(strstr(text, " settle   send  "));
	free(text);
	unlink(path);
}

Test(c17, c17_the_environment_names_a_path)
{
	struct sluice_options options = files_options();
	struct fixture fixture;
	char text[64], json[64];

	path_new(text, "environment");
	path_new(json, "environment.json");
	cr_assert_eq(setenv("SLUICE_TRACE", text, 1), 0);
	fixture_begin_with(&fixture, &options);
	send_some(&fixture, 3);
	fixture_end(&fixture);
	cr_assert_eq(count_in_file(text, " settle   send  "), 3);
	cr_assert_eq(setenv("SLUICE_TRACE", json, 1), 0);
	fixture_begin_with(&fixture, &options);
	send_some(&fixture, 3);
	fixture_end(&fixture);
	cr_assert_eq(count_in_file(json, "\"event\":\"settle\",\"operation\":\"send\""), 3);
	options.ignore_environment = 1;
	options.backend = strcmp(getenv("SLUICE_BACKEND"), "epoll") == 0 ? SLUICE_BACKEND_EPOLL
									 : SLUICE_BACKEND_URING;
	fixture_begin_with(&fixture, &options);
	send_some(&fixture, 3);
	fixture_end(&fixture);
	cr_assert_eq(access(json, F_OK), -1);
	unsetenv("SLUICE_TRACE");
}

Test(c17, c17_several_engines_add_whole_lines_to_one_file)
{
	struct sluice_options options = traced(1024);
	struct fixture one, other;
	char path[64];

	path_new(path, "several");
	options.trace_path = path;
	/* The end of the second engine counts the descriptors of the first. */
	options.close_linger_ns = 0;
	fixture_begin_with(&one, &options);
	fixture_begin_with(&other, &options);
	send_some(&one, 30);
	send_some(&other, 20);
	fixture_end(&other);
	/* The first one's descriptors were counted before the other's existed. */
	fixture_end(&one);
	cr_assert_eq(count_in_file(path, " settle   send  "), 50);
}

Test(c17, c17_a_path_that_cannot_be_opened_is_an_error_of_create)
{
	struct sluice_options options = traced(64);
	struct sluice_engine *engine;

	options.trace_path = "/nonexistent/trace";
	cr_assert_eq(sluice_engine_create(&engine, &options), -ENOENT);
	cr_assert_null(engine);
	options.trace_path = NULL;
	options.trace_format = SLUICE_TRACE_JSON + 1;
	cr_assert_eq(sluice_engine_create(&engine, &options), -EINVAL);
}

/* ---- other threads ---- */

struct foreigner {
	struct sluice_socket *socket;
	struct sluice_args args;
	int answer;
};

static void *send_foreign(void *token)
{
	struct foreigner *foreigner = token;

	foreigner->answer = sluice_send_async(foreigner->socket, &foreigner->args);
	return NULL;
}

Test(c17, c17_calls_of_other_threads_are_told_in_their_place)
{
	struct sluice_options options = traced(1024);
	struct fixture fixture;
	struct pair pair;
	struct foreigner foreigner = {0};
	struct trace trace;
	pthread_t thread;

	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	foreigner.socket = pair.socket;
	cr_assert_eq(sluice_args_set_buffer(&foreigner.args, "ab", 2, 0, 2), 0);
	cr_assert_eq(pthread_create(&thread, NULL, send_foreign, &foreigner), 0);
	pthread_join(thread, NULL);
	cr_assert_eq(foreigner.answer, 1);
	run_until(&fixture, !sluice_args_in_progress(&foreigner.args));
	read_trace(&fixture, &trace);
	cr_assert_leq(line_of(&trace, "call", "send", &foreigner.args)->time_ns,
		      line_of(&trace, "settle", "send", &foreigner.args)->time_ns);
	cr_assert_lt(line_of(&trace, "call", "send", &foreigner.args),
		     line_of(&trace, "settle", "send", &foreigner.args));
	cr_assert_eq(line_of(&trace, "settle", "send", &foreigner.args)->bytes, 2);
	free_trace(&trace);
	pair_close(&pair);
	fixture_end(&fixture);
}
