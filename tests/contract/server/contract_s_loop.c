/* SPDX-License-Identifier: MIT */
/*
 * s06: the engine's descriptor in a foreign loop. These loops sleep in a blocking epoll_wait and
 * do nothing but run(0) when it says so; each promise is tried level- and edge-triggered.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "files.h"
#include "filters.h"
#include "measure.h"
#include "streams.h"

#define PATIENCE_MS ((int)(GUARD_NS / MILLISECOND))

struct loop {
	struct fixture fixture;
	int epoll;
	const char *triggered; /* edge or level */
	uint64_t turns;
};

static void loop_watch(struct loop *loop, uint32_t mode)
{
	struct epoll_event event = {.events = EPOLLIN | mode};
	int fd = sluice_engine_fd(loop->fixture.engine);

	cr_assert(fd >= 0, "%s", strerror(-fd));
	cr_assert_eq(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event), 0);
	loop->triggered = mode ? "edge" : "level";
}

static void loop_begin_with(struct loop *loop, uint32_t mode, const struct sluice_options *options)
{
	fixture_begin_with(&loop->fixture, options);
	loop->turns = 0;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	cr_assert(loop->epoll >= 0);
	loop_watch(loop, mode);
}

static void loop_begin(struct loop *loop, uint32_t mode)
{
	loop_begin_with(loop, mode, NULL);
}

static void loop_end(struct loop *loop)
{
	close(loop->epoll);
	fixture_end(&loop->fixture);
}

/* Sleeps; runs the engine if it was woken. Returns whether it was. */
static bool loop_turn(struct loop *loop, int timeout_ms)
{
	struct epoll_event event;
	int count;

	do
		count = epoll_wait(loop->epoll, &event, 1, timeout_ms);
	while (count < 0 && errno == EINTR);
	cr_assert(count >= 0, "%s", strerror(errno));
	if (count == 0)
		return false;
	loop->turns++;
	cr_assert(sluice_engine_run(loop->fixture.engine, 0) >= 0);
	return true;
}

