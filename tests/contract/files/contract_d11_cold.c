/* SPDX-License-Identifier: MIT */
/*
 * d11: what is not in the page cache never blocks the engine's thread. A thread that waits for the
 * disk switches away of its own accord, and the kernel counts that: the tests look at this count
 * around every call of the library, and first show that reading such files plainly does raise it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "measure.h"

#define FILES_MAX 64

/* The files of one test, which follow each other in the pattern. */
struct files {
	struct file file[FILES_MAX];
	size_t count;
	size_t length; /* of each */
};

static void files_new(struct files *files, size_t count, size_t length)
{
	files->count = count;
	files->length = length;
	for (size_t i = 0; i < count; i++)
		file_new(&files->file[i], length, i * length);
}

static void files_end(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		file_end(&files->file[i]);
}

static void files_chill(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		if (file_chill(files->file[i].fd) < 0)
			cr_skip("this filesystem does not let go of its pages");
}

/* Whether a thread that reads the files waits for them. */
static bool reading_is_waiting(struct files *files)
{
	char *bytes = malloc(files->length);
	long before = waits();

	for (size_t i = 0; i < files->count; i++)
		cr_assert_eq(pread(files->file[i].fd, bytes, files->length, 0),
			     (ssize_t)files->length);
	free(bytes);
	return waits() - before >= (long)files->count / 2;
}

/* Sends a cold file; returns how often the library waited in its calls. */
static long send_counting_waits(struct scene *scene, const struct file *file)
{
	struct sluice_packet packet = file_packet(file->fd, 0, 0);
	int64_t deadline = now_ns() + GUARD_NS;
	long before = waits(), waited;

	cr_assert(start_packets(scene->pair.socket, &scene->operation, &packet, 1) >= 0);
	waited = waits() - before;
	while (!is_over(&scene->operation)) {
		cr_assert_lt(now_ns(), deadline);
		before = waits();
		cr_assert(sluice_engine_run(scene->fixture.engine, 0) >= 0);
		waited += waits() - before;
		sched_yield();
	}
	return waited;
}

/*
 * Sends all the files, cold, and asserts that they arrive, and, where to read them plainly is to
 * wait, that they were fetched before and hardly a call waited.
 */
static void assert_sent_without_waiting(struct scene *scene, struct files *files, bool telling)
{
	struct sluice_engine_statistics statistics;
	struct reader reader;
	long waited = 0;

	reader_start(&reader, scene->pair.peer, 0);
	for (size_t i = 0; i < files->count; i++) {
		waited += send_counting_waits(scene, &files->file[i]);
		assert_ended(&scene->operation, SLUICE_ERROR_SUCCESS, files->length);
	}
	statistics = statistics_of(&scene->fixture);
	if (telling) {
		/* A few are waits for the lock that is shared with the thread which fetches. */
		cr_assert_leq(waited, (long)files->count / 2,
			      "the engine's thread waited %ld times for %zu files", waited,
			      files->count);
		cr_assert_geq(statistics.file_windows_fetched, files->count / 2,
			      "only %llu windows were fetched",
			      (unsigned long long)statistics.file_windows_fetched);
		cr_assert_leq(statistics.file_blocked, files->count / 4,
			      "%llu slices were sent although they were not there",
			      (unsigned long long)statistics.file_blocked);
	}
	assert_read_to_end(scene, &reader, files->count * files->length);
	cr_assert_eq(reader.mismatches, 0);
}

static void skip_where_forced(void)
{
	if (file_way_of_environment() != SLUICE_FILE_WAY_AUTO)
		cr_skip("a way that is forced is not asked about the cache");
}

