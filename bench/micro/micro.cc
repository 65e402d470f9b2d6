/* SPDX-License-Identifier: MIT */
/*
 * The cost of single steps, by google-benchmark: setting a record up, starting it, the queue, the
 * plan, the completions of the ring, a turn, a timer, other threads; with user-space instructions
 * if the machine counts them. `sluice bench` compares with others.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <sluice/sluice.h>

#include "micro/counted.h"

extern "C" {
#include "harness/conditions.h"
#include "harness/cpus.h"
#include "harness/net.h"
#include "micro/modules.h"
}

namespace
{

struct receiver peer;

void check(int answer, const char *what)
{
	if (answer < 0) {
		std::fprintf(stderr, "%s: %s\n", what, std::strerror(-answer));
		std::exit(1);
	}
}

/* An engine with connected sockets. */
class Fixture
{
      public:
	explicit Fixture(size_t socket_count = 0, uint32_t way = SLUICE_TRANSMIT_WAY_AUTO)
		: sockets(socket_count)
	{
		struct sluice_options options;

		sluice_options_init(&options, sizeof(options));
		options.transmit_way = way;
		check(sluice_engine_create(&engine, &options), "sluice_engine_create");
		for (auto &socket : sockets)
			check(sluice_socket_attach(engine, net_connect(&peer), &socket),
			      "sluice_socket_attach");
	}

	~Fixture()
	{
		sluice_engine_destroy(engine);
	}

	Fixture(const Fixture &) = delete;
	Fixture &operator=(const Fixture &) = delete;

	struct sluice_engine *engine = nullptr;
	std::vector<struct sluice_socket *> sockets;
};

size_t unfinished;

void on_sent(struct sluice_socket *, struct sluice_args *)
{
	unfinished--;
}

const char payload[64] = {};

/* Measures single iterations, of which only a part counts. */
constexpr size_t STEPS = 512;

/* Aligned, as in a carefully written program. */
struct alignas(64) Record {
	Record() : args()
	{
		args.completed = on_sent;
		check(sluice_args_set_buffer(&args, payload, sizeof(payload), 0, sizeof(payload)),
		      "sluice_args_set_buffer");
	}

	struct sluice_args args;
};

void start(struct sluice_socket *socket, struct sluice_args *args)
{
	int answer = sluice_send_async(socket, args);

	check(answer, "sluice_send_async");
	unfinished += static_cast<size_t>(answer);
}

void run_until_sent(struct sluice_engine *engine)
{
	while (unfinished > 0)
		check(sluice_engine_run(engine, -1), "sluice_engine_run");
}

void init(benchmark::State &state)
{
	struct sluice_args args;
	Counted counted(state);

	for (auto _ : state) {
		sluice_args_init(&args);
		benchmark::DoNotOptimize(args);
	}
}

void set_buffer(benchmark::State &state)
{
	struct sluice_args args = {};
	Counted counted(state);

	for (auto _ : state) {
		sluice_args_set_buffer(&args, payload, sizeof(payload), 0, sizeof(payload));
		benchmark::DoNotOptimize(args);
	}
}

void send_eager(benchmark::State &state)
{
	Fixture context(1);
	Record record;
	Counted counted(state);

	for (auto _ : state) {
		start(context.sockets[0], &record.args);
		run_until_sent(context.engine);
	}
}

/* range(0) records in a batch, over range(1) sockets. The time is per record. */
void send_batch(benchmark::State &state)
{
	Fixture context(static_cast<size_t>(state.range(1)));
	std::vector<Record> records(static_cast<size_t>(state.range(0)));
	auto count = static_cast<int64_t>(records.size());
	Counted counted(state);

	while (state.KeepRunningBatch(count)) {
		size_t socket = 0;

		sluice_batch_begin(context.engine);
		for (auto &record : records) {
			start(context.sockets[socket], &record.args);
			if (++socket == context.sockets.size())
				socket = 0;
		}
		sluice_batch_end(context.engine);
		run_until_sent(context.engine);
	}
}

/* Only the starting calls inside a batch. */
void start_batched(benchmark::State &state)
{
	Fixture context(1);
	std::vector<Record> records(STEPS);
	Step step(state);

	while (state.KeepRunningBatch(STEPS)) {
		sluice_batch_begin(context.engine);
		step.begin();
		for (auto &record : records)
			start(context.sockets[0], &record.args);
		step.end();
		sluice_batch_end(context.engine);
		run_until_sent(context.engine);
	}
}

/* Only the turn that finds the completions of the ring, one request per record. */
void reap(benchmark::State &state)
{
	Fixture context(STEPS, SLUICE_TRANSMIT_WAY_RING);
	std::vector<Record> records(STEPS);
	Step step(state);

	if (std::string(sluice_engine_backend(context.engine)) != "uring") {
		state.SkipWithError("no ring");
		return;
	}
	while (state.KeepRunningBatch(STEPS)) {
		sluice_batch_begin(context.engine);
		for (size_t i = 0; i < STEPS; i++)
			start(context.sockets[i], &records[i].args);
		sluice_batch_end(context.engine);
		step.begin();
		run_until_sent(context.engine);
		step.end();
	}
}

