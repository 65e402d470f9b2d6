/* SPDX-License-Identifier: MIT */
/*
 * Servers of a file over HTTP, each one process on the sender's core, set up as its authors would do
 * it for static files: `sluice serve`, nginx, lighttpd. The asker is the client.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "side.h"

#define CONFIGURATION "server.conf"
#define FILE_NAME "file.bin"

struct http_side {
	struct side side;
	struct load load;
	pid_t process;
	clockid_t clock; /* its CPU time, all threads together */
	char directory[256];
};

struct server {
	const char *program;       /* looked for in PATH and where daemons are */
	const char *configuration; /* with the port and the directory, up to four times each */
	const char
		*arguments[10]; /* "PORT", "DIRECTORY", "CONFIGURATION" stand for what they say */
};

static const struct server sluice = {
	.program = "sluice",
	.arguments = {"serve", "--bind=127.0.0.1", "--workers=1", "--port", "PORT", "DIRECTORY"},
};

static const struct server nginx = {
	.program = "nginx",
	.configuration = "daemon off; master_process off; worker_processes 1; pid %2$s/pid;\n"
			 "error_log stderr crit;\n"
			 "events { worker_connections 4096; }\n"
			 "http { access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;\n"
			 "keepalive_timeout 300s; keepalive_requests 1000000000;\n"
			 "open_file_cache max=1000 inactive=300s; open_file_cache_valid 60s;\n"
			 "types { application/octet-stream bin; }\n"
			 "client_body_temp_path %2$s/body; proxy_temp_path %2$s/proxy;\n"
			 "fastcgi_temp_path %2$s/fastcgi; uwsgi_temp_path %2$s/uwsgi;\n"
			 "scgi_temp_path %2$s/scgi;\n"
			 "server { listen 127.0.0.1:%1$u backlog=4096; root %2$s; } }\n",
	.arguments = {"-p", "DIRECTORY", "-c", "CONFIGURATION", "-e", "stderr"},
};

static const struct server lighttpd = {
	.program = "lighttpd",
	.configuration = "server.document-root = \"%2$s\"\nserver.bind = \"127.0.0.1\"\n"
			 "server.port = %1$u\nserver.max-keep-alive-requests = 65535\n"
			 "server.max-keep-alive-idle = 300\nserver.max-fds = 4096\n"
			 "server.network-backend = \"sendfile\"\n"
			 "mimetype.assign = (\".bin\" => \"application/octet-stream\")\n",
	.arguments = {"-D", "-f", "CONFIGURATION"},
};

/* The program's path, or NULL. Ours is beside this program. */
static const char *find_program(const char *name)
{
	static const char *const places[] = {"/usr/sbin", "/usr/bin", "/usr/local/sbin",
					     "/usr/local/bin"};
	static char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 64);

	if (length > 0 && strcmp(name, "sluice") == 0) {
		path[length] = '\0';
		strcpy(strrchr(path, '/') + 1, name);
		if (access(path, X_OK) == 0)
			return path;
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", places[i], name);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

static uint16_t free_port(void)
{
	uint16_t port;

	close(net_listen(&port));
	return port;
}

static FILE *create_file(const struct http_side *self, const char *name)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", self->directory, name);
	file = fopen(path, "we");
	if (!file)
		err(1, "%s", path);
	return file;
}

static void make_directory(struct http_side *self, const struct server *server, uint16_t port)
{
	char *directory = realpath(self->load.directory, NULL);
	FILE *file;

	snprintf(self->directory, sizeof(self->directory), "%s/sluice-bench-XXXXXX",
		 directory ? directory : self->load.directory);
	free(directory);
	if (!mkdtemp(self->directory))
		err(1, "%s", self->directory);
	file = create_file(self, FILE_NAME);
	for (uint64_t i = 0; i < self->load.file_bytes; i++)
		putc_unlocked((int)(i * 7919 >> 8) & 0xff, file);
	if (fflush(file) != 0 || fsync(fileno(file)) != 0 || fclose(file) != 0)
		err(1, "%s", self->directory);
	if (!server->configuration)
		return;
	file = create_file(self, CONFIGURATION);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	fprintf(file, server->configuration, (unsigned)port, self->directory);
#pragma GCC diagnostic pop
	fclose(file);
}

static void remove_directory(const struct http_side *self)
{
	DIR *directory = opendir(self->directory);
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		if (unlinkat(dirfd(directory), entry->d_name, 0) != 0)
			unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
	}
	if (directory)
		closedir(directory);
	rmdir(self->directory);
}

/* Also where the program ends early; but not in its children. */
static struct http_side *at_end;
static pid_t ends;

static void clean_up(void)
{
	if (at_end && getpid() == ends)
		remove_directory(at_end);
}

