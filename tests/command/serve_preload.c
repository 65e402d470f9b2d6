/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into `sluice serve`: a file system that hangs, a kernel without openat2, no more threads.
 *
 * SERVE_HANG=TEXT         opening a path or a name with this text in it hangs, as long as
 * SERVE_HANG_WHILE=FILE   this file exists
 * SERVE_NO_OPENAT2=1      openat2 answers ENOSYS
 * SERVE_BUSY_BINDS=N      the first N binds answer EADDRINUSE
 * SERVE_NO_THREADS=FILE   no thread can be created as long as this file exists
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

typedef long syscall_fn(long number, ...);
typedef int openat_fn(int fd, const char *path, int flags, ...);
typedef int pthread_create_fn(pthread_t *thread, const pthread_attr_t *attributes,
			      void *(*run)(void *), void *argument);

static int hangs(const char *path)
{
	const char *text = getenv("SERVE_HANG");

	return text != NULL && strstr(path, text) != NULL;
}

static void hang(void)
{
	static const struct timespec moment = {.tv_nsec = 20 * 1000 * 1000};
	const char *file = getenv("SERVE_HANG_WHILE");

	while (file == NULL || access(file, F_OK) == 0)
		nanosleep(&moment, NULL);
}

long syscall(long number, ...)
{
	syscall_fn *next = (syscall_fn *)dlsym(RTLD_NEXT, "syscall");
	long arguments[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_openat2) {
		const struct open_how *how = (const struct open_how *)arguments[2];

		if (getenv("SERVE_NO_OPENAT2") != NULL) {
			errno = ENOSYS;
			return -1;
		}
		if (hangs((const char *)arguments[1])) {
			if (how->resolve & RESOLVE_CACHED) {
				errno = EAGAIN;
				return -1;
			}
			hang();
		}
	}
	return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
		    arguments[5]);
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	static int binds;
	const char *busy = getenv("SERVE_BUSY_BINDS");

	if (busy != NULL && binds++ < atoi(busy)) {
		errno = EADDRINUSE;
		return -1;
	}
	return (int)syscall(SYS_bind, fd, address, length);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
		   void *argument)
{
	pthread_create_fn *next = (pthread_create_fn *)dlsym(RTLD_NEXT, "pthread_create");
	const char *file = getenv("SERVE_NO_THREADS");

	if (file != NULL && access(file, F_OK) == 0)
		return EAGAIN;
	return next(thread, attributes, run, argument);
}

int openat(int fd, const char *path, int flags, ...)
{
	openat_fn *next = (openat_fn *)dlsym(RTLD_NEXT, "openat");
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
	va_end(list);
	if (hangs(path))
		hang();
	return next(fd, path, flags, mode);
}
