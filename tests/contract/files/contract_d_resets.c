/* SPDX-License-Identifier: MIT */
/* Connections that break in the middle of a file: b12 for files, and the signal that sendfile raises. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"

#define CONNECTIONS 200
#define FILE_BYTES (4 * MIB)

/* How a peer goes away in the middle. */
typedef void leave_fn(struct fixture *fixture, int peer);

/* Bytes that it has not read make its close a reset. */
static void leave_unread(struct fixture *fixture, int peer)
{
	close(peer);
}

/* Reads some first, so that the sender is in the middle of its work. */
static void leave_after_reading(struct fixture *fixture, int peer)
{
	static char bytes[65536];
	int64_t deadline = now_ns() + GUARD_NS;

	while (recv(peer, bytes, sizeof bytes, MSG_DONTWAIT) < 0) {
		cr_assert_lt(now_ns(), deadline);
		run_for(fixture, MILLISECOND);
	}
	close_with_reset(peer);
}

/* One connection: the file is in progress, the peer leaves, the record reports the reset. */
static void assert_reset(struct fixture *fixture, const struct sluice_packet *packets, size_t count,
			 leave_fn *leave, bool receiving)
{
	struct operation sending, receiving_one, behind;
	struct pair pair;
	char byte;

	tcp_pair(fixture, &pair, SMALL);
	operation_init(&sending, fixture);
	operation_init(&receiving_one, fixture);
	operation_init(&behind, fixture);
	if (receiving)
		cr_assert_eq(start_receive(pair.socket, &receiving_one, &byte, 1), 1);
	cr_assert_eq(start_packets(pair.socket, &sending, packets, count), 1);
	cr_assert_eq(start_send(pair.socket, &behind, "behind", 6), 1);
	cr_assert(sluice_engine_run(fixture->engine, 0) >= 0);
	leave(fixture, pair.peer);
	pair.peer = -1;

	run_until(fixture, is_over(&sending) && is_over(&behind) && is_over(&receiving_one));
	cr_assert_eq(sending.args.error, SLUICE_ERROR_CONNECTION_RESET, "it ended with %s",
		     sluice_socket_error_name(sending.args.error));
	cr_assert_eq(sending.args.native_error, ECONNRESET);
	cr_assert_lt(sending.args.bytes_transferred, FILE_BYTES);
	assert_ended(&behind, SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert_lt(sending.turn, behind.turn);
	if (receiving)
		assert_ended(&receiving_one, SLUICE_ERROR_CONNECTION_RESET, 0);
	cr_assert_eq(start_packets(pair.socket, &sending, packets, count), 0);
	assert_ended(&sending, SLUICE_ERROR_SHUTDOWN, 0);
	pair_close(&pair);
}

static void assert_resets(leave_fn *leave, bool receiving, bool with_trailer)
{
	struct fixture fixture;
	struct file file;
	struct sluice_packet packets[3];

	file_new(&file, FILE_BYTES, 0);
	files_begin(&fixture, NULL);
	packets[0] = memory_packet("header", 6);
	packets[1] = file_packet(file.fd, 0, 0);
	packets[2] = memory_packet("trailer", 7);
	for (int i = 0; i < CONNECTIONS; i++)
		assert_reset(&fixture, packets, with_trailer ? 3 : 2, leave, receiving);
	fixture_end(&fixture);
	file_end(&file);
}

Test(b12, b12_200_connections_reset_in_the_middle_of_a_file_report_it_200_times)
{
	assert_resets(leave_after_reading, false, false);
}

Test(b12, b12_200_connections_closed_with_unread_bytes_report_the_reset_200_times)
{
	assert_resets(leave_unread, false, false);
}

Test(b12, b12_200_connections_reset_in_the_middle_of_a_file_with_a_trailer)
{
	assert_resets(leave_unread, false, true);
}

Test(b12, b12_200_connections_reset_in_the_middle_of_a_file_with_a_receive_armed)
{
	assert_resets(leave_after_reading, true, false);
}

/* While the reset arrives the kernel is taking bytes: the peer reads on until it leaves. */
static void *read_and_leave(void *token)
{
	static const size_t chunk = 65536;
	int *peer = token;
	char *bytes = malloc(chunk);
	size_t done = 0;
	ssize_t count;

	while (done < FILE_BYTES / 8 && (count = recv(*peer, bytes, chunk, 0)) > 0)
		done += (size_t)count;
	free(bytes);
	close_with_reset(*peer);
	return NULL;
}

Test(b12, b12_200_connections_reset_while_the_file_flows_report_it_200_times)
{
	struct fixture fixture;
	struct file file;
	struct sluice_packet packet;

	file_new(&file, FILE_BYTES, 0);
	files_begin(&fixture, NULL);
	packet = file_packet(file.fd, 0, 0);
	for (int i = 0; i < CONNECTIONS; i++) {
		struct operation operation;
		struct pair pair;
		pthread_t thread;

		tcp_pair(&fixture, &pair, SMALL);
		operation_init(&operation, &fixture);
		cr_assert_eq(pthread_create(&thread, NULL, read_and_leave, &pair.peer), 0);
		send_packets(pair.socket, &operation, &packet, 1);
		cr_assert_eq(pthread_join(thread, NULL), 0);
		pair.peer = -1;
		cr_assert_eq(operation.args.error, SLUICE_ERROR_CONNECTION_RESET,
			     "connection %d ended with %s", i,
			     sluice_socket_error_name(operation.args.error));
		cr_assert_gt(operation.args.bytes_transferred, 0);
		pair_close(&pair);
	}
	fixture_end(&fixture);
	file_end(&file);
}

SCENE_TEST(b12, b12_the_first_file_after_a_reset_reports_it_and_the_next_shutdown, 100000, 0)
{
	struct sluice_packet packet;

	packet = file_packet(scene->file.fd, 0, 0);
	close_with_reset(scene->pair.peer);
	scene->pair.peer = -1;
	send_packets(scene->pair.socket, &scene->operation, &packet, 1);
	assert_ended(&scene->operation, SLUICE_ERROR_CONNECTION_RESET, 0);
	send_packets(scene->pair.socket, &scene->operation, &packet, 1);
	assert_ended(&scene->operation, SLUICE_ERROR_SHUTDOWN, 0);
}

/* .NET's case: the peer gets a reset, the record what was taken. */
SCENE_TEST(e03, e03_close_in_the_middle_of_20_mb_aborts_with_the_bytes_taken, 20 * MIB, SMALL)
{
	struct sluice_packet packet;
	char bytes[4096];
	ssize_t count;
	uint64_t arrived = 0;

	packet = file_packet(scene->file.fd, 0, 0);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, &packet, 1), 1);
	run_idle(&scene->fixture);
	cr_assert_eq(sluice_socket_close(scene->pair.socket), 0);
	cr_assert(!is_over(&scene->operation), "a handler ran inside close");
	run_until(&scene->fixture, is_over(&scene->operation));
	cr_assert_eq(scene->operation.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	cr_assert_gt(scene->operation.args.bytes_transferred, 0);
	cr_assert_lt(scene->operation.args.bytes_transferred, 20 * MIB);
	while ((count = recv(scene->pair.peer, bytes, sizeof bytes, 0)) > 0)
		arrived += (uint64_t)count;
	cr_assert_eq(count, -1, "the peer met an orderly end");
	cr_assert_eq(errno, ECONNRESET, "the peer met: %s", strerror(errno));
	cr_assert_leq(arrived, scene->operation.args.bytes_transferred);
}

