/* SPDX-License-Identifier: MIT */
/*
 * Random sends of every kind, on twenty sockets, from four threads and from handlers, to slow
 * readers: each ends exactly once, and what arrives is exactly what the results say.
 *
 * SLUICE_TEST_SEED=number repeats a run, as far as threads can be repeated.
 */
#include "random_items.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STREAMS 20
#define THREADS 4
#define ITEMS_OF_A_THREAD 90
#define ITEMS_OF_THE_ENGINE 90

/* All but the ring itself. */
#define CAPABILITIES_TO_SPARE                                                               \
	(((uint32_t)SLUICE_CAPABILITY_SUBMISSION_THREAD * 2 - 1 - SLUICE_CAPABILITY_RING) | \
	 SLUICE_CAPABILITY_RING_SPLICE)

static uint64_t seed;

struct scene {
	struct sluice_engine *engine;
	struct random random; /* of the engine's thread, once the threads run */
	struct stream *streams;
	unsigned left; /* items that the engine's thread may start */
	atomic_int readers;
	atomic_int senders;
};

/* Handlers have no other way to it. */
static struct scene *playing;

/* ---- the engine's thread ---- */

static void follow_up(struct item *item);

static void start_one(struct scene *scene)
{
	struct stream *stream = &scene->streams[below(&scene->random, STREAMS)];
	struct item *item = item_new(stream, OF_THE_ENGINE, &scene->random);

	scene->left--;
	item->then = follow_up;
	item_start(item);
}

/* Some handlers start something, some more than one. */
static void follow_up(struct item *item)
{
	(void)item;
	while (playing->left > 0 && one_in(&playing->random, 3))
		start_one(playing);
}

/* The owner also starts outside of handlers, alone and in batches. */
static void start_some(struct scene *scene)
{
	bool batch = one_in(&scene->random, 3);

	if (scene->left == 0)
		return;
	if (batch)
		check(sluice_batch_begin(scene->engine) == 0);
	for (uint64_t n = 1 + below(&scene->random, 6); n > 0 && scene->left > 0; n--)
		start_one(scene);
	if (batch)
		check(sluice_batch_end(scene->engine) == 0);
}

/* ---- the senders ---- */

struct sender {
	pthread_t thread;
	struct scene *scene;
	unsigned source;
	struct random random;
	struct item *cancels[ITEMS_OF_A_THREAD];
	size_t cancel_count;
	struct item *begun[ITEMS_OF_A_THREAD];
	size_t begun_count;
};

/* Now and then, so that some come in time and some too late. */
static void cancel_some(struct sender *sender)
{
	while (sender->cancel_count > 0 && one_in(&sender->random, 2)) {
		size_t which = below(&sender->random, sender->cancel_count);

		item_cancel(sender->cancels[which]);
		sender->cancels[which] = sender->cancels[--sender->cancel_count];
	}
	if (one_in(&sender->random, 60)) {
		struct stream *stream = &sender->scene->streams[below(&sender->random, STREAMS)];

		atomic_store(&stream->cancelled, true);
		check(sluice_socket_cancel_all(stream->socket) == 0);
	}
}

static void *send_all(void *token)
{
	struct sender *sender = token;
	struct random *random = &sender->random;

	for (int i = 0; i < ITEMS_OF_A_THREAD; i++) {
		struct stream *stream = &sender->scene->streams[below(random, STREAMS)];
		struct item *item = item_new(stream, sender->source, random);

		item->then = follow_up;
		if (item->cancelled)
			sender->cancels[sender->cancel_count++] = item;
		if (item->ends_by_hand)
			sender->begun[sender->begun_count++] = item;
		item_start(item);
		cancel_some(sender);
		if (sender->begun_count > 0 && one_in(random, 8))
			item_end_by_hand(sender->begun[--sender->begun_count]);
		if (one_in(random, 4))
			usleep((useconds_t)below(random, 2000));
	}
	while (sender->begun_count > 0)
		item_end_by_hand(sender->begun[--sender->begun_count]);
	atomic_fetch_sub(&sender->scene->senders, 1);
	sluice_engine_wake(sender->scene->engine);
	return NULL;
}

