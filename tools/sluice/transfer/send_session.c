/* SPDX-License-Identifier: MIT */
#include "transfer/send_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "transfer/channel.h"
#include "transfer/hash.h"
#include "transfer/name.h"
#include "transfer/progress.h"
#include "transfer/send_body.h"
#include "transfer/transfer.h"

#define GRACE_NS UINT64_C(5000000000)

/* ---- the list of files ---- */

struct queue {
	char **paths;
	size_t count;
	size_t next;
};

static void complain(const char *path, const char *what)
{
	char shown[TRANSFER_SHOWN];

	name_show(path, shown, sizeof(shown));
	fprintf(stderr, "sluice send: %s: %s\n", shown, what);
}

static void note(struct sending *sending, int code)
{
	if (sending->code == EXIT_OK)
		sending->code = code;
}

static int open_regular(const char *path, struct stat *status)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, status) != 0)
		error = -errno;
	else if (!S_ISREG(status->st_mode))
		error = S_ISDIR(status->st_mode) ? -EISDIR : -EINVAL;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

/* A file of /proc reports no size, but has contents. */
static bool has_contents(int fd)
{
	char byte;

	return pread(fd, &byte, 1, 0) == 1;
}

static void run_open(void *token)
{
	struct sending_file *file = token;
	struct stat status;

	file->fd = open_regular(file->path, &status);
	if (file->fd < 0)
		return;
	file->size = (uint64_t)status.st_size;
	if (file->size == 0 && has_contents(file->fd))
		file->size = WIRE_SIZE_UNKNOWN;
	file->mode = status.st_mode & 0777;
	file->modified_s = status.st_mtim.tv_sec;
	file->modified_ns = (uint32_t)status.st_mtim.tv_nsec;
}

/* 0 or -errno. */
static int open_source(struct sending *sending, struct sending_file *file)
{
	if (strcmp(file->path, "-") == 0) {
		file->fd = STDIN_FILENO;
		file->size = WIRE_SIZE_UNKNOWN;
		return 0;
	}
	sending_work(sending, run_open, file);
	return file->fd < 0 ? file->fd : 0;
}

void sending_file_close(struct sending_file *file)
{
	if (file->fd > STDIN_FILENO)
		close(file->fd);
	file->fd = -1;
}

static void tell_file(struct sending *sending, const struct sending_file *file)
{
	struct wire_message message = {
		.type = WIRE_FILE,
		.size = file->size,
		.mode = file->size == WIRE_SIZE_UNKNOWN ? 0666 : file->mode,
		.modified_s = file->modified_s,
		.modified_ns = file->modified_ns,
	};

	message.text_length = strlen(file->name);
	memcpy(message.text, file->name, message.text_length);
	channel_send(&sending->channel, &message);
}

/* Opens the next file that can be sent, and offers it. False: none is left. */
static bool offer_next(struct sending *sending, struct queue *queue, struct sending_file *file)
{
	while (queue->next < queue->count) {
		const char *path = queue->paths[queue->next++];
		const char *name = strcmp(path, "-") == 0 ? sending->options->name
							  : name_of_path(path);
		int error;

		*file = (struct sending_file){.path = path, .fd = -1};
		if (!name_is_safe(name, strlen(name), true)) {
			complain(path, "receivers do not accept this name");
			note(sending, EXIT_FAILED);
			continue;
		}
		snprintf(file->name, sizeof(file->name), "%s", name);
		error = open_source(sending, file);
		if (error == 0) {
			tell_file(sending, file);
			return true;
		}
		complain(path, error == -EINVAL ? "not a regular file; use '-' and redirect "
						  "standard input"
						: strerror(-error));
		note(sending, EXIT_FAILED);
	}
	return false;
}

/* ---- answers ---- */