/* ---- the signal ---- */

static void set_sigpipe(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	cr_assert_eq(pthread_sigmask(how, &set, NULL), 0);
}

static bool sigpipe_is_blocked(void)
{
	sigset_t set;

	cr_assert_eq(pthread_sigmask(SIG_SETMASK, NULL, &set), 0);
	return sigismember(&set, SIGPIPE);
}

static bool sigpipe_is_pending(void)
{
	sigset_t set;

	cr_assert_eq(sigpending(&set), 0);
	return sigismember(&set, SIGPIPE);
}

/* Sends over a connection whose sending side is shut behind the library's back: EPIPE for sure. */
static void provoke(struct scene *scene, uint32_t flags)
{
	struct sluice_packet packet = file_packet(scene->file.fd, 0, 0);

	scene->operation.args.flags = flags;
	send_packets(scene->pair.socket, &scene->operation, &packet, 1);
	cr_assert_neq(scene->operation.args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(scene->operation.args.bytes_transferred, 0);
}

static void shut(struct scene *scene)
{
	cr_assert_eq(shutdown(sluice_socket_fd(scene->pair.socket), SHUT_WR), 0);
}

/* SIGPIPE has its default action in these tests: it would kill the program. */
Test(b12, b12_no_signal_reaches_the_program_and_none_is_left_blocked)
{
	static const uint32_t flags[] = {SLUICE_FLAG_EAGER, SLUICE_FLAG_BATCHED, 0};

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		struct scene scene;

		scene_begin(&scene, 100000, 0);
		shut(&scene);
		provoke(&scene, flags[i]);
		cr_assert_not(sigpipe_is_blocked(), "SIGPIPE was left blocked");
		cr_assert_not(sigpipe_is_pending(), "SIGPIPE was left pending");
		scene_end(&scene);
	}
}

