/* SPDX-License-Identifier: MIT */
/*
 * .NET's ways to send, implemented in bench/dotnet: a process that inherits the sockets, and
 * receives the number of loads through a pipe.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/runner.h"
#include "peers/dotnet.h"

struct dotnet_runner {
	struct runner runner;
	struct load load;
	pid_t process;
	clockid_t clock; /* its CPU time, all threads together */
	FILE *orders;
	FILE *answers;
	int *fds;
};

static void expect(struct dotnet_runner *self, const char *answer)
{
	char line[64];

	if (!fgets(line, sizeof(line), self->answers) || strncmp(line, answer, strlen(answer)) != 0)
		exit(1); /* it has reported why */
}

static void run(struct runner *runner, uint64_t times)
{
	struct dotnet_runner *self = (struct dotnet_runner *)runner;

	fprintf(self->orders, "%llu\n", (unsigned long long)times);
	fflush(self->orders);
	expect(self, "done");
}

static uint64_t cpu_ns(struct runner *runner)
{
	struct timespec time;

	if (clock_gettime(((struct dotnet_runner *)runner)->clock, &time) != 0)
		err(1, "the CPU time of the .NET program");
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void destroy(struct runner *runner)
{
	struct dotnet_runner *self = (struct dotnet_runner *)runner;

	fclose(self->orders); /* it ends */
	fclose(self->answers);
	kill(self->process, SIGKILL);
	waitpid(self->process, NULL, 0);
	runner_disconnect(&self->load, self->fds);
	free(self);
}

/* The way and the load as numbers, and the sockets. */
static char **make_arguments(const struct dotnet_runner *self, const char *way)
{
	const struct load *load = &self->load;
	const unsigned long long numbers[] = {
		load->records,      load->record_bytes,
		load->header_bytes, load->shared,
		load->file_bytes,   (unsigned long long)(load->file_bytes ? load->file_fd : 0)};
	size_t fixed = 3 + sizeof(numbers) / sizeof(numbers[0]), i = 3;
	char **arguments = calloc(fixed + load->sockets + 1, sizeof(*arguments));
	int made = 0;

	if (!arguments)
		err(1, "out of memory");
	made |= asprintf(&arguments[0], "dotnet");
	made |= asprintf(&arguments[1], "%s", dotnet_path(DOTNET_SEND));
	made |= asprintf(&arguments[2], "%s", way);
	for (; i < fixed; i++)
		made |= asprintf(&arguments[i], "%llu", numbers[i - 3]);
	for (size_t socket = 0; socket < load->sockets; socket++, i++)
		made |= asprintf(&arguments[i], "%d", self->fds[socket]);
	if (made < 0)
		err(1, "out of memory");
	return arguments;
}

static void free_arguments(char **arguments)
{
	for (size_t i = 0; arguments[i]; i++)
		free(arguments[i]);
	free(arguments);
}

/* Duplicating a descriptor onto itself clears close-on-exec. */
static void spawn(struct dotnet_runner *self, char **arguments, int orders, int answers)
{
	posix_spawn_file_actions_t actions;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, orders, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, answers, STDOUT_FILENO);
	for (size_t i = 0; i < self->load.sockets; i++)
		posix_spawn_file_actions_adddup2(&actions, self->fds[i], self->fds[i]);
	if (self->load.file_bytes)
		posix_spawn_file_actions_adddup2(&actions, self->load.file_fd, self->load.file_fd);
	error = posix_spawnp(&self->process, "dotnet", &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0)
		errx(1, "dotnet: %s", strerror(error));
}

static struct runner *create(const struct load *load, const char *way)
{
	struct dotnet_runner *self = runner_allocate(1, sizeof(*self));
	int orders[2], answers[2];
	char **arguments;

	self->runner = (struct runner){.run = run, .destroy = destroy, .cpu_ns = cpu_ns};
	self->load = *load;
	self->fds = runner_connect(load);
	/* SendFile is synchronous, and .NET requires a blocking descriptor. */
	if (strcmp(way, "file") == 0)
		(void)fcntl(self->fds[0], F_SETFL, 0);
	if (pipe2(orders, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0)
		err(1, "pipe2");
	arguments = make_arguments(self, way);
	dotnet_prepare();
	spawn(self, arguments, orders[0], answers[1]);
	free_arguments(arguments);
	close(orders[0]);
	close(answers[1]);
	self->orders = fdopen(orders[1], "w");
	self->answers = fdopen(answers[0], "r");
	if (!self->orders || !self->answers ||
	    clock_getcpuclockid(self->process, &self->clock) != 0)
		err(1, "the .NET program");
	expect(self, "ready");
	self->runner.process = self->process;
	return &self->runner;
}

static struct runner *create_send(const struct load *load)
{
	return create(load, "send");
}

static struct runner *create_list(const struct load *load)
{
	return create(load, "list");
}

static struct runner *create_begin(const struct load *load)
{
	return create(load, "begin");
}

static struct runner *create_packets(const struct load *load)
{
	return create(load, "packets");
}

static struct runner *create_file(const struct load *load)
{
	return create(load, "file");
}

/* Several records for each socket. */
static bool suits_list(const struct load *load)
{
	return load->records > load->sockets && load->header_bytes == 0;
}

static bool suits_begin(const struct load *load)
{
	return load->header_bytes == 0;
}

static const char *lacks(const struct load *load)
{
	(void)load;
	return dotnet_lacks(DOTNET_SEND);
}

const struct peer peer_dotnet_send = {
	.name = "dotnet-send",
	.title = ".NET SendAsync",
	.loads = LOADS(LOAD_RECORDS) | LOADS(LOAD_DATAGRAMS),
	.lacks = lacks,
	.create = create_send,
};

const struct peer peer_dotnet_list = {
	.name = "dotnet-list",
	.title = ".NET BufferList",
	.loads = LOADS(LOAD_RECORDS),
	.suits = suits_list,
	.lacks = lacks,
	.create = create_list,
};

const struct peer peer_dotnet_begin = {
	.name = "dotnet-begin",
	.title = ".NET BeginSend",
	.loads = LOADS(LOAD_RECORDS),
	.suits = suits_begin,
	.lacks = lacks,
	.create = create_begin,
};

const struct peer peer_dotnet_packets = {
	.name = "dotnet-packets",
	.title = ".NET SendPacketsAsync",
	.loads = LOADS(LOAD_FILE),
	.suits = load_has_one_socket,
	.lacks = lacks,
	.create = create_packets,
};

const struct peer peer_dotnet_file = {
	.name = "dotnet-file",
	.title = ".NET SendFile",
	.loads = LOADS(LOAD_FILE),
	.suits = load_has_one_socket,
	.lacks = lacks,
	.create = create_file,
};
