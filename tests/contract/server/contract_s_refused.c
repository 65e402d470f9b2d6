/* SPDX-License-Identifier: MIT */
/*
 * s01, s04: a kernel that refuses a form of an entry costs speed and nothing else, whether that is
 * found when the engine is first used or later, with the requests of many sockets in flight. The
 * library makes its entries invalid on purpose, so that any kernel refuses them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "streams.h"

#define STREAMS 30
#define LISTENERS 6

/* What is refused, from when on, and what an engine no longer has afterwards. */
struct refusal {
	const char *early;  /* at the first use already */
	const char *late;   /* only after it */
	const char *spared; /* so many entries are let through */
	uint32_t lost;
	uint32_t kept;
};

static const struct refusal receives[] = {
	{NULL, NULL, NULL, 0, 0},
	{"multishot-limit", NULL, NULL, SLUICE_CAPABILITY_MULTISHOT_LIMIT,
	 SLUICE_CAPABILITY_MULTISHOT_RECEIVE},
	{NULL, "multishot-limit", NULL, SLUICE_CAPABILITY_MULTISHOT_LIMIT,
	 SLUICE_CAPABILITY_MULTISHOT_RECEIVE},
	{NULL, "multishot-limit", "12", SLUICE_CAPABILITY_MULTISHOT_LIMIT,
	 SLUICE_CAPABILITY_MULTISHOT_RECEIVE},
	{"multishot-receive,multishot-limit", NULL, NULL,
	 SLUICE_CAPABILITY_MULTISHOT_LIMIT | SLUICE_CAPABILITY_MULTISHOT_RECEIVE, 0},
	{NULL, "multishot-receive,multishot-limit", NULL,
	 SLUICE_CAPABILITY_MULTISHOT_LIMIT | SLUICE_CAPABILITY_MULTISHOT_RECEIVE, 0},
	{NULL, "multishot-receive,multishot-limit", "12",
	 SLUICE_CAPABILITY_MULTISHOT_LIMIT | SLUICE_CAPABILITY_MULTISHOT_RECEIVE, 0},
};

static const struct refusal accepts[] = {
	{NULL, NULL, NULL, 0, 0},
	{"multishot-accept", NULL, NULL, SLUICE_CAPABILITY_MULTISHOT_ACCEPT, 0},
	{NULL, "multishot-accept", NULL, SLUICE_CAPABILITY_MULTISHOT_ACCEPT, 0},
	{NULL, "multishot-accept", "3", SLUICE_CAPABILITY_MULTISHOT_ACCEPT, 0},
};

static void set(const char *name, const char *value)
{
	if (value)
		cr_assert_eq(setenv(name, value, 1), 0);
	else
		cr_assert_eq(unsetenv(name), 0);
}

static void begin(struct fixture *fixture, const struct refusal *refusal)
{
	set("SLUICE_TEST_REFUSE", refusal->early);
	set("SLUICE_TEST_REFUSE_LATE", refusal->late);
	set("SLUICE_TEST_REFUSE_AFTER", refusal->spared);
	fixture_begin(fixture);
}

static void assert_lost(struct fixture *fixture, const struct refusal *refusal, uint32_t had)
{
	uint32_t has = statistics_of(fixture).capabilities;

	cr_assert_eq(has & refusal->lost, 0, "what is refused is still used");
	cr_assert_eq(has & refusal->kept, had & refusal->kept, "what was not refused is lost");
}

/* What an engine has when nothing is refused: not every kernel has all of it. */
static uint32_t capabilities(void)
{
	static const struct refusal none;
	struct fixture fixture;
	uint32_t has;

	begin(&fixture, &none);
	run_idle(&fixture);
	has = statistics_of(&fixture).capabilities;
	fixture_end(&fixture);
	return has;
}

/* ---- streams ---- */

struct streams {
	struct fixture fixture;
	struct pair pairs[STREAMS];
	struct consumer consumers[STREAMS];
	size_t written;
};

static void pass(struct streams *streams, size_t length)
{
	size_t done[STREAMS];

	for (int i = 0; i < STREAMS; i++)
		done[i] = write_what_fits(streams->pairs[i].peer, length, streams->written);
	for (int i = 0; i < STREAMS; i++)
		run_writing(&streams->fixture, streams->pairs[i].peer, length - done[i],
			    streams->written + done[i]);
	streams->written += length;
	for (int i = 0; i < STREAMS; i++)
		run_until(&streams->fixture, streams->consumers[i].bytes == streams->written);
}

/* All start in one turn, receive, hold buffers for a while, and receive again. */
static void assert_streams_flow(const struct refusal *refusal)
{
	uint32_t had = capabilities();
	struct streams *streams = calloc(1, sizeof *streams);

	begin(&streams->fixture, refusal);
	for (int i = 0; i < STREAMS; i++) {
		unix_pair(&streams->fixture, &streams->pairs[i], SOCK_STREAM);
		consumer_init(&streams->consumers[i], &streams->fixture, streams->pairs[i].socket);
		cr_assert_eq(start_consuming(&streams->consumers[i]), 0);
	}
	pass(streams, 1000);
	assert_lost(&streams->fixture, refusal, had);
	for (int i = 0; i < STREAMS; i++)
		streams->consumers[i].holds = true;
	pass(streams, 20000);
	for (int i = 0; i < STREAMS; i++) {
		streams->consumers[i].holds = false;
		release_all(&streams->consumers[i]);
	}
	/* More than all buffers of the engine: none may be lost on the way. */
	for (int round = 0; round < 20; round++)
		pass(streams, 40000);
	for (int i = 0; i < STREAMS; i++) {
		cr_assert_eq(streams->consumers[i].terminals, 0);
		cr_assert_eq(shutdown(streams->pairs[i].peer, SHUT_WR), 0);
	}
	for (int i = 0; i < STREAMS; i++) {
		run_until(&streams->fixture, streams->consumers[i].terminals > 0);
		assert_terminal(&streams->consumers[i], SLUICE_ERROR_SUCCESS);
		pair_close(&streams->pairs[i]);
	}
	assert_no_buffer_lent(&streams->fixture);
	fixture_end(&streams->fixture);
	free(streams);
}

