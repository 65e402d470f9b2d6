/* SPDX-License-Identifier: MIT */
/* A socket of datagrams with its receiver, for the parts of contract_b_gso. */
#ifndef CONTRACT_B_GSO_H
#define CONTRACT_B_GSO_H

#include "support.h"

#define SENDS_MAX ((size_t)200)
#define LARGEST 65536

enum kind {
	UDP_4,
	UDP_6,
	UDP_DUAL, /* IPv6 that sends to a mapped IPv4 address */
	UNIX,
	KINDS
};

/* A socket of the engine's and its receiver, which is its peer or is named with each send. */
struct post {
	enum kind kind;
	bool connected;
	struct sluice_socket *socket;
	int peer;
	struct sockaddr_storage to;
	socklen_t to_length;
};

struct scene {
	struct fixture fixture;
	struct post post;
	struct operation *operations;
	unsigned char *bytes;
};

int new_socket(int family, int type);

void address_of_receiver(struct post *post);

int new_sender(struct post *post);

void scene_begin(struct scene *scene, enum kind kind, bool connected);

void scene_end(struct scene *scene);

/* Datagram number i begins with the pattern from i on. */
int send_number(struct scene *scene, size_t i, size_t length);

void receive_number(struct scene *scene, size_t i, size_t length);

void batch(struct scene *scene, const size_t *lengths, size_t count);

struct sluice_engine_statistics scene_statistics(struct scene *scene);

bool has_gso(struct scene *scene);

/* The receiver reads while the engine runs, so that no buffer has to hold all of it. */
void run_receiving(struct scene *scene, const size_t *lengths, size_t count);

#define FOR_EACH_KIND(kind, connected)                     \
	for (enum kind kind = UDP_4; kind < KINDS; kind++) \
		for (int connected = 0; connected < 2; connected++)

void same_lengths(size_t *lengths, size_t count, size_t length);

#endif
