/* SPDX-License-Identifier: MIT */
/*
 * Sends N records and ends: a load to count instructions and system calls of, for
 * bench/instructions.sh. What belongs to one record is the difference between two runs with
 * different N, or the same N in more rounds, so that everything that is done once cancels out.
 *
 *   count gathered N    N records of 64 bytes, apart in memory, for one socket in one batch
 *   count adjacent N    the same, one behind the other in memory
 *   count listed N      the same, of 512 bytes, apart in memory
 *   count batches N     N batches of two records each for one socket
 *   count eager N       N records for one socket, each started by itself
 *   count sockets N     one record for each of N sockets, in one batch
 *   count ring N        the same, each as a request to the ring
 *   count ring-batch N  N records for one socket in one batch, which is one request to the ring
 *   count datagrams N   N datagrams of 1,200 bytes for one connected socket, in one batch
 *   count datagram N    the same, each started by itself
 *   count files N       a cached file of 4 KiB, N times, each started by itself
 *   count to-the-end N  the same with count 0: to the end of the file
 *   count header N      a header of 100 bytes and that file, to its end, N times
 *   count trailer N     the same with 100 bytes behind the file
 *   count header-body N a list of 100 bytes and 4 KiB, N times, each started by itself
 *
 *   count MODE N ROUNDS   the same, so many times
 */
#include <err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sluice/sluice.h>

#include "harness/net.h"

#define RECORDS_MAX 100000
#define SOCKETS_MAX 10000
#define WARM_UP 1024 /* records: one transmission's */
#define RECORD_BYTES 64
#define LISTED_BYTES 512 /* too large to be copied */
#define DATAGRAM_BYTES 1200
#define FILE_BYTES 4096

static struct sluice_engine *engine;
static struct sluice_socket *sockets[SOCKETS_MAX];
static struct sluice_socket *datagrams;
static struct sluice_args records[RECORDS_MAX] __attribute__((aligned(64)));
static size_t unfinished;

static void check(int answer, const char *what)
{
	if (answer < 0)
		errx(1, "%s: %s", what, strerror(-answer));
}

/* Nearly empty: one instruction that counts down. */
static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	unfinished--;
}

static void run_until_sent(void)
{
	while (unfinished > 0)
		check(sluice_engine_run(engine, -1), "sluice_engine_run");
}

static void start(struct sluice_socket *socket, size_t record)
{
	int answer = sluice_send_async(socket, &records[record]);

	check(answer, "sluice_send_async");
	unfinished += (size_t)answer;
}

/* In the current directory: a disk's file system is to be measured, not tmpfs. */
static int make_file(void)
{
	static const char contents[FILE_BYTES];
	char path[] = "count-file-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		err(1, "%s", path);
	unlink(path);
	if (write(fd, contents, FILE_BYTES) != FILE_BYTES || fsync(fd) != 0)
		err(1, "cannot write the file to send");
	return fd;
}

static void send_gathered(size_t count)
{
	check(sluice_batch_begin(engine), "sluice_batch_begin");
	for (size_t i = 0; i < count; i++)
		start(sockets[0], i);
	check(sluice_batch_end(engine), "sluice_batch_end");
	run_until_sent();
}

static void make_listed(void)
{
	static const char payload[LISTED_BYTES];

	for (size_t i = 0; i < WARM_UP; i++)
		check(sluice_args_set_buffer(&records[i], payload, LISTED_BYTES, 0, LISTED_BYTES),
		      "sluice_args_set_buffer");
}

static void send_listed(size_t count)
{
	make_listed();
	send_gathered(count);
}

static void make_adjacent(void)
{
	static const char payload[WARM_UP * RECORD_BYTES];

	for (size_t i = 0; i < WARM_UP; i++)
		check(sluice_args_set_buffer(&records[i], payload + i * RECORD_BYTES, RECORD_BYTES,
					     0, RECORD_BYTES),
		      "sluice_args_set_buffer");
}

