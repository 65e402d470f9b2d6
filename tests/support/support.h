/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the contract share: an engine on the backend that SLUICE_BACKEND names, with
 * every operation counted; connected pairs; and peers that check what arrives.
 *
 * ENGINE_TEST and its kin own all of this: they make the engine and what a test works on, and
 * assert after the test's body that every accepted operation ended exactly once and that neither a
 * descriptor nor memory is left. What holds for every operation (a refused record is untouched, all
 * members of a completed one agree, no handler runs inside a starting call) is asserted in start()
 * and in the handler.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include <sluice/sluice.h>

#include "cases.h"

#define MILLISECOND INT64_C(1000000)
#define SECOND INT64_C(1000000000)

/*
 * What should happen at once and has not within this time never will, even on a busy machine.
 * meson.build allows a program longer.
 */
#define GUARD_NS (60 * SECOND)

/* A socket buffer so small that a few sends fill it. */
#define SMALL 16384

struct fixture {
	struct sluice_engine *engine;
	uint64_t pending; /* operations that were accepted and have not ended */
	uint64_t handled; /* handler calls of operations */
	int inside_call;  /* not 0: in a call that must not run a handler */
	int descriptors;  /* open before the engine was made */
};

struct operation;
typedef void operation_fn(struct operation *operation);

/* A record with what the test wants to know of it. */
struct operation {
	struct sluice_args args; /* the first member, so that the handler finds the rest */
	struct fixture *fixture;
	struct sluice_socket *socket; /* that the handler was called with */
	operation_fn *then;           /* runs in the handler; may start the operation again */
	void *token;                  /* the test's */
	uint32_t pending;             /* 1 from the acceptance to the handler */
	uint32_t handled;             /* handler calls */
	uint64_t turn;                /* the last handler call's place among all of the fixture's */
};

/* A socket of the engine's, and the other end of it, which is the test's. */
struct pair {
	struct sluice_socket *socket;
	int peer;
};

typedef int start_fn(struct sluice_socket *socket, struct sluice_args *args);

/* ---- the engine ---- */

/*
 * Makes the engine; skips the test where the ring is asked for and the machine has none. Without
 * options SLUICE_TEST_TRANSMIT_WAY=ring or =inline chooses that way, and SLUICE_TEST_SUBMISSION_THREAD asks for
 * that thread, or skips the test where the kernel lends none.
 */
void fixture_begin(struct fixture *fixture);
void fixture_begin_with(struct fixture *fixture, const struct sluice_options *options);

/* Skips the test where an engine that asked for a submission thread has none. */
void skip_without_thread(struct fixture *fixture);

/*
 * Destroys the engine (unless the test did, and set it to NULL) and asserts that no descriptor was left;
 * memory is searched for at the case's exit.
 * All operations have to be over; a test of what destroy aborts destroys the engine itself.
 */
void fixture_end(struct fixture *fixture);

/*
 * Defines a test as Test does. Its body has an engine, `fixture`, which is made before the
 * body and ended after it. Nothing may then refer to a variable of the body: a test whose handlers,
 * timers or callbacks may still do so is a Test that calls fixture_begin and fixture_end itself.
 */
#define ENGINE_TEST(row, name)                            \
	static void name##_body(struct fixture *fixture); \
	Test(row, name)                                   \
	{                                                 \
		struct fixture fixture;                   \
                                                          \
		fixture_begin(&fixture);                  \
		name##_body(&fixture);                    \
		fixture_end(&fixture);                    \
	}                                                 \
	static void name##_body(struct fixture *fixture)

/* As ENGINE_TEST, with a `struct subject *subject` that `begin` makes and `end` ends. */
#define SUBJECT_TEST(row, name, subject, begin, end)                               \
	static void name##_with(struct fixture *fixture, struct subject *subject); \
	ENGINE_TEST(row, name)                                                     \
	{                                                                          \
		struct subject subject;                                            \
                                                                                   \
		begin;                                                             \
		name##_with(fixture, &subject);                                    \
		end;                                                               \
	}                                                                          \
	static void name##_with(struct fixture *fixture, struct subject *subject)

