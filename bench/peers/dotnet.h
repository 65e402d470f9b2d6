/* SPDX-License-Identifier: MIT */
/* The C# peers, built by bench/dotnet/build. */
#ifndef BENCH_PEERS_DOTNET_H
#define BENCH_PEERS_DOTNET_H

#define DOTNET_SEND "send/SluiceBench.dll"
#define DOTNET_KESTREL "kestrel/Kestrel.dll"

/*
 * The path of one: in the directory dotnet beside this program, or in $SLUICE_BENCH_DOTNET. Valid
 * until the next call.
 */
const char *dotnet_path(const char *name);

/* What is missing to run it, for people, or NULL. */
const char *dotnet_lacks(const char *name);

/* To be called by the process that starts one, before it does. */
void dotnet_prepare(void);

#endif