static void send_adjacent(size_t count)
{
	make_adjacent();
	send_gathered(count);
}

#define BATCH 2 /* records: one alone is no batch */

static void send_batches(size_t count)
{
	for (size_t i = 0; i < count; i++)
		send_gathered(BATCH);
}

static void send_eager(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		start(sockets[0], i);
		run_until_sent();
	}
}

static void send_sockets(size_t count)
{
	check(sluice_batch_begin(engine), "sluice_batch_begin");
	for (size_t i = 0; i < count; i++)
		start(sockets[i], i);
	check(sluice_batch_end(engine), "sluice_batch_end");
	run_until_sent();
}

static void make_datagrams(size_t count)
{
	static const char payload[DATAGRAM_BYTES];

	for (size_t i = 0; i < count; i++)
		check(sluice_args_set_buffer(&records[i], payload, DATAGRAM_BYTES, 0,
					     DATAGRAM_BYTES),
		      "sluice_args_set_buffer");
}

static void send_datagrams(size_t count)
{
	make_datagrams(count);
	check(sluice_batch_begin(engine), "sluice_batch_begin");
	for (size_t i = 0; i < count; i++)
		start(datagrams, i);
	check(sluice_batch_end(engine), "sluice_batch_end");
	run_until_sent();
}

static void send_datagram(size_t count)
{
	make_datagrams(count);
	for (size_t i = 0; i < count; i++) {
		start(datagrams, i);
		run_until_sent();
	}
}

#define HEADER_BYTES 100
#define PACKETS_MAX 3

/* The records' packets are created once, like their buffers. */
static void send_packets(const struct sluice_packet *packets, uint64_t packet_count, size_t count)
{
	static struct sluice_args args;

	if (!args.completed) {
		args.completed = on_sent;
		check(sluice_args_set_packets(&args, packets, packet_count),
		      "sluice_args_set_packets");
	}
	for (size_t i = 0; i < count; i++) {
		int answer = sluice_send_packets_async(sockets[0], &args);

		check(answer, "sluice_send_packets_async");
		unfinished += (size_t)answer;
		run_until_sent();
	}
}

static struct sluice_packet memory_packet(void)
{
	static const char bytes[HEADER_BYTES];

	return (struct sluice_packet){
		.kind = SLUICE_PACKET_MEMORY, .base = bytes, .count = HEADER_BYTES};
}

static struct sluice_packet file_packet(int64_t count)
{
	static int fd;

	if (!fd)
		fd = make_file();
	return (struct sluice_packet){.kind = SLUICE_PACKET_FILE, .fd = fd, .count = count};
}

static void send_files(size_t count)
{
	static struct sluice_packet packet;

	packet = file_packet(FILE_BYTES);
	send_packets(&packet, 1, count);
}

static void send_to_the_end(size_t count)
{
	static struct sluice_packet packet;

	packet = file_packet(0);
	send_packets(&packet, 1, count);
}

static void send_header_and_file(size_t count)
{
	static struct sluice_packet packets[2];

	packets[0] = memory_packet();
	packets[1] = file_packet(0);
	send_packets(packets, 2, count);
}

static void send_file_and_trailer(size_t count)
{
	static struct sluice_packet packets[PACKETS_MAX];

	packets[0] = packets[2] = memory_packet();
	packets[1] = file_packet(0);
	send_packets(packets, PACKETS_MAX, count);
}

static void send_header_and_body(size_t count)
{
	static const char header[HEADER_BYTES], body[FILE_BYTES];
	struct iovec segments[] = {{(void *)(uintptr_t)header, HEADER_BYTES},
				   {(void *)(uintptr_t)body, FILE_BYTES}};

	static struct sluice_args args;

	args.completed = on_sent;
	check(sluice_args_set_buffer_list(&args, segments, 2), "sluice_args_set_buffer_list");
	for (size_t i = 0; i < count; i++) {
		int answer = sluice_send_async(sockets[0], &args);

		check(answer, "sluice_send_async");
		unfinished += (size_t)answer;
		run_until_sent();
	}
}

