/* SPDX-License-Identifier: MIT */
#include "conditions.h"

#include <err.h>
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

static void collect_machine(struct conditions *conditions)
{
	time_t now = time(NULL);
	struct utsname name;

	if (uname(&name) != 0)
		err(1, "uname");
	snprintf(conditions->kernel, sizeof(conditions->kernel), "%s", name.release);
	strftime(conditions->date, sizeof(conditions->date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	conditions->cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (getloadavg(&conditions->load, 1) != 1)
		conditions->load = -1;
}

static void collect_cpu(struct conditions *conditions)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(conditions->cpu, sizeof(conditions->cpu), "unknown");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "model name : %127[^\n]", conditions->cpu) == 1)
			break;
	}
	fclose(file);
}

static void collect_engine(struct conditions *conditions, const struct sluice_options *options)
{
	struct sluice_engine_statistics statistics = {.size = sizeof(statistics)};
	struct sluice_engine *engine;
	int error = sluice_engine_create(&engine, options);

	if (error < 0)
		errx(1, "sluice_engine_create: %s", strerror(-error));
	snprintf(conditions->backend, sizeof(conditions->backend), "%s",
		 sluice_engine_backend(engine));
	snprintf(conditions->backend_reason, sizeof(conditions->backend_reason), "%s",
		 sluice_engine_backend_reason(engine));
	sluice_engine_statistics(engine, &statistics);
	for (uint32_t bit = 1; bit != 0; bit <<= 1) {
		const char *name = sluice_capability_name(bit);
		size_t length = strlen(conditions->capabilities);

		if ((statistics.capabilities & bit) && name)
			snprintf(conditions->capabilities + length,
				 sizeof(conditions->capabilities) - length, "%s%s",
				 length ? " " : "", name);
	}
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
	socklen_t length = sizeof(conditions->congestion);

	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, conditions->congestion, &length) != 0)
		err(1, "getsockopt");
	conditions->nodelay = number_option(fd, IPPROTO_TCP, TCP_NODELAY);
	conditions->send_buffer_bytes = number_option(fd, SOL_SOCKET, SO_SNDBUF);
	conditions->receive_buffer_bytes = number_option(fd, SOL_SOCKET, SO_RCVBUF);
	close(fd);
}

void conditions_collect(struct conditions *conditions, const struct settings *settings,
			const struct receiver *receiver)
{
	*conditions = (struct conditions){
		.sender_cpu = settings->sender_cpu,
		.receiver_cpu = settings->receiver_cpu,
		.build = BUILD,
		.liburing = BENCH_LIBURING_VERSION,
		.sluice = sluice_version(),
	};
	collect_machine(conditions);
	collect_cpu(conditions);
	collect_engine(conditions, &settings->options);
	collect_sockets(conditions, receiver);
}
