/* SPDX-License-Identifier: MIT */
#include "scripted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct scripted scripted;

/* A wait is cut short, so that a turn in which nothing can happen costs little. */
#define WAIT_NS (2 * MILLISECOND)

/* ---- the bytes that were taken ---- */

static uint64_t bytes_of(const struct iovec *segments, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += segments[i].iov_len;
	return bytes;
}

static void keep(int fd, const void *base, size_t length)
{
	size_t before = scripted.streams[fd].length;

	cr_assert(fd >= 0 && fd < SCRIPTED_FDS);
	if (length == 0)
		return;
	/* Twice as much: a sanitizer's realloc always copies. */
	if (before + length > scripted.streams[fd].capacity) {
		scripted.streams[fd].capacity = 2 * (before + length);
		scripted.streams[fd].bytes =
			realloc(scripted.streams[fd].bytes, scripted.streams[fd].capacity);
		cr_assert(scripted.streams[fd].bytes);
	}
	memcpy(scripted.streams[fd].bytes + before, base, length);
	scripted.streams[fd].length = before + length;
}

static void keep_segments(int fd, const struct iovec *segments, size_t count, uint64_t taken)
{
	for (size_t i = 0; i < count; i++) {
		size_t part = taken < segments[i].iov_len ? taken : segments[i].iov_len;

		keep(fd, segments[i].iov_base, part);
		taken -= part;
	}
}

void scripted_assert_stream(const struct sluice_socket *socket, size_t length)
{
	int fd = socket->fd;

	cr_assert_eq(scripted.streams[fd].length, length, "%zu bytes were taken, not %zu",
		     scripted.streams[fd].length, length);
	cr_assert(length == 0 || pattern_matches(scripted.streams[fd].bytes, length, 0),
		  "the bytes that were taken are not those that were sent");
}

/* ---- requests ---- */

static struct scripted_request *request_of(const struct sluice__request *request)
{
	for (uint32_t i = scripted.request_count; i-- > 0;) {
		if (scripted.requests[i].request == request && !scripted.requests[i].answered)
			return &scripted.requests[i];
	}
	cr_assert_fail("a request that was not started");
	return NULL;
}

static bool is_open(const struct scripted_request *noted, uint8_t kind)
{
	return !noted->answered && (kind == SLUICE__REQUEST_NONE || noted->kind == kind);
}

uint32_t scripted_open(uint8_t kind)
{
	uint32_t open = 0;

	for (uint32_t i = 0; i < scripted.request_count; i++)
		open += is_open(&scripted.requests[i], kind);
	return open;
}

uint32_t scripted_only(uint8_t kind)
{
	cr_assert_eq(scripted_open(kind), 1, "%u requests of kind %u are open, not 1",
		     scripted_open(kind), kind);
	for (uint32_t i = 0;; i++) {
		if (is_open(&scripted.requests[i], kind))
			return i;
	}
}

static bool sends_on(int fd)
{
	for (uint32_t i = 0; i < scripted.request_count; i++) {
		const struct scripted_request *noted = &scripted.requests[i];

		if (noted->fd == fd && !noted->told &&
		    (is_open(noted, SLUICE__REQUEST_SEND) || is_open(noted, SLUICE__REQUEST_FILE) ||
		     is_open(noted, SLUICE__REQUEST_SEND_ZEROCOPY)))
			return true;
	}
	return false;
}

/* The headers stay, what they point to does not. */
static void hand_over_messages(struct scripted_request *noted)
{
	struct sluice__messages *messages = noted->request->messages;
	uint32_t count = 0;

	noted->messages = messages;
	for (uint32_t i = 0; i < messages->count; i++)
		count += (uint32_t)messages->headers[i].msg_hdr.msg_iovlen;
	noted->segments = malloc(count * sizeof *noted->segments + 1);
	cr_assert(noted->segments);
	for (uint32_t i = 0; i < messages->count; i++) {
		const struct msghdr *header = &messages->headers[i].msg_hdr;

		memcpy(noted->segments + noted->segment_count, header->msg_iov,
		       header->msg_iovlen * sizeof *noted->segments);
		noted->segment_count += (uint32_t)header->msg_iovlen;
	}
}

