/* SPDX-License-Identifier: MIT */
#include "transfer/receive_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "transfer/channel.h"
#include "transfer/hash.h"
#include "transfer/log.h"
#include "transfer/name.h"
#include "transfer/progress.h"
#include "transfer/transfer.h"
#include "transfer/work.h"

#define DISCARD_NS \
	UINT64_C(10000000000) /* how long a refused sender may take to read the refusal */
#define GRACE_NS UINT64_C(5000000000)
#define RECEIVE "sluice receive"

enum phase {
	GREETING,  /* HELLO is expected */
	IDLE,      /* FILE or BYE */
	OPENING,   /* the worker opens the offered file */
	HASHING,   /* the existing part is being read */
	OFFERED,   /* HAVE was sent; DATA, CHUNK or END is expected */
	CUTTING,   /* the worker throws away what is held; the channel is held */
	BODY,      /* raw bytes, then END */
	WRITING,   /* the worker writes some of them; the channel is held */
	FINISHING, /* the worker renames the file; FILE or BYE may arrive meanwhile */
	DISCARD,   /* RESULT was sent: the rest of the body is discarded, up to END */
	OVER       /* BYE */
};

struct session {
	struct channel channel;
	struct store *store;
	const struct receive_options *options;
	enum phase phase;
	bool in_the_clear;        /* although a secret is required */
	struct wire_message file; /* the file that is being received */
	struct wire_message next; /* a message that arrived during FINISHING; type 0: none */
	struct incoming incoming;
	struct hash *hash;
	struct hasher hasher;
	struct work work;
	enum wire_code work_code; /* owned by the worker while it runs */
	int work_error;
	uint64_t work_ns;                   /* when it began to write */
	struct iovec parts[CHANNEL_INPUTS]; /* what it writes */
	size_t part_count;
	unsigned char digest[WIRE_DIGEST];
	struct progress progress;
	uint64_t begun_ns;
	uint64_t spent_ns;
	uint64_t discarding_ns;
	uint64_t from;    /* bytes of the file from an earlier transfer */
	uint64_t arrived; /* bytes of the file that are held or being written */
	char shown[TRANSFER_SHOWN];
	unsigned int told; /* enum store_note: what the sender was warned of */
	int code;          /* the most severe so far */
};

/* ---- the end of a file ---- */

static void complain(const char *shown, const char *what, int error)
{
	log_message(RECEIVE, "%s: %s%s%s", shown, what, error != 0 ? ": " : "",
		    error != 0 ? strerror(error) : "");
}

/* Replies that the file was not stored; the rest of its body is discarded. */
static void refuse(struct session *session, enum wire_code code, int error)
{
	bool body = session->phase == OFFERED || session->phase == BODY;

	progress_clear(&session->progress);
	complain(session->shown, wire_code_text(code), error);
	channel_send_result(&session->channel, code, error != 0 ? strerror(error) : "");
	session->code = code == WIRE_MISMATCH ? EXIT_MISMATCH : EXIT_FAILED;
	store_leave(session->store, &session->incoming, false);
	session->phase = body ? DISCARD : IDLE;
	session->discarding_ns = clock_ns();
}

static void run_finish(void *token)
{
	struct session *session = token;

	session->work_code = store_finish(session->store, &session->incoming, &session->file,
					  session->digest, &session->work_error);
}

/* The worker has finished the file. */
static void end_finishing(struct session *session)
{
	const struct transfer_figures figures = {
		.bytes = session->incoming.held,
		.from = session->from,
		.spent_ns = session->spent_ns,
	};
	const char *warning = session->incoming.warning;

	session->phase = IDLE;
	if (session->work_code != WIRE_OK) {
		refuse(session, session->work_code, session->work_error);
		return;
	}
	store_tell(&session->incoming, &session->told);
	channel_send_result(&session->channel, WIRE_OK, warning);
	if (warning[0] != '\0')
		log_message(RECEIVE, "%s: warning: %s", session->shown, warning);
	transfer_report("received", session->shown, &figures, "");
}

/* Compared with the file of the same name. */
static void end_compared(struct session *session)
{
	session->phase = IDLE;
	log_message(RECEIVE, "%s: already stored", session->shown);
	channel_send_result(&session->channel, WIRE_OK, "already stored");
	store_leave(session->store, &session->incoming, true);
}

