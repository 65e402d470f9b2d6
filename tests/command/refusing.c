/* SPDX-License-Identifier: MIT */
/*
 * refusing ERRNO CALL[,CALL...] COMMAND [ARGUMENT...]: runs a command for which these system calls
 * answer this errno (EPERM, ENOSYS, ...). The three of io_uring with EPERM is what the default
 * seccomp profiles of container runtimes do. Ends with 77 if the kernel has no seccomp filters.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS_MAX 16
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct name {
	const char *name;
	int number;
};

static const struct name errors[] = {
	{"EPERM", EPERM},   {"ENOSYS", ENOSYS},     {"ENOMEM", ENOMEM},
	{"EINVAL", EINVAL}, {"EACCES", EACCES},     {"EOPNOTSUPP", EOPNOTSUPP},
	{"ENOLCK", ENOLCK}, {"ENETDOWN", ENETDOWN}, {"ECONNABORTED", ECONNABORTED},
};

static const struct name calls[] = {
	{"io_uring_setup", SYS_io_uring_setup},
	{"io_uring_enter", SYS_io_uring_enter},
	{"io_uring_register", SYS_io_uring_register},
	{"epoll_pwait2", SYS_epoll_pwait2},
	{"openat2", SYS_openat2},
	{"preadv2", SYS_preadv2},
	{"sendfile", SYS_sendfile},
	{"splice", SYS_splice},
	{"accept4", SYS_accept4},
	{"fchmod", SYS_fchmod},
	{"flock", SYS_flock},
	{"ftruncate", SYS_ftruncate},
	{"linkat", SYS_linkat},
	{"renameat2", SYS_renameat2},
	{"utimensat", SYS_utimensat},
};

/* -1: the table has no such name. */
static int number_of(const struct name *table, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].number;
	return -1;
}

/* Returns how many calls the list names, 0 if one of them is not known. */
static size_t parse_calls(char *list, int numbers[CALLS_MAX])
{
	size_t count = 0;

	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		int number = number_of(calls, COUNT(calls), name);

		if (number < 0 || count == CALLS_MAX)
			return 0;
		numbers[count++] = number;
	}
	return count;
}

static int refuse(const int *numbers, size_t count, int error_number)
{
	struct sock_filter filter[2 * CALLS_MAX + 2];
	struct sock_fprog program = {.filter = filter};

	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							     offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < count; i++) {
		filter[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
								     (uint32_t)numbers[i], 0, 1);
		filter[program.len++] = (struct sock_filter)BPF_STMT(
			BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error_number);
	}
	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	int error_number = argc > 3 ? number_of(errors, COUNT(errors), argv[1]) : -1;
	int numbers[CALLS_MAX];
	size_t count = argc > 3 ? parse_calls(argv[2], numbers) : 0;

	if (error_number < 0 || count == 0) {
		fprintf(stderr, "Usage: refusing ERRNO CALL[,CALL...] COMMAND [ARGUMENT...]\n");
		return 2;
	}
	if (refuse(numbers, count, error_number) < 0) {
		perror("refusing: seccomp");
		return 77;
	}
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 1;
}
