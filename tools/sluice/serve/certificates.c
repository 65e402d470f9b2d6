/* SPDX-License-Identifier: MIT */
#include "serve/certificates.h"

#include <errno.h>
#include <sluice/tls.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "messages.h"

/* The ALPN names of HTTP; clients that offer only others are refused. */
static const char *const protocols[] = {"http/1.1", "http/1.0"};

bool certificates_available(void)
{
	return true;
}

/* The place of the file that an error text begins with. */
static const char *place_of(const struct serve_options *options, const char *text)
{
	const struct option_list *lists[] = {&options->tls_certs, &options->tls_keys};

	for (size_t i = 0; i < 2 * options->tls_certs.count; i++) {
		const char *file = lists[i % 2]->values[i / 2];
		size_t length = strlen(file);

		if (strncmp(text, file, length) == 0 && text[length] == ':')
			return options_place(file);
	}
	return "";
}

static int create(struct sluice_tls_context **ret_context, const struct serve_options *options,
		  const struct sluice_tls_certificate *pairs,
		  const struct sluice_tls_context *predecessor)
{
	char text[512] = "";
	struct sluice_tls_context_options context = {
		.size = sizeof(context),
		.role = SLUICE_TLS_SERVER,
		.way = (uint32_t)options->tls_way,
		.certificates = pairs,
		.certificate_count = options->tls_certs.count,
		.protocols = protocols,
		.protocol_count = sizeof(protocols) / sizeof(protocols[0]),
		.predecessor = predecessor,
		.error_text = text,
		.error_capacity = sizeof(text),
	};
	int error = sluice_tls_context_create(ret_context, &context);

	if (error != 0)
		messages_complain_at(place_of(options, text), "%s",
				     text[0] != '\0' ? text : strerror(-error));
	return error;
}

/* A certificate that clients reject is served anyway: it may be renewed at any time. */
static void warn(const struct serve_options *options, const struct sluice_tls_context *context)
{
	time_t now = time(NULL);

	for (size_t i = 0; i < options->tls_certs.count; i++) {
		const char *file = options->tls_certs.values[i];
		int64_t from = 0, until = 0;

		if (sluice_tls_context_validity(context, i, &from, &until) != 0)
			continue;
		if (until < now)
			messages_complain_at(options_place(file),
					     "%s: warning: the certificate has expired", file);
		else if (from > now)
			messages_complain_at(options_place(file),
					     "%s: warning: the certificate is not valid yet", file);
	}
}

struct sluice_tls_context **certificates_read(const struct serve_options *options,
					      const struct sluice_tls_context *predecessor,
					      size_t count)
{
	size_t pair_count = options->tls_certs.count, made = 0;
	struct sluice_tls_certificate *pairs = calloc(pair_count, sizeof(*pairs));
	struct sluice_tls_context **contexts = calloc(count, sizeof(struct sluice_tls_context *));
	int error = pairs != NULL && contexts != NULL ? 0 : -ENOMEM;

	if (error != 0)
		messages_complain("certificates: %s", strerror(-error));
	for (size_t i = 0; i < pair_count && error == 0; i++)
		pairs[i] = (struct sluice_tls_certificate){options->tls_certs.values[i],
							   options->tls_keys.values[i]};
	for (; made < count && error == 0; made += error == 0) {
		error = create(&contexts[made], options, pairs,
			       made > 0 ? contexts[0] : predecessor);
		if (made == 0 && error == 0)
			warn(options, contexts[0]);
	}
	free(pairs);
	if (error == 0)
		return contexts;
	while (made-- > 0)
		sluice_tls_context_destroy(contexts[made]);
	free(contexts);
	return NULL;
}

void certificates_release(struct sluice_tls_context *context)
{
	sluice_tls_context_destroy(context);
}

int certificates_handshake(struct sluice_tls_context *context, struct sluice_socket *socket,
			   struct sluice_args *args, struct sluice_tls **ret_tls)
{
	return sluice_tls_handshake_async(context, socket, NULL, args, ret_tls);
}

const char *certificates_error(const struct sluice_tls *tls)
{
	const char *text = sluice_tls_error_text(tls);

	return text[0] != '\0' ? text : "the connection ended";
}

struct certificates_session certificates_session(const struct sluice_tls *tls)
{
	struct sluice_tls_statistics statistics = {.size = sizeof(statistics)};

	sluice_tls_statistics(tls, &statistics);
	return (struct certificates_session){
		.resumed = statistics.resumed != 0,
		.kernel = statistics.sends_way == SLUICE_TLS_WAY_KERNEL,
	};
}
