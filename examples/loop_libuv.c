/* SPDX-License-Identifier: MIT */
/* The engine inside libuv's loop: loop_libuv [PORT] */
#include <uv.h>

#include "echo.h"

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)poll;
	(void)status;
	(void)events;
	sluice_engine_run(engine, 0);
}

static void on_uv_signal(uv_signal_t *handle, int number)
{
	(void)number;
	uv_stop(handle->loop);
}

int main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	uv_signal_t terminated;
	uv_poll_t poll;

	checked("engine", sluice_engine_create(&engine, NULL));
	uv_poll_init(loop, &poll, checked("descriptor", sluice_engine_fd(engine)));
	uv_poll_start(&poll, UV_READABLE, on_readable);
	uv_signal_init(loop, &terminated);
	uv_signal_start(&terminated, on_uv_signal, SIGTERM);
	serve(argc > 1 ? atoi(argv[1]) : 0, on_accepted);
	sluice_engine_run(engine, 0); /* what was started before the loop */

	uv_run(loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&poll, NULL); /* before the engine, whose descriptor it polls */
	uv_close((uv_handle_t *)&terminated, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_loop_close(loop);
	return sluice_engine_destroy(engine);
}