static void finish(struct session *session, const struct wire_message *end)
{
	bool same;

	session->spent_ns = clock_ns() - session->begun_ns;
	hash_digest(session->hash, session->digest);
	same = end->size == session->incoming.held &&
	       memcmp(session->digest, end->digest, WIRE_DIGEST) == 0;
	session->phase = IDLE;
	progress_clear(&session->progress);
	if (!same) {
		refuse(session, session->incoming.stored ? WIRE_EXISTS : WIRE_MISMATCH, 0);
	} else if (session->incoming.stored) {
		end_compared(session);
	} else {
		session->phase = FINISHING;
		work_start(&session->work, session->channel.engine, run_finish, session);
	}
}

/* ---- the start of a file ---- */

static void offer(struct session *session)
{
	struct wire_message have = {.type = WIRE_HAVE, .offset = session->incoming.held};

	hash_digest(session->hash, have.digest);
	channel_send(&session->channel, &have);
	session->phase = OFFERED;
}

static bool is_too_large(const struct session *session, uint64_t size)
{
	return session->options->max_size > 0 && size > session->options->max_size;
}

static void run_open(void *token)
{
	struct session *session = token;

	session->work_code = store_begin(session->store, &session->file, &session->incoming,
					 &session->work_error);
}

static void begin(struct session *session, const struct wire_message *file)
{
	session->file = *file;
	session->incoming.fd = -1;
	session->from = 0;
	name_show(file->text, session->shown, sizeof(session->shown));
	if (file->size != WIRE_SIZE_UNKNOWN && is_too_large(session, file->size)) {
		refuse(session, WIRE_NO_ROOM, EFBIG);
		return;
	}
	session->phase = OPENING;
	work_start(&session->work, session->channel.engine, run_open, session);
}

/* The worker has opened the file, or failed. */
static void end_opening(struct session *session)
{
	int error;

	session->phase = IDLE;
	if (session->work_code != WIRE_OK) {
		refuse(session, session->work_code, session->work_error);
		return;
	}
	/* The sender reads as many bytes before it answers. */
	channel_set_patience(&session->channel, session->incoming.held);
	hash_reset(session->hash);
	if (session->incoming.held == 0) {
		offer(session);
		return;
	}
	session->phase = HASHING;
	error = hasher_start(&session->hasher, session->channel.engine, session->hash,
			     session->incoming.fd, 0, session->incoming.held);
	if (error != 0) {
		session->phase = IDLE;
		refuse(session, WIRE_FAILED, -error);
	}
}

/* A thread has read the existing part. */
static void end_hashing(struct session *session)
{
	int error = hasher_join(&session->hasher);

	session->phase = IDLE;
	if (error != 0)
		refuse(session, WIRE_FAILED, -error);
	else
		offer(session);
}

static void begin_body(struct session *session)
{
	session->phase = BODY;
	session->from = session->arrived = session->incoming.held;
	session->begun_ns = clock_ns();
	progress_begin(&session->progress, session->options->quiet, session->shown, session->from,
		       session->file.size, session->begun_ns);
}

static void run_restart(void *token)
{
	struct session *session = token;

	session->work_code =
		store_restart(session->store, &session->incoming, &session->work_error);
}

/* The worker has thrown away what was held, or could not. */
static void end_cutting(struct session *session)
{
	hash_reset(session->hash);
	begin_body(session);
	if (session->work_code != WIRE_OK)
		refuse(session, session->work_code, session->work_error);
	channel_resume(&session->channel);
}

static int begin_data(struct session *session, const struct wire_message *data)
{
	if (session->file.size == WIRE_SIZE_UNKNOWN ||
	    data->offset + data->count != session->file.size ||
	    (data->offset != 0 && data->offset != session->incoming.held))
		return -EPROTO;
	session->channel.raw_left = data->count;
	if (data->offset != session->incoming.held && !session->incoming.stored) {
		session->phase = CUTTING;
		channel_hold(&session->channel);
		work_start(&session->work, session->channel.engine, run_restart, session);
		return 0;
	}
	begin_body(session);
	if (data->offset != session->incoming.held)
		refuse(session, WIRE_EXISTS, 0);
	return 0;
}

static int take_chunk(struct session *session, const struct wire_message *chunk)
{
	if (session->phase != DISCARD && session->file.size != WIRE_SIZE_UNKNOWN)
		return -EPROTO;
	if (session->phase == OFFERED)
		begin_body(session);
	session->channel.raw_left = chunk->count;
	if (session->phase == BODY && is_too_large(session, session->incoming.held + chunk->count))
		refuse(session, WIRE_NO_ROOM, EFBIG);
	return 0;
}

/* ---- receiving ---- */