static bool is_send(const struct scripted_request *noted)
{
	return noted->kind == SLUICE__REQUEST_SEND || noted->kind == SLUICE__REQUEST_SEND_ZEROCOPY;
}

/* The segments live until now and no longer. */
static void hand_over(void)
{
	for (uint32_t i = 0; i < scripted.request_count; i++) {
		struct scripted_request *noted = &scripted.requests[i];
		size_t size = noted->segment_count * sizeof *noted->segments;

		if (noted->handed_over)
			continue;
		noted->handed_over = true;
		if (noted->kind == SLUICE__REQUEST_MESSAGES)
			hand_over_messages(noted);
		if (!is_send(noted) || noted->answered)
			continue;
		noted->segments = malloc(size + 1);
		cr_assert(noted->segments);
		memcpy(noted->segments, noted->request->segments, size);
		noted->bytes = bytes_of(noted->segments, noted->segment_count);
	}
}

static void complete(const struct scripted_request *noted, int32_t result, bool more, uint8_t freed)
{
	cr_assert(scripted.completion_count < SCRIPTED_REQUESTS);
	scripted.completions[scripted.completion_count++] = (struct sluice__completion){
		.request = noted->request,
		.result = result,
		.more = more,
		.freed = freed,
	};
}

static void answer_for_good(struct scripted_request *noted)
{
	noted->answered = true;
	free(noted->segments);
	noted->segments = NULL;
}

void scripted_answer(uint32_t index, int32_t result)
{
	struct scripted_request *noted = &scripted.requests[index];

	cr_assert(index < scripted.request_count && !noted->answered && !noted->told);
	hand_over();
	if (is_send(noted) && result > 0)
		keep_segments(noted->fd, noted->segments, noted->segment_count, (uint64_t)result);
	answer_for_good(noted);
	complete(noted, result, false, SLUICE__FREED_NOT);
}

void scripted_tell(uint32_t index, int32_t result)
{
	struct scripted_request *noted = &scripted.requests[index];

	cr_assert(index < scripted.request_count && !noted->answered && !noted->told);
	cr_assert_eq(noted->kind, SLUICE__REQUEST_SEND_ZEROCOPY);
	hand_over();
	noted->position = scripted.streams[noted->fd].length;
	noted->taken = result > 0 ? (uint64_t)result : 0;
	keep_segments(noted->fd, noted->segments, noted->segment_count, noted->taken);
	noted->told = true;
	complete(noted, result, true, SLUICE__FREED_NOT);
}

static void assert_unchanged(const struct scripted_request *noted)
{
	const char *was = scripted.streams[noted->fd].bytes + noted->position;
	uint64_t left = noted->taken;

	for (uint32_t i = 0; left; i++) {
		size_t part = left < noted->segments[i].iov_len ? left : noted->segments[i].iov_len;

		cr_assert_eq(memcmp(noted->segments[i].iov_base, was, part), 0,
			     "a buffer was given back while it was in use");
		was += part;
		left -= part;
	}
}

void scripted_free(uint32_t index, bool copied)
{
	struct scripted_request *noted = &scripted.requests[index];

	cr_assert(index < scripted.request_count && noted->told && !noted->answered);
	assert_unchanged(noted);
	answer_for_good(noted);
	complete(noted, 0, false, copied ? SLUICE__FREED_COPIED : SLUICE__FREED_SENT);
}

/* As the ring's chain: those behind the failed one were cancelled with it. */
void scripted_answer_messages(uint32_t index, uint32_t taken, int error)
{
	struct scripted_request *noted = &scripted.requests[index];
	struct sluice__messages *messages;
	const struct iovec *segments;

	hand_over();
	messages = noted->messages;
	segments = noted->segments;
	cr_assert(taken <= messages->count);
	for (uint32_t i = 0; i < taken; i++) {
		struct mmsghdr *header = &messages->headers[i];
		size_t count = header->msg_hdr.msg_iovlen;

		header->msg_len = (unsigned int)bytes_of(segments, count);
		keep_segments(noted->fd, segments, count, header->msg_len);
		segments += count;
	}
	messages->taken = taken;
	messages->error = error;
	scripted_answer(index, taken ? (int32_t)taken : -error);
}