/* ---- the readers ---- */

static void *read_all(void *token)
{
	struct stream *stream = token;
	size_t pause = 16 + below(&stream->random, 200);

	for (;;) {
		size_t most = 1 + below(&stream->random, 65536);
		ssize_t count;

		if (stream->read_room - stream->read_length < most) {
			stream->read_room = 2 * stream->read_room + most;
			stream->read = realloc(stream->read, stream->read_room);
			check(stream->read != NULL);
		}
		count = recv(stream->peer, stream->read + stream->read_length, most, 0);
		if (count <= 0) {
			stream->read_error = count < 0 ? errno : 0;
			break;
		}
		stream->read_length += (size_t)count;
		if (one_in(&stream->random, pause))
			usleep((useconds_t)below(&stream->random, 20000));
	}
	atomic_fetch_sub(&playing->readers, 1);
	sluice_engine_wake(playing->engine);
	return NULL;
}

/* ---- the scene ---- */

/* Small, so that sends wait; some so small that hardly anything fits. */
static void stream_descriptors(struct random *random, int ret_fds[2])
{
	static const int sizes[] = {4608, 16384, 65536, 300000};
	int bytes = sizes[below(random, 4)];

	if (one_in(random, 4)) {
		check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds) == 0);
	} else {
		tcp_descriptors(65536, ret_fds);
	}
	check(setsockopt(ret_fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0);
}

static void stream_begin(struct scene *scene, unsigned index)
{
	struct stream *stream = &scene->streams[index];
	int fds[2];

	stream_descriptors(&scene->random, fds);
	stream->index = index;
	stream->random.state = next_random(&scene->random);
	stream->peer = fds[1];
	stream->socket = attach(scene->engine, fds[0]);
	stream->ends_on_give_up = one_in(&scene->random, 5);
	check(sluice_socket_set_option(stream->socket, SLUICE_SOCKET_END_ON_GIVE_UP,
				       stream->ends_on_give_up) == 0);
	thread_start(&stream->reader, read_all, stream);
}

/* Options that change the ways that bytes take, but never what arrives. */
static struct sluice_options random_options(struct random *random)
{
	static const uint64_t gathers[] = {2000, 16384, 100000, 1 << 20};
	static const uint32_t entries[] = {1, 8, 512};
	struct sluice_options options;

	check(sluice_options_init(&options, sizeof options) == 0);
	options.gather_bytes = gathers[below(random, 4)];
	options.ring_entries = entries[below(random, 3)];
	options.handler_budget = (uint32_t)below(random, 5);
	options.transmit_way = (uint32_t)below(random, SLUICE_TRANSMIT_WAY_ZEROCOPY + 1);
	options.file_way = (uint32_t)below(random, SLUICE_FILE_WAY_SPLICE_RING + 1);
	options.file_slice_bytes = 4096 << below(random, 9);
	options.fetch_window_bytes = 4096 << below(random, 8);
	options.zerocopy = (uint32_t)below(random, SLUICE_ZEROCOPY_ALWAYS + 1);
	options.zerocopy_bytes = below(random, 65536);
	options.handler_threads_max = 1 + (uint32_t)below(random, 8);
	options.submission_thread = one_in(random, 6);
	if (one_in(random, 2))
		options.disable = (uint32_t)next_random(random) & CAPABILITIES_TO_SPARE;
	return options;
}

static void scene_begin(struct scene *scene, uint64_t number, bool with_options)
{
	struct sluice_options options;

	memset(scene, 0, sizeof *scene);
	scene->random.state = seed + number;
	contents_prepare(seed);
	options = random_options(&scene->random);
	check(sluice_engine_create(&scene->engine, with_options ? &options : NULL) == 0);
	check(strcmp(sluice_engine_backend(scene->engine), getenv("SLUICE_BACKEND")) == 0);
	scene->streams = calloc(STREAMS, sizeof *scene->streams);
	check(scene->streams != NULL);
	scene->left = ITEMS_OF_THE_ENGINE;
	atomic_store(&scene->readers, STREAMS);
	atomic_store(&scene->senders, THREADS);
	playing = scene;
	for (unsigned i = 0; i < STREAMS; i++)
		stream_begin(scene, i);
}

