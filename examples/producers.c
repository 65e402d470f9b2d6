/* SPDX-License-Identifier: MIT */
/*
 * Four threads send lines over one connection: producers HOST PORT [LINES-EACH]
 *
 * The engine has a thread of its own (sluice_engine_start). Any thread may start a send: lines of
 * different threads never mix, those of one thread keep their order, and what is queued meanwhile
 * leaves together. A thread has up to 32 sends in progress; a semaphore counts those it may start.
 */
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>

#include "server.h"

#define PRODUCERS 4
#define IN_PROGRESS 32

struct line {
	struct sluice_args args;
	char text[32];
};

struct producer {
	pthread_t thread;
	sem_t free;
	struct line lines[IN_PROGRESS];
	int number;
	long failed; /* written by the engine's thread alone, read at the end */
};

static struct sluice_socket *peer;
static long lines_each = 1000;

/* On the engine's thread. The records of a thread end in the order in which they were started. */
static void on_line_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct producer *producer = args->user_token;

	(void)socket;
	if (args->error)
		producer->failed++;
	sem_post(&producer->free);
}

static void *produce(void *token)
{
	struct producer *producer = token;

	for (long i = 0; i < lines_each; i++) {
		struct line *line = &producer->lines[i % IN_PROGRESS];
		int length, answer;

		sem_wait(&producer->free);
		length = snprintf(line->text, sizeof line->text, "%d %ld\n", producer->number, i);
		line->args.completed = on_line_sent;
		line->args.user_token = producer;
		sluice_args_set_buffer(&line->args, line->text, (size_t)length, 0, length);
		line->args.flags = SLUICE_FLAG_BATCHED; /* leaves with others' lines; pending */
		answer = sluice_send_async(peer, &line->args);
		if (answer < 0)
			checked("send", answer);
	}
	for (int i = 0; i < IN_PROGRESS; i++) /* the last ones */
		sem_wait(&producer->free);
	return NULL;
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *remote = NULL;
	static struct producer producers[PRODUCERS];
	long failed = 0;
	int fd;

	if (argc < 3 || getaddrinfo(argv[1], argv[2], &hints, &remote) != 0)
		checked("producers HOST PORT [LINES-EACH]", -EINVAL);
	if (argc > 3)
		lines_each = atol(argv[3]);
	fd = socket(remote->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, remote->ai_addr, remote->ai_addrlen) < 0)
		checked(argv[1], -errno);
	freeaddrinfo(remote);
	checked("engine", sluice_engine_create(&engine, NULL));
	checked("attach", sluice_socket_attach(engine, fd, &peer));
	checked("start", sluice_engine_start(engine));

	for (int i = 0; i < PRODUCERS; i++) {
		producers[i].number = i;
		sem_init(&producers[i].free, 0, IN_PROGRESS);
		pthread_create(&producers[i].thread, NULL, produce, &producers[i]);
	}
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(producers[i].thread, NULL);
	checked("close", sluice_socket_close_gracefully(peer, -1));
	checked("destroy", sluice_engine_destroy(engine));
	for (int i = 0; i < PRODUCERS; i++) {
		sem_destroy(&producers[i].free);
		failed += producers[i].failed;
	}
	printf("%ld lines, %ld failed\n", PRODUCERS * lines_each, failed);
	return failed != 0;
}
