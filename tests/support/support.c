/* SPDX-License-Identifier: MIT */
/* The fixture and the operations of the contract's tests. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	cr_assert(directory, "/proc/self/fd cannot be read");
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 3; /* ".", ".." and the directory itself */
}

/* ---- the engine ---- */

/*
 * Ends the test as skipped where nobody gets a ring here. Asked only when the engine has none: a
 * ring that was closed interrupts its task's next wait, as a signal would.
 */
static void skip_without_ring(void)
{
	unsigned char parameters[512] = {0}; /* struct io_uring_params is smaller */
	long fd = syscall(SYS_io_uring_setup, 1, parameters);

	if (fd < 0)
		cr_skip("this machine has no io_uring: %s", strerror(errno));
	close((int)fd);
}

void skip_without_thread(struct fixture *fixture)
{
	struct sluice_engine_statistics statistics = {.size = sizeof statistics};

	sluice_engine_statistics(fixture->engine, &statistics);
	if (statistics.capabilities & SLUICE_CAPABILITY_SUBMISSION_THREAD)
		return;
	sluice_engine_destroy(fixture->engine);
	cr_skip("this kernel lends no submission thread");
}

/* A SIGPIPE that the library lets through has to end the test. */
static void expose_to_sigpipe(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void assert_exposed_to_sigpipe(void)
{
	sigset_t blocked, raised;

	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	cr_assert(!sigismember(&blocked, SIGPIPE), "the library left SIGPIPE blocked");
	sigpending(&raised);
	cr_assert(!sigismember(&raised, SIGPIPE), "the library left a SIGPIPE pending");
}

void fixture_begin_with(struct fixture *fixture, const struct sluice_options *options)
{
	const char *backend = getenv("SLUICE_BACKEND");
	int answer;

	cr_assert(backend, "SLUICE_BACKEND has to be uring or epoll");
	memset(fixture, 0, sizeof *fixture);
	expose_to_sigpipe();
	fixture->descriptors = count_descriptors();
	answer = sluice_engine_create(&fixture->engine, options);
	if (strcmp(backend, "uring") == 0 &&
	    (answer != 0 || strcmp(sluice_engine_backend(fixture->engine), backend) != 0))
		skip_without_ring();
	cr_assert_eq(answer, 0, "create answered %s", strerror(-answer));
	cr_assert_str_eq(sluice_engine_backend(fixture->engine), backend);
}

void fixture_begin(struct fixture *fixture)
{
	const char *way = getenv("SLUICE_TEST_TRANSMIT_WAY");
	bool thread = getenv("SLUICE_TEST_SUBMISSION_THREAD") != NULL;
	struct sluice_options options;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	if (way) {
		options.transmit_way = strcmp(way, "ring") == 0 ? SLUICE_TRANSMIT_WAY_RING
								: SLUICE_TRANSMIT_WAY_INLINE;
	}
	options.submission_thread = thread;
	fixture_begin_with(fixture, way || thread ? &options : NULL);
	if (thread)
		skip_without_thread(fixture);
}

void fixture_end(struct fixture *fixture)
{
	uint64_t handled = fixture->handled;
	int descriptors;

	cr_assert_eq(fixture->pending, 0, "%llu operations have not ended",
		     (unsigned long long)fixture->pending);
	cr_assert_eq(sluice_engine_destroy(fixture->engine), 0);
	cr_assert_eq(fixture->handled, handled, "a handler ran for an operation that had ended");

	descriptors = count_descriptors();
	cr_assert_eq(descriptors, fixture->descriptors, "%d descriptors more than before",
		     descriptors - fixture->descriptors);
	assert_exposed_to_sigpipe();
}

void run_for(struct fixture *fixture, int64_t timeout_ns)
{
	int answer = sluice_engine_run(fixture->engine, timeout_ns);

	cr_assert(answer >= 0, "run answered %s", strerror(-answer));
}

void run_turn(struct fixture *fixture, int64_t deadline_ns, const char *awaited)
{
	int64_t left = deadline_ns - now_ns();

	cr_assert(left > 0, "waited in vain for: %s", awaited);
	run_for(fixture, left);
}

void run_idle(struct fixture *fixture)
{
	for (int turn = 0; turn < 20; turn++)
		run_for(fixture, MILLISECOND);
}

/* ---- operations ---- */

/* What holds of every record that has ended, at once or later. */
static void assert_settled(const struct sluice_args *args)
{
	cr_assert_eq(sluice_args_in_progress(args), 0);
	cr_assert_eq(args->flags, 0, "the flags of an operation that ended are 0");
	cr_assert_neq(args->error, SLUICE_ERROR_IO_PENDING);
	cr_assert_eq(sluice_socket_error_from_errno(args->native_error), args->error,
		     "%s stands beside errno %d", sluice_socket_error_name(args->error),
		     args->native_error);
}

static void on_completed(struct sluice_socket *socket, struct sluice_args *args)
{
	struct operation *operation = (struct operation *)args;
	struct fixture *fixture = operation->fixture;

	cr_assert_eq(fixture->inside_call, 0, "a handler ran inside a starting call");
	cr_assert_eq(operation->pending, 1, "a handler ran for what was not in progress");
	cr_assert_eq(operation->socket, socket, "a handler got another socket");
	assert_settled(args);

	operation->pending = 0;
	operation->handled++;
	operation->turn = ++fixture->handled;
	fixture->pending--;
	if (operation->then)
		operation->then(operation);
}

void operation_init(struct operation *operation, struct fixture *fixture)
{
	memset(operation, 0, sizeof *operation);
	cr_assert_eq(sluice_args_init(&operation->args), 0);
	operation->args.completed = on_completed;
	operation->fixture = fixture;
}

struct operation *operations_new(struct fixture *fixture, size_t count)
{
	struct operation *operations = malloc(count * sizeof *operations);

	cr_assert(operations);
	for (size_t i = 0; i < count; i++)
		operation_init(&operations[i], fixture);
	return operations;
}

bool are_over(const struct operation *operations, size_t count)
{
	while (count--)
		if (!is_over(&operations[count]))
			return false;
	return true;
}

static uint32_t operation_of(start_fn *begin)
{
	static const struct {
		start_fn *begin;
		uint32_t operation;
	} known[] = {
		{sluice_accept_async, SLUICE_OPERATION_ACCEPT},
		{sluice_connect_async, SLUICE_OPERATION_CONNECT},
		{sluice_disconnect_async, SLUICE_OPERATION_DISCONNECT},
		{sluice_receive_async, SLUICE_OPERATION_RECEIVE},
		{sluice_receive_from_async, SLUICE_OPERATION_RECEIVE_FROM},
		{sluice_send_async, SLUICE_OPERATION_SEND},
		{sluice_send_packets_async, SLUICE_OPERATION_SEND_PACKETS},
		{sluice_send_to_async, SLUICE_OPERATION_SEND_TO},
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].begin == begin)
			return known[i].operation;
	return SLUICE_OPERATION_CONNECT; /* the test's own, of a handshake */
}

