/* SPDX-License-Identifier: MIT */
/*
 * A backend that answers as it is told: late, short, out of order, wrong. It notes what the engine
 * asks for, and keeps for each descriptor the bytes that it took, as the kernel would have.
 *
 * What backend.h promises is asserted on the way: one transmission in flight per socket, no answer
 * for what was not started, every request back before its descriptor goes.
 */
#ifndef SCRIPTED_H
#define SCRIPTED_H

#include "life/engine.h"
#include "support.h"

#define SCRIPTED_REQUESTS 8192
#define SCRIPTED_ATTEMPTS 4096
#define SCRIPTED_FDS 1024

/* An attempt's answer: all that it was given. A cancel's: none, until scripted_answer. */
#define SCRIPTED_ALL INT64_MAX
#define SCRIPTED_LATER INT32_MAX

/* A request that the engine started. */
struct scripted_request {
	struct sluice__request *request;
	struct iovec *segments; /* of a send; copied when the engine hands it over */
	struct sluice__messages *messages;
	uint32_t segment_count;
	int32_t fd;
	uint32_t flags;
	uint64_t bytes; /* of a send */
	uint8_t kind;
	bool handed_over;
	bool cancelled;
	bool told;       /* by zero copy: its result was given, and its buffers are still in use */
	bool answered;   /* for good */
	uint64_t region; /* by zero copy: the registered memory plus one */
	uint64_t taken;  /* by zero copy: so many bytes, */
	size_t position; /* from here on in its stream */
};

/* A non-blocking attempt to send. */
struct scripted_attempt {
	int32_t fd;
	uint32_t segments;
	uint32_t flags;
	uint64_t bytes;
	int64_t answer;
};

struct scripted {
	struct scripted_request requests[SCRIPTED_REQUESTS];
	uint32_t request_count;
	struct scripted_attempt attempts[SCRIPTED_ATTEMPTS];
	uint32_t attempt_count;

	/* What is to be answered; the last words hold when the scripts have run out. */
	int64_t attempt_answers[SCRIPTED_ATTEMPTS];
	uint32_t attempt_answers_count, attempt_answers_used;
	int64_t attempt_answer;
	int start_answers[16];
	uint32_t start_answers_count, start_answers_used;
	int32_t cancel_answer;

	/* Answers on their way to the engine, in this order. */
	struct sluice__completion completions[SCRIPTED_REQUESTS];
	uint32_t completion_count, completions_reaped;

	struct iovec regions[SLUICE__REGIONS]; /* registered */
	int register_answer;
	bool loses_notifications; /* the engine may end without them */
	bool is_local;            /* the peers are on this machine */
	uint32_t asked_local;     /* how often that was asked */
	uint64_t window;          /* of the peers */

	uint32_t enters, submits, forgets;
	uint32_t bursts; /* attempts of several messages; each of them counts as one attempt, too */
	struct {
		char *bytes;
		size_t length;
		size_t capacity;
	} streams[SCRIPTED_FDS];
};

extern struct scripted scripted;

/* The engine of a test over the scripted backend: one that sends, or one that is only told. */
void scripted_begin(struct fixture *fixture, bool sends);
void scripted_begin_with(struct fixture *fixture, bool sends, struct sluice_options *options);

/* fixture_end; what the backend still has is answered as cancelled. */
void scripted_end(struct fixture *fixture);

/* The next attempt without an answer is answered so: bytes, or -errno. */
void scripted_attempt_answers(int64_t answer);

/* The same for the next start that has no answer. */
void scripted_start_answers(int answer);

/* The answer to request number index, to be reaped after those that were given before it. */
void scripted_answer(uint32_t index, int32_t result);

/* The same for messages: so many were taken, and this errno is what the next one met. */
void scripted_answer_messages(uint32_t index, uint32_t taken, int error);
/* The same for a slice of a file: so many bytes were read of it, and this is what came of them. */
void scripted_answer_file(uint32_t index, uint64_t read, int32_t result);
/*
 * The result of a send by zero copy whose buffers are still in use, perhaps an error; and that they
 * are free. In between they must not change, which the latter asserts.
 */
void scripted_tell(uint32_t index, int32_t result);
void scripted_free(uint32_t index, bool copied);

/* The number of the one request of this kind that is not answered; asserts that there is one. */
uint32_t scripted_only(uint8_t kind);

/* How many requests of this kind are not answered; 0: of any. */
uint32_t scripted_open(uint8_t kind);

/* The bytes that this socket's descriptor took are the pattern, so many of them, and no more. */
void scripted_assert_stream(const struct sluice_socket *socket, size_t length);

#endif
