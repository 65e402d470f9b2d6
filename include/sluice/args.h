/* SPDX-License-Identifier: MIT */
/*
 * The record: one operation, filled in by the caller, run by the library, its results read
 * afterwards (System.Net.Sockets.SocketAsyncEventArgs).
 *
 * The caller owns it and allocates it anywhere: on the stack, inside another structure, in a pool.
 * All zero is a valid record. While the operation is in progress, do not move or free the record
 * or the bytes, segments, packets and addresses that it refers to. The record is yours again when
 * its handler is called, or when the starting call returns 0 or an error.
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
 * A record's handler (SocketAsyncEventArgs.Completed). Runs exactly once for each operation whose
 * starting call returned 1, on the engine's thread, from sluice_engine_run. It may restart, change,
 * dispose or free the record, and may call everything except run, stop and destroy.
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

/* System.Net.Sockets.SocketFlags; from 0x10000 up, extensions of sluice. */
enum {
	SLUICE_FLAG_OUT_OF_BAND = 0x1,
	SLUICE_FLAG_PEEK = 0x2,
	SLUICE_FLAG_DONT_ROUTE = 0x4,
	SLUICE_FLAG_PARTIAL = 0x8000, /* complete as soon as the kernel accepts any bytes */
	SLUICE_FLAG_MORE = 0x10000,   /* more data follows: hold back, for 200 ms at most */
	SLUICE_FLAG_EAGER = 0x20000,  /* try synchronously, even inside a handler or a batch */
	SLUICE_FLAG_BATCHED = 0x40000 /* queue, even outside a handler or a batch, in any thread */
};

/* System.Net.Sockets.TransmitFileOptions; from 0x10000 up, extensions of sluice. */
enum {
	SLUICE_TRANSMIT_DISCONNECT = 0x1,         /* FIN after the last byte */
	SLUICE_TRANSMIT_REUSE_SOCKET = 0x2,       /* FIN, and the socket may connect again */
	SLUICE_TRANSMIT_WRITE_BEHIND = 0x4,       /* ignored on Linux */
	SLUICE_TRANSMIT_USE_SYSTEM_THREAD = 0x10, /* ignored on Linux */
	SLUICE_TRANSMIT_USE_KERNEL_APC = 0x20,    /* ignored on Linux */
	SLUICE_TRANSMIT_COPY = 0x10000            /* read the file and send the copy */
};

/* The kind of an element of sluice_send_packets_async. */
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
 * The library calls fstat(2) on a descriptor before the first byte is sent. If you already know the
 * file's size (a file cache does), set identity to skip that call: a number unique to this file
 * among all files sent through this engine, for the life of the engine. It asserts that fd is a
 * regular file that holds count bytes from offset on; count must not be 0. If the file has become
 * shorter, the record fails like one whose file shrinks while it is sent: with
 * SLUICE_ERROR_NO_DATA, in its turn. If some of its bytes were sent already, the stream fails too.
 */
struct sluice_packet {
	uint32_t kind;     /* SLUICE_PACKET_* */
	int32_t fd;        /* _FILE: borrowed: close it in the handler. Its position is not used */
	const void *base;  /* _MEMORY */
	const char *path;  /* _PATH: opened by the starting call, closed before the handler runs */
	int64_t offset;    /* in the memory or the file */
	int64_t count;     /* bytes; 0 for a file: up to its size at the start; for memory: none */
	uint64_t identity; /* _FILE: of an already known file, see above, or 0; other kinds: 0 */
};

/* Segments that set_buffer_list copies into the record; a longer list stays the caller's array. */
#define SLUICE_INLINE_SEGMENTS 2

struct sluice_args {
	/* Set by the caller before the start. */
	sluice_completed_fn *completed; /* handler; NULL: poll sluice_args_in_progress */
	void *user_token;               /* the caller's; never touched */
	uint32_t flags;                 /* SLUICE_FLAG_*; reset to 0 by the operation */
	uint32_t reserved;              /* 0 */
	int64_t timeout_ns;             /* from the start of the operation; 0: none */

	/* Results, valid after completion. */
	int32_t error;              /* enum sluice_socket_error */
	int32_t native_error;       /* errno; 0 on success */
	uint64_t bytes_transferred; /* valid on error too: bytes the kernel already took */
	uint32_t last_operation;    /* enum sluice_operation; set when the operation is accepted */

	/* Set by the caller, for some operations. */
	uint32_t transmit_flags;             /* send_packets: SLUICE_TRANSMIT_* */
	struct sluice_socket *accept_socket; /* result: the accepted socket, yours to destroy */

	/* Private: the operation in progress. */
	struct {
		uintptr_t owner;   /* socket of the operation, and flag bits; 0: free */
		uint32_t op_flags; /* SLUICE__OP_* */
		uint32_t disposed; /* written by any thread */
		struct sluice_args *next;
		struct sluice_args **link; /* the pointer that points to this record */
		uint64_t total;            /* bytes requested */
		const void *base;          /* the buffer, or the segments of a list */
		uint64_t count;            /* segments of a list */
		uint64_t sent;             /* bytes the kernel took so far; 0 while free */
	} run;

