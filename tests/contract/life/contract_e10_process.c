/* SPDX-License-Identifier: MIT */
/* e10: fork, signals and a want of descriptors lose no record. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "measure.h"
#include "streams.h"

/* They change how the process takes signals, and fork it. */
CASES_ALONE

/* ---- fork ---- */

static void nothing_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			     void *token)
{
}

static void nothing_received(struct sluice_socket *socket, const struct sluice_received *received,
			     void *token)
{
}

static void nothing_posted(struct sluice_engine *engine, void *token)
{
}

static void nothing_expired(struct sluice_engine *engine, struct sluice_timer *timer)
{
}

/* What a parent has in hand when it forks. */
struct inherited {
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	struct sluice_socket *listener;
	struct sluice_args *pending;
	struct sluice_buffer *buffer;
	struct sluice_timer *armed;
	struct sluice_async_result *begun; /* not over */
};

/* The number of the first call that does not answer -EBADF; 0: all of them do. */
static int first_wrong_of_engine(const struct inherited *had)
{
	struct sluice_timer timer = {.expired = nothing_expired};
	struct sluice_socket *attached;
	int number = 0, fd = new_tcp(0);
	int answers[] = {
		sluice_engine_run(had->engine, 0),
		sluice_engine_flush(had->engine),
		sluice_engine_fd(had->engine),
		sluice_engine_adopt(had->engine),
		sluice_engine_start(had->engine),
		sluice_batch_begin(had->engine),
		sluice_batch_end(had->engine),
		sluice_post(had->engine, nothing_posted, NULL),
		sluice_timer_start(had->engine, &timer, 1),
		sluice_timer_stop(had->engine, had->armed),
		sluice_socket_attach(had->engine, fd, &attached),
		sluice_engine_stop(had->engine),
		sluice_engine_destroy(had->engine),
	};

	close(fd);
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		if (answers[i] != -EBADF && number == 0)
			number = (int)i + 1;
	return number;
}

static int first_wrong_of_socket(const struct inherited *had)
{
	struct sluice_accept_options accepting = {.size = sizeof accepting,
						  .on_accepted = nothing_accepted};
	struct sluice_receive_options receiving = {.size = sizeof receiving,
						   .on_received = nothing_received};
	struct sluice_packet packet = memory_packet("x", 1);
	struct sluice_async_result *begun;
	struct sluice_args args;
	int number = 0;

	sluice_args_init(&args);
	sluice_args_set_buffer(&args, "x", 1, 0, 1);
	sluice_args_set_packets(&args, &packet, 1);
	int64_t answers[] = {
		sluice_send_async(had->socket, &args),
		sluice_send_packets_async(had->socket, &args),
		sluice_disconnect_async(had->socket, &args),
		sluice_cancel(had->socket, had->pending),
		sluice_socket_shutdown(had->socket, SHUT_RDWR),
		sluice_socket_cancel_all(had->socket),
		sluice_socket_detach(had->socket),
		sluice_socket_close_gracefully(had->socket, 0),
		sluice_receive_start(had->socket, &receiving),
		sluice_receive_stop(had->socket),
		sluice_accept_start(had->listener, &accepting),
		sluice_accept_stop(had->listener),
		sluice_begin_send(had->socket, "x", 1, 0, 1, 0, NULL, NULL, NULL, &begun),
		sluice_begin_accept(had->listener, NULL, NULL, &begun),
		sluice_end_receive(had->socket, had->begun, NULL),
		sluice_async_result_wait(had->begun, -1),
	};

	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		if (answers[i] != -EBADF && number == 0)
			number = 100 + (int)i + 1;
	return number;
}

/* Everything is tried, and then what answers nothing: none of it may reach the parent's sockets. */
static int child_main(const struct inherited *had)
{
	int of_engine = first_wrong_of_engine(had);
	int of_socket = first_wrong_of_socket(had);

	sluice_engine_wake(had->engine);
	if (had->buffer)
		sluice_buffer_release(had->engine, had->buffer);
	sluice_socket_close(had->socket);
	sluice_socket_destroy(had->socket);
	sluice_socket_destroy(had->listener);
	return of_engine ? of_engine : of_socket;
}

static int status_of_child(const struct inherited *had)
{
	pid_t child = fork();
	int status;

	cr_assert(child >= 0);
	if (child == 0)
		_exit(child_main(had));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status), "the child died of signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

