/* SPDX-License-Identifier: MIT */
/*
 * sendfile(2) and splice(2) take no MSG_NOSIGNAL. The signal is masked from a turn's first file to
 * its end, and one that we raised is taken back before the thread's own mask returns.
 */
#include <errno.h>
#include <time.h>

#include "engine/engine.h"

void sluice__sigpipe_mask(struct sluice_engine *engine)
{
	sigset_t pipe, pending;

	if (engine->sigpipe_masked || engine->options.sigpipe_ignored)
		return;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &engine->sigpipe_before);
	engine->sigpipe_masked = true;
	engine->sigpipe_raised = false;
	engine->sigpipe_pending = false;
	/* Masked by the caller already: one of his own may be waiting. */
	if (sigismember(&engine->sigpipe_before, SIGPIPE) && sigpending(&pending) == 0)
		engine->sigpipe_pending = sigismember(&pending, SIGPIPE);
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
	if (!engine->sigpipe_masked)
		return;
	if (engine->sigpipe_raised && !engine->sigpipe_pending)
		take_back();
	pthread_sigmask(SIG_SETMASK, &engine->sigpipe_before, NULL);
	engine->sigpipe_masked = false;
}
