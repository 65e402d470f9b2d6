/* SPDX-License-Identifier: MIT */
/*
 * The record: one operation, filled in by you, run by the library, read by you afterwards
 * (System.Net.Sockets.SocketAsyncEventArgs).
 *
 * It is yours: on your stack, in your structure, in your pool. All zero is a valid record. While
 * it is in progress it must not be moved or freed, nor its bytes, segments, packets and addresses;
 * from the moment its handler is called, or the starting call has returned 0 or an error, it is
 * yours again.
 */
#ifndef SLUICE_ARGS_H
#define SLUICE_ARGS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_args;
struct sluice_socket;

/*
 * A record's handler (SocketAsyncEventArgs.Completed). Runs exactly once for each operation that
 * was started with 1 as the answer, in the engine's own thread, from sluice_engine_run. It may
 * restart, change, dispose or free the record, and call everything but run, stop and destroy.
 */
typedef void sluice_completed_fn(struct sluice_socket *socket, struct sluice_args *args);

/* System.Net.Sockets.SocketAsyncOperation. */
enum sluice_operation {
	SLUICE_OPERATION_NONE,
	SLUICE_OPERATION_ACCEPT,
	SLUICE_OPERATION_CONNECT,
	SLUICE_OPERATION_DISCONNECT,
	SLUICE_OPERATION_RECEIVE,
	SLUICE_OPERATION_RECEIVE_FROM,
	SLUICE_OPERATION_RECEIVE_MESSAGE_FROM,
	SLUICE_OPERATION_SEND,
	SLUICE_OPERATION_SEND_PACKETS,
	SLUICE_OPERATION_SEND_TO
};

/* System.Net.Sockets.SocketFlags, and ours from 0x10000 up. */
enum {
	SLUICE_FLAG_OUT_OF_BAND = 0x1,
	SLUICE_FLAG_PEEK = 0x2,
	SLUICE_FLAG_DONT_ROUTE = 0x4,
	SLUICE_FLAG_PARTIAL = 0x8000, /* complete with the first bytes that the kernel takes */
	SLUICE_FLAG_MORE = 0x10000,   /* more follows at once: hold back, 200 ms at most */
	SLUICE_FLAG_EAGER = 0x20000,  /* try at once, also inside a handler or a batch */
	SLUICE_FLAG_BATCHED = 0x40000 /* queue, also outside of them */
};

/* System.Net.Sockets.TransmitFileOptions, and ours from 0x10000 up. */
enum {
	SLUICE_TRANSMIT_DISCONNECT = 0x1,         /* FIN after the last byte */
	SLUICE_TRANSMIT_REUSE_SOCKET = 0x2,       /* the same, and the socket may connect again */
	SLUICE_TRANSMIT_WRITE_BEHIND = 0x4,       /* means nothing on Linux */
	SLUICE_TRANSMIT_USE_SYSTEM_THREAD = 0x10, /* means nothing on Linux */
	SLUICE_TRANSMIT_USE_KERNEL_APC = 0x20,    /* means nothing on Linux */
	SLUICE_TRANSMIT_COPY = 0x10000            /* read the file, do not send by reference */
};

/* What an element of sluice_send_packets_async is made of. */
enum {
	SLUICE_PACKET_NONE,
	SLUICE_PACKET_MEMORY,
	SLUICE_PACKET_PATH,
	SLUICE_PACKET_FILE
};

/*
 * One element of a sluice_send_packets_async (SendPacketsElement). All zero is an empty element,
 * which is skipped.
 *
 * A descriptor is looked at by fstat(2) before the first byte leaves. Who keeps files open and has
 * looked at them already, like a server with a cache, saves that system call with an identity: a
 * number that stands for this file and no other one of this engine's for as long as the engine
 * lives. It vouches that fd is a regular file and holds count bytes from offset on; count must not
 * be 0. A file that has become shorter meanwhile fails like one that shrinks while it is sent, with
 * SLUICE_ERROR_NO_DATA in its turn, and behind its first bytes that breaks the stream.
 */
struct sluice_packet {
	uint32_t kind;     /* SLUICE_PACKET_* */
	int32_t fd;        /* _FILE: borrowed; not closed, its position neither used nor moved */
	const void *base;  /* _MEMORY */
	const char *path;  /* _PATH: opened by the starting call, closed before the handler runs */
	int64_t offset;    /* into the memory or the file */
	int64_t count;     /* 0 of a file: to its end as it is at the start; 0 of memory: nothing */
	uint64_t identity; /* _FILE: of a known file, see above, or 0; others: 0 */
};

/* Segments that set_buffer_list copies into the record; longer lists stay in your array. */
#define SLUICE_INLINE_SEGMENTS 2

struct sluice_args {
	/* Set by you before the start. */
	sluice_completed_fn *completed; /* NULL: sluice_args_in_progress tells the end */
	void *user_token;               /* yours; never touched */
	uint32_t flags;                 /* SLUICE_FLAG_*; 0 again after the operation */
	uint32_t reserved;              /* 0 */
	int64_t timeout_ns;             /* from the start of the operation; 0: none */

