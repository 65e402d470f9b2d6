/* SPDX-License-Identifier: MIT */
/*
 * Two backends, one contract: which one is taken and why, what happens where the ring is blocked,
 * and that the library works without any of its capabilities.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"
#include "measure.h"
#include "streams.h"

/* They change the environment, the limits and the system calls of the process. */
CASES_ALONE

#define CAPABILITY_LAST SLUICE_CAPABILITY_RING_SPLICE

static struct sluice_options options_of(uint32_t backend, uint32_t disable)
{
	struct sluice_options options;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.backend = backend;
	options.disable = disable;
	return options;
}

/* What SLUICE_BACKEND says, as an option. */
static uint32_t backend_of_environment(void)
{
	const char *name = getenv("SLUICE_BACKEND");

	return name && strcmp(name, "uring") == 0 ? SLUICE_BACKEND_URING : SLUICE_BACKEND_EPOLL;
}

/* ---- an engine at work ---- */

static void assert_sends(struct fixture *fixture)
{
	struct operation *operations = operations_new(fixture, 10);
	struct pair pair;

	tcp_pair(fixture, &pair, 0);
	for (int i = 0; i < 10; i++) {
		operations[i].args.flags = i % 2 ? SLUICE_FLAG_BATCHED : 0;
		cr_assert(start_send(pair.socket, &operations[i], "0123456789", 10) >= 0);
	}
	run_until(fixture, are_over(operations, 10));
	for (int i = 0; i < 10; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 10);
	read_exactly(pair.peer, (char[100]){0}, 100);
	pair_close(&pair);
	free(operations);
}

static void assert_sends_a_file(struct fixture *fixture, const struct file *file, size_t length)
{
	struct operation operation;
	struct sluice_packet packets[2];
	struct reader reader;
	struct pair pair;

	tcp_pair(fixture, &pair, SMALL);
	operation_init(&operation, fixture);
	packets[0] = file_packet(file->fd, 0, (int64_t)length / 2);
	packets[1] = path_packet(file->path, (int64_t)length / 2, 0);
	reader_start(&reader, pair.peer, 0);
	send_packets(pair.socket, &operation, packets, 2);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	sluice_socket_close(pair.socket);
	run_idle(fixture);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, length);
	pair_close(&pair);
}

static struct sluice_socket *newcomer;

static void take_newcomer(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			  void *token)
{
	if (accepted->socket)
		newcomer = accepted->socket;
}

