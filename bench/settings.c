/* SPDX-License-Identifier: MIT */
/* The command line of a program of pairs. */
#include "settings.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"

static const char usage[] =
	"Usage: %s [OPTION]... [SCENARIO]...\n"
	"Measures sluice side by side with what can be written by hand.\n\n"
	"  -b, --backend=NAME       auto (default), uring or epoll\n"
	"  -d, --directory=DIR      where files to send are made (default: the current one)\n"
	"  -j, --json=FILE          write the raw samples to FILE\n"
	"  -l, --list               name the scenarios\n"
	"  -N, --nap-us=N           the receiver sleeps after each look (default 0: a send wakes it)\n"
	"  -n, --sittings=N         with new sockets each (default 8)\n"
	"  -r, --rounds=N           of A and B each, in a sitting (default 15)\n"
	"  -R, --receiver-cpu=N     the receiver's core (default: another)\n"
	"  -s, --self               the baseline against itself: the noise of the method\n"
	"  -S, --sender-cpu=N       the sender's core (default: the first)\n"
	"  -t, --slice-ms=N         how long each side is measured at a stretch (default 10)\n"
	"  -h, --help               this\n";

static const struct option long_options[] = {
	{"backend", required_argument, NULL, 'b'},
	{"directory", required_argument, NULL, 'd'},
	{"json", required_argument, NULL, 'j'},
	{"list", no_argument, NULL, 'l'},
	{"nap-us", required_argument, NULL, 'N'},
	{"sittings", required_argument, NULL, 'n'},
	{"rounds", required_argument, NULL, 'r'},
	{"receiver-cpu", required_argument, NULL, 'R'},
	{"self", no_argument, NULL, 's'},
	{"sender-cpu", required_argument, NULL, 'S'},
	{"slice-ms", required_argument, NULL, 't'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static long number(const char *text, long low, long high)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end != '\0' || value < low || value > high)
		errx(2, "%s: not a number from %ld to %ld", text, low, high);
	return value;
}

static uint32_t backend_of(const char *name)
{
	if (strcmp(name, "uring") == 0)
		return SLUICE_BACKEND_URING;
	if (strcmp(name, "epoll") == 0)
		return SLUICE_BACKEND_EPOLL;
	if (strcmp(name, "auto") == 0)
		return SLUICE_BACKEND_AUTO;
	errx(2, "%s: not a backend; auto, uring and epoll are", name);
}

void settings_default(struct settings *settings)
{
	*settings = (struct settings){
		.method = {.sittings = 8, .rounds = 15, .slice_ns = 10000000},
		.directory = ".",
	};
	cpus_choose(&settings->sender_cpu, &settings->receiver_cpu);
	sluice_options_init(&settings->options, sizeof(settings->options));
	settings->options.sigpipe_ignored = 1; /* suite_main sees to it */
}

static void set_one(struct settings *settings, int option, const char *value)
{
	switch (option) {
	case 'b':
		settings->options.backend = backend_of(value);
		break;
	case 'd':
		settings->directory = value;
		break;
	case 'j':
		settings->json_path = value;
		break;
	case 'l':
		settings->list = 1;
		break;
	case 'N':
		settings->receiver_nap_us = (int)number(value, 0, 1000000);
		break;
	case 'n':
		settings->method.sittings = (size_t)number(value, 1, PAIR_ROUNDS_MAX);
		break;
	case 'r':
		settings->method.rounds = (size_t)number(value, 1, PAIR_ROUNDS_MAX);
		break;
	case 'R':
		settings->receiver_cpu = (int)number(value, 0, 1023);
		break;
	case 's':
		settings->against_itself = 1;
		break;
	case 'S':
		settings->sender_cpu = (int)number(value, 0, 1023);
		break;
	case 't':
		settings->method.slice_ns = (uint64_t)number(value, 1, 10000) * 1000000;
		break;
	}
}

void settings_parse(struct settings *settings, int argc, char **argv)
{
	int option;

	settings_default(settings);
	while ((option = getopt_long(argc, argv, "b:d:j:lN:n:r:R:sS:t:h", long_options, NULL)) !=
	       -1) {
		if (option == 'h') {
			printf(usage, argv[0]);
			exit(0);
		}
		if (option == '?')
			exit(2);
		set_one(settings, option, optarg);
	}
	if (settings->method.sittings * settings->method.rounds > PAIR_ROUNDS_MAX)
		errx(2, "more than %d rounds in all", PAIR_ROUNDS_MAX);
	settings->names = argv + optind;
	settings->name_count = argc - optind;
}

int settings_select(const struct settings *settings, const char *name)
{
	for (int i = 0; i < settings->name_count; i++) {
		if (strcmp(settings->names[i], name) == 0)
			return 1;
	}
	return settings->name_count == 0;
}
