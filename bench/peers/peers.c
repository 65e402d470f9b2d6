/* SPDX-License-Identifier: MIT */
#include "peers/peers.h"

#include <string.h>

#include "peers/asio.h"

extern const struct peer peer_sluice;
extern const struct peer peer_sluice_uring;
extern const struct peer peer_sluice_epoll;
extern const struct peer peer_sluice_sqpoll;
extern const struct peer peer_sluice_file;
extern const struct peer peer_sluice_file_uring;
extern const struct peer peer_sluice_file_epoll;
extern const struct peer peer_sluice_splice_ring;
extern const struct peer peer_sluice_echo;
extern const struct peer peer_sluice_echo_uring;
extern const struct peer peer_sluice_echo_epoll;
extern const struct peer peer_sluice_background_alone;
extern const struct peer peer_sluice_waiting_0;
extern const struct peer peer_sluice_waiting_20;
extern const struct peer peer_sluice_waiting_50;
extern const struct peer peer_sluice_fan_out;
extern const struct peer peer_sluice_fan_out_uring;
extern const struct peer peer_sluice_fan_out_epoll;
extern const struct peer peer_sluice_another;
extern const struct peer peer_sluice_another_uring;
extern const struct peer peer_sluice_another_epoll;
extern const struct peer peer_sluice_another_begin;
extern const struct peer peer_sluice_threads;
extern const struct peer peer_sluice_threads_uring;
extern const struct peer peer_sluice_threads_epoll;
extern const struct peer peer_sluice_http;
extern const struct peer peer_sluice_http_epoll;
extern const struct peer peer_sluice_apm;
extern const struct peer peer_sluice_loop;
extern const struct peer peer_nginx;
extern const struct peer peer_lighttpd;
extern const struct peer peer_kestrel;
extern const struct peer peer_loop;
extern const struct peer peer_dotnet_send;
extern const struct peer peer_dotnet_list;
extern const struct peer peer_dotnet_begin;
extern const struct peer peer_dotnet_packets;
extern const struct peer peer_dotnet_file;
extern const struct peer peer_gather;
extern const struct peer peer_gather_filled;
extern const struct peer peer_writev;
extern const struct peer peer_send;
extern const struct peer peer_ring;
extern const struct peer peer_ring_naive;
extern const struct peer peer_epoll_echo;
extern const struct peer peer_epoll_background;
extern const struct peer peer_epoll_background_alone;
extern const struct peer peer_libuv;
extern const struct peer peer_libuv_echo;
extern const struct peer peer_sendfile;
extern const struct peer peer_splice;
extern const struct peer peer_read_send;
extern const struct peer peer_zerocopy;
extern const struct peer peer_send_zc;
extern const struct peer peer_mutex;
extern const struct peer peer_sluice_engines;
extern const struct peer peer_sluice_uring_engines;
extern const struct peer peer_sluice_epoll_engines;
extern const struct peer peer_sluice_alone;
extern const struct peer peer_gather_engines;
extern const struct peer peer_send_engines;
extern const struct peer peer_send_alone;
extern const struct peer peer_ring_engines;
extern const struct peer peer_libuv_engines;
extern const struct peer peer_asio_epoll_engines;
extern const struct peer peer_gso;
extern const struct peer peer_sendmmsg;
extern const struct peer peer_datagram_send;

const struct peer *const peers[] = {
	/* ours */
	&peer_sluice,
	&peer_sluice_uring,
	&peer_sluice_epoll,
	&peer_sluice_sqpoll,
	&peer_sluice_apm,
	&peer_sluice_file,
	&peer_sluice_file_uring,
	&peer_sluice_file_epoll,
	&peer_sluice_splice_ring,
	&peer_sluice_echo,
	&peer_sluice_echo_uring,
	&peer_sluice_echo_epoll,
	&peer_sluice_background_alone,
	&peer_sluice_waiting_0,
	&peer_sluice_waiting_20,
	&peer_sluice_waiting_50,
	&peer_sluice_fan_out,
	&peer_sluice_fan_out_uring,
	&peer_sluice_fan_out_epoll,
	&peer_sluice_another,
	&peer_sluice_another_uring,
	&peer_sluice_another_epoll,
	&peer_sluice_another_begin,
	&peer_sluice_threads,
	&peer_sluice_threads_uring,
	&peer_sluice_threads_epoll,
	&peer_sluice_engines,
	&peer_sluice_uring_engines,
	&peer_sluice_epoll_engines,
	&peer_sluice_alone,
	&peer_sluice_http,
	&peer_sluice_http_epoll,
	&peer_sluice_loop,
	/* by hand */
	&peer_gather,
	&peer_gather_filled,
	&peer_writev,
	&peer_send,
	&peer_sendfile,
	&peer_splice,
	&peer_read_send,
	&peer_zerocopy,
	&peer_send_zc,
	&peer_mutex,
	&peer_gather_engines,
	&peer_send_engines,
	&peer_send_alone,
	&peer_ring_engines,
	&peer_gso,
	&peer_sendmmsg,
	&peer_datagram_send,
	&peer_ring,
	&peer_ring_naive,
	&peer_epoll_echo,
	&peer_epoll_background,
	&peer_epoll_background_alone,
	/* other libraries */
	&peer_libuv,
	&peer_libuv_echo,
	&peer_asio_epoll,
	&peer_asio_uring,
	&peer_asio_epoll_echo,
	&peer_asio_uring_echo,
	&peer_libuv_engines,
	&peer_asio_epoll_engines,
	&peer_dotnet_send,
	&peer_dotnet_list,
	&peer_dotnet_begin,
	&peer_dotnet_packets,
	&peer_dotnet_file,
	/* servers */
	&peer_nginx,
	&peer_lighttpd,
	&peer_kestrel,
	/* nothing */
	&peer_loop,
	NULL,
};

const struct peer *peers_find(const char *name)
{
	for (const struct peer *const *peer = peers; *peer; peer++) {
		if (strcmp((*peer)->name, name) == 0)
			return *peer;
	}
	return NULL;
}

const struct peer *peers_reference(enum load_kind kind)
{
	for (const struct peer *const *peer = peers; *peer; peer++) {
		if (strcmp((*peer)->name, "sluice") == 0 && ((*peer)->loads & LOADS(kind)))
			return *peer;
	}
	return NULL;
}

bool peers_named_before(size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (strcmp(peers[i]->name, peers[index]->name) == 0)
			return true;
	}
	return false;
}