SCENE_TEST(b12, b12_a_program_that_blocks_sigpipe_finds_none_pending, 100000, 0)
{
	set_sigpipe(SIG_BLOCK);
	shut(scene);
	provoke(scene, SLUICE_FLAG_EAGER);
	cr_assert(sigpipe_is_blocked(), "the program's own mask was changed");
	cr_assert_not(sigpipe_is_pending(), "the library left its SIGPIPE pending");
	provoke(scene, SLUICE_FLAG_BATCHED);
	cr_assert(sigpipe_is_blocked());
	cr_assert_not(sigpipe_is_pending());
	set_sigpipe(SIG_UNBLOCK);
}

SCENE_TEST(b12, b12_a_sigpipe_that_was_pending_before_stays_the_programs, 100000, 0)
{
	const struct timespec at_once = {0};
	sigset_t set;

	set_sigpipe(SIG_BLOCK);
	cr_assert_eq(raise(SIGPIPE), 0);
	cr_assert(sigpipe_is_pending());
	shut(scene);
	provoke(scene, SLUICE_FLAG_EAGER);
	cr_assert(sigpipe_is_pending(), "the program's own SIGPIPE was taken away");
	cr_assert(sigpipe_is_blocked());

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	cr_assert_eq(sigtimedwait(&set, NULL, &at_once), SIGPIPE);
	set_sigpipe(SIG_UNBLOCK);
}

/* The library's calls arrive here before the C library's. */
static _Atomic int mask_calls;

int pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
	mask_calls++;
	if (before)
		sigemptyset(before);
	return syscall(SYS_rt_sigprocmask, how, set, before, _NSIG / 8) < 0 ? errno : 0;
}

/* The first one may start a thread that reads cold files, whose signals are blocked. */
static int mask_calls_of_ten_files_ignoring_it(void)
{
	struct operation operation;
	struct sluice_packet packet;
	struct fixture fixture;
	struct pair pair;
	struct file file;
	int before = 0;

	file_new(&file, 4096, 0);
	files_begin(&fixture, NULL);
	signal(SIGPIPE, SIG_IGN);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	packet = file_packet(file.fd, 0, 0);
	for (int i = 0; i < 11; i++) {
		if (i == 1)
			before = mask_calls;
		send_packets(pair.socket, &operation, &packet, 1);
		run_until(&fixture, fixture.pending == 0);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 4096);
	}
	before = mask_calls - before;
	pair_close(&pair);
	fixture_end(&fixture);
	file_end(&file);
	return before;
}

/* Alone: the library remembers for a while what the process does with SIGPIPE. */
Test(b12, b12_sigpipe_is_masked_only_if_the_program_does_not_ignore_it, .alone = true)
{
	struct scene scene;

	cr_assert_eq(mask_calls_of_ten_files_ignoring_it(), 0);
	/* Its disposition is the default again, and is asked for again. */
	scene_begin(&scene, 100000, 0);
	usleep(150000);
	shut(&scene);
	provoke(&scene, SLUICE_FLAG_EAGER);
	provoke(&scene, SLUICE_FLAG_BATCHED);
	scene_end(&scene);
}

Test(b12, b12_a_program_that_ignores_sigpipe_may_say_so)
{
	struct sluice_options options = files_options();
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct sluice_packet packet;
	struct file file;

	file_new(&file, 100000, 0);
	options.sigpipe_ignored = 1;
	files_begin(&fixture, &options);
	signal(SIGPIPE, SIG_IGN);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	packet = file_packet(file.fd, 0, 0);
	close_with_reset(pair.peer);
	pair.peer = -1;
	send_packets(pair.socket, &operation, &packet, 1);
	assert_ended(&operation, SLUICE_ERROR_CONNECTION_RESET, 0);
	signal(SIGPIPE, SIG_DFL);
	pair_close(&pair);
	fixture_end(&fixture);
	file_end(&file);
}
