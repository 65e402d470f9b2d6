/* SPDX-License-Identifier: MIT */
/* One buffer to many sockets, with one completion. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"
#include "support.h"

#define TARGETS ((size_t)20)
#define LENGTH ((size_t)3000)

struct scene {
	struct fixture fixture;
	struct pair pairs[TARGETS];
	struct sluice_fan_out_target targets[TARGETS];
	struct sluice_fan_out fan_out;
	void *bytes;
	int ended;   /* handler calls */
	int restart; /* times that the handler starts it again */
};

static void on_end(struct sluice_fan_out *fan_out)
{
	struct scene *scene = fan_out->user_token;

	scene->ended++;
	cr_assert_eq(scene->fixture.inside_call, 0);
	cr_assert_eq(sluice_fan_out_in_progress(fan_out), 0);
	for (size_t i = 0; i < fan_out->target_count; i++)
		cr_assert_eq(sluice_args_in_progress(&fan_out->targets[i].args), 0);
	if (scene->restart-- > 0)
		cr_assert_eq(sluice_fan_out_async(fan_out), 1);
}

static void scene_begin(struct scene *scene, int buffers)
{
	memset(scene, 0, sizeof *scene);
	fixture_begin(&scene->fixture);
	for (size_t i = 0; i < TARGETS; i++) {
		tcp_pair(&scene->fixture, &scene->pairs[i], buffers);
		scene->targets[i].socket = scene->pairs[i].socket;
	}
	scene->bytes = pattern_new(LENGTH, 0);
	scene->fan_out = (struct sluice_fan_out){.completed = on_end,
						 .user_token = scene,
						 .base = scene->bytes,
						 .length = LENGTH,
						 .targets = scene->targets,
						 .target_count = TARGETS};
}

static void scene_end(struct scene *scene)
{
	for (size_t i = 0; i < TARGETS; i++)
		pair_close(&scene->pairs[i]);
	free(scene->bytes);
	fixture_end(&scene->fixture);
}

static int start_all(struct scene *scene)
{
	int answer;

	scene->fixture.inside_call++;
	answer = sluice_fan_out_async(&scene->fan_out);
	scene->fixture.inside_call--;
	return answer;
}

static void run_to_end(struct scene *scene, int times)
{
	run_until(&scene->fixture, scene->ended == times);
	run_idle(&scene->fixture);
	cr_assert_eq(scene->ended, times);
}

static void assert_target(const struct scene *scene, size_t i, int32_t error, uint64_t bytes)
{
	const struct sluice_args *args = &scene->targets[i].args;

	cr_assert_eq(args->error, error, "target %zu: %s", i,
		     sluice_socket_error_name(args->error));
	cr_assert_eq(args->bytes_transferred, bytes, "target %zu", i);
}

SCENE_TEST(b19, b19_every_socket_gets_the_bytes_and_the_handler_runs_once, 0)
{
	cr_assert_eq(start_all(scene), 1);
	cr_assert_eq(sluice_fan_out_in_progress(&scene->fan_out), 1);
	cr_assert_eq(sluice_fan_out_async(&scene->fan_out), -EBUSY);
	run_to_end(scene, 1);
	cr_assert_eq(scene->fan_out.failed, 0);
	for (size_t i = 0; i < TARGETS; i++) {
		assert_target(scene, i, SLUICE_ERROR_SUCCESS, LENGTH);
		read_pattern(scene->pairs[i].peer, LENGTH, 0);
		assert_nothing_to_read(scene->pairs[i].peer);
	}
}

SCENE_TEST(b19, b19_it_can_be_started_again_in_its_handler_and_allocates_nothing, 0)
{
	uint64_t allocations;

	cr_assert_eq(start_all(scene), 1);
	run_to_end(scene, 1);
	allocations = statistics_of(&scene->fixture).allocations;
	scene->restart = 3;
	cr_assert_eq(start_all(scene), 1);
	run_to_end(scene, 5);
	cr_assert_eq(statistics_of(&scene->fixture).allocations, allocations);
	for (size_t i = 0; i < TARGETS; i++)
		for (int round = 0; round < 5; round++)
			read_pattern(scene->pairs[i].peer, LENGTH, 0);
}

static void on_received_alone(struct sluice_socket *socket, struct sluice_args *args)
{
	(void)socket;
	(void)args;
}

static void count_end(struct sluice_fan_out *fan_out)
{
	struct scene *scene = fan_out->user_token;

	scene->ended++;
}

