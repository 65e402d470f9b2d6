/* SPDX-License-Identifier: MIT */
#include "harness/scenarios.h"

#include <string.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* The files of a site in turns; each connection asks again as soon as it has its answer. */
#define HTTP_STATIC(name_end, words, compressed)                                     \
	{                                                                            \
		.name = "http-static-" name_end,                                     \
		.title = "HTTP, 1,024 connections, 20 files of 3 to 300 KB, " words, \
		.unit = "request", .effort = EFFORT_USUAL,                           \
		.load = {.kind = LOAD_HTTP,                                          \
			 .receiver_mode = RECEIVER_ASKS,                             \
			 .sockets = 1024,                                            \
			 .records = 1,                                               \
			 .saturated = true,                                          \
			 .site = true,                                               \
			 .accepts_compressed = (compressed)},                        \
		.sessions = 2, .slice_factor = 12, .aims = {                         \
			{"nginx", 0.45}                                              \
		}                                                                    \
	}

/* Over many sockets, with nothing to gather. */
#define LEVEL_WITH_THE_BEST                                                   \
	.aims = {{"send", 1.02},       {"ring-naive", 1.02}, {"libuv", 1.02}, \
		 {"asio-epoll", 1.02}, {"asio-uring", 1.02}, {"dotnet-send", 1.02}}

#define SMALL(socket_count, record_count)   \
	.load = {.kind = LOAD_RECORDS,      \
		 .sockets = (socket_count), \
		 .records = (record_count), \
		 .record_bytes = 64}

/* Each record on its own half page. */
#define SCATTERED(count, words, its_effort, ...)                                               \
	{                                                                                      \
		.name = "scattered-" #count,                                                   \
		.title = "64 B, each on its own half page, " words " outstanding",             \
		.unit = "record", .family = "scattered", .x = (count), .effort = (its_effort), \
		.load = {.kind = LOAD_RECORDS,                                                 \
			 .sockets = 1,                                                         \
			 .records = (count),                                                   \
			 .record_bytes = 64,                                                   \
			 .scattered = true},                                                   \
		.aims = {                                                                      \
			__VA_ARGS__                                                            \
		}                                                                              \
	}

/* Aims for cheap system calls, for expensive ones, and for latencies. */
#define SATURATED(name)                                                                  \
	{                                                                                \
		.peer = (name), .ratio = 0.9, .expensive_ratio = 0.7, .latency_ratio = 1 \
	}

#define ECHO(name_end, connections, words, its_effort, keeps_busy, ...)           \
	{                                                                         \
		.name = "echo-" name_end, .title = "64 B back and forth, " words, \
		.unit = "answer", .effort = (its_effort),                         \
		.load = {.kind = LOAD_ECHO,                                       \
			 .receiver_mode = RECEIVER_ASKS,                          \
			 .sockets = (connections),                                \
			 .records = 1,                                            \
			 .record_bytes = 64,                                      \
			 .saturated = (keeps_busy)},                              \
		.sessions = 3, .slice_factor = 8, .aims = {                       \
			__VA_ARGS__                                               \
		}                                                                 \
	}

/* Each with its own sockets; sockets and records are totals. */
#define ENGINES(count, words)                                                                \
	{                                                                                    \
		.name = "engines-" #count, .title = words " with 64 sockets, 64 B",          \
		.unit = "record", .family = "engines", .x = (count), .effort = EFFORT_USUAL, \
		.load = {.kind = LOAD_ENGINES,                                               \
			 .engines = (count),                                                 \
			 .sockets = 64 * (count),                                            \
			 .records = 64 * (count),                                            \
			 .record_bytes = 64},                                                \
		.sessions = 3, LEVEL_WITH_THE_BEST                                           \
	}

