/* SPDX-License-Identifier: MIT */
/* c17: a trace that is written to a path, and the calls of other threads in it. */
#include "contract_c17_trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

TRACE_TEST(c17, c17_calls_of_other_threads_are_told_in_their_place, 1024)
{
	struct pair pair;
	struct foreigner foreigner = {0};
	struct trace trace;
	pthread_t thread;

	tcp_pair(fixture, &pair, 0);
	foreigner.socket = pair.socket;
	cr_assert_eq(sluice_args_set_buffer(&foreigner.args, "ab", 2, 0, 2), 0);
	cr_assert_eq(pthread_create(&thread, NULL, send_foreign, &foreigner), 0);
	pthread_join(thread, NULL);
	cr_assert_eq(foreigner.answer, 1);
	run_until(fixture, !sluice_args_in_progress(&foreigner.args));
	read_trace(fixture, &trace);
	cr_assert_leq(line_of(&trace, "call", "send", &foreigner.args)->time_ns,
		      line_of(&trace, "settle", "send", &foreigner.args)->time_ns);
	cr_assert_lt(line_of(&trace, "call", "send", &foreigner.args),
		     line_of(&trace, "settle", "send", &foreigner.args));
	cr_assert_eq(line_of(&trace, "settle", "send", &foreigner.args)->bytes, 2);
	free_trace(&trace);
	pair_close(&pair);
}
