/* SPDX-License-Identifier: MIT */
/*
 * SIGPIPE of sendfile(2) and splice(2), which take no MSG_NOSIGNAL. The signal is masked from the
 * first file of a turn to its end, and one that they raised is consumed before the thread's mask is
 * restored.
 *
 * These two system calls are left out if no signal can arrive: in the engine's own thread, which
 * blocks all signals, and while the program ignores SIGPIPE. Its disposition is read at most every
 * CHECK_NS.
 */
#include <errno.h>
#include <time.h>

#include "engine/owner.h"
#include "engine/state.h"
#include "file/file.h"

#define CHECK_NS 100000000

/* Per process, like the disposition: time of the last check; its lowest bit is the result. */
static uint64_t checked; /* atomic */

static bool is_ignored(void)
{
	uint64_t known = __atomic_load_n(&checked, __ATOMIC_RELAXED);
	uint64_t now = sluice__now();
	struct sigaction action;
	bool ignored;

	if (known && now - known < CHECK_NS)
		return known & 1;
	ignored = sigaction(SIGPIPE, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
		  action.sa_handler == SIG_IGN;
	__atomic_store_n(&checked, (now & ~UINT64_C(1)) | ignored, __ATOMIC_RELAXED);
	return ignored;
}

static bool needs_no_mask(const struct sluice_engine *engine)
{
	return engine->options.sigpipe_ignored || engine->started || is_ignored();
}

void sluice__sigpipe_mask(struct sluice_engine *engine)
{
	sigset_t pipe, pending;

	sluice__assert_owner(engine);
	if (engine->files->sigpipe_masked || needs_no_mask(engine))
		return;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &engine->files->sigpipe_before);
	engine->files->sigpipe_masked = true;
	engine->files->sigpipe_raised = false;
	engine->files->sigpipe_pending = false;
	/* If the caller had masked it, one of the caller's own may be pending. */
	if (sigismember(&engine->files->sigpipe_before, SIGPIPE) && sigpending(&pending) == 0)
		engine->files->sigpipe_pending = sigismember(&pending, SIGPIPE);
}

static void consume_sigpipe(void)
{
	struct timespec none = {0, 0};
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	while (sigtimedwait(&pipe, NULL, &none) < 0 && errno == EINTR)
		;
}

void sluice__sigpipe_unmask(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	if (!engine->files->sigpipe_masked)
		return;
	if (engine->files->sigpipe_raised && !engine->files->sigpipe_pending)
		consume_sigpipe();
	pthread_sigmask(SIG_SETMASK, &engine->files->sigpipe_before, NULL);
	engine->files->sigpipe_masked = false;
}

bool sluice__sigpipe_close_begin(struct sluice_engine *engine)
{
	bool unmask = !engine->files->sigpipe_masked;

	sluice__assert_owner(engine);
	sluice__sigpipe_mask(engine);
	return unmask;
}

void sluice__sigpipe_close_end(struct sluice_engine *engine, bool unmask)
{
	sluice__assert_owner(engine);
	engine->files->sigpipe_raised |= engine->files->sigpipe_masked;
	if (unmask)
		sluice__sigpipe_unmask(engine);
}
