/* SPDX-License-Identifier: MIT */
/*
 * User-space instructions in addition to time, if the machine counts them: virtual machines often
 * do not. The counters of google-benchmark require a build with libpfm.
 */
#ifndef BENCH_MICRO_COUNTED_H
#define BENCH_MICRO_COUNTED_H

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <benchmark/benchmark.h>

/* Of the thread that creates it, between on() and off(). */
class Instructions
{
      public:
	Instructions()
	{
		struct perf_event_attr attributes = {};

		attributes.size = sizeof(attributes);
		attributes.type = PERF_TYPE_HARDWARE;
		attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
		attributes.disabled = 1;
		attributes.exclude_kernel = 1;
		attributes.exclude_hv = 1;
		fd = static_cast<int>(
			syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
		error = fd < 0 ? errno : 0;
	}

	~Instructions()
	{
		if (fd >= 0)
			close(fd);
	}

	Instructions(const Instructions &) = delete;
	Instructions &operator=(const Instructions &) = delete;

	void on() const
	{
		if (fd >= 0)
			ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	}

	void off() const
	{
		if (fd >= 0)
			ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	}

	/* So far; < 0: not available. */
	double count() const
	{
		uint64_t value = 0;

		if (fd < 0 || read(fd, &value, sizeof(value)) != sizeof(value))
			return -1;
		return static_cast<double>(value);
	}

	/* Why not, or NULL. */
	const char *lacks() const
	{
		return error ? std::strerror(error) : nullptr;
	}

      private:
	int fd;
	int error;
};

/* Reports them per iteration. */
inline void show_instructions(benchmark::State &state, double count)
{
	if (count >= 0)
		state.counters["instructions"] =
			benchmark::Counter(count, benchmark::Counter::kAvgIterations);
}

/* Counts a whole loop during its lifetime. */
class Counted
{
      public:
	explicit Counted(benchmark::State &its_state) : state(its_state)
	{
		instructions.on();
	}

	~Counted()
	{
		instructions.off();
		show_instructions(state, instructions.count());
	}

      private:
	benchmark::State &state;
	Instructions instructions;
};

/* Counts only what happens between begin() and end(): its time and instructions. */
class Step
{
      public:
	explicit Step(benchmark::State &its_state) : state(its_state)
	{
	}

	~Step()
	{
		show_instructions(state, instructions.count());
	}

	void begin()
	{
		instructions.on();
		since = std::chrono::steady_clock::now();
	}

	void end()
	{
		auto now = std::chrono::steady_clock::now();

		instructions.off();
		state.SetIterationTime(std::chrono::duration<double>(now - since).count());
	}

      private:
	benchmark::State &state;
	Instructions instructions;
	std::chrono::steady_clock::time_point since;
};

#endif