/* Makes cold files, and asserts that they leave without waiting. */
static void assert_cold_files_do_not_block(size_t count, size_t length, bool as_nobody)
{
	struct files files;
	struct scene scene;
	bool telling;

	skip_where_forced();
	files_new(&files, count, length);
	files_chill(&files);
	telling = reading_is_waiting(&files);
	files_chill(&files);
	file_new(&scene.file, 0, 0);
	if (as_nobody)
		become_nobody();
	files_begin(&scene.fixture, NULL);
	tcp_pair(&scene.fixture, &scene.pair, 0);
	operation_init(&scene.operation, &scene.fixture);
	assert_sent_without_waiting(&scene, &files, telling);
	scene_end(&scene);
	files_end(&files);
}

Test(d11, d11_cold_files_do_not_block_the_engines_thread)
{
	assert_cold_files_do_not_block(32, 256 * KIB, false);
}

Test(d11, d11_large_cold_files_do_not_block_the_engines_thread)
{
	assert_cold_files_do_not_block(16, 2 * MIB + 12345, false);
}

/* They are read, not sent by sendfile, but the disk is as far away. */
Test(d11, d11_small_cold_files_do_not_block_the_engines_thread)
{
	assert_cold_files_do_not_block(64, 1000, false);
}

/* Who does not own a file may not ask for the state of its pages by cachestat(2). */
Test(d11, d11_cold_files_of_somebody_else_do_not_block_the_engines_thread)
{
	if (geteuid() != 0)
		cr_skip("only root can make files that are somebody else's");
	assert_cold_files_do_not_block(32, 256 * KIB, true);
}

/*
 * It was hot a moment ago. What is found evicted between look and send may block for one slice, and
 * is counted; the rest of the file is looked at again.
 */
Test(d11, d11_a_file_that_is_evicted_after_it_was_sent_blocks_for_one_slice_at_most)
{
	const size_t length = 16 * MIB; /* sixteen slices */
	struct sluice_engine_statistics before, after;
	struct scene scene;
	struct sluice_packet packet;

	skip_where_forced();
	scene_begin(&scene, length, 0);
	packet = file_packet(scene.file.fd, 0, 0);
	assert_arrives(&scene, &packet, 1, length, 0);
	before = statistics_of(&scene.fixture);
	if (file_chill(scene.file.fd) < 0)
		cr_skip("this filesystem does not let go of its pages");
	assert_arrives(&scene, &packet, 1, length, 0);
	after = statistics_of(&scene.fixture);
	/* The engine decides by the duration; a busy machine may add one. */
	cr_assert_leq(after.file_blocked - before.file_blocked, 3, "%llu slices blocked",
		      (unsigned long long)(after.file_blocked - before.file_blocked));
	cr_assert_geq(
		after.file_windows_fetched - before.file_windows_fetched, 4,
		"only %llu windows were fetched",
		(unsigned long long)(after.file_windows_fetched - before.file_windows_fetched));
	scene_end(&scene);
}

/* ---- more sockets than prefetches ---- */

#define WAITING 5

/* One prefetch in flight, for a file that no probe finds in the page cache; each socket sends it. */
struct crowd {
	struct fixture fixture;
	struct pair pair[WAITING];
	struct operation operation[WAITING];
	struct sluice_packet packet;
	struct file file;
};

static void crowd_begin(struct crowd *crowd)
{
	struct sluice_options options = files_options();

	if (!files_unforced())
		cr_skip("the test takes the probe away itself");
	setenv("SLUICE_DISABLE", "cache-look", 1);
	options.fetch_windows = 1;
	file_new(&crowd->file, 1000, 0);
	files_begin(&crowd->fixture, &options);
	crowd->packet = file_packet(crowd->file.fd, 0, 0);
	for (int i = 0; i < WAITING; i++) {
		tcp_pair(&crowd->fixture, &crowd->pair[i], 0);
		operation_init(&crowd->operation[i], &crowd->fixture);
		cr_assert_eq(start_packets(crowd->pair[i].socket, &crowd->operation[i],
					   &crowd->packet, 1),
			     1);
	}
}

static void crowd_end(struct crowd *crowd)
{
	for (int i = 0; i < WAITING; i++)
		pair_close(&crowd->pair[i]);
	fixture_end(&crowd->fixture);
	file_end(&crowd->file);
}

