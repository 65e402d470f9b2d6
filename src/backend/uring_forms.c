/* SPDX-License-Identifier: MIT */
/*
 * Forms of entries that not every kernel supports. Each is tried once, when the ring is enabled, on
 * a descriptor that is not a socket: a kernel that supports the form returns -ENOTSOCK, any other
 * -EINVAL. If a later request fails with -EINVAL, the form of its entry is disabled, and the
 * request is started again in a plainer form.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/backend.h"
#include "backend/uring.h"
#include "backend/uring_compat.h"
#include "base/capability.h"
#include "core/record.h"
#include "engine/owner.h"
#include "engine/state.h"

#define OPERATIONS 64 /* of a probe; enough to include SENDMSG_ZC */

static const uint32_t capability_of[SLUICE__FORMS] = {
	[SLUICE__FORM_ACCEPT_MULTI] = SLUICE_CAPABILITY_MULTISHOT_ACCEPT,
	[SLUICE__FORM_RECEIVE_LIMITED] = SLUICE_CAPABILITY_MULTISHOT_LIMIT,
	[SLUICE__FORM_RECEIVE_PROVIDED] = SLUICE_CAPABILITY_MULTISHOT_RECEIVE,
};

/* No personality has this id, so every kernel returns -EINVAL. */
#define UNREGISTERED_PERSONALITY UINT16_MAX

void sluice__uring_simulate_refusals(struct sluice_engine *engine, const char *variable)
{
	const char *refuse_after = secure_getenv("SLUICE_TEST_REFUSE_AFTER");

	if (engine->options.ignore_environment)
		return;
	engine->uring->refused |= sluice__capabilities_named(secure_getenv(variable));
	engine->uring->refuse_after = refuse_after ? (uint32_t)strtoul(refuse_after, NULL, 10) : 0;
}

void sluice__uring_invalidate(struct sluice__uring *uring, struct io_uring_sqe *sqe,
			      uint32_t capability)
{
	if (likely(!(uring->refused & capability)))
		return;
	if (uring->refuse_after)
		uring->refuse_after--;
	else
		sqe->personality = UNREGISTERED_PERSONALITY;
}

uint8_t sluice__uring_form(const struct sluice_engine *engine,
			   const struct sluice__request *request)
{
	uint32_t has = engine->capabilities;

	sluice__assert_owner(engine);
	if (request->kind == SLUICE__REQUEST_ACCEPT_MULTI)
		return has & SLUICE_CAPABILITY_MULTISHOT_ACCEPT ? SLUICE__FORM_ACCEPT_MULTI
								: SLUICE__FORM_PLAIN;
	if (request->kind != SLUICE__REQUEST_RECEIVE_MULTI ||
	    !(has & SLUICE_CAPABILITY_MULTISHOT_RECEIVE))
		return SLUICE__FORM_PLAIN;
	return has & SLUICE_CAPABILITY_MULTISHOT_LIMIT &&
			       request->length > engine->options.receive_buffer_bytes
		       ? SLUICE__FORM_RECEIVE_LIMITED
		       : SLUICE__FORM_RECEIVE_PROVIDED;
}

void sluice__uring_prepare_form(struct sluice__uring *uring, struct io_uring_sqe *sqe, uint8_t form,
				int fd, uint64_t length)
{
	switch (form) {
	case SLUICE__FORM_ACCEPT_MULTI:
		io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		break;
	case SLUICE__FORM_RECEIVE_LIMITED:
		io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
		sluice__sqe_limit_receive(sqe, sluice__length(length));
		break;
	default:
		io_uring_prep_recv(sqe, fd, NULL, 0, 0);
	}
	if (form != SLUICE__FORM_ACCEPT_MULTI) {
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = SLUICE__BUFFER_GROUP;
	}
	sluice__uring_invalidate(uring, sqe, capability_of[form]);
}

