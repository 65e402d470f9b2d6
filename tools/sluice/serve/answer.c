/* SPDX-License-Identifier: MIT */
#include "serve/answer.h"

#include <sluice/socket.h>
#include <stdlib.h>
#include <sys/random.h>

#include "serve/multipart.h"
#include "serve/reply.h"
#include "serve/resolve.h"
#include "serve/response.h"
#include "serve/search.h"
#include "serve/worker.h"

/* What all answers to one request have in common. */
struct answer {
	struct connection *connection;
	const struct request *request; /* NULL: there is none */
	struct response_head head;
	const char *explanation; /* replaces the text of the status; NULL: none */
	bool without_body;       /* HEAD */
};

static const struct serve_options *options_of(const struct connection *connection)
{
	return connection->worker->server->options;
}

bool answer_closes(const struct connection *connection, const struct request *request)
{
	/* A client that waits with its body may send it or not, so the body cannot be skipped. */
	return !request->keep_alive || request->chunked || connection->plain ||
	       (request->expects && request->body_bytes > 0) || connection->worker->draining > 0;
}

static struct answer answer_begin(struct connection *connection, const struct request *request,
				  int status)
{
	struct answer answer = {
		.connection = connection,
		.request = request,
		.without_body = request != NULL && request->method == HTTP_HEAD,
		.head =
			{
				.status = status,
				.date = connection->worker->date,
			},
	};

	/*
	 * Headers of the site apply to its files: Strict-Transport-Security is not allowed
	 * elsewhere.
	 */
	if (!connection->plain &&
	    (connection->kind == LISTEN_FILES || connection->kind == LISTEN_TLS))
		answer.head.extra = (struct span){connection->worker->extra.base,
						  connection->worker->extra.length};

	if (request == NULL || request->status != 0 || answer_closes(connection, request))
		answer.head.connection = RESPONSE_CONNECTION_CLOSE;
	else if (request->minor_version == 0)
		answer.head.connection = RESPONSE_CONNECTION_KEEP_ALIVE;
	return answer;
}

static void prepare_log_line(struct reply *reply, const struct request *request, int status)
{
	struct connection *connection = reply->connection;
	struct worker *worker = connection->worker;
	struct proxy_address client = connection_client(connection, request);
	char text[INET6_ADDRSTRLEN];

	if (client.known)
		proxy_write(&client, text);
	reply->log_line = accesslog_prepare(&worker->log, sluice_socket_fd(connection->socket),
					    client.known ? text : NULL, request, status,
					    worker->now);
}

/* Prepares a reply and its log line; NULL and the connection closed: out of memory. */
static struct reply *begin_reply(struct connection *connection, const struct request *request,
				 int status)
{
	struct reply *reply = reply_take(connection);

	if (reply == NULL) {
		connection->broken = true;
		return NULL;
	}
	reply->started_ns = 0;
	if (connection->worker->metrics.on && connection->kind != LISTEN_METRICS) {
		reply->started_ns = metrics_now_ns();
		reply->status = (uint16_t)status;
	}
	if (accesslog_is_on(&connection->worker->log) && connection->kind != LISTEN_METRICS)
		prepare_log_line(reply, request, status);
	return reply;
}

/* Writes the head and the explanation, if any, into the reply. */
static bool write_head(struct reply *reply, const struct answer *answer, struct span explanation,
		       struct span *ret_written)
{
	const struct response_head *head = &answer->head;
	size_t longest = 512 + 3 * head->location.length + head->query.length + head->url.length +
			 head->extra.length;
	struct text text = text_in(reply->head, sizeof(reply->head));

	if (longest > sizeof(reply->head)) {
		reply->long_head = malloc(longest);
		if (reply->long_head == NULL)
			return false;
		text = text_in(reply->long_head, longest);
	}
	response_write_head(&text, head);
	reply->head_bytes = text.length;
	text_add(&text, explanation);
	*ret_written = (struct span){text.base, text.length};
	return !text.overflowed;
}

static void give_up(struct reply *reply)
{
	reply->connection->broken = true;
	reply_drop(reply);
}

/* An answer without a file: its head, and the line that explains an error. */
static void send_short(struct answer *answer)
{
	struct reply *reply = begin_reply(answer->connection, answer->request, answer->head.status);
	char memory[160];
	struct text explanation = text_in(memory, sizeof(memory));
	struct span written;

	if (reply == NULL)
		return;
	if (answer->head.status != 304 && answer->head.status != 204) {
		response_write_explanation(&explanation, answer->head.status, answer->explanation);
		answer->head.media.type = span_of("text/plain");
		answer->head.media.charset = span_of("utf-8");
		answer->head.has_length = true;
		answer->head.content_length = explanation.length;
		if (answer->without_body)
			explanation.length = 0;
	}
	if (!write_head(reply, answer, (struct span){memory, explanation.length}, &written)) {
		give_up(reply);
		return;
	}
	reply_set_memory(reply, written.at, written.length);
	reply_start(reply);
}

