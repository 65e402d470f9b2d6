/* SPDX-License-Identifier: MIT */
/*
 * d12: a file system, or a sandbox, that refuses sendfile(2) or splice(2). A filter of system calls
 * answers as they would.
 */
#include "files.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "measure.h"

#define DENY(call, error)                                            \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(call), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)(error))

enum {
	DENY_SENDFILE = 1,
	DENY_SPLICE = 2
};

/* From now on, for the rest of the process, which is this test's alone. */
static void deny(int which, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(which & DENY_SENDFILE ? SYS_sendfile : -1, error),
		DENY(which & DENY_SPLICE ? SYS_splice : -1, error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		cr_skip("the kernel has no seccomp filters");
}

#define LENGTH (3 * MIB)

/* One file alone, and one between memory, with and without an identity; cold if the disk lets it. */
static void assert_all_ways(struct scene *scene)
{
	char *around = pattern_new(100, 0);
	struct sluice_packet packets[] = {
		memory_packet(around, 100),
		file_packet(scene->file.fd, 0, 0),
		memory_packet(around, 100),
	};

	for (int way = 0; way < 4; way++) {
		bool alone = way & 1;
		size_t before = alone ? 0 : 100;
		char *arrived;

		if (way >= 2)
			file_chill(scene->file.fd);
		packets[1].offset = 7;
		packets[1].count = way & 2 ? LENGTH - 7 : 100000;
		packets[1].identity = way & 2 ? 17 : 0;
		arrived = alone ? send_and_read(scene, packets + 1, 1, (size_t)packets[1].count)
				: send_and_read(scene, packets, 3, (size_t)packets[1].count + 200);
		cr_assert(pattern_matches(arrived + before, (size_t)packets[1].count, 7));
		cr_assert(pattern_matches(arrived, before, 0));
		cr_assert(pattern_matches(arrived + before + packets[1].count, before, 0));
		free(arrived);
	}
	free(around);
}

static void refuse(int which, int error)
{
	struct scene scene;

	scene_begin(&scene, LENGTH, 0);
	deny(which, error);
	assert_all_ways(&scene);
	scene_end(&scene);
}

Test(d12, d12_a_file_system_that_refuses_is_read_einval)
{
	refuse(DENY_SENDFILE | DENY_SPLICE, EINVAL);
}

Test(d12, d12_a_file_system_that_refuses_is_read_eopnotsupp)
{
	refuse(DENY_SENDFILE | DENY_SPLICE, EOPNOTSUPP);
}

Test(d12, d12_a_kernel_without_the_calls_is_no_error)
{
	refuse(DENY_SENDFILE | DENY_SPLICE, ENOSYS);
}

Test(d12, d12_a_sandbox_that_forbids_the_calls_is_no_error)
{
	refuse(DENY_SENDFILE | DENY_SPLICE, EPERM);
}

Test(d12, d12_either_of_the_calls_may_be_refused_splice)
{
	refuse(DENY_SPLICE, EPERM);
}

Test(d12, d12_either_of_the_calls_may_be_refused_sendfile)
{
	refuse(DENY_SENDFILE, EINVAL);
}

/* One call is wasted on a file system, and not one on each file or slice. */
SCENE_TEST(d12, d12_a_refusal_is_remembered_for_the_file_system, LENGTH, 0)
{
	struct sluice_engine_statistics once, many;

	deny(DENY_SENDFILE | DENY_SPLICE, EINVAL);
	assert_all_ways(scene);
	once = statistics_of(&scene->fixture);
	for (int i = 0; i < 5; i++)
		assert_all_ways(scene);
	many = statistics_of(&scene->fixture);
	cr_assert_eq(many.inline_files, once.inline_files);
	if (files_unforced())
		cr_assert_leq(once.inline_files, 1);
	cr_assert_gt(many.files_read, once.files_read);
}

/* What was sent by reference before stays, and the rest follows it. */
SCENE_TEST(d12, d12_a_refusal_in_the_middle_of_a_file_loses_and_repeats_nothing, LENGTH, SMALL)
{
	struct sluice_packet packet;

	packet = file_packet(scene->file.fd, 0, 0);
	cr_assert_eq(start_packets(scene->pair.socket, &scene->operation, &packet, 1), 1);
	run_reading(&scene->fixture, scene->pair.peer, MIB, 0);
	deny(DENY_SENDFILE | DENY_SPLICE, EINVAL);
	run_reading(&scene->fixture, scene->pair.peer, LENGTH - MIB, MIB);
	run_until(&scene->fixture, is_over(&scene->operation));
	assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, LENGTH);
}

/* ---- a ring that does not splice ---- */

/* The first `after` slices go; the kernel refuses the next one. */
static void refuse_by_ring(const char *variable, const char *after)
{
	struct sluice_options options;
	struct sluice_engine_statistics done;
	struct scene scene;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.file_way = SLUICE_FILE_WAY_SPLICE_RING;
	options.file_slice_bytes = 256 * KIB;
	setenv(variable, "ring-splice", 1);
	setenv("SLUICE_TEST_REFUSE_AFTER", after, 1);
	file_new(&scene.file, LENGTH, 0);
	fixture_begin_with(&scene.fixture, &options);
	tcp_pair(&scene.fixture, &scene.pair, 0);
	operation_init(&scene.operation, &scene.fixture);
	assert_all_ways(&scene);
	done = statistics_of(&scene.fixture);
	cr_assert_eq(done.capabilities & SLUICE_CAPABILITY_RING_SPLICE, 0);
	if (done.backend == SLUICE_BACKEND_URING)
		cr_assert_leq(done.ring_files, strtoul(after, NULL, 10) + 1);
	cr_assert_eq(done.files_read, 0);
	scene_end(&scene);
}

Test(d12, d12_a_ring_that_refuses_to_splice_is_given_up)
{
	refuse_by_ring("SLUICE_TEST_REFUSE", "0");
}

Test(d12, d12_a_ring_that_refuses_in_the_middle_of_a_file_loses_and_repeats_nothing)
{
	refuse_by_ring("SLUICE_TEST_REFUSE_LATE", "3");
}