uint32_t sluice__uring_operations_missing(struct sluice__uring *uring)
{
	uint32_t zerocopy = SLUICE_CAPABILITY_ZEROCOPY | SLUICE_CAPABILITY_REGISTERED_MEMORY |
			    SLUICE_CAPABILITY_REGISTERED_LISTS;
	size_t space[(sizeof(struct io_uring_probe) +
		      OPERATIONS * sizeof(struct io_uring_probe_op)) /
		     sizeof(size_t)];
	struct io_uring_probe *probe = (struct io_uring_probe *)(void *)space;
	uint32_t missing = 0;

	memset(space, 0, sizeof space);
	if (io_uring_register_probe(&uring->ring, probe, OPERATIONS) < 0)
		return zerocopy | SLUICE_CAPABILITY_RING_SPLICE;
	if (!io_uring_opcode_supported(probe, IORING_OP_SENDMSG_ZC))
		missing |= zerocopy;
	if (!io_uring_opcode_supported(probe, IORING_OP_SPLICE))
		missing |= SLUICE_CAPABILITY_RING_SPLICE;
	return missing;
}

/* Disables the capability and those that depend on it. */
static void disable_capability(struct sluice_engine *engine, uint32_t capability)
{
	engine->capabilities = sluice__capabilities_usable(engine->capabilities & ~capability);
}

/* Unregistering an unknown buffer ring returns -ENOENT, or -EINVAL before 5.19. */
static void probe_buffer_rings(struct sluice_engine *engine)
{
	struct io_uring_buf_reg none = {.bgid = SLUICE__BUFFER_GROUP + 1};

	if (sluice__uring_register(engine->uring, IORING_UNREGISTER_PBUF_RING, &none, 1) != -ENOENT)
		disable_capability(engine, SLUICE_CAPABILITY_BUFFER_RING);
}

void sluice__uring_try_forms(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_sqe *sqe;

	probe_buffer_rings(engine);
	for (uint8_t form = SLUICE__FORM_PLAIN + 1; form < SLUICE__FORMS; form++) {
		if (!(engine->capabilities & capability_of[form]))
			continue;
		sqe = sluice__uring_entry(engine);
		if (!sqe)
			return;
		sluice__uring_prepare_form(uring, sqe, form, uring->wake_fd, 1);
		io_uring_sqe_set_data64(sqe, SLUICE__INTERNAL_FORM + form);
		uring->trials |= 1u << form;
	}
}

void sluice__uring_form_tried(struct sluice_engine *engine, const struct io_uring_cqe *cqe)
{
	uint8_t form = (uint8_t)(cqe->user_data - SLUICE__INTERNAL_FORM);

	engine->uring->trials &= ~(1u << form);
	if (cqe->res == -EINVAL)
		disable_capability(engine, capability_of[form]);
}

/* Other completions stay in the queue, to be reaped later. */
void sluice__uring_reap_trials(struct sluice_engine *engine)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	io_uring_for_each_cqe(&engine->uring->ring, head, cqe)
	{
		if (cqe->user_data >= SLUICE__INTERNAL_FORM &&
		    cqe->user_data <= SLUICE__INTERNAL_LAST)
			sluice__uring_form_tried(engine, cqe);
	}
}

/* Accepting on a listener that was shut down returns -EINVAL, too. */
static bool is_listening(const struct sluice__request *request)
{
	socklen_t length = sizeof(int);
	int listens = 0;

	return getsockopt(request->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 &&
	       listens;
}

bool sluice__uring_form_unsupported(struct sluice_engine *engine,
				    const struct sluice__request *request)
{
	sluice__assert_owner(engine);
	if (request->slot == SLUICE__FORM_PLAIN)
		return false;
	if (request->slot == SLUICE__FORM_ACCEPT_MULTI && !is_listening(request))
		return false;
	disable_capability(engine, capability_of[request->slot]);
	if (request->slot == SLUICE__FORM_RECEIVE_PROVIDED)
		sluice__uring_buffers_retire(engine);
	return true;
}