#define loop_until(loop, condition)                                                        \
	do {                                                                               \
		while (!(condition))                                                       \
			cr_assert(loop_turn(loop, PATIENCE_MS), "never woken for %s (%s)", \
				  #condition, (loop)->triggered);                          \
	} while (0)

/* What the test started outside of run gets its turn, as a loop would give it before it sleeps. */
static void loop_kick(struct loop *loop)
{
	cr_assert(sluice_engine_run(loop->fixture.engine, 0) >= 0);
}

/*
 * What is still to be done gets done, and soon nothing wakes the loop for 100 ms. The kernel may
 * signal a completion once more some milliseconds after it was taken.
 */
static void assert_quiet(struct loop *loop)
{
	for (int i = 0; i < 50; i++)
		if (!loop_turn(loop, 100))
			return;
	cr_assert_fail("woken again and again while there is nothing to do (%s)", loop->triggered);
}

/* Runs a test of one promise in both modes. */
static void in_both_modes(void (*promise)(uint32_t mode))
{
	promise(0);
	promise(EPOLLET);
}

/* ---- what wakes ---- */

struct later {
	pthread_t thread;
	void (*act)(struct later *later);
	struct loop *loop;
	struct pair *pair;
	struct operation *operation;
	struct consumer *consumer;
	int answer;
};

static void *later_main(void *token)
{
	struct later *later = token;

	usleep(30000);
	later->act(later);
	return NULL;
}

/* Does it in another thread, when the loop sleeps. */
static void later_start(struct later *later)
{
	cr_assert_eq(pthread_create(&later->thread, NULL, later_main, later), 0);
}

static void later_join(struct later *later, int answer)
{
	cr_assert_eq(pthread_join(later->thread, NULL), 0);
	cr_assert_eq(later->answer, answer);
}

static void peer_writes(struct later *later)
{
	later->answer = (int)send(later->pair->peer, "bytes", 5, MSG_NOSIGNAL);
}

static void woken_for_a_completion(uint32_t mode)
{
	struct loop loop;
	struct pair pair;
	struct operation operation;
	struct later later = {.act = peer_writes, .pair = &pair};
	char bytes[10];

	loop_begin(&loop, mode);
	tcp_pair(&loop.fixture, &pair, 0);
	operation_init(&operation, &loop.fixture);
	for (int round = 0; round < 3; round++) {
		cr_assert_eq(start_receive(pair.socket, &operation, bytes, sizeof bytes), 1);
		loop_kick(&loop);
		later_start(&later);
		loop_until(&loop, is_over(&operation));
		later_join(&later, 5);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
		assert_quiet(&loop);
	}
	pair_close(&pair);
	loop_end(&loop);
}

Test(s06, s06_a_blocking_epoll_wait_is_woken_for_a_completion)
{
	in_both_modes(woken_for_a_completion);
}

static void count_post(struct sluice_engine *engine, void *token)
{
	++*(int *)token;
}

static int posted;

static void posts(struct later *later)
{
	later->answer = sluice_post(later->loop->fixture.engine, count_post, &posted);
}

static void starts_a_send(struct later *later)
{
	later->answer = sluice_send_async(later->pair->socket, &later->operation->args);
}

static void woken_for_the_mailbox(uint32_t mode)
{
	struct loop loop;
	struct pair pair;
	struct operation operation;
	struct later posting = {.act = posts, .loop = &loop};
	struct later sending = {.act = starts_a_send, .pair = &pair, .operation = &operation};

	loop_begin(&loop, mode);
	tcp_pair(&loop.fixture, &pair, 0);
	operation_init(&operation, &loop.fixture);
	posted = 0;
	later_start(&posting);
	loop_until(&loop, posted == 1);
	later_join(&posting, 0);
	assert_quiet(&loop);

	cr_assert_eq(sluice_args_set_buffer(&operation.args, "bytes", 5, 0, 5), 0);
	operation.pending = 1; /* as start() would, which is for this thread alone */
	operation.socket = pair.socket;
	loop.fixture.pending++;
	later_start(&sending);
	loop_until(&loop, is_over(&operation));
	later_join(&sending, 1);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
	assert_quiet(&loop);
	pair_close(&pair);
	loop_end(&loop);
}

Test(s06, s06_a_blocking_epoll_wait_is_woken_for_the_mailbox)
{
	in_both_modes(woken_for_the_mailbox);
}

static void wakes(struct later *later)
{
	sluice_engine_wake(later->loop->fixture.engine);
}

static void woken_for_a_wake(uint32_t mode)
{
	struct loop loop;
	struct later later = {.act = wakes, .loop = &loop};

	loop_begin(&loop, mode);
	assert_quiet(&loop);
	later_start(&later);
	cr_assert(loop_turn(&loop, PATIENCE_MS), "not woken by a wake");
	later_join(&later, 0);
	assert_quiet(&loop);
	loop_end(&loop);
}

Test(s06, s06_a_blocking_epoll_wait_is_woken_for_a_wake)
{
	in_both_modes(woken_for_a_wake);
}

static void woken_for_a_deadline(uint32_t mode)
{
	struct loop loop;
	struct pair pair;
	struct operation operation;
	int64_t began;
	char byte;

	loop_begin(&loop, mode);
	tcp_pair(&loop.fixture, &pair, 0);
	operation_init(&operation, &loop.fixture);
	operation.args.timeout_ns = 60 * MILLISECOND;
	began = now_ns();
	cr_assert_eq(start_receive(pair.socket, &operation, &byte, 1), 1);
	loop_kick(&loop);
	loop_until(&loop, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_TIMED_OUT, 0);
	cr_assert_geq(now_ns() - began, 60 * MILLISECOND);
	assert_quiet(&loop);
	pair_close(&pair);
	loop_end(&loop);
}

Test(s06, s06_a_blocking_epoll_wait_is_woken_for_a_deadline)
{
	in_both_modes(woken_for_a_deadline);
}

static int expirations;

static void count_expiration(struct sluice_engine *engine, struct sluice_timer *timer)
{
	expirations++;
	if (expirations % 3)
		cr_assert_eq(sluice_timer_start(engine, timer, 10 * MILLISECOND), 0);
}

static void woken_for_a_timer(uint32_t mode)
{
	struct sluice_timer timer = {.expired = count_expiration};
	struct sluice_timer far = {.expired = count_expiration};
	struct loop loop;

	loop_begin(&loop, mode);
	expirations = 0;
	cr_assert_eq(sluice_timer_start(loop.fixture.engine, &far, 3600 * SECOND), 0);
	assert_quiet(&loop);
	cr_assert_eq(sluice_timer_start(loop.fixture.engine, &timer, 10 * MILLISECOND), 0);
	loop_kick(&loop);
	loop_until(&loop, expirations == 3);
	cr_assert_leq(loop.turns, 30, "%llu turns for three timers",
		      (unsigned long long)loop.turns);
	assert_quiet(&loop);
	cr_assert_eq(sluice_timer_start(loop.fixture.engine, &timer, 0), 0);
	loop_kick(&loop);
	loop_until(&loop, expirations == 4);
	cr_assert_eq(sluice_timer_stop(loop.fixture.engine, &timer), 0);
	assert_quiet(&loop);
	loop_end(&loop);
}

Test(s06, s06_a_blocking_epoll_wait_is_woken_for_a_timer)
{
	in_both_modes(woken_for_a_timer);
}

/*
 * An owner that starts something in another event of its loop calls nothing of ours before it
 * sleeps: the descriptor is to be readable while run has something to do.
 */
static void woken_for_what_is_started_outside_of_run(uint32_t mode)
{
	struct sluice_timer timer = {.expired = count_expiration};
	struct loop loop;
	struct pair pair;
	struct operation receiving, sending;
	char bytes[10];

	loop_begin(&loop, mode);
	tcp_pair(&loop.fixture, &pair, 0);
	operation_init(&receiving, &loop.fixture);
	operation_init(&sending, &loop.fixture);
	assert_quiet(&loop);
	cr_assert_eq(start_receive(pair.socket, &receiving, bytes, sizeof bytes), 1);
	cr_assert_eq(send(pair.peer, "bytes", 5, 0), 5);
	loop_until(&loop, is_over(&receiving));
	assert_quiet(&loop);

	sending.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair.socket, &sending, "bytes", 5), 1);
	loop_until(&loop, is_over(&sending));
	assert_quiet(&loop);

	expirations = 2;
	cr_assert_eq(sluice_timer_start(loop.fixture.engine, &timer, 10 * MILLISECOND), 0);
	loop_until(&loop, expirations == 3);
	assert_quiet(&loop);

	operation_init(&receiving, &loop.fixture);
	cr_assert_eq(start_receive(pair.socket, &receiving, bytes, sizeof bytes), 1);
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	loop_until(&loop, is_over(&receiving));
	assert_quiet(&loop);
	pair_close(&pair);
	loop_end(&loop);
}

