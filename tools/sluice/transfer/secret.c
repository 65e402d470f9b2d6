/* SPDX-License-Identifier: MIT */
#include "transfer/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "text.h"
#include "transfer/name.h"
#include "transfer/transfer.h"

#define FILE_MOST 4096
#define FOREIGN_RIGHTS 0027 /* write by the group, anything by others */

static const char comment[] =
	"# A secret of sluice send and sluice receive. "
	"Anyone who has it can send to and receive from machines that use it.\n";

static int complain(const char *command, const char *path, const char *what)
{
	char shown[TRANSFER_SHOWN];

	name_show(path, shown, sizeof(shown));
	fprintf(stderr, "sluice %s: %s: %s\n", command, shown, what);
	return EXIT_FAILED;
}

void secret_forget(struct secret *secret)
{
	explicit_bzero(secret, sizeof(*secret));
}

/* ---- reading ---- */

/* Bytes up to the end or the capacity, or -errno. */
static ssize_t read_all(int fd, char *bytes, size_t capacity)
{
	size_t length = 0;

	while (length < capacity) {
		ssize_t got = read(fd, bytes + length, capacity - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

/* NULL, or the reason why the line is invalid. */
static const char *read_line(const char *line, size_t length, struct secret *secret)
{
	if (secret->length > 0)
		return "the file contains more than one secret";
	for (size_t i = 0; i < length; i++) {
		if (text_hex_value(line[i]) < 0)
			return "a secret must be a line of hexadecimal digits";
	}
	if (length % 2 != 0 || length < (size_t)2 * SECRET_LEAST ||
	    length > (size_t)2 * SECRET_MOST)
		return "a secret must have 64 to 128 hexadecimal digits, two for each byte";
	for (size_t i = 0; i < length; i += 2)
		secret->bytes[secret->length++] =
			(unsigned char)(text_hex_value(line[i]) << 4 | text_hex_value(line[i + 1]));
	return NULL;
}

static const char *read_text(const char *text, size_t length, struct secret *secret)
{
	const char *wrong = NULL;

	secret->length = 0;
	for (size_t at = 0; at < length && wrong == NULL;) {
		const char *line = text + at;
		const char *end = memchr(line, '\n', length - at);
		size_t whole = end != NULL ? (size_t)(end - line) : length - at;

		at += whole + 1;
		while (whole > 0 && strchr(" \t\r", line[whole - 1]) != NULL)
			whole--;
		if (whole > 0 && line[0] != '#')
			wrong = read_line(line, whole, secret);
	}
	if (wrong == NULL && secret->length == 0)
		wrong = "the file contains no secret";
	return wrong;
}

/* A secret that others can read is none. */
static const char *check_rights(int fd, char text[64])
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return strerror(errno);
	if (S_ISDIR(status.st_mode))
		return strerror(EISDIR);
	if ((status.st_mode & FOREIGN_RIGHTS) == 0)
		return NULL;
	snprintf(text, 64, "accessible to others (mode %04o): chmod 600",
		 (unsigned int)status.st_mode & 07777);
	return text;
}

int secret_read(const char *command, const char *path, struct secret *ret_secret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char bytes[FILE_MOST + 1], text[64];
	const char *wrong;
	ssize_t length;

	if (fd < 0)
		return complain(command, path, strerror(errno));
	wrong = check_rights(fd, text);
	if (wrong == NULL) {
		length = read_all(fd, bytes, sizeof(bytes));
		if (length < 0)
			wrong = strerror((int)-length);
		else if (length > FILE_MOST)
			wrong = "too large for a secret file";
		else
			wrong = read_text(bytes, (size_t)length, ret_secret);
	}
	explicit_bzero(bytes, sizeof(bytes));
	close(fd);
	if (wrong == NULL)
		return EXIT_OK;
	secret_forget(ret_secret);
	return complain(command, path, wrong);
}

/* ---- creating ---- */

static bool fill_random(unsigned char *bytes, size_t length)
{
	ssize_t got;

	do
		got = getrandom(bytes, length, 0);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)length;
}

/* 0 or -errno. */
static int write_secret(int fd)
{
	static const char digits[] = "0123456789abcdef";
	char text[sizeof(comment) + (size_t)2 * SECRET_LEAST + 1];
	size_t length = sizeof(comment) - 1;
	unsigned char bytes[SECRET_LEAST];
	ssize_t written = -1;

	if (!fill_random(bytes, sizeof(bytes)))
		return errno != 0 ? -errno : -EIO;
	memcpy(text, comment, length);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		text[length++] = digits[bytes[i] >> 4];
		text[length++] = digits[bytes[i] & 15];
	}
	text[length++] = '\n';
	/* Despite the umask and default access control lists. */
	if (fchmod(fd, 0600) == 0)
		written = write(fd, text, length);
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(text, sizeof(text));
	if (written < 0 || fsync(fd) != 0)
		return -errno;
	return written == (ssize_t)length ? 0 : -ENOSPC;
}

int secret_make(const char *command, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error;

	if (fd < 0 && errno == EEXIST)
		return complain(command, path, "file already exists: use it with --secret");
	if (fd < 0)
		return complain(command, path, strerror(errno));
	error = write_secret(fd);
	if (close(fd) != 0 && error == 0)
		error = -errno;
	if (error == 0)
		return EXIT_OK;
	unlink(path);
	return complain(command, path, strerror(-error));
}
