/* SPDX-License-Identifier: MIT */
/*
 * sendfile(2) and splice(2) take no MSG_NOSIGNAL. The signal is masked from a turn's first file to
 * its end, and one that we raised is taken back before the thread's own mask returns.
 *
 * These are two system calls, so they are left out where no signal can arrive: in a thread of the
 * engine's own, which blocks all of them, and while the program ignores this one. Its disposition is
 * asked for at most every ASK_NS.
 */
#include <errno.h>
#include <time.h>

#include "engine/state.h"
#include "file/file.h"

#define ASK_NS 100000000

/* Of the whole process, as the disposition is: the time in whole pairs of ns, and the answer. */
static uint64_t asked; /* atomic */

static bool is_ignored(void)
{
	uint64_t known = __atomic_load_n(&asked, __ATOMIC_RELAXED);
	uint64_t now = sluice__now();
	struct sigaction action;
	bool ignored;

	if (known && now - known < ASK_NS)
		return known & 1;
	ignored = sigaction(SIGPIPE, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
		  action.sa_handler == SIG_IGN;
	__atomic_store_n(&asked, (now & ~UINT64_C(1)) | ignored, __ATOMIC_RELAXED);
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
	/* Masked by the caller already: one of his own may be waiting. */
	if (sigismember(&engine->files->sigpipe_before, SIGPIPE) && sigpending(&pending) == 0)
		engine->files->sigpipe_pending = sigismember(&pending, SIGPIPE);
}

static void take_back(void)
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
		take_back();
	pthread_sigmask(SIG_SETMASK, &engine->files->sigpipe_before, NULL);
	engine->files->sigpipe_masked = false;
}