static void assert_serves(struct fixture *fixture)
{
	struct sluice_accept_options accepting = {.size = sizeof accepting,
						  .on_accepted = take_newcomer};
	struct consumer *consumer = malloc(sizeof *consumer);
	int fd = listen_tcp(0), client = new_tcp(0);
	struct sockaddr_in address = loopback(port_of(fd));
	struct sluice_socket *listener = attach(fixture, fd);

	newcomer = NULL;
	cr_assert_eq(sluice_accept_start(listener, &accepting), 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	run_until(fixture, newcomer);
	consumer_init(consumer, fixture, newcomer);
	cr_assert_eq(start_consuming(consumer), 0);
	run_writing(fixture, client, 200000, 0);
	close(client);
	run_until(fixture, consumer->terminals > 0);
	assert_terminal(consumer, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(consumer->bytes, 200000);
	sluice_socket_destroy(newcomer);
	sluice_socket_destroy(listener);
	run_idle(fixture);
	free(consumer);
}

static void count_expiration(struct sluice_engine *engine, struct sluice_timer *timer)
{
	++*(int *)timer->token;
}

static void assert_keeps_time(struct fixture *fixture)
{
	int expirations = 0;
	struct sluice_timer timer = {.expired = count_expiration, .token = &expirations};
	int64_t began = now_ns();

	cr_assert_eq(sluice_timer_start(fixture->engine, &timer, 2500000), 0);
	run_until(fixture, expirations == 1);
	cr_assert_geq(now_ns() - began, 2500000);
}

/* Sends, serves, sends a cold file and keeps time, without what is taken away. */
static void assert_works_with(const struct sluice_options *options, const struct file *file)
{
	struct fixture fixture;

	(void)file_chill(file->fd);
	fixture_begin_with(&fixture, options);
	cr_assert_eq(statistics_of(&fixture).capabilities & options->disable, 0,
		     "what was taken away is in use");
	assert_sends(&fixture);
	assert_sends_a_file(&fixture, file, MIB);
	assert_serves(&fixture);
	assert_keeps_time(&fixture);
	fixture_end(&fixture);
}

static void assert_works(const struct sluice_options *options)
{
	struct file file;

	file_new(&file, MIB, 0);
	assert_works_with(options, &file);
	file_end(&file);
}

/* ---- capabilities ---- */

Test(backend, backend_the_library_works_without_any_one_of_its_capabilities)
{
	for (uint32_t bit = SLUICE_CAPABILITY_SINGLE_ISSUER; bit <= CAPABILITY_LAST; bit <<= 1) {
		struct sluice_options options = options_of(backend_of_environment(), bit);

		assert_works(&options);
	}
}

Test(backend, backend_the_library_works_without_all_of_its_capabilities)
{
	struct sluice_options options =
		options_of(backend_of_environment(),
			   (CAPABILITY_LAST * 2 - 1) & ~(uint32_t)SLUICE_CAPABILITY_RING);

	assert_works(&options);
}

/* Two of a kind, one of which replaces the other. */
Test(backend, backend_the_library_works_without_pairs_of_its_capabilities)
{
	static const uint32_t pairs[] = {
		SLUICE_CAPABILITY_CACHE_LOOK | SLUICE_CAPABILITY_RING_FETCH,
		SLUICE_CAPABILITY_SENDFILE | SLUICE_CAPABILITY_CACHE_LOOK,
		SLUICE_CAPABILITY_SENDFILE | SLUICE_CAPABILITY_RING_FETCH,
		SLUICE_CAPABILITY_BUFFER_RING | SLUICE_CAPABILITY_MULTISHOT_RECEIVE,
		SLUICE_CAPABILITY_MULTISHOT_ACCEPT | SLUICE_CAPABILITY_MULTISHOT_RECEIVE,
		SLUICE_CAPABILITY_DEFER_TASKRUN | SLUICE_CAPABILITY_SINGLE_ISSUER,
		SLUICE_CAPABILITY_DEFER_TASKRUN | SLUICE_CAPABILITY_COOP_TASKRUN,
	};

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct sluice_options options = options_of(backend_of_environment(), pairs[i]);

		assert_works(&options);
	}
}

Test(backend, backend_the_environment_takes_capabilities_away_by_name)
{
	struct sluice_engine_statistics statistics;
	struct fixture fixture;

	setenv("SLUICE_DISABLE", "sendfile,cache-look,multishot-accept", 1);
	fixture_begin(&fixture);
	statistics = statistics_of(&fixture);
	cr_assert_eq(statistics.capabilities &
			     (SLUICE_CAPABILITY_SENDFILE | SLUICE_CAPABILITY_CACHE_LOOK |
			      SLUICE_CAPABILITY_MULTISHOT_ACCEPT),
		     0);
	fixture_end(&fixture);
}

/* ---- which backend ---- */

static void assert_falls_back(const struct sluice_options *options)
{
	struct sluice_engine *engine;

	cr_assert_eq(sluice_engine_create(&engine, options), 0);
	cr_assert_str_eq(sluice_engine_backend(engine), "epoll");
	cr_assert_neq(sluice_engine_backend_reason(engine)[0], '\0', "it does not say why");
	cr_assert_eq(sluice_engine_destroy(engine), 0);
}

Test(backend, backend_auto_without_the_ring_takes_epoll_and_says_why)
{
	struct sluice_options options = options_of(SLUICE_BACKEND_AUTO, SLUICE_CAPABILITY_RING);

	unsetenv("SLUICE_BACKEND");
	assert_falls_back(&options);
	setenv("SLUICE_DISABLE", "ring", 1);
	assert_falls_back(NULL);
}

Test(backend, backend_that_was_wished_for_needs_no_reason)
{
	struct fixture fixture;

	fixture_begin(&fixture); /* asserts that it is the one of the environment */
	cr_assert_str_eq(sluice_engine_backend_reason(fixture.engine), "");
	cr_assert_eq(statistics_of(&fixture).backend, backend_of_environment());
	fixture_end(&fixture);
}

Test(backend, backend_that_was_asked_for_and_is_taken_away_is_an_error)
{
	struct sluice_options options = options_of(SLUICE_BACKEND_URING, SLUICE_CAPABILITY_RING);
	struct sluice_engine *engine = (struct sluice_engine *)&options;

	cr_assert_lt(sluice_engine_create(&engine, &options), 0);
	cr_assert_null(engine);
}

Test(backend, backend_by_option_overrides_the_environment)
{
	struct sluice_options options = options_of(SLUICE_BACKEND_EPOLL, 0);
	struct sluice_engine *engine;

	setenv("SLUICE_BACKEND", "uring", 1);
	cr_assert_eq(sluice_engine_create(&engine, &options), 0);
	cr_assert_str_eq(sluice_engine_backend(engine), "epoll");
	cr_assert_eq(sluice_engine_destroy(engine), 0);
}

Test(backend, backend_options_with_an_unknown_tail_are_refused)
{
	struct {
		struct sluice_options known;
		uint64_t tail;
	} newer = {.tail = 0};
	struct sluice_engine *engine;

	cr_assert_eq(sluice_options_init(NULL, sizeof newer.known), -EINVAL);
	cr_assert_eq(sluice_options_init(&newer.known, 0), -EINVAL);
	cr_assert_eq(sluice_options_init(&newer.known, sizeof newer), 0);
	cr_assert_eq(newer.known.size, sizeof newer);
	cr_assert_eq(newer.tail, 0);
	cr_assert_eq(sluice_engine_create(&engine, &newer.known), 0);
	cr_assert_eq(sluice_engine_destroy(engine), 0);
	newer.tail = 1;
	cr_assert_eq(sluice_engine_create(&engine, &newer.known), -E2BIG);
	cr_assert_null(engine);
	newer.known.size = 4;
	cr_assert_eq(sluice_engine_create(&engine, &newer.known), -EINVAL);
	cr_assert_eq(sluice_engine_create(NULL, NULL), -EINVAL);
}

/* ---- the kernel says no ---- */

/* From now on one system call is answered by this errno, as container runtimes do it. */
static void block(uint32_t call, uint32_t error_number)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error_number),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		cr_skip("this kernel has no seccomp filters");
}

