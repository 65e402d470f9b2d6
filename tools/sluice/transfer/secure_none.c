/* SPDX-License-Identifier: MIT */
/* Replaces secure.c in a build without libsluice-tls. */
#include <errno.h>
#include <stddef.h>

#include "command.h"
#include "options.h"
#include "transfer/secure.h"

int secure_check(const char *command)
{
	options_complain(command,
			 "secrets are not supported: this sluice was built without OpenSSL");
	return EXIT_USAGE;
}

int secure_create(const char *command, const char *path, bool receiver, uint64_t way,
		  struct secure **ret_secure)
{
	return secure_check(command);
}

void secure_destroy(struct secure *secure)
{
}

int secure_greet(struct secure *secure, struct secure_greeting *greeting)
{
	return -EOPNOTSUPP;
}
