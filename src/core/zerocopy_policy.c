/* SPDX-License-Identifier: MIT */
#include "core/zerocopy_policy.h"

#include "base/assert.h"

bool sluice__zerocopy_fits(const struct sluice__zerocopy_facts *facts)
{
	uint64_t segment = facts->registered ? SLUICE__ZEROCOPY_SEGMENT / 4
					     : SLUICE__ZEROCOPY_SEGMENT;

	if (facts->segments == 0)
		return false;
	if (facts->forced)
		return true;
	if (facts->mode == SLUICE_ZEROCOPY_OFF ||
	    facts->bytes < sluice__zerocopy_threshold(facts->threshold, facts->registered))
		return false;
	return facts->segments == 1 || facts->bytes / facts->segments >= segment;
}

static void zerocopy_rest(struct sluice__zerocopy *zerocopy)
{
	sluice__assert(zerocopy->rests <= SLUICE__ZEROCOPY_REST_DOUBLINGS);
	zerocopy->phase = SLUICE__ZEROCOPY_RESTING;
	zerocopy->left = (uint32_t)SLUICE__ZEROCOPY_REST << zerocopy->rests;
	zerocopy->bad = 0;
	zerocopy->trials = 0;
	if (zerocopy->rests < SLUICE__ZEROCOPY_REST_DOUBLINGS)
		zerocopy->rests++;
}

void sluice__zerocopy_begin(struct sluice__zerocopy *zerocopy, struct sluice__zerocopy_prior *prior,
			    bool local)
{
	if (zerocopy->phase != SLUICE__ZEROCOPY_FRESH)
		return;
	if (local) {
		zerocopy->phase = SLUICE__ZEROCOPY_LOCAL;
		return;
	}
	if (prior->streak >= SLUICE__ZEROCOPY_PRIOR_STREAK &&
	    ++prior->skipped < SLUICE__ZEROCOPY_PRIOR_SKIP) {
		zerocopy_rest(zerocopy);
		return;
	}
	prior->skipped = 0;
	zerocopy->phase = SLUICE__ZEROCOPY_TRYING;
	zerocopy->trials = SLUICE__ZEROCOPY_TRIALS;
}

void sluice__zerocopy_passed(struct sluice__zerocopy *zerocopy)
{
	sluice__assert(!zerocopy->left || zerocopy->phase == SLUICE__ZEROCOPY_RESTING);
	if (!zerocopy->left || --zerocopy->left)
		return;
	zerocopy->phase = SLUICE__ZEROCOPY_RETRYING;
	zerocopy->trials = 1;
}

void sluice__zerocopy_sent(struct sluice__zerocopy *zerocopy)
{
	if (zerocopy->trials)
		zerocopy->trials--;
}

static bool zerocopy_is_trying(const struct sluice__zerocopy *zerocopy)
{
	return zerocopy->phase == SLUICE__ZEROCOPY_TRYING ||
	       zerocopy->phase == SLUICE__ZEROCOPY_RETRYING;
}

void sluice__zerocopy_unsent(struct sluice__zerocopy *zerocopy)
{
	if (zerocopy_is_trying(zerocopy))
		zerocopy->trials++;
}

static uint8_t zerocopy_patience(const struct sluice__zerocopy *zerocopy)
{
	switch (zerocopy->phase) {
	case SLUICE__ZEROCOPY_TRYING:
		return SLUICE__ZEROCOPY_TRIALS;
	case SLUICE__ZEROCOPY_RETRYING:
		return 1;
	default:
		return SLUICE__ZEROCOPY_PATIENCE;
	}
}

static void prior_count_useless(struct sluice__zerocopy_prior *prior)
{
	if (prior->streak < UINT16_MAX)
		prior->streak++;
}

bool sluice__zerocopy_learned(struct sluice__zerocopy *zerocopy,
			      struct sluice__zerocopy_prior *prior, bool of_use)
{
	/* A late result of a send from before the rest. */
	if (!zerocopy_is_trying(zerocopy) && zerocopy->phase != SLUICE__ZEROCOPY_WORKING)
		return false;
	if (of_use) {
		zerocopy->phase = SLUICE__ZEROCOPY_WORKING;
		zerocopy->bad = 0;
		zerocopy->trials = 0;
		zerocopy->rests = 0;
		prior->streak = 0;
		return false;
	}
	if (++zerocopy->bad < zerocopy_patience(zerocopy))
		return false;
	if (zerocopy->phase == SLUICE__ZEROCOPY_TRYING)
		prior_count_useless(prior);
	zerocopy_rest(zerocopy);
	return true;
}

bool sluice__zerocopy_failed(struct sluice__zerocopy *zerocopy, bool for_good)
{
	if (zerocopy->phase == SLUICE__ZEROCOPY_NEVER ||
	    (!for_good && zerocopy->phase == SLUICE__ZEROCOPY_RESTING))
		return false;
	zerocopy_rest(zerocopy);
	if (for_good) {
		zerocopy->phase = SLUICE__ZEROCOPY_NEVER;
		zerocopy->left = 0;
	}
	return true;
}

void sluice__zerocopy_end(struct sluice__zerocopy *zerocopy, struct sluice__zerocopy_prior *prior)
{
	if (zerocopy->phase == SLUICE__ZEROCOPY_TRYING && zerocopy->bad)
		prior_count_useless(prior);
	*zerocopy = (struct sluice__zerocopy){0};
}
