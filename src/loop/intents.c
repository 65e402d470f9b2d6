/* SPDX-License-Identifier: MIT */
/*
 * Intents: requests for a socket that are not records, such as close, shutdown and cancel. Any
 * thread sets them as bits of the socket and pushes the socket, once, to the engine's list. A call on
 * the engine's thread executes the list at once; otherwise the next turn does.
 */
#include "base/queue.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "loop/loop.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

/* Fixed order: starts, cancels, shutdowns, stops, close. */
static void socket_execute_intents(struct sluice_socket *socket, uint32_t intents)
{
	sluice__reclaim(socket);
	if (intents & SLUICE__WANT_ACCEPT)
		sluice__accepter_begin(socket);
	if (intents & SLUICE__WANT_RECEIVE)
		sluice__receiver_begin(socket);
	if (intents & SLUICE__WANT_CANCEL)
		sluice__cancel_marked(socket);
	if (intents & SLUICE__WANT_CANCEL_ALL)
		sluice__cancel_all(socket);
	if (intents & (SLUICE__WANT_SHUT_RECEIVE | SLUICE__WANT_SHUT_SEND))
		sluice__socket_shut(socket, intents & SLUICE__WANT_SHUT_RECEIVE,
				    intents & SLUICE__WANT_SHUT_SEND);
	if (intents & SLUICE__WANT_ACCEPT_STOP)
		sluice__accepter_stop(socket);
	if (intents & SLUICE__WANT_RECEIVE_STOP)
		sluice__receiver_stop(socket);
	if (intents & SLUICE__WANT_GRACEFUL)
		sluice__socket_end_gracefully(socket);
	if (intents & SLUICE__WANT_DESTROY)
		sluice__socket_handle_gone(socket);
	if (intents & (SLUICE__WANT_CLOSE | SLUICE__WANT_DESTROY))
		sluice__socket_end(socket);
	if ((socket->state & SLUICE__ST_HANDLE_GONE) &&
	    sluice__socket_phase(socket) == SLUICE__PHASE_CLOSED)
		sluice__socket_defer_free(socket);
}

void sluice__intents_take(struct sluice_engine *engine)
{
	struct sluice__link *link = sluice__stack_take_all(&engine->inbox.intents);

	sluice__assert_owner(engine);
	/* Records started before a close are in the mailbox already: start them first. */
	if (link)
		sluice__mailbox_take(engine);
	while (link) {
		struct sluice_socket *socket =
			sluice__element(link, struct sluice_socket, intents_link);

		/* After the exchange below, the socket may be pushed again. */
		link = link->next;
		socket_execute_intents(socket,
				       __atomic_exchange_n(&socket->intents, 0, __ATOMIC_ACQ_REL));
	}
}
