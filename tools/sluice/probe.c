/* SPDX-License-Identifier: MIT */
/* `sluice probe`: what this kernel supports, what is used of it, and why the rest is not. */
#include <inttypes.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "command.h"
#include "options.h"
#include "tlsprobe.h"

struct probe_options {
	bool json;
};

static const struct option_spec specs[] = {
	{"json", NULL, "print JSON", offsetof(struct probe_options, json), 0, 0, OPTION_FLAG, 'j'},
};

static const struct option_table table = {
	.command = "probe",
	.arguments = "",
	.summary = "Shows what this kernel supports, what sluice uses, and why not the rest.",
	.specs = specs,
	.count = sizeof(specs) / sizeof(specs[0]),
};

static const char *backend_name(const struct sluice_probe *probe)
{
	return probe->backend == SLUICE_BACKEND_URING ? "uring" : "epoll";
}

/* Sizes and limits, in the order in which they are printed. */
struct fact {
	const char *name; /* in JSON */
	const char *text;
	uint64_t value;
};

#define FACTS 10

static void collect_facts(const struct sluice_probe *probe, struct fact facts[FACTS])
{
	const struct fact all[FACTS] = {
		{"record_bytes", "bytes of a record (struct sluice_args)", probe->record_bytes},
		{"socket_bytes", "bytes of an idle socket", probe->socket_bytes},
		{"engine_bytes", "bytes of an engine, without rings and buffers",
		 probe->engine_bytes},
		{"segments_max", "maximum segments of one transmission", probe->segments_max},
		{"ring_entries", "entries of the submission ring", probe->ring_entries},
		{"descriptors_max", "maximum descriptors (ulimit -n)", probe->descriptors_max},
		{"memlock_bytes", "maximum locked bytes (ulimit -l)", probe->memlock_bytes},
		{"call_ns", "ns per empty system call", probe->call_ns},
		{"enter_ns", "ns per io_uring_enter without entries", probe->enter_ns},
		{"entry_ns", "ns per empty ring entry", probe->entry_ns},
	};

	memcpy(facts, all, sizeof(all));
}

static void print_capability(const struct sluice_probe_capability *capability)
{
	const char *state = capability->used        ? "used"
			    : capability->available ? "not used"
						    : "missing";

	printf("  %-18s %-9s %s", capability->name, state, capability->description);
	if (!capability->available && capability->native_error != 0)
		printf(" (%s)", strerror(capability->native_error));
	putchar('\n');
}

/* The capabilities of the engine and of TLS; text receives the description of the latter. */
static uint32_t collect_capabilities(const struct sluice_probe *probe,
				     struct sluice_probe_capability *all, char *text, size_t size)
{
	memcpy(all, probe->capabilities, probe->capability_count * sizeof(*all));
	all[probe->capability_count] = tlsprobe(text, size);
	return probe->capability_count + 1;
}

static void print_text(const struct sluice_probe *probe, const struct utsname *system)
{
	struct sluice_probe_capability capabilities[SLUICE_PROBE_CAPABILITIES + 1];
	struct fact facts[FACTS];
	char text[160];
	uint32_t count;

	collect_facts(probe, facts);
	printf("sluice %s on %s %s, %s\n", sluice_version(), system->sysname, system->release,
	       system->machine);
	printf("backend: %s", backend_name(probe));
	if (probe->backend_reason[0] != '\0')
		printf(" (%s)", probe->backend_reason);
	printf("\n\ncapabilities:\n");
	count = collect_capabilities(probe, capabilities, text, sizeof(text));
	for (uint32_t i = 0; i < count; i++)
		print_capability(&capabilities[i]);
	printf("\nsizes, limits and costs:\n");
	for (size_t i = 0; i < FACTS; i++) {
		if (facts[i].value == UINT64_MAX)
			printf("  %12s  %s\n", "unlimited", facts[i].text);
		else
			printf("  %12" PRIu64 "  %s\n", facts[i].value, facts[i].text);
	}
}

static void print_json_string(const char *string)
{
	putchar('"');
	for (; *string != '\0'; string++) {
		unsigned char character = (unsigned char)*string;

		if (character < 0x20)
			printf("\\u%04x", character);
		else if (character == '"' || character == '\\')
			printf("\\%c", character);
		else
			putchar(character);
	}
	putchar('"');
}

static void print_json_member(const char *name, const char *value)
{
	printf("  \"%s\": ", name);
	print_json_string(value);
	printf(",\n");
}

static void print_json_capability(const struct sluice_probe_capability *capability, bool last)
{
	printf("    {\"name\": ");
	print_json_string(capability->name);
	printf(", \"available\": %s, \"used\": %s, \"errno\": %" PRId32 ", \"description\": ",
	       capability->available ? "true" : "false", capability->used ? "true" : "false",
	       capability->native_error);
	print_json_string(capability->description);
	printf("}%s\n", last ? "" : ",");
}

static void print_json(const struct sluice_probe *probe, const struct utsname *system)
{
	struct sluice_probe_capability capabilities[SLUICE_PROBE_CAPABILITIES + 1];
	struct fact facts[FACTS];
	char text[160];
	uint32_t count;

	collect_facts(probe, facts);
	printf("{\n");
	print_json_member("version", sluice_version());
	print_json_member("kernel", system->release);
	print_json_member("machine", system->machine);
	print_json_member("backend", backend_name(probe));
	print_json_member("backend_reason", probe->backend_reason);
	for (size_t i = 0; i < FACTS; i++)
		printf("  \"%s\": %" PRIu64 ",\n", facts[i].name, facts[i].value);
	printf("  \"capabilities\": [\n");
	count = collect_capabilities(probe, capabilities, text, sizeof(text));
	for (uint32_t i = 0; i < count; i++)
		print_json_capability(&capabilities[i], i + 1 == count);
	printf("  ]\n}\n");
}

int probe_main(int argc, char **argv)
{
	struct probe_options options = {0};
	struct sluice_probe probe = {.size = sizeof(probe)};
	struct utsname system;
	int index = 0, error;

	switch (options_parse(&table, argc, argv, &options, &index)) {
	case OPTIONS_OK:
		break;
	case OPTIONS_DONE:
		return EXIT_OK;
	case OPTIONS_WRONG:
		return EXIT_USAGE;
	}
	if (index < argc) {
		options_complain("probe", "%s: unexpected argument", argv[index]);
		return EXIT_USAGE;
	}
	error = sluice_probe(&probe);
	if (error != 0) {
		fprintf(stderr, "sluice: cannot probe the kernel: %s\n", strerror(-error));
		return EXIT_FAILED;
	}
	uname(&system);
	if (options.json)
		print_json(&probe, &system);
	else
		print_text(&probe, &system);
	return EXIT_OK;
}
