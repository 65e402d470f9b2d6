/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asker.h"
#include "cpus.h"
#include "http.h"
#include "tracer.h"

/* Connecting 10,000 sockets takes seconds on a slow machine, a turn less than one. */
#define PATIENCE_MS 60000

static uint64_t wall_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t timeval_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_usec * 1000;
}

static uint64_t cpu_clock_ns(struct side *side)
{
	struct rusage usage;

	if (side->cpu_ns)
		return side->cpu_ns(side);
	if (getrusage(RUSAGE_SELF, &usage) != 0)
		err(1, "getrusage");
	return timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

/* Makes a turn that has taken this long so many percent longer. */
static void spin(uint64_t taken_ns, int percent)
{
	uint64_t end = wall_clock_ns() + taken_ns * (uint64_t)percent / 100;

	while (percent > 0 && wall_clock_ns() < end)
		;
}

/* What a process has to do with. */
struct bed {
	struct load load;
	const struct place *place;
	struct receiver receiver;
	struct asker *asker; /* the receiver of an echo */
	struct receiver beside;
	struct histogram *latencies;
	struct side *side;
};

/*
 * Whether the asker may keep its core busy: nobody else is there. A real-time one would be stopped
 * for that.
 */
static bool may_spin(const struct bed *bed)
{
	const struct place *place = bed->place;

	return place->receiver_cpu != place->sender_cpu && place->receiver_cpu != bed->beside.cpu &&
	       sched_getscheduler(0) == SCHED_OTHER;
}

/* On a third core, if there is one. */
static void start_beside(struct bed *bed)
{
	int cpus[CPUS_MAX], cpu = bed->place->receiver_cpu;

	for (size_t i = cpus_list(cpus); i-- > 0;) {
		if (cpus[i] != bed->place->receiver_cpu && cpus[i] != bed->place->sender_cpu)
			cpu = cpus[i];
	}
	receiver_start(&bed->beside, bed->load.receiver_mode, cpu, 0);
	bed->load.beside = &bed->beside;
}

static void start_asker(struct bed *bed)
{
	const struct asker_options options = {
		.connections = bed->load.sockets,
		.question_bytes = bed->load.record_bytes,
		.answer_bytes = bed->load.record_bytes,
		.depth = ASKER_DEPTH,
		.cpu = bed->place->receiver_cpu,
		.alone = may_spin(bed),
	};

	bed->asker = asker_start(&bed->receiver, &options);
}

/* Every answer has as many bytes as the first. */
static void start_client(struct bed *bed)
{
	static const char question[] = "GET /file.bin HTTP/1.1\r\nHost: localhost\r\n\r\n";
	const struct asker_options options = {
		.connections = bed->load.sockets,
		.question = question,
		.question_bytes = sizeof(question) - 1,
		.answer_bytes = http_answer_bytes(bed->side->port, question, bed->load.file_bytes),
		.depth = bed->load.depth,
		.bursts = true,
		.port = bed->side->port,
		.cpu = bed->place->receiver_cpu,
	};

	bed->asker = asker_start(&bed->receiver, &options);
}

static void make_bed(struct bed *bed, const struct peer *peer)
{
	const struct place *place = bed->place;
	const struct load *load = &bed->load;

	signal(SIGPIPE, SIG_IGN);
	if (load->kind == LOAD_HTTP) {
		net_pin(place->sender_cpu);
		bed->side = peer->create(&bed->load);
		start_client(bed);
		return;
	}
	bed->beside.cpu = -1;
	if (load->kind == LOAD_BESIDE)
		start_beside(bed);
	if (load_is_asked(load->kind))
		start_asker(bed);
	else
		receiver_start(&bed->receiver, load->receiver_mode, place->receiver_cpu,
			       place->nap_us);
	bed->load.receiver = &bed->receiver;
	/* Threads that are all on one core tell nothing about threads. */
	if (load->kind != LOAD_THREADS && load->kind != LOAD_ENGINES)
		net_pin(place->sender_cpu);
	bed->side = peer->create(&bed->load);
}

static void leave_bed(struct bed *bed)
{
	bed->side->destroy(bed->side);
	if (bed->asker)
		asker_stop(bed->asker);
	else
		receiver_stop(&bed->receiver);
	if (bed->load.beside)
		receiver_stop(&bed->beside);
}

static void ask(struct bed *bed, const struct order *order, struct sample *sample)
{
	const struct histogram *latencies;

	asker_begin(bed->asker, order->times, order->interval_ns);
	if (bed->side->run)
		bed->side->run(bed->side, order->times);
	latencies = asker_end(bed->asker);
	/* As fast as it goes they tell how many wait, not how long one has to. */
	if (order->interval_ns == 0)
		return;
	sample->p50_ns = histogram_percentile(latencies, 50);
	sample->p99_ns = histogram_percentile(latencies, 99);
	if (bed->latencies)
		histogram_merge(bed->latencies, latencies);
}

/* System calls around each load of a cold file: one to chill it, two for the CPU time. */
#define ASIDES 3

/* One turn, or as many as there have to be preparations for, which are not counted. */
static void run(struct bed *bed, const struct order *order, struct sample *sample)
{
	uint64_t turns = bed->load.cold && !bed->asker ? order->times : 1;

	for (uint64_t i = 0; i < turns; i++) {
		uint64_t wall, cpu;

		if (bed->load.cold) {
			posix_fadvise(bed->load.file_fd, 0, 0, POSIX_FADV_DONTNEED);
			sample->asides += ASIDES;
		}
		cpu = cpu_clock_ns(bed->side);
		wall = wall_clock_ns();
		if (bed->asker)
			ask(bed, order, sample);
		else
			bed->side->run(bed->side, order->times / turns);
		spin(wall_clock_ns() - wall, bed->place->spin_percent);
		sample->wall_ns += wall_clock_ns() - wall;
		sample->cpu_ns += cpu_clock_ns(bed->side) - cpu;
	}
}

static struct sample measure(struct bed *bed, const struct order *order)
{
	/* What the turn before left in the sockets is not on this one's account. */
	const struct timespec pause = {.tv_nsec = 1000000};
	struct sample sample = {0};
	uint64_t beside;

	nanosleep(&pause, NULL);
	/* Nor that the caches are full of the other sides' things. */
	if (bed->asker && !order->watched)
		ask(bed, &(struct order){.times = bed->load.sockets}, &sample);
	else if (!order->watched)
		bed->side->run(bed->side, 1);
	beside = bed->side->beside;
	run(bed, order, &sample);
	sample.beside = bed->side->beside - beside;
	sample.copied = bed->side->copied;
	return sample;
}

/* The process's life: one sample for every order, until one asks for nothing. */
_Noreturn static void serve(int fd, const struct peer *peer, struct bed *bed)
{
	struct sample sample;
	struct order order;
	pid_t worker;

	make_bed(bed, peer);
	worker = bed->side->process ? bed->side->process : getpid();
	if (write(fd, &worker, sizeof(worker)) != sizeof(worker))
		exit(1);
	while (read(fd, &order, sizeof(order)) == sizeof(order) &&
	       (order.times > 0 || order.watched)) {
		sample = measure(bed, &order);
		if (write(fd, &sample, sizeof(sample)) != sizeof(sample))
			exit(1);
	}
	leave_bed(bed);
	exit(0);
}

/* The first line that the process said on its standard error, without its name. */
static bool first_words(struct host *host)
{
	char text[4096], *line;
	ssize_t length = pread(host->errors, text, sizeof(text) - 1, 0);

	if (length <= 0)
		return false;
	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
	line = text;
	if (strncmp(line, program_invocation_short_name, strlen(program_invocation_short_name)) ==
	    0)
		line += strlen(program_invocation_short_name) + 2;
	snprintf(host->failed, sizeof(host->failed), "%.*s", (int)sizeof(host->failed) - 1, line);
	return true;
}

static bool fail(struct host *host, const char *reason)
{
	int status;

	host_unwatch(host);
	status = host->status;
	if (host->process > 0) {
		kill(host->process, SIGKILL);
		waitpid(host->process, &status, 0);
	}
	host->process = 0;
	if (reason)
		snprintf(host->failed, sizeof(host->failed), "%s", reason);
	else if (!first_words(host))
		snprintf(host->failed, sizeof(host->failed), "it broke down (status %#x)", status);
	return false;
}

static bool receive(struct host *host, void *message, size_t size)
{
	struct pollfd wait = {.fd = host->fd, .events = POLLIN};
	int ready;

	do {
		ready = host->tracer ? tracer_wait(host->tracer, host->fd, PATIENCE_MS)
				     : poll(&wait, 1, PATIENCE_MS);
	} while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return fail(host, "it did not come to an end within a minute");
	if (read(host->fd, message, size) != (ssize_t)size)
		return fail(host, NULL);
	return true;
}

bool host_start(struct host *host, const struct peer *peer, const struct load *load,
		const struct place *place, struct histogram *latencies)
{
	struct bed bed = {.load = *load, .place = place, .latencies = latencies};
	pid_t parent = getpid();
	int pair[2];

	*host = (struct host){.errors = memfd_create("errors", MFD_CLOEXEC)};
	if (host->errors < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		err(1, "cannot start a process to measure");
	fflush(NULL); /* or both have what is not yet written */
	host->process = fork();
	if (host->process < 0)
		err(1, "fork");
	if (host->process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		/* Or chance decides whose memory gets huge pages, where all may have them. */
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		dup2(host->errors, STDERR_FILENO);
		close(pair[0]);
		serve(pair[1], peer, &bed);
	}
	close(pair[1]);
	host->fd = pair[0];
	return receive(host, &host->worker, sizeof(host->worker));
}

bool host_measure(struct host *host, const struct order *order, struct sample *ret_sample)
{
	uint64_t before = host->tracer ? tracer_calls(host->tracer) : 0;
	struct order its = *order;

	if (host->process == 0)
		return false;
	its.watched = host->tracer != NULL;
	if (send(host->fd, &its, sizeof(its), MSG_NOSIGNAL) != sizeof(its))
		return fail(host, NULL);
	if (!receive(host, ret_sample, sizeof(*ret_sample)))
		return false;
	if (host->tracer)
		ret_sample->calls = tracer_calls(host->tracer) - before;
	if (host->worker != host->process)
		ret_sample->asides = 0;
	return true;
}

bool host_watch(struct host *host)
{
	if (host->process > 0)
		host->tracer = tracer_start(host->worker);
	return host->tracer != NULL;
}

void host_unwatch(struct host *host)
{
	if (!host->tracer)
		return;
	if (!tracer_stop(host->tracer, &host->status) && host->worker == host->process)
		host->process = 0;
	host->tracer = NULL;
}

void host_stop(struct host *host)
{
	const struct order end = {0};

	/* Processes that were started later hold the descriptor, too: it must be told. */
	if (host->process > 0) {
		send(host->fd, &end, sizeof(end), MSG_NOSIGNAL);
		waitpid(host->process, NULL, 0);
	}
	close(host->fd);
	close(host->errors);
	host->process = 0;
}
