/* SPDX-License-Identifier: MIT */
#include "peers/servers.h"

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "harness/find.h"
#include "peers/dotnet.h"

#define ARGUMENTS_MAX 8
#define CONFIGURATION "server.conf"

struct server {
	const char *program;
	const char *assembly; /* the C# assembly that the program runs; or NULL */
	const char
		*configuration; /* with the port, the directory, modules of nginx, and directives */
	/* "PORT", "DIRECTORY", "CONFIGURATION" and "ASSEMBLY" are placeholders. */
	const char *arguments[ARGUMENTS_MAX];
};

const struct server server_sluice = {
	.program = "sluice",
	.arguments = {"serve", "--bind=127.0.0.1", "--workers=1", "--port", "PORT", "DIRECTORY"},
};

const struct server server_nginx = {
	.program = "nginx",
	.configuration = "%3$sdaemon off; master_process off; worker_processes 1; pid %2$s/pid;\n"
			 "error_log stderr crit;\n"
			 "events { worker_connections 4096; }\n"
			 "http { %4$saccess_log off; sendfile on; tcp_nopush on; tcp_nodelay on;\n"
			 "keepalive_timeout 300s; keepalive_requests 1000000000;\n"
			 "open_file_cache max=1000 inactive=300s; open_file_cache_valid 60s;\n"
			 "types { application/octet-stream bin; }\n"
			 "client_body_temp_path %2$s/body; proxy_temp_path %2$s/proxy;\n"
			 "fastcgi_temp_path %2$s/fastcgi; uwsgi_temp_path %2$s/uwsgi;\n"
			 "scgi_temp_path %2$s/scgi;\n"
			 "server { listen 127.0.0.1:%1$u backlog=4096; root %2$s; } }\n",
	.arguments = {"-p", "DIRECTORY", "-c", "CONFIGURATION", "-e", "stderr"},
};

const struct server server_lighttpd = {
	.program = "lighttpd",
	.configuration = "server.document-root = \"%2$s\"\nserver.bind = \"127.0.0.1\"\n"
			 "server.port = %1$u\nserver.max-keep-alive-requests = 65535\n"
			 "server.max-keep-alive-idle = 300\nserver.max-fds = 4096\n"
			 "server.network-backend = \"sendfile\"\n"
			 "mimetype.assign = (\".bin\" => \"application/octet-stream\")\n",
	.arguments = {"-D", "-f", "CONFIGURATION"},
};

const struct server server_kestrel = {
	.program = "dotnet",
	.assembly = DOTNET_KESTREL,
	.arguments = {"ASSEMBLY", "PORT", "DIRECTORY"},
};

const char *server_lacks(const struct server *server)
{
	if (server->assembly)
		return dotnet_lacks(server->assembly);
	return find_program(server->program) ? NULL : "it is not installed";
}

#define BROTLI_MODULE "/usr/lib/nginx/modules/ngx_http_brotli_static_module.so"

bool server_nginx_has_brotli(void)
{
	return access(BROTLI_MODULE, R_OK) == 0;
}

static void write_configuration(const struct server *server, uint16_t port, const char *directory,
				const char *path, bool precompressed)
{
	bool brotli = precompressed && server_nginx_has_brotli();
	FILE *file = fopen(path, "we");

	if (!file)
		err(1, "%s", path);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	fprintf(file, server->configuration, (unsigned)port, directory,
		brotli ? "load_module " BROTLI_MODULE ";\n" : "",
		brotli          ? "gzip_static on; brotli_static on; "
		: precompressed ? "gzip_static on; "
				: "");
#pragma GCC diagnostic pop
	if (fclose(file) != 0)
		err(1, "%s", path);
}

/*
 * The program's path. sluice is next to this one. Environment: .NET's framework is precompiled
 * without full optimisation, and would stay so without tiers.
 */
static const char *prepare(const struct server *server)
{
	const char *path;

	if (server == &server_sluice)
		return find_background(server->program);
	if (server->assembly) {
		dotnet_prepare();
		setenv("DOTNET_ReadyToRun", "0", 1);
	}
	path = find_program(server->program);
	return path ? path : server->program;
}

_Noreturn void server_become(const struct server *server, uint16_t port, const char *directory,
			     bool precompressed)
{
	const char *path = prepare(server);
	char port_text[16], configuration[512];
	char *arguments[ARGUMENTS_MAX + 2] = {(char *)(uintptr_t)server->program};
	int silence = open("/dev/null", O_WRONLY);

	snprintf(port_text, sizeof(port_text), "%u", port);
	snprintf(configuration, sizeof(configuration), "%s/" CONFIGURATION, directory);
	if (server->configuration)
		write_configuration(server, port, directory, configuration, precompressed);
	for (int i = 0; i < ARGUMENTS_MAX && server->arguments[i]; i++) {
		const char *argument = server->arguments[i];

		if (strcmp(argument, "PORT") == 0)
			argument = port_text;
		else if (strcmp(argument, "DIRECTORY") == 0)
			argument = directory;
		else if (strcmp(argument, "CONFIGURATION") == 0)
			argument = configuration;
		else if (strcmp(argument, "ASSEMBLY") == 0)
			argument = dotnet_path(server->assembly);
		arguments[1 + i] = (char *)(uintptr_t)argument;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(silence, STDOUT_FILENO);
	execv(path, arguments);
	err(1, "%s", server->program);
}
