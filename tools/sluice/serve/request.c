/* SPDX-License-Identifier: MIT */
#include "serve/request.h"

#define SKIP_BODY 1 /* llhttp: the message ends after its head */

enum header {
	HEADER_OTHER,
	HEADER_HOST,
	HEADER_ACCEPT,
	HEADER_ACCEPT_ENCODING,
	HEADER_FORWARDED,
	HEADER_X_FORWARDED_FOR,
	HEADER_EXPECT,
	HEADER_REFERER,
	HEADER_USER_AGENT,
	HEADER_RANGE, /* from here on: the conditional headers */
	HEADER_IF_MATCH,
	HEADER_IF_RANGE,
	HEADER_IF_NONE_MATCH,
	HEADER_IF_MODIFIED_SINCE,
	HEADER_IF_UNMODIFIED_SINCE,
};

static const struct {
	struct span name;
	enum header header;
} known_headers[] = {
	{{"Host", 4}, HEADER_HOST},
	{{"Range", 5}, HEADER_RANGE},
	{{"Accept", 6}, HEADER_ACCEPT},
	{{"Expect", 6}, HEADER_EXPECT},
	{{"Referer", 7}, HEADER_REFERER},
	{{"If-Match", 8}, HEADER_IF_MATCH},
	{{"If-Range", 8}, HEADER_IF_RANGE},
	{{"Forwarded", 9}, HEADER_FORWARDED},
	{{"User-Agent", 10}, HEADER_USER_AGENT},
	{{"If-None-Match", 13}, HEADER_IF_NONE_MATCH},
	{{"Accept-Encoding", 15}, HEADER_ACCEPT_ENCODING},
	{{"X-Forwarded-For", 15}, HEADER_X_FORWARDED_FOR},
	{{"If-Modified-Since", 17}, HEADER_IF_MODIFIED_SINCE},
	{{"If-Unmodified-Since", 19}, HEADER_IF_UNMODIFIED_SINCE},
};

/* RFC 9110, 5.6.2: the characters of names and methods. */
static const bool token_characters[256] = {
	['!'] = true,         ['#'] = true,         ['$'] = true, ['%'] = true,
	['&'] = true,         ['\''] = true,        ['*'] = true, ['+'] = true,
	['-'] = true,         ['.'] = true,         ['^'] = true, ['_'] = true,
	['`'] = true,         ['|'] = true,         ['~'] = true, ['0' ... '9'] = true,
	['a' ... 'z'] = true, ['A' ... 'Z'] = true,
};

static bool is_token_character(char character)
{
	return token_characters[(unsigned char)character];
}

static bool is_token(struct span span)
{
	size_t length = 0;

	while (length < span.length && is_token_character(span.at[length]))
		length++;
	return length > 0 && length == span.length;
}

static struct request *request_of(llhttp_t *parser)
{
	return (struct request *)parser;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
	request_of(parser)->target = (struct span){at, length};
	return 0;
}

/* A name must be a token: llhttp accepts an empty one, and one with blanks in it. */
static int on_header_field(llhttp_t *parser, const char *at, size_t length)
{
	struct request *request = request_of(parser);
	struct span name = {at, length};

	request->header = HEADER_OTHER;
	if (!is_token(name))
		return -1;
	for (size_t i = 0; i < sizeof(known_headers) / sizeof(known_headers[0]); i++) {
		if (known_headers[i].name.length == length &&
		    span_matches(name, known_headers[i].name)) {
			request->header = (uint8_t)known_headers[i].header;
			break;
		}
	}
	return 0;
}

/*
 * The lines of a list header form one list (RFC 9110, 5.3). The span is extended to the end of the
 * last line, and includes other headers in between; conditional.c skips those.
 */
static void add_list_line(struct span *list, struct span value)
{
	/* An empty line adds nothing, and llhttp reports it at another place. */
	if (value.length == 0)
		value.at = "";
	if (list->at == NULL || list->length == 0)
		*list = value;
	else if (value.length > 0)
		list->length = (size_t)(value.at + value.length - list->at);
}

/* A repeated header that is not a list has no valid value (RFC 9110, 13.1). */
static void set_single(struct span *header, struct span value)
{
	*header = header->at == NULL ? value : (struct span){"", 0};
}

