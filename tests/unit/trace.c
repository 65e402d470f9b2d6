/* SPDX-License-Identifier: MIT */
/* Modules of the trace: its lines, the contents of an event, and its ring. */

#include <ctype.h>
#include <sluice/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "trace/trace.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static struct sluice__trace_event random_event(void)
{
	struct sluice__trace_event event;
	unsigned char *bytes = (unsigned char *)&event;

	for (size_t i = 0; i < sizeof event; i++)
		bytes[i] = (unsigned char)(next_random() >> 32);
	return event;
}

/* A JSON string of plain characters, or a number, or true or false. NULL: none of them. */
static const char *skip_value(const char *at)
{
	if (*at == '"') {
		at++;
		while (isalnum((unsigned char)*at) || *at == '-')
			at++;
		return *at == '"' ? at + 1 : NULL;
	}
	if (strncmp(at, "true", 4) == 0)
		return at + 4;
	if (strncmp(at, "false", 5) == 0)
		return at + 5;
	if (*at == '-')
		at++;
	if (!isdigit((unsigned char)*at))
		return NULL;
	while (isdigit((unsigned char)*at))
		at++;
	return at;
}

/* One flat object and a line feed, and nothing else. */
static bool is_json_line(const char *line, size_t length)
{
	const char *at = line;
	size_t name;

	if (*at++ != '{')
		return false;
	for (;;) {
		if (*at++ != '"')
			return false;
		name = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
		if (!name || strncmp(at + name, "\":", 2) != 0)
			return false;
		at = skip_value(at + name + 2);
		if (!at)
			return false;
		if (*at != ',')
			break;
		at++;
	}
	return strcmp(at, "}\n") == 0 && (size_t)(at + 2 - line) == length;
}

static bool is_text_line(const char *line, size_t length)
{
	for (size_t i = 0; i + 1 < length; i++) {
		if (!isprint((unsigned char)line[i]))
			return false;
	}
	return line[length - 1] == '\n';
}

Test(trace, c17_any_event_is_one_line_of_json_and_one_of_text)
{
	char line[SLUICE__TRACE_LINE + 1];

	for (int i = 0; i < 200000; i++) {
		struct sluice__trace_event event = random_event();
		uint32_t engine = (uint32_t)next_random();
		size_t length = sluice__trace_format(line, SLUICE_TRACE_JSON, engine, &event);

		cr_assert_lt(length, SLUICE__TRACE_LINE);
		line[length] = '\0';
		cr_assert(is_json_line(line, length), "%s", line);
		length = sluice__trace_format(line, SLUICE_TRACE_TEXT, engine, &event);
		cr_assert_lt(length, SLUICE__TRACE_LINE);
		cr_assert(is_text_line(line, length));
	}
}

Test(trace, c17_the_longest_line_fits)
{
	struct sluice__trace_event event;
	char line[SLUICE__TRACE_LINE];

	memset(&event, 0xff, sizeof event);
	event.fd = INT32_MIN;
	event.native = INT32_MIN;
	for (int operation = 0; operation < 256; operation++) {
		event.operation = (uint8_t)operation;
		for (uint32_t format = 0; format < 2; format++) {
			size_t length = sluice__trace_format(line, format, UINT32_MAX, &event);

			cr_assert_lt(length, SLUICE__TRACE_LINE / 2 + 64);
			cr_assert_eq(line[length - 1], '\n');
		}
	}
}

Test(trace, c17_lines_say_what_the_event_says)
{
	struct sluice__trace_event event = {
		.time = 12000000034,
		.socket = 0x1000,
		.record = 0x2000,
		.bytes = 77,
		.fd = 9,
		.error = 10054,
		.native = 104,
		.kind = SLUICE__TRACE_ERROR,
		.operation = 7,
	};
	char line[SLUICE__TRACE_LINE + 1];

	line[sluice__trace_format(line, SLUICE_TRACE_TEXT, 3, &event)] = '\0';
	cr_assert_str_eq(line, "12.000000034 engine 3 error    send                 fd 9 socket "
			       "0x1000 record 0x2000 bytes 77 ConnectionReset errno 104\n");
	line[sluice__trace_format(line, SLUICE_TRACE_JSON, 3, &event)] = '\0';
	cr_assert_str_eq(line, "{\"time_ns\":12000000034,\"engine\":3,\"event\":\"error\","
			       "\"operation\":\"send\",\"fd\":9,\"socket\":\"0x1000\","
			       "\"record\":\"0x2000\",\"bytes\":77,\"error\":\"ConnectionReset\","
			       "\"errno\":104,\"refused\":false}\n");
	line[sluice__trace_format_lost(line, SLUICE_TRACE_JSON, 3, 5)] = '\0';
	cr_assert_str_eq(line, "{\"engine\":3,\"event\":\"lost\",\"count\":5}\n");
	cr_assert(is_json_line(line, strlen(line)));
	line[sluice__trace_format_lost(line, SLUICE_TRACE_TEXT, 3, 5)] = '\0';
	cr_assert_str_eq(line, "engine 3 lost 5 events\n");
}

/* ---- the ring ---- */

static struct sluice__trace_ring ring_of(struct sluice__trace_slot *slots, uint64_t count)
{
	memset(slots, 0, count * sizeof *slots);
	return (struct sluice__trace_ring){.slots = slots, .mask = count - 1};
}

static void put(struct sluice__trace_ring *ring)
{
	struct sluice__trace_event event = {.bytes = ring->next};

	sluice__trace_ring_put(ring, ring->next++, &event);
}

Test(trace, c17_a_ring_gives_its_events_in_order_and_once)
{
	struct sluice__trace_slot slots[8];
	struct sluice__trace_ring ring = ring_of(slots, 8);
	struct sluice__trace_event event;
	uint64_t place = 0, lost = 0;

	cr_assert_eq(sluice__trace_ring_get(&ring, &place, &lost, &event), 0);
	for (uint64_t i = 0; i < 30; i++) {
		put(&ring);
		cr_assert_eq(sluice__trace_ring_get(&ring, &place, &lost, &event), 1);
		cr_assert_eq(event.bytes, i);
		place++;
		cr_assert_eq(sluice__trace_ring_get(&ring, &place, &lost, &event), 0);
	}
	cr_assert_eq(lost, 0);
}

Test(trace, c17_a_ring_tells_how_many_events_it_has_lost)
{
	struct sluice__trace_slot slots[8];
	struct sluice__trace_ring ring = ring_of(slots, 8);
	struct sluice__trace_event event;
	uint64_t place = 0, lost = 0;

	for (int i = 0; i < 21; i++)
		put(&ring);
	cr_assert_eq(sluice__trace_ring_get(&ring, &place, &lost, &event), 1);
	cr_assert_eq(lost, 13);
	cr_assert_eq(place, 13);
	cr_assert_eq(event.bytes, 13);
}

Test(trace, c17_an_event_that_is_being_written_is_not_read)
{
	struct sluice__trace_slot slots[8];
	struct sluice__trace_ring ring = ring_of(slots, 8);
	struct sluice__trace_event event;
	uint64_t place = 0, lost = 0;

	ring.next = 1; /* begun by another thread */
	cr_assert_eq(sluice__trace_ring_get(&ring, &place, &lost, &event), 0);
	cr_assert_eq(place, 0);
	sluice__trace_ring_put(&ring, 0, &(struct sluice__trace_event){.bytes = 4});
	cr_assert_eq(sluice__trace_ring_get(&ring, &place, &lost, &event), 1);
	cr_assert_eq(event.bytes, 4);
	cr_assert_eq(lost, 0);
}
