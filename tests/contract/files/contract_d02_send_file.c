/* SPDX-License-Identifier: MIT */
/* d01, d02: begin_send_file and end_send_file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apm.h"
#include "files.h"

static int begin_file(struct call *call, const char *path, const char *before, const char *after)
{
	return sluice_begin_send_file(call->socket, path, before, before ? strlen(before) : 0,
				      after, after ? strlen(after) : 0, 0, call_back, call,
				      &call->result);
}

static void assert_text(int fd, const char *text)
{
	char got[64];

	read_exactly(fd, got, strlen(text));
	cr_assert_arr_eq(got, text, strlen(text));
}

/* Runs until the file has been sent; its End, in the callback, says so. */
static void send_file(struct call *call, const char *path, const char *before, const char *after)
{
	atomic_store(&call->called, 0);
	call->within = ends_send_file;
	cr_assert_eq(begin_file(call, path, before, after), 0);
	run_until(call->fixture, was_called(call));
	cr_assert_eq(call->answer, 0);
}

Test(d01, d01_a_path_with_and_without_buffers_around_it)
{
	struct scene scene;
	struct call call;

	scene_begin(&scene, 1000, 0);
	call_init(&call, &scene.fixture, scene.pair.socket);
	send_file(&call, scene.file.path, NULL, NULL);
	read_pattern(scene.pair.peer, 1000, 0);
	send_file(&call, scene.file.path, "head", "trailer");
	assert_text(scene.pair.peer, "head");
	read_pattern(scene.pair.peer, 1000, 0);
	assert_text(scene.pair.peer, "trailer");
	/* Without a path the buffers alone, and without them nothing, successfully. */
	send_file(&call, NULL, "head", "trailer");
	send_file(&call, NULL, "head", NULL);
	send_file(&call, NULL, NULL, NULL);
	send_file(&call, NULL, NULL, "end");
	assert_text(scene.pair.peer, "headtrailerheadend");
	assert_nothing_to_read(scene.pair.peer);
	scene_end(&scene);
}

/* Before anything is sent, without a result and without a callback, and nothing stays open. */
Test(d01, d01_what_is_no_file_is_refused)
{
	struct scene scene;
	struct call call;
	char directory[] = "sluice-test-XXXXXX", fifo[64];
	int descriptors;

	scene_begin(&scene, 10, 0);
	call_init(&call, &scene.fixture, scene.pair.socket);
	cr_assert(mkdtemp(directory));
	snprintf(fifo, sizeof fifo, "%s/fifo", directory);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	descriptors = count_descriptors();
	cr_assert_eq(begin_file(&call, "sluice-test-there-is-no-such-file", "head", NULL), -ENOENT);
	cr_assert_null(call.result);
	cr_assert_eq(begin_file(&call, "", "head", NULL), -EINVAL);
	cr_assert_eq(begin_file(&call, directory, "head", NULL), -EINVAL);
	cr_assert_eq(begin_file(&call, fifo, "head", NULL), -EINVAL);
	cr_assert_eq(begin_file(&call, "/dev/null", "head", NULL), -EINVAL);
	cr_assert_eq(sluice_begin_send_file(call.socket, NULL, NULL, 1, NULL, 0, 0, NULL, NULL,
					    &call.result),
		     -EINVAL);
	cr_assert_eq(sluice_begin_send_file(call.socket, NULL, NULL, 0, NULL, 1, 0, NULL, NULL,
					    &call.result),
		     -EINVAL);
	cr_assert_null(call.result);
	run_idle(&scene.fixture);
	cr_assert_eq(atomic_load(&call.entered), 0);
	cr_assert_eq(count_descriptors(), descriptors);
	assert_nothing_to_read(scene.pair.peer);
	/* No failed send makes a living connection count as unconnected. */
	send_file(&call, scene.file.path, NULL, NULL);
	read_pattern(scene.pair.peer, 10, 0);
	unlink(fifo);
	rmdir(directory);
	scene_end(&scene);
}

Test(d01, d01_what_is_no_connected_stream_is_refused)
{
	struct scene scene;
	struct pair datagrams;
	struct call call;
	struct sluice_socket *sockets[3];

	scene_begin(&scene, 10, 0);
	udp_pair(&scene.fixture, &datagrams);
	sockets[0] = attach(&scene.fixture, new_tcp(0));
	sockets[1] = attach(&scene.fixture, listen_tcp(0));
	sockets[2] = datagrams.socket;
	for (int i = 0; i < 3; i++) {
		call_init(&call, &scene.fixture, sockets[i]);
		cr_assert_eq(begin_file(&call, scene.file.path, NULL, NULL), -EOPNOTSUPP);
		cr_assert_null(call.result);
	}
	call_init(&call, &scene.fixture, scene.pair.socket);
	cr_assert_eq(sluice_socket_close(scene.pair.socket), 0);
	cr_assert_eq(begin_file(&call, scene.file.path, NULL, NULL), -EBADF);
	sluice_socket_destroy(sockets[0]);
	sluice_socket_destroy(sockets[1]);
	pair_close(&datagrams);
	scene_end(&scene);
}