/* It goes on, and its result is not read. */
SCENE_TEST(b19, b19_a_target_whose_record_is_in_progress_fails, 0)
{
	struct sluice_args *busy = &scene->targets[3].args;
	char byte;

	cr_assert_eq(sluice_args_set_receive_buffer(busy, &byte, 1, 0, 1), 0);
	busy->completed = on_received_alone;
	cr_assert_eq(sluice_receive_async(scene->pairs[3].socket, busy), 1);
	scene->fan_out.completed = count_end;
	cr_assert_eq(start_all(scene), 1);
	run_to_end(scene, 1);
	cr_assert_eq(scene->fan_out.failed, 1);
	cr_assert_eq(sluice_args_in_progress(busy), 1);
	assert_nothing_to_read(scene->pairs[3].peer);
	cr_assert_eq(send(scene->pairs[3].peer, "x", 1, MSG_NOSIGNAL), 1);
	run_until(&scene->fixture, !sluice_args_in_progress(busy));
	assert_target(scene, 3, SLUICE_ERROR_SUCCESS, 1);
	cr_assert_eq(byte, 'x');
}

/* No socket, a closed one, one that was never connected, a record that is disposed. */
SCENE_TEST(b19, b19_sockets_that_refuse_stop_no_other, 0)
{
	struct sluice_socket *fresh = attach(&scene->fixture, new_tcp(0));

	scene->targets[0].socket = NULL;
	cr_assert_eq(sluice_socket_close(scene->pairs[5].socket), 0);
	scene->targets[10].socket = fresh;
	sluice_args_dispose(&scene->targets[TARGETS - 1].args);
	cr_assert_eq(start_all(scene), 1);
	/* A refusal can be read at once. */
	cr_assert_eq(scene->targets[0].args.native_error, EINVAL);
	cr_assert_eq(scene->targets[5].args.native_error, EBADF);
	cr_assert_eq(scene->targets[10].args.native_error, ENOTCONN);
	cr_assert_eq(scene->targets[TARGETS - 1].args.native_error, EBADF);
	run_to_end(scene, 1);
	cr_assert_eq(scene->fan_out.failed, 4);
	for (size_t i = 1; i < TARGETS - 1; i++) {
		if (i == 5 || i == 10)
			continue;
		assert_target(scene, i, SLUICE_ERROR_SUCCESS, LENGTH);
		read_pattern(scene->pairs[i].peer, LENGTH, 0);
	}
	sluice_socket_destroy(fresh);
}

SCENE_TEST(b19, b19_if_none_is_pending_the_handler_does_not_run, 0)
{
	for (size_t i = 0; i < TARGETS; i++)
		cr_assert_eq(sluice_socket_close(scene->pairs[i].socket), 0);
	cr_assert_eq(start_all(scene), 0);
	cr_assert_eq(scene->fan_out.failed, TARGETS);
	scene->fan_out.target_count = 0;
	cr_assert_eq(start_all(scene), 0);
	cr_assert_eq(scene->fan_out.failed, 0);
	run_idle(&scene->fixture);
	cr_assert_eq(scene->ended, 0);
}

SCENE_TEST(b19, b19_what_is_refused_starts_nothing, 0)
{
	cr_assert_eq(sluice_fan_out_async(NULL), -EINVAL);
	scene->fan_out.base = NULL;
	cr_assert_eq(start_all(scene), -EINVAL);
	scene->fan_out.base = scene->bytes;
	scene->fan_out.reserved = 1;
	cr_assert_eq(start_all(scene), -EINVAL);
	scene->fan_out.reserved = 0;
	scene->fan_out.timeout_ns = -1;
	cr_assert_eq(start_all(scene), -ERANGE);
	scene->fan_out.timeout_ns = 0;
	scene->fan_out.length = (size_t)INT64_MAX + 1;
	cr_assert_eq(start_all(scene), -ERANGE);
	scene->fan_out.length = LENGTH;
	scene->fan_out.targets = NULL;
	cr_assert_eq(start_all(scene), -EINVAL);
	scene->fan_out.targets = scene->targets;
	cr_assert_eq(sluice_fan_out_cancel(NULL), -EINVAL);
	cr_assert_eq(sluice_fan_out_cancel(&scene->fan_out), -ENOENT);
	cr_assert_eq(sluice_fan_out_in_progress(NULL), -EINVAL);
	run_idle(&scene->fixture);
	for (size_t i = 0; i < TARGETS; i++)
		assert_nothing_to_read(scene->pairs[i].peer);
}