	/* Set by the caller, for some operations. */
	const struct sockaddr *remote_address; /* send_to, connect; unchanged until completion */
	struct sockaddr *from_address;         /* receive_from: buffer for the sender's address */
	socklen_t remote_address_length;
	socklen_t from_capacity;          /* bytes at from_address */
	socklen_t from_length;            /* result: full length of the sender's address */
	uint32_t disconnect_reuse_socket; /* disconnect: not 0, the socket may connect again */

	/* Private: rarely used state. */
	struct {
		const struct sluice_packet *packets;
		uint64_t packet_count;
		struct iovec segments[SLUICE_INLINE_SEGMENTS];
		uint32_t thread;        /* starting thread, if cancel_on_thread_exit is set */
		uint32_t segment_index; /* next segment to send of a list */
		uint64_t segment_offset;
		void *timer[3];
		void *side; /* file state, from a pool */
	} rare;
};

/*
 * Initialises the record, whatever it held before, disposed or not. It must not be in progress. The
 * memory stays the caller's. Any thread. Returns 0, or -EINVAL for NULL. Since 0.1.
 */
int sluice_args_init(struct sluice_args *args);

/*
 * Disposes the record (SocketAsyncEventArgs.Dispose): afterwards, starting or changing it fails
 * with -EBADF. If it is in progress, this takes effect when the operation completes, before its
 * handler runs. Nothing is freed: the memory is the caller's. Disposing twice is allowed. Any
 * thread. Returns 0, or -EINVAL for NULL. Since 0.1.
 */
int sluice_args_dispose(struct sluice_args *args);

/*
 * Returns 1 while the operation is in progress, else 0: then its results may be read. If a handler
 * is set, the record is yours again only when the handler runs: until then, do not free, move or
 * start it, even if this returns 0. Any thread. Returns -EINVAL for NULL. Since 0.1.
 */
int sluice_args_in_progress(const struct sluice_args *args);

/*
 * Sets what to send: count bytes at offset of the length bytes at base (SetBuffer). The bytes are
 * never written to and need not be copied, but small ones may be; they stay the caller's and must
 * not change until the operation has completed. NULL with a count of 0 clears the buffer. An
 * address with a count of 0 is a zero-byte send, which differs from no buffer (NULL): if your data
 * may be empty and have no address, pass "". The thread that uses the record. Returns 0; -EBUSY in
 * progress; -EBADF disposed; -ERANGE for an offset outside of 0 to length, or else for a count
 * outside of 0 to length - offset, and the old buffer stays; -EINVAL for NULL with a count, or
 * while a list is set. Since 0.1.
 */
int sluice_args_set_buffer(struct sluice_args *args, const void *base, size_t length,
			   int64_t offset, int64_t count);

/*
 * Sets where to receive. Like sluice_args_set_buffer, and it replaces that buffer, but the memory
 * must be writable. The record can also send from it. Since 0.1.
 */
int sluice_args_set_receive_buffer(struct sluice_args *args, void *base, size_t length,
				   int64_t offset, int64_t count);

/*
 * Sets a list of buffers that are sent as if they were one (BufferList). Up to
 * SLUICE_INLINE_SEGMENTS segments are copied; a longer array stays the caller's and must not change
 * until the operation has completed. Empty segments are skipped. NULL, 0 clears the list. For a
 * receive the memory must be writable.
 * Returns 0; -EBUSY, -EBADF as above; -EINVAL for an empty list, for a segment that is NULL with a
 * length, or while a buffer is set; the old list stays. Since 0.1.
 */
int sluice_args_set_buffer_list(struct sluice_args *args, const struct iovec *segments,
				size_t segment_count);

/*
 * Sets the memory and files that sluice_send_packets_async sends, in order (SendPacketsElements).
 * The array, the paths and the memory stay the caller's and must not change until the operation has
 * completed. An array of 0 elements (not NULL) sends nothing, successfully; NULL, 0 clears the
 * array. Returns 0; -EBUSY, -EBADF as above; -ERANGE for a negative offset or count; -EINVAL for an
 * unknown kind, a NULL path or memory, or an identity if the element is not a descriptor or its
 * count is 0. sluice_packets_find_refused says which element it was. Since 0.1.
 */
int sluice_args_set_packets(struct sluice_args *args, const struct sluice_packet *packets,
			    size_t packet_count);

/*
 * Finds the element for which sluice_args_set_packets or sluice_send_packets_async refused an
 * array: it tries them in order, as those do, and leaves nothing open. Returns its index, and
 * *ret_error (which may be NULL) is what it is refused with; or packet_count and 0 if none is
 * refused now. The error of NULL with a count is -EINVAL. Any thread. Since 0.1.
 */
int64_t sluice_packets_find_refused(const struct sluice_packet *packets, size_t packet_count,
				    int *ret_error);

#ifdef __cplusplus
}
#endif
#endif
