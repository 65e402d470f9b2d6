/* SPDX-License-Identifier: MIT */
#include "harness/worker.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

#include "harness/client.h"
#include "harness/cpus.h"
#include "harness/http.h"
#include "harness/site.h"
#include "harness/tracer.h"

/* Connecting 10,000 sockets takes seconds on a slow machine, a turn less than one. */
#define PATIENCE_MS 60000

/* How long a receiver may need for what is still in its sockets. */
#define RECEIVE_PATIENCE_MS 20000

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

static uint64_t cpu_clock_ns(struct runner *runner)
{
	struct rusage usage;

	if (runner->cpu_ns)
		return runner->cpu_ns(runner);
	if (getrusage(RUSAGE_SELF, &usage) != 0)
		err(1, "getrusage");
	return timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

/* Lengthens a turn by so many percent. */
static void spin(uint64_t taken_ns, int percent)
{
	uint64_t end = wall_clock_ns() + taken_ns * (uint64_t)percent / 100;

	while (percent > 0 && wall_clock_ns() < end)
		;
}

/* State of a worker process. */
struct context {
	struct load load;
	const struct place *place;
	struct receiver receiver;
	struct client *client; /* the receiver of an echo */
	struct receiver background;
	struct histogram *latencies;
	struct runner *runner;
	uint64_t sent; /* bytes that the loads so far had */
};

/*
 * Whether the client may busy-wait: its core has no other load. The kernel would throttle a real-time
 * client.
 */
static bool may_spin(const struct context *context)
{
	const struct place *place = context->place;

	return place->receiver_cpu != place->sender_cpu &&
	       place->receiver_cpu != context->background.cpu &&
	       sched_getscheduler(0) == SCHED_OTHER;
}

/* On a third core, if there is one. */
static void start_background(struct context *context)
{
	int cpus[CPUS_MAX], cpu = context->place->receiver_cpu;

	for (size_t i = cpus_list(cpus); i-- > 0;) {
		if (cpus[i] != context->place->receiver_cpu &&
		    cpus[i] != context->place->sender_cpu)
			cpu = cpus[i];
	}
	receiver_start(&context->background, context->load.receiver_mode, cpu, 0);
	context->load.background = &context->background;
}

static void start_client(struct context *context)
{
	const struct client_options options = {
		.connections = context->load.sockets,
		.questions = {{NULL, context->load.record_bytes, context->load.record_bytes}},
		.question_count = 1,
		.depth = context->load.saturated ? 1 : CLIENT_DEPTH,
		.closed = context->load.saturated,
		.cpu = context->place->receiver_cpu,
		.alone = may_spin(context),
	};

	context->client = client_start(&context->receiver, &options);
}

/* Asks once, too: every answer has as many bytes as the first. */
static void add_question(const struct context *context, struct client_options *options,
			 const char *name, size_t body_bytes, const char *encoding)
{
	const char *accepts =
		context->load.accepts_compressed ? "Accept-Encoding: br;q=1, gzip;q=0.8\r\n" : "";
	char *text;
	int length =
		asprintf(&text, "GET /%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", name, accepts);

	if (length < 0)
		err(1, "out of memory");
	options->questions[options->question_count++] = (struct client_question){
		.text = text, /* kept for as long as the process lives */
		.bytes = (size_t)length,
		.answer_bytes =
			http_answer_bytes(context->runner->port, text, body_bytes, encoding),
	};
}

static void add_site_question(const struct context *context, struct client_options *options,
			      const struct site_file *file)
{
	const char *encoding;
	size_t body_bytes = site_body(file, context->load.accepts_compressed,
				      context->runner->has_brotli, &encoding);

	add_question(context, options, file->name, body_bytes, encoding);
}

static void start_http_client(struct context *context)
{
	const struct load *load = &context->load;
	bool one_by_one = load_has_latencies(load);
	struct client_options options = {
		.connections = load->sockets,
		.depth = one_by_one ? 1 : load->depth,
		.bursts = !one_by_one,
		.closed = load->saturated,
		.port = context->runner->port,
		.cpu = context->place->receiver_cpu,
		.alone = load->paced && may_spin(context),
	};

	if (load->site) {
		for (size_t i = 0; i < SITE_FILES; i++)
			add_site_question(context, &options, &site_files[i]);
	} else {
		add_question(context, &options, "file.bin", load->file_bytes, NULL);
	}
	context->client = client_start(&context->receiver, &options);
}

static void make_context(struct context *context, const struct peer *peer)
{
	const struct place *place = context->place;
	const struct load *load = &context->load;

	signal(SIGPIPE, SIG_IGN);
	context->background.cpu = -1;
	if (load->kind == LOAD_HTTP) {
		net_pin(place->sender_cpu);
		context->runner = peer->create(&context->load);
		start_http_client(context);
		return;
	}
	if (load->kind == LOAD_BACKGROUND)
		start_background(context);
	if (load_is_asked(load->kind))
		start_client(context);
	else
		receiver_start(&context->receiver, load->receiver_mode, place->receiver_cpu,
			       place->receiver_sleep_us);
	context->load.receiver = &context->receiver;
	/* Threads on a single core would measure nothing about threads. */
	if (load->kind != LOAD_THREADS && load->kind != LOAD_ENGINES)
		net_pin(place->sender_cpu);
	context->runner = peer->create(&context->load);
}

static void leave_context(struct context *context)
{
	context->runner->destroy(context->runner);
	if (context->client)
		client_stop(context->client);
	else
		receiver_stop(&context->receiver);
	if (context->load.background)
		receiver_stop(&context->background);
}

/* sample: of a measured turn, or NULL. */
static void ask(struct context *context, const struct order *order, struct sample *sample)
{
	const struct histogram *latencies;

	client_begin(context->client, order->times, order->interval_ns);
	if (context->runner->run)
		context->runner->run(context->runner, order->times);
	latencies = client_end(context->client);
	/* In a closed loop latencies measure the queue, not the time of an answer. */
	if (!sample || !(order->interval_ns > 0 || context->load.saturated))
		return;
	sample->p50_ns = histogram_percentile(latencies, 50);
	sample->p99_ns = histogram_percentile(latencies, 99);
	sample->p999_ns = histogram_percentile(latencies, 99.9);
	if (context->latencies && !order->trial)
		histogram_merge(context->latencies, latencies);
}

/* Bytes of one load; 0: they are not counted, because they may be lost or go elsewhere. */
static uint64_t load_bytes(const struct load *load)
{
	switch (load->kind) {
	case LOAD_RECORDS:
	case LOAD_FAN_OUT:
	case LOAD_ANOTHER:
	case LOAD_THREADS:
		return (uint64_t)load->records * load->record_bytes;
	case LOAD_FILE:
		return (uint64_t)load->records * load->file_bytes;
	default:
		return 0;
	}
}

/* A peer that sends less than its load, or more, would be compared with nothing. */
static void check_received(struct context *context, uint64_t times)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	uint64_t received = receiver_received(&context->receiver);

	context->sent += times * load_bytes(&context->load);
	for (int i = 0; received < context->sent && i < RECEIVE_PATIENCE_MS; i++) {
		nanosleep(&pause, NULL);
		received = receiver_received(&context->receiver);
	}
	if (received != context->sent)
		errx(1, "%" PRIu64 " bytes were to be sent, and %" PRIu64 " were received",
		     context->sent, received);
}

