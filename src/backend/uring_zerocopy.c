/* SPDX-License-Identifier: MIT */
/*
 * Zero copy on the ring: SEND_ZC and SENDMSG_ZC, which complete twice, and registered memory, which
 * is pinned once. Whether vectored sends from registered memory are supported cannot be probed; the
 * first that fails with -EINVAL shows that they are not (send/zerocopy.c).
 */
#include <sys/socket.h>

#include "backend/backend.h"
#include "backend/uring.h"
#include "engine/owner.h"
#include "engine/state.h"

void sluice__uring_prepare_zerocopy(struct sluice__uring *uring, struct io_uring_sqe *sqe,
				    const struct sluice__request *request)
{
	int flags = (int)request->flags | MSG_NOSIGNAL;
	struct msghdr *message;

	if (request->segment_count == 1) {
		io_uring_prep_send_zc(sqe, request->fd, request->segments->iov_base,
				      sluice__length(request->segments->iov_len), flags, 0);
	} else {
		message = sluice__uring_message(uring, sqe);
		message->msg_iov = request->segments;
		message->msg_iovlen = request->segment_count;
		io_uring_prep_sendmsg_zc(sqe, request->fd, message, (unsigned int)flags);
	}
	sqe->ioprio |= IORING_SEND_ZC_REPORT_USAGE;
	if (request->length) {
		sqe->ioprio |= IORING_RECVSEND_FIXED_BUF;
		sqe->buf_index = (uint16_t)(request->length - 1);
	}
}

/* The result of the notification says whether the kernel copied. */
void sluice__uring_decode_zerocopy(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
				   struct sluice__completion *completion)
{
	sluice__assert_owner(engine);
	completion->freed = SLUICE__FREED_NOT;
	if (!(cqe->flags & IORING_CQE_F_NOTIF))
		return;
	completion->freed = (uint32_t)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED ? SLUICE__FREED_COPIED
									      : SLUICE__FREED_SENT;
	completion->result = 0;
}

/* ---- registered memory ---- */

/* A NULL base clears the slot. */
static int memory_table_set(struct sluice__uring *uring, uint32_t slot, const void *base,
			    size_t length)
{
	struct iovec place = {(void *)(uintptr_t)base, length};
	__u64 tag = 0;
	int set = io_uring_register_buffers_update_tag(&uring->ring, slot, &place, &tag, 1);

	return set < 0 ? set : 0;
}

int sluice__uring_memory_register(struct sluice_engine *engine, uint32_t slot, const void *base,
				  size_t length)
{
	struct sluice__uring *uring = engine->uring;
	int error;

	sluice__assert_owner(engine);
	if (!uring->memory_table) {
		error = io_uring_register_buffers_sparse(&uring->ring, SLUICE__REGIONS);
		if (error)
			return error;
		uring->memory_table = true;
	}
	return memory_table_set(uring, slot, base, length);
}

void sluice__uring_memory_unregister(struct sluice_engine *engine, uint32_t slot)
{
	sluice__assert_owner(engine);
	/* Submitted entries that refer to the slot may not have been taken yet. */
	if (engine->uring->sqpoll)
		sluice__uring_sqpoll_drain(engine);
	memory_table_set(engine->uring, slot, NULL, 0);
}
