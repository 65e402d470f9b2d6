/* SPDX-License-Identifier: MIT */
/*
 * A connection that carries messages and raw bytes, used by both sides. Two functions are called
 * with the data that arrives; messages to send are queued. The owner runs the engine.
 *
 * The owner can hold the channel while it works in a thread. Data that arrives meanwhile stays in
 * the engine's buffers, at most CHANNEL_BUFFERS per socket; then the peer has to wait.
 */
#ifndef SLUICE_COMMAND_TRANSFER_CHANNEL_H
#define SLUICE_COMMAND_TRANSFER_CHANNEL_H

#include <sluice/sluice.h>
#include <stdbool.h>
#include <stdint.h>

#include "transfer/wire.h"

#define CHANNEL_RECORDS 8
#define CHANNEL_BUFFERS 16                   /* the engine may lend to a socket */
#define CHANNEL_INPUTS (CHANNEL_BUFFERS + 1) /* and what was fed */
#define CHANNEL_TURN_NS 100000000

struct channel;

/* message is valid until the function returns. 0, or -errno: the channel fails. */
typedef int channel_message_fn(struct channel *channel, const struct wire_message *message);
/*
 * Raw bytes, in CHANNEL_INPUTS parts at most. They are the channel's until the function returns, or,
 * if it has called channel_hold, until channel_resume.
 */
typedef int channel_raw_fn(struct channel *channel, const struct iovec *parts, size_t count);

struct channel_record {
	struct sluice_args args;
	unsigned char bytes[WIRE_MESSAGE_MAX];
};

/* Bytes that arrived and were not taken yet. */
struct channel_input {
	const char *bytes;
	size_t length;
	struct sluice_buffer *buffer; /* NULL: not the engine's */
};

struct channel {
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	channel_message_fn *on_message;
	channel_raw_fn *on_raw;
	void *owner;
	struct wire_reader reader;
	struct channel_input inputs[CHANNEL_INPUTS];
	size_t input_count;
	size_t raw_taken;  /* bytes in front of the inputs that on_raw has got */
	bool held;         /* nothing is taken until channel_resume */
	uint64_t raw_left; /* set by the owner, after a DATA or a CHUNK */
	int error;         /* first error; 0 while the channel works, and after an orderly end */
	int end_error;     /* the same, once everything that arrived before is taken */
	bool ended;        /* nothing more will arrive */
	bool receiving;    /* the terminal call is outstanding */
	uint64_t timeout_ns;
	uint64_t pause_ns;    /* set by the owner before the channel opens; 0: a default */
	uint64_t patience_ns; /* how long the peer may send nothing but WAIT */
	uint64_t moved_ns;    /* when bytes were last sent or received */
	uint64_t heard_ns;    /* the same, ignoring WAIT */
	uint64_t waited_ns;   /* when a WAIT was last sent */
	uint64_t sent;        /* bytes sent by then */
	int waiting;          /* bytes unacknowledged by then */
	struct channel_record records[CHANNEL_RECORDS];
	struct sluice_args last;
};

uint64_t clock_ns(void);

/*
 * Takes over the connected socket and starts to receive. 0 or -errno: the socket remains the
 * caller's.
 */
int channel_open(struct channel *channel, struct sluice_engine *engine,
		 struct sluice_socket *socket, uint64_t timeout_ns);

/*
 * As if these bytes arrived: what the owner has read from the socket before. They stay valid until the
 * channel is closed.
 */
void channel_feed(struct channel *channel, const void *bytes, size_t length);

/* From now on nothing that arrives is taken, until channel_resume. */
void channel_hold(struct channel *channel);
/* Takes what has arrived meanwhile. */
void channel_resume(struct channel *channel);
/* Throws away what has arrived and was not taken. */
void channel_drop(struct channel *channel);

/* Queues a message; if it cannot be sent, the channel fails. */
void channel_send(struct channel *channel, const struct wire_message *message);
void channel_send_hello(struct channel *channel, bool secret);
void channel_send_type(struct channel *channel, enum wire_type type);
void channel_send_result(struct channel *channel, enum wire_code code, const char *text);

/*
 * Reports to the peer, three times a second, that this side is still working: often enough for the
 * shortest timeout that the peer can have.
 */
void channel_keep(struct channel *channel);

/*
 * Runs one turn of the engine, for a tenth of a second at most. 0; -errno: the channel failed;
 * -ETIMEDOUT: no progress for too long; -ETIME: nothing but WAIT arrived for too long; -EPIPE: the
 * channel has ended.
 */
int channel_turn(struct channel *channel);

/* From now on, the peer may send nothing but WAIT for as long as reading so many bytes takes. */
void channel_set_patience(struct channel *channel, uint64_t bytes);

/* Bytes that the kernel accepted since the connection was made. */
uint64_t channel_sent(const struct channel *channel);

/* Ends the stream after everything that is queued; receiving continues. */
void channel_end(struct channel *channel);

/*
 * Closes the channel: at once, or, with a grace, once everything queued is sent; the engine runs
 * meanwhile.
 */
void channel_close(struct channel *channel, uint64_t grace_ns);

#endif
