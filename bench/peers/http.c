/* SPDX-License-Identifier: MIT */
/* HTTP servers of a file, each one process on the sender's core; servers.c sets them up. */
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

#include "harness/runner.h"
#include "harness/site.h"
#include "peers/servers.h"

struct http_runner {
	struct runner runner;
	struct load load;
	pid_t process;
	clockid_t clock; /* its CPU time, all threads together */
	char directory[256];
	pid_t keeper; /* owns the directory */
	int keeper_fd;
};

static uint16_t free_port(void)
{
	uint16_t port;

	close(net_listen(&port));
	return port;
}

/*
 * The client expects answers of one length, but a server may omit the date of a file that has just
 * changed, or use another tag, until its time stamps are reliable.
 */
static void wait_until_settled(int fd)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	struct timespec now;
	struct stat status;
	double wait;

	if (fstat(fd, &status) != 0)
		err(1, "fstat");
	/* Some file systems count whole seconds. */
	wait = status.st_ctim.tv_nsec != 0 ? 0.2 : 2.2;
	do {
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_REALTIME, &now);
	} while ((double)(now.tv_sec - status.st_ctim.tv_sec) +
			 (double)(now.tv_nsec - status.st_ctim.tv_nsec) / 1e9 <
		 wait);
}

/* settle: it is the last one. */
static void make_file(const struct http_runner *self, const char *name, const char *suffix,
		      uint64_t bytes, bool settle)
{
	const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s%s", self->directory, name, suffix);
	file = fopen(path, "we");
	if (!file)
		err(1, "%s", path);
	for (uint64_t i = 0; i < bytes; i++)
		putc_unlocked((int)(i * 7919 >> 8) & 0xff, file);
	if (fflush(file) != 0 || fsync(fileno(file)) != 0 || futimens(fileno(file), old) != 0)
		err(1, "%s", path);
	if (settle)
		wait_until_settled(fileno(file));
	fclose(file);
}

/*
 * Variants that nobody decompresses, so they need not be compressed: only their sizes matter. Those
 * by brotli are left out if nginx could not send them: all servers have the same files.
 */
static void make_site(const struct http_runner *self)
{
	for (size_t i = 0; i < SITE_FILES; i++) {
		const struct site_file *file = &site_files[i];

		if (file->gzip_bytes > 0)
			make_file(self, file->name, ".gz", file->gzip_bytes, false);
		if (file->brotli_bytes > 0 && self->runner.has_brotli)
			make_file(self, file->name, ".br", file->brotli_bytes, false);
		make_file(self, file->name, "", file->bytes, i + 1 == SITE_FILES);
	}
}

/* False while the server is still writing there. */
static bool remove_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		if (unlinkat(dirfd(directory), entry->d_name, 0) != 0)
			unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
	}
	if (directory)
		closedir(directory);
	return rmdir(path) == 0 || errno != ENOTEMPTY;
}

/*
 * Creates the directory, reports its name, and removes it when the measuring process requests it or
 * has ended. The server ends with that process, but perhaps later.
 */
_Noreturn static void keep(int fd, char *directory, size_t size)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	char byte;

	setpgid(0, 0);
	if (!mkdtemp(directory))
		err(1, "%s", directory);
	if (write(fd, directory, size) == (ssize_t)size)
		while (read(fd, &byte, 1) < 0 && errno == EINTR)
			;
	for (int i = 0; i < 1000 && !remove_directory(directory); i++)
		nanosleep(&pause, NULL);
	_exit(0);
}

/*
 * A separate process owns the directory, in its own process group and with all signals blocked:
 * however this process ends, no files remain.
 */
