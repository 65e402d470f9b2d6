/* SPDX-License-Identifier: MIT */
#include "serve/accesslog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "messages.h"
#include "serve/escape.h"
#include "text.h"
#include "transfer/writer.h"

#define LINE_MAX_BYTES 8192
#define LINES_BYTES 65536
#define WAITING_BYTES (4u << 20) /* of lines that could not be written yet */
#define STOP_TIMEOUT_MS 1000
#define BYTES_MARK '\001' /* offset in a prepared line where the byte count is inserted */

static void on_dropped(void *token, uint64_t lines)
{
	messages_complain("the access log: %" PRIu64
			  " lines were dropped because they could not be written",
			  lines);
}

/* Does not wait for the reader of a FIFO: until one opens it, the FIFO keeps what fits. */
int accesslog_open_file(const char *file)
{
	int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
	int fd = open(file, flags | O_WRONLY | O_NONBLOCK, 0644);

	if (fd < 0 && errno == ENXIO)
		fd = open(file, flags | O_RDWR | O_NONBLOCK, 0644);
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd >= 0 ? fd : -errno;
}

int accesslog_open(struct accesslog *log, bool wanted, const char *file, bool json)
{
	*log = (struct accesslog){.fd = -1, .json = json};
	if (!wanted)
		return 0;
	log->lines = malloc(LINES_BYTES);
	if (log->lines == NULL)
		return -ENOMEM;
	log->fd = file == NULL ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
			       : accesslog_open_file(file);
	if (log->fd < 0)
		return file == NULL ? -errno : log->fd;
	log->writer = writer_start(log->fd, WAITING_BYTES, on_dropped, NULL);
	return log->writer != NULL ? 0 : -ENOMEM;
}

void accesslog_flush(struct accesslog *log)
{
	if (log->length > 0)
		writer_add(log->writer, log->lines, log->length);
	log->length = 0;
}

void accesslog_close(struct accesslog *log)
{
	if (log->writer != NULL)
		accesslog_flush(log);
	/* A hanging writer keeps its descriptor. */
	if (writer_stop(log->writer, STOP_TIMEOUT_MS) && log->fd >= 0)
		close(log->fd);
	free(log->lines);
	log->writer = NULL;
	log->fd = -1;
	log->lines = NULL;
}

/* The rest of a log that was replaced. */
struct old_log {
	struct writer *writer;
	int fd;
};

static void *end_old_log(void *argument)
{
	struct old_log *old = argument;

	if (writer_stop(old->writer, STOP_TIMEOUT_MS))
		close(old->fd);
	free(old);
	return NULL;
}

void accesslog_switch(struct accesslog *log, int fd)
{
	struct writer *writer = writer_start(fd, WAITING_BYTES, on_dropped, NULL);
	struct old_log *old = malloc(sizeof(*old));
	pthread_t thread;

	if (writer == NULL || old == NULL) {
		writer_stop(writer, 0);
		free(old);
		close(fd);
		return;
	}
	accesslog_flush(log);
	*old = (struct old_log){log->writer, log->fd};
	log->writer = writer;
	log->fd = fd;
	if (pthread_create(&thread, NULL, end_old_log, old) == 0)
		pthread_detach(thread);
	else
		end_old_log(old);
}

/* A client must not be able to forge lines or fields. */
static void add_escaped(struct text *text, struct span span, size_t most)
{
	if (span.length > most)
		span.length = most;
	for (size_t i = 0; i < span.length; i++) {
		unsigned char character = (unsigned char)span.at[i];

		if (character >= 0x20 && character < 0x7f && character != '"' &&
		    character != '\\') {
			text_add_character(text, (char)character);
			continue;
		}
		text_add_string(text, "\\x");
		text_add_character(text, "0123456789ABCDEF"[character >> 4]);
		text_add_character(text, "0123456789ABCDEF"[character & 15]);
	}
}

static void add_quoted(struct text *text, struct span span)
{
	text_add_string(text, " \"");
	if (span.length > 0)
		add_escaped(text, span, 200);
	else
		text_add_character(text, '-');
	text_add_character(text, '"');
}