/* Only the starting calls of another thread, which leave the records in the mailbox. */
void start_from_elsewhere(benchmark::State &state)
{
	Fixture context(1);
	std::vector<Record> records(STEPS);

	while (state.KeepRunningBatch(STEPS)) {
		std::thread other([&] {
			Step step(state);

			step.begin();
			for (auto &record : records)
				start(context.sockets[0], &record.args);
			step.end();
		});

		other.join();
		run_until_sent(context.engine);
	}
	/* The values shown are the last thread's. */
	state.counters.erase("instructions");
}

/* The queue alone: a function of modules.h, with its setup and cleanup excluded. */
template <void (*before)(struct modules *), void (*measured)(struct modules *),
	  void (*behind)(struct modules *)>
void queue(benchmark::State &state)
{
	struct modules *modules = modules_create(STEPS);
	Step step(state);

	while (state.KeepRunningBatch(STEPS)) {
		before(modules);
		step.begin();
		measured(modules);
		step.end();
		behind(modules);
	}
	modules_destroy(modules);
}

void nothing(struct modules *)
{
}

void enqueue_and_gather(struct modules *modules)
{
	modules_enqueue(modules);
	modules_gather(modules);
}

void gather_and_settle(struct modules *modules)
{
	modules_gather(modules);
	modules_settle(modules);
}

/* Of memory and of a file, one each. */
void plan(benchmark::State &state)
{
	Counted counted(state);

	while (state.KeepRunningBatch(STEPS))
		benchmark::DoNotOptimize(modules_plan(STEPS));
}

void empty_turn(benchmark::State &state)
{
	Fixture context(1);
	Counted counted(state);

	for (auto _ : state)
		sluice_engine_run(context.engine, 0);
}

/* While range(0) timers are armed. */
void timer_start_stop(benchmark::State &state)
{
	/* Armed until the engine ends, so they outlive it. */
	std::vector<struct sluice_timer> others(static_cast<size_t>(state.range(0)));
	struct sluice_timer timer = {};
	Fixture context;
	int64_t second = 1000000000;

	timer.expired = [](struct sluice_engine *, struct sluice_timer *) {};
	for (size_t i = 0; i < others.size(); i++) {
		others[i] = timer;
		sluice_timer_start(context.engine, &others[i],
				   second * static_cast<int64_t>(1 + i % 3600));
	}
	Counted counted(state);

	for (auto _ : state) {
		sluice_timer_start(context.engine, &timer, second);
		sluice_timer_stop(context.engine, &timer);
	}
}

/* A function posted by the engine's own thread, and the turn that runs it. */
void post_and_turn(benchmark::State &state)
{
	Fixture context;
	Counted counted(state);

	for (auto _ : state) {
		sluice_post(
			context.engine, [](struct sluice_engine *, void *) {}, nullptr);
		sluice_engine_run(context.engine, 0);
	}
}

void print_conditions(int sender_cpu)
{
	struct sluice_options options;
	struct conditions it;

	sluice_options_init(&options, sizeof(options));
	conditions_collect(&it, sender_cpu, &options, &peer);
	for (size_t i = 0; i < it.count; i++)
		benchmark::AddCustomContext(it.all[i].name, it.all[i].value);
	if (Instructions().lacks())
		benchmark::AddCustomContext("instructions", std::string("not counted here: ") +
								    Instructions().lacks());
}

} // namespace

BENCHMARK(init);
BENCHMARK(set_buffer);
BENCHMARK(send_eager);
BENCHMARK(send_batch)->ArgNames({"records", "sockets"})->ArgsProduct({{1, 8, 32, 512, 1024}, {1}});
BENCHMARK(send_batch)->ArgNames({"records", "sockets"})->Args({64, 64})->Args({1000, 1000});
BENCHMARK(start_batched)->UseManualTime();
BENCHMARK(start_from_elsewhere)->UseManualTime();
BENCHMARK(reap)->UseManualTime();
BENCHMARK_TEMPLATE(queue, nothing, modules_enqueue, gather_and_settle)
	->Name("enqueue")
	->UseManualTime();
BENCHMARK_TEMPLATE(queue, modules_enqueue, modules_gather, modules_settle)
	->Name("gather")
	->UseManualTime();
BENCHMARK_TEMPLATE(queue, enqueue_and_gather, modules_settle, nothing)
	->Name("settle")
	->UseManualTime();
BENCHMARK_TEMPLATE(queue, enqueue_and_gather, modules_settle_short, nothing)
	->Name("settle_short")
	->UseManualTime();
BENCHMARK(plan);
BENCHMARK(empty_turn);
BENCHMARK(timer_start_stop)->ArgName("armed")->Arg(0)->Arg(10000);
BENCHMARK(post_and_turn);

int main(int argc, char **argv)
{
	int sender_cpu, receiver_cpu;

	cpus_choose(&sender_cpu, &receiver_cpu);
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 2;
	net_lift_descriptor_limit();
	receiver_start(&peer, RECEIVER_DISCARDS, receiver_cpu, 0);
	net_pin(sender_cpu);
	print_conditions(sender_cpu);
	benchmark::RunSpecifiedBenchmarks();
	receiver_stop(&peer);
	return 0;
}