Test(s06, s06_what_is_started_outside_of_run_leaves_and_wakes)
{
	in_both_modes(woken_for_what_is_started_outside_of_run);
}

/* ---- what handlers leave ---- */

static struct operation reply;

static void reply_in_handler(struct operation *operation)
{
	cr_assert_eq(start_send(operation->socket, &reply, "reply", 5), 1);
}

/* It leaves although the loop knows nothing of it and calls nothing. */
static void woken_for_what_a_handler_queued(uint32_t mode)
{
	struct loop loop;
	struct pair pair;
	struct operation operation;
	char byte, bytes[5];

	loop_begin(&loop, mode);
	tcp_pair(&loop.fixture, &pair, 0);
	operation_init(&operation, &loop.fixture);
	operation_init(&reply, &loop.fixture);
	operation.then = reply_in_handler;
	cr_assert_eq(start_receive(pair.socket, &operation, &byte, 1), 1);
	loop_kick(&loop);
	cr_assert_eq(send(pair.peer, "x", 1, 0), 1);
	loop_until(&loop, reply.handled == 1);
	read_exactly(pair.peer, bytes, 5);
	assert_quiet(&loop);
	pair_close(&pair);
	loop_end(&loop);
}

Test(s06, s06_what_a_handler_queued_leaves_and_wakes)
{
	in_both_modes(woken_for_what_a_handler_queued);
}

static void woken_while_handlers_are_left_over(uint32_t mode)
{
	struct sluice_options options;
	struct loop loop;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.handler_budget = 1;
	loop_begin_with(&loop, mode, &options);
	posted = 0;
	for (int i = 0; i < 20; i++)
		cr_assert_eq(sluice_post(loop.fixture.engine, count_post, &posted), 0);
	loop_kick(&loop);
	loop_until(&loop, posted == 20);
	assert_quiet(&loop);
	loop_end(&loop);
}