Test(d11, d11_sockets_that_wait_for_the_prefetch_of_one_file_are_all_served)
{
	struct crowd crowd;

	crowd_begin(&crowd);
	for (int i = 0; i < WAITING; i++) {
		run_until(&crowd.fixture, is_over(&crowd.operation[i]));
		assert_ended(&crowd.operation[i], SLUICE_ERROR_SUCCESS, 1000);
	}
	crowd_end(&crowd);
}

/* The second one has been resumed, and is closed before it sends. */
Test(d11, d11_a_socket_that_is_closed_delays_none_that_waits_for_a_prefetch)
{
	struct crowd crowd;

	crowd_begin(&crowd);
	while (!statistics_of(&crowd.fixture).file_windows_fetched)
		run_for(&crowd.fixture, 0);
	cr_assert_eq(sluice_socket_close(crowd.pair[1].socket), 0);
	for (int i = 2; i < WAITING; i++) {
		run_until(&crowd.fixture, is_over(&crowd.operation[i]));
		assert_ended(&crowd.operation[i], SLUICE_ERROR_SUCCESS, 1000);
	}
	assert_ended(&crowd.operation[0], SLUICE_ERROR_SUCCESS, 1000);
	crowd_end(&crowd);
}

Test(d11, d11_what_is_behind_a_cold_file_leaves_when_that_is_cancelled)
{
	struct operation behind;
	struct crowd crowd;

	crowd_begin(&crowd);
	operation_init(&behind, &crowd.fixture);
	cr_assert_eq(sluice_args_set_buffer(&behind.args, "bytes", 5, 0, 5), 0);
	cr_assert_eq(start(sluice_send_async, crowd.pair[1].socket, &behind), 1);
	run_for(&crowd.fixture, 0);
	cr_assert_eq(sluice_cancel(crowd.pair[1].socket, &crowd.operation[1].args), 0);
	run_until(&crowd.fixture, is_over(&behind));
	assert_ended(&crowd.operation[1], SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 5);
	for (int i = 0; i < WAITING; i++)
		run_until(&crowd.fixture, is_over(&crowd.operation[i]));
	crowd_end(&crowd);
}

/* ---- overlayfs ---- */

struct overlay {
	char base[32];
	char part[4][64]; /* lower, upper, work, merged */
};

static void overlay_remove(struct overlay *overlay)
{
	char inner[80];

	umount2(overlay->part[3], MNT_DETACH);
	snprintf(inner, sizeof inner, "%s/work", overlay->part[2]);
	rmdir(inner);
	for (int i = 0; i < 4; i++)
		rmdir(overlay->part[i]);
	rmdir(overlay->base);
}

/* A file system that does not support RWF_NOWAIT, in a separate mount namespace. */
static void overlay_begin(struct overlay *overlay)
{
	static const char *const names[] = {"lower", "upper", "work", "merged"};
	char options[256];

	strcpy(overlay->base, "sluice-test-XXXXXX");
	cr_assert(mkdtemp(overlay->base));
	for (int i = 0; i < 4; i++) {
		snprintf(overlay->part[i], sizeof overlay->part[i], "%s/%s", overlay->base,
			 names[i]);
		cr_assert_eq(mkdir(overlay->part[i], 0755), 0);
	}
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", overlay->part[0],
		 overlay->part[1], overlay->part[2]);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("overlay", overlay->part[3], "overlay", 0, options) < 0) {
		overlay_remove(overlay);
		cr_skip("overlayfs cannot be mounted here: %s", strerror(errno));
	}
}

/* A file in the lower directory, open there and through the overlay, and without a name. */
static void overlay_file_new(struct overlay *overlay, size_t i, size_t length, struct file *lower,
			     struct file *merged)
{
	char path[80];

