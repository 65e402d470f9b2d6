/* SPDX-License-Identifier: MIT */
/*
 * Test cases, written as for Criterion, of whose interface this is the part that the tests use. A case
 * runs in a child that the program forks and that executes no other program: starting a program costs
 * a sanitized process a third of a second, a fork two milliseconds. Under AddressSanitizer several cases
 * share a child, because most of their time is the child's, unless they are `alone`.
 *
 * A program of cases runs one after the other and prints TAP. A case fails if an assertion does not
 * hold, if it exits by itself, is ended by a signal, or has not ended within its time; what the
 * sanitizers find at its exit is its failure as well. Whatever a case prints is printed, as comments,
 * if it fails.
 *
 * Options: --filter PATTERN (of SUITE/NAME, as of a shell), --list, --verbose (show also what cases
 * print that pass), --alone (each case has its own child).
 */
#ifndef CASES_H
#define CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct test_case {
	const char *suite;
	const char *name;
	void (*body)(void);
	void (*fini)(void); /* runs in the case's process behind the body, also if that failed */
	int signal;         /* the one that has to end the case; 0: none may */
	double timeout;     /* seconds; 0: the usual time */
	bool alone;         /* shares its process with no other case, under sanitizers either */
	struct test_case *next;
};

/* Called before main, in the order of the cases in their file. */
void case_add(struct test_case *added);
void cases_part(void);

/* In a file of cases: each of them is .alone. */
#define CASES_ALONE                                               \
	__attribute__((constructor)) static void part_cases(void) \
	{                                                         \
		cases_part();                                     \
	}

/* Assertions hold in any thread, and in any process that a case forks. */
__attribute__((format(printf, 4, 5))) void case_fail(const char *file, int line, const char *text,
						     const char *format, ...);
/* As case_fail, and ends the process. */
__attribute__((noreturn, format(printf, 4, 5))) void case_abort(const char *file, int line,
								const char *text,
								const char *format, ...);
/* Ends the process; the case counts as skipped, unless something failed already. */
__attribute__((noreturn, format(printf, 1, 2))) void case_skip(const char *format, ...);
__attribute__((format(printf, 1, 2))) void case_log(const char *format, ...);

/* The members of the case, such as .signal = SIGABRT, follow its name. */
#define Test(of_suite, of_name, ...)                                              \
	static void of_suite##_##of_name##_case(void);                            \
	static struct test_case of_suite##_##of_name##_added = {                  \
		.suite = #of_suite,                                               \
		.name = #of_name,                                                 \
		.body = of_suite##_##of_name##_case,                              \
		##__VA_ARGS__};                                                   \
	__attribute__((constructor)) static void of_suite##_##of_name##_add(void) \
	{                                                                         \
		case_add(&of_suite##_##of_name##_added);                          \
	}                                                                         \
	static void of_suite##_##of_name##_case(void)

/* A format and its arguments may follow; the blank is there for a call without them. */
#define case_check(failed, condition, text, ...)                           \
	do {                                                               \
		if (!(condition))                                          \
			failed(__FILE__, __LINE__, text, " " __VA_ARGS__); \
	} while (0)

/* cr_assert and its variants end the case, cr_expect and its variants continue. */
#define cr_assert(condition, ...) case_check(case_abort, condition, #condition, ##__VA_ARGS__)
#define cr_expect(condition, ...) case_check(case_fail, condition, #condition, ##__VA_ARGS__)
#define cr_assert_not(condition, ...) \
	case_check(case_abort, !(condition), "not " #condition, ##__VA_ARGS__)
#define cr_expect_not(condition, ...) \
	case_check(case_fail, !(condition), "not " #condition, ##__VA_ARGS__)
#define cr_assert_eq(a, b, ...) case_check(case_abort, (a) == (b), #a " == " #b, ##__VA_ARGS__)
#define cr_expect_eq(a, b, ...) case_check(case_fail, (a) == (b), #a " == " #b, ##__VA_ARGS__)
#define cr_assert_neq(a, b, ...) case_check(case_abort, (a) != (b), #a " != " #b, ##__VA_ARGS__)
#define cr_expect_neq(a, b, ...) case_check(case_fail, (a) != (b), #a " != " #b, ##__VA_ARGS__)
#define cr_assert_lt(a, b, ...) case_check(case_abort, (a) < (b), #a " < " #b, ##__VA_ARGS__)
#define cr_expect_lt(a, b, ...) case_check(case_fail, (a) < (b), #a " < " #b, ##__VA_ARGS__)
#define cr_assert_leq(a, b, ...) case_check(case_abort, (a) <= (b), #a " <= " #b, ##__VA_ARGS__)
#define cr_expect_leq(a, b, ...) case_check(case_fail, (a) <= (b), #a " <= " #b, ##__VA_ARGS__)
#define cr_assert_gt(a, b, ...) case_check(case_abort, (a) > (b), #a " > " #b, ##__VA_ARGS__)
#define cr_expect_gt(a, b, ...) case_check(case_fail, (a) > (b), #a " > " #b, ##__VA_ARGS__)
#define cr_assert_geq(a, b, ...) case_check(case_abort, (a) >= (b), #a " >= " #b, ##__VA_ARGS__)
#define cr_expect_geq(a, b, ...) case_check(case_fail, (a) >= (b), #a " >= " #b, ##__VA_ARGS__)
#define cr_assert_null(a, ...) case_check(case_abort, (a) == NULL, #a " == NULL", ##__VA_ARGS__)
#define cr_expect_null(a, ...) case_check(case_fail, (a) == NULL, #a " == NULL", ##__VA_ARGS__)
#define cr_assert_not_null(a, ...) case_check(case_abort, (a) != NULL, #a " != NULL", ##__VA_ARGS__)
#define cr_expect_not_null(a, ...) case_check(case_fail, (a) != NULL, #a " != NULL", ##__VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) \
	case_check(case_abort, strcmp(a, b) == 0, #a " is the text " #b, ##__VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) \
	case_check(case_fail, strcmp(a, b) == 0, #a " is the text " #b, ##__VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) \
	case_check(case_abort, strcmp(a, b) != 0, #a " is not the text " #b, ##__VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) \
	case_check(case_fail, strcmp(a, b) != 0, #a " is not the text " #b, ##__VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...) \
	case_check(case_abort, memcmp(a, b, size) == 0, #a " has the bytes of " #b, ##__VA_ARGS__)
#define cr_expect_arr_eq(a, b, size, ...) \
	case_check(case_fail, memcmp(a, b, size) == 0, #a " has the bytes of " #b, ##__VA_ARGS__)
#define cr_assert_fail(...) case_check(case_abort, false, "reached", ##__VA_ARGS__)

#define cr_skip(...) case_skip(" " __VA_ARGS__)
#define cr_log_info(...) case_log(" " __VA_ARGS__)

#endif