static void assert_blocked_ring(uint32_t error_number)
{
	struct sluice_options options = options_of(SLUICE_BACKEND_URING, 0);
	struct sluice_engine *engine;

	block(SYS_io_uring_setup, error_number);
	cr_assert_eq(sluice_engine_create(&engine, &options), -(int)error_number);
	cr_assert_null(engine);
	unsetenv("SLUICE_BACKEND");
	assert_falls_back(NULL);
	setenv("SLUICE_BACKEND", "epoll", 1); /* what the fixture expects of it */
	options.backend = SLUICE_BACKEND_AUTO;
	assert_works(&options);
}

Test(backend, backend_a_ring_that_seccomp_blocks_with_eperm_falls_back_and_serves)
{
	assert_blocked_ring(EPERM);
}

Test(backend, backend_a_ring_that_seccomp_blocks_with_enosys_falls_back_and_serves)
{
	assert_blocked_ring(ENOSYS);
}

Test(backend, backend_a_ring_that_has_no_memory_falls_back_and_serves)
{
	assert_blocked_ring(ENOMEM);
}

/* The setup is let through, and the call that submits and waits is not. */
Test(backend, backend_a_ring_that_cannot_be_entered_falls_back_and_serves)
{
	struct sluice_options options = options_of(SLUICE_BACKEND_URING, 0);
	struct sluice_engine *engine;

	block(SYS_io_uring_enter, EPERM);
	cr_assert_lt(sluice_engine_create(&engine, &options), 0);
	cr_assert_null(engine);
	unsetenv("SLUICE_BACKEND");
	assert_falls_back(NULL);
	setenv("SLUICE_BACKEND", "epoll", 1); /* what the fixture expects of it */
	options.backend = SLUICE_BACKEND_AUTO;
	assert_works(&options);
}

