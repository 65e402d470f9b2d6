/* SPDX-License-Identifier: MIT */
/*
 * Forms of entries that not every kernel takes. Each is tried once, when the ring is first used, on a
 * descriptor that is no socket: a kernel that knows the form answers -ENOTSOCK, any other
 * -EINVAL. A request that is refused later is judged by the form of its own entry, and starts again
 * with a plainer one.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "backend/backend.h"
#include "backend/uring.h"
#include "base/capability.h"
#include "engine/state.h"

static const uint32_t capability_of[SLUICE__FORMS] = {
	[SLUICE__FORM_ACCEPT_MANY] = SLUICE_CAPABILITY_MULTISHOT_ACCEPT,
	[SLUICE__FORM_RECEIVE_LIMITED] = SLUICE_CAPABILITY_MULTISHOT_LIMIT,
	[SLUICE__FORM_RECEIVE_PICKING] = SLUICE_CAPABILITY_MULTISHOT_RECEIVE,
};

/* No such credentials are registered: -EINVAL, on every kernel. */
#define NOBODY UINT16_MAX

void sluice__uring_pretend(struct sluice_engine *engine, const char *variable)
{
	const char *spared = secure_getenv("SLUICE_TEST_REFUSE_AFTER");

	if (engine->options.ignore_environment)
		return;
	engine->uring->refused |= sluice__capabilities_named(secure_getenv(variable));
	engine->uring->spared = spared ? (uint32_t)strtoul(spared, NULL, 10) : 0;
}

void sluice__uring_refuse(struct sluice__uring *uring, struct io_uring_sqe *sqe,
			  uint32_t capability)
{
	if (likely(!(uring->refused & capability)))
		return;
	if (uring->spared)
		uring->spared--;
	else
		sqe->personality = NOBODY;
}

uint8_t sluice__uring_form(const struct sluice_engine *engine,
			   const struct sluice__request *request)
{
	uint32_t has = engine->capabilities;

	if (request->kind == SLUICE__REQUEST_ACCEPT_MULTI)
		return has & SLUICE_CAPABILITY_MULTISHOT_ACCEPT ? SLUICE__FORM_ACCEPT_MANY
								: SLUICE__FORM_PLAIN;
	if (request->kind != SLUICE__REQUEST_RECEIVE_MULTI ||
	    !(has & SLUICE_CAPABILITY_MULTISHOT_RECEIVE))
		return SLUICE__FORM_PLAIN;
	return has & SLUICE_CAPABILITY_MULTISHOT_LIMIT &&
			       request->length > engine->options.receive_buffer_bytes
		       ? SLUICE__FORM_RECEIVE_LIMITED
		       : SLUICE__FORM_RECEIVE_PICKING;
}

void sluice__uring_prepare_form(struct sluice__uring *uring, struct io_uring_sqe *sqe, uint8_t form,
				int fd, uint64_t length)
{
	switch (form) {
	case SLUICE__FORM_ACCEPT_MANY:
		io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		break;
	case SLUICE__FORM_RECEIVE_LIMITED:
		io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
		sluice__sqe_limit_receive(sqe, sluice__length(length));
		break;
	default:
		io_uring_prep_recv(sqe, fd, NULL, 0, 0);
	}
	if (form != SLUICE__FORM_ACCEPT_MANY) {
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = SLUICE__BUFFER_GROUP;
	}
	sluice__uring_refuse(uring, sqe, capability_of[form]);
}

/* And what builds on it. */
static void lose(struct sluice_engine *engine, uint32_t capability)
{
	engine->capabilities = sluice__capabilities_usable(engine->capabilities & ~capability);
}

/* A kernel that has none (before 5.19) does not know how to take one away, either. */
static void ask_for_buffer_rings(struct sluice_engine *engine)
{
	struct io_uring_buf_reg none = {.bgid = SLUICE__BUFFER_GROUP + 1};

	if (sluice__uring_register(engine->uring, IORING_UNREGISTER_PBUF_RING, &none, 1) != -ENOENT)
		lose(engine, SLUICE_CAPABILITY_BUFFER_RING);
}

void sluice__uring_try_forms(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_sqe *sqe;

	ask_for_buffer_rings(engine);
	for (uint8_t form = SLUICE__FORM_PLAIN + 1; form < SLUICE__FORMS; form++) {
		if (!(engine->capabilities & capability_of[form]))
			continue;
		sqe = sluice__uring_entry(engine);
		if (!sqe)
			return;
		sluice__uring_prepare_form(uring, sqe, form, uring->wake_fd, 1);
		io_uring_sqe_set_data64(sqe, SLUICE__OURS_FORM + form);
		uring->trials |= 1u << form;
	}
}

void sluice__uring_form_tried(struct sluice_engine *engine, const struct io_uring_cqe *cqe)
{
	uint8_t form = (uint8_t)(cqe->user_data - SLUICE__OURS_FORM);

	engine->uring->trials &= ~(1u << form);
	if (cqe->res == -EINVAL)
		lose(engine, capability_of[form]);
}

/* What was started before may have been answered, too, and is reaped in its turn. */
void sluice__uring_look_at_trials(struct sluice_engine *engine)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	io_uring_for_each_cqe(&engine->uring->ring, head, cqe)
	{
		if (cqe->user_data >= SLUICE__OURS_FORM && cqe->user_data <= SLUICE__OURS_LAST)
			sluice__uring_form_tried(engine, cqe);
	}
}

/* A listener that was shut down answers -EINVAL, too. */
static bool still_listens(const struct sluice__request *request)
{
	socklen_t length = sizeof(int);
	int listens = 0;

	return getsockopt(request->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 &&
	       listens;
}

bool sluice__uring_form_lost(struct sluice_engine *engine, const struct sluice__request *request)
{
	if (request->slot == SLUICE__FORM_PLAIN)
		return false;
	if (request->slot == SLUICE__FORM_ACCEPT_MANY && !still_listens(request))
		return false;
	lose(engine, capability_of[request->slot]);
	if (request->slot == SLUICE__FORM_RECEIVE_PICKING)
		sluice__uring_buffers_leave(engine);
	return true;
}