/* `pair` is made by tcp_pair, udp_pair or unix_pair, which follows with its last argument. */
#define PAIR_TEST(row, name, make, ...) \
	SUBJECT_TEST(row, name, pair, make(fixture, &pair, ##__VA_ARGS__), pair_close(&pair))

/* `blocked` is made by blocked_begin or blocked_begin_unix. */
#define BLOCKED_TEST(row, name, make) \
	SUBJECT_TEST(row, name, blocked, make(fixture, &blocked), blocked_end(&blocked))

/*
 * Defines a test as Test does, with a `struct subject *subject` that `begin` makes and `end` ends, the
 * engine included.
 */
#define OWNER_TEST(row, name, subject, begin, end)        \
	static void name##_body(struct subject *subject); \
	Test(row, name)                                   \
	{                                                 \
		struct subject subject;                   \
                                                          \
		begin;                                    \
		name##_body(&subject);                    \
		end;                                      \
	}                                                 \
	static void name##_body(struct subject *subject)

/*
 * The body has a `scene`, whose type and whose scene_begin and scene_end are those of the file or of
 * files.h; the arguments behind the name are scene_begin's.
 */
#define SCENE_TEST(row, name, ...) \
	OWNER_TEST(row, name, scene, scene_begin(&scene, ##__VA_ARGS__), scene_end(&scene))

/* One turn that waits so long at most; fails the test when run answers an error. */
void run_for(struct fixture *fixture, int64_t timeout_ns);

/* One turn that waits until the deadline at most; fails the test when that has passed. */
void run_turn(struct fixture *fixture, int64_t deadline_ns, const char *awaited);

/* Runs the engine until the condition holds, sleeping in the kernel where it has nothing to do. */
#define run_until(fixture, condition)                                      \
	do {                                                               \
		int64_t run_until_deadline = now_ns() + GUARD_NS;          \
		while (!(condition))                                       \
			run_turn(fixture, run_until_deadline, #condition); \
	} while (0)

/* A few turns that wait for nothing, for tests of what must not happen. */
void run_idle(struct fixture *fixture);

/* Open descriptors of the process. */
int count_descriptors(void);

int64_t now_ns(void);

/* ---- operations ---- */

/* A new record whose handler counts. */
void operation_init(struct operation *operation, struct fixture *fixture);

/* As operation_init, for an array. The memory is the caller's to free. */
struct operation *operations_new(struct fixture *fixture, size_t count);

/*
 * Starts the operation, checks the record against the answer, counts it, and returns the answer.
 * Only in the engine's thread.
 */
int start(start_fn *begin, struct sluice_socket *socket, struct operation *operation);

/* set_buffer of all length bytes, then send_async. */
int start_send(struct sluice_socket *socket, struct operation *operation, const void *base,
	       size_t length);

/* set_receive_buffer of all length bytes, then receive_async. */
int start_receive(struct sluice_socket *socket, struct operation *operation, void *base,
		  size_t length);

/* connect_async; the address is the caller's to keep. */
int start_connect(struct sluice_socket *socket, struct operation *operation,
		  const struct sockaddr_in *address);

/* As these, and run the engine until the operation has ended; it must not be refused. */
void run_start(start_fn *begin, struct sluice_socket *socket, struct operation *operation);
void run_send(struct sluice_socket *socket, struct operation *operation, const void *base,
	      size_t length);
void run_receive(struct sluice_socket *socket, struct operation *operation, void *base,
		 size_t length);
void run_connect(struct sluice_socket *socket, struct operation *operation,
		 const struct sockaddr_in *address);

/* Not an operation in progress: it ended, or it never began. */
static inline bool is_over(const struct operation *operation)
{
	return operation->pending == 0;
}

/* Whether all of an array are over. */
bool are_over(const struct operation *operations, size_t count);

/* The operation is over with this SocketError, and with so many bytes. */
#define assert_ended(record, socket_error, bytes)                               \
	do {                                                                    \
		const struct operation *ended = (record);                       \
		cr_assert(is_over(ended), "%s is still in progress", #record);  \
		cr_assert_eq(ended->args.error, (int32_t)(socket_error),        \
			     "%s ended with %s, not %s", #record,               \
			     sluice_socket_error_name(ended->args.error),       \
			     sluice_socket_error_name(socket_error));           \
		cr_assert_eq(ended->args.bytes_transferred, (uint64_t)(bytes),  \
			     "%s ended with %llu bytes, not %llu", #record,     \
			     (unsigned long long)ended->args.bytes_transferred, \
			     (unsigned long long)(bytes));                      \
	} while (0)

/* ---- sockets ---- */

/* 127.0.0.1 with this port, in host order. */
struct sockaddr_in loopback(uint16_t port);

/* The port that a descriptor is bound to, in host order. */
uint16_t port_of(int fd);

/* A TCP listener on an ephemeral port of 127.0.0.1; SO_RCVBUF of what it accepts, 0: the default. */
int listen_tcp(int receive_bytes);

/* A new TCP descriptor, without pacing (if allowed) and without Nagle; SO_SNDBUF, 0: the default. */
int new_tcp(int send_bytes);

/* attach, asserting that it worked. */
struct sluice_socket *attach(struct fixture *fixture, int fd);

/*
 * A connected pair. Buffers of `bytes` in both directions (0: the default). The peer blocks, no
 * longer than GUARD_NS.
 */
void tcp_pair(struct fixture *fixture, struct pair *pair, int bytes);

/* UDP, each connected to the other. */
void udp_pair(struct fixture *fixture, struct pair *pair);

/* socketpair(2): SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. */
void unix_pair(struct fixture *fixture, struct pair *pair, int type);

/* Two attached TCP sockets, connected to each other. */
void attached_pair(struct fixture *fixture, struct sluice_socket **ret_one,
		   struct sluice_socket **ret_other);

/* Destroys the socket and closes the peer. */
void pair_close(struct pair *pair);

/* A pair whose peer does not read, and a send that is in progress because of it. */
struct blocked {
	struct pair pair;
	struct operation head; /* HEAD_BYTES of the pattern, from 0 on */
	void *bytes;
};

#define HEAD_BYTES ((size_t)1048583)

/* TCP with small buffers. */
void blocked_begin(struct fixture *fixture, struct blocked *blocked);

/* socketpair(AF_UNIX, SOCK_STREAM). */
void blocked_begin_unix(struct fixture *fixture, struct blocked *blocked);

/* Closes the pair and frees the bytes; the head has to be over. */
void blocked_end(struct blocked *blocked);

/* Closes a TCP descriptor so that the other end is reset. */
void close_with_reset(int fd);

/* ---- bytes ---- */

#define PATTERN_PERIOD 251

/* Byte number `position` of the pattern that the tests send. */
static inline unsigned char pattern_at(uint64_t position)
{
	return (unsigned char)(position % PATTERN_PERIOD);
}

/* A segment of a list; the memory is only read. */
static inline struct iovec segment(const void *base, size_t length)
{
	return (struct iovec){(void *)(uintptr_t)base, length};
}

/* The pattern from position on. */
void pattern_fill(void *base, size_t length, uint64_t position);

/* Writes it into a file, from the file's beginning. */
void pattern_write(int file, size_t length, uint64_t position);

/* malloc'ed, filled with the pattern from position on. */
void *pattern_new(size_t length, uint64_t position);

/* Whether the bytes are the pattern from position on. */
bool pattern_matches(const void *base, size_t length, uint64_t position);

/* Reads exactly length bytes from a peer that blocks; fails the test at the end or at an error. */
void read_exactly(int fd, void *base, size_t length);

/* read_exactly, and asserts the pattern from position on. */
void read_pattern(int fd, size_t length, uint64_t position);

/* As read_pattern, running the engine meanwhile, which has yet to send the bytes. */
void run_reading(struct fixture *fixture, int fd, size_t length, uint64_t position);

/*
 * Runs the engine and reads the pattern from position on, to the end of the stream or to an error
 * other than EAGAIN, which comes back in ret_error (0: the end). Returns the bytes that came.
 */
uint64_t run_reading_to_end(struct fixture *fixture, int fd, uint64_t position, int *ret_error);

/* Asserts that the peer's next read meets the end of the stream, without an error. */
void assert_end_of_stream(int fd);

/* Asserts that there is nothing to be read just now, neither bytes nor an end. */
void assert_nothing_to_read(int fd);

/*
 * Sends the pattern from position on from a peer that blocks: WRITE_MOST bytes at most, which the
 * kernel takes whatever its default buffers are, since this thread is often the one that runs the
 * engine.
 */
void write_pattern(int fd, size_t length, uint64_t position);

#define WRITE_MOST ((size_t)16384)

/* The same of any length, as much as the kernel takes without waiting; how much that was. */
size_t write_what_fits(int fd, size_t length, uint64_t position);

/* Writes all of it, running the engine meanwhile, which receives the bytes. */
void run_writing(struct fixture *fixture, int fd, size_t length, uint64_t position);

/* ---- a peer with a thread of its own ---- */

/* Reads to the end of the stream, or to an error, and compares with the pattern. */
struct reader {
	pthread_t thread;
	int fd;
	size_t chunk;        /* bytes a read */
	uint64_t bytes;      /* read by you after reader_join: how many came */
	uint64_t mismatches; /* chunks that are not the pattern */
	int error;           /* errno of the last read; 0: the end of the stream */
};

/* Starts to read; position is that of the first byte. The descriptor stays the caller's. */
void reader_start(struct reader *reader, int fd, uint64_t position);

/* As reader_start, with small reads, so that the sender has to wait again and again. */
void reader_start_slow(struct reader *reader, int fd, uint64_t position);

/* Waits for the end of the stream and asserts that every byte was the pattern's. */
void reader_join(struct reader *reader);

#endif