void scripted_answer_file(uint32_t index, uint64_t read, int32_t result)
{
	struct scripted_request *noted = &scripted.requests[index];
	struct sluice__request *request = noted->request;
	char *bytes = malloc(read + 1);

	cr_assert(bytes && noted->kind == SLUICE__REQUEST_FILE);
	cr_assert(read <= request->length && result <= (int64_t)read);
	if (result > 0) {
		cr_assert_eq(pread(request->file, bytes, (size_t)result, (off_t)request->offset),
			     result);
		keep(noted->fd, bytes, (size_t)result);
	}
	request->length = read;
	free(bytes);
	scripted_answer(index, result);
}

void scripted_attempt_answers(int64_t answer)
{
	cr_assert(scripted.attempt_answers_count < SCRIPTED_ATTEMPTS);
	scripted.attempt_answers[scripted.attempt_answers_count++] = answer;
}

void scripted_start_answers(int answer)
{
	cr_assert(scripted.start_answers_count < 16);
	scripted.start_answers[scripted.start_answers_count++] = answer;
}

/* ---- the backend ---- */

static int scripted_open_backend(struct sluice_engine *engine)
{
	engine->capabilities = (SLUICE_CAPABILITY_SENDFILE | SLUICE_CAPABILITY_RING_SPLICE |
				SLUICE_CAPABILITY_ZEROCOPY | SLUICE_CAPABILITY_REGISTERED_MEMORY |
				SLUICE_CAPABILITY_REGISTERED_LISTS) &
			       ~engine->options.disable;
	return 0;
}

static int scripted_enable(struct sluice_engine *engine)
{
	(void)engine;
	return 0;
}

static void scripted_close(struct sluice_engine *engine)
{
	(void)engine;
	cr_assert(scripted.loses_notifications || scripted_open(SLUICE__REQUEST_NONE) == 0,
		  "requests outlive their engine");
}

static int scripted_start(struct sluice_engine *engine, struct sluice__request *request)
{
	struct scripted_request *noted = &scripted.requests[scripted.request_count];

	if (scripted.start_answers_used < scripted.start_answers_count) {
		int answer = scripted.start_answers[scripted.start_answers_used++];

		if (answer < 0)
			return answer;
	}
	cr_assert(!request->armed, "a request was started twice");
	cr_assert(engine->backend->sends || (request->kind != SLUICE__REQUEST_SEND &&
					     request->kind != SLUICE__REQUEST_SEND_ZEROCOPY &&
					     request->kind != SLUICE__REQUEST_MESSAGES));
	if (request->kind == SLUICE__REQUEST_SEND || request->kind == SLUICE__REQUEST_WRITABLE ||
	    request->kind == SLUICE__REQUEST_SEND_ZEROCOPY || request->kind == SLUICE__REQUEST_FILE)
		cr_assert(!sends_on(request->fd), "two transmissions of one socket are in flight");
	cr_assert(scripted.request_count < SCRIPTED_REQUESTS);
	scripted.request_count++;
	*noted = (struct scripted_request){
		.request = request,
		.fd = request->fd,
		.kind = request->kind,
		.flags = request->flags,
		.segment_count = request->kind == SLUICE__REQUEST_MESSAGES ? 0
									   : request->segment_count,
		.region = request->kind == SLUICE__REQUEST_SEND_ZEROCOPY ? request->length : 0,
	};
	return 0;
}

static void scripted_cancel(struct sluice_engine *engine, struct sluice__request *request)
{
	struct scripted_request *noted;

	(void)engine;
	/* Its answer may be on its way. */
	for (uint32_t i = scripted.completions_reaped; i < scripted.completion_count; i++) {
		if (scripted.completions[i].request == request)
			return;
	}
	noted = request_of(request);
	cr_assert(!noted->cancelled, "a request was cancelled twice");
	cr_assert(!noted->told, "a notification cannot be cancelled");
	noted->cancelled = true;
	if (scripted.cancel_answer != SCRIPTED_LATER)
		scripted_answer((uint32_t)(noted - scripted.requests), scripted.cancel_answer);
}

