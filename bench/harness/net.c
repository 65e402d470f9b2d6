/* SPDX-License-Identifier: MIT */
#include "harness/net.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* More than a loopback socket holds, so that one call empties it. */
#define RECEIVE_BYTES (8 << 20)

/* What a slow reader reads at once, and its pause in between: about 100 MB per second. */
#define CRAWL_BYTES (128 << 10)
#define CRAWL_US 1000

/* Enough for 10,000 sockets and everything else. */
#define DESCRIPTORS 20000

void net_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		err(1, "cannot pin to CPU %d", cpu);
}

size_t net_lift_descriptor_limit(void)
{
	const struct rlimit wish = {DESCRIPTORS, DESCRIPTORS};
	struct rlimit limit;

	/* Root may exceed the hard limit. */
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		err(1, "getrlimit");
	if (limit.rlim_max < DESCRIPTORS && setrlimit(RLIMIT_NOFILE, &wish) == 0)
		return DESCRIPTORS;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		err(1, "setrlimit");
	return limit.rlim_cur;
}

bool net_set_congestion(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) == 0 ||
	       setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0;
}

/* Root may exceed the limit; anyone else is limited by net.core. */
static void set_buffer(int fd, int forced, int allowed)
{
	int bytes = NET_BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) != 0 &&
	    setsockopt(fd, SOL_SOCKET, allowed, &bytes, sizeof(bytes)) != 0)
		err(1, "buffer size");
}

static int make_socket(void)
{
	/* A close resets: thousands of sockets in TIME_WAIT would exhaust the ports. */
	const struct linger reset = {.l_onoff = 1};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		err(1, "socket");
	net_set_congestion(fd);
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		err(1, "TCP_NODELAY");
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) != 0)
		err(1, "SO_LINGER");
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	return fd;
}

static void watch(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "receiver: epoll_ctl");
}

static void accept_all(int epoll_fd, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		watch(epoll_fd, fd);
	if (errno != EAGAIN)
		err(1, "receiver: accept");
}

static void receive_some(const struct receiver *receiver, int fd, size_t bytes, int flags)
{
	static char buffer[RECEIVE_BYTES];
	ssize_t got = recv(fd, buffer, bytes, MSG_DONTWAIT | flags);

	if (got == 0 || (got < 0 && errno != EAGAIN))
		close(fd);
	if (got > 0)
		__atomic_store_n(receiver->received, *receiver->received + (uint64_t)got,
				 __ATOMIC_RELEASE);
}

/* As many as available: UDP delivers one per call, unless UDP_GRO is set. */
static void receive_datagrams(int fd, int flags)
{
	static char buffers[64][2048];
	struct iovec segments[64];
	struct mmsghdr messages[64];

	memset(messages, 0, sizeof(messages));
	for (int i = 0; i < 64; i++) {
		segments[i] = (struct iovec){buffers[i], flags & MSG_TRUNC ? 0 : 2048};
		messages[i].msg_hdr.msg_iov = &segments[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (recvmmsg(fd, messages, 64, MSG_DONTWAIT | flags, NULL) == 64)
		;
}

_Noreturn static void receive_for_ever(int listener, int datagrams, const struct receiver *receiver)
{
	int flags = receiver->mode == RECEIVER_COPIES ? 0 : MSG_TRUNC;
	size_t bytes = receiver->mode == RECEIVER_SLOW ? CRAWL_BYTES : RECEIVE_BYTES;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[256];

	if (epoll_fd < 0)
		err(1, "receiver: epoll_create1");
	watch(epoll_fd, listener);
	watch(epoll_fd, datagrams);
	for (;;) {
		int ready = epoll_wait(epoll_fd, events, 256, -1);

		for (int i = 0; i < ready; i++) {
			if (events[i].data.fd == listener)
				accept_all(epoll_fd, listener);
			else if (events[i].data.fd == datagrams)
				receive_datagrams(datagrams, flags);
			else
				receive_some(receiver, events[i].data.fd, bytes, flags);
		}
		if (receiver->receiver_sleep_us)
			usleep((useconds_t)receiver->receiver_sleep_us);
	}
}

int net_listen(uint16_t *ret_port)
{
	/* In all of 127.0.0.0/8; connections from elsewhere are rejected. */
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
	socklen_t length = sizeof(address);
	int fd = make_socket();

	/* Accepted sockets inherit the listener's options. */
	if (bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		err(1, "cannot listen on loopback");
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int make_datagram_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	return fd;
}

static int bind_to_loopback(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = make_datagram_socket();

	if (bind(fd, (struct sockaddr *)&address, length) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		err(1, "cannot bind to loopback");
	*ret_port = ntohs(address.sin_port);
	return fd;
}

void receiver_start(struct receiver *receiver, enum receiver_mode mode, int cpu,
		    int receiver_sleep_us)
{
	pid_t parent = getpid();
	int listener, datagrams;

	*receiver =
		(struct receiver){.mode = mode, .receiver_sleep_us = receiver_sleep_us, .cpu = cpu};
	if (mode == RECEIVER_SLOW)
		receiver->receiver_sleep_us = CRAWL_US;
	receiver->received = mmap(NULL, sizeof(*receiver->received), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (receiver->received == MAP_FAILED)
		err(1, "receiver");
	listener = net_listen(&receiver->port);
	datagrams = bind_to_loopback(&receiver->datagram_port);
	receiver->process = fork();
	if (receiver->process < 0)
		err(1, "fork");
	if (receiver->process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		net_pin(receiver->cpu);
		receive_for_ever(listener, datagrams, receiver);
	}
	close(datagrams);
	close(listener);
}

void receiver_stop(struct receiver *receiver)
{
	kill(receiver->process, SIGKILL);
	waitpid(receiver->process, NULL, 0);
	munmap(receiver->received, sizeof(*receiver->received));
}

uint64_t receiver_received(const struct receiver *receiver)
{
	return __atomic_load_n(receiver->received, __ATOMIC_ACQUIRE);
}

const char *receiver_name(enum receiver_mode mode)
{
	static const char *const names[RECEIVER_MODES] = {"discards", "copies", "reads slowly",
							  "asks"};

	return names[mode];
}

int net_connect(const struct receiver *receiver)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(receiver->port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = make_socket();

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		if (errno != EINPROGRESS)
			err(1, "connect");
		net_wait_writable(fd);
	}
	return fd;
}

int net_connect_datagrams(const struct receiver *receiver)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(receiver->datagram_port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = make_datagram_socket();

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		err(1, "connect");
	return fd;
}

static void wait_for(int fd, short events)
{
	struct pollfd wait = {.fd = fd, .events = events};

	while (poll(&wait, 1, -1) != 1) {
		if (errno != EINTR)
			err(1, "poll");
	}
	if (wait.revents & (POLLERR | POLLHUP))
		errx(1, "the receiver is gone");
}

void net_wait_writable(int fd)
{
	wait_for(fd, POLLOUT);
}

void net_wait_readable(int fd)
{
	wait_for(fd, POLLIN);
}
