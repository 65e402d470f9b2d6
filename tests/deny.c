/* SPDX-License-Identifier: MIT */
/*
 * deny CALL=ERRNO... -- COMMAND [ARGUMENT...]: runs a command for which these system calls fail, as on
 * file systems and in sandboxes that do not have them.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 16

struct name {
	const char *name;
	int number;
};

static const struct name calls[] = {
	{"accept4", SYS_accept4},     {"fchmod", SYS_fchmod},       {"flock", SYS_flock},
	{"ftruncate", SYS_ftruncate}, {"linkat", SYS_linkat},       {"openat2", SYS_openat2},
	{"renameat2", SYS_renameat2}, {"utimensat", SYS_utimensat},
};

static const struct name errors[] = {
	{"ECONNABORTED", ECONNABORTED},
	{"EINVAL", EINVAL},
	{"ENETDOWN", ENETDOWN},
	{"ENOLCK", ENOLCK},
	{"ENOSYS", ENOSYS},
	{"EOPNOTSUPP", EOPNOTSUPP},
	{"EPERM", EPERM},
};

static int find(const struct name *names, size_t count, const char *text, size_t length)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(names[i].name) == length && memcmp(names[i].name, text, length) == 0)
			return names[i].number;
	}
	return -1;
}

#define FIND(names, text, length) find(names, sizeof(names) / sizeof(names[0]), text, length)

static void add(struct sock_fprog *program, struct sock_filter instruction)
{
	program->filter[program->len++] = instruction;
}

/* Two instructions for CALL=ERRNO. */
static int add_rule(struct sock_fprog *program, const char *rule)
{
	const char *sign = strchr(rule, '=');
	int call = -1, error = -1;

	if (sign != NULL) {
		call = FIND(calls, rule, (size_t)(sign - rule));
		error = FIND(errors, sign + 1, strlen(sign + 1));
	}
	if (call < 0 || error < 0 || program->len > 2 * MOST) {
		fprintf(stderr, "deny: %s is not known\n", rule);
		return -1;
	}
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1));
	add(program,
	    (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error));
	return 0;
}

int main(int argc, char **argv)
{
	struct sock_filter filter[2 * MOST + 4];
	struct sock_fprog program = {.filter = filter};
	int at = 1;

	add(&program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, nr)));
	for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
		if (add_rule(&program, argv[at]) != 0)
			return 2;
	}
	if (at + 1 >= argc) {
		fprintf(stderr, "Usage: deny CALL=ERRNO... -- COMMAND [ARGUMENT...]\n");
		return 2;
	}
	add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("deny: seccomp");
		return 77;
	}
	execvp(argv[at + 1], argv + at + 1);
	perror(argv[at + 1]);
	return 1;
}