static int on_header_value(llhttp_t *parser, const char *at, size_t length)
{
	struct request *request = request_of(parser);
	struct span value = span_trim((struct span){at, length});

	request->conditional |= request->header >= HEADER_RANGE;
	switch (request->header) {
	case HEADER_HOST:
		request->host = value;
		if (request->hosts < UINT8_MAX)
			request->hosts++;
		break;
	case HEADER_RANGE:
		request->range_split |= request->range.at != NULL;
		request->range = value;
		break;
	case HEADER_ACCEPT:
		request->accept = value;
		break;
	case HEADER_ACCEPT_ENCODING:
		/* Of several lines, only the first is used. */
		if (request->accept_encoding.at == NULL)
			request->accept_encoding = value;
		break;
	/* Of several lines, the last is used: the nearest proxy appended to it. */
	case HEADER_FORWARDED:
		request->forwarded = value;
		break;
	case HEADER_X_FORWARDED_FOR:
		request->x_forwarded_for = value;
		break;
	case HEADER_EXPECT:
		request->expects = true;
		break;
	case HEADER_REFERER:
		request->referer = value;
		break;
	case HEADER_USER_AGENT:
		request->user_agent = value;
		break;
	case HEADER_IF_MATCH:
		add_list_line(&request->conditions.if_match, value);
		break;
	case HEADER_IF_RANGE:
		set_single(&request->conditions.if_range, value);
		break;
	case HEADER_IF_NONE_MATCH:
		add_list_line(&request->conditions.if_none_match, value);
		break;
	case HEADER_IF_MODIFIED_SINCE:
		set_single(&request->conditions.if_modified_since, value);
		break;
	case HEADER_IF_UNMODIFIED_SINCE:
		set_single(&request->conditions.if_unmodified_since, value);
		break;
	default:
		break;
	}
	return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
	struct request *request = request_of(parser);

	request->head_complete = true;
	request->method = llhttp_get_method(parser);
	request->major_version = llhttp_get_http_major(parser);
	request->minor_version = llhttp_get_http_minor(parser);
	request->keep_alive = llhttp_should_keep_alive(parser) != 0;
	request->chunked = (parser->flags & F_TRANSFER_ENCODING) != 0;
	request->body_bytes = parser->content_length;
	/* RFC 9112, 6.3: a request's last coding must be chunked, or its end is unknown. */
	if (request->chunked && (parser->flags & F_CHUNKED) == 0)
		return -1;
	return SKIP_BODY;
}

static int on_message_complete(llhttp_t *parser)
{
	return HPE_PAUSED;
}

static const llhttp_settings_t reading_settings = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_message_complete = on_message_complete,
};

static bool is_version(struct span text)
{
	return text.length == 8 && memcmp(text.at, "HTTP/", 5) == 0 && text.at[5] >= '0' &&
	       text.at[5] <= '9' && text.at[6] == '.' && text.at[7] >= '0' && text.at[7] <= '9';
}

/* The words of a request line, valid or not. */
struct request_line {
	struct span method;
	struct span version; /* after the last blank */
	bool ended;          /* a line end was found */
};

static struct request_line split_line(struct span text)
{
	struct request_line line = {.method = {text.at, 0}, .version = {text.at, 0}};
	const char *end = memchr(text.at, '\n', text.length);
	const char *blank;

	if (end != NULL) {
		line.ended = true;
		text.length = (size_t)(end - text.at);
	}
	if (text.length > 0 && text.at[text.length - 1] == '\r')
		text.length--;
	while (line.method.length < text.length && is_token_character(text.at[line.method.length]))
		line.method.length++;
	blank = memrchr(text.at, ' ', text.length);
	if (blank != NULL)
		line.version = span_from(text, (size_t)(blank + 1 - text.at));
	return line;
}

static struct span skip_empty_lines(struct span text)
{
	while (text.length > 0 && (text.at[0] == '\r' || text.at[0] == '\n'))
		text = span_from(text, 1);
	return text;
}

/*
 * The status for a request that llhttp rejects: 505 for a well-formed but unsupported version, 501
 * for an unknown method in an otherwise valid line, else 400.
 */
static uint16_t refusal_of(const struct request *request, struct span text)
{
	struct request_line line = split_line(skip_empty_lines(text));
	struct span behind_method = {line.method.at + line.method.length, 1};

	switch (llhttp_get_errno(&request->parser)) {
	case HPE_PAUSED_H2_UPGRADE:
		return 505;
	case HPE_INVALID_VERSION:
		return is_version(line.version) ? 505 : 400;
	case HPE_INVALID_METHOD:
	case HPE_INVALID_CONSTANT:
		if (line.ended && line.method.length > 0 && *behind_method.at == ' ' &&
		    is_version(line.version) && request->target.at == NULL)
			return 501;
		return 400;
	default:
		return 400;
	}
}

/*
 * Measures the lines of the head up to the empty one. 0: it contains a bare carriage return or line
 * feed, or a folded line.
 */
static size_t measure_head(struct span text)
{
	struct span rest = skip_empty_lines(text);

	for (;;) {
		const char *end = memchr(rest.at, '\n', rest.length);
		size_t line;

		if (end == NULL || end == rest.at || end[-1] != '\r')
			return 0;
		line = (size_t)(end - 1 - rest.at);
		if (memchr(rest.at, '\r', line) != NULL)
			return 0;
		if (line > 0 && (rest.at[0] == ' ' || rest.at[0] == '\t'))
			return 0;
		rest = span_from(rest, line + 2);
		if (line == 0)
			return text.length - rest.length;
	}
}

/*
 * "METHOD target HTTP/1.1" with single blanks; llhttp also accepts variants, and other protocols.
 */
