/* SPDX-License-Identifier: MIT */
#include "harness/conditions.h"

#include <err.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <sluice/sluice.h>

#ifdef NDEBUG
#define BUILD "release"
#else
#define BUILD "NOT a release build: assertions are on, the figures are worthless"
#endif

static void collect_cpu(struct conditions *conditions)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256], name[128] = "unknown";

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "model name : %127[^\n]", name) == 1)
			break;
	}
	if (file)
		fclose(file);
	conditions_add(conditions, "cpu", "%s", name);
}

static void collect_machine(struct conditions *conditions)
{
	time_t now = time(NULL);
	struct utsname name;
	double load;
	char date[32];

	if (uname(&name) != 0)
		err(1, "uname");
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	conditions_add(conditions, "date", "%s", date);
	conditions_add(conditions, "kernel", "%s", name.release);
	conditions_add(conditions, "machine", "%s", name.machine);
	collect_cpu(conditions);
	conditions_add(conditions, "cpus", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
	if (getloadavg(&load, 1) == 1)
		conditions_add(conditions, "load_before", "%.2f", load);
}

static void collect_capabilities(struct conditions *conditions, uint32_t capabilities)
{
	char names[640] = "";

	for (uint32_t bit = 1; bit != 0; bit <<= 1) {
		const char *name = sluice_capability_name(bit);
		size_t length = strlen(names);

		if ((capabilities & bit) && name)
			snprintf(names + length, sizeof(names) - length, "%s%s", length ? " " : "",
				 name);
	}
	conditions_add(conditions, "capabilities", "%s", names);
}

static void collect_costs(struct conditions *conditions,
			  const struct sluice_engine_statistics *statistics)
{
	if (!statistics->call_ns)
		return;
	conditions_add(conditions, "system_call_ns", "%" PRIu64, statistics->call_ns);
	conditions_add(conditions, "ring_enter_ns", "%" PRIu64, statistics->enter_ns);
	conditions_add(conditions, "ring_entry_ns", "%" PRIu64, statistics->entry_ns);
}

static void collect_engine(struct conditions *conditions, const struct sluice_options *options)
{
	struct sluice_engine_statistics statistics = {.size = sizeof(statistics)};
	struct sluice_engine *engine;
	int error = sluice_engine_create(&engine, options);

	if (error < 0)
		errx(1, "sluice_engine_create: %s", strerror(-error));
	conditions_add(conditions, "sluice", "%s", sluice_version());
	conditions_add(conditions, "build", "%s", BUILD);
	conditions_add(conditions, "backend", "%s", sluice_engine_backend(engine));
	if (*sluice_engine_backend_reason(engine))
		conditions_add(conditions, "backend_reason", "%s",
			       sluice_engine_backend_reason(engine));
	if (options->wait_budget_ns > 0)
		conditions_add(conditions, "wait_budget_us", "%" PRId64,
			       options->wait_budget_ns / 1000);
	sluice_engine_run(engine, 0); /* the first use measures the costs */
	sluice_engine_statistics(engine, &statistics);
	collect_capabilities(conditions, statistics.capabilities);
	collect_costs(conditions, &statistics);
	conditions_add(conditions, "liburing", "%s", BENCH_LIBURING_VERSION);
	sluice_engine_destroy(engine);
}

static int number_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t length = sizeof(value);

	if (getsockopt(fd, level, option, &value, &length) != 0)
		err(1, "getsockopt");
	return value;
}

static void collect_sockets(struct conditions *conditions, const struct receiver *receiver)
{
	int fd = net_connect(receiver);
	char congestion[16] = "";
	socklen_t length = sizeof(congestion);

	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, &length) != 0)
		err(1, "getsockopt");
	conditions_add(conditions, "congestion", "%s", congestion);
	conditions_add(conditions, "nodelay", "%s",
		       number_option(fd, IPPROTO_TCP, TCP_NODELAY) ? "on" : "off");
	conditions_add(conditions, "send_buffer_bytes", "%d",
		       number_option(fd, SOL_SOCKET, SO_SNDBUF));
	conditions_add(conditions, "receive_buffer_bytes", "%d",
		       number_option(fd, SOL_SOCKET, SO_RCVBUF));
	close(fd);
}

void conditions_collect(struct conditions *conditions, int sender_cpu,
			const struct sluice_options *options, const struct receiver *receiver)
{
	conditions->count = 0;
	collect_machine(conditions);
	conditions_add(conditions, "sender_cpu", "%d", sender_cpu);
	conditions_add(conditions, "receiver_cpu", "%d", receiver->cpu);
	collect_engine(conditions, options);
	collect_sockets(conditions, receiver);
}
