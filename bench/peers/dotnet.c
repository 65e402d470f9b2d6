/* SPDX-License-Identifier: MIT */
#include "peers/dotnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/find.h"

const char *dotnet_path(const char *name)
{
	const char *directory = getenv("SLUICE_BENCH_DOTNET");
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", directory ? directory : find_background("dotnet"),
		 name);
	return path;
}

const char *dotnet_lacks(const char *name)
{
	if (!find_program("dotnet"))
		return "there is no dotnet";
	return access(dotnet_path(name), R_OK) == 0
		       ? NULL
		       : "its program is not built: bench/dotnet/build, or tools/run bench";
}

/* Each process that is killed would leave a diagnostics socket in /tmp. */
void dotnet_prepare(void)
{
	setenv("DOTNET_EnableDiagnostics", "0", 1);
}
