/* SPDX-License-Identifier: MIT */
/*
 * send(2) with MSG_ZEROCOPY, without waiting for each notification: all of them are read at the end
 * of a load, before the memory is used again.
 */
#include <time.h>

#include <linux/errqueue.h> /* requires the line above */

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/runner.h"

struct zerocopy_runner {
	struct runner runner;
	struct load load;
	uint32_t sent;     /* calls so far that a notification follows */
	uint32_t notified; /* of them */
	int *fds;
	char *payload;
};

static void wait_for(struct zerocopy_runner *self, int fd, short events)
{
	struct pollfd wait = {.fd = fd, .events = events};

	if (poll(&wait, 1, -1) < 0 && errno != EINTR)
		err(1, "poll");
}

/* One message covers a range of calls. */
static void take_notification(struct zerocopy_runner *self, struct msghdr *message)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg;
	     cmsg = CMSG_NXTHDR(message, cmsg)) {
		struct sock_extended_err told;

		if (cmsg->cmsg_level != IPPROTO_IP || cmsg->cmsg_type != IP_RECVERR)
			continue;
		memcpy(&told, CMSG_DATA(cmsg), sizeof(told));
		if (told.ee_origin != SO_EE_ORIGIN_ZEROCOPY)
			errx(1, "send: %s", strerror((int)told.ee_errno));
		self->notified += told.ee_data - told.ee_info + 1;
		if (told.ee_code & SO_EE_CODE_ZEROCOPY_COPIED)
			self->runner.copied = true;
	}
}

static void take_notifications(struct zerocopy_runner *self, int fd)
{
	char control[128];

	while (self->notified != self->sent) {
		struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};

		if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
			take_notification(self, &message);
		else if (errno == EAGAIN)
			wait_for(self, fd, 0); /* errors are always reported */
		else
			err(1, "recvmsg");
	}
}

static void send_record(struct zerocopy_runner *self, int fd, const struct iovec *record)
{
	const char *data = record->iov_base;
	size_t length = record->iov_len;

	while (length > 0) {
		ssize_t sent = send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_ZEROCOPY);

		if (sent < 0 && errno == ENOBUFS) {
			take_notifications(self, fd); /* the limit of pinned memory is exceeded */
			continue;
		}
		if (sent < 0 && errno != EAGAIN)
			err(1, "send");
		if (sent < 0) {
			wait_for(self, fd, POLLOUT);
			continue;
		}
		self->sent++;
		data += sent;
		length -= (size_t)sent;
	}
}

static void run(struct runner *runner, uint64_t times)
{
	struct zerocopy_runner *self = (struct zerocopy_runner *)runner;

	while (times-- > 0) {
		for (size_t i = 0; i < self->load.records; i++) {
			struct iovec record[2];

			runner_record(&self->load, self->payload, i, record);
			send_record(self, self->fds[0], record);
		}
		take_notifications(self, self->fds[0]);
	}
}

static void destroy(struct runner *runner)
{
	struct zerocopy_runner *self = (struct zerocopy_runner *)runner;

	runner_disconnect(&self->load, self->fds);
	free(self->payload);
	free(self);
}

static struct runner *create(const struct load *load)
{
	struct zerocopy_runner *self = runner_allocate(1, sizeof(*self));
	const int on = 1;

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->payload = runner_payload(load);
	self->fds = runner_connect(load);
	if (setsockopt(self->fds[0], SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) != 0)
		err(1, "SO_ZEROCOPY");
	return &self->runner;
}

/* Only for sizes at which it can pay off. */
static bool suits(const struct load *load)
{
	return load->sockets == 1 && load->header_bytes == 0 && load->record_bytes >= 16384;
}

const struct peer peer_zerocopy = {
	.name = "zerocopy",
	.title = "send(2), MSG_ZEROCOPY",
	.loads = LOADS(LOAD_RECORDS),
	.suits = suits,
	.create = create,
};