	snprintf(path, sizeof path, "%s/%zu", overlay->part[0], i);
	lower->fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	cr_assert(lower->fd >= 0);
	pattern_write(lower->fd, length, i * length);
	snprintf(path, sizeof path, "%s/%zu", overlay->part[3], i);
	merged->fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(merged->fd >= 0, "%s: %s", path, strerror(errno));
}

static void overlay_file_unlink(struct overlay *overlay, size_t i)
{
	char path[80];

	snprintf(path, sizeof path, "%s/%zu", overlay->part[0], i);
	unlink(path);
}

Test(d11, d11_cold_files_on_overlayfs_do_not_block_the_engines_thread)
{
	struct overlay overlay;
	struct files lower, merged;
	struct scene scene;
	bool telling;

	skip_where_forced();
	overlay_begin(&overlay);
	lower.count = merged.count = 32;
	lower.length = merged.length = 256 * KIB;
	for (size_t i = 0; i < lower.count; i++)
		overlay_file_new(&overlay, i, lower.length, &lower.file[i], &merged.file[i]);
	for (size_t i = 0; i < lower.count; i++)
		overlay_file_unlink(&overlay, i);
	overlay_remove(&overlay);
	files_chill(&lower);
	telling = reading_is_waiting(&merged);
	files_chill(&lower);
	scene_begin(&scene, 0, 0);
	assert_sent_without_waiting(&scene, &merged, telling);
	scene_end(&scene);
	files_end(&lower);
	files_end(&merged);
}

/* ---- what else a cold file does ---- */

Test(d11, d11_cold_files_arrive_between_headers_and_trailers)
{
	static const size_t lengths[] = {1, 2000, 2049, 4097, 131072, 131073, 524288, 3000000};
	char *around = pattern_new(100, 0);

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct scene scene;
		struct sluice_packet packets[3];
		char *arrived;

		scene_begin(&scene, lengths[i], 0);
		if (file_chill(scene.file.fd) < 0)
			cr_skip("this filesystem does not let go of its pages");
		packets[0] = memory_packet(around, 100);
		packets[1] = file_packet(scene.file.fd, 0, 0);
		packets[2] = memory_packet(around, 100);
		arrived = send_and_read(&scene, packets, 3, lengths[i] + 200);
		cr_assert(pattern_matches(arrived, 100, 0));
		cr_assert(pattern_matches(arrived + 100, lengths[i], 0));
		cr_assert(pattern_matches(arrived + 100 + lengths[i], 100, 0));
		free(arrived);
		scene_end(&scene);
	}
	free(around);
}

/* Given up while it is fetched: the descriptor may be closed in the handler, the engine ended. */
static void close_in_handler(struct operation *operation)
{
	file_end(operation->token);
}

Test(d11, d11_a_cold_file_that_is_given_up_while_it_is_fetched_leaves_nothing)
{
	for (int i = 0; i < 20; i++) {
		struct scene scene;
		struct sluice_packet packet;

		scene_begin(&scene, 4 * MIB, 0);
		if (file_chill(scene.file.fd) < 0)
			cr_skip("this filesystem does not let go of its pages");
		packet = file_packet(scene.file.fd, 0, 0);
		scene.operation.then = close_in_handler;
		scene.operation.token = &scene.file;
		cr_assert_eq(start_packets(scene.pair.socket, &scene.operation, &packet, 1), 1);
		if (i % 2)
			cr_assert(sluice_engine_run(scene.fixture.engine, 0) >= 0);
		if (!is_over(&scene.operation) && i % 4 < 2)
			cr_assert_eq(sluice_cancel(scene.pair.socket, &scene.operation.args), 0);
		else
			sluice_socket_close(scene.pair.socket);
		run_until(&scene.fixture, is_over(&scene.operation));
		pair_close(&scene.pair);
		scene.fixture.descriptors--; /* the file was open before the engine was made */
		fixture_end(&scene.fixture);
	}
}

#define READERS 100