/* Everything has ended: each way of ending a stream now shows its reader the end. */
static void end_stream(struct stream *stream, struct random *random)
{
	check(sluice_socket_queued_bytes(stream->socket) == 0);
	switch (below(random, 3)) {
	case 0:
		sluice_socket_destroy(stream->socket);
		break;
	case 1:
		check(sluice_socket_close_gracefully(stream->socket, -1) == 0);
		break;
	default:
		sluice_socket_shutdown(stream->socket, SHUT_WR);
	}
}

static void run_while(struct scene *scene, bool owner, const atomic_int *count)
{
	while (atomic_load(count) > 0 || atomic_load(&outstanding) > 0) {
		if (!owner) {
			usleep(1000);
			continue;
		}
		check(sluice_engine_run(scene->engine, MILLISECOND) >= 0);
		if (count == &scene->senders)
			start_some(scene);
	}
}

static void scene_end(struct scene *scene, bool owner)
{
	struct random random = {seed};

	for (unsigned i = 0; i < STREAMS; i++)
		end_stream(&scene->streams[i], &random);
	run_while(scene, owner, &scene->readers);
	for (unsigned i = 0; i < STREAMS; i++) {
		thread_join(scene->streams[i].reader);
		check(scene->streams[i].read_error == 0);
		stream_check(&scene->streams[i]);
		close(scene->streams[i].peer);
	}
	check(sluice_engine_destroy(scene->engine) == 0);
	for (unsigned i = 0; i < STREAMS; i++) {
		stream_check(&scene->streams[i]);
		stream_free(&scene->streams[i]);
	}
	free(scene->streams);
}

static void play(uint64_t number, bool owner, bool with_options)
{
	struct scene scene;
	struct sender *senders = calloc(THREADS, sizeof *senders);

	check(senders != NULL);
	alarm(240);
	scene_begin(&scene, number, with_options);
	for (unsigned i = 0; i < THREADS; i++) {
		senders[i].scene = &scene;
		senders[i].source = i;
		senders[i].random.state = seed ^ (number << 32) ^ ((uint64_t)(i + 1) << 40);
	}
	if (!owner)
		check(sluice_engine_start(scene.engine) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		thread_start(&senders[i].thread, send_all, &senders[i]);
	run_while(&scene, owner, &scene.senders);
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(senders[i].thread);
	scene_end(&scene, owner);
	free(senders);
}

static void with_the_engines_own_thread(void)
{
	play(1, false, false);
}

static void with_the_owner_running_the_engine(void)
{
	play(2, true, false);
}

static void with_random_options_and_the_engines_own_thread(void)
{
	play(3, false, true);
}

static void with_random_options_and_the_owner(void)
{
	play(4, true, true);
}

static uint64_t seed_of_environment(void)
{
	const char *text = getenv("SLUICE_TEST_SEED");

	return text ? strtoull(text, NULL, 0) : (uint64_t)now_ns() ^ (uint64_t)getpid() << 40;
}

int main(void)
{
	static const struct thread_test tests[] = {
		{"b07_random_sends_with_the_engines_own_thread", with_the_engines_own_thread},
		{"b07_random_sends_with_the_owner_running_the_engine",
		 with_the_owner_running_the_engine},
		{"b07_random_sends_with_random_options_and_the_engines_own_thread",
		 with_random_options_and_the_engines_own_thread},
		{"b07_random_sends_with_random_options_and_the_owner",
		 with_random_options_and_the_owner},
	};

	seed = seed_of_environment();
	printf("# SLUICE_TEST_SEED=%#llx\n", (unsigned long long)seed);
	fflush(stdout);
	return TESTS(tests);
}
