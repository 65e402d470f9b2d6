/* SPDX-License-Identifier: MIT */
/* Definitions missing in the oldest supported liburing (2.3, Debian 12), by kernel version. */
#ifndef SLUICE_SRC_BACKEND_URING_COMPAT_H
#define SLUICE_SRC_BACKEND_URING_COMPAT_H

#include <liburing.h>
#include <sys/syscall.h>

/* 5.10; declared by liburing 2.3 but not exported by its shared library. */
#define SLUICE__REGISTER_ENABLE_RINGS 12

#ifndef IORING_SETUP_TASKRUN_FLAG
#define IORING_SETUP_TASKRUN_FLAG (1U << 9) /* 5.19 */
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12) /* 6.0 */
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13) /* 6.1 */
#endif

#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3) /* 6.2 */
#endif
#ifndef IORING_NOTIF_USAGE_ZC_COPIED
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31) /* 6.2, in the notification's result */
#endif

/* The wait is not accounted as I/O wait: neither in iowait nor in pressure/io. */
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7) /* 6.15 */
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17) /* 6.15 */
#endif

/* Limits a multishot receive to a number of bytes; -EINVAL before about 6.16. */
static inline void sluice__sqe_limit_receive(struct io_uring_sqe *sqe, uint32_t bytes)
{
	sqe->file_index = bytes; /* the union's optlen */
}

#endif
