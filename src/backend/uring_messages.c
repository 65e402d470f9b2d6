/* SPDX-License-Identifier: MIT */
/*
 * MESSAGES on the ring: a chain of linked entries, so that each message is sent after its
 * predecessor; the kernel cancels those after a failed one. MSG_DONTWAIT, because otherwise the
 * chain would stop in the middle while the send buffer is full.
 */
#include <errno.h>

#include "backend/backend.h"
#include "backend/uring.h"

void sluice__uring_prepare_messages(struct sluice__uring *uring, struct io_uring_sqe *sqe,
				    struct sluice__request *request, uint64_t user_data)
{
	struct sluice__messages *messages = request->messages;
	unsigned int flags = messages->flags | MSG_DONTWAIT | MSG_NOSIGNAL;

	request->pending = 0;
	for (;;) {
		io_uring_prep_sendmsg(sqe, request->fd,
				      &messages->headers[request->pending].msg_hdr, flags);
		io_uring_sqe_set_data64(sqe, user_data);
		/* A submission in the middle would break the chain. */
		if (++request->pending == messages->count ||
		    io_uring_sq_space_left(&uring->ring) == 0)
			return;
		sqe->flags |= IOSQE_IO_LINK;
		sqe = io_uring_get_sqe(&uring->ring);
	}
}

int32_t sluice__uring_message_result(struct sluice__messages *messages, int32_t result)
{
	if (result >= 0)
		messages->headers[messages->taken++].msg_len = (unsigned int)result;
	else if (result != -ECANCELED)
		messages->error = -result;
	return messages->taken ? (int32_t)messages->taken : -messages->error;
}