static bool is_line_exact(const struct request *request)
{
	const char *at = request->target.at;

	return at[-1] == ' ' && is_token_character(at[-2]) &&
	       memcmp(at + request->target.length, " HTTP/", 6) == 0;
}

/* RFC 3986, 3.2.2: unreserved, sub-delims and '%'; and ":[]" of a port or an IPv6 address. */
static const bool host_characters[256] = {
	['!'] = true,         ['$'] = true,         ['%'] = true, ['&'] = true,
	['\''] = true,        ['('] = true,         [')'] = true, ['*'] = true,
	['+'] = true,         [','] = true,         ['-'] = true, ['.'] = true,
	[':'] = true,         [';'] = true,         ['='] = true, ['['] = true,
	[']'] = true,         ['_'] = true,         ['~'] = true, ['0' ... '9'] = true,
	['a' ... 'z'] = true, ['A' ... 'Z'] = true,
};

static bool is_host_valid(struct span host)
{
	for (size_t i = 0; i < host.length; i++) {
		if (!host_characters[(unsigned char)host.at[i]])
			return false;
	}
	return true;
}

/* The error in a head that llhttp accepted; 0: none. */
static uint16_t judge_head(struct request *request, const struct request_limits *limits,
			   struct span text)
{
	size_t head = measure_head(text);

	if (head == 0 || request->target.at == NULL)
		return 400;
	request->length = head;
	if (request->target.length > limits->target_bytes)
		return 414;
	if (head > limits->head_bytes)
		return 431;
	if (request->major_version == 0 && request->target.at[request->target.length] != ' ')
		return 400; /* HTTP/0.9 has no version in its line */
	if (!is_line_exact(request))
		return 400;
	if (request->major_version != 1 || request->minor_version > 1)
		return 505;
	if (request->hosts > 1 || (request->hosts == 0 && request->minor_version == 1) ||
	    (request->hosts == 1 && !is_host_valid(request->host)))
		return 400;
	/* RFC 9112, 6.1: invalid in HTTP/1.0. */
	if (request->minor_version == 0 && request->chunked)
		return 400;
	if (request->body_bytes > limits->body_bytes)
		return 413;
	return 0;
}

/* An incomplete head may already be too long. */
static enum request_outcome judge_incomplete(struct request *request,
					     const struct request_limits *limits, struct span text)
{
	struct span line = skip_empty_lines(text);

	if (memchr(line.at, '\n', line.length) == NULL) {
		if (line.length > limits->target_bytes + 32)
			request->status = 414;
	} else if (text.length >= limits->head_bytes) {
		request->status = 431;
	}
	if (text.length >= limits->head_bytes && request->status == 0)
		request->status = 431;
	return request->status != 0 ? REQUEST_REFUSED : REQUEST_INCOMPLETE;
}

static void request_begin(struct request *request)
{
	memset(request, 0, sizeof(*request));
	llhttp_init(&request->parser, HTTP_REQUEST, &reading_settings);
}

/*
 * Executes llhttp, which accepts no minor version above 1. RFC 9110, 2.5 requires that HTTP/1.2 and
 * later are treated as 1.1: then the head is parsed again, with a 1 in place of the digit.
 */
static llhttp_errno_t execute(struct request *request, const char *data, size_t length)
{
	llhttp_errno_t error = llhttp_execute(&request->parser, data, length);
	struct request_line line;
	size_t digit;

	if (error != HPE_INVALID_VERSION)
		return error;
	line = split_line(skip_empty_lines((struct span){data, length}));
	if (!is_version(line.version) || line.version.at[5] != '1' || line.version.at[7] < '2')
		return error;
	digit = (size_t)(line.version.at + 7 - data);
	request_begin(request);
	error = llhttp_execute(&request->parser, data, digit);
	if (error == HPE_OK)
		error = llhttp_execute(&request->parser, "1", 1);
	if (error == HPE_OK)
		error = llhttp_execute(&request->parser, data + digit + 1, length - digit - 1);
	return error;
}

enum request_outcome request_parse(struct request *request, const struct request_limits *limits,
				   const char *data, size_t length)
{
	struct span text = {data, length};
	llhttp_errno_t error;

	request_begin(request);
	error = execute(request, data, length);
	if (!request->head_complete) {
		if (error == HPE_OK)
			return judge_incomplete(request, limits, text);
		request->status = refusal_of(request, text);
		return REQUEST_REFUSED;
	}

	request->status = error == HPE_PAUSED ? judge_head(request, limits, text) : 400;
	return request->status == 0 ? REQUEST_COMPLETE : REQUEST_REFUSED;
}

bool request_head_may_end(const char *data, size_t length, size_t new_from)
{
	size_t from = new_from > 2 ? new_from - 2 : 0;
	const char *at = data + from, *end = data + length;

	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		at++;
		if (at < end && *at == '\n')
			return true;
		if (at + 1 < end && at[0] == '\r' && at[1] == '\n')
			return true;
	}
	return false;
}

const char *request_method_name(const struct request *request)
{
	return llhttp_method_name((llhttp_method_t)request->method);
}
