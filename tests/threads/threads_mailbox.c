/* SPDX-License-Identifier: MIT */
/* Several threads send on sockets whose engine another thread runs. */
#include "threads_support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- whole messages, each thread's in order ---- */

#define THREADS 4
#define MESSAGES 400

struct header {
	uint32_t thread;
	uint32_t sequence;
	uint32_t length; /* of what follows, each byte of it the thread's number */
};

struct message {
	struct sluice_args args; /* first: the handler finds the message by it */
	struct header header;
	struct iovec segments[2];
	unsigned ended;
	struct sender *sender;
};

struct sender {
	uint32_t number;
	struct sluice_socket *socket;
	struct message *messages;
	unsigned char *body;
};

static unsigned messages_ended; /* the engine's thread alone */

static void message_ended(struct sluice_socket *socket, struct sluice_args *args)
{
	struct message *message = (struct message *)args;

	check(socket == message->sender->socket);
	check(args->error == SLUICE_ERROR_SUCCESS);
	check(args->bytes_transferred == sizeof message->header + message->header.length);
	check(message->ended++ == 0);
	messages_ended++;
}

/* Now and then so large that it does not fit into the kernel's buffers. */
static uint32_t length_of(uint32_t number, uint32_t sequence)
{
	if (sequence % 50 == number)
		return 300000;
	return (number * 7919 + sequence * 104729) % 5000;
}

static void *send_messages(void *token)
{
	struct sender *sender = token;

	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct message *message = &sender->messages[i];
		struct sluice_args *args = &message->args;

		message->sender = sender;
		message->header = (struct header){sender->number, i, length_of(sender->number, i)};
		message->segments[0] = (struct iovec){&message->header, sizeof message->header};
		message->segments[1] = (struct iovec){sender->body, message->header.length};
		check(sluice_args_init(args) == 0);
		args->completed = message_ended;
		check(sluice_args_set_buffer_list(args, message->segments, 2) == 0);
		check(sluice_send_async(sender->socket, args) == 1);
	}
	return NULL;
}

static void sender_prepare(struct sender *sender, uint32_t number, struct sluice_socket *socket)
{
	sender->number = number;
	sender->socket = socket;
	sender->messages = calloc(MESSAGES, sizeof *sender->messages);
	sender->body = malloc(300000);
	check(sender->messages && sender->body);
	memset(sender->body, (int)number, 300000);
}

/* Reads all messages; whole: no byte of another thread is inside a body. */
static void *check_messages(void *token)
{
	int fd = *(int *)token;
	unsigned char *body = malloc(300000);
	uint32_t next[THREADS] = {0};
	struct header header;

	for (int i = 0; i < THREADS * MESSAGES; i++) {
		check(read_whole(fd, &header, sizeof header));
		check(header.thread < THREADS);
		check(header.sequence == next[header.thread]++);
		check(header.length == length_of(header.thread, header.sequence));
		check(read_whole(fd, body, header.length));
		for (uint32_t j = 0; j < header.length; j++)
			check(body[j] == header.thread);
	}
	free(body);
	return NULL;
}

static void b07_messages_of_many_threads_arrive_whole_and_in_each_thread_s_order(void)
{
	struct sluice_engine *engine = engine_new();
	struct sender senders[THREADS];
	pthread_t threads[THREADS], reader;
	struct sluice_socket *socket;
	int fds[2];

	tcp_descriptors(16384, fds);
	socket = attach(engine, fds[0]);
	messages_ended = 0;
	thread_start(&reader, check_messages, &fds[1]);
	for (uint32_t i = 0; i < THREADS; i++) {
		sender_prepare(&senders[i], i, socket);
		thread_start(&threads[i], send_messages, &senders[i]);
	}
	while (messages_ended < THREADS * MESSAGES)
		check(sluice_engine_run(engine, 20 * SECOND) > 0);
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	thread_join(reader);
	check(sluice_engine_run(engine, 0) == 0);
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
	for (int i = 0; i < THREADS; i++) {
		free(senders[i].messages);
		free(senders[i].body);
	}
}

/* ---- what happened before goes first ---- */

static unsigned numbered_ended;

static void numbered_end(struct sluice_socket *socket, struct sluice_args *args)
{
	check(args->error == SLUICE_ERROR_SUCCESS);
	numbered_ended++;
}

struct numbered {
	struct sluice_args args;
	struct sluice_socket *socket;
	uint32_t number;
};