static void make_directory(struct http_runner *self)
{
	char *directory = realpath(self->load.directory, NULL);
	sigset_t all, before;
	int fds[2];

	snprintf(self->directory, sizeof(self->directory), "%s/sluice-bench-XXXXXX",
		 directory ? directory : self->load.directory);
	free(directory);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		err(1, "socketpair");
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	self->keeper = fork();
	if (self->keeper < 0)
		err(1, "fork");
	if (self->keeper == 0) {
		close(fds[0]);
		keep(fds[1], self->directory, sizeof(self->directory));
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	self->keeper_fd = fds[0];
	if (read(self->keeper_fd, self->directory, sizeof(self->directory)) !=
	    sizeof(self->directory))
		exit(1); /* it has reported why */
	if (self->load.site)
		make_site(self);
	else
		make_file(self, "file.bin", "", self->load.file_bytes, true);
}

/* The client's processes have the descriptor, too: only a byte is noticed at once. */
static void end_directory(const struct http_runner *self)
{
	if (send(self->keeper_fd, "", 1, MSG_NOSIGNAL) == 1)
		waitpid(self->keeper, NULL, 0);
	close(self->keeper_fd);
}

/*
 * The congestion control of a server cannot be configured, but accepted sockets inherit that of the
 * listener, which this process can obtain from its child. Whether this worked.
 */
static bool set_congestion(const struct http_runner *self)
{
	int pidfd = (int)syscall(SYS_pidfd_open, self->process, 0);
	bool found = false;

	for (int number = 0; pidfd >= 0 && number < 256; number++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0), listens = 0;
		socklen_t length = sizeof(listens);

		if (fd < 0)
			continue;
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens) {
			net_set_congestion(fd);
			found = true;
		}
		close(fd);
	}
	if (pidfd >= 0)
		close(pidfd);
	return found;
}

static void wait_until_it_listens(struct http_runner *self)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	for (int i = 0; i < 6000; i++) {
		if (waitpid(self->process, NULL, WNOHANG) == self->process) {
			self->process = 0;
			exit(1); /* it has reported why */
		}
		if (set_congestion(self))
			return;
		nanosleep(&pause, NULL);
	}
	errx(1, "the server does not listen, or its sockets are out of reach");
}

static uint64_t cpu_ns(struct runner *runner)
{
	struct timespec time;

	if (clock_gettime(((struct http_runner *)runner)->clock, &time) != 0)
		err(1, "the CPU time of the server");
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void destroy(struct runner *runner)
{
	struct http_runner *self = (struct http_runner *)runner;

	kill(self->process, SIGKILL);
	waitpid(self->process, NULL, 0);
	end_directory(self);
	free(self);
}

static struct runner *create(const struct load *load, const struct server *server)
{
	struct http_runner *self = runner_allocate(1, sizeof(*self));
	uint16_t port = free_port();

	self->runner = (struct runner){.destroy = destroy,
				       .cpu_ns = cpu_ns,
				       .port = port,
				       .has_brotli = server_nginx_has_brotli()};
	self->load = *load;
	make_directory(self);
	self->process = fork();
	if (self->process < 0)
		err(1, "fork");
	if (self->process == 0)
		server_become(server, port, self->directory, load->accepts_compressed);
	self->runner.process = self->process;
	if (clock_getcpuclockid(self->process, &self->clock) != 0)
		errx(1, "the CPU time of the server");
	wait_until_it_listens(self);
	return &self->runner;
}

static struct runner *create_sluice(const struct load *load)
{
	setenv("SLUICE_BACKEND",
	       load->options->backend == SLUICE_BACKEND_EPOLL   ? "epoll"
	       : load->options->backend == SLUICE_BACKEND_URING ? "uring"
								: "",
	       load->options->backend != SLUICE_BACKEND_AUTO);
	return create(load, &server_sluice);
}

static struct runner *create_epoll(const struct load *load)
{
	setenv("SLUICE_BACKEND", "epoll", 1);
	return create(load, &server_sluice);
}

static struct runner *create_nginx(const struct load *load)
{
	return create(load, &server_nginx);
}

static struct runner *create_lighttpd(const struct load *load)
{
	return create(load, &server_lighttpd);
}

static struct runner *create_kestrel(const struct load *load)
{
	return create(load, &server_kestrel);
}

static bool suits_epoll(const struct load *load)
{
	return load->options->backend != SLUICE_BACKEND_EPOLL;
}

/* Neither sends variants that lie beside a file. */
static bool suits_plain(const struct load *load)
{
	return !load->accepts_compressed;
}

static const char *lacks_nginx(const struct load *load)
{
	(void)load;
	return server_lacks(&server_nginx);
}

static const char *lacks_lighttpd(const struct load *load)
{
	(void)load;
	return server_lacks(&server_lighttpd);
}

static const char *lacks_kestrel(const struct load *load)
{
	(void)load;
	return server_lacks(&server_kestrel);
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
	.suits = suits_plain,
	.lacks = lacks_lighttpd,
	.create = create_lighttpd,
};

const struct peer peer_kestrel = {
	.name = "kestrel",
	.title = "ASP.NET Core's Kestrel",
	.loads = LOADS(LOAD_HTTP),
	.suits = suits_plain,
	.lacks = lacks_kestrel,
	.create = create_kestrel,
};