static void make_records(size_t count)
{
	static const char payload[RECORD_BYTES];

	for (size_t i = 0; i < count; i++) {
		records[i].completed = on_sent;
		check(sluice_args_set_buffer(&records[i], payload, RECORD_BYTES, 0, RECORD_BYTES),
		      "sluice_args_set_buffer");
	}
}

static void attach_sockets(const struct receiver *receiver, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(sluice_socket_attach(engine, net_connect(receiver), &sockets[i]),
		      "sluice_socket_attach");
	check(sluice_socket_attach(engine, net_connect_datagrams(receiver), &datagrams),
	      "sluice_socket_attach");
}

struct mode {
	const char *name;
	void (*send)(size_t count);
	bool of_sockets; /* as many as records */
	uint32_t way;    /* SLUICE_TRANSMIT_WAY_* */
};

static const struct mode modes[] = {
	{.name = "gathered", .send = send_gathered},
	{.name = "adjacent", .send = send_adjacent},
	{.name = "listed", .send = send_listed},
	{.name = "batches", .send = send_batches},
	{.name = "eager", .send = send_eager},
	{.name = "datagrams", .send = send_datagrams},
	{.name = "datagram", .send = send_datagram},
	{.name = "sockets", .send = send_sockets, .of_sockets = true},
	{.name = "ring", .send = send_sockets, .of_sockets = true, .way = SLUICE_TRANSMIT_WAY_RING},
	{.name = "ring-batch", .send = send_gathered, .way = SLUICE_TRANSMIT_WAY_RING},
	{.name = "files", .send = send_files},
	{.name = "to-the-end", .send = send_to_the_end},
	{.name = "header", .send = send_header_and_file},
	{.name = "trailer", .send = send_file_and_trailer},
	{.name = "header-body", .send = send_header_and_body},
};

static const struct mode *mode_of(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	}
	errx(2, "%s: not a mode; bench/count.c lists them", name);
}

static size_t number_of(const char *text, size_t most)
{
	size_t number = strtoul(text, NULL, 10);

	if (number == 0 || number > most)
		errx(2, "%s: not a number from 1 to %zu", text, most);
	return number;
}

static void make_engine(const struct mode *mode)
{
	struct sluice_options options;

	sluice_options_init(&options, sizeof(options));
	options.sigpipe_ignored = 1;
	/* A fixed way: under valgrind the costs by which AUTO chooses mean nothing. */
	options.transmit_way = mode->way ? mode->way : SLUICE_TRANSMIT_WAY_INLINE;
	check(sluice_engine_create(&engine, &options), "sluice_engine_create");
}

int main(int argc, char **argv)
{
	size_t count, rounds = 1, warm_up = WARM_UP;
	const struct mode *mode;
	struct receiver receiver;

	if (argc != 3 && argc != 4)
		errx(2, "usage: count MODE N [ROUNDS]");
	mode = mode_of(argv[1]);
	count = number_of(argv[2], mode->of_sockets ? SOCKETS_MAX : RECORDS_MAX);
	if (argc == 4) {
		rounds = number_of(argv[3], RECORDS_MAX);
		warm_up = count;
	}
	if (count > warm_up)
		errx(2, "more than %d records only in rounds", WARM_UP);

	signal(SIGPIPE, SIG_IGN);
	net_lift_descriptor_limit();
	receiver_start(&receiver, RECEIVER_DISCARDS, 0, 0);
	make_engine(mode);
	make_records(warm_up);
	attach_sockets(&receiver, mode->of_sockets ? warm_up : 1);

	/* Once before counting: first uses allocate, bind symbols and fill caches. */
	mode->send(warm_up);
	while (rounds-- > 0)
		mode->send(count);

	printf("%s\n", sluice_engine_backend(engine));
	check(sluice_engine_destroy(engine), "sluice_engine_destroy");
	receiver_stop(&receiver);
	return 0;
}
