/* SPDX-License-Identifier: MIT */
#include "engine/stats.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/backend.h"
#include "base/capability.h"
#include "core/zerocopy_policy.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"

/* Copies the members that both versions know, and keeps the caller's size. */
static int statistics_copy(void *to, size_t size, const void *from, size_t own)
{
	if (size < sizeof(size_t))
		return -EINVAL;
	memset(to, 0, size);
	memcpy(to, from, size < own ? size : own);
	*(size_t *)to = size;
	return 0;
}

/*
 * The engine's counters and those of its sockets, so that a send increments each counter only once.
 * Freed sockets have added theirs to the engine's.
 */
static void statistics_add_sockets(struct sluice_engine *engine,
				   struct sluice_engine_statistics *sum)
{
	pthread_mutex_lock(&engine->lock);
	*sum = engine->statistics;
	for (struct sluice_socket *socket = engine->sockets; socket; socket = socket->next) {
		sum->transmissions += __atomic_load_n(&socket->transmissions, __ATOMIC_RELAXED);
		sum->records_sent += __atomic_load_n(&socket->records_sent, __ATOMIC_RELAXED);
		sum->bytes_sent += __atomic_load_n(&socket->bytes_sent, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&engine->lock);
}

/* Only transmissions of several records are counted as they happen. */
static void add_single_records(struct sluice_engine_statistics *sum)
{
	uint64_t several = 0;

	for (size_t i = 1; i < SLUICE_STATISTICS_BUCKETS; i++)
		several += sum->transmission_records[i];
	sum->transmission_records[0] = sum->transmissions > several ? sum->transmissions - several
								    : 0;
}

int sluice_engine_statistics(struct sluice_engine *engine,
			     struct sluice_engine_statistics *statistics)
{
	struct sluice_engine_statistics sum;
	uint64_t lent_sends;

	if (!engine || !statistics)
		return -EINVAL;
	statistics_add_sockets(engine, &sum);
	add_single_records(&sum);
	sum.backend = engine->backend->id;
	sum.capabilities = sluice__capabilities_usable(engine->capabilities);
	lent_sends = __atomic_load_n(&engine->lent_sends, __ATOMIC_RELAXED);
	sum.records_started += lent_sends;
	sum.records_eager += lent_sends;
	sum.inline_sends += lent_sends;
	sum.records_completed += sum.records_eager;
	sum.wakes = __atomic_load_n(&engine->wakeup.count, __ATOMIC_RELAXED);
	sum.call_ns = engine->ways.costs.call;
	sum.enter_ns = engine->ways.costs.enter;
	sum.entry_ns = engine->ways.costs.entry;
	return statistics_copy(statistics, statistics->size, &sum, sizeof sum);
}

static uint32_t zerocopy_learned(const struct sluice__zerocopy *zerocopy)
{
	switch (zerocopy->phase) {
	case SLUICE__ZEROCOPY_WORKING:
		return SLUICE_ZEROCOPY_LEARNED_USEFUL;
	case SLUICE__ZEROCOPY_RESTING:
	case SLUICE__ZEROCOPY_RETRYING:
	case SLUICE__ZEROCOPY_LOCAL:
		return SLUICE_ZEROCOPY_LEARNED_USELESS;
	case SLUICE__ZEROCOPY_NEVER:
		return SLUICE_ZEROCOPY_LEARNED_IMPOSSIBLE;
	default:
		return SLUICE_ZEROCOPY_LEARNED_NOTHING;
	}
}

/* Another thread could meet a descriptor that is closed meanwhile and used again. */
static bool may_ask_kernel(const struct sluice_socket *socket)
{
	return sluice__may_act(socket->engine) && !sluice__dead(socket->engine) &&
	       socket->fd >= 0 &&
	       !(sluice__socket_flags(socket) &
		 (SLUICE__SHARED_NOT_TCP | SLUICE__SHARED_LISTENING));
}

/* Before 4.10 the kernel does not know the times. */
static void ask_kernel(const struct sluice_socket *socket, struct sluice_socket_statistics *own)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof info;

	if (getsockopt(socket->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
		return;
	own->busy_ns = info.tcpi_busy_time * 1000;
	own->receiver_limited_ns = info.tcpi_rwnd_limited * 1000;
	own->send_buffer_limited_ns = info.tcpi_sndbuf_limited * 1000;
	own->unsent_bytes = info.tcpi_notsent_bytes;
}

int sluice_socket_statistics(struct sluice_socket *socket,
			     struct sluice_socket_statistics *statistics)
{
	struct sluice_socket_statistics own = {0};

	if (!socket || !statistics)
		return -EINVAL;
	own.transmissions = __atomic_load_n(&socket->transmissions, __ATOMIC_RELAXED);
	own.records_sent = __atomic_load_n(&socket->records_sent, __ATOMIC_RELAXED);
	own.bytes_sent = __atomic_load_n(&socket->bytes_sent, __ATOMIC_RELAXED);
	own.bytes_received = socket->bytes_received;
	own.queued_bytes = __atomic_load_n(&socket->queue.bytes, __ATOMIC_RELAXED) +
			   __atomic_load_n(&socket->cross_thread_bytes, __ATOMIC_RELAXED);
	own.zerocopy = zerocopy_learned(&socket->zerocopy);
	if (statistics->size > offsetof(struct sluice_socket_statistics, busy_ns) &&
	    may_ask_kernel(socket))
		ask_kernel(socket, &own);
	return statistics_copy(statistics, statistics->size, &own, sizeof own);
}