Test(s01, s01_many_streams_started_in_one_turn_flow)
{
	assert_streams_flow(&receives[0]);
}

Test(s01, s01_many_streams_started_in_one_turn_flow_without_a_limit_for_multishot)
{
	for (size_t i = 1; i < 4; i++)
		assert_streams_flow(&receives[i]);
}

Test(s01, s01_many_streams_started_in_one_turn_flow_without_buffers_that_the_kernel_picks)
{
	for (size_t i = 4; i < sizeof receives / sizeof *receives; i++)
		assert_streams_flow(&receives[i]);
}

/* ---- listeners ---- */

struct acceptor {
	struct sluice_socket *listener;
	struct sluice_socket *accepted;
	uint16_t port;
	int count;
	int terminals;
};

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	struct acceptor *acceptor = token;

	(void)listener;
	if (accepted->terminal) {
		acceptor->terminals++;
		return;
	}
	cr_assert_not_null(accepted->socket, "an error instead of a connection");
	acceptor->accepted = accepted->socket;
	acceptor->count++;
}

static void accept_one(struct fixture *fixture, struct acceptor *acceptor)
{
	struct sockaddr_in address = loopback(acceptor->port);
	int client = new_tcp(0), before = acceptor->count;

	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	run_until(fixture, acceptor->count == before + 1);
	sluice_socket_destroy(acceptor->accepted);
	close(client);
}

static void assert_listeners_accept(const struct refusal *refusal)
{
	uint32_t had = capabilities();
	struct acceptor acceptors[LISTENERS];
	struct fixture fixture;

	memset(acceptors, 0, sizeof acceptors);
	begin(&fixture, refusal);
	for (int i = 0; i < LISTENERS; i++) {
		struct sluice_accept_options options = {
			.size = sizeof options,
			.on_accepted = on_accepted,
			.token = &acceptors[i],
		};
		int fd = listen_tcp(0);

		acceptors[i].port = port_of(fd);
		acceptors[i].listener = attach(&fixture, fd);
		cr_assert_eq(sluice_accept_start(acceptors[i].listener, &options), 0);
	}
	run_idle(&fixture);
	assert_lost(&fixture, refusal, had);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < LISTENERS; i++)
			accept_one(&fixture, &acceptors[i]);
	}
	for (int i = 0; i < LISTENERS; i++)
		sluice_socket_destroy(acceptors[i].listener);
	run_idle(&fixture);
	fixture_end(&fixture);
}

Test(s01, s01_several_listeners_accept_whatever_the_kernel_refuses)
{
	for (size_t i = 0; i < sizeof accepts / sizeof *accepts; i++)
		assert_listeners_accept(&accepts[i]);
}

/* The answer of a listener that was shut down is not taken for the kernel's. */
Test(s01, s01_a_listener_that_was_shut_down_changes_nothing_for_others)
{
	struct sluice_accept_options options = {.size = sizeof options, .on_accepted = on_accepted};
	struct acceptor acceptor = {.count = 0};
	uint32_t had = capabilities();
	struct fixture fixture;
	int fd;

	fixture_begin(&fixture);
	fd = listen_tcp(0);
	options.token = &acceptor;
	acceptor.listener = attach(&fixture, fd);
	cr_assert_eq(sluice_accept_start(acceptor.listener, &options), 0);
	run_idle(&fixture);
	cr_assert_eq(shutdown(fd, SHUT_RD), 0);
	run_until(&fixture, acceptor.terminals > 0);
	run_idle(&fixture);
	cr_assert_eq(statistics_of(&fixture).capabilities & SLUICE_CAPABILITY_MULTISHOT_ACCEPT,
		     had & SLUICE_CAPABILITY_MULTISHOT_ACCEPT);
	sluice_socket_destroy(acceptor.listener);
	run_idle(&fixture);
	fixture_end(&fixture);
}

/* ---- wake-ups ---- */

#define WAKES 10

static void *wake(void *token)
{
	struct fixture *fixture = token;

	sluice_engine_wake(fixture->engine);
	return NULL;
}

static void assert_wakes(const struct refusal *refusal)
{
	struct fixture fixture;
	uint64_t enters;
	pthread_t thread;

	begin(&fixture, refusal);
	run_idle(&fixture);
	enters = statistics_of(&fixture).enters;
	for (int i = 0; i < WAKES; i++) {
		cr_assert_eq(pthread_create(&thread, NULL, wake, &fixture), 0);
		cr_assert_eq(sluice_engine_run(fixture.engine, -1), 0);
		cr_assert_eq(pthread_join(thread, NULL), 0);
		cr_assert_eq(sluice_engine_run(fixture.engine, 5 * MILLISECOND), 0);
	}
	cr_assert_leq(statistics_of(&fixture).enters - enters, 8 * WAKES, "an idle engine spins");
	fixture_end(&fixture);
}

Test(s06, s06_other_threads_wake_an_engine_that_sleeps_whatever_the_kernel_refuses)
{
	static const struct refusal polls[] = {
		{NULL, NULL, NULL, 0, 0},
		{"multishot-poll", NULL, NULL, 0, 0},
		{NULL, "multishot-poll", NULL, 0, 0},
	};

	for (size_t i = 0; i < sizeof polls / sizeof *polls; i++)
		assert_wakes(&polls[i]);
}