/* Sends a range of the file, with its own head. */
static void send_range(struct answer *answer, struct cache_entry *entry, struct range range)
{
	struct reply *reply = begin_reply(answer->connection, answer->request, answer->head.status);
	struct span head;

	if (reply == NULL)
		return;
	if (!write_head(reply, answer, (struct span){"", 0}, &head)) {
		give_up(reply);
		return;
	}
	if (answer->without_body || range.length == 0) {
		reply_set_memory(reply, head.at, head.length);
	} else if (entry->fd >= 0) {
		reply_set_file(reply, head, entry, range);
	} else {
		struct block *block = entry->block;

		block->references++;
		reply->block = block;
		reply_set_two(reply, head,
			      (struct span){block_content(block) + range.first, range.length});
	}
	reply_start(reply);
}

/* Whether the prepared answer applies to the request. */
static bool is_plain(const struct connection *connection, const struct request *request)
{
	return !request->conditional && request->minor_version == 1 &&
	       !answer_closes(connection, request);
}

/* The usual answer: its head is prepared, and for a small file its content as well. */
static void send_plain(struct connection *connection, const struct request *request,
		       struct cache_entry *entry)
{
	struct reply *reply = begin_reply(connection, request, entry->status);
	struct block *block;

	if (reply == NULL)
		return;
	block = cache_entry_block(connection->worker->cache, entry);
	if (block == NULL) {
		give_up(reply);
		return;
	}
	reply->block = block;
	reply->head_bytes = block->head_length;
	if (request->method == HTTP_HEAD) {
		reply_set_memory(reply, block->bytes, block->head_length);
	} else if (block->body != NULL && entry->facts.size > 0) {
		reply_set_two(reply, (struct span){block->bytes, block->head_length},
			      (struct span){block->body->bytes, block->body->length});
	} else if (entry->fd < 0 || entry->facts.size == 0) {
		reply_set_memory(reply, block->bytes, block->length);
	} else {
		reply_set_file(reply, (struct span){block->bytes, block->head_length}, entry,
			       (struct range){0, entry->facts.size});
	}
	reply_start(reply);
}

static void set_validators(struct answer *answer, const struct cache_entry *entry)
{
	answer->head.etag = (struct span){entry->etag, entry->etag_length};
	answer->head.vary = entry->vary;
	answer->head.extra = entry->extra;
	if (entry->last_modified_length > 0)
		answer->head.last_modified =
			(struct span){entry->last_modified, entry->last_modified_length};
}

/* Sends the whole entry as the page for a status, without validators. */
static void send_page(struct answer *answer, struct cache_entry *entry, int status)
{
	answer->head.status = status;
	answer->head.extra = entry->extra;
	answer->head.media = entry->media;
	answer->head.vary = entry->vary;
	answer->head.has_length = true;
	answer->head.content_length = entry->facts.size;
	send_range(answer, entry, (struct range){0, entry->facts.size});
}

/* 206 with several ranges. */
static void send_parts(struct answer *answer, struct cache_entry *entry, const struct range *ranges,
		       size_t count)
{
	struct reply *reply = begin_reply(answer->connection, answer->request, answer->head.status);
	struct multipart multipart = {0, entry->media, entry->facts.size, ranges, count};
	char memory[MULTIPART_TYPE_BYTES];
	struct text type = text_in(memory, sizeof(memory));
	struct span head;

	if (reply == NULL)
		return;
	if (getrandom(&multipart.boundary, sizeof(multipart.boundary), GRND_NONBLOCK) < 0)
		multipart.boundary = (uintptr_t)reply ^ (uint64_t)answer->connection->worker->now;
	multipart_write_type(&type, &multipart);
	answer->head.media =
		(struct media){{type.base, type.length}, {NULL, 0}, entry->media.encoding};
	answer->head.range = (struct range){0, 0};
	answer->head.content_length = reply_prepare_parts(reply, &multipart);
	if (answer->head.content_length == 0 ||
	    !write_head(reply, answer, (struct span){"", 0}, &head)) {
		give_up(reply);
		return;
	}
	reply_set_parts(reply, head, entry, &multipart);
	reply_start(reply);
}

