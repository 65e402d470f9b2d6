/* SPDX-License-Identifier: MIT */
/* The engine inside GLib's main loop: loop_glib [PORT] */
#include <glib-unix.h>

#include "echo.h"

static gboolean on_readable(gint fd, GIOCondition condition, gpointer token)
{
	(void)fd;
	(void)condition;
	(void)token;
	sluice_engine_run(engine, 0);
	return G_SOURCE_CONTINUE;
}

static gboolean on_terminated(gpointer loop)
{
	g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
	GMainLoop *loop = g_main_loop_new(NULL, FALSE);
	guint source;

	checked("engine", sluice_engine_create(&engine, NULL));
	source = g_unix_fd_add(checked("descriptor", sluice_engine_fd(engine)), G_IO_IN,
			       on_readable, NULL);
	g_unix_signal_add(SIGTERM, on_terminated, loop);
	serve(argc > 1 ? atoi(argv[1]) : 0, on_accepted);
	sluice_engine_run(engine, 0); /* what was started before the loop */

	g_main_loop_run(loop);
	g_source_remove(source); /* before the engine, whose descriptor it polls */
	g_main_loop_unref(loop);
	return sluice_engine_destroy(engine);
}