static void add_client(struct text *text, int socket_fd, const char *client)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	char host[NI_MAXHOST];

	if (client != NULL) {
		text_add_string(text, client);
		return;
	}
	if (getpeername(socket_fd, (struct sockaddr *)&address, &length) != 0 ||
	    getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), NULL, 0,
			NI_NUMERICHOST) != 0)
		memcpy(host, "-", 2);
	text_add_string(text, host);
}

static void add_time(struct text *text, int64_t now)
{
	time_t time = (time_t)now;
	char when[64];
	struct tm tm;

	gmtime_r(&time, &tm);
	strftime(when, sizeof(when), " - - [%d/%b/%Y:%H:%M:%S +0000]", &tm);
	text_add_string(text, when);
}

static void add_request_line(struct text *text, const struct request *request)
{
	if (request == NULL || request->target.at == NULL || !request->head_complete) {
		text_add_string(text, " \"-\" ");
		return;
	}
	text_add_string(text, " \"");
	text_add_string(text, request_method_name(request));
	text_add_character(text, ' ');
	add_escaped(text, request->target, 200);
	text_add_string(text, " HTTP/");
	text_add_number(text, request->major_version);
	text_add_character(text, '.');
	text_add_number(text, request->minor_version);
	text_add_string(text, "\" ");
}

static void add_member(struct text *text, const char *name, struct span value)
{
	struct buffer escaped = {0};

	if (value.length > 200)
		value.length = 200;
	if (value.at == NULL)
		return;
	text_add_string(text, ",\"");
	text_add_string(text, name);
	text_add_string(text, "\":\"");
	escape_json(&escaped, value);
	text_add(text, (struct span){escaped.base, escaped.length});
	buffer_dispose(&escaped);
	text_add_character(text, '"');
}

static void add_json(struct text *text, int socket_fd, const char *client,
		     const struct request *request, int status, int64_t now)
{
	bool readable = request != NULL && request->head_complete;
	time_t time = (time_t)now;
	char when[48];
	struct tm tm;

	gmtime_r(&time, &tm);
	strftime(when, sizeof(when), "{\"time\":\"%Y-%m-%dT%H:%M:%SZ\",\"client\":\"", &tm);
	text_add_string(text, when);
	add_client(text, socket_fd, client);
	text_add_string(text, "\",\"status\":");
	text_add_number(text, (uint64_t)status);
	text_add_string(text, ",\"bytes\":");
	text_add_character(text, BYTES_MARK);
	if (readable) {
		add_member(text, "method", span_of(request_method_name(request)));
		add_member(text, "target", request->target);
		add_member(text, "host", request->host);
		add_member(text, "referer", request->referer);
		add_member(text, "user_agent", request->user_agent);
	}
	text_add_string(text, "}\n");
}

static void add_combined(struct text *text, int socket_fd, const char *client,
			 const struct request *request, int status, int64_t now)
{
	bool readable = request != NULL && request->head_complete;

	add_client(text, socket_fd, client);
	add_time(text, now);
	add_request_line(text, request);
	text_add_number(text, (uint64_t)status);
	text_add_character(text, ' ');
	text_add_character(text, BYTES_MARK);
	add_quoted(text, readable ? request->referer : (struct span){NULL, 0});
	add_quoted(text, readable ? request->user_agent : (struct span){NULL, 0});
	text_add_character(text, '\n');
}

char *accesslog_prepare(const struct accesslog *log, int socket_fd, const char *client,
			const struct request *request, int status, int64_t now)
{
	char memory[LINE_MAX_BYTES];
	struct text text = text_in(memory, sizeof(memory) - 1);

	if (log->json)
		add_json(&text, socket_fd, client, request, status, now);
	else
		add_combined(&text, socket_fd, client, request, status, now);
	memory[text.length] = '\0';
	return strdup(memory);
}

void accesslog_add(struct accesslog *log, char *line, uint64_t body_bytes)
{
	struct text text;
	const char *mark;

	if (line == NULL)
		return;
	if (log->length + LINE_MAX_BYTES + 32 > LINES_BYTES)
		accesslog_flush(log);
	text = text_in(log->lines + log->length, LINES_BYTES - log->length);
	mark = strchr(line, BYTES_MARK);
	text_add(&text, (struct span){line, (size_t)(mark - line)});
	text_add_number(&text, body_bytes);
	text_add_string(&text, mark + 1);
	log->length += text.length;
	free(line);
}
