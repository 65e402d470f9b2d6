/* SPDX-License-Identifier: MIT */
/*
 * e10: a program that loads the library by dlopen(3), argv[1], and unloads it. It is not linked with
 * it, and prints TAP itself.
 */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* More rounds than the process has thread-specific keys. */
#define ROUNDS (PTHREAD_KEYS_MAX + 100)
#define THREADS 20

#ifndef PTHREAD_KEYS_MAX
#define PTHREAD_KEYS_MAX 1024
#endif

struct engine;
typedef int create_fn(struct engine **ret_engine, const void *options);
typedef int run_fn(struct engine *engine, int64_t timeout_ns);
typedef int destroy_fn(struct engine *engine);

static const char *path;

/* Loads the library, uses an engine of it, and unloads it. 0, or where it failed. */
static int load_and_use(void)
{
	struct engine *engine = NULL;
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	create_fn *create;
	run_fn *run;
	destroy_fn *destroy;

	if (!library)
		return 1;
	create = (create_fn *)dlsym(library, "sluice_engine_create");
	run = (run_fn *)dlsym(library, "sluice_engine_run");
	destroy = (destroy_fn *)dlsym(library, "sluice_engine_destroy");
	if (!create || !run || !destroy)
		return 2;
	if (create(&engine, NULL) != 0)
		return 3;
	if (run(engine, 0) < 0)
		return 4;
	if (destroy(engine) != 0)
		return 5;
	return dlclose(library) ? 6 : 0;
}

static void *thread_main(void *token)
{
	return (void *)(intptr_t)load_and_use();
}

static int threads_outlive_it(void)
{
	for (int i = 0; i < THREADS; i++) {
		void *answer = NULL;
		pthread_t thread;

		if (pthread_create(&thread, NULL, thread_main, NULL) != 0 ||
		    pthread_join(thread, &answer) != 0)
			return 10;
		if (answer)
			return (int)(intptr_t)answer;
	}
	return 0;
}

static int keys_suffice(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		int failed = load_and_use();

		if (failed)
			return failed;
	}
	return 0;
}

/* No handler of pthread_atfork(3) points into unmapped memory. */
static int forks_behind_it(void)
{
	int failed = load_and_use(), status = 1;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		return 20;
	return failed;
}

struct unload_test {
	const char *name;
	int (*run)(void); /* 0: passed */
};

/* In a child, so that a crash is one failure. */
static void run_test(size_t number, const struct unload_test *test)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(test->run());
	if (child > 0)
		waitpid(child, &status, 0);
	printf("%s %zu - %s\n", status ? "not ok" : "ok", number, test->name);
	if (status)
		printf("# wait status 0x%x\n", (unsigned int)status);
}

int main(int argc, char **argv)
{
	static const struct unload_test tests[] = {
		{"e10_a_thread_that_used_the_library_outlives_its_unloading", threads_outlive_it},
		{"e10_loading_and_unloading_repeatedly_uses_up_no_thread_keys", keys_suffice},
		{"e10_the_process_forks_after_unloading", forks_behind_it},
	};
	const size_t count = sizeof tests / sizeof *tests;

	if (argc != 2)
		return 2;
	path = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++)
		run_test(i + 1, &tests[i]);
	return 0;
}
