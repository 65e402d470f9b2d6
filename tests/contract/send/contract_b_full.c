/* SPDX-License-Identifier: MIT */
/*
 * Datagrams that wait because their receiver's queue is full: in order, none lost, and cancelled
 * like any other send. A UNIX socket holds about ten of them. With a connected peer the wait ends
 * by an event; without one, sending is retried.
 */
#include "support.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SENDS ((size_t)60)
#define BYTES ((size_t)400)

enum kind {
	PAIRED,       /* each the other's peer: the sender's own buffer is full */
	WITH_PEER,    /* of an unrelated receiver whose queue is full */
	WITHOUT_PEER, /* the same, named with each send */
	SEQPACKET,
	KINDS
};

struct scene {
	struct fixture fixture;
	struct pair pair;
	struct sockaddr_un to;
	socklen_t to_length;
	enum kind kind;
	struct operation *operations;
	unsigned char *bytes;
};

static void to_a_bound_receiver(struct scene *scene)
{
	struct sockaddr_un any = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = GUARD_NS / SECOND};
	int fd;

	scene->pair.peer = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(scene->pair.peer, (struct sockaddr *)&any, sizeof(sa_family_t)), 0);
	cr_assert_eq(setsockopt(scene->pair.peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit),
		     0);
	scene->to_length = sizeof scene->to;
	cr_assert_eq(
		getsockname(scene->pair.peer, (struct sockaddr *)&scene->to, &scene->to_length), 0);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (scene->kind == WITH_PEER)
		cr_assert_eq(connect(fd, (struct sockaddr *)&scene->to, scene->to_length), 0);
	scene->pair.socket = attach(&scene->fixture, fd);
}

static void scene_begin(struct scene *scene, enum kind kind)
{
	int little = 1;

	fixture_begin(&scene->fixture);
	scene->kind = kind;
	if (kind == WITHOUT_PEER || kind == WITH_PEER) {
		to_a_bound_receiver(scene);
	} else {
		unix_pair(&scene->fixture, &scene->pair,
			  kind == SEQPACKET ? SOCK_SEQPACKET : SOCK_DGRAM);
		cr_assert_eq(setsockopt(sluice_socket_fd(scene->pair.socket), SOL_SOCKET, SO_SNDBUF,
					&little, sizeof little),
			     0);
	}
	scene->operations = operations_new(&scene->fixture, SENDS);
	scene->bytes = pattern_new(BYTES + SENDS, 0);
}

static void scene_end(struct scene *scene)
{
	pair_close(&scene->pair);
	free(scene->operations);
	free(scene->bytes);
	fixture_end(&scene->fixture);
}

static int send_number(struct scene *scene, size_t i)
{
	struct operation *operation = &scene->operations[i];

	if (scene->kind != WITHOUT_PEER)
		return start_send(scene->pair.socket, operation, scene->bytes + i, BYTES);
	operation->args.remote_address = (struct sockaddr *)&scene->to;
	operation->args.remote_address_length = scene->to_length;
	cr_assert_eq(sluice_args_set_buffer(&operation->args, scene->bytes + i, BYTES, 0,
					    (int64_t)BYTES),
		     0);
	return start(sluice_send_to_async, scene->pair.socket, operation);
}

static size_t count_over(const struct scene *scene)
{
	size_t count = 0;

	for (size_t i = 0; i < SENDS; i++)
		count += is_over(&scene->operations[i]);
	return count;
}

/* A submission thread takes one after the other: the queue is full when none ends any more. */
static void run_until_none_ends(struct scene *scene)
{
	size_t before;

	do {
		before = count_over(scene);
		for (int i = 0; i < 10; i++)
			run_for(&scene->fixture, 10 * MILLISECOND);
	} while (count_over(scene) > before);
}

/* Starts all of them; the receiver's queue is full behind some. */
static void fill(struct scene *scene, bool in_a_batch)
{
	if (in_a_batch)
		cr_assert_eq(sluice_batch_begin(scene->fixture.engine), 0);
	for (size_t i = 0; i < SENDS; i++)
		cr_assert(send_number(scene, i) >= 0);
	if (in_a_batch)
		cr_assert_eq(sluice_batch_end(scene->fixture.engine), 0);
	run_until(&scene->fixture, is_over(&scene->operations[0]));
	run_idle(&scene->fixture);
	if (getenv("SLUICE_TEST_SUBMISSION_THREAD"))
		run_until_none_ends(scene);
	cr_assert(scene->fixture.pending > 2, "nothing is full");
	cr_assert(!is_over(&scene->operations[SENDS - 1]));
}