	/* Read by you after the end. */
	int32_t error;              /* enum sluice_socket_error */
	int32_t native_error;       /* errno, 0 with success */
	uint64_t bytes_transferred; /* also with an error: what the stream now holds of it */
	uint32_t last_operation;    /* enum sluice_operation; set when the operation is accepted */

	/* Set by you, for some operations. */
	uint32_t transmit_flags;             /* send_packets: SLUICE_TRANSMIT_* */
	struct sluice_socket *accept_socket; /* read by you: the new one, yours to destroy */

	/* The library's: the running operation. */
	struct {
		uintptr_t owner;   /* the socket it is in progress on, with bits beside; 0: free */
		uint32_t op_flags; /* what is unusual about it */
		uint32_t disposed; /* written by any thread */
		struct sluice_args *next;
		struct sluice_args **link; /* what points here */
		uint64_t total;            /* bytes asked for */
		const void *base;          /* the buffer, or the segments of a list */
		uint64_t count;            /* segments of a list */
		uint64_t sent;             /* bytes taken so far; 0 while free */
	} run;

	/* Set by you, for some operations. */
	const struct sockaddr *remote_address; /* send_to, connect; unchanged until the end */
	struct sockaddr *from_address;         /* receive_from: where to put the sender's address */
	socklen_t remote_address_length;
	socklen_t from_capacity;          /* room at from_address */
	socklen_t from_length;            /* read by you: the length of the address that came */
	uint32_t disconnect_reuse_socket; /* disconnect: not 0, the socket may connect again */

	/* The library's: what is rare. */
	struct {
		const struct sluice_packet *packets;
		uint64_t packet_count;
		struct iovec segments[SLUICE_INLINE_SEGMENTS];
		uint32_t thread;        /* that started it, where that matters */
		uint32_t segment_index; /* where in a list the sending stands */
		uint64_t segment_offset;
		void *timer[3];
		void *side; /* pooled: the state of files */
	} rare;
};

/*
 * Makes the record new, whatever was there before; also a disposed one. It must not be in
 * progress. The memory is yours. Any thread. Returns 0, or -EINVAL for NULL. Since 0.1.
 */
int sluice_args_init(struct sluice_args *args);

/*
 * Ends the record's use (SocketAsyncEventArgs.Dispose): from then on starting or changing it is
 * -EBADF. In progress, this takes effect when the operation ends, before its handler runs. Nothing
 * is freed: the memory is yours. Twice is harmless. Any thread. Returns 0, or -EINVAL for NULL.
 * Since 0.1.
 */
int sluice_args_dispose(struct sluice_args *args);

/*
 * 1 while the operation is in progress, else 0: then its results may be read. If a handler is set,
 * the record is yours again only when the handler runs: until then, do not free, move or start it,
 * even if this is 0. Any thread. -EINVAL for NULL. Since 0.1.
 */
int sluice_args_in_progress(const struct sluice_args *args);

/*
 * What to send: count bytes from offset into the length bytes at base (SetBuffer). The bytes are
 * never copied or written to; they stay yours, unchanged, until the operation has ended. NULL with
 * count 0 clears. A count of 0 is a zero-byte send. No bytes (an address and a count of 0) and no
 * buffer (NULL) are two things: if your bytes may be empty and without an address, give "". The record's user's thread.
 * Returns 0; -EBUSY in progress; -EBADF disposed; -ERANGE for a bad offset or count, the old buffer
 * stays; -EINVAL for NULL with a count, or while a list is set. Since 0.1.
 */
int sluice_args_set_buffer(struct sluice_args *args, const void *base, size_t length,
			   int64_t offset, int64_t count);

/*
 * Where to receive: as set_buffer, into the same place, but memory that may be written to. Such a
 * record can also be sent from. Since 0.1.
 */
int sluice_args_set_receive_buffer(struct sluice_args *args, void *base, size_t length,
				   int64_t offset, int64_t count);

/*
 * Several buffers, sent as if they were one (BufferList). Up to SLUICE_INLINE_SEGMENTS segments
 * are copied; a longer array stays yours, unchanged, until the operation has ended. Empty segments
 * count for nothing. NULL, 0 clears. For a receive the memory must be writable.
 * Returns 0; -EBUSY, -EBADF as above; -EINVAL for an empty list, for a segment NULL with a length,
 * or while a buffer is set; the old list stays. Since 0.1.
 */
int sluice_args_set_buffer_list(struct sluice_args *args, const struct iovec *segments,
				size_t segment_count);

/*
 * Memory and files, sent in order by sluice_send_packets_async (SendPacketsElements). The array,
 * the paths and the memory stay yours, unchanged, until the operation has ended. An array of no
 * elements (not NULL) sends nothing, successfully; NULL, 0 clears.
 * Returns 0; -EBUSY, -EBADF as above; -ERANGE for a negative offset or count; -EINVAL for an
 * unknown kind, a path or memory that is NULL, or an identity of an element that is no file or
 * whose count is 0. Since 0.1.
 */
int sluice_args_set_packets(struct sluice_args *args, const struct sluice_packet *packets,
			    size_t packet_count);

#ifdef __cplusplus
}
#endif
#endif