static size_t ended_targets(const struct scene *scene)
{
	size_t count = 0;

	for (size_t i = 0; i < TARGETS; i++)
		count += !sluice_args_in_progress(&scene->targets[i].args);
	return count;
}

/* Fills the way to one peer, which does not read; returns what has to be read to free it. */
static void block(struct scene *scene, struct operation *operation, void *bytes)
{
	operation_init(operation, &scene->fixture);
	cr_assert_geq(start_send(scene->pairs[7].socket, operation, bytes, HEAD_BYTES), 0);
	run_idle(&scene->fixture);
	cr_assert(!is_over(operation));
}

SCENE_TEST(b19, b19_a_peer_that_does_not_read_holds_up_the_end_and_no_other_socket, SMALL)
{
	void *head = pattern_new(HEAD_BYTES, 0);
	struct operation before;

	block(scene, &before, head);
	cr_assert_eq(start_all(scene), 1);
	run_until(&scene->fixture, ended_targets(scene) == TARGETS - 1);
	run_idle(&scene->fixture);
	cr_assert_eq(scene->ended, 0);
	for (size_t i = 0; i < TARGETS; i++)
		if (i != 7)
			read_pattern(scene->pairs[i].peer, LENGTH, 0);
	run_reading(&scene->fixture, scene->pairs[7].peer, HEAD_BYTES, 0);
	run_to_end(scene, 1);
	cr_assert_eq(scene->fan_out.failed, 0);
	read_pattern(scene->pairs[7].peer, LENGTH, 0);
	free(head);
}

SCENE_TEST(b19, b19_cancel_ends_what_has_not_ended, SMALL)
{
	void *head = pattern_new(HEAD_BYTES, 0);
	struct operation before;

	block(scene, &before, head);
	cr_assert_eq(start_all(scene), 1);
	run_until(&scene->fixture, ended_targets(scene) == TARGETS - 1);
	cr_assert_eq(sluice_fan_out_cancel(&scene->fan_out), 0);
	run_to_end(scene, 1);
	cr_assert_eq(scene->fan_out.failed, 1);
	assert_target(scene, 7, SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_target(scene, 6, SLUICE_ERROR_SUCCESS, LENGTH);
	run_reading(&scene->fixture, scene->pairs[7].peer, HEAD_BYTES, 0);
	run_until(&scene->fixture, is_over(&before));
	free(head);
}

SCENE_TEST(b19, b19_a_deadline_and_a_close_end_single_targets, SMALL)
{
	void *head = pattern_new(HEAD_BYTES, 0);
	struct operation before;

	block(scene, &before, head);
	scene->fan_out.timeout_ns = 20 * MILLISECOND;
	cr_assert_eq(start_all(scene), 1);
	run_to_end(scene, 1);
	assert_target(scene, 7, SLUICE_ERROR_TIMED_OUT, 0);
	scene->fan_out.timeout_ns = 0;
	cr_assert_eq(start_all(scene), 1);
	cr_assert_eq(sluice_socket_close(scene->pairs[7].socket), 0);
	run_to_end(scene, 2);
	assert_target(scene, 7, SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(scene->fan_out.failed, 1);
	run_until(&scene->fixture, is_over(&before));
	free(head);
}

static void *start_from_here(void *token)
{
	struct scene *scene = token;

	cr_assert_eq(sluice_fan_out_async(&scene->fan_out), 1);
	return NULL;
}

SCENE_TEST(b19, b19_any_thread_may_start_it, 0)
{
	pthread_t thread;

	run_idle(&scene->fixture);
	cr_assert_eq(pthread_create(&thread, NULL, start_from_here, scene), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	run_to_end(scene, 1);
	cr_assert_eq(scene->fan_out.failed, 0);
	for (size_t i = 0; i < TARGETS; i++)
		read_pattern(scene->pairs[i].peer, LENGTH, 0);
}

/* Without a handler the end is asked for. */
SCENE_TEST(b19, b19_without_a_handler_in_progress_tells_the_end, 0)
{
	scene->fan_out.completed = NULL;
	cr_assert_eq(start_all(scene), 1);
	while (sluice_fan_out_in_progress(&scene->fan_out))
		run_for(&scene->fixture, MILLISECOND);
	cr_assert_eq(scene->fan_out.failed, 0);
	for (size_t i = 0; i < TARGETS; i++)
		assert_target(scene, i, SLUICE_ERROR_SUCCESS, LENGTH);
}
