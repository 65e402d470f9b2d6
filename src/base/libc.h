/* SPDX-License-Identifier: MIT */
/*
 * Wrappers for system calls that some C libraries lack: musl before 1.2.5 has no preadv2(2), and no
 * version of musl has epoll_pwait2(2). src/meson.build sets the feature macros.
 */
#ifndef SLUICE_BASE_LIBC_H
#define SLUICE_BASE_LIBC_H

#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008 /* linux/fs.h */
#endif

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* the same on every architecture */
#endif

#ifndef SLUICE_HAVE_PREADV2
static inline ssize_t preadv2(int fd, const struct iovec *segments, int count, off_t offset,
			      int flags)
{
	/* The offset is passed as two halves; 64-bit kernels read all of it from the first. */
	return syscall(SYS_preadv2, fd, segments, count, offset, 0L, flags);
}
#endif

#ifndef SLUICE_HAVE_EPOLL_PWAIT2
static inline int epoll_pwait2(int fd, struct epoll_event *events, int count,
			       const struct timespec *timeout, const sigset_t *mask)
{
	return (int)syscall(SYS_epoll_pwait2, fd, events, count, timeout, mask, _NSIG / 8);
}
#endif

#endif