Test(d01, d01_the_transmit_flags_disconnect)
{
	struct scene scene;
	struct call call;

	scene_begin(&scene, 10, 0);
	call_init(&call, &scene.fixture, scene.pair.socket);
	cr_assert_eq(sluice_begin_send_file(call.socket, scene.file.path, NULL, 0, NULL, 0,
					    SLUICE_TRANSMIT_DISCONNECT |
						    SLUICE_TRANSMIT_WRITE_BEHIND,
					    NULL, NULL, &call.result),
		     0);
	run_until(&scene.fixture, sluice_async_result_is_completed(call.result));
	cr_assert_eq(sluice_end_send_file(call.socket, call.result), 0);
	read_pattern(scene.pair.peer, 10, 0);
	assert_end_of_stream(scene.pair.peer);
	cr_assert_eq(begin_send(&call, "x", 1), -EPIPE);
	scene_end(&scene);
}

static int64_t end_of_begun(struct call *call)
{
	return sluice_end_send_file(call->socket, call->result);
}

/* A send that is begun meanwhile leaves behind it. */
Test(d02, d02_end_blocks_until_the_whole_file_is_sent)
{
	struct scene scene;
	struct call call, behind;
	struct other_thread other;

	scene_begin(&scene, 3 * MIB, SMALL);
	call_init(&call, &scene.fixture, scene.pair.socket);
	call_init(&behind, &scene.fixture, scene.pair.socket);
	behind.within = ends_send;
	cr_assert_eq(begin_file(&call, scene.file.path, "before", "after"), 0);
	cr_assert_eq(begin_send(&behind, "behind", 6), 0);
	other_thread_start(&other, &call, end_of_begun);
	other_thread_await_sleep(&other);
	run_idle(&scene.fixture);
	cr_assert(!atomic_load(&other.over));
	assert_text(scene.pair.peer, "before");
	run_reading(&scene.fixture, scene.pair.peer, 3 * MIB, 0);
	cr_assert_eq(other_thread_join(&other), 0);
	run_until(&scene.fixture, was_called(&behind) && was_called(&call));
	cr_assert_eq(behind.answer, 6);
	assert_text(scene.pair.peer, "afterbehind");
	scene_end(&scene);
}

Test(d02, d02_null_foreign_twice_and_closed_are_refused)
{
	struct scene scene;
	struct pair other;
	struct call call, sending;

	scene_begin(&scene, 10, 0);
	tcp_pair(&scene.fixture, &other, 0);
	call_init(&call, &scene.fixture, scene.pair.socket);
	call_init(&sending, &scene.fixture, scene.pair.socket);
	cr_assert_eq(begin_file(&call, scene.file.path, NULL, NULL), 0);
	cr_assert_eq(begin_send(&sending, "x", 1), 0);
	run_until(&scene.fixture, was_called(&call) && was_called(&sending));
	cr_assert_eq(sluice_end_send_file(scene.pair.socket, NULL), -EINVAL);
	cr_assert_eq(sluice_end_send_file(NULL, call.result), -EINVAL);
	cr_assert_eq(sluice_end_send_file(other.socket, call.result), -EINVAL);
	cr_assert_eq(sluice_end_send_file(scene.pair.socket, sending.result), -EINVAL);
	cr_assert_eq(sluice_end_send(scene.pair.socket, call.result, NULL), -EINVAL);
	cr_assert_eq(end_of_begun(&call), 0);
	cr_assert_eq(end_of_begun(&call), -EALREADY);
	atomic_store(&call.called, 0);
	cr_assert_eq(begin_file(&call, scene.file.path, NULL, NULL), 0);
	run_until(&scene.fixture, was_called(&call));
	cr_assert_eq(sluice_socket_close(scene.pair.socket), 0);
	cr_assert_eq(end_of_begun(&call), -EBADF);
	pair_close(&other);
	scene_end(&scene);
}

/* The peer gets a reset; who waits and who comes later are both told of the close. */
Test(d02, d02_close_in_the_middle_of_20_mb)
{
	struct scene scene;
	struct call call;
	struct other_thread other;
	char got[4096];

	scene_begin(&scene, 20 * MIB, SMALL);
	call_init(&call, &scene.fixture, scene.pair.socket);
	call.within = ends_send_file;
	cr_assert_eq(begin_file(&call, scene.file.path, NULL, NULL), 0);
	other_thread_start(&other, &call, end_of_begun);
	other_thread_await_sleep(&other);
	run_reading(&scene.fixture, scene.pair.peer, 500000, 0);
	cr_assert_eq(sluice_socket_close(scene.pair.socket), 0);
	cr_assert_eq(other_thread_join(&other), -EBADF);
	run_until(&scene.fixture, was_called(&call));
	cr_assert_eq(call.answer, -EBADF);
	cr_assert_eq(end_of_begun(&call), -EBADF);
	while (recv(scene.pair.peer, got, sizeof got, 0) > 0)
		;
	cr_assert_eq(errno, ECONNRESET);
	scene_end(&scene);
}

/* .NET leaks a descriptor each time, until it collects. */
Test(d02, d02_the_file_is_closed_before_it_is_over)
{
	struct scene scene;
	struct call call;
	int descriptors = 0;

	scene_begin(&scene, 100, 0);
	call_init(&call, &scene.fixture, scene.pair.socket);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(sluice_begin_send_file(call.socket, scene.file.path, NULL, 0, NULL, 0,
						    0, NULL, NULL, &call.result),
			     0);
		run_until(&scene.fixture, sluice_async_result_is_completed(call.result));
		/* The first may leave a pipe in the pool. */
		if (i == 0)
			descriptors = count_descriptors();
		cr_assert_eq(count_descriptors(), descriptors);
		read_pattern(scene.pair.peer, 100, 0);
	}
	scene_end(&scene);
}