/* 200 with its own head, 206 or 416. */
static void send_asked(struct answer *answer, struct cache_entry *entry,
		       const struct validators *validators)
{
	const struct request *request = answer->request;
	struct range ranges[RANGES_MAX] = {{0, entry->facts.size}};
	enum range_kind kind = RANGE_IGNORED;
	size_t count = 1;

	if (request->range.at != NULL && !request->range_split && request->method == HTTP_GET &&
	    conditions_allow_range(&request->conditions, validators,
				   answer->connection->worker->now))
		kind = ranges_parse(request->range, entry->facts.size, ranges, &count);
	answer->head.size = entry->facts.size;
	if (kind == RANGE_UNSATISFIABLE) {
		answer->head.status = 416;
		send_short(answer);
		return;
	}
	answer->head.status = kind == RANGE_SATISFIABLE ? 206 : 200;
	answer->head.range = ranges[0];
	answer->head.media = entry->media;
	answer->head.accepts_ranges = true;
	answer->head.has_length = true;
	answer->head.content_length = ranges[0].length;
	set_validators(answer, entry);
	if (count > 1)
		send_parts(answer, entry, ranges, count);
	else
		send_range(answer, entry, ranges[0]);
}

static void answer_file(struct answer *answer, struct cache_entry *entry)
{
	const struct request *request = answer->request;
	struct validators validators = {
		.etag = {entry->etag, entry->etag_length},
		.dated = entry->last_modified_length > 0,
		.modified = entry->facts.modified_ns / 1000000000,
		.changed = entry->facts.changed_ns / 1000000000,
	};

	switch (conditions_judge(&request->conditions, &validators,
				 answer->connection->worker->now)) {
	case VERDICT_NOT_MODIFIED:
		answer->head.status = 304;
		set_validators(answer, entry);
		send_short(answer);
		break;
	case VERDICT_PRECONDITION_FAILED:
		answer->head.status = 412;
		send_short(answer);
		break;
	case VERDICT_SEND:
		send_asked(answer, entry, &validators);
		break;
	}
}

/* The location of the directory is its plain form with a slash, and never contains a host. */
static void answer_directory(struct answer *answer, const struct target *target)
{
	bool dotfiles = options_of(answer->connection)->dotfiles;
	char path[RESOLVE_PATH_MAX + 1];
	size_t length = 0;

	if (resolve_path(target->path, dotfiles, path, &length) == 0) {
		path[length] = '/';
		answer->head.location = (struct span){path, length + 1};
		answer->head.query = target->query;
	}
	send_short(answer);
	answer->head.location = (struct span){NULL, 0};
}

/* Redirects as a rule of the site says; the location is complete. */
static void answer_redirect(struct answer *answer, struct span url)
{
	answer->head.url = url;
	if (answer->head.status == 301)
		answer->explanation = "The file has moved.";
	send_short(answer);
}

static void answer_without_file(struct answer *answer)
{
	/* Another request would get the plain file or a variant. */
	if (answer->head.status == 406)
		answer->head.vary = span_of("Accept-Encoding");
	send_short(answer);
}

static void answer_found(struct connection *connection, const struct request *request,
			 const struct target *target, struct found found)
{
	struct answer answer = answer_begin(connection, request, found.status);

	if (found.no_index)
		answer.explanation = "No index file here, and directory listings are off.";
	if (found.url.at != NULL)
		answer_redirect(&answer, found.url);
	else if (found.status == 200 && found.answer_status != 0)
		send_page(&answer, found.entry, found.answer_status);
	else if (found.status == 200 && found.entry->status != 200)
		send_page(&answer, found.entry, found.entry->status);
	else if (found.status == 200)
		answer_file(&answer, found.entry);
	else if (found.status == 301)
		answer_directory(&answer, target);
	else
		answer_without_file(&answer);
}

/* A text page generated for this answer. */
static void send_text(struct answer *answer, struct buffer *page)
{
	struct reply *reply;
	struct span head;

	answer->head.media = (struct media){span_of("text/plain"), span_of("utf-8"), {NULL, 0}};
	answer->head.has_length = true;
	answer->head.content_length = page->length;
	reply = begin_reply(answer->connection, answer->request, answer->head.status);
	if (reply == NULL)
		return;
	if (!write_head(reply, answer, (struct span){"", 0}, &head)) {
		give_up(reply);
		return;
	}
	reply->block = block_create(head, 0, 0, (struct span){page->base, page->length});
	if (reply->block == NULL || page->failed) {
		give_up(reply);
		return;
	}
	reply_set_memory(reply, reply->block->bytes,
			 answer->without_body ? head.length : reply->block->length);
	reply_start(reply);
}

