/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "harness/cpus.h"
#include "options.h"
#include "peers/peers.h"

#define UNSET UINT64_MAX

#define TEXT(name, value, help, member, letter)                                                   \
	{                                                                                         \
		name, value, help, offsetof(struct settings, member), 0, 0, OPTION_STRING, letter \
	}
#define FLAG(name, help, member, letter)                                                       \
	{                                                                                      \
		name, NULL, help, offsetof(struct settings, member), 0, 0, OPTION_FLAG, letter \
	}
#define NUMBER(name, help, member, least, most, letter)                                         \
	{                                                                                       \
		name, "N", help, offsetof(struct settings, member), least, most, OPTION_NUMBER, \
			letter                                                                  \
	}

static const struct option_spec specs[] = {
	FLAG("list", "list scenarios and peers, and what is missing", list, 'l'),
	FLAG("quick", "a few scenarios, with low precision, in seconds", quick, 'q'),
	FLAG("full", "all scenarios and peers, with more rounds", full, 'f'),
	TEXT("peer", "NAME,...", "measure only these peers and sluice", peer_names, 'p'),
	TEXT("json", "FILE", "write all samples and the conditions", json_path, 'j'),
	TEXT("html", "FILE", "report with charts; default sluice-bench.html", html_path, 'H'),
	TEXT("compare", "OLD.json", "report changes since; 1 if slower or missing", compare_path,
	     'c'),
	TEXT("from", "FILE.json", "show this result, do not measure", from_path, 'F'),
	{"backend", "NAME", "auto (default), uring or epoll", offsetof(struct settings, backend), 0,
	 0, OPTION_BACKEND, 'b'},
	TEXT("directory", "DIR", "directory for the files to send", directory, 'd'),
	NUMBER("nap-us", "pause of the receiver after each read", receiver_sleep_us, 0, 1000000,
	       'N'),
	NUMBER("wait-budget-us", "our engines wait so long for several completions", wait_budget_us,
	       0, 1000000, 0),
	NUMBER("sessions", "number of sessions, with new sockets each", sessions, 1, 1000, 'n'),
	NUMBER("rounds", "turns of each peer in a session", rounds, 1, 1000, 'r'),
	NUMBER("slice-ms", "length of a turn", slice_ms, 1, 10000, 't'),
	NUMBER("sender-cpu", "CPU of the senders", sender_cpu, 0, 1023, 'S'),
	NUMBER("receiver-cpu", "CPU of the receivers", receiver_cpu, 0, 1023, 'R'),
	FLAG("self", "compare sluice with itself: shows the noise", against_itself, 's'),
};

static const struct option_table table = {
	.command = "bench",
	.arguments = "[SCENARIO...]",
	.summary = "Compares sluice with other ways to send, on this machine.",
	.specs = specs,
	.count = sizeof(specs) / sizeof(specs[0]),
};

static const struct method methods[] = {
	[EFFORT_QUICK] = {.sessions = 2, .rounds = 5, .slice_ns = 5000000},
	[EFFORT_USUAL] = {.sessions = 4, .rounds = 6, .slice_ns = 6000000},
	[EFFORT_FULL] = {.sessions = 10, .rounds = 10, .slice_ns = 10000000},
};

/* "records" names records-1, records-8 and so on. */
static bool names_it(const char *name, const char *scenario)
{
	size_t length = strlen(name);

	return strncmp(name, scenario, length) == 0 &&
	       (scenario[length] == '\0' || scenario[length] == '-');
}

static bool names_any(const char *name)
{
	for (size_t i = 0; i < scenario_count; i++) {
		if (names_it(name, scenarios[i].name))
			return true;
	}
	return false;
}

/* The first of a list with commas, and where the next one begins. */
static const char *next_name(const char *list, char *name, size_t size)
{
	size_t length = strcspn(list, ",");

	if (length >= size)
		length = size - 1;
	memcpy(name, list, length);
	name[length] = '\0';
	list += strcspn(list, ",");
	return *list ? list + 1 : NULL;
}

