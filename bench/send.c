/* SPDX-License-Identifier: MIT */
/* Small records: gathered, one at a time, and over many sockets. */
#include "suite.h"

static const struct scenario scenarios[] = {
	{
		.name = "one-socket-32",
		.title = "64 B, one socket, 32 records a batch",
		.aim = 1.15,
		.ours = side_sluice_batch_create,
		.baseline = side_gather_create,
		.load = {.sockets = 1, .records = 32, .record_bytes = 64},
	},
	{
		.name = "one-socket-512",
		.title = "64 B, one socket, 512 records a batch",
		.aim = 1.25,
		.ours = side_sluice_batch_create,
		.baseline = side_gather_create,
		.load = {.sockets = 1, .records = 512, .record_bytes = 64},
	},
	{
		.name = "one-socket-eager",
		.title = "64 B, one socket, one at a time",
		.aim = 1.05,
		.ours = side_sluice_eager_create,
		.baseline = side_send_create,
		.load = {.sockets = 1, .records = 1, .record_bytes = 64},
	},
	{
		.name = "many-sockets-64",
		.title = "64 B, round robin over 64 sockets",
		.aim = 1.02,
		.ours = side_sluice_batch_create,
		.baseline = side_send_create,
		.load = {.sockets = 64, .records = 64, .record_bytes = 64},
	},
	{
		.name = "many-sockets-1000",
		.title = "64 B, round robin over 1,000 sockets",
		.aim = 1.02,
		.ours = side_sluice_batch_create,
		.baseline = side_send_create,
		.load = {.sockets = 1000, .records = 1000, .record_bytes = 64},
	},
};

int main(int argc, char **argv)
{
	const struct suite suite = {
		.name = "send",
		.unit = "a record",
		.scenarios = scenarios,
		.scenario_count = sizeof(scenarios) / sizeof(scenarios[0]),
	};

	return suite_main(argc, argv, &suite);
}
