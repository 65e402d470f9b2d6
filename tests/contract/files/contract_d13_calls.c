/* SPDX-License-Identifier: MIT */
/*
 * d13: the system calls of a send. A traced child makes each send a number of times, and the fewest
 * calls count: a look into the page cache is made again after a second.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "measure.h"

#define ROUNDS 20
#define FILE_LENGTH 8192
#define MEMORY_LENGTH 100

static char memory[MEMORY_LENGTH];

/* ---- what is counted ---- */

static void end_of(struct scene *scene, int answer)
{
	if (answer < 0)
		_exit(3);
	if (answer == 1)
		run_until(&scene->fixture, is_over(&scene->operation));
	if (scene->operation.args.error != SLUICE_ERROR_SUCCESS)
		_exit(4);
}

static void send_nothing(struct scene *scene)
{
	(void)scene;
}

static void send_list(struct scene *scene)
{
	struct iovec segments[] = {segment(memory, MEMORY_LENGTH), segment(memory, 1)};
	struct operation operation;
	int answer;

	operation_init(&operation, &scene->fixture);
	if (sluice_args_set_buffer_list(&operation.args, segments, 2) != 0)
		_exit(3);
	answer = sluice_send_async(scene->pair.socket, &operation.args);
	if (answer != 0 || operation.args.error != SLUICE_ERROR_SUCCESS)
		_exit(4);
}

static void send_file(struct scene *scene)
{
	struct sluice_packet packet = file_packet(scene->file.fd, 0, 0);

	end_of(scene, start_packets(scene->pair.socket, &scene->operation, &packet, 1));
}

static void send_known_file(struct scene *scene)
{
	struct sluice_packet packet = file_packet(scene->file.fd, 0, FILE_LENGTH);

	packet.identity = 1;
	end_of(scene, start_packets(scene->pair.socket, &scene->operation, &packet, 1));
}

static void send_behind_memory(struct scene *scene)
{
	struct sluice_packet packets[] = {memory_packet(memory, MEMORY_LENGTH),
					  file_packet(scene->file.fd, 0, 0)};

	end_of(scene, start_packets(scene->pair.socket, &scene->operation, packets, 2));
}

static void send_between_memory(struct scene *scene)
{
	struct sluice_packet packets[] = {memory_packet(memory, MEMORY_LENGTH),
					  file_packet(scene->file.fd, 0, 0),
					  memory_packet(memory, MEMORY_LENGTH)};

	end_of(scene, start_packets(scene->pair.socket, &scene->operation, packets, 3));
}

static void run_once(struct scene *scene)
{
	if (sluice_engine_run(scene->fixture.engine, 0) < 0)
		_exit(5);
}

static void send_in_turn(struct scene *scene)
{
	scene->operation.args.flags = SLUICE_FLAG_BATCHED;
	send_behind_memory(scene);
}

static const struct counted {
	const char *name;
	void (*send)(struct scene *scene);
	int calls;   /* more than of... */
	int more_of; /* ... this row */
} rows[] = {
	{"nothing", send_nothing, 0, 0},
	{"a list", send_list, 1, 0},
	{"a file", send_file, 2, 0},
	{"a known file", send_known_file, 1, 0},
	{"a file behind memory", send_behind_memory, 3, 0},
	{"a file between memory", send_between_memory, 3, 0},
	{"a turn", run_once, 0, -1},
	{"a file behind memory, in a turn", send_in_turn, 3, 6},
};

#define ROWS ((int)(sizeof rows / sizeof *rows))

/* ---- the child ---- */

static void child_begin(struct scene *scene)
{
	struct sluice_options options = files_options();

	signal(SIGPIPE, SIG_IGN);
	options.sigpipe_ignored = 1;
	file_new(&scene->file, FILE_LENGTH, 0);
	files_begin(&scene->fixture, &options);
	tcp_pair(&scene->fixture, &scene->pair, 0);
	operation_init(&scene->operation, &scene->fixture);
}

/* Stops before and behind each send; those of one row follow each other within the second. */
static void child_main(void)
{
	static char drained[64 * KIB];
	struct scene scene;

	child_begin(&scene);
	for (int row = 0; row < ROWS; row++) {
		for (int round = 0; round < ROUNDS; round++) {
			raise(SIGUSR1);
			rows[row].send(&scene);
			raise(SIGUSR2);
			while (recv(scene.pair.peer, drained, sizeof drained, MSG_DONTWAIT) > 0)
				;
		}
	}
	scene_end(&scene);
	_exit(0);
}

/* ---- the parent ---- */

#define SYSCALL_STOP (SIGTRAP | 0x80)

/* Lets the child go on to that signal; how many system calls it has made until then. */
static int calls_until(pid_t child, int signal)
{
	int status, stops = 0, stopped = 0;

	while (stopped != signal) {
		int pass = stopped == SYSCALL_STOP ? 0 : stopped;

		cr_assert_eq(ptrace(PTRACE_SYSCALL, child, NULL,
				    pass == SIGUSR1 || pass == SIGUSR2 ? 0L : (long)pass),
			     0);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFSTOPPED(status), "the child ended: status %#x", (unsigned int)status);
		stopped = WSTOPSIG(status);
		stops += stopped == SYSCALL_STOP;
	}
	return (stops + 1) / 2;
}

static void child_ends(pid_t child)
{
	int status;

	cr_assert_eq(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended: status %#x",
		  (unsigned int)status);
}

static void count_fewest(pid_t child, int fewest[ROWS])
{
	for (int i = 0; i < ROUNDS * ROWS; i++) {
		int calls;

		/* The first time it stands there already. */
		if (i > 0)
			calls_until(child, SIGUSR1);
		calls = calls_until(child, SIGUSR2);
		if (i % ROUNDS == 0 || calls < fewest[i / ROUNDS])
			fewest[i / ROUNDS] = calls;
	}
}

Test(d13, d13_a_send_makes_the_system_calls_of_one_by_hand)
{
	struct fixture fixture;
	int fewest[ROWS];
	pid_t child;

	if (!files_unforced())
		cr_skip("the way of files is forced");
	fixture_begin(&fixture); /* or there is no ring here */
	child = traced_child(child_main);
	cr_assert_eq(ptrace(PTRACE_SETOPTIONS, child, NULL,
			    PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
		     0);
	count_fewest(child, fewest);
	child_ends(child);
	for (int i = 0; i < ROWS; i++) {
		if (rows[i].more_of >= 0)
			cr_expect_eq(fewest[i] - fewest[rows[i].more_of], rows[i].calls,
				     "%s: %d calls instead of %d", rows[i].name,
				     fewest[i] - fewest[rows[i].more_of], rows[i].calls);
	}
	fixture_end(&fixture);
}