static bool check_names(const struct settings *settings)
{
	const char *list = settings->peer_names;

	for (int i = 0; i < settings->name_count; i++) {
		if (!names_any(settings->names[i])) {
			options_complain("bench", "%s: no such scenario; --list names them",
					 settings->names[i]);
			return false;
		}
	}
	while (list != NULL) {
		char name[64];

		list = next_name(list, name, sizeof(name));
		if (peers_find(name) == NULL) {
			options_complain("bench", "--peer=%s: no such peer; --list names them",
					 name);
			return false;
		}
	}
	return true;
}

static bool check_options(const struct settings *settings)
{
	if (settings->quick && settings->full)
		options_complain("bench", "--quick and --full exclude each other");
	else if (settings->from_path != NULL && settings->json_path != NULL)
		options_complain("bench", "--json and --from exclude each other");
	else
		return check_names(settings);
	return false;
}

static void conclude(struct settings *settings)
{
	/* For the test that a slowdown is detected. */
	const char *spin = getenv("SLUICE_BENCH_SPIN");
	int sender, receiver;

	settings->html_by_default = settings->html_path == NULL && settings->from_path == NULL;
	if (settings->html_by_default)
		settings->html_path = "sluice-bench.html";
	settings->effort = settings->quick  ? EFFORT_QUICK
			   : settings->full ? EFFORT_FULL
					    : EFFORT_USUAL;
	settings->method = methods[settings->effort];
	if (settings->sessions > 0)
		settings->method.sessions = settings->sessions;
	if (settings->rounds > 0)
		settings->method.rounds = settings->rounds;
	if (settings->slice_ms > 0)
		settings->method.slice_ns = settings->slice_ms * 1000000;
	cpus_choose(&sender, &receiver);
	if (settings->sender_cpu == UNSET)
		settings->sender_cpu = (uint64_t)sender;
	if (settings->receiver_cpu == UNSET)
		settings->receiver_cpu = (uint64_t)receiver;
	settings->place = (struct place){
		.sender_cpu = (int)settings->sender_cpu,
		.receiver_cpu = (int)settings->receiver_cpu,
		.receiver_sleep_us = (int)settings->receiver_sleep_us,
		.spin_percent = spin != NULL ? atoi(spin) : 0,
	};
	sluice_options_init(&settings->options, sizeof(settings->options));
	settings->options.backend = (uint32_t)settings->backend;
	settings->options.wait_budget_ns = (int64_t)settings->wait_budget_us * 1000;
	settings->options.sigpipe_ignored = 1; /* the processes that send apply it */
}

int settings_parse(struct settings *settings, int argc, char **argv)
{
	int index = 0;

	*settings = (struct settings){.directory = ".", .sender_cpu = UNSET, .receiver_cpu = UNSET};
	switch (options_parse(&table, argc, argv, settings, &index)) {
	case OPTIONS_OK:
		break;
	case OPTIONS_DONE:
		return EXIT_OK;
	case OPTIONS_WRONG:
		return EXIT_USAGE;
	}
	settings->names = argv + index;
	settings->name_count = argc - index;
	if (!check_options(settings))
		return EXIT_USAGE;
	conclude(settings);
	return -1;
}

bool settings_want_scenario(const struct settings *settings, const struct scenario *scenario)
{
	if (settings->name_count == 0)
		return scenario->effort <= settings->effort;
	for (int i = 0; i < settings->name_count; i++) {
		if (names_it(settings->names[i], scenario->name))
			return true;
	}
	return false;
}

bool settings_name_peer(const struct settings *settings, const struct peer *peer)
{
	const char *list = settings->peer_names;

	while (list != NULL) {
		char name[64];

		list = next_name(list, name, sizeof(name));
		if (strcmp(name, peer->name) == 0)
			return true;
	}
	return false;
}

bool settings_want_peer(const struct settings *settings, const struct peer *peer)
{
	return settings->peer_names == NULL || settings_name_peer(settings, peer);
}