static void scripted_forget(struct sluice_engine *engine, struct sluice_socket *socket)
{
	(void)engine;
	scripted.forgets++;
	cr_assert_eq(socket->armed, 0, "a descriptor goes before its requests are back");
	free(scripted.streams[socket->fd].bytes);
	scripted.streams[socket->fd].bytes = NULL;
	scripted.streams[socket->fd].length = 0;
	scripted.streams[socket->fd].capacity = 0;
}

static int scripted_enter(struct sluice_engine *engine, int64_t wait_ns)
{
	struct timespec wait = {0, WAIT_NS};
	bool empty = scripted.completions_reaped == scripted.completion_count;

	(void)engine;
	scripted.enters++;
	hand_over();
	cr_assert(!empty || wait_ns >= 0, "the engine waits for what will never come");
	cr_assert_leq(wait_ns, SLUICE__WAIT_MAX_NS);
	if (wait_ns < WAIT_NS)
		wait.tv_nsec = wait_ns;
	if (empty && wait_ns > 0)
		nanosleep(&wait, NULL);
	return 0;
}

static bool scripted_is_idle(const struct sluice_engine *engine)
{
	(void)engine;
	for (uint32_t i = 0; i < scripted.request_count; i++)
		if (!scripted.requests[i].handed_over)
			return false;
	return scripted.completions_reaped == scripted.completion_count;
}

static void scripted_submit(struct sluice_engine *engine)
{
	(void)engine;
	scripted.submits++;
	hand_over();
}

static uint32_t scripted_reap(struct sluice_engine *engine, struct sluice__completion *completions,
			      uint32_t max)
{
	uint32_t count = 0;

	(void)engine;
	while (count < max && scripted.completions_reaped < scripted.completion_count)
		completions[count++] = scripted.completions[scripted.completions_reaped++];
	if (scripted.completions_reaped == scripted.completion_count)
		scripted.completions_reaped = scripted.completion_count = 0;
	return count;
}

static int scripted_memory_register(struct sluice_engine *engine, uint32_t slot, const void *base,
				    size_t length)
{
	(void)engine;
	cr_assert(slot < SLUICE__REGIONS && !scripted.regions[slot].iov_base);
	if (scripted.register_answer < 0)
		return scripted.register_answer;
	scripted.regions[slot] = segment(base, length);
	return 0;
}

static void scripted_memory_unregister(struct sluice_engine *engine, uint32_t slot)
{
	(void)engine;
	cr_assert(slot < SLUICE__REGIONS && scripted.regions[slot].iov_base);
	scripted.regions[slot] = segment(NULL, 0);
}

static void scripted_wake(struct sluice_engine *engine)
{
	(void)engine;
}

static int scripted_descriptor(struct sluice_engine *engine)
{
	(void)engine;
	return -EOPNOTSUPP;
}

/* Notes the attempt and says what the script answers to it. */
static int64_t attempt(int fd, uint32_t segments, uint32_t flags, uint64_t bytes)
{
	int64_t answer = scripted.attempt_answer;

	cr_assert(!sends_on(fd), "an attempt while a transmission is in flight");
	cr_assert(scripted.attempt_count < SCRIPTED_ATTEMPTS, "the engine tries without end");
	if (scripted.attempt_answers_used < scripted.attempt_answers_count)
		answer = scripted.attempt_answers[scripted.attempt_answers_used++];
	if (answer > (int64_t)bytes)
		answer = (int64_t)bytes;
	scripted.attempts[scripted.attempt_count++] =
		(struct scripted_attempt){fd, segments, flags, bytes, answer};
	return answer;
}

static int64_t scripted_try_send(struct sluice_engine *engine, struct sluice_socket *socket,
				 const struct msghdr *message, uint32_t flags)
{
	uint64_t bytes = bytes_of(message->msg_iov, message->msg_iovlen);
	int64_t answer = attempt(socket->fd, (uint32_t)message->msg_iovlen, flags, bytes);

	(void)engine;
	cr_assert(message->msg_iovlen <= SLUICE__SEGMENTS_MAX);
	if (answer > 0)
		keep_segments(socket->fd, message->msg_iov, message->msg_iovlen, (uint64_t)answer);
	return answer;
}

