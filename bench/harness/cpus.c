/* SPDX-License-Identifier: MIT */
#include "harness/cpus.h"

#include <err.h>
#include <sched.h>
#include <stdbool.h>
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

/* The first allowed CPU that is not excluded, or -1. */
static int first_other(const cpu_set_t *allowed, const cpu_set_t *excluded)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET((size_t)cpu, allowed) && !CPU_ISSET((size_t)cpu, excluded))
			return cpu;
	}
	return -1;
}

/* Appends the allowed CPUs that are not excluded after the first count. */
static size_t add_others(int cpus[CPUS_MAX], size_t count, const cpu_set_t *allowed,
			 cpu_set_t *excluded, bool with_siblings)
{
	int cpu;

	while (count < CPUS_MAX && (cpu = first_other(allowed, excluded)) >= 0) {
		cpus[count++] = cpu;
		CPU_SET((size_t)cpu, excluded);
		if (with_siblings)
			add_siblings(cpu, excluded);
	}
	return count;
}

size_t cpus_list(int cpus[CPUS_MAX])
{
	cpu_set_t allowed, excluded;
	size_t count;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		err(1, "sched_getaffinity");
	CPU_ZERO(&excluded);
	count = add_others(cpus, 0, &allowed, &excluded, true);
	CPU_ZERO(&excluded);
	for (size_t i = 0; i < count; i++)
		CPU_SET((size_t)cpus[i], &excluded);
	return add_others(cpus, count, &allowed, &excluded, false);
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
