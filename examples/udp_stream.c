/* SPDX-License-Identifier: MIT */
/*
 * Sends numbered datagrams of 1,200 bytes: udp_stream HOST PORT [COUNT]
 *
 * A batch queues 32 of them. As they have one size and one receiver, the kernel gets them as one message
 * and cuts it up (UDP GSO): one system call instead of 32. Where it cannot, they are sent as they are.
 */
#include <netdb.h>
#include <stdint.h>

#include "server.h"

#define BATCH 32
#define BYTES 1200

static struct sluice_args records[BATCH];
static char datagrams[BATCH][BYTES];
static unsigned pending;
static long failed;

static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	(void)socket;
	pending--;
	failed += args->error != SLUICE_ERROR_SUCCESS;
}

static void send_batch(struct sluice_socket *socket, uint32_t first, int count)
{
	checked("batch", sluice_batch_begin(engine));
	for (int i = 0; i < count; i++) {
		uint32_t number = htonl(first + (uint32_t)i);

		memcpy(datagrams[i], &number, sizeof number);
		records[i].completed = on_sent;
		sluice_args_set_buffer(&records[i], datagrams[i], BYTES, 0, BYTES);
		if (checked("send", sluice_send_async(socket, &records[i])) == 1)
			pending++;
	}
	checked("batch", sluice_batch_end(engine));
	while (pending > 0)
		sluice_engine_run(engine, -1);
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *remote = NULL;
	struct sluice_engine_statistics statistics = {.size = sizeof statistics};
	struct sluice_socket *peer;
	long count = argc > 3 ? atol(argv[3]) : 1000;
	int fd;

	if (argc < 3 || getaddrinfo(argv[1], argv[2], &hints, &remote) != 0)
		checked("udp_stream HOST PORT [COUNT]", -EINVAL);
	fd = socket(remote->ai_family, SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, remote->ai_addr, remote->ai_addrlen) < 0)
		checked(argv[1], -errno);
	freeaddrinfo(remote);
	checked("engine", sluice_engine_create(&engine, NULL));
	checked("attach", sluice_socket_attach(engine, fd, &peer));
	for (long sent = 0; sent < count; sent += BATCH)
		send_batch(peer, (uint32_t)sent,
			   (int)(count - sent < BATCH ? count - sent : BATCH));
	sluice_engine_statistics(engine, &statistics);
	printf("%ld datagrams, %ld failed, %llu messages that the kernel cut up\n", count, failed,
	       (unsigned long long)statistics.gso_sends);
	sluice_engine_destroy(engine);
	return failed != 0;
}