/* VmHWM of the process that does the load, 0: not known. */
static uint64_t peak_bytes(const struct runner *runner)
{
	char path[64], line[128];
	unsigned long long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status",
		 runner->process > 0 ? (int)runner->process : (int)getpid());
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file) && strncmp(line, "VmHWM:", 6) != 0)
		;
	if (strncmp(line, "VmHWM:", 6) == 0)
		kib = strtoull(line + 6, NULL, 10);
	fclose(file);
	return kib * 1024;
}

/*
 * System calls around each load of a cold file: one to drop it from memory, two for the CPU time.
 */
#define ASIDES 3

/* One turn, or one per unmeasured preparation. */
static void run(struct context *context, const struct order *order, struct sample *sample)
{
	uint64_t turns = context->load.cold && !context->client ? order->times : 1;

	for (uint64_t i = 0; i < turns; i++) {
		uint64_t wall, cpu;

		if (context->load.cold) {
			posix_fadvise(context->load.file_fd, 0, 0, POSIX_FADV_DONTNEED);
			sample->untimed += ASIDES;
		}
		cpu = cpu_clock_ns(context->runner);
		wall = wall_clock_ns();
		if (context->client)
			ask(context, order, sample);
		else
			context->runner->run(context->runner, order->times / turns);
		spin(wall_clock_ns() - wall, context->place->spin_percent);
		sample->wall_ns += wall_clock_ns() - wall;
		sample->cpu_ns += cpu_clock_ns(context->runner) - cpu;
	}
}

/* What turns that are watched have sent is looked at by the next one that is not: see count_calls. */
static void account(struct context *context, const struct order *order)
{
	if (order->watched)
		context->sent += order->times * load_bytes(&context->load);
	else
		check_received(context, 1 + order->times);
}

static struct sample measure(struct context *context, const struct order *order)
{
	/* What the previous turn left in the sockets is not charged to this one. */
	const struct timespec pause = {.tv_nsec = 1000000};
	struct sample sample = {0};
	uint64_t background;

	nanosleep(&pause, NULL);
	/* Nor the caches filled by the other runners. */
	if (context->client && !order->watched)
		ask(context, &(struct order){.times = context->load.sockets}, NULL);
	else if (!order->watched)
		context->runner->run(context->runner, 1);
	background = context->runner->background;
	run(context, order, &sample);
	sample.background = context->runner->background - background;
	sample.copied = context->runner->copied;
	if (!order->watched && context->load.kind == LOAD_FAN_OUT)
		sample.peak_bytes = peak_bytes(context->runner);
	if (load_bytes(&context->load) > 0)
		account(context, order);
	return sample;
}