static int send_number(struct numbered *numbered, struct sluice_socket *socket, uint32_t number)
{
	numbered->socket = socket;
	numbered->number = number;
	check(sluice_args_init(&numbered->args) == 0);
	numbered->args.completed = numbered_end;
	check(sluice_args_set_buffer(&numbered->args, &numbered->number, 4, 0, 4) == 0);
	return sluice_send_async(socket, &numbered->args);
}

static void *send_number_elsewhere(void *token)
{
	struct numbered *numbered = token;

	check(send_number(numbered, numbered->socket, numbered->number) == 1);
	return NULL;
}

static void b07_an_eager_send_never_overtakes_the_mailbox(void)
{
	enum {
		ROUNDS = 300
	};
	struct sluice_engine *engine = engine_new();
	struct numbered *numbers = calloc(2 * ROUNDS, sizeof *numbers);
	unsigned pending = 0;
	struct sluice_socket *socket;
	uint32_t number;
	int fds[2];

	tcp_descriptors(0, fds);
	socket = attach(engine, fds[0]);
	numbered_ended = 0;
	for (uint32_t i = 0; i < 2 * ROUNDS; i += 2) {
		pthread_t thread;

		numbers[i].socket = socket;
		numbers[i].number = i;
		thread_start(&thread, send_number_elsewhere, &numbers[i]);
		thread_join(thread);
		pending++;
		pending += (unsigned)send_number(&numbers[i + 1], socket, i + 1);
		if (i % 3 == 0)
			check(sluice_engine_run(engine, 0) >= 0);
	}
	while (numbered_ended < pending)
		check(sluice_engine_run(engine, 20 * SECOND) > 0);
	for (uint32_t i = 0; i < 2 * ROUNDS; i++) {
		check(read_whole(fds[1], &number, 4));
		check(number == i);
	}
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
	free(numbers);
}

/* ---- what is answered from another thread ---- */

struct answers {
	struct sluice_engine *engine;
	struct sluice_socket *connected, *fresh, *closed;
	struct sluice_args busy; /* in progress on the connected one */
	int fd;                  /* to attach */
	struct sluice_socket *attached;
};

static void check_refusals(struct answers *answers)
{
	struct sluice_args args = {0};

	check(sluice_send_async(answers->connected, NULL) == -EINVAL);
	check(sluice_send_async(answers->connected, &args) == -EINVAL);
	check(sluice_args_set_buffer(&args, "x", 1, 0, 1) == 0);
	check(sluice_send_async(answers->closed, &args) == -EBADF);
	check(sluice_send_async(answers->fresh, &args) == -ENOTCONN);
	args.flags = 0x100;
	check(sluice_send_async(answers->connected, &args) == -EOPNOTSUPP);
	check(sluice_send_async(answers->connected, &answers->busy) == -EBUSY);
	check(sluice_receive_async(answers->fresh, &answers->busy) == -EBUSY);
	check(sluice_accept_async(answers->connected, &args) < 0);
	check(sluice_args_dispose(&args) == 0);
	check(sluice_send_async(answers->connected, &args) == -EBADF);
	check(args.error == 0 && args.last_operation == SLUICE_OPERATION_NONE);
}

static void *call_from_elsewhere(void *token)
{
	struct answers *answers = token;
	struct sluice_engine *engine = answers->engine;

	check(sluice_engine_run(engine, 0) == -EPERM);
	check(sluice_engine_flush(engine) == -EPERM);
	check(sluice_batch_begin(engine) == -EPERM);
	check(sluice_batch_end(engine) == -EPERM);
	check(sluice_engine_fd(engine) == -EPERM);
	check(sluice_engine_destroy(engine) == -EPERM);
	check(sluice_engine_start(engine) == -EBUSY);
	check(sluice_engine_adopt(engine) == -EBUSY);
	check(sluice_socket_detach(answers->connected) == -EPERM);
	check_refusals(answers);
	check(sluice_cancel(answers->fresh, &answers->busy) == -ENOENT);
	answers->attached = attach(engine, answers->fd);
	check(sluice_socket_engine(answers->attached) == engine);
	check(sluice_socket_fd(answers->attached) == answers->fd);
	check(sluice_cancel(answers->connected, &answers->busy) == 0);
	return NULL;
}