static bool readable(struct scene *scene)
{
	struct pollfd poll_fd = {.fd = scene->pair.peer, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void receive_number(struct scene *scene, size_t i)
{
	unsigned char buffer[BYTES + 1];
	int64_t deadline = now_ns() + GUARD_NS;

	while (!readable(scene)) {
		cr_assert(now_ns() < deadline, "number %zu has not come", i);
		run_for(&scene->fixture, MILLISECOND);
	}
	cr_assert_eq(recv(scene->pair.peer, buffer, sizeof buffer, 0), BYTES);
	cr_assert(pattern_matches(buffer, BYTES, i), "number %zu is another one", i);
}

/* The first that has not left, which is the first that waits. */
static size_t first_waiting(struct scene *scene)
{
	size_t i = 0;

	while (is_over(&scene->operations[i]))
		i++;
	return i;
}

Test(b01, b01_datagrams_wait_for_a_full_receiver_in_order_and_none_is_lost)
{
	struct scene scene;

	for (enum kind kind = PAIRED; kind < KINDS; kind++) {
		for (int in_a_batch = 0; in_a_batch < 2; in_a_batch++) {
			scene_begin(&scene, kind);
			fill(&scene, in_a_batch);
			for (size_t i = 0; i < SENDS; i++)
				receive_number(&scene, i);
			run_until(&scene.fixture, scene.fixture.pending == 0);
			for (size_t i = 0; i < SENDS; i++)
				assert_ended(&scene.operations[i], SLUICE_ERROR_SUCCESS, BYTES);
			assert_nothing_to_read(scene.pair.peer);
			scene_end(&scene);
		}
	}
}

/* Datagrams of other senders also fill the queue: then no event reports that it has space. */
SCENE_TEST(b01, b01_a_receiver_that_others_have_filled_is_waited_for, WITHOUT_PEER)
{
	unsigned char buffer[BYTES];
	int other, full = 0;

	other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	while (sendto(other, "x", 1, 0, (struct sockaddr *)&scene->to, scene->to_length) == 1)
		full++;
	cr_assert_eq(errno, EAGAIN);
	cr_assert_eq(send_number(scene, 0), 1);
	run_idle(&scene->fixture);
	cr_assert(!is_over(&scene->operations[0]));
	for (int i = 0; i < full; i++)
		cr_assert_eq(recv(scene->pair.peer, buffer, sizeof buffer, 0), 1);
	receive_number(scene, 0);
	run_until(&scene->fixture, scene->fixture.pending == 0);
	assert_ended(&scene->operations[0], SLUICE_ERROR_SUCCESS, BYTES);
	close(other);
}

/* A millisecond is slept between two attempts. */
Test(b01, b01_a_full_receiver_is_not_tried_without_end)
{
	struct scene scene;
	struct sluice_engine_statistics before = {.size = sizeof before}, after = before;
	int64_t end;

	for (enum kind kind = PAIRED; kind < KINDS; kind++) {
		uint64_t tries;

		scene_begin(&scene, kind);
		fill(&scene, false);
		cr_assert_eq(sluice_engine_statistics(scene.fixture.engine, &before), 0);
		for (end = now_ns() + 50 * MILLISECOND; now_ns() < end;)
			run_for(&scene.fixture, 10 * MILLISECOND);
		cr_assert_eq(sluice_engine_statistics(scene.fixture.engine, &after), 0);
		tries = after.inline_sends + after.inline_bursts + after.ring_bursts -
			before.inline_sends - before.inline_bursts - before.ring_bursts;
		cr_assert(tries <= 60, "%llu attempts in 50 ms", (unsigned long long)tries);
		cr_assert_eq(sluice_socket_cancel_all(scene.pair.socket), 0);
		run_until(&scene.fixture, scene.fixture.pending == 0);
		scene_end(&scene);
	}
}

Test(e02, e02_a_waiting_datagram_is_cancelled_alone)
{
	struct scene scene;

	for (enum kind kind = PAIRED; kind < KINDS; kind++) {
		size_t first, last = SENDS - 1;

		scene_begin(&scene, kind);
		fill(&scene, true);
		first = first_waiting(&scene);
		cr_assert_eq(sluice_cancel(scene.pair.socket, &scene.operations[first].args), 0);
		cr_assert_eq(sluice_cancel(scene.pair.socket, &scene.operations[first + 2].args),
			     0);
		cr_assert_eq(sluice_cancel(scene.pair.socket, &scene.operations[last].args), 0);
		/* Before the receiver has space: a submission thread may have the first in flight. */
		run_until(&scene.fixture, is_over(&scene.operations[first]) &&
						  is_over(&scene.operations[first + 2]) &&
						  is_over(&scene.operations[last]));
		for (size_t i = 0; i < SENDS; i++) {
			if (i != first && i != first + 2 && i != last)
				receive_number(&scene, i);
		}
		run_until(&scene.fixture, scene.fixture.pending == 0);
		for (size_t i = 0; i < SENDS; i++) {
			bool given_up = i == first || i == first + 2 || i == last;

			assert_ended(&scene.operations[i],
				     given_up ? SLUICE_ERROR_OPERATION_ABORTED
					      : SLUICE_ERROR_SUCCESS,
				     given_up ? 0 : BYTES);
		}
		assert_nothing_to_read(scene.pair.peer);
		scene_end(&scene);
	}
}

Test(e05, e05_a_waiting_datagram_is_overdue_alone)
{
	struct scene scene;

	for (enum kind kind = PAIRED; kind < KINDS; kind++) {
		scene_begin(&scene, kind);
		scene.operations[SENDS - 2].args.timeout_ns = 5 * MILLISECOND;
		fill(&scene, true);
		run_until(&scene.fixture, is_over(&scene.operations[SENDS - 2]));
		assert_ended(&scene.operations[SENDS - 2], SLUICE_ERROR_TIMED_OUT, 0);
		for (size_t i = 0; i < SENDS; i++) {
			if (i != SENDS - 2)
				receive_number(&scene, i);
		}
		run_until(&scene.fixture, scene.fixture.pending == 0);
		scene_end(&scene);
	}
}

/* A deadline that does not pass leaves nothing armed behind. */
Test(e05, e05_datagrams_with_deadlines_leave_together)
{
	struct scene scene;

	for (enum kind kind = PAIRED; kind < KINDS; kind++) {
		scene_begin(&scene, kind);
		for (size_t i = 0; i < SENDS; i += 3)
			scene.operations[i].args.timeout_ns = 100 * SECOND;
		fill(&scene, true);
		for (size_t i = 0; i < SENDS; i++)
			receive_number(&scene, i);
		run_until(&scene.fixture, scene.fixture.pending == 0);
		for (size_t i = 0; i < SENDS; i++)
			assert_ended(&scene.operations[i], SLUICE_ERROR_SUCCESS, BYTES);
		scene_end(&scene);
	}
}

static void assert_the_rest_was_aborted(struct scene *scene, size_t first)
{
	for (size_t i = 0; i < SENDS; i++)
		assert_ended(&scene->operations[i],
			     i < first ? SLUICE_ERROR_SUCCESS : SLUICE_ERROR_OPERATION_ABORTED,
			     i < first ? BYTES : 0);
}

Test(e03, e03_a_close_aborts_waiting_datagrams)
{
	struct scene scene;

	for (enum kind kind = PAIRED; kind < KINDS; kind++) {
		size_t first;

		scene_begin(&scene, kind);
		fill(&scene, true);
		first = first_waiting(&scene);
		cr_assert_eq(sluice_socket_close(scene.pair.socket), 0);
		run_until(&scene.fixture, scene.fixture.pending == 0);
		assert_the_rest_was_aborted(&scene, first);
		scene_end(&scene);
	}
}

Test(e03, e03_a_graceful_close_waits_for_waiting_datagrams)
{
	struct scene scene;

	for (enum kind kind = PAIRED; kind < KINDS; kind++) {
		for (int bounded = 0; bounded < 2; bounded++) {
			scene_begin(&scene, kind);
			fill(&scene, true);
			cr_assert_eq(sluice_socket_close_gracefully(scene.pair.socket,
								    bounded ? 100 * SECOND : -1),
				     0);
			run_idle(&scene.fixture);
			for (size_t i = 0; i < SENDS; i++)
				receive_number(&scene, i);
			run_until(&scene.fixture, scene.fixture.pending == 0);
			for (size_t i = 0; i < SENDS; i++)
				assert_ended(&scene.operations[i], SLUICE_ERROR_SUCCESS, BYTES);
			scene_end(&scene);
		}
	}
}

Test(e03, e03_a_graceful_close_gives_waiting_datagrams_up_when_its_time_is_over)
{
	struct scene scene;

	for (enum kind kind = PAIRED; kind < KINDS; kind++) {
		size_t first;

		scene_begin(&scene, kind);
		fill(&scene, true);
		first = first_waiting(&scene);
		cr_assert_eq(sluice_socket_close_gracefully(scene.pair.socket, 20 * MILLISECOND),
			     0);
		run_until(&scene.fixture, scene.fixture.pending == 0);
		assert_the_rest_was_aborted(&scene, first);
		scene_end(&scene);
	}
}

/* When nothing waits, it is in no list and has no deadline. */
Test(e01, e01_a_socket_whose_datagrams_were_given_up_can_be_detached)
{
	struct scene scene;

	for (enum kind kind = PAIRED; kind < KINDS; kind++) {
		int fd;

		scene_begin(&scene, kind);
		fill(&scene, false);
		cr_assert_eq(sluice_socket_detach(scene.pair.socket), -EBUSY);
		cr_assert_eq(sluice_socket_cancel_all(scene.pair.socket), 0);
		run_until(&scene.fixture, scene.fixture.pending == 0);
		/* A wait for writability may still be out, a time to try again is no hindrance. */
		fd = sluice_socket_detach(scene.pair.socket);
		cr_assert(fd >= 0 || (fd == -EBUSY && kind != WITHOUT_PEER));
		if (fd >= 0) {
			close(fd);
			scene.pair.socket = NULL;
			run_for(&scene.fixture, 5 * MILLISECOND);
		}
		scene_end(&scene);
	}
}

Test(e06, e06_water_marks_count_waiting_datagrams)
{
	struct scene scene;

	for (enum kind kind = PAIRED; kind < KINDS; kind++) {
		scene_begin(&scene, kind);
		fill(&scene, true);
		cr_assert_eq(sluice_socket_queued_bytes(scene.pair.socket),
			     (SENDS - first_waiting(&scene)) * BYTES);
		for (size_t i = 0; i < SENDS; i++)
			receive_number(&scene, i);
		run_until(&scene.fixture, scene.fixture.pending == 0);
		cr_assert_eq(sluice_socket_queued_bytes(scene.pair.socket), 0);
		scene_end(&scene);
	}
}

/* .NET: the first is refused, the others find no peer; each by its own attempt. */
SCENE_TEST(b08, b08_waiting_datagrams_whose_receiver_goes_each_have_their_own_outcome, PAIRED)
{
	size_t first;

	fill(scene, true);
	first = first_waiting(scene);
	close(scene->pair.peer);
	scene->pair.peer = -1;
	run_until(&scene->fixture, scene->fixture.pending == 0);
	for (size_t i = 0; i < SENDS; i++) {
		if (i < first)
			assert_ended(&scene->operations[i], SLUICE_ERROR_SUCCESS, BYTES);
		else if (i == first)
			cr_assert(scene->operations[i].args.error ==
						  SLUICE_ERROR_CONNECTION_REFUSED ||
					  scene->operations[i].args.error ==
						  SLUICE_ERROR_CONNECTION_RESET,
				  "%s", sluice_socket_error_name(scene->operations[i].args.error));
		else if (scene->operations[i].args.error != SLUICE_ERROR_CONNECTION_REFUSED)
			assert_ended(&scene->operations[i], SLUICE_ERROR_NOT_CONNECTED, 0);
	}
}
