/* SPDX-License-Identifier: MIT */
/*
 * Sends N records and ends: a load to count instructions and system calls of, for
 * bench/instructions.sh. What belongs to one record is the difference between two runs with
 * different N, so that everything that is done once cancels out.
 *
 *   count gathered N    N records for one socket in one batch
 *   count eager N       N records for one socket, each started by itself
 *   count sockets N     one record for each of N sockets, in one batch
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <sluice/sluice.h>

#include "net.h"

#define RECORDS_MAX 1024 /* one transmission's */
#define RECORD_BYTES 64

static struct sluice_engine *engine;
static struct sluice_socket *sockets[RECORDS_MAX];
static struct sluice_args records[RECORDS_MAX] __attribute__((aligned(64)));
static size_t unfinished;

static void check(int answer, const char *what)
{
	if (answer < 0)
		errx(1, "%s: %s", what, strerror(-answer));
}

/* All but empty: one instruction that says how many are left. */
static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	unfinished--;
}

static void run_until_sent(void)
{
	while (unfinished > 0)
		check(sluice_engine_run(engine, -1), "sluice_engine_run");
}

static void start(size_t socket, size_t record)
{
	int answer = sluice_send_async(sockets[socket], &records[record]);

	check(answer, "sluice_send_async");
	unfinished += (size_t)answer;
}

static void send_gathered(size_t count)
{
	check(sluice_batch_begin(engine), "sluice_batch_begin");
	for (size_t i = 0; i < count; i++)
		start(0, i);
	check(sluice_batch_end(engine), "sluice_batch_end");
	run_until_sent();
}

static void send_eager(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		start(0, i);
		run_until_sent();
	}
}

static void send_sockets(size_t count)
{
	check(sluice_batch_begin(engine), "sluice_batch_begin");
	for (size_t i = 0; i < count; i++)
		start(i, i);
	check(sluice_batch_end(engine), "sluice_batch_end");
	run_until_sent();
}

static void make_records(void)
{
	static const char payload[RECORD_BYTES];

	for (size_t i = 0; i < RECORDS_MAX; i++) {
		records[i].completed = on_sent;
		check(sluice_args_set_buffer(&records[i], payload, RECORD_BYTES, 0, RECORD_BYTES),
		      "sluice_args_set_buffer");
	}
}

static void attach_sockets(const struct receiver *receiver)
{
	for (size_t i = 0; i < RECORDS_MAX; i++)
		check(sluice_socket_attach(engine, net_connect(receiver), &sockets[i]),
		      "sluice_socket_attach");
}

int main(int argc, char **argv)
{
	void (*send_records)(size_t count) = NULL;
	size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	struct receiver receiver;

	if (argc == 3 && strcmp(argv[1], "gathered") == 0)
		send_records = send_gathered;
	else if (argc == 3 && strcmp(argv[1], "eager") == 0)
		send_records = send_eager;
	else if (argc == 3 && strcmp(argv[1], "sockets") == 0)
		send_records = send_sockets;
	if (!send_records || count == 0 || count > RECORDS_MAX)
		errx(2, "usage: count gathered|eager|sockets N, N from 1 to %d", RECORDS_MAX);

	net_lift_descriptor_limit();
	receiver_start(&receiver, RECEIVER_DISCARDS, 0);
	check(sluice_engine_create(&engine, NULL), "sluice_engine_create");
	make_records();
	attach_sockets(&receiver);

	/* The same in every run: first uses allocate, bind symbols and fill caches. */
	send_records(RECORDS_MAX);
	send_records(count);

	printf("%s\n", sluice_engine_backend(engine));
	check(sluice_engine_destroy(engine), "sluice_engine_destroy");
	receiver_stop(&receiver);
	return 0;
}