/* The setup is let through, and the call that registers with the ring is not. */
Test(backend, backend_a_ring_that_cannot_be_registered_with_falls_back_or_works)
{
	struct sluice_options options = options_of(SLUICE_BACKEND_AUTO, 0);
	struct sluice_engine *engine;

	block(SYS_io_uring_register, EPERM);
	unsetenv("SLUICE_BACKEND");
	cr_assert_eq(sluice_engine_create(&engine, &options), 0);
	setenv("SLUICE_BACKEND", sluice_engine_backend(engine), 1);
	cr_assert_eq(sluice_engine_destroy(engine), 0);
	assert_works(&options);
}

/* Its entries are halved until the kernel agrees. */
Test(backend, backend_a_ring_takes_fewer_entries_where_memory_is_locked_up)
{
	struct rlimit limits = {.rlim_cur = 65536, .rlim_max = 65536};
	struct sluice_probe probe = {.size = sizeof probe};
	struct sluice_options options;
	struct file file;

	if (backend_of_environment() != SLUICE_BACKEND_URING)
		cr_skip("epoll locks no memory");
	file_new(&file, MIB, 0);
	cr_assert_eq(fchmod(file.fd, 0644), 0);
	become_nobody();
	cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &limits), 0);
	options = options_of(SLUICE_BACKEND_AUTO, 0);
	options.ring_entries = 32768;
	assert_works_with(&options, &file);
	file_end(&file);
	cr_assert_eq(sluice_probe(&probe), 0);
	cr_assert_eq(probe.memlock_bytes, 65536);
	cr_assert_gt(probe.ring_entries, 0);
}

#define ENGINES 20
#define AT_ONCE 3

/* A closed ring is charged to the user for a moment more, and one ring leaves memory for others. */
Test(backend, backend_engines_made_one_after_another_have_a_ring_where_memory_is_locked_up)
{
	struct rlimit limits = {.rlim_cur = 65536, .rlim_max = 65536};
	struct sluice_engine *engines[AT_ONCE];

	if (backend_of_environment() != SLUICE_BACKEND_URING)
		cr_skip("epoll locks no memory");
	become_nobody();
	cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &limits), 0);
	unsetenv("SLUICE_BACKEND");
	for (int i = 0; i < ENGINES; i++) {
		cr_assert_eq(sluice_engine_create(&engines[0], NULL), 0);
		cr_assert_str_eq(sluice_engine_backend(engines[0]), "uring", "engine %d: %s", i,
				 sluice_engine_backend_reason(engines[0]));
		cr_assert_eq(sluice_engine_destroy(engines[0]), 0);
	}
	for (int i = 0; i < AT_ONCE; i++) {
		cr_assert_eq(sluice_engine_create(&engines[i], NULL), 0);
		cr_assert_str_eq(sluice_engine_backend(engines[i]), "uring", "beside %d: %s", i,
				 sluice_engine_backend_reason(engines[i]));
	}
	for (int i = 0; i < AT_ONCE; i++)
		cr_assert_eq(sluice_engine_destroy(engines[i]), 0);
}

/* ---- the probe ---- */

