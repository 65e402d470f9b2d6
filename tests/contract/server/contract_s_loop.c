/* SPDX-License-Identifier: MIT */
/*
 * s06: the engine's descriptor in a foreign loop. These loops sleep in a blocking epoll_wait and
 * do nothing but run(0) when it says so; each promise is tried level- and edge-triggered.
 */
#include "contract_s_loop.h"

#include <unistd.h>

#include "files.h"
#include "streams.h"

/* ---- what wakes ---- */

LOOP_TEST(s06, s06_a_blocking_epoll_wait_is_woken_for_a_completion, loop_begin)
{
	struct operation operation;
	struct later later = {.act = peer_writes, .pair = &loop->pair};
	char bytes[10];

	operation_init(&operation, &loop->fixture);
	for (int round = 0; round < 3; round++) {
		cr_assert_eq(start_receive(loop->pair.socket, &operation, bytes, sizeof bytes), 1);
		loop_kick(loop);
		later_start(&later);
		loop_until(loop, is_over(&operation));
		later_join(&later, 5);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
		assert_quiet(loop);
	}
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

LOOP_TEST(s06, s06_a_blocking_epoll_wait_is_woken_for_the_mailbox, loop_begin)
{
	struct operation operation;
	struct later posting = {.act = posts, .loop = loop};
	struct later sending = {.act = starts_a_send, .pair = &loop->pair, .operation = &operation};

	operation_init(&operation, &loop->fixture);
	posted = 0;
	later_start(&posting);
	loop_until(loop, posted == 1);
	later_join(&posting, 0);
	assert_quiet(loop);

	cr_assert_eq(sluice_args_set_buffer(&operation.args, "bytes", 5, 0, 5), 0);
	operation.pending = 1; /* as start() would, which is for this thread alone */
	operation.socket = loop->pair.socket;
	loop->fixture.pending++;
	later_start(&sending);
	loop_until(loop, is_over(&operation));
	later_join(&sending, 1);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
	assert_quiet(loop);
}

static void wakes(struct later *later)
{
	sluice_engine_wake(later->loop->fixture.engine);
}

LOOP_TEST(s06, s06_a_blocking_epoll_wait_is_woken_for_a_wake, loop_begin)
{
	struct later later = {.act = wakes, .loop = loop};

	assert_quiet(loop);
	later_start(&later);
	cr_assert(loop_turn(loop, PATIENCE_MS), "not woken by a wake");
	later_join(&later, 0);
	assert_quiet(loop);
}

LOOP_TEST(s06, s06_a_blocking_epoll_wait_is_woken_for_a_deadline, loop_begin)
{
	struct operation operation;
	int64_t began;
	char byte;

	operation_init(&operation, &loop->fixture);
	operation.args.timeout_ns = 60 * MILLISECOND;
	began = now_ns();
	cr_assert_eq(start_receive(loop->pair.socket, &operation, &byte, 1), 1);
	loop_kick(loop);
	loop_until(loop, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_TIMED_OUT, 0);
	cr_assert_geq(now_ns() - began, 60 * MILLISECOND);
	assert_quiet(loop);
}

static int expirations;

static void count_expiration(struct sluice_engine *engine, struct sluice_timer *timer)
{
	expirations++;
	if (expirations % 3)
		cr_assert_eq(sluice_timer_start(engine, timer, 10 * MILLISECOND), 0);
}

LOOP_TEST(s06, s06_a_blocking_epoll_wait_is_woken_for_a_timer, loop_begin)
{
	struct sluice_timer timer = {.expired = count_expiration};
	static struct sluice_timer far; /* is armed until the engine ends */

	far = (struct sluice_timer){.expired = count_expiration};
	expirations = 0;
	cr_assert_eq(sluice_timer_start(loop->fixture.engine, &far, 3600 * SECOND), 0);
	assert_quiet(loop);
	cr_assert_eq(sluice_timer_start(loop->fixture.engine, &timer, 10 * MILLISECOND), 0);
	loop_kick(loop);
	loop_until(loop, expirations == 3);
	cr_assert_leq(loop->turns, 30, "%llu turns for three timers",
		      (unsigned long long)loop->turns);
	assert_quiet(loop);
	cr_assert_eq(sluice_timer_start(loop->fixture.engine, &timer, 0), 0);
	loop_kick(loop);
	loop_until(loop, expirations == 4);
	cr_assert_eq(sluice_timer_stop(loop->fixture.engine, &timer), 0);
	assert_quiet(loop);
}

/*
 * An owner that starts something in another event of its loop calls nothing of ours before it
 * sleeps: the descriptor is to be readable while run has something to do.
 */
LOOP_TEST(s06, s06_what_is_started_outside_of_run_leaves_and_wakes, loop_begin)
{
	struct sluice_timer timer = {.expired = count_expiration};
	struct operation receiving, sending;
	char bytes[10];

	operation_init(&receiving, &loop->fixture);
	operation_init(&sending, &loop->fixture);
	assert_quiet(loop);
	cr_assert_eq(start_receive(loop->pair.socket, &receiving, bytes, sizeof bytes), 1);
	cr_assert_eq(send(loop->pair.peer, "bytes", 5, 0), 5);
	loop_until(loop, is_over(&receiving));
	assert_quiet(loop);

	sending.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(loop->pair.socket, &sending, "bytes", 5), 1);
	loop_until(loop, is_over(&sending));
	assert_quiet(loop);

	expirations = 2;
	cr_assert_eq(sluice_timer_start(loop->fixture.engine, &timer, 10 * MILLISECOND), 0);
	loop_until(loop, expirations == 3);
	assert_quiet(loop);

	operation_init(&receiving, &loop->fixture);
	cr_assert_eq(start_receive(loop->pair.socket, &receiving, bytes, sizeof bytes), 1);
	cr_assert_eq(sluice_socket_close(loop->pair.socket), 0);
	loop_until(loop, is_over(&receiving));
	assert_quiet(loop);
}

