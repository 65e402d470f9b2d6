/* SPDX-License-Identifier: MIT */
/*
 * What is to be done with a socket besides its records: close, shut down, cancel. Any thread leaves
 * it as bits of the socket and puts the socket, once, on the engine's list; the next turn acts.
 */

#include "engine/socket.h"
#include "engine/state.h"
#include "loop/loop.h"
#include "recv/recv.h"
#include "socket/socket.h"

/* In the order in which a careful caller would have made the calls. */
static void carry_out(struct sluice_socket *socket, uint32_t wants)
{
	if (wants & SLUICE__WANT_ACCEPT)
		sluice__accepter_begin(socket);
	if (wants & SLUICE__WANT_RECEIVE)
		sluice__receiver_begin(socket);
	if (wants & SLUICE__WANT_CANCEL)
		sluice__give_up_marked(socket);
	if (wants & SLUICE__WANT_CANCEL_ALL)
		sluice__give_up_all(socket);
	if (wants & (SLUICE__WANT_SHUT_RECEIVE | SLUICE__WANT_SHUT_SEND))
		sluice__socket_shut(socket, wants & SLUICE__WANT_SHUT_RECEIVE,
				    wants & SLUICE__WANT_SHUT_SEND);
	if (wants & SLUICE__WANT_ACCEPT_STOP)
		sluice__accepter_stop(socket);
	if (wants & SLUICE__WANT_RECEIVE_STOP)
		sluice__receiver_stop(socket);
	if (wants & SLUICE__WANT_GRACEFUL)
		sluice__socket_end_gracefully(socket);
	if (wants & SLUICE__WANT_DESTROY)
		socket->state |= SLUICE__ST_HANDLE_GONE;
	if (wants & (SLUICE__WANT_CLOSE | SLUICE__WANT_DESTROY))
		sluice__socket_end(socket);
	if ((socket->state & SLUICE__ST_HANDLE_GONE) &&
	    sluice__socket_phase(socket) == SLUICE__PHASE_CLOSED)
		sluice__socket_defer_free(socket);
}

void sluice__intents_take(struct sluice_engine *engine)
{
	struct sluice__link *link = sluice__stack_take_all(&engine->intents);

	sluice__assert_owner(engine);
	/* What was started before the close was asked for has come by now: it goes first. */
	if (link)
		sluice__mailbox_take(engine);
	while (link) {
		struct sluice_socket *socket =
			sluice__element(link, struct sluice_socket, intents_link);

		/* From the exchange on it may be pushed again. */
		link = link->next;
		carry_out(socket, __atomic_exchange_n(&socket->intents, 0, __ATOMIC_ACQ_REL));
	}
}