Test(backend, backend_the_probe_names_every_capability_and_heeds_the_environment)
{
	struct sluice_probe probe = {.size = sizeof probe};
	uint32_t seen = 0;

	setenv("SLUICE_DISABLE", "sendfile", 1);
	cr_assert_eq(sluice_probe(NULL), -EINVAL);
	cr_assert_eq(sluice_probe(&probe), 0);
	cr_assert_eq(probe.backend, backend_of_environment());
	cr_assert_leq(probe.capability_count, SLUICE_PROBE_CAPABILITIES);
	for (uint32_t i = 0; i < probe.capability_count; i++) {
		const struct sluice_probe_capability *capability = &probe.capabilities[i];

		cr_assert_str_eq(capability->name, sluice_capability_name(capability->bit));
		cr_assert_neq(capability->description[0], '\0');
		cr_assert(capability->available || !capability->used);
		seen |= capability->bit;
		if (capability->bit == SLUICE_CAPABILITY_SENDFILE) {
			cr_assert(capability->available);
			cr_assert_not(capability->used);
		}
	}
	for (uint32_t bit = 1; bit <= CAPABILITY_LAST; bit <<= 1)
		cr_assert_eq((seen & bit) != 0, sluice_capability_name(bit) != NULL);
	cr_assert_leq(seen, CAPABILITY_LAST * 2 - 1);
	cr_assert_null(sluice_capability_name(0));
	cr_assert_null(sluice_capability_name(1U << 31));
	cr_assert_gt(probe.call_ns, 0);
	cr_assert_eq(probe.enter_ns > 0, probe.backend == SLUICE_BACKEND_URING);
	cr_assert_eq(probe.entry_ns > 0, probe.backend == SLUICE_BACKEND_URING);
	probe.size = 4;
	cr_assert_eq(sluice_probe(&probe), -EINVAL);
}

/* The capabilities that the probe says are available, and those that it says are used. */
static uint32_t run_probe(uint32_t *ret_used)
{
	struct sluice_probe probe = {.size = sizeof probe};
	uint32_t available = 0;

	*ret_used = 0;
	cr_assert_eq(sluice_probe(&probe), 0);
	for (uint32_t i = 0; i < probe.capability_count; i++) {
		if (probe.capabilities[i].available)
			available |= probe.capabilities[i].bit;
		if (probe.capabilities[i].used)
			*ret_used |= probe.capabilities[i].bit;
	}
	return available;
}

static uint32_t used_by_probe(void)
{
	uint32_t used;

	run_probe(&used);
	return used;
}

/* If FIRST is taken away, what builds on it is of no use. */
static void assert_nothing_builds_on(const char *first, uint32_t all)
{
	setenv("SLUICE_DISABLE", first, 1);
	cr_assert_eq(used_by_probe() & all, 0, "used without %s", first);
	unsetenv("SLUICE_DISABLE");
}

Test(backend, backend_the_probe_reports_what_an_engine_uses)
{
	struct fixture fixture;
	uint32_t used = used_by_probe();

	if (backend_of_environment() == SLUICE_BACKEND_URING)
		cr_assert_not(used & SLUICE_CAPABILITY_EPOLL_NANOSECONDS,
			      "the ring has no use for it");
	fixture_begin(&fixture);
	assert_serves(&fixture);
	cr_assert(sluice_engine_fd(fixture.engine) >= 0);
	cr_assert_eq(used & ~statistics_of(&fixture).capabilities, 0, "an engine uses less");
	fixture_end(&fixture);
	assert_nothing_builds_on("buffer-ring", SLUICE_CAPABILITY_MULTISHOT_RECEIVE |
							SLUICE_CAPABILITY_MULTISHOT_LIMIT);
	assert_nothing_builds_on("zerocopy", SLUICE_CAPABILITY_REGISTERED_MEMORY |
						     SLUICE_CAPABILITY_REGISTERED_LISTS);
	assert_nothing_builds_on("single-issuer", SLUICE_CAPABILITY_DEFER_TASKRUN);
}