/* The daemon's worst afternoon: a hundred that asked for cold files and read none of them. */
Test(d11, d11_a_hundred_slow_readers_of_cold_files_delay_nobody)
{
	struct sluice_options options = files_options();
	struct scene scene;
	struct file cold[READERS + 1];
	struct pair pairs[READERS];
	struct operation *operations;
	struct sluice_packet packet;

	skip_where_forced();
	for (int i = 0; i <= READERS; i++) {
		file_new(&cold[i], MIB, 0);
		if (file_chill(cold[i].fd) < 0)
			cr_skip("this filesystem does not let go of its pages");
	}
	scene_begin(&scene, 16 * KIB, 0);
	operations = operations_new(&scene.fixture, READERS);
	for (int i = 0; i < READERS; i++) {
		tcp_pair(&scene.fixture, &pairs[i], SMALL);
		packet = file_packet(cold[i].fd, 0, 0);
		cr_assert_eq(start_packets(pairs[i].socket, &operations[i], &packet, 1), 1);
	}
	packet = file_packet(scene.file.fd, 0, 0);
	for (int i = 0; i < 200; i++) {
		assert_arrives(&scene, &packet, 1, 16 * KIB, 0);
		cr_assert_leq((uint32_t)count_ring_workers(), options.worker_threads);
	}
	packet = file_packet(cold[READERS].fd, 0, 0);
	assert_arrives(&scene, &packet, 1, MIB, 0);
	cr_assert_leq((uint32_t)count_ring_workers(), options.worker_threads);

	for (int i = 0; i < READERS; i++) {
		cr_assert(!is_over(&operations[i]));
		sluice_socket_close(pairs[i].socket);
	}
	run_until(&scene.fixture, are_over(operations, READERS));
	for (int i = 0; i < READERS; i++)
		pair_close(&pairs[i]);
	scene_end(&scene);
	for (int i = 0; i <= READERS; i++)
		file_end(&cold[i]);
	free(operations);
}

/* ---- short slices, so that answers in between wait little ---- */

static void skip_where_anything_is_forced(void)
{
	if (!files_unforced())
		cr_skip("the library does not choose the way itself, or something is taken away");
}

static void post_again(struct sluice_engine *engine, void *token)
{
	bool *stop = token;

	if (!*stop)
		cr_assert_eq(sluice_post(engine, post_again, token), 0);
}

/* How many slices a cold MiB takes, with handlers running all the time, or none. */
static uint64_t slices_beside(bool handlers)
{
	struct scene scene;
	struct sluice_packet packet;
	struct reader reader;
	uint64_t slices;
	bool stop = false;

	scene_begin(&scene, MIB, 0);
	if (file_chill(scene.file.fd) < 0)
		cr_skip("this filesystem does not let go of its pages");
	reader_start(&reader, scene.pair.peer, 0);
	if (handlers)
		post_again(scene.fixture.engine, &stop);
	packet = file_packet(scene.file.fd, 0, 0);
	send_packets(scene.pair.socket, &scene.operation, &packet, 1);
	stop = true;
	run_idle(&scene.fixture);
	assert_ended(&scene.operation, SLUICE_ERROR_SUCCESS, MIB);
	slices = statistics_of(&scene.fixture).inline_files;
	assert_read_to_end(&scene, &reader, MIB);
	cr_assert_eq(reader.mismatches, 0);
	scene_end(&scene);
	return slices;
}

/* Where the socket takes little at a time there are more of them, but never fewer. */
Test(d11, d11_slices_of_cold_files_are_short_where_handlers_run)
{
	skip_where_anything_is_forced();
	cr_assert_geq(slices_beside(true), 8);
}

Test(d11, d11_slices_of_cold_files_are_long_where_nobody_waits)
{
	uint64_t fewest = UINT64_MAX;

	skip_where_anything_is_forced();
	for (int i = 0; i < 10 && fewest >= 8; i++) {
		uint64_t slices = slices_beside(false);

		fewest = slices < fewest ? slices : fewest;
	}
	cr_assert_lt(fewest, 8);
}
