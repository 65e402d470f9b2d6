/* SPDX-License-Identifier: MIT */
/*
 * Whether the next transmission of a socket goes by zero copy. Pure: facts in, a decision out.
 *
 * By zero copy the kernel sends from the caller's pages, and the record ends only when the kernel has
 * released them: about when the peer has acknowledged, which a delayed acknowledgement puts off by
 * 40 ms and more. That is a gain if copying is what costs. It is a loss if the kernel copies all the
 * same, as it always does for a connection to this machine, and if the caller waits for the end of one
 * record before it starts the next. So a trial is made only with a transmission that has more queued
 * behind it. The socket looks at what came of its trials, and rests if they were of no use:
 *
 *   FRESH --the first--> TRYING --one was of use--> WORKING
 *     |                    |                           |
 *     | the peer      four were not               eight in a row were not
 *     | is local           v                           |
 *     v                 RESTING <----------------------+
 *   LOCAL                |   ^
 *            4,096 large |   | it was not: twice as long
 *                        v   |
 *                      RETRYING --it was of use--> WORKING
 *
 * The mode ALWAYS heeds none of this but a refusal by the kernel.
 */
#ifndef SLUICE_SRC_CORE_ZEROCOPY_POLICY_H
#define SLUICE_SRC_CORE_ZEROCOPY_POLICY_H

#include <sluice/engine.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	SLUICE__ZEROCOPY_FRESH, /* nothing large has been sent yet */
	SLUICE__ZEROCOPY_TRYING,
	SLUICE__ZEROCOPY_WORKING,
	SLUICE__ZEROCOPY_RESTING,
	SLUICE__ZEROCOPY_RETRYING,
	SLUICE__ZEROCOPY_LOCAL, /* the peer is on this machine: the kernel would copy */
	SLUICE__ZEROCOPY_NEVER  /* this socket cannot */
};

enum {
	SLUICE__ZEROCOPY_TRIALS = 4,   /* of a fresh socket */
	SLUICE__ZEROCOPY_PATIENCE = 8, /* in a row that were no use, of a working one */
	SLUICE__ZEROCOPY_REST = 4096,  /* large transmissions that are copied before a retry */
	SLUICE__ZEROCOPY_REST_DOUBLINGS = 4, /* of that, at most */
	SLUICE__ZEROCOPY_PRIOR_STREAK =
		8, /* sockets in a row that came to rest: new ones do not try */
	SLUICE__ZEROCOPY_PRIOR_SKIP = 32, /* but one in so many */
	SLUICE__ZEROCOPY_SEGMENT = 4096   /* mean bytes of a segment: each pins its pages */
};

/* What a socket knows. All zero is FRESH. */
struct sluice__zerocopy {
	uint32_t left;  /* large transmissions to be copied before the next that is not */
	uint8_t phase;  /* SLUICE__ZEROCOPY_* */
	uint8_t bad;    /* that were no use, in a row */
	uint8_t trials; /* that may still be made before something is known */
	uint8_t rests;  /* so far, up to REST_DOUBLINGS */
};

/* What the sockets of an engine have learned: connections that live short would try for ever. */
struct sluice__zerocopy_prior {
	uint16_t streak;  /* fresh sockets in a row that came to rest, or ended without use */
	uint16_t skipped; /* since then, without a trial */
};

struct sluice__zerocopy_facts {
	uint32_t mode;      /* SLUICE_ZEROCOPY_* */
	bool forced;        /* SLUICE_TRANSMIT_WAY_ZEROCOPY */
	bool registered;    /* all of it lies in one registered memory */
	uint64_t threshold; /* options.zerocopy_bytes */
	uint64_t bytes;
	uint32_t segments;
};

/* From how many bytes on a transmission may go by zero copy. */
static inline uint64_t sluice__zerocopy_threshold(uint64_t threshold, bool registered)
{
	/* Pinning pages is a good part of the price, and is paid for registered memory already. */
	return registered && threshold >= 4 ? threshold / 4 : threshold;
}

/* Whether a transmission is of the kind; nothing about what the socket has learned. */
bool sluice__zerocopy_fits(const struct sluice__zerocopy_facts *facts);

/*
 * Whether the socket is for it, whatever it learned if the mode is ALWAYS. `behind`: more is queued
 * behind the transmission; without it nothing is tried, because the caller may be waiting for its end.
 */
static inline bool sluice__zerocopy_wants(const struct sluice__zerocopy *zerocopy, uint32_t mode,
					  bool behind)
{
	if (zerocopy->left || zerocopy->phase == SLUICE__ZEROCOPY_NEVER)
		return false;
	return mode == SLUICE_ZEROCOPY_ALWAYS || zerocopy->phase == SLUICE__ZEROCOPY_WORKING ||
	       (behind && zerocopy->trials > 0);
}

/*
 * The first large transmission with more behind it: FRESH becomes LOCAL; TRYING; or RESTING, because
 * others learned so.
 */
void sluice__zerocopy_begin(struct sluice__zerocopy *zerocopy, struct sluice__zerocopy_prior *prior,
			    bool local);

/* A large transmission was copied, because the socket was not for anything else. */
void sluice__zerocopy_passed(struct sluice__zerocopy *zerocopy);

/* One was started; then exactly one of the three behind it. */
void sluice__zerocopy_sent(struct sluice__zerocopy *zerocopy);
/* Nothing was taken: nothing learned, the trial may be made again. */
void sluice__zerocopy_unsent(struct sluice__zerocopy *zerocopy);
/* The buffer is free. True: the socket rests from now on. */
bool sluice__zerocopy_learned(struct sluice__zerocopy *zerocopy,
			      struct sluice__zerocopy_prior *prior, bool of_use);
/* The kernel refused it, for good or for want of memory. True: rests, or never tries again. */
bool sluice__zerocopy_failed(struct sluice__zerocopy *zerocopy, bool for_good);
/* The connection is over: trials that were of no use count as if the socket had come to rest. */
void sluice__zerocopy_end(struct sluice__zerocopy *zerocopy, struct sluice__zerocopy_prior *prior);

#endif
