/* SPDX-License-Identifier: MIT */
/*
 * What the ends of short connections cost: accept, shutdown and close by a call each, and by entries
 * of a ring. Prints medians of the thread's CPU time per connection; kernel workers are not counted.
 */
#include <liburing.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 64
#define ROUNDS 301

enum {
	ACCEPT,
	SHUTDOWN,
	CLOSE,
	STEPS
};

struct sides {
	int client[CONNECTIONS];
	int server[CONNECTIONS];
};

static const char *const step_names[STEPS] = {"accept", "shutdown", "close"};
static double samples[STEPS][2][ROUNDS];
static struct io_uring ring;
static int listener;
static struct sockaddr_in address;

static void check(int result, const char *what)
{
	if (result >= 0)
		return;
	perror(what);
	exit(1);
}

static double thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void listen_somewhere(void)
{
	socklen_t length = sizeof address;

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(listener, "socket");
	check(bind(listener, (struct sockaddr *)&address, length), "bind");
	check(listen(listener, CONNECTIONS), "listen");
	check(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
}

static void connect_all(struct sides *sides)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		sides->client[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		check(sides->client[i], "socket");
		check(connect(sides->client[i], (struct sockaddr *)&address, sizeof address),
		      "connect");
	}
}

static struct io_uring_cqe *next_completion(void)
{
	struct io_uring_cqe *completion;

	while (io_uring_peek_cqe(&ring, &completion))
		io_uring_submit_and_wait(&ring, 1);
	return completion;
}

/* One entry accepts all of them, as it would for the life of a server. */
static void accept_by_ring(struct sides *sides)
{
	io_uring_prep_multishot_accept(io_uring_get_sqe(&ring), listener, NULL, NULL, SOCK_CLOEXEC);
	for (int i = 0; i < CONNECTIONS; i++) {
		struct io_uring_cqe *completion = next_completion();

		sides->server[i] = completion->res;
		check(completion->res, "accept");
		io_uring_cqe_seen(&ring, completion);
	}
}

static void stop_accepting(void)
{
	io_uring_prep_cancel_fd(io_uring_get_sqe(&ring), listener, 0);
	for (int i = 0; i < 2; i++) {
		next_completion();
		io_uring_cq_advance(&ring, 1);
	}
}

static void end_by_ring(struct sides *sides, int step)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		struct io_uring_sqe *entry = io_uring_get_sqe(&ring);

		if (step == SHUTDOWN)
			io_uring_prep_shutdown(entry, sides->server[i], SHUT_WR);
		else
			io_uring_prep_close(entry, sides->server[i]);
	}
	io_uring_submit_and_wait(&ring, CONNECTIONS);
	io_uring_cq_advance(&ring, CONNECTIONS);
}

static void step_by_calls(struct sides *sides, int step)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		if (step == ACCEPT)
			sides->server[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		else if (step == SHUTDOWN)
			shutdown(sides->server[i], SHUT_WR);
		else
			close(sides->server[i]);
	}
}

static void run_round(int round, bool by_ring)
{
	struct sides sides;

	connect_all(&sides);
	for (int step = 0; step < STEPS; step++) {
		double before = thread_ns();

		if (!by_ring)
			step_by_calls(&sides, step);
		else if (step == ACCEPT)
			accept_by_ring(&sides);
		else
			end_by_ring(&sides, step);
		samples[step][by_ring][round] = (thread_ns() - before) / CONNECTIONS;
		if (by_ring && step == ACCEPT)
			stop_accepting();
		/* Both sides have ended before the close, as in a lingering close. */
		if (step == SHUTDOWN) {
			for (int i = 0; i < CONNECTIONS; i++)
				shutdown(sides.client[i], SHUT_WR);
		}
	}
	for (int i = 0; i < CONNECTIONS; i++)
		close(sides.client[i]);
}

static int compare(const void *left, const void *right)
{
	double one = *(const double *)left, other = *(const double *)right;

	return one < other ? -1 : one > other;
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof *values, compare);
	return values[ROUNDS / 2];
}

int main(void)
{
	struct io_uring_params parameters = {.flags = IORING_SETUP_SINGLE_ISSUER |
						      IORING_SETUP_DEFER_TASKRUN};

	listen_somewhere();
	if (io_uring_queue_init_params(CONNECTIONS * 2, &ring, &parameters)) {
		fputs("short: the kernel offers no ring of that kind\n", stderr);
		return 1;
	}
	for (int round = 0; round < ROUNDS; round++) {
		run_round(round, false);
		run_round(round, true);
	}
	for (int step = 0; step < STEPS; step++)
		printf("%-9s call %6.0f ns, entry %6.0f ns\n", step_names[step],
		       median(samples[step][0]), median(samples[step][1]));
	return 0;
}
