/* SPDX-License-Identifier: MIT */
#include "serve/site.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "messages.h"

/* The name of a rule file, or of its precompressed variant. */
static bool is_rule_file(const char *name, const char *rules)
{
	size_t length = strlen(rules);

	if (strncmp(name, rules, length) != 0)
		return false;
	name += length;
	return name[0] == '\0' || strcmp(name, ".br") == 0 || strcmp(name, ".zst") == 0 ||
	       strcmp(name, ".gz") == 0;
}

bool site_is_hidden(const char *path)
{
	return path[0] == '/' && path[1] == '_' &&
	       (is_rule_file(path + 1, "_headers") || is_rule_file(path + 1, "_redirects"));
}

static void complain(void *token, const char *file, unsigned int line, const char *what)
{
	const struct serve_options *options = token;

	messages_complain("%s/%s:%u: %s", options->directory, file, line, what);
}

/* Reads the whole file into the buffer. 0, also if there is none; or -errno. */
static int read_file(const struct root *root, const char *name, struct buffer *buffer)
{
	int fd = root_open_file(root, name, false);
	char piece[16384];
	ssize_t got = -1;
	struct stat stat;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	if (fstat(fd, &stat) == 0 && !S_ISREG(stat.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	do {
		got = read(fd, piece, sizeof(piece));
		if (got > 0)
			buffer_add(buffer, (struct span){piece, (size_t)got});
	} while (got > 0 && buffer->length <= RULES_TEXT_MAX);
	if (got < 0)
		got = -errno;
	close(fd);
	if (buffer->failed)
		return -ENOMEM;
	return got < 0 ? (int)got : 0;
}

static bool read_rules(struct rules *rules, const struct root *root, const char *name,
		       const struct serve_options *options,
		       bool (*parse)(struct rules *, struct span, rules_complain_fn *, void *))
{
	struct buffer buffer = {0};
	int error = read_file(root, name, &buffer);
	bool right = error == 0;

	if (error != 0)
		messages_complain("%s/%s: %s", options->directory, name, strerror(-error));
	else if (buffer.length > 0)
		right = parse(rules, (struct span){buffer.base, buffer.length}, complain,
			      (void *)(uintptr_t)options);
	buffer_dispose(&buffer);
	return right;
}

/* origin: the option, as in options_place. */
static bool add_option(struct rules *rules, const void *origin, const char *option,
		       const char *name, const char *value)
{
	char *header = NULL;
	const char *what = "out of memory";

	if (asprintf(&header, "%s%s%s", name, name[0] != '\0' ? ": " : "", value) >= 0)
		what = rules_add_option(rules, header);
	if (what == NULL)
		return true;
	messages_complain_at(options_place(origin), "--%s=%s: %s", option, value, what);
	return false;
}

static bool add_hsts(struct rules *rules, const struct serve_options *options)
{
	char value[40];

	if (options->hsts_s == HSTS_UNSET)
		return true;
	snprintf(value, sizeof(value), "max-age=%" PRIu64, options->hsts_s);
	return add_option(rules, &options->hsts_s, "hsts", "Strict-Transport-Security", value);
}

static bool add_options(struct rules *rules, const struct serve_options *options)
{
	bool right = add_hsts(rules, options);

	for (size_t i = 0; i < options->headers.count; i++)
		right &= add_option(rules, options->headers.values[i], "header", "",
				    options->headers.values[i]);
	if (options->cache_control != NULL)
		right &= add_option(rules, options->cache_control, "cache-control", "Cache-Control",
				    options->cache_control);
	if (options->cors) {
		right &= add_option(rules, &options->cors, "cors", "Access-Control-Allow-Origin",
				    "*");
		right &= add_option(rules, &options->cors, "cors", "Access-Control-Expose-Headers",
				    "*");
	}
	return right;
}

struct rules *site_read(const struct serve_options *options, struct docroot *docroot)
{
	struct rules *rules = rules_create();
	struct root *root;
	bool right;

	if (rules == NULL) {
		messages_complain("the rules: %s", strerror(ENOMEM));
		return NULL;
	}
	right = add_options(rules, options);
	root = docroot_get(docroot, false);
	right &= read_rules(rules, root, "_headers", options, rules_read_headers);
	right &= read_rules(rules, root, "_redirects", options, rules_read_redirects);
	root_release(root);
	if (right)
		return rules;
	rules_release(rules);
	return NULL;
}