/* Requests on all connections, each after the answer to the one before, or several at once. */
#define HTTP(name_end, words, size_bytes, its_depth, ...)                          \
	{                                                                          \
		.name = "http-" name_end, .title = "HTTP, 64 connections, " words, \
		.unit = "request", .effort = EFFORT_USUAL,                         \
		.load = {.kind = LOAD_HTTP,                                        \
			 .receiver_mode = RECEIVER_ASKS,                           \
			 .sockets = 64,                                            \
			 .records = 1,                                             \
			 .file_bytes = (size_bytes),                               \
			 .depth = (its_depth)},                                    \
		.sessions = 2, .slice_factor = 6, .aims = {                        \
			__VA_ARGS__                                                \
		}                                                                  \
	}

/* Messages of 64 B to 2,000 clients, so many at a time: 2,000 records each. */
#define FAN_OUT(count, words, ...)                                                             \
	{                                                                                      \
		.name = "fan-out-" #count, .title = words " of 64 B to each of 2,000 sockets", \
		.unit = "record", .effort = EFFORT_USUAL,                                      \
		.load = {.kind = LOAD_FAN_OUT,                                                 \
			 .sockets = 2000,                                                      \
			 .records = 2000 * (count),                                            \
			 .record_bytes = 64,                                                   \
			 .shared = true},                                                      \
		.sessions = 2, .slice_factor = 8, __VA_ARGS__                                  \
	}

#define FILE_AIMS(ratio) .aims = {{"sendfile", ratio}, {"dotnet-packets", 1}, {"dotnet-file", 1}}

/* From the page cache. */
#define FILE_SCENARIO(size, words, size_bytes, kib, its_effort, mode, ratio)                  \
	{                                                                                     \
		.name = "file-" size, .title = "a file of " words ", cached", .unit = "file", \
		.family = "file", .x = (kib), .effort = (its_effort),                         \
		.load = {.kind = LOAD_FILE,                                                   \
			 .receiver_mode = (mode),                                             \
			 .sockets = 1,                                                        \
			 .records = 1,                                                        \
			 .file_bytes = (size_bytes)},                                         \
		FILE_AIMS(ratio)                                                              \
	}

#define FILE_COPIES(size, words, size_bytes, ratio)                                     \
	{                                                                               \
		.name = "file-" size "-copies", .title = "a file of " words ", cached", \
		.unit = "file", .effort = EFFORT_FULL,                                  \
		.load = {.kind = LOAD_FILE,                                             \
			 .receiver_mode = RECEIVER_COPIES,                              \
			 .sockets = 1,                                                  \
			 .records = 1,                                                  \
			 .file_bytes = (size_bytes)},                                   \
		FILE_AIMS(ratio)                                                        \
	}

#define FILE_COLD(size, words, size_bytes, its_effort)                                            \
	{                                                                                         \
		.name = "cold-" size, .title = "a file of " words ", not cached", .unit = "file", \
		.effort = (its_effort),                                                           \
		.load = {.kind = LOAD_FILE,                                                       \
			 .sockets = 1,                                                            \
			 .records = 1,                                                            \
			 .file_bytes = (size_bytes),                                              \
			 .cold = true},                                                           \
		.sessions = 2, .aims = {                                                          \
			{"sendfile", 1}                                                           \
		}                                                                                 \
	}

#define DATAGRAMS(size, count, words, ...)                                                      \
	{                                                                                       \
		.name = "datagrams-" size, .title = "1,200 B by UDP, " words, .unit = "record", \
		.family = "datagrams", .x = (count), .effort = EFFORT_USUAL,                    \
		.load = {.kind = LOAD_DATAGRAMS,                                                \
			 .sockets = 1,                                                          \
			 .records = (count),                                                    \
			 .record_bytes = 1200},                                                 \
		.aims = {                                                                       \
			__VA_ARGS__                                                             \
		}                                                                               \
	}