Test(s06, s06_woken_again_while_the_budget_left_handlers_over)
{
	in_both_modes(woken_while_handlers_are_left_over);
}

static void *echo_main(void *token)
{
	const int *fd = token;
	char bytes[16];
	ssize_t count;

	while ((count = recv(*fd, bytes, sizeof bytes, 0)) > 0)
		if (send(*fd, bytes, (size_t)count, MSG_NOSIGNAL) != count)
			break;
	return NULL;
}

/* A send in the receive's handler, and the next receive in the send's, against a peer that echoes. */
struct ping_pong {
	struct operation sending, receiving;
	struct sluice_socket *socket;
	char bytes[16];
	int rounds;
};

static void ping(struct operation *operation)
{
	struct ping_pong *game = operation->token;

	if (++game->rounds < 500)
		cr_assert_eq(start_send(game->socket, &game->sending, "ping", 4), 1);
}

static void pong(struct operation *operation)
{
	struct ping_pong *game = operation->token;

	cr_assert(start_receive(game->socket, &game->receiving, game->bytes, 4) >= 0);
	if (is_over(&game->receiving))
		ping(&game->receiving);
}

static void carries_a_conversation(uint32_t mode)
{
	struct loop loop;
	struct pair pair;
	struct ping_pong game = {0};
	pthread_t thread;

	loop_begin(&loop, mode);
	tcp_pair(&loop.fixture, &pair, 0);
	cr_assert_eq(pthread_create(&thread, NULL, echo_main, &pair.peer), 0);
	operation_init(&game.sending, &loop.fixture);
	operation_init(&game.receiving, &loop.fixture);
	game.socket = pair.socket;
	game.sending.then = pong;
	game.receiving.then = ping;
	game.sending.token = game.receiving.token = &game;
	game.sending.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair.socket, &game.sending, "ping", 4), 1);
	loop_kick(&loop);
	loop_until(&loop, game.rounds == 500);
	cr_assert_leq(loop.turns, 500 * 8, "%llu turns for 500 rounds",
		      (unsigned long long)loop.turns);
	sluice_socket_close(pair.socket);
	loop_kick(&loop);
	assert_quiet(&loop);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	pair_close(&pair);
	loop_end(&loop);
}

Test(s06, s06_a_conversation_of_handlers_runs_in_a_foreign_loop)
{
	in_both_modes(carries_a_conversation);
}

/* ---- streams, connections, files ---- */

static struct consumer consumer; /* too large for a thread's stack */
static struct sluice_socket *newcomer;

static void take_newcomer(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			  void *token)
{
	if (accepted->socket)
		newcomer = accepted->socket;
}

static void releases(struct later *later)
{
	while (later->consumer->held_count > 0)
		sluice_buffer_release(later->loop->fixture.engine,
				      later->consumer->held[--later->consumer->held_count].buffer);
}

/* The client writes until the consumer holds so many buffers; returns how much that was. */
static uint64_t loop_until_held(struct loop *loop, int client, int count)
{
	int64_t deadline = now_ns() + GUARD_NS;
	uint64_t length = 0;

	while (consumer.held_count < count) {
		length += write_what_fits(client, 50000, length);
		loop_turn(loop, 10);
		cr_assert_lt(now_ns(), deadline, "%d buffers are held", consumer.held_count);
	}
	return length;
}

static void serves(uint32_t mode)
{
	struct sluice_accept_options accepting = {.size = sizeof accepting,
						  .on_accepted = take_newcomer};
	struct later later = {.act = releases, .consumer = &consumer};
	struct loop loop;
	struct sluice_socket *listener;
	struct sockaddr_in address;
	uint64_t length;
	int client, fd;

	loop_begin(&loop, mode);
	client = new_tcp(0);
	later.loop = &loop;
	newcomer = NULL;
	fd = listen_tcp(0);
	address = loopback(port_of(fd));
	listener = attach(&loop.fixture, fd);
	cr_assert_eq(sluice_accept_start(listener, &accepting), 0);
	loop_kick(&loop);
	assert_quiet(&loop);
	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	loop_until(&loop, newcomer);
	consumer_init(&consumer, &loop.fixture, newcomer);
	consumer.holds = true;
	cr_assert_eq(start_consuming(&consumer), 0);
	loop_kick(&loop);
	assert_quiet(&loop);
	length = loop_until_held(&loop, client, 8);
	assert_quiet(&loop); /* with all its buffers lent */
	while (consumer.bytes < length) {
		uint64_t bytes = consumer.bytes;

		later_start(&later);
		loop_until(&loop, consumer.bytes > bytes);
		later_join(&later, 0);
	}
	release_all(&consumer);
	sluice_socket_destroy(newcomer);
	sluice_socket_destroy(listener);
	loop_kick(&loop);
	assert_quiet(&loop);
	close(client);
	loop_end(&loop);
}