/* The answers of a listener for metrics. */
static void answer_metrics(struct connection *connection, const struct request *request)
{
	struct answer answer = answer_begin(connection, request, 405);
	bool reads = request->method == HTTP_GET || request->method == HTTP_HEAD;
	struct target target = {{"", 0}, {"", 0}};
	struct buffer page = {0};

	if (reads)
		answer.head.status = target_split(request->target, &target) ? 404 : 400;
	if (reads && span_equals(target.path, span_of("/metrics"))) {
		answer.head.status = 200;
		worker_write_metrics(connection->worker, &page);
	} else if (reads && span_equals(target.path, span_of("/healthz"))) {
		answer.head.status = 200;
		buffer_add_string(&page, "ok\n");
	}
	if (answer.head.status == 200)
		send_text(&answer, &page);
	else
		send_short(&answer);
	buffer_dispose(&page);
}

/* Answers a CORS preflight request. */
static void answer_preflight(struct connection *connection, const struct request *request)
{
	struct answer answer = answer_begin(connection, request, 204);
	struct buffer *lines = &connection->worker->target;

	lines->length = 0;
	buffer_add(lines, answer.head.extra);
	buffer_add_string(lines, "Access-Control-Allow-Methods: GET, HEAD\r\n"
				 "Access-Control-Allow-Headers: *\r\n"
				 "Access-Control-Max-Age: 86400\r\n");
	answer.head.extra = (struct span){lines->base, lines->length};
	send_short(&answer);
}

/* The host without its port; an IPv6 address is in brackets. */
static struct span host_name(struct span host)
{
	const char *end;

	if (host.length == 0)
		return host;
	end = memchr(host.at, host.at[0] == '[' ? ']' : ':', host.length);
	if (end != NULL)
		host.length = (size_t)(end - host.at) + (*end == ']');
	return host;
}

/* Redirects to the same URL with https: 301, or 308 if the method must be kept. */
static void answer_https(struct connection *connection, const struct request *request)
{
	struct answer answer = answer_begin(connection, request, 400);
	uint16_t port = connection->worker->server->https_port;
	struct span host = host_name(request->host);
	struct buffer *url = &connection->worker->target;
	struct target target;

	url->length = 0;
	if (host.length == 0 || !target_split(request->target, &target)) {
		answer.explanation = "The request has no host or path to redirect to.";
		send_short(&answer);
		return;
	}
	buffer_add_string(url, "https://");
	buffer_add(url, host);
	if (port != 443)
		buffer_add_format(url, ":%u", port);
	buffer_add(url, target.path);
	buffer_add(url, target.query);
	if (url->failed) {
		connection->broken = true;
		return;
	}
	answer.head.status = request->method == HTTP_GET || request->method == HTTP_HEAD ? 301
											 : 308;
	answer.explanation = "This page is served over HTTPS.";
	answer.head.url = (struct span){url->base, url->length};
	send_short(&answer);
}

/* A request without TLS on a port that requires it. */
static void answer_plain(struct connection *connection, const struct request *request)
{
	struct answer answer = answer_begin(connection, request, 400);

	answer.explanation = "A plain HTTP request was sent to an HTTPS port.";
	send_short(&answer);
}

bool answer_request(struct connection *connection, const struct request *request)
{
	struct found found = {.status = 405};
	struct target target = {0};

	if (connection->kind == LISTEN_METRICS) {
		answer_metrics(connection, request);
		return true;
	}
	if (connection->plain) {
		answer_plain(connection, request);
		return true;
	}
	if (connection->kind == LISTEN_REDIRECT) {
		answer_https(connection, request);
		return true;
	}
	if (request->method == HTTP_GET || request->method == HTTP_HEAD) {
		found.status = 400;
		if (target_split(request->target, &target) &&
		    !search_run(connection, request, &target, &found))
			return false;
	}
	if (request->method == HTTP_OPTIONS && options_of(connection)->cors) {
		answer_preflight(connection, request);
		return true;
	}
	if (found.status == 200 && found.answer_status == 0 && is_plain(connection, request))
		send_plain(connection, request, found.entry);
	else
		answer_found(connection, request, &target, found);
	return true;
}

void answer_refusal(struct connection *connection, const struct request *request, int status)
{
	struct answer answer = answer_begin(connection, request, status);

	answer.head.connection = RESPONSE_CONNECTION_CLOSE;
	send_short(&answer);
}