Test(e10, e10_after_fork_the_childs_copy_answers_ebadf_and_the_parent_goes_on)
{
	struct scene scene;
	struct consumer *consumer = malloc(sizeof *consumer);
	struct operation accepting;
	struct sluice_timer timer = {.expired = nothing_expired};
	struct sluice_packet packet;
	struct reader reader;
	struct inherited had;
	struct pair other;
	int wrong;
	char byte;

	scene_begin(&scene, 4 * MIB, SMALL);
	packet = file_packet(scene.file.fd, 0, 0);
	tcp_pair(&scene.fixture, &other, 0);
	consumer_init(consumer, &scene.fixture, other.socket);
	consumer->holds = true;
	cr_assert_eq(start_consuming(consumer), 0);
	write_pattern(other.peer, 1000, 0);
	run_until(&scene.fixture, consumer->bytes == 1000);
	had = (struct inherited){
		.engine = scene.fixture.engine,
		.socket = scene.pair.socket,
		.listener = attach(&scene.fixture, listen_tcp(0)),
		.pending = &scene.operation.args,
		.buffer = consumer->held[0].buffer,
		.armed = &timer,
	};
	operation_init(&accepting, &scene.fixture);
	cr_assert_eq(start(sluice_accept_async, had.listener, &accepting), 1);
	cr_assert_eq(sluice_begin_receive(had.socket, &byte, 1, 0, 1, 0, NULL, NULL, NULL,
					  &had.begun),
		     0);
	cr_assert_eq(sluice_timer_start(scene.fixture.engine, &timer, SECOND), 0);
	cr_assert_eq(start_packets(scene.pair.socket, &scene.operation, &packet, 1), 1);
	run_idle(&scene.fixture);

	wrong = status_of_child(&had);
	cr_assert_eq(wrong, 0, "call number %d does not answer -EBADF", wrong);

	reader_start(&reader, scene.pair.peer, 0);
	run_until(&scene.fixture, is_over(&scene.operation));
	assert_ended(&scene.operation, SLUICE_ERROR_SUCCESS, 4 * MIB);
	write_pattern(other.peer, 1000, 1000);
	run_until(&scene.fixture, consumer->bytes == 2000);
	release_all(consumer);
	sluice_socket_destroy(had.listener);
	run_until(&scene.fixture, is_over(&accepting));
	assert_ended(&accepting, SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(sluice_timer_stop(scene.fixture.engine, &timer), 0);
	assert_read_to_end(&scene, &reader, 4 * MIB);
	pair_close(&other);
	run_idle(&scene.fixture);
	scene_end(&scene);
	free(consumer);
}

/* A child may have an engine of its own. */
static int child_with_an_engine(void)
{
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	struct sluice_args args;
	int fds[2];
	char byte = 0;

	if (sluice_engine_create(&engine, NULL) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ||
	    sluice_socket_attach(engine, fds[0], &socket) < 0)
		return 1;
	sluice_args_init(&args);
	sluice_args_set_buffer(&args, "x", 1, 0, 1);
	args.flags = SLUICE_FLAG_BATCHED;
	if (sluice_send_async(socket, &args) != 1 || sluice_engine_run(engine, SECOND) < 0 ||
	    recv(fds[1], &byte, 1, 0) != 1 || byte != 'x')
		return 2;
	while (sluice_args_in_progress(&args))
		if (sluice_engine_run(engine, SECOND) < 0)
			return 3;
	return sluice_engine_destroy(engine) == 0 ? 0 : 4;
}

ENGINE_TEST(e10, e10_a_forked_child_may_make_an_engine_of_its_own)
{
	pid_t child;
	int status;

	run_idle(fixture);
	child = fork();
	if (child == 0)
		_exit(child_with_an_engine());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
}

/* ---- signals ---- */

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
	signals++;
}

static void set_alarm(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	cr_assert_eq(pthread_sigmask(how, &set, NULL), 0);
}

