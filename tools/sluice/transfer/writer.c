/* SPDX-License-Identifier: MIT */
#include "transfer/writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BYTES_FIRST 4096

struct text_buffer {
	char *bytes;
	size_t length;
	size_t capacity;
};

struct writer {
	int fd;
	size_t bytes_max;
	writer_dropped_fn *dropped;
	void *token;

	struct text_buffer writing; /* owned by the thread */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t added;
	pthread_cond_t ended_changed;
	struct text_buffer waiting;
	uint64_t dropped_lines;
	bool ending;
	bool ended;
};

static uint64_t count_lines(const char *text, size_t length)
{
	const char *end = text + length;
	uint64_t lines = 0;

	while (text < end && (text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
		lines++;
		text++;
	}
	return lines;
}

/* Another process may have made the shared descriptor non-blocking: waits until it is writable. */
static bool wait_writable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	return poll(&poll_fd, 1, -1) >= 0 || errno == EINTR;
}

/* Returns how many lines could not be written: the disk is full, or the reader is gone. */
static uint64_t write_all(int fd, const struct text_buffer *text)
{
	size_t written = 0;

	while (written < text->length) {
		ssize_t got = write(fd, text->bytes + written, text->length - written);

		if (got > 0)
			written += (size_t)got;
		else if (got < 0 && errno == EAGAIN && wait_writable(fd))
			continue;
		else if (got == 0 || errno != EINTR)
			return count_lines(text->bytes + written, text->length - written);
	}
	return 0;
}

/* Exchanges the two buffers; false: the writer is stopping, and everything is written. */
static bool take_waiting(struct writer *writer, uint64_t *ret_dropped)
{
	struct text_buffer empty;

	pthread_mutex_lock(&writer->lock);
	while (writer->waiting.length == 0 && !writer->ending)
		pthread_cond_wait(&writer->added, &writer->lock);
	empty = writer->writing;
	empty.length = 0;
	writer->writing = writer->waiting;
	writer->waiting = empty;
	*ret_dropped = writer->dropped_lines;
	writer->dropped_lines = 0;
	pthread_mutex_unlock(&writer->lock);
	return writer->writing.length > 0;
}

static void add_dropped(struct writer *writer, uint64_t lines)
{
	pthread_mutex_lock(&writer->lock);
	writer->dropped_lines += lines;
	pthread_mutex_unlock(&writer->lock);
}

static void report(const struct writer *writer, uint64_t dropped)
{
	if (dropped > 0 && writer->dropped != NULL)
		writer->dropped(writer->token, dropped);
}

static void *run_writer(void *argument)
{
	struct writer *writer = argument;
	uint64_t dropped, failed;

	while (take_waiting(writer, &dropped)) {
		failed = write_all(writer->fd, &writer->writing);
		if (failed > 0)
			add_dropped(writer, dropped + failed);
		else
			report(writer, dropped);
	}
	report(writer, dropped);
	pthread_mutex_lock(&writer->lock);
	writer->ended = true;
	pthread_cond_signal(&writer->ended_changed);
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

static void writer_free(struct writer *writer)
{
	pthread_cond_destroy(&writer->ended_changed);
	pthread_cond_destroy(&writer->added);
	pthread_mutex_destroy(&writer->lock);
	free(writer->waiting.bytes);
	free(writer->writing.bytes);
	free(writer);
}

static void init_locks(struct writer *writer)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->added, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->ended_changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

struct writer *writer_start(int fd, size_t bytes_max, writer_dropped_fn *dropped, void *token)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	pthread_t thread;

	if (writer == NULL)
		return NULL;
	writer->fd = fd;
	writer->bytes_max = bytes_max;
	writer->dropped = dropped;
	writer->token = token;
	init_locks(writer);
	if (pthread_create(&thread, NULL, run_writer, writer) != 0) {
		writer_free(writer);
		return NULL;
	}
	pthread_detach(thread);
	return writer;
}

/* False: the limit is reached, or out of memory. */
static bool reserve(struct writer *writer, size_t length)
{
	struct text_buffer *waiting = &writer->waiting;
	size_t capacity = waiting->capacity > 0 ? waiting->capacity : BYTES_FIRST;
	char *bytes;

	if (length > writer->bytes_max - waiting->length)
		return false;
	if (waiting->length + length <= waiting->capacity)
		return true;
	while (capacity < waiting->length + length)
		capacity *= 2;
	bytes = realloc(waiting->bytes, capacity);
	if (bytes == NULL)
		return false;
	waiting->bytes = bytes;
	waiting->capacity = capacity;
	return true;
}

void writer_add(struct writer *writer, const char *text, size_t length)
{
	pthread_mutex_lock(&writer->lock);
	if (reserve(writer, length)) {
		memcpy(writer->waiting.bytes + writer->waiting.length, text, length);
		writer->waiting.length += length;
		pthread_cond_signal(&writer->added);
	} else {
		writer->dropped_lines += count_lines(text, length);
	}
	pthread_mutex_unlock(&writer->lock);
}

static struct timespec time_after(int timeout_ms)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += timeout_ms / 1000;
	time.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (time.tv_nsec >= 1000000000) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000;
	}
	return time;
}

bool writer_stop(struct writer *writer, int timeout_ms)
{
	struct timespec deadline = time_after(timeout_ms);
	bool ended;
	int error = 0;

	if (writer == NULL)
		return true;
	pthread_mutex_lock(&writer->lock);
	writer->ending = true;
	pthread_cond_signal(&writer->added);
	while (!writer->ended && error != ETIMEDOUT)
		error = pthread_cond_timedwait(&writer->ended_changed, &writer->lock, &deadline);
	ended = writer->ended;
	pthread_mutex_unlock(&writer->lock);
	if (ended)
		writer_free(writer);
	return ended;
}