_Noreturn static void become(const struct http_side *self, const struct server *server,
			     uint16_t port)
{
	const char *path = find_program(server->program);
	char port_text[16], configuration[512];
	char *arguments[12] = {(char *)(uintptr_t)server->program};
	int silence = open("/dev/null", O_WRONLY);

	snprintf(port_text, sizeof(port_text), "%u", port);
	snprintf(configuration, sizeof(configuration), "%s/" CONFIGURATION, self->directory);
	for (int i = 0; i < 10 && server->arguments[i]; i++) {
		const char *argument = server->arguments[i];

		if (strcmp(argument, "PORT") == 0)
			argument = port_text;
		else if (strcmp(argument, "DIRECTORY") == 0)
			argument = self->directory;
		else if (strcmp(argument, "CONFIGURATION") == 0)
			argument = configuration;
		arguments[1 + i] = (char *)(uintptr_t)argument;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(silence, STDOUT_FILENO);
	execv(path ? path : server->program, arguments);
	err(1, "%s", server->program);
}

/*
 * A server cannot be told which congestion control its sockets are to have, but what is accepted has
 * that of the listener, which this process may reach into its child for. Whether there was one.
 */
static bool set_congestion(const struct http_side *self)
{
	int pidfd = (int)syscall(SYS_pidfd_open, self->process, 0);
	bool found = false;

	for (int number = 0; pidfd >= 0 && number < 256; number++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0), listens = 0;
		socklen_t length = sizeof(listens);

		if (fd < 0)
			continue;
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens &&
		    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, NET_CONGESTION,
			       strlen(NET_CONGESTION)) == 0)
			found = true;
		close(fd);
	}
	if (pidfd >= 0)
		close(pidfd);
	return found;
}

static void wait_until_it_listens(const struct http_side *self)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	for (int i = 0; i < 500; i++) {
		if (waitpid(self->process, NULL, WNOHANG) == self->process)
			exit(1); /* it has said why */
		if (set_congestion(self))
			return;
		nanosleep(&pause, NULL);
	}
	errx(1, "the server does not listen, or its sockets are out of reach");
}

static uint64_t cpu_ns(struct side *side)
{
	struct timespec time;

	if (clock_gettime(((struct http_side *)side)->clock, &time) != 0)
		err(1, "the CPU time of the server");
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void destroy(struct side *side)
{
	struct http_side *self = (struct http_side *)side;

	kill(self->process, SIGKILL);
	waitpid(self->process, NULL, 0);
	remove_directory(self);
	at_end = NULL;
	free(self);
}

static struct side *create(const struct load *load, const struct server *server)
{
	struct http_side *self = side_allocate(1, sizeof(*self));
	uint16_t port = free_port();

	self->side = (struct side){.destroy = destroy, .cpu_ns = cpu_ns, .port = port};
	self->load = *load;
	at_end = self;
	ends = getpid();
	atexit(clean_up);
	make_directory(self, server, port);
	self->process = fork();
	if (self->process < 0)
		err(1, "fork");
	if (self->process == 0)
		become(self, server, port);
	if (clock_getcpuclockid(self->process, &self->clock) != 0)
		errx(1, "the CPU time of the server");
	wait_until_it_listens(self);
	return &self->side;
}

static struct side *create_sluice(const struct load *load)
{
	setenv("SLUICE_BACKEND",
	       load->options->backend == SLUICE_BACKEND_EPOLL   ? "epoll"
	       : load->options->backend == SLUICE_BACKEND_URING ? "uring"
								: "",
	       load->options->backend != SLUICE_BACKEND_AUTO);
	return create(load, &sluice);
}

static struct side *create_epoll(const struct load *load)
{
	setenv("SLUICE_BACKEND", "epoll", 1);
	return create(load, &sluice);
}

static struct side *create_nginx(const struct load *load)
{
	return create(load, &nginx);
}

static struct side *create_lighttpd(const struct load *load)
{
	return create(load, &lighttpd);
}

static bool suits_epoll(const struct load *load)
{
	return load->options->backend != SLUICE_BACKEND_EPOLL;
}

static const char *lacks_nginx(const struct load *load)
{
	(void)load;
	return find_program("nginx") ? NULL : "it is not installed";
}

static const char *lacks_lighttpd(const struct load *load)
{
	(void)load;
	return find_program("lighttpd") ? NULL : "it is not installed";
}

const struct peer peer_sluice_http = {
	.name = "sluice",
	.title = "sluice serve",
	.loads = LOADS(LOAD_HTTP),
	.create = create_sluice,
};

const struct peer peer_sluice_http_epoll = {
	.name = "sluice-epoll",
	.title = "sluice serve on epoll",
	.loads = LOADS(LOAD_HTTP),
	.suits = suits_epoll,
	.create = create_epoll,
};

const struct peer peer_nginx = {
	.name = "nginx",
	.title = "nginx",
	.loads = LOADS(LOAD_HTTP),
	.lacks = lacks_nginx,
	.create = create_nginx,
};

const struct peer peer_lighttpd = {
	.name = "lighttpd",
	.title = "lighttpd",
	.loads = LOADS(LOAD_HTTP),
	.lacks = lacks_lighttpd,
	.create = create_lighttpd,
};