static void e08_refusals_are_answered_at_once_from_any_thread(void)
{
	struct answers answers = {.engine = engine_new()};
	pthread_t thread;
	char byte;
	int fds[2];

	tcp_descriptors(0, fds);
	answers.connected = attach(answers.engine, fds[0]);
	answers.fresh = attach(answers.engine, socket(AF_INET, SOCK_STREAM, 0));
	answers.closed = attach(answers.engine, socket(AF_INET, SOCK_STREAM, 0));
	answers.fd = socket(AF_INET, SOCK_STREAM, 0);
	check(sluice_socket_close(answers.closed) == 0);
	check(sluice_args_set_receive_buffer(&answers.busy, &byte, 1, 0, 1) == 0);
	check(sluice_receive_async(answers.connected, &answers.busy) == 1);
	check(sluice_engine_run(answers.engine, 0) >= 0);

	thread_start(&thread, call_from_elsewhere, &answers);
	thread_join(thread);
	while (sluice_args_in_progress(&answers.busy))
		check(sluice_engine_run(answers.engine, MILLISECOND) >= 0);
	check(answers.busy.error == SLUICE_ERROR_OPERATION_ABORTED);
	check(sluice_engine_destroy(answers.engine) == 0);
	close(fds[1]);
}

/* ---- the hard limit ---- */

#define LIMITED 100

struct limited {
	struct sluice_socket *socket;
	struct numbered numbers[LIMITED];
	unsigned accepted;
};

static void *send_until_full(void *token)
{
	struct limited *limited = token;
	int answer = 1;

	for (limited->accepted = 0; answer == 1; limited->accepted++) {
		check(limited->accepted < LIMITED);
		answer = send_number(&limited->numbers[limited->accepted], limited->socket,
				     limited->accepted);
	}
	check(answer == -ENOBUFS);
	limited->accepted--;
	return NULL;
}

static void b15_a_full_queue_refuses_other_threads_too(void)
{
	struct sluice_engine *engine = engine_new();
	struct limited *limited = calloc(1, sizeof *limited);
	uint32_t number;
	int fds[2];

	tcp_descriptors(0, fds);
	limited->socket = attach(engine, fds[0]);
	check(sluice_socket_set_water_marks(limited->socket, 0, SIZE_MAX, 40) == 0);
	for (int round = 0; round < 3; round++) {
		pthread_t thread;

		/* One thread alone does not overrun it. */
		numbered_ended = 0;
		thread_start(&thread, send_until_full, limited);
		thread_join(thread);
		check(limited->accepted == 10);
		while (numbered_ended < 10)
			check(sluice_engine_run(engine, 20 * SECOND) > 0);
		for (uint32_t i = 0; i < 10; i++) {
			check(read_whole(fds[1], &number, 4));
			check(number == i);
		}
	}
	check(sluice_socket_queued_bytes(limited->socket) == 0);
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
	free(limited);
}

/* ---- an engine that changes hands ---- */

static void *adopt_and_run(void *token)
{
	struct sluice_engine *engine = token;
	struct sluice_args args = {0};
	struct sluice_socket *socket;
	char byte;
	int fds[2];

	check(sluice_engine_adopt(engine) == 0);
	tcp_descriptors(0, fds);
	socket = attach(engine, fds[0]);
	args.flags = SLUICE_FLAG_BATCHED;
	check(sluice_args_set_buffer(&args, "x", 1, 0, 1) == 0);
	check(sluice_send_async(socket, &args) == 1);
	while (sluice_args_in_progress(&args))
		check(sluice_engine_run(engine, MILLISECOND) >= 0);
	check(read_whole(fds[1], &byte, 1));
	check(sluice_engine_adopt(engine) == -EBUSY);
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
	return NULL;
}

static void e08_an_engine_can_be_adopted_before_its_first_use(void)
{
	pthread_t thread;

	thread_start(&thread, adopt_and_run, engine_new());
	thread_join(thread);
}

int main(void)
{
	static const struct thread_test tests[] = {
		{"b07_messages_of_many_threads_arrive_whole_and_in_each_thread_s_order",
		 b07_messages_of_many_threads_arrive_whole_and_in_each_thread_s_order},
		{"b07_an_eager_send_never_overtakes_the_mailbox",
		 b07_an_eager_send_never_overtakes_the_mailbox},
		{"b15_a_full_queue_refuses_other_threads_too",
		 b15_a_full_queue_refuses_other_threads_too},
		{"e08_refusals_are_answered_at_once_from_any_thread",
		 e08_refusals_are_answered_at_once_from_any_thread},
		{"e08_an_engine_can_be_adopted_before_its_first_use",
		 e08_an_engine_can_be_adopted_before_its_first_use},
	};

	return TESTS(tests);
}
