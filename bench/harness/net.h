/* SPDX-License-Identifier: MIT */
/*
 * The network between the runners and their receivers: TCP or UDP over loopback to a process on
 * another core, so that the receiver's work is not charged to the sender.
 */
#ifndef BENCH_HARNESS_NET_H
#define BENCH_HARNESS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum receiver_mode {
	RECEIVER_DISCARDS, /* MSG_TRUNC: the bytes are dropped in the kernel */
	RECEIVER_COPIES,   /* into a buffer, like a real peer */
	RECEIVER_SLOW,     /* also drops them, but only some of them every millisecond */
	RECEIVER_ASKS,     /* a client that waits for answers to its questions: client.h */
	RECEIVER_MODES
};

struct receiver {
	enum receiver_mode mode;
	int receiver_sleep_us; /* pause after each read; 0: a send wakes it */
	int cpu;               /* the core to which it is pinned */
	pid_t process;
	uint16_t port;
	uint16_t datagram_port;
	uint64_t *received; /* bytes of all streams so far; counted by its process */
};

/* The same, for the process that has started it. */
uint64_t receiver_received(const struct receiver *receiver);

/* "discards", "copies" */
const char *receiver_name(enum receiver_mode mode);

/* Pins the calling thread, and the threads and kernel workers it starts later, to one core. */
void net_pin(int cpu);

/*
 * Raises the limit of descriptors as far as needed and permitted, and returns it: 1,000 sockets do
 * not fit in 1,024.
 */
size_t net_lift_descriptor_limit(void);

/* Starts the receiver's process. Must be called before any thread is started, because it forks. */
void receiver_start(struct receiver *receiver, enum receiver_mode mode, int cpu,
		    int receiver_sleep_us);

/* Ends it. It also ends with the process that started it. */
void receiver_stop(struct receiver *receiver);

/*
 * Sets a congestion control that does not pace: cubic, or Reno if cubic is not allowed. Some machines
 * default to BBR, whose pacing spoils loopback. False if neither is allowed: the default remains.
 */
bool net_set_congestion(int fd);

/*
 * Every socket, on both sides, has TCP_NODELAY, that congestion control and these buffer sizes.
 * Buffers that the kernel resizes end up different on each socket, for its lifetime: a program then
 * differs from itself by a quarter.
 */
#define NET_BUFFER_BYTES (1 << 20) /* the kernel doubles it for its own overhead */

/* A connected, non-blocking socket to the receiver, owned by the caller. */
int net_connect(const struct receiver *receiver);
/* The same by UDP. Datagrams beyond the receiver's speed are lost. */
int net_connect_datagrams(const struct receiver *receiver);

/* A non-blocking listener on loopback, and its port. */
int net_listen(uint16_t *ret_port);

/* Waits until a full socket is writable again; until it is readable. */
void net_wait_writable(int fd);
void net_wait_readable(int fd);

#ifdef __cplusplus
}
#endif
#endif