static int on_message(struct channel *channel, const struct wire_message *message)
{
	struct sending *sending = channel->owner;

	switch (message->type) {
	case WIRE_HELLO:
	case WIRE_HAVE:
	case WIRE_RESULT:
	case WIRE_BYE:
		if (sending->answer_count == SENDING_ANSWERS)
			return -EPROTO;
		sending->answers[sending->answer_count++] = *message;
		return 0;
	case WIRE_WAIT:
		return 0;
	default:
		return -EPROTO;
	}
}

static int on_raw(struct channel *channel, const struct iovec *parts, size_t count)
{
	return -EPROTO;
}

/* Waits for the next answer. 0 or -errno. */
static int await_answer(struct sending *sending, struct wire_message *ret_answer)
{
	int error = 0;

	while (sending->answer_count == 0 && error == 0)
		error = channel_turn(&sending->channel);
	/* The last answer and the end of the stream may arrive together. */
	if (sending->answer_count == 0)
		return error;
	*ret_answer = sending->answers[0];
	sending->answer_count--;
	memmove(&sending->answers[0], &sending->answers[1],
		sending->answer_count * sizeof(sending->answers[0]));
	return 0;
}

static int greet(struct sending *sending)
{
	struct wire_message answer;
	int error;

	channel_send_hello(&sending->channel, sending->options->secret != NULL);
	error = await_answer(sending, &answer);
	if (error != 0)
		return error;
	if (answer.type != WIRE_HELLO)
		return -EPROTO;
	if (answer.version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (answer.secret == (sending->options->secret != NULL))
		return 0;
	return answer.secret ? TRANSFER_WANTS_SECRET : TRANSFER_NO_SECRET;
}

/* ---- results ---- */

static void refused(struct sending *sending, struct sending_file *file,
		    const struct wire_message *result)
{
	char text[4 * WIRE_TEXT_MAX];
	char whole[TRANSFER_SHOWN];

	name_show(result->text, text, sizeof(text));
	snprintf(whole, sizeof(whole), "%s%s%s", wire_code_text(result->code),
		 text[0] != '\0' ? ": " : "", text);
	complain(file->path, whole);
	file->refused = true;
	note(sending, result->code == WIRE_MISMATCH ? EXIT_MISMATCH : EXIT_REFUSED);
}

/* After these results the receiver reads nothing more. */
static bool is_last(uint32_t code)
{
	return code == WIRE_STOPPED || code == WIRE_PROTOCOL;
}

static int take_result(struct sending *sending, struct sending_file *file)
{
	struct transfer_figures figures = {.bytes = file->sent_size, .from = file->from};
	char shown[TRANSFER_SHOWN], text[4 * WIRE_TEXT_MAX];
	struct wire_message result;
	int error;

	channel_set_patience(&sending->channel, file->sent_size);
	error = await_answer(sending, &result);
	progress_clear(&sending->progress);
	if (error != 0)
		return error;
	if (result.type != WIRE_RESULT)
		return -EPROTO;
	if (result.code != WIRE_OK) {
		refused(sending, file, &result);
		return is_last(result.code) ? -EPIPE : 0;
	}
	name_show(file->path, shown, sizeof(shown));
	name_show(result.text, text, sizeof(text));
	figures.spent_ns = clock_ns() - file->begun_ns;
	transfer_report("sent", shown, &figures, text);
	return 0;
}

/* ---- one file ---- */

/* The receiver's answer to the offer. 1: the body is needed; 0: refused; -errno. */
static int take_offer(struct sending *sending, struct sending_file *file)
{
	struct wire_message answer;
	int error;

	channel_set_patience(&sending->channel, file->size == WIRE_SIZE_UNKNOWN ? 0 : file->size);
	error = await_answer(sending, &answer);
	if (error != 0)
		return error;
	if (answer.type == WIRE_RESULT && answer.code != WIRE_OK) {
		refused(sending, file, &answer);
		return is_last(answer.code) ? -EPIPE : 0;
	}
	if (answer.type != WIRE_HAVE ||
	    (answer.offset > 0 && (file->size == WIRE_SIZE_UNKNOWN || answer.offset > file->size)))
		return -EPROTO;
	hash_reset(sending->hash);
	error = sending_resume(sending, file, &answer);
	return error != 0 ? error : 1;
}

/* Sends the offered file, and offers the next while the result is outstanding. */
static int send_file(struct sending *sending, struct queue *queue, struct sending_file *file,
		     bool *ret_more)
{
	struct sending_file next;
	int error = take_offer(sending, file);
	bool body = error > 0;

	if (body)
		error = sending_body(sending, file);
	/* The receiver may have reported the cause before. */
	if (error < 0 && body && sending->answer_count > 0)
		take_result(sending, file);
	if (error < 0)
		return error;
	*ret_more = offer_next(sending, queue, &next);
	if (body)
		error = take_result(sending, file);
	sending_file_close(file);
	if (*ret_more)
		*file = next;
	return error;
}

static int send_files(struct sending *sending, struct queue *queue, struct sending_file *file)
{
	struct wire_message answer;
	int error = greet(sending);
	bool more = false;

	if (error == 0)
		more = offer_next(sending, queue, file);
	while (more && error == 0)
		error = send_file(sending, queue, file, &more);
	if (error != 0)
		return error;
	channel_send_type(&sending->channel, WIRE_BYE);
	error = await_answer(sending, &answer);
	return error != 0 || answer.type == WIRE_BYE ? error : -EPROTO;
}

/* ---- the connection ---- */

/* Reports what failed, and what was not sent because of it. */
static void broke(struct sending *sending, const struct sending_file *file, int error,
		  const struct queue *queue)
{
	progress_clear(&sending->progress);
	if (file->path == NULL)
		fprintf(stderr, "sluice send: %s\n", transfer_error_text(error));
	else if (file->failed && error != -ENODATA)
		complain(file->path, strerror(-error));
	else if (!file->refused)
		complain(file->path, transfer_error_text(error));
	note(sending, file->failed ? EXIT_FAILED : transfer_exit_code(error));
	for (size_t i = queue->next; i < queue->count; i++)
		complain(queue->paths[i], "not sent");
}

/* Prints what limited the connection. */
static void tell_limit(const struct sending *sending, uint64_t begun_ns)
{
	struct sluice_socket_statistics statistics = {.size = sizeof(statistics)};
	char text[PROGRESS_LIMIT];
	struct progress_times times;

	if (sluice_socket_statistics(sending->channel.socket, &statistics) < 0)
		return;
	times = (struct progress_times){
		.spent = clock_ns() - begun_ns,
		.busy = statistics.busy_ns,
		.receiver = statistics.receiver_limited_ns,
		.send_buffer = statistics.send_buffer_limited_ns,
	};
	progress_limit(&times, text);
	if (text[0] != '\0')
		puts(text);
}

int send_session(struct sluice_engine *engine, struct sluice_socket *socket, char **paths,
		 size_t count, const struct send_options *options)
{
	static struct sending sending;
	struct queue queue = {.paths = paths, .count = count};
	struct sending_file file = {.fd = -1};
	uint64_t begun_ns = clock_ns();
	int error = -ENOMEM;

	sending = (struct sending){.work = WORK_INITIAL};
	sending.options = options;
	sending.channel.owner = &sending;
	sending.channel.on_message = on_message;
	sending.channel.on_raw = on_raw;
	sending.hash = hash_new();
	if (sending.hash != NULL)
		error = channel_open(&sending.channel, engine, socket,
				     options->timeout_s * UINT64_C(1000000000));
	if (error == 0)
		error = send_files(&sending, &queue, &file);
	else
		sluice_socket_destroy(socket);
	if (error != 0)
		broke(&sending, &file, error, &queue);
	else
		tell_limit(&sending, begun_ns);
	sending_stop(&sending);
	channel_close(&sending.channel, error == 0 ? GRACE_NS : 0);
	sending_file_close(&file);
	hash_free(sending.hash);
	return sending.code;
}
