/* SPDX-License-Identifier: MIT */
/* Formats events as lines of text or JSON. Pure: only numbers, and names from these tables. */
#include <inttypes.h>
#include <sluice/args.h>
#include <sluice/error.h>
#include <sluice/trace.h>
#include <stdio.h>

#include "backend/backend.h"
#include "trace/trace.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const kinds[] = {
	[SLUICE__TRACE_CALL] = "call",         [SLUICE__TRACE_SUBMIT] = "submit",
	[SLUICE__TRACE_COMPLETE] = "complete", [SLUICE__TRACE_SETTLE] = "settle",
	[SLUICE__TRACE_ERROR] = "error",
};

static const char *const operations[UINT8_MAX + 1] = {
	[SLUICE_OPERATION_NONE] = "none",
	[SLUICE_OPERATION_ACCEPT] = "accept",
	[SLUICE_OPERATION_CONNECT] = "connect",
	[SLUICE_OPERATION_DISCONNECT] = "disconnect",
	[SLUICE_OPERATION_RECEIVE] = "receive",
	[SLUICE_OPERATION_RECEIVE_FROM] = "receive-from",
	[SLUICE_OPERATION_RECEIVE_MESSAGE_FROM] = "receive-message-from",
	[SLUICE_OPERATION_SEND] = "send",
	[SLUICE_OPERATION_SEND_PACKETS] = "send-packets",
	[SLUICE_OPERATION_SEND_TO] = "send-to",
	[SLUICE__TRACE_ATTACH] = "attach",
	[SLUICE__TRACE_CLOSE] = "close",
	[SLUICE__TRACE_SEND_NOW] = "send-now",
	[SLUICE__TRACE_FILE_NOW] = "file-now",
	[SLUICE__TRACE_RECEIVE_NOW] = "receive-now",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_SEND] = "request-send",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_MESSAGES] = "request-messages",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_WRITABLE] = "request-writable",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_READABLE] = "request-readable",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_RECEIVE] = "request-receive",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_ACCEPT] = "request-accept",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_ACCEPT_MULTI] = "request-accept-multi",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_RECEIVE_MULTI] = "request-receive-multi",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_FETCH] = "request-fetch",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_SEND_ZEROCOPY] = "request-send-zerocopy",
	[SLUICE__TRACE_REQUEST + SLUICE__REQUEST_FILE] = "request-file",
};

#define NAME_BYTES 24

/* The name, or "unknown-NUMBER". */
static const char *name_of(const char *const *names, size_t count, uint8_t index,
			   char spare[NAME_BYTES])
{
	if (index < count && names[index])
		return names[index];
	snprintf(spare, NAME_BYTES, "unknown-%u", index);
	return spare;
}

static const char *event_error_name(const struct sluice__trace_event *event)
{
	if (event->error)
		return sluice_socket_error_name(event->error);
	return event->native
		       ? sluice_socket_error_name(sluice_socket_error_from_errno(event->native))
		       : "Success";
}

static int format_text(char *line, uint32_t engine, const char *kind, const char *operation,
		       const struct sluice__trace_event *event)
{
	int length = snprintf(line, SLUICE__TRACE_LINE,
			      "%" PRIu64 ".%09" PRIu64 " engine %" PRIu32 " %-8s %-20s fd %" PRId32
			      " socket %#" PRIx64 " record %#" PRIx64 " bytes %" PRIu64,
			      event->time / 1000000000, event->time % 1000000000, engine, kind,
			      operation, event->fd, event->socket, event->record, event->bytes);

	if (event->error || event->native)
		length += snprintf(line + length, SLUICE__TRACE_LINE - (size_t)length,
				   " %s%s errno %" PRId32,
				   event->flags & SLUICE__TRACE_REFUSED ? "refused " : "",
				   event_error_name(event), event->native);
	line[length] = '\n';
	return length + 1;
}

static int format_json(char *line, uint32_t engine, const char *kind, const char *operation,
		       const struct sluice__trace_event *event)
{
	return snprintf(line, SLUICE__TRACE_LINE,
			"{\"time_ns\":%" PRIu64 ",\"engine\":%" PRIu32
			",\"event\":\"%s\",\"operation\":\"%s\",\"fd\":%" PRId32
			",\"socket\":\"%#" PRIx64 "\",\"record\":\"%#" PRIx64
			"\",\"bytes\":%" PRIu64 ",\"error\":\"%s\",\"errno\":%" PRId32
			",\"refused\":%s}\n",
			event->time, engine, kind, operation, event->fd, event->socket,
			event->record, event->bytes, event_error_name(event), event->native,
			event->flags & SLUICE__TRACE_REFUSED ? "true" : "false");
}

size_t sluice__trace_format(char *line, uint32_t format, uint32_t engine,
			    const struct sluice__trace_event *event)
{
	char spare_kind[NAME_BYTES], spare_operation[NAME_BYTES];
	const char *kind = name_of(kinds, COUNT(kinds), event->kind, spare_kind);
	const char *operation =
		name_of(operations, COUNT(operations), event->operation, spare_operation);

	return (size_t)(format == SLUICE_TRACE_JSON
				? format_json(line, engine, kind, operation, event)
				: format_text(line, engine, kind, operation, event));
}

size_t sluice__trace_format_lost(char *line, uint32_t format, uint32_t engine, uint64_t count)
{
	if (format == SLUICE_TRACE_JSON)
		return (size_t)snprintf(line, SLUICE__TRACE_LINE,
					"{\"engine\":%" PRIu32
					",\"event\":\"lost\",\"count\":%" PRIu64 "}\n",
					engine, count);
	return (size_t)snprintf(line, SLUICE__TRACE_LINE,
				"engine %" PRIu32 " lost %" PRIu64 " events\n", engine, count);
}