static void run_write(void *token)
{
	struct session *session = token;

	session->work_code = WIRE_OK;
	for (size_t i = 0; i < session->part_count && session->work_code == WIRE_OK; i++) {
		const struct iovec *part = &session->parts[i];

		session->work_code = store_write(session->store, &session->incoming, part->iov_base,
						 part->iov_len, &session->work_error);
		if (session->work_code == WIRE_OK)
			hash_add(session->hash, part->iov_base, part->iov_len);
	}
}

/* The worker has written what there was, or could not. */
static void end_writing(struct session *session)
{
	session->phase = BODY;
	if (session->work_code != WIRE_OK)
		refuse(session, session->work_code, session->work_error);
	channel_resume(&session->channel);
}

/* They are written where they are: the channel keeps them, and what follows, until that is done. */
static int on_raw(struct channel *channel, const struct iovec *parts, size_t count)
{
	struct session *session = channel->owner;

	if (session->phase != BODY)
		return 0;
	memcpy(session->parts, parts, count * sizeof(*parts));
	session->part_count = count;
	for (size_t i = 0; i < count; i++)
		session->arrived += parts[i].iov_len;
	session->phase = WRITING;
	session->work_ns = clock_ns();
	channel_hold(channel);
	work_start(&session->work, channel->engine, run_write, session);
	return 0;
}