/* The process's main loop: one sample for every order, until an order is zero. */
_Noreturn static void serve(int fd, const struct peer *peer, struct context *context)
{
	struct sample sample;
	struct order order;
	pid_t target;

	make_context(context, peer);
	target = context->runner->process ? context->runner->process : getpid();
	if (write(fd, &target, sizeof(target)) != sizeof(target))
		exit(1);
	while (read(fd, &order, sizeof(order)) == sizeof(order) &&
	       (order.times > 0 || order.watched)) {
		sample = measure(context, &order);
		if (write(fd, &sample, sizeof(sample)) != sizeof(sample))
			exit(1);
	}
	leave_context(context);
	exit(0);
}

/* The first line that the process wrote to its standard error, without its name. */
static bool first_words(struct worker *worker)
{
	char text[4096], *line;
	ssize_t length = pread(worker->errors, text, sizeof(text) - 1, 0);

	if (length <= 0)
		return false;
	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
	line = text;
	if (strncmp(line, program_invocation_short_name, strlen(program_invocation_short_name)) ==
	    0)
		line += strlen(program_invocation_short_name) + 2;
	snprintf(worker->failed, sizeof(worker->failed), "%.*s", (int)sizeof(worker->failed) - 1,
		 line);
	return true;
}

static bool fail(struct worker *worker, const char *reason)
{
	int status;

	worker_unwatch(worker);
	status = worker->status;
	if (worker->process > 0) {
		kill(worker->process, SIGKILL);
		waitpid(worker->process, &status, 0);
	}
	worker->process = 0;
	if (reason)
		snprintf(worker->failed, sizeof(worker->failed), "%s", reason);
	else if (!first_words(worker))
		snprintf(worker->failed, sizeof(worker->failed), "it broke down (status %#x)",
			 status);
	return false;
}

static bool receive(struct worker *worker, void *message, size_t size)
{
	struct pollfd wait = {.fd = worker->fd, .events = POLLIN};
	int ready;

	do {
		ready = worker->tracer ? tracer_wait(worker->tracer, worker->fd, PATIENCE_MS)
				       : poll(&wait, 1, PATIENCE_MS);
	} while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return fail(worker, "it did not come to an end within a minute");
	if (read(worker->fd, message, size) != (ssize_t)size)
		return fail(worker, NULL);
	return true;
}

bool worker_start(struct worker *worker, const struct peer *peer, const struct load *load,
		  const struct place *place, struct histogram *latencies)
{
	struct context context = {.load = *load, .place = place, .latencies = latencies};
	pid_t parent = getpid();
	int pair[2];

	*worker = (struct worker){.errors = memfd_create("errors", MFD_CLOEXEC)};
	if (worker->errors < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		err(1, "cannot start a process to measure");
	fflush(NULL); /* or both would flush the same buffered output */
	worker->process = fork();
	if (worker->process < 0)
		err(1, "fork");
	if (worker->process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		/*
		 * Otherwise chance decides which process gets huge pages, if they are always
		 * enabled.
		 */
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		dup2(worker->errors, STDERR_FILENO);
		close(pair[0]);
		serve(pair[1], peer, &context);
	}
	close(pair[1]);
	worker->fd = pair[0];
	return receive(worker, &worker->target, sizeof(worker->target));
}

bool worker_measure(struct worker *worker, const struct order *order, struct sample *ret_sample)
{
	uint64_t before = worker->tracer ? tracer_calls(worker->tracer) : 0;
	struct order its = *order;

	if (worker->process == 0)
		return false;
	its.watched = worker->tracer != NULL;
	if (send(worker->fd, &its, sizeof(its), MSG_NOSIGNAL) != sizeof(its))
		return fail(worker, NULL);
	if (!receive(worker, ret_sample, sizeof(*ret_sample)))
		return false;
	if (worker->tracer)
		ret_sample->calls = tracer_calls(worker->tracer) - before;
	if (worker->target != worker->process)
		ret_sample->untimed = 0;
	return true;
}

bool worker_watch(struct worker *worker)
{
	if (worker->process > 0)
		worker->tracer = tracer_start(worker->target);
	return worker->tracer != NULL;
}

void worker_unwatch(struct worker *worker)
{
	if (!worker->tracer)
		return;
	if (!tracer_stop(worker->tracer, &worker->status) && worker->target == worker->process)
		worker->process = 0;
	worker->tracer = NULL;
}

void worker_stop(struct worker *worker)
{
	const struct order end = {0};

	/* Later processes inherit the descriptor, too: closing it is not enough. */
	if (worker->process > 0) {
		send(worker->fd, &end, sizeof(end), MSG_NOSIGNAL);
		waitpid(worker->process, NULL, 0);
	}
	close(worker->fd);
	close(worker->errors);
	worker->process = 0;
}
