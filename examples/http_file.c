/* SPDX-License-Identifier: MIT */
/*
 * Answers every HTTP request with one file: http_file FILE [PORT]
 *
 * The header is memory and the file a descriptor, in one sluice_send_packets_async: they leave together,
 * the file without being copied. One record per connection is used again for each answer.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "server.h"

struct visitor {
	struct sluice_args args;
	struct sluice_packet packets[2];
	char header[160];
	size_t matched; /* of the empty line that ends a request */
	unsigned asked; /* requests without an answer */
	int over;       /* nothing more will be received */
};

static int file;

static void answer_next(struct sluice_socket *socket, struct visitor *visitor);

static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct visitor *visitor = args->user_token;

	if (args->error)
		sluice_socket_close(socket);
	answer_next(socket, visitor);
}

/* One answer at a time; the socket and its visitor go when nothing is left of both. */
static void answer_next(struct sluice_socket *socket, struct visitor *visitor)
{
	struct stat status;
	int answer, length;

	if (sluice_args_in_progress(&visitor->args))
		return;
	if (visitor->asked == 0) {
		if (visitor->over) {
			sluice_socket_destroy(socket);
			free(visitor);
		}
		return;
	}
	visitor->asked--;
	fstat(file, &status);
	length = snprintf(visitor->header, sizeof visitor->header,
			  "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n",
			  (long long)status.st_size);
	visitor->packets[0] = (struct sluice_packet){
		.kind = SLUICE_PACKET_MEMORY, .base = visitor->header, .count = length};
	visitor->packets[1] = (struct sluice_packet){
		.kind = SLUICE_PACKET_FILE, .fd = file, .count = status.st_size};
	sluice_args_set_packets(&visitor->args, visitor->packets, status.st_size ? 2 : 1);
	visitor->args.completed = on_sent;
	visitor->args.user_token = visitor;
	answer = sluice_send_packets_async(socket, &visitor->args);
	if (answer < 0) {
		visitor->asked = 0;
		sluice_socket_close(socket);
		answer_next(socket, visitor);
	} else if (answer == 0) {
		on_sent(socket, &visitor->args);
	}
}

static void on_received(struct sluice_socket *socket, const struct sluice_received *received,
			void *token)
{
	static const char end[] = "\r\n\r\n";
	struct visitor *visitor = token;
	const char *bytes = received->data;

	for (size_t i = 0; i < received->length; i++) {
		visitor->matched = bytes[i] == end[visitor->matched] ? visitor->matched + 1
				   : bytes[i] == '\r'                ? 1
								     : 0;
		if (visitor->matched == 4) {
			visitor->matched = 0;
			visitor->asked++;
		}
	}
	if (received->buffer)
		sluice_buffer_release(engine, received->buffer);
	visitor->over = received->terminal != 0;
	answer_next(socket, visitor);
}

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	struct sluice_receive_options options = {.size = sizeof options,
						 .on_received = on_received};

	(void)listener;
	(void)token;
	if (!accepted->socket)
		return;
	options.token = calloc(1, sizeof(struct visitor));
	if (!options.token || sluice_receive_start(accepted->socket, &options) < 0) {
		free(options.token);
		sluice_socket_destroy(accepted->socket);
	}
}

int main(int argc, char **argv)
{
	if (argc < 2)
		checked("http_file FILE [PORT]", -EINVAL);
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file < 0)
		checked(argv[1], -errno);
	checked("engine", sluice_engine_create(&engine, NULL));
	stop_on_signals();
	serve(argc > 2 ? atoi(argv[2]) : 0, on_accepted);
	run_until_stopped();
	return 0;
}