static int greet(struct session *session, const struct wire_message *hello)
{
	bool secret = session->options->secret != NULL;

	channel_send_hello(&session->channel, secret);
	session->phase = IDLE;
	if (hello->version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (secret && (session->in_the_clear || !hello->secret))
		return TRANSFER_NO_SECRET;
	return !secret && hello->secret ? TRANSFER_WANTS_SECRET : 0;
}

/* An END without a body: an empty stream. */
static int end_file(struct session *session, const struct wire_message *end)
{
	if (session->phase == DISCARD) {
		session->phase = IDLE;
		return 0;
	}
	if (session->phase == OFFERED) {
		if (session->file.size != WIRE_SIZE_UNKNOWN)
			return -EPROTO;
		begin_body(session);
	}
	finish(session, end);
	return 0;
}

static bool is_expected(enum phase phase, enum wire_type type)
{
	switch (type) {
	case WIRE_HELLO:
		return phase == GREETING;
	case WIRE_FILE:
	case WIRE_BYE:
		return phase == IDLE || phase == FINISHING;
	case WIRE_DATA:
		return phase == OFFERED;
	case WIRE_CHUNK:
	case WIRE_END:
		return phase == OFFERED || phase == BODY || phase == DISCARD;
	case WIRE_WAIT:
		return phase != GREETING;
	default:
		return false;
	}
}

/* A message that is valid in its phase. */
static int handle(struct session *session, const struct wire_message *message)
{
	switch (message->type) {
	case WIRE_HELLO:
		return greet(session, message);
	case WIRE_FILE:
		begin(session, message);
		return 0;
	case WIRE_DATA:
		return begin_data(session, message);
	case WIRE_CHUNK:
		return take_chunk(session, message);
	case WIRE_END:
		return end_file(session, message);
	case WIRE_BYE:
		channel_send_type(&session->channel, WIRE_BYE);
		session->phase = OVER;
		return 0;
	default:
		return 0;
	}
}

static int on_message(struct channel *channel, const struct wire_message *message)
{
	struct session *session = channel->owner;

	if (!is_expected(session->phase, message->type))
		return -EPROTO;
	if (session->phase != FINISHING || message->type == WIRE_WAIT)
		return handle(session, message);
	/* The next offer is processed once the file before has its result. */
	if (session->next.type != 0)
		return -EPROTO;
	session->next = *message;
	return 0;
}

/* ---- the connection ---- */

/* The thread's work is done. */
static int after_work(struct session *session)
{
	struct wire_message next = session->next;

	switch (session->phase) {
	case OPENING:
		end_opening(session);
		return 0;
	case HASHING:
		end_hashing(session);
		return 0;
	case CUTTING:
		end_cutting(session);
		return 0;
	case WRITING:
		end_writing(session);
		return 0;
	default:
		end_finishing(session);
		session->next.type = 0;
		return next.type != 0 ? handle(session, &next) : 0;
	}
}

static bool is_threaded(enum phase phase)
{
	return phase == OPENING || phase == HASHING || phase == CUTTING || phase == WRITING ||
	       phase == FINISHING;
}

static bool is_working(struct session *session)
{
	if (session->phase == HASHING)
		return !hasher_is_over(&session->hasher);
	return !work_is_over(&session->work);
}

/* Tells the sender that the work takes long. Most writes are over before it could wonder. */
static void keep(struct session *session)
{
	if (session->phase != WRITING || clock_ns() - session->work_ns > CHANNEL_TURN_NS)
		channel_keep(&session->channel);
}

static int turn(struct session *session)
{
	bool threaded = is_threaded(session->phase);
	int error;

	/* A job that is already done needs no wait. */
	if (threaded && !is_working(session))
		return after_work(session);
	error = channel_turn(&session->channel);
	if (error != 0)
		return error;
	if (threaded)
		keep(session);
	if (session->phase == BODY || session->phase == WRITING)
		progress_show(&session->progress, session->arrived, clock_ns());
	if (session->phase == DISCARD && clock_ns() - session->discarding_ns > DISCARD_NS)
		return -ETIMEDOUT;
	return 0;
}

static int run(struct session *session, const volatile sig_atomic_t *stopping)
{
	int error = 0;

	while (session->phase != OVER && error == 0) {
		error = turn(session);
		if (error == 0 && *stopping)
			error = -ECANCELED;
	}
	/* The end may arrive in the same turn as BYE, or as a refused message. */
	if (error == -EPIPE && (session->phase == OVER || session->phase == DISCARD))
		return 0;
	return session->phase == OVER ? 0 : error;
}

/* Reports the failure to both sides. Returns how long the peer may take to read it. */
static uint64_t broke(struct session *session, int error)
{
	bool within = session->phase == OFFERED || session->phase == BODY ||
		      (is_threaded(session->phase) && session->phase != FINISHING);

	progress_clear(&session->progress);
	if (session->phase == GREETING && error == -EPIPE) {
		log_message(RECEIVE, "a connection was closed before it sent anything");
	} else if (within) {
		complain(session->shown, transfer_error_text(error), 0);
	} else {
		log_message(RECEIVE, "%s", transfer_error_text(error));
	}
	if (session->code == EXIT_OK)
		session->code = transfer_exit_code(error);
	session->channel.error = 0;
	if (session->channel.ended)
		return 0;
	if (error == -ECANCELED)
		channel_send_result(&session->channel, WIRE_STOPPED, "");
	else if (error == -EPROTO)
		channel_send_result(&session->channel, WIRE_PROTOCOL, "");
	else if (!transfer_is_unfit(error))
		return 0;
	return GRACE_NS;
}

/* The last message, perhaps a refusal, should arrive before the connection closes. */
static void linger(struct session *session)
{
	uint64_t until = clock_ns() + GRACE_NS;

	session->phase = DISCARD;
	session->channel.raw_left = UINT64_MAX;
	channel_drop(&session->channel);
	while (clock_ns() < until && channel_turn(&session->channel) == 0)
		;
}

static void end(struct session *session, int error)
{
	uint64_t grace_ns = GRACE_NS;

	work_stop(&session->work);
	if (session->phase == FINISHING)
		end_finishing(session);
	if (error != 0)
		grace_ns = broke(session, error);
	hasher_stop(&session->hasher);
	store_leave(session->store, &session->incoming, true);
	if (error != 0 && grace_ns > 0) {
		channel_end(&session->channel);
		linger(session);
		grace_ns = 0;
	}
	channel_close(&session->channel, grace_ns);
	hash_free(session->hash);
}

int receive_session(struct sluice_engine *engine, struct sluice_socket *socket, struct store *store,
		    const struct receive_options *options, const volatile sig_atomic_t *stopping,
		    const struct receive_heard *heard)
{
	static struct session session;
	int error = -ENOMEM;

	session = (struct session){.work = WORK_INITIAL};
	session.store = store;
	session.options = options;
	session.in_the_clear = heard != NULL;
	session.incoming.fd = -1;
	session.channel.owner = &session;
	session.channel.on_message = on_message;
	session.channel.on_raw = on_raw;
	session.channel.pause_ns = options->max_pause_s * UINT64_C(1000000000);
	session.hash = hash_new();
	if (session.hash != NULL)
		error = channel_open(&session.channel, engine, socket,
				     options->timeout_s * UINT64_C(1000000000));
	if (error != 0) {
		log_message(RECEIVE, "%s", transfer_error_text(error));
		hash_free(session.hash);
		sluice_socket_destroy(socket);
		return EXIT_NETWORK;
	}
	if (heard != NULL)
		channel_feed(&session.channel, heard->bytes, heard->length);
	end(&session, run(&session, stopping));
	return session.code;
}