const struct scenario scenarios[] = {
	{
		.name = "records-1",
		.title = "64 B, one socket, one at a time",
		.unit = "record",
		.family = "batch",
		.x = 1,
		SMALL(1, 1),
		.aims = {{"send", 1.03}, {"dotnet-send", 1.03}},
	},
	{
		.name = "records-8",
		.title = "64 B, one socket, 8 outstanding",
		.unit = "record",
		.family = "batch",
		.x = 8,
		.effort = EFFORT_USUAL,
		SMALL(1, 8),
	},
	{
		.name = "records-32",
		.title = "64 B, one socket, 32 outstanding",
		.unit = "record",
		.family = "batch",
		.x = 32,
		SMALL(1, 32),
		.aims = {{"gather", 1.05},
			 {"gather-filled", 1},
			 {"send", 1 / 12.0},
			 {"libuv", 1 / 12.0},
			 {"asio-epoll", 1 / 12.0},
			 {"asio-uring", 1 / 12.0},
			 {"dotnet-send", 1 / 12.0},
			 {"dotnet-list", 1}},
	},
	{
		.name = "records-512",
		.title = "64 B, one socket, 512 outstanding",
		.unit = "record",
		.family = "batch",
		.x = 512,
		.effort = EFFORT_USUAL,
		SMALL(1, 512),
		.aims = {{"gather", 1.10}, {"gather-filled", 0.95}, {"dotnet-list", 0.25}},
	},
	{
		.name = "records-8192",
		.title = "64 B, one socket, 8,192 outstanding",
		.unit = "record",
		.family = "batch",
		.x = 8192,
		.effort = EFFORT_USUAL,
		SMALL(1, 8192),
		.sessions = 1,
		.aims = {{"gather", 1.20}},
	},
	{
		.name = "records-100000",
		.title = "64 B, one socket, 100,000 outstanding",
		.unit = "record",
		.family = "batch",
		.x = 100000,
		.effort = EFFORT_FULL,
		SMALL(1, 100000),
		.sessions = 2,
		.slice_factor = 4,
	},
	SCATTERED(32, "32", EFFORT_USUAL, {"gather", 1.05}, {"gather-filled", 1}),
	SCATTERED(512, "512", EFFORT_USUAL, {"gather", 1.10}, {"gather-filled", 0.95}),
	SCATTERED(8192, "8,192", EFFORT_USUAL, {"gather", 1.20}),
	{
		.name = "sockets-10",
		.title = "64 B, one for each of 10 sockets",
		.unit = "record",
		.family = "sockets",
		.x = 10,
		.effort = EFFORT_USUAL,
		SMALL(10, 10),
		.sessions = 2,
		LEVEL_WITH_THE_BEST,
	},
	{
		.name = "sockets-64",
		.title = "64 B, one for each of 64 sockets",
		.unit = "record",
		.family = "sockets",
		.x = 64,
		SMALL(64, 64),
		LEVEL_WITH_THE_BEST,
	},
	{
		.name = "sockets-1000",
		.title = "64 B, one for each of 1,000 sockets",
		.unit = "record",
		.family = "sockets",
		.x = 1000,
		.effort = EFFORT_USUAL,
		SMALL(1000, 1000),
		LEVEL_WITH_THE_BEST,
	},
	{
		.name = "sockets-10000",
		.title = "64 B, one for each of 10,000 sockets",
		.unit = "record",
		.family = "sockets",
		.x = 10000,
		.effort = EFFORT_USUAL,
		SMALL(10000, 10000),
		.sessions = 1,
		LEVEL_WITH_THE_BEST,
	},
	{
		.name = "broadcast-1000",
		.title = "one message of 1 KiB to 1,000 sockets",
		.unit = "socket",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_RECORDS,
			 .sockets = 1000,
			 .records = 1000,
			 .record_bytes = KIB,
			 .shared = true},
	},
	FAN_OUT(1, "one message"),
	FAN_OUT(16, "16 messages at once", .aims = {{"libuv", 0.1}},
		.peak_aim_bytes = 20 * (size_t)1000000),
	{
		.name = "large-64K",
		.title = "64 KiB, one socket, 8 outstanding",
		.unit = "record",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_RECORDS,
			 .sockets = 1,
			 .records = 8,
			 .record_bytes = 64 * KIB},
	},
	{
		.name = "large-1M",
		.title = "1 MiB, one socket, one at a time",
		.unit = "record",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_RECORDS, .sockets = 1, .records = 1, .record_bytes = MIB},
	},
	{
		.name = "header-body",
		.title = "header of 100 B and body of 4 KiB",
		.unit = "record",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_RECORDS,
			 .sockets = 1,
			 .records = 1,
			 .record_bytes = 100 + 4 * KIB,
			 .header_bytes = 100},
	},
	{
		.name = "another-1",
		.title = "64 B, one at a time, from a thread that is not the engine's",
		.unit = "record",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_ANOTHER, .sockets = 1, .records = 1, .record_bytes = 64},
		.aims = {{"send", 1.2}},
	},
	{
		.name = "threads-8",
		.title = "64 B, one socket, from 8 threads on any core",
		.unit = "record",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_THREADS, .sockets = 1, .records = 512, .record_bytes = 64},
		.aims = {{"mutex", 1 / 3.0}},
	},
	ENGINES(1, "an engine"),
	ENGINES(2, "2 engines, each on a core and"),
	ENGINES(4, "4 engines, each on a core and"),
	ENGINES(8, "8 engines, each on a core and"),
	ENGINES(16, "16 engines, each on a core and"),
	{
		.name = "engines-2-batch",
		.title = "2 engines, each on a core and with one socket, 64 B, 32 outstanding",
		.unit = "record",
		.effort = EFFORT_FULL,
		.load = {.kind = LOAD_ENGINES,
			 .engines = 2,
			 .sockets = 2,
			 .records = 64,
			 .record_bytes = 64},
		.sessions = 3,
	},
	ECHO("64", 64, "64 sockets", EFFORT_USUAL, false, {"epoll", 1}, {"libuv", 1},
	     {"asio-epoll", 1}, {"asio-uring", 1}),
	ECHO("1000", 1000, "1,000 sockets", EFFORT_USUAL, false, {"epoll", 1}, {"libuv", 1},
	     {"asio-epoll", 1}, {"asio-uring", 1}),
	ECHO("saturated-64", 64, "64 sockets that ask again at once", EFFORT_QUICK, true,
	     SATURATED("epoll"), SATURATED("libuv"), SATURATED("asio-epoll"),
	     SATURATED("asio-uring")),
	ECHO("saturated-1000", 1000, "1,000 sockets that ask again at once", EFFORT_USUAL, true,
	     SATURATED("epoll"), SATURATED("libuv"), SATURATED("asio-epoll"),
	     SATURATED("asio-uring")),
	{
		.name = "wait-budget",
		.title = "64 B back and forth, 64 sockets, sluice waits up to 100 us",
		.unit = "answer",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_ECHO,
			 .receiver_mode = RECEIVER_ASKS,
			 .sockets = 64,
			 .records = 1,
			 .record_bytes = 64,
			 .wait_budget_ns = 100000},
		.sessions = 3,
		.slice_factor = 8,
		.aims = {{"epoll", 0.8}},
	},
	{
		.name = "hot-beside-cold",
		.title = "64 B back and forth, 64 sockets, beside files of 1 MiB, not cached",
		.unit = "answer",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_BACKGROUND,
			 .receiver_mode = RECEIVER_SLOW,
			 .sockets = 64,
			 .records = 1,
			 .record_bytes = 64,
			 .file_bytes = 256 * MIB, /* nothing is sent again within a second */
			 .part_bytes = MIB,
			 .cold = true,
			 .interval_ns = 50000},
		.sessions = 2,
		.slice_factor = 12,
		.aims = {{"sluice-alone", 1.2}, {"epoll", 1}},
	},
	FILE_SCENARIO("1K", "1 KiB", KIB, 1, EFFORT_USUAL, RECEIVER_DISCARDS, 0),
	FILE_SCENARIO("4K", "4 KiB", 4 * KIB, 4, EFFORT_USUAL, RECEIVER_DISCARDS, 1.10),
	FILE_SCENARIO("64K", "64 KiB", 64 * KIB, 64, EFFORT_QUICK, RECEIVER_DISCARDS, 1.03),
	FILE_SCENARIO("1M", "1 MiB", MIB, 1024, EFFORT_USUAL, RECEIVER_DISCARDS, 1.03),
	FILE_SCENARIO("64M", "64 MiB", 64 * MIB, 65536, EFFORT_USUAL, RECEIVER_DISCARDS, 1.03),
	{
		.name = "file-1M-64",
		.title = "files of 1 MiB, cached, 64 connections",
		.unit = "file",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_FILE, .sockets = 64, .records = 64, .file_bytes = MIB},
		.sessions = 2,
		.aims = {{"sendfile", 1.03}},
	},
	FILE_COPIES("4K", "4 KiB", 4 * KIB, 1.10),
	FILE_COPIES("64K", "64 KiB", 64 * KIB, 1.03),
	FILE_COPIES("1M", "1 MiB", MIB, 1.03),
	FILE_COPIES("64M", "64 MiB", 64 * MIB, 1.03),
	FILE_COLD("1M", "1 MiB", MIB, EFFORT_USUAL),
	FILE_COLD("64M", "64 MiB", 64 * MIB, EFFORT_FULL),
	DATAGRAMS("1", 1, "one at a time", {"send", 1.05}),
	DATAGRAMS("48", 48, "48 outstanding", {"gso", 1.10}, {"sendmmsg", 1}, {"send", 1}),
	DATAGRAMS("512", 512, "512 outstanding", {"gso", 1.10}, {"sendmmsg", 1}, {"send", 1}),
	{
		.name = "slow-4M",
		.title = "a file of 4 MiB, cached, to a slow reader",
		.unit = "file",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_FILE,
			 .receiver_mode = RECEIVER_SLOW,
			 .sockets = 1,
			 .records = 1,
			 .file_bytes = 4 * MIB},
		.sessions = 2,
		FILE_AIMS(1.03),
	},
	HTTP("1K", "1 KiB", KIB, 1, {"nginx", 0.50, 0.30}),
	HTTP("64K", "64 KiB", 64 * KIB, 1, {"nginx", 0.70, 0.42}),
	HTTP("1M", "1 MiB", MIB, 1, {"nginx", 1}),
	HTTP("1K-pipelined", "1 KiB, 16 asked for at once", KIB, 16, {"nginx", 0.40}),
	{
		.name = "http-paced",
		.title = "HTTP, 1,024 connections, 1 KiB, at a steady rate",
		.unit = "request",
		.effort = EFFORT_USUAL,
		.load = {.kind = LOAD_HTTP,
			 .receiver_mode = RECEIVER_ASKS,
			 .sockets = 1024,
			 .records = 1,
			 .file_bytes = KIB,
			 .paced = true},
		.sessions = 2,
		.slice_factor = 8,
		.aims = {{"nginx", 0.50, 0.30, 1}},
	},
	HTTP_STATIC("plain", "as they are", false),
	HTTP_STATIC("compressed", "br or gzip accepted", true),
	{
		.name = "loop",
		.title = "a loop without a system call: what can be told apart here",
		.unit = "loop",
		.effort = EFFORT_FULL,
		.load = {.kind = LOAD_LOOP, .sockets = 1, .records = 1},
	},
};

const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);

const struct aim *scenario_aim(const struct scenario *scenario, const char *peer)
{
	for (size_t i = 0; i < AIMS_MAX && scenario->aims[i].peer; i++) {
		if (strcmp(scenario->aims[i].peer, peer) == 0)
			return &scenario->aims[i];
	}
	return NULL;
}