/*
 * Each message takes one answer of the script; from the first that is not taken on they stay, and
 * only as the first one is its error told.
 */
static int scripted_try_send_messages(struct sluice_engine *engine, struct sluice_socket *socket,
				      struct mmsghdr *messages, uint32_t count, uint32_t flags)
{
	scripted.bursts++;
	for (uint32_t i = 0; i < count; i++) {
		int64_t taken = scripted_try_send(engine, socket, &messages[i].msg_hdr, flags);

		if (taken < 0)
			return i ? (int)i : (int)taken;
		messages[i].msg_len = (unsigned int)taken;
	}
	return (int)count;
}

static int64_t scripted_try_send_file(struct sluice_engine *engine, struct sluice_socket *socket,
				      int file, uint64_t offset, uint64_t count, bool piped)
{
	int64_t answer = attempt(socket->fd, 0, 0, count);
	char *bytes;

	(void)piped;
	(void)engine;
	if (answer <= 0)
		return answer;
	bytes = malloc((size_t)answer);
	cr_assert(bytes);
	answer = pread(file, bytes, (size_t)answer, (off_t)offset);
	if (answer > 0)
		keep(socket->fd, bytes, (size_t)answer);
	free(bytes);
	return answer;
}

static int64_t scripted_try_receive(struct sluice_engine *engine, struct sluice_socket *socket,
				    struct msghdr *message, uint32_t flags)
{
	(void)engine;
	(void)socket;
	(void)message;
	(void)flags;
	return -EAGAIN;
}

static bool scripted_is_local(const struct sluice_socket *socket)
{
	(void)socket;
	scripted.asked_local++;
	return scripted.is_local;
}

static uint64_t scripted_window(const struct sluice_socket *socket)
{
	(void)socket;
	return scripted.window;
}

#define OPERATIONS                                                                                \
	.open = scripted_open_backend, .enable = scripted_enable, .close = scripted_close,        \
	.start = scripted_start, .cancel = scripted_cancel, .forget = scripted_forget,            \
	.enter = scripted_enter, .submit = scripted_submit, .reap = scripted_reap,                \
	.wake = scripted_wake, .descriptor = scripted_descriptor, .try_send = scripted_try_send,  \
	.try_send_messages = scripted_try_send_messages, .try_send_file = scripted_try_send_file, \
	.try_receive = scripted_try_receive, .is_local = scripted_is_local,                       \
	.window = scripted_window

static const struct sluice__backend sending = {
	.name = "scripted ring",
	.sends = true,
	.is_idle = scripted_is_idle,
	.memory_register = scripted_memory_register,
	.memory_unregister = scripted_memory_unregister,
	OPERATIONS,
};
static const struct sluice__backend telling = {.name = "scripted poll", .sends = false, OPERATIONS};

/* ---- the engine ---- */

void scripted_begin_with(struct fixture *fixture, bool sends, struct sluice_options *options)
{
	memset(&scripted, 0, sizeof scripted);
	scripted.attempt_answer = SCRIPTED_ALL;
	scripted.cancel_answer = SCRIPTED_LATER;
	scripted.window = UINT64_MAX;
	memset(fixture, 0, sizeof *fixture);
	fixture->descriptors = count_descriptors();
	options->ignore_environment = 1;
	cr_assert_eq(sluice__engine_make(&fixture->engine, options, sends ? &sending : &telling),
		     0);
}

void scripted_begin(struct fixture *fixture, bool sends)
{
	struct sluice_options options;

	sluice_options_init(&options, sizeof options);
	scripted_begin_with(fixture, sends, &options);
}

void scripted_end(struct fixture *fixture)
{
	for (uint32_t i = 0; i < scripted.request_count; i++) {
		if (scripted.requests[i].cancelled && !scripted.requests[i].answered)
			scripted_answer(i, -ECANCELED);
	}
	scripted.cancel_answer = -ECANCELED;
	fixture_end(fixture);
}