Test(s06, s06_a_server_runs_in_a_foreign_loop)
{
	in_both_modes(serves);
}

/* Its writability, its slices and its fetches all have to wake. */
static void sends_a_file(uint32_t mode)
{
	struct loop loop;
	struct file file;
	struct pair pair;
	struct operation operation;
	struct reader reader;
	struct sluice_packet packet;

	file_new(&file, 16 * MIB, 0);
	(void)file_chill(file.fd);
	loop_begin(&loop, mode);
	tcp_pair(&loop.fixture, &pair, SMALL);
	operation_init(&operation, &loop.fixture);
	packet = file_packet(file.fd, 0, 0);
	cr_assert_eq(start_packets(pair.socket, &operation, &packet, 1), 1);
	loop_kick(&loop);
	assert_quiet(&loop); /* nobody reads */
	reader_start(&reader, pair.peer, 0);
	loop_until(&loop, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 16 * MIB);
	sluice_socket_close(pair.socket);
	loop_kick(&loop);
	assert_quiet(&loop);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, 16 * MIB);
	pair_close(&pair);
	loop_end(&loop);
	file_end(&file);
}

Test(s06, s06_a_file_is_sent_in_a_foreign_loop)
{
	in_both_modes(sends_a_file);
}

/* ---- the descriptor itself ---- */

static void woken_for_what_was_pending_before(uint32_t mode)
{
	struct loop loop = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
	struct pair pair;
	struct operation operation;
	struct later later = {.act = peer_writes, .pair = &pair};
	char bytes[10];

	fixture_begin(&loop.fixture);
	loop.fixture.descriptors--; /* the loop's own is closed before they are counted again */
	tcp_pair(&loop.fixture, &pair, 0);
	operation_init(&operation, &loop.fixture);
	cr_assert_eq(start_receive(pair.socket, &operation, bytes, sizeof bytes), 1);
	run_idle(&loop.fixture);
	loop_watch(&loop, mode);
	assert_quiet(&loop);
	later_start(&later);
	loop_until(&loop, is_over(&operation));
	later_join(&later, 5);
	assert_quiet(&loop);
	pair_close(&pair);
	loop_end(&loop);
}

Test(s06, s06_the_descriptor_wakes_for_what_was_pending_before_it_was_asked_for)
{
	in_both_modes(woken_for_what_was_pending_before);
}

static bool late_registration_is_refused; /* of the eventfd with the ring, by a filter */

/* As loop_begin. */
static void loop_begin_late(struct loop *loop, uint32_t mode)
{
	fixture_begin(&loop->fixture);
	run_idle(&loop->fixture);
	if (late_registration_is_refused) {
		refuse_registration(4 /* IORING_REGISTER_EVENTFD */, EPERM);
		refuse_registration(5 /* IORING_UNREGISTER_EVENTFD */, EPERM);
	}
	loop->turns = 0;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	cr_assert(loop->epoll >= 0);
	loop_watch(loop, mode);
}

/* Some kernels signal a registered eventfd only once. */
static void woken_for_one_after_another(uint32_t mode)
{
	struct loop loop;
	struct pair pair;
	struct operation operation;
	struct later later = {.act = peer_writes, .loop = &loop, .pair = &pair};
	char bytes[10];

	loop_begin_late(&loop, mode);
	tcp_pair(&loop.fixture, &pair, 0);
	operation_init(&operation, &loop.fixture);
	for (int round = 0; round < 5; round++) {
		cr_assert_eq(start_receive(pair.socket, &operation, bytes, sizeof bytes), 1);
		loop_kick(&loop);
		assert_quiet(&loop);
		later_start(&later);
		loop_until(&loop, is_over(&operation));
		later_join(&later, 5);
	}
	pair_close(&pair);
	loop_end(&loop);
}