static void assert_in_progress(const struct sluice_args *args)
{
	cr_assert_eq(sluice_args_in_progress(args), 1);
	cr_assert_eq(args->error, SLUICE_ERROR_IO_PENDING);
	cr_assert_eq(args->bytes_transferred, 0);
}

int start(start_fn *begin, struct sluice_socket *socket, struct operation *operation)
{
	struct fixture *fixture = operation->fixture;
	struct sluice_args before = operation->args;
	int answer;

	fixture->inside_call++;
	answer = begin(socket, &operation->args);
	fixture->inside_call--;

	cr_assert(answer <= 1, "a starting call answered %d", answer);
	if (answer < 0) {
		cr_assert_arr_eq(&operation->args, &before, sizeof before,
				 "a refused record was touched");
		return answer;
	}
	cr_assert_eq(operation->args.last_operation, operation_of(begin));
	if (answer == 0) {
		assert_settled(&operation->args);
		return 0;
	}
	assert_in_progress(&operation->args);
	operation->socket = socket;
	operation->pending = 1;
	fixture->pending++;
	return 1;
}

int start_send(struct sluice_socket *socket, struct operation *operation, const void *base,
	       size_t length)
{
	cr_assert_eq(sluice_args_set_buffer(&operation->args, base, length, 0, (int64_t)length), 0);
	return start(sluice_send_async, socket, operation);
}

int start_receive(struct sluice_socket *socket, struct operation *operation, void *base,
		  size_t length)
{
	cr_assert_eq(sluice_args_set_receive_buffer(&operation->args, base, length, 0,
						    (int64_t)length),
		     0);
	return start(sluice_receive_async, socket, operation);
}

int start_connect(struct sluice_socket *socket, struct operation *operation,
		  const struct sockaddr_in *address)
{
	operation->args.remote_address = (const struct sockaddr *)address;
	operation->args.remote_address_length = sizeof *address;
	return start(sluice_connect_async, socket, operation);
}

static void finish(struct operation *operation, int answer)
{
	cr_assert(answer >= 0, "refused: %s", strerror(-answer));
	if (answer == 1)
		run_until(operation->fixture, is_over(operation));
}

void run_start(start_fn *begin, struct sluice_socket *socket, struct operation *operation)
{
	finish(operation, start(begin, socket, operation));
}

void run_send(struct sluice_socket *socket, struct operation *operation, const void *base,
	      size_t length)
{
	finish(operation, start_send(socket, operation, base, length));
}

void run_receive(struct sluice_socket *socket, struct operation *operation, void *base,
		 size_t length)
{
	finish(operation, start_receive(socket, operation, base, length));
}

void run_connect(struct sluice_socket *socket, struct operation *operation,
		 const struct sockaddr_in *address)
{
	finish(operation, start_connect(socket, operation, address));
}
