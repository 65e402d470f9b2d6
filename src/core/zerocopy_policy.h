/* SPDX-License-Identifier: MIT */
/*
 * Decides whether the next transmission of a socket uses zero copy. Pure: facts in, a decision out.
 *
 * A zero-copy send transmits from the caller's pages, and the record completes only when the kernel
 * has released them: about when the peer has acknowledged, which a delayed ACK postpones by 40 ms
 * and more. That pays if copying is the bottleneck. It costs if the kernel copies anyway, as it
 * always does on a connection to this machine, or if the caller waits for one record before it
 * starts the next. A trial is therefore made only if more is queued behind the transmission. A
 * socket whose trials were useless rests:
 *
 *   FRESH --the first--> TRYING --one useful--------> WORKING
 *     |                    |                           |
 *     | the peer      four useless              eight useless in a row
 *     | is local           v                           |
 *     v                 RESTING <----------------------+
 *   LOCAL                |   ^
 *            4,096 large |   | useless: rests twice as long
 *                        v   |
 *                      RETRYING --useful------------> WORKING
 *
 * Mode ALWAYS ignores all of this, except a refusal by the kernel.
 */
#ifndef SLUICE_SRC_CORE_ZEROCOPY_POLICY_H
#define SLUICE_SRC_CORE_ZEROCOPY_POLICY_H

#include <sluice/engine.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	SLUICE__ZEROCOPY_FRESH, /* no large transmission yet */
	SLUICE__ZEROCOPY_TRYING,
	SLUICE__ZEROCOPY_WORKING,
	SLUICE__ZEROCOPY_RESTING,
	SLUICE__ZEROCOPY_RETRYING,
	SLUICE__ZEROCOPY_LOCAL, /* the peer is on this machine: the kernel would copy */
	SLUICE__ZEROCOPY_NEVER  /* not supported on this socket */
};

enum {
	SLUICE__ZEROCOPY_TRIALS = 4,         /* trials of a fresh socket */
	SLUICE__ZEROCOPY_PATIENCE = 8,       /* useless sends in a row before WORKING ends */
	SLUICE__ZEROCOPY_REST = 4096,        /* large transmissions copied before a retry */
	SLUICE__ZEROCOPY_REST_DOUBLINGS = 4, /* maximum */
	SLUICE__ZEROCOPY_PRIOR_STREAK = 8,   /* useless sockets in a row: new ones do not try, */
	SLUICE__ZEROCOPY_PRIOR_SKIP = 32,    /* except one in this many */
	SLUICE__ZEROCOPY_SEGMENT = 4096      /* minimum mean segment size: each pins its pages */
};

/* What a socket has learned. All zero: FRESH. */
struct sluice__zerocopy {
	uint32_t left;  /* large transmissions to copy before a retry */
	uint8_t phase;  /* SLUICE__ZEROCOPY_* */
	uint8_t bad;    /* useless sends in a row */
	uint8_t trials; /* trials that may still be started before a result is known */
	uint8_t rests;  /* number of rests, up to REST_DOUBLINGS */
};

/* What an engine has learned from its sockets: short-lived connections would try forever. */
struct sluice__zerocopy_prior {
	uint16_t streak;  /* fresh sockets in a row that rested, or closed after useless trials */
	uint16_t skipped; /* fresh sockets since then, without a trial */
};

struct sluice__zerocopy_facts {
	uint32_t mode;      /* SLUICE_ZEROCOPY_* */
	bool forced;        /* SLUICE_TRANSMIT_WAY_ZEROCOPY */
	bool registered;    /* all of it is in one registered memory */
	uint64_t threshold; /* options.zerocopy_bytes */
	uint64_t bytes;
	uint32_t segments;
};

/* The smallest transmission that may use zero copy, in bytes. */
static inline uint64_t sluice__zerocopy_threshold(uint64_t threshold, bool registered)
{
	/* Pinning is much of the cost, and registered memory is pinned already. */
	return registered && threshold >= 4 ? threshold / 4 : threshold;
}

/*
 * Whether a transmission that was gathered with copies of small records might be eligible if it was
 * gathered without: copies are not the callers' memory.
 */
static inline bool sluice__zerocopy_may_fit(bool forced, uint64_t bytes, uint32_t records)
{
	return forced || records == 1 || bytes / records >= SLUICE__ZEROCOPY_SEGMENT / 4;
}

/* Whether a transmission is eligible, regardless of what the socket has learned. */
bool sluice__zerocopy_fits(const struct sluice__zerocopy_facts *facts);

/*
 * Whether the socket uses zero copy for an eligible transmission; in mode ALWAYS, regardless of
 * what it has learned. `behind`: more is queued behind the transmission. Without that no trial is
 * made, because the caller may be waiting for this completion.
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
 * The first large transmission with more queued behind it. FRESH becomes LOCAL, TRYING, or RESTING
 * because of the engine's prior.
 */
void sluice__zerocopy_begin(struct sluice__zerocopy *zerocopy, struct sluice__zerocopy_prior *prior,
			    bool local);

/* A large transmission was copied, because sluice__zerocopy_wants returned false. */
void sluice__zerocopy_passed(struct sluice__zerocopy *zerocopy);

/* A zero-copy send was started; exactly one of the next three functions follows. */
void sluice__zerocopy_sent(struct sluice__zerocopy *zerocopy);
/* The kernel took nothing: nothing is learned, and the trial may be repeated. */
void sluice__zerocopy_unsent(struct sluice__zerocopy *zerocopy);
/* The buffer was released. True: the socket rests from now on. */
bool sluice__zerocopy_learned(struct sluice__zerocopy *zerocopy,
			      struct sluice__zerocopy_prior *prior, bool of_use);
/* The kernel refused it, permanently or for lack of memory. True: rests, or never tries again. */
bool sluice__zerocopy_failed(struct sluice__zerocopy *zerocopy, bool for_good);
/* The connection is over: useless trials count as if the socket had rested. */
void sluice__zerocopy_end(struct sluice__zerocopy *zerocopy, struct sluice__zerocopy_prior *prior);

#endif