static bool probe_uses(uint32_t capability)
{
	struct sluice_probe probe = {.size = sizeof probe};
	bool used = false;

	cr_assert_eq(sluice_probe(&probe), 0);
	for (uint32_t i = 0; i < probe.capability_count; i++)
		used |= probe.capabilities[i].bit == capability && probe.capabilities[i].used;
	return used;
}

/* Pretended: the registration is used up by the first signal. */
Test(s06, s06_a_descriptor_that_the_kernel_signals_once_is_registered_again_and_reported)
{
	const char *refused = getenv("SLUICE_TEST_REFUSE"); /* by a variant */
	struct fixture fixture;
	uint32_t had, has;
	char all[256];

	fixture_begin(&fixture);
	run_idle(&fixture);
	had = statistics_of(&fixture).capabilities;
	fixture_end(&fixture);
	if (!(had & SLUICE_CAPABILITY_DEFER_TASKRUN))
		cr_skip("deferred task work is not in use");

	snprintf(all, sizeof all, "%s%sevent-repeats", refused ? refused : "", refused ? "," : "");
	setenv("SLUICE_TEST_REFUSE", all, 1);
	fixture_begin(&fixture);
	cr_assert(sluice_engine_fd(fixture.engine) >= 0);
	run_idle(&fixture);
	has = statistics_of(&fixture).capabilities;
	cr_assert_eq(has & SLUICE_CAPABILITY_EVENT_REPEATS, 0, "the loss was not noticed");
	cr_assert_eq(has & ~(uint32_t)SLUICE_CAPABILITY_EVENT_REPEATS,
		     had & ~(uint32_t)SLUICE_CAPABILITY_EVENT_REPEATS);
	fixture_end(&fixture);
	cr_assert_not(probe_uses(SLUICE_CAPABILITY_EVENT_REPEATS), "the probe says it is used");
	in_both_modes(woken_for_one_after_another);
}

/* Before 5.18, a registration would wait until no request is in flight, and the poll for wakes is. */
Test(s06, s06_the_descriptor_needs_no_registration_after_the_start)
{
	struct fixture fixture;
	bool repeats;

	if (strcmp(getenv("SLUICE_BACKEND"), "uring") != 0)
		cr_skip("epoll registers no eventfd");
	fixture_begin(&fixture);
	cr_assert(sluice_engine_fd(fixture.engine) >= 0);
	repeats = statistics_of(&fixture).capabilities & SLUICE_CAPABILITY_EVENT_REPEATS;
	fixture_end(&fixture);
	if (!repeats)
		cr_skip("without event-repeats, the eventfd is registered again and again");
	late_registration_is_refused = true;
	woken_for_one_after_another(0);
}

Test(s06, s06_the_descriptor_wakes_for_one_completion_after_another)
{
	in_both_modes(woken_for_one_after_another);
}

static void *ask_elsewhere(void *token)
{
	return (void *)(intptr_t)sluice_engine_fd(token);
}

ENGINE_TEST(s06, s06_the_descriptor_is_one_and_the_owners)
{
	pthread_t thread;
	void *answer;
	int fd;

	fd = sluice_engine_fd(fixture->engine);
	cr_assert(fd >= 0);
	cr_assert_eq(sluice_engine_fd(fixture->engine), fd);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(pthread_create(&thread, NULL, ask_elsewhere, fixture->engine), 0);
	cr_assert_eq(pthread_join(thread, &answer), 0);
	cr_assert_eq((intptr_t)answer, -EPERM);
	cr_assert_eq(sluice_engine_fd(NULL), -EINVAL);
}

/* It is still allowed to wait in run itself. */
ENGINE_TEST(s06, s06_run_still_waits_where_the_descriptor_is_on)
{
	struct pair pair;
	struct operation operation;
	struct later later = {.act = peer_writes, .pair = &pair};
	char bytes[10];

	cr_assert(sluice_engine_fd(fixture->engine) >= 0);
	tcp_pair(fixture, &pair, 0);
	operation_init(&operation, fixture);
	cr_assert_eq(start_receive(pair.socket, &operation, bytes, sizeof bytes), 1);
	later_start(&later);
	while (!is_over(&operation))
		cr_assert(sluice_engine_run(fixture->engine, -1) >= 0);
	later_join(&later, 5);
	cr_assert_leq(turns_in(fixture, 100 * MILLISECOND), 10);
	pair_close(&pair);
}