/* ---- what handlers leave ---- */

static struct operation reply;

static void reply_in_handler(struct operation *operation)
{
	cr_assert_eq(start_send(operation->socket, &reply, "reply", 5), 1);
}

/* It leaves although the loop knows nothing of it and calls nothing. */
LOOP_TEST(s06, s06_what_a_handler_queued_leaves_and_wakes, loop_begin)
{
	struct operation operation;
	char byte, bytes[5];

	operation_init(&operation, &loop->fixture);
	operation_init(&reply, &loop->fixture);
	operation.then = reply_in_handler;
	cr_assert_eq(start_receive(loop->pair.socket, &operation, &byte, 1), 1);
	loop_kick(loop);
	cr_assert_eq(send(loop->pair.peer, "x", 1, 0), 1);
	loop_until(loop, reply.handled == 1);
	read_exactly(loop->pair.peer, bytes, 5);
	assert_quiet(loop);
}

LOOP_TEST(s06, s06_woken_again_while_the_budget_left_handlers_over, loop_begin_slow)
{
	posted = 0;
	for (int i = 0; i < 20; i++)
		cr_assert_eq(sluice_post(loop->fixture.engine, count_post, &posted), 0);
	loop_kick(loop);
	loop_until(loop, posted == 20);
	assert_quiet(loop);
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

LOOP_TEST(s06, s06_a_conversation_of_handlers_runs_in_a_foreign_loop, loop_begin)
{
	struct ping_pong game = {0};
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, echo_main, &loop->pair.peer), 0);
	operation_init(&game.sending, &loop->fixture);
	operation_init(&game.receiving, &loop->fixture);
	game.socket = loop->pair.socket;
	game.sending.then = pong;
	game.receiving.then = ping;
	game.sending.token = game.receiving.token = &game;
	game.sending.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(loop->pair.socket, &game.sending, "ping", 4), 1);
	loop_kick(loop);
	loop_until(loop, game.rounds == 500);
	cr_assert_leq(loop->turns, 500 * 8, "%llu turns for 500 rounds",
		      (unsigned long long)loop->turns);
	sluice_socket_close(loop->pair.socket);
	loop_kick(loop);
	assert_quiet(loop);
	cr_assert_eq(pthread_join(thread, NULL), 0);
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

LOOP_TEST(s06, s06_a_server_runs_in_a_foreign_loop, loop_begin)
{
	struct sluice_accept_options accepting = {.size = sizeof accepting,
						  .on_accepted = take_newcomer};
	struct later later = {.act = releases, .consumer = &consumer};
	struct sluice_socket *listener;
	struct sockaddr_in address;
	uint64_t length;
	int client, fd;

	client = new_tcp(0);
	later.loop = loop;
	newcomer = NULL;
	fd = listen_tcp(0);
	address = loopback(port_of(fd));
	listener = attach(&loop->fixture, fd);
	cr_assert_eq(sluice_accept_start(listener, &accepting), 0);
	loop_kick(loop);
	assert_quiet(loop);
	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	loop_until(loop, newcomer);
	consumer_init(&consumer, &loop->fixture, newcomer);
	consumer.holds = true;
	cr_assert_eq(start_consuming(&consumer), 0);
	loop_kick(loop);
	assert_quiet(loop);
	length = loop_until_held(loop, client, 8);
	assert_quiet(loop); /* with all its buffers lent */
	while (consumer.bytes < length) {
		uint64_t bytes = consumer.bytes;

		later_start(&later);
		loop_until(loop, consumer.bytes > bytes);
		later_join(&later, 0);
	}
	release_all(&consumer);
	sluice_socket_destroy(newcomer);
	sluice_socket_destroy(listener);
	loop_kick(loop);
	assert_quiet(loop);
	close(client);
}

/* Its writability, its slices and its fetches all have to wake. */
LOOP_TEST(s06, s06_a_file_is_sent_in_a_foreign_loop, loop_begin)
{
	struct file file;
	struct pair pair;
	struct operation operation;
	struct reader reader;
	struct sluice_packet packet;

	file_new(&file, 16 * MIB, 0);
	(void)file_chill(file.fd);
	tcp_pair(&loop->fixture, &pair, SMALL);
	operation_init(&operation, &loop->fixture);
	packet = file_packet(file.fd, 0, 0);
	cr_assert_eq(start_packets(pair.socket, &operation, &packet, 1), 1);
	loop_kick(loop);
	assert_quiet(loop); /* nobody reads */
	reader_start(&reader, pair.peer, 0);
	loop_until(loop, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 16 * MIB);
	sluice_socket_close(pair.socket);
	loop_kick(loop);
	assert_quiet(loop);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, 16 * MIB);
	pair_close(&pair);
	file_end(&file);
}
