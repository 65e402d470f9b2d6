/* SPDX-License-Identifier: MIT */
#include "harness/http.h"

#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/net.h"

#define HEAD_MAX 8192

/* Only the head: what follows stays in the socket. */
static size_t read_head(int fd, char *head)
{
	size_t length = 0;
	char *end = NULL;

	while (!end) {
		ssize_t count;

		net_wait_readable(fd);
		count = recv(fd, head, HEAD_MAX - 1, MSG_PEEK);
		if (count <= 0)
			break;
		length = (size_t)count;
		head[length] = '\0';
		end = strstr(head, "\r\n\r\n");
		if (length == HEAD_MAX - 1)
			break;
	}
	if (!end)
		errx(1, "no answer, or one with a head that is too long");
	return (size_t)(end - head) + 4;
}

/* Where the value of a field begins, or NULL; name is "\r\nname:". */
static const char *find_field(const char *head, const char *name)
{
	const char *field = strcasestr(head, name);

	if (!field)
		return NULL;
	field += strlen(name);
	return field + strspn(field, " ");
}

static bool has_encoding(const char *head, const char *encoding)
{
	const char *value = find_field(head, "\r\ncontent-encoding:");

	if (!value || !encoding)
		return !value && !encoding;
	return strncmp(value, encoding, strlen(encoding)) == 0 && value[strlen(encoding)] == '\r';
}

size_t http_answer_bytes(uint16_t port, const char *question, uint64_t body_bytes,
			 const char *encoding)
{
	const struct receiver server = {.port = port};
	int fd = net_connect(&server);
	char head[HEAD_MAX];
	const char *length;
	size_t head_bytes;

	if (send(fd, question, strlen(question), MSG_NOSIGNAL) != (ssize_t)strlen(question))
		err(1, "the server");
	head_bytes = read_head(fd, head);
	head[head_bytes] = '\0';
	length = find_field(head, "\r\ncontent-length:");
	if (strncmp(head, "HTTP/1.1 200", 12) != 0)
		errx(1, "the server answers: %.*s", (int)strcspn(head, "\r"), head);
	if (!length || strtoull(length, NULL, 10) != body_bytes || !has_encoding(head, encoding))
		errx(1, "the server answers with another body or encoding than was expected");
	close(fd);
	return head_bytes + body_bytes;
}
