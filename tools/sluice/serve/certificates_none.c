/* SPDX-License-Identifier: MIT */
/* For a build without libsluice-tls: the options are refused, so that no listener uses TLS. */
#include <errno.h>

#include "serve/certificates.h"

bool certificates_available(void)
{
	return false;
}

struct sluice_tls_context **certificates_read(const struct serve_options *options,
					      const struct sluice_tls_context *predecessor,
					      size_t count)
{
	return NULL;
}

void certificates_release(struct sluice_tls_context *context)
{
}

int certificates_handshake(struct sluice_tls_context *context, struct sluice_socket *socket,
			   struct sluice_args *args, struct sluice_tls **ret_tls)
{
	return -EOPNOTSUPP;
}

const char *certificates_error(const struct sluice_tls *tls)
{
	return "";
}

struct certificates_session certificates_session(const struct sluice_tls *tls)
{
	return (struct certificates_session){false, false};
}
