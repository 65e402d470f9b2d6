/* SPDX-License-Identifier: MIT */
/*
 * Datagrams by hand, over one connected UDP socket: a send(2) for each; one sendmmsg(2) for all; or
 * sendmsg(2) with as many of them as the kernel splits in one call (GSO), which is the minimum of
 * calls. Messages and segments are filled in once beforehand.
 */
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "harness/runner.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define GSO_BYTES 65507 /* in one call */
#define GSO_RECORDS 64

struct datagram_runner {
	struct runner runner;
	struct load load;
	int *fds;
	char *payload;
	struct iovec *segments; /* of each record */
	struct mmsghdr *messages;
	size_t message_count;
	union {
		char bytes[CMSG_SPACE(sizeof(uint16_t))];
		size_t alignment;
	} control;
};

static void wait_for_room(struct datagram_runner *self)
{
	if (errno != EAGAIN)
		err(1, "datagrams");
	net_wait_writable(self->fds[0]);
}

static void run_send(struct runner *runner, uint64_t times)
{
	struct datagram_runner *self = (struct datagram_runner *)runner;

	while (times-- > 0) {
		for (size_t i = 0; i < self->load.records; i++) {
			const struct iovec *segment = &self->segments[i];

			while (send(self->fds[0], segment->iov_base, segment->iov_len,
				    MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
				wait_for_room(self);
		}
	}
}

static void run_sendmmsg(struct runner *runner, uint64_t times)
{
	struct datagram_runner *self = (struct datagram_runner *)runner;

	while (times-- > 0) {
		for (size_t done = 0; done < self->message_count;) {
			int taken = sendmmsg(self->fds[0], self->messages + done,
					     (unsigned int)(self->message_count - done),
					     MSG_DONTWAIT | MSG_NOSIGNAL);

			if (taken < 0)
				wait_for_room(self);
			else
				done += (size_t)taken;
		}
	}
}

static void run_gso(struct runner *runner, uint64_t times)
{
	struct datagram_runner *self = (struct datagram_runner *)runner;

	while (times-- > 0) {
		for (size_t i = 0; i < self->message_count; i++) {
			while (sendmsg(self->fds[0], &self->messages[i].msg_hdr,
				       MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
				wait_for_room(self);
		}
	}
}

static void destroy(struct runner *runner)
{
	struct datagram_runner *self = (struct datagram_runner *)runner;

	runner_disconnect(&self->load, self->fds);
	free(self->messages);
	free(self->segments);
	free(self->payload);
	free(self);
}

/* So many records in each message but the last. */
static void fill_in(struct datagram_runner *self, size_t records)
{
	for (size_t i = 0; i < self->load.records; i += records) {
		struct msghdr *message = &self->messages[self->message_count++].msg_hdr;
		size_t left = self->load.records - i;

		message->msg_iov = &self->segments[i];
		message->msg_iovlen = left < records ? left : records;
		if (records == 1)
			continue;
		message->msg_control = &self->control;
		message->msg_controllen = sizeof(self->control.bytes);
	}
}

static void fill_in_control(struct datagram_runner *self)
{
	struct msghdr holder = {.msg_control = &self->control,
				.msg_controllen = sizeof(self->control.bytes)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&holder);
	uint16_t bytes = (uint16_t)self->load.record_bytes;

	cmsg->cmsg_level = IPPROTO_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof(bytes));
	memcpy(CMSG_DATA(cmsg), &bytes, sizeof(bytes));
}

static struct runner *create(const struct load *load, size_t records,
			     void (*run)(struct runner *runner, uint64_t times))
{
	struct datagram_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->payload = runner_payload(load);
	self->segments = runner_allocate(load->records + 1, sizeof(*self->segments));
	self->messages = runner_allocate(load->records, sizeof(*self->messages));
	for (size_t i = 0; i < load->records; i++)
		runner_record(load, self->payload, i, &self->segments[i]);
	fill_in_control(self);
	fill_in(self, records);
	self->fds = runner_connect(load);
	return &self->runner;
}

static struct runner *create_send(const struct load *load)
{
	return create(load, 1, run_send);
}

static struct runner *create_sendmmsg(const struct load *load)
{
	return create(load, 1, run_sendmmsg);
}

static struct runner *create_gso(const struct load *load)
{
	size_t records = GSO_BYTES / load->record_bytes;

	return create(load, records < GSO_RECORDS ? records : GSO_RECORDS, run_gso);
}

static bool has_several(const struct load *load)
{
	return load->records > 1;
}

const struct peer peer_datagram_send = {
	.name = "send",
	.title = "send(2) each",
	.loads = LOADS(LOAD_DATAGRAMS),
	.create = create_send,
};

const struct peer peer_sendmmsg = {
	.name = "sendmmsg",
	.title = "sendmmsg(2)",
	.loads = LOADS(LOAD_DATAGRAMS),
	.suits = has_several,
	.create = create_sendmmsg,
};

const struct peer peer_gso = {
	.name = "gso",
	.title = "GSO by sendmsg(2)",
	.loads = LOADS(LOAD_DATAGRAMS),
	.suits = has_several,
	.create = create_gso,
};