/* Several thousand a second, without SA_RESTART, and only in this thread. */
static void interrupt_for_ever(void)
{
	struct sigaction action = {.sa_handler = count_signal};
	struct itimerval interval = {.it_interval.tv_usec = 300, .it_value.tv_usec = 300};

	cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

static void interrupt_no_more(void)
{
	struct itimerval never = {0};

	cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
}

static void run_interrupted(struct fixture *fixture, const struct operation *operations,
			    size_t count)
{
	int64_t deadline = now_ns() + GUARD_NS;

	while (!are_over(operations, count)) {
		int answer = sluice_engine_run(fixture->engine, SECOND);

		cr_assert(answer >= 0 || answer == -EINTR, "run answered %d", answer);
		cr_assert_lt(now_ns(), deadline);
	}
}

Test(e10, e10_signals_lose_no_record)
{
	enum {
		ROUNDS = 30,
		RECORDS = 6
	};
	struct scene scene;
	struct operation *operations;
	struct sluice_packet packets[2];
	char *memory = pattern_new(700000, 0);
	struct reader reader;

	set_alarm(SIG_BLOCK); /* the reader's thread inherits it */
	scene_begin(&scene, 700000, SMALL);
	operations = operations_new(&scene.fixture, RECORDS);
	reader_start(&reader, scene.pair.peer, 0);
	set_alarm(SIG_UNBLOCK);
	interrupt_for_ever();
	for (int round = 0; round < ROUNDS; round++) {
		packets[0] = memory_packet(memory, 1000);
		packets[1] = file_packet(scene.file.fd, 1000, 0);
		if (round % 10 == 0)
			(void)posix_fadvise(scene.file.fd, 0, 0, POSIX_FADV_DONTNEED);
		for (int i = 0; i < RECORDS; i++) {
			int answer =
				i % 2 ? start_packets(scene.pair.socket, &operations[i], packets, 2)
				      : start_send(scene.pair.socket, &operations[i], memory,
						   700000);

			cr_assert(answer >= 0, "a start answered %d", answer);
		}
		run_interrupted(&scene.fixture, operations, RECORDS);
		for (int i = 0; i < RECORDS; i++)
			assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 700000);
	}
	interrupt_no_more();
	cr_assert_gt(signals, 20);
	assert_read_to_end(&scene, &reader, (uint64_t)ROUNDS * RECORDS * 700000);
	scene_end(&scene);
	free(operations);
	free(memory);
}

/* ---- descriptors ---- */

/* With this limit create either works or reports an error, and leaks nothing. */
Test(e10, e10_an_engine_that_finds_too_few_descriptors_is_refused_and_leaves_nothing)
{
	bool refused = false, made = false;

	for (int room = 0; room < 12; room++) {
		struct sluice_engine *engine = (struct sluice_engine *)&room;
		struct hoard hoard;
		int before = count_descriptors(), answer;

		hoard_begin(&hoard, 256);
		hoard_release(&hoard, room);
		answer = sluice_engine_create(&engine, NULL);
		if (answer == 0) {
			cr_assert_eq(sluice_engine_destroy(engine), 0);
			made = true;
		} else {
			cr_assert_eq(answer, -EMFILE, "create answered %s", strerror(-answer));
			cr_assert_null(engine);
			refused = true;
		}
		hoard_end(&hoard);
		cr_assert_eq(count_descriptors(), before);
	}
	cr_assert(refused && made);
}

SCENE_TEST(e10, e10_without_descriptors_sends_files_and_receives_go_on, 4 * MIB, SMALL)
{
	struct operation receiving;
	struct sluice_packet packets[2];
	struct hoard hoard;
	struct reader reader;
	char bytes[5];

	operation_init(&receiving, &scene->fixture);
	(void)file_chill(scene->file.fd);
	packets[0] = memory_packet("header", 6);
	packets[1] = file_packet(scene->file.fd, 0, 0);
	hoard_begin(&hoard, HOARD_MAX);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, packets, 2), 1);
	cr_assert_eq(start_receive(scene->pair.socket, &receiving, bytes, 5), 1);
	cr_assert_eq(send(scene->pair.peer, "bytes", 5, 0), 5);
	reader_start(&reader, scene->pair.peer, 0);
	run_until(&scene->fixture, is_over(&scene->operation) && is_over(&receiving));
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, 4 * MIB + 6);
	assert_ended(&receiving, SLUICE_ERROR_SUCCESS, 5);
	hoard_end(&hoard);
	assert_read_to_end(scene, &reader, 4 * MIB + 6);
}

ENGINE_TEST(e10, e10_the_loops_descriptor_is_refused_for_want_of_one_and_had_later)
{
	struct hoard hoard;
	int answer;

	hoard_begin(&hoard, HOARD_MAX);
	answer = sluice_engine_fd(fixture->engine);
	cr_assert(answer >= 0 || answer == -EMFILE, "it answered %s", strerror(-answer));
	hoard_end(&hoard);
	cr_assert(sluice_engine_fd(fixture->engine) >= 0);
	run_idle(fixture);
}