/* Whether the ring is affordable depends on the kernel and on who else has one. */
Test(backend, backend_the_probe_names_the_backend_that_an_engine_takes_where_memory_is_locked_up)
{
	static const rlim_t bytes[] = {0, 4096, 65536};
	struct sluice_probe probe = {.size = sizeof probe};
	struct sluice_engine *engine;
	bool ring;

	if (backend_of_environment() != SLUICE_BACKEND_URING)
		cr_skip("epoll locks no memory");
	become_nobody();
	unsetenv("SLUICE_BACKEND");
	for (size_t i = sizeof bytes / sizeof *bytes; i-- > 0;) {
		struct rlimit limits = {.rlim_cur = bytes[i], .rlim_max = bytes[i]};

		cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &limits), 0);
		cr_assert_eq(sluice_engine_create(&engine, NULL), 0);
		ring = strcmp(sluice_engine_backend(engine), "uring") == 0;
		cr_assert_eq(sluice_engine_destroy(engine), 0);
		cr_assert_eq(sluice_probe(&probe), 0);
		cr_assert_eq(probe.backend, ring ? SLUICE_BACKEND_URING : SLUICE_BACKEND_EPOLL,
			     "with %llu bytes", (unsigned long long)bytes[i]);
		cr_assert_eq(probe.backend_reason[0] != '\0', !ring, "%s", probe.backend_reason);
	}
}

/* Whether an engine has lists of registered memory once it has sent one. */
static bool engine_sends_registered_lists(void)
{
	static _Alignas(4096) char memory[8192];
	struct iovec list[2] = {segment(memory, 2048), segment(memory + 4096, 2048)};
	struct sluice_options options = options_of(SLUICE_BACKEND_URING, 0);
	struct operation send;
	struct fixture fixture;
	struct pair pair;
	bool has;

	options.transmit_way = SLUICE_TRANSMIT_WAY_ZEROCOPY;
	fixture_begin_with(&fixture, &options);
	tcp_pair(&fixture, &pair, 0);
	cr_assert_leq(sluice_engine_register_memory(fixture.engine, memory, sizeof memory), 0);
	operation_init(&send, &fixture);
	cr_assert_eq(sluice_args_set_buffer_list(&send.args, list, 2), 0);
	run_start(sluice_send_async, pair.socket, &send);
	read_exactly(pair.peer, (char[4096]){0}, 4096);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, 4096);
	has = statistics_of(&fixture).capabilities & SLUICE_CAPABILITY_REGISTERED_LISTS;
	pair_close(&pair);
	fixture_end(&fixture);
	return has;
}

/* What a kernel lacks before 6.15, and 6.16. */
Test(backend, backend_the_probe_reports_what_is_taken_away_or_refused)
{
	const uint32_t both = SLUICE_CAPABILITY_REGISTERED_LISTS |
			      SLUICE_CAPABILITY_MULTISHOT_LIMIT;
	uint32_t used, available;

	if (backend_of_environment() != SLUICE_BACKEND_URING)
		cr_skip("epoll has neither");
	available = run_probe(&used);
	cr_assert_eq(used & both, available & both, "nothing is taken away");
	cr_assert_eq((available & SLUICE_CAPABILITY_REGISTERED_LISTS) != 0,
		     engine_sends_registered_lists());
	setenv("SLUICE_DISABLE", "registered-lists,multishot-limit", 1);
	cr_assert_eq(run_probe(&used) & both, available & both, "it is available all the same");
	cr_assert_eq(used & both, 0, "it is used although it is taken away");
	unsetenv("SLUICE_DISABLE");
	setenv("SLUICE_TEST_REFUSE", "multishot-limit", 1);
	run_probe(&used);
	cr_assert_eq(used & both, available & SLUICE_CAPABILITY_REGISTERED_LISTS,
		     "it is used although the kernel refuses it");
}

Test(backend, backend_an_older_program_gets_as_much_of_the_probe_as_it_knows)
{
	struct sluice_probe probe;

	memset(&probe, 0x5a, sizeof probe);
	probe.size = offsetof(struct sluice_probe, record_bytes);
	cr_assert_eq(sluice_probe(&probe), 0);
	cr_assert_eq(probe.record_bytes, 0x5a5a5a5a, "more was written than there is room for");
}
