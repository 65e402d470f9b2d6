/* SPDX-License-Identifier: MIT */
/*
 * Eight threads that send over one socket: by hand, with a mutex around send(2), or through sluice,
 * whose engine has its own thread; the threads wait only at the end.
 */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peers/sluice.h"

#define THREADS 8

struct thread {
	struct threads_runner *runner;
	pthread_t id;
	size_t first; /* of its records */
	size_t count;
};

struct threads_runner {
	struct runner runner;
	struct load load;
	struct thread threads[THREADS];
	pthread_barrier_t begin;
	pthread_barrier_t end;
	bool over;
	uint64_t times;
	char *payload;
	void (*send)(struct threads_runner *self, size_t record);

	/* By hand. */
	pthread_mutex_t mutex;
	int *fds;

	/* Ours. */
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	struct sluice_args *records;
};

static void send_locked(struct threads_runner *self, size_t record)
{
	const char *data = self->payload + record * self->load.record_bytes;
	size_t length = self->load.record_bytes;

	pthread_mutex_lock(&self->mutex);
	while (length > 0) {
		ssize_t sent = send(self->fds[0], data, length, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			err(1, "send");
		if (sent < 0) {
			net_wait_writable(self->fds[0]);
			continue;
		}
		data += sent;
		length -= (size_t)sent;
	}
	pthread_mutex_unlock(&self->mutex);
}

static void send_to_engine(struct threads_runner *self, size_t record)
{
	runner_sluice_check(sluice_send_async(self->socket, &self->records[record]),
			    "sluice_send_async");
}

/* A record is reused only after it has completed. */
static void wait_for_records(struct thread *thread)
{
	const struct sluice_args *records = thread->runner->records;

	for (size_t i = thread->first; records && i < thread->first + thread->count; i++) {
		while (sluice_args_in_progress(&records[i]) == 1)
			sched_yield();
		if (records[i].error != SLUICE_ERROR_SUCCESS)
			errx(1, "sluice: a send failed");
	}
}

static void *live(void *argument)
{
	struct thread *thread = argument;
	struct threads_runner *self = thread->runner;

	for (;;) {
		pthread_barrier_wait(&self->begin);
		if (self->over)
			return NULL;
		for (uint64_t i = 0; i < self->times; i++) {
			for (size_t j = 0; j < thread->count; j++)
				self->send(self, thread->first + j);
			wait_for_records(thread);
		}
		pthread_barrier_wait(&self->end);
	}
}

static void run(struct runner *runner, uint64_t times)
{
	struct threads_runner *self = (struct threads_runner *)runner;

	self->times = times;
	pthread_barrier_wait(&self->begin);
	pthread_barrier_wait(&self->end);
}

static void destroy(struct runner *runner)
{
	struct threads_runner *self = (struct threads_runner *)runner;

	self->over = true;
	pthread_barrier_wait(&self->begin);
	for (int i = 0; i < THREADS; i++)
		pthread_join(self->threads[i].id, NULL);
	if (self->engine)
		runner_sluice_check(sluice_engine_destroy(self->engine), "sluice_engine_destroy");
	else
		runner_disconnect(&self->load, self->fds);
	pthread_barrier_destroy(&self->begin);
	pthread_barrier_destroy(&self->end);
	free(self->records);
	free(self->payload);
	free(self);
}

static void start_threads(struct threads_runner *self)
{
	size_t count = self->load.records / THREADS;

	pthread_barrier_init(&self->begin, NULL, THREADS + 1);
	pthread_barrier_init(&self->end, NULL, THREADS + 1);
	for (size_t i = 0; i < THREADS; i++) {
		self->threads[i] =
			(struct thread){.runner = self, .first = i * count, .count = count};
		if (pthread_create(&self->threads[i].id, NULL, live, &self->threads[i]) != 0)
			errx(1, "pthread_create");
	}
}

static struct threads_runner *create(const struct load *load)
{
	struct threads_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->payload = runner_payload(load);
	self->fds = runner_connect(load);
	return self;
}

static struct runner *create_locked(const struct load *load)
{
	struct threads_runner *self = create(load);

	pthread_mutex_init(&self->mutex, NULL);
	self->send = send_locked;
	start_threads(self);
	return &self->runner;
}

static struct runner *create_on(const struct load *load, uint32_t backend)
{
	struct threads_runner *self = create(load);

	self->send = send_to_engine;
	self->engine = runner_sluice_engine(load, backend);
	runner_sluice_check(sluice_socket_attach(self->engine, self->fds[0], &self->socket),
			    "sluice_socket_attach");
	free(self->fds);
	self->records = runner_allocate(load->records, sizeof(*self->records));
	for (size_t i = 0; i < load->records; i++)
		runner_sluice_check(sluice_args_set_buffer(&self->records[i],
							   self->payload + i * load->record_bytes,
							   load->record_bytes, 0,
							   (int64_t)load->record_bytes),
				    "sluice_args_set_buffer");
	runner_sluice_check(sluice_engine_start(self->engine), "sluice_engine_start");
	start_threads(self);
	return &self->runner;
}

static struct runner *create_sluice(const struct load *load)
{
	return create_on(load, SLUICE_BACKEND_AUTO);
}

static struct runner *create_uring(const struct load *load)
{
	return create_on(load, SLUICE_BACKEND_URING);
}

static struct runner *create_epoll(const struct load *load)
{
	return create_on(load, SLUICE_BACKEND_EPOLL);
}

const struct peer peer_sluice_threads = {
	.name = "sluice",
	.title = "sluice, own thread",
	.loads = LOADS(LOAD_THREADS),
	.create = create_sluice,
};

const struct peer peer_sluice_threads_uring = {
	.name = "sluice-uring",
	.title = "sluice on io_uring",
	.loads = LOADS(LOAD_THREADS),
	.suits = runner_sluice_suits_uring,
	.lacks = runner_sluice_lacks_uring,
	.create = create_uring,
};

const struct peer peer_sluice_threads_epoll = {
	.name = "sluice-epoll",
	.title = "sluice on epoll",
	.loads = LOADS(LOAD_THREADS),
	.suits = runner_sluice_suits_epoll,
	.create = create_epoll,
};

const struct peer peer_mutex = {
	.name = "mutex",
	.title = "mutex and send(2)",
	.loads = LOADS(LOAD_THREADS),
	.create = create_locked,
};
