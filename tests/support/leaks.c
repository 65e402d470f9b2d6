/* SPDX-License-Identifier: MIT */
/*
 * The search for leaks at a process's exit looks at every variable, and most of these are tables of the
 * sanitizer's own: eight megabytes, longer than most cases, and most calls of the command, take. In a
 * program that has this file it looks at the others alone, those of the objects that are loaded at its
 * exit.
 */
#include "leaks.h"

#if defined(__SANITIZE_ADDRESS__)
#include <link.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#include <stdlib.h>
#include <string.h>

/* The sanitizer finds it by its name. */
__attribute__((visibility("default"))) const char *__lsan_default_options(void)
{
	return "use_globals=0";
}

/* What is freed stays unused for 32 MiB instead of 256: fresh pages take time, with OpenSSL above all. */
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "quarantine_size_mb=32:malloc_context_size=10";
}

static int look_at(struct dl_phdr_info *object, __attribute__((unused)) size_t size,
		   __attribute__((unused)) void *token)
{
	const char *name = object->dlpi_name ? object->dlpi_name : "";

	if (strstr(name, "/libasan.so") || strstr(name, "/libubsan.so"))
		return 0;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W))
			__lsan_register_root_region((void *)(object->dlpi_addr + segment->p_vaddr),
						    segment->p_memsz);
	}
	return 0;
}

void leaks_name_variables(void)
{
	dl_iterate_phdr(look_at, NULL);
}

/* The sanitizer's own handler was there before, and runs after this one. */
__attribute__((constructor)) static void begin(void)
{
	atexit(leaks_name_variables);
}
#else
void leaks_name_variables(void)
{
}
#endif
