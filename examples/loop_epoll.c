/* SPDX-License-Identifier: MIT */
/* The engine inside a loop of one's own with epoll: loop_epoll [PORT] */
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "echo.h"

int main(int argc, char **argv)
{
	struct epoll_event event = {.events = EPOLLIN};
	int loop = epoll_create1(EPOLL_CLOEXEC), signals, over = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);

	checked("engine", sluice_engine_create(&engine, NULL));
	event.data.fd = checked("descriptor", sluice_engine_fd(engine));
	epoll_ctl(loop, EPOLL_CTL_ADD, event.data.fd, &event);
	event.data.fd = signals;
	epoll_ctl(loop, EPOLL_CTL_ADD, signals, &event);
	serve(argc > 1 ? atoi(argv[1]) : 0, on_accepted);
	sluice_engine_run(engine, 0); /* what was started before the loop */

	while (!over) {
		if (epoll_wait(loop, &event, 1, -1) < 1)
			continue;
		if (event.data.fd == signals)
			over = 1;
		else
			sluice_engine_run(engine, 0); /* readable: it has something to do */
	}
	close(signals);
	close(loop);
	return sluice_engine_destroy(engine);
}
