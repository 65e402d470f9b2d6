/* SPDX-License-Identifier: MIT */
#include "cpus.h"

#include <err.h>
#include <sched.h>
#include <stdio.h>

/* Adds the CPUs that share a core with this one: a list like "0,64" or "0-1". */
static void add_siblings(int cpu, cpu_set_t *set)
{
	char path[96];
	FILE *file;
	int first, last;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
		 cpu);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fscanf(file, "%d", &first) == 1) {
		if (fscanf(file, "-%d", &last) != 1)
			last = first;
		for (; first <= last; first++)
			CPU_SET((size_t)first, set);
		if (fgetc(file) != ',')
			break;
	}
	fclose(file);
}

/* The first one of the allowed that is not among the excluded, or -1. */
static int first_other(const cpu_set_t *allowed, const cpu_set_t *excluded)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET((size_t)cpu, allowed) && !CPU_ISSET((size_t)cpu, excluded))
			return cpu;
	}
	return -1;
}

void cpus_choose(int *ret_sender, int *ret_receiver)
{
	cpu_set_t allowed, excluded;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		err(1, "sched_getaffinity");
	CPU_ZERO(&excluded);
	*ret_sender = first_other(&allowed, &excluded);

	CPU_SET((size_t)*ret_sender, &excluded);
	*ret_receiver = first_other(&allowed, &excluded);
	add_siblings(*ret_sender, &excluded);
	if (first_other(&allowed, &excluded) >= 0)
		*ret_receiver = first_other(&allowed, &excluded);
	if (*ret_receiver < 0)
		*ret_receiver = *ret_sender;
}
