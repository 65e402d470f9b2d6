/* SPDX-License-Identifier: MIT */
/*
 * sendfile(2) and splice(2) take no MSG_NOSIGNAL. The signal is masked from a turn's first file to
 * its end, and one that we raised is taken back before the thread's own mask returns.
 */
#include <errno.h>
#include <time.h>

#include "engine/state.h"
#include "file/file.h"

void sluice__sigpipe_mask(struct sluice_engine *engine)
{
	sigset_t pipe, pending;

	sluice__assert_owner(engine);
	if (engine->files->sigpipe_masked || engine->options.sigpipe_ignored)
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
