/* SPDX-License-Identifier: MIT */
#include "serve/metrics.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Upper bounds, in microseconds. */
static const uint32_t bounds_us[METRICS_BUCKETS] = {
	50, 100, 250, 500, 1000, 2500, 10000, 50000, 250000, 1000000, 5000000, 30000000,
};

void metrics_init(struct metrics *metrics, bool on)
{
	memset(metrics, 0, sizeof(*metrics));
	metrics->on = on;
	pthread_mutex_init(&metrics->lock, NULL);
}

void metrics_dispose(struct metrics *metrics)
{
	pthread_mutex_destroy(&metrics->lock);
}

uint64_t metrics_now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void metrics_count(struct metrics *metrics, int status, uint64_t body_bytes, uint64_t latency_ns)
{
	struct metrics_counts *counts = &metrics->counts;
	size_t bucket = 0;

	if (status > 0 && status < METRICS_STATUSES)
		counts->by_status[status]++;
	counts->body_bytes += body_bytes;
	counts->latency_ns += latency_ns;
	while (bucket < METRICS_BUCKETS && latency_ns > (uint64_t)bounds_us[bucket] * 1000)
		bucket++;
	counts->buckets[bucket]++;
}

void metrics_publish(struct metrics *metrics)
{
	pthread_mutex_lock(&metrics->lock);
	metrics->published = metrics->counts;
	pthread_mutex_unlock(&metrics->lock);
}

void metrics_add(struct metrics *metrics, struct metrics_counts *sum)
{
	const struct metrics_counts *counts = &metrics->published;

	pthread_mutex_lock(&metrics->lock);
	for (size_t i = 0; i < METRICS_STATUSES; i++)
		sum->by_status[i] += counts->by_status[i];
	for (size_t i = 0; i <= METRICS_BUCKETS; i++)
		sum->buckets[i] += counts->buckets[i];
	sum->body_bytes += counts->body_bytes;
	sum->latency_ns += counts->latency_ns;
	sum->connections += counts->connections;
	sum->open += counts->open;
	sum->refused += counts->refused;
	sum->handshakes += counts->handshakes;
	sum->tls_by_kernel += counts->tls_by_kernel;
	sum->handshakes_resumed += counts->handshakes_resumed;
	sum->handshakes_failed += counts->handshakes_failed;
	sum->cache_entries += counts->cache_entries;
	sum->cache_looks += counts->cache_looks;
	sum->engine.turns += counts->engine.turns;
	sum->engine.enters += counts->engine.enters;
	sum->engine.completions += counts->engine.completions;
	sum->engine.records_completed += counts->engine.records_completed;
	sum->engine.bytes_received += counts->engine.bytes_received;
	sum->engine.sockets += counts->engine.sockets;
	sum->engine.records_sent += counts->engine.records_sent;
	for (size_t i = 0; i < SLUICE_STATISTICS_BUCKETS; i++) {
		sum->engine.turn_completions[i] += counts->engine.turn_completions[i];
		sum->engine.transmission_records[i] += counts->engine.transmission_records[i];
	}
	pthread_mutex_unlock(&metrics->lock);
}

static void write_head(struct buffer *buffer, const char *name, const char *type, const char *help)
{
	buffer_add_format(buffer, "# HELP sluice_%s %s\n# TYPE sluice_%s %s\n", name, help, name,
			  type);
}

static void write_one(struct buffer *buffer, const char *name, const char *type, const char *help,
		      uint64_t value)
{
	write_head(buffer, name, type, help);
	buffer_add_format(buffer, "sluice_%s %" PRIu64 "\n", name, value);
}

static void write_requests(struct buffer *buffer, const struct metrics_counts *counts)
{
	write_head(buffer, "requests_total", "counter", "Responses by status.");
	for (size_t i = 0; i < METRICS_STATUSES; i++) {
		if (counts->by_status[i] > 0)
			buffer_add_format(buffer,
					  "sluice_requests_total{status=\"%zu\"} %" PRIu64 "\n", i,
					  counts->by_status[i]);
	}
}

static void write_ways(struct buffer *buffer, const struct metrics_counts *counts)
{
	write_head(buffer, "tls_connections_total", "counter",
		   "TLS connections by what encrypts: the kernel or the library.");
	buffer_add_format(buffer,
			  "sluice_tls_connections_total{way=\"kernel\"} %" PRIu64
			  "\nsluice_tls_connections_total{way=\"library\"} %" PRIu64 "\n",
			  counts->tls_by_kernel, counts->handshakes - counts->tls_by_kernel);
}

static void write_latencies(struct buffer *buffer, const struct metrics_counts *counts)
{
	uint64_t sum = 0;

	write_head(buffer, "request_duration_seconds", "histogram",
		   "Time from a request until the kernel accepted the whole response.");
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		sum += counts->buckets[i];
		buffer_add_format(buffer,
				  "sluice_request_duration_seconds_bucket{le=\"%g\"} %" PRIu64 "\n",
				  bounds_us[i] / 1e6, sum);
	}
	sum += counts->buckets[METRICS_BUCKETS];
	buffer_add_format(buffer,
			  "sluice_request_duration_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n"
			  "sluice_request_duration_seconds_sum %.9f\n"
			  "sluice_request_duration_seconds_count %" PRIu64 "\n",
			  sum, (double)counts->latency_ns / 1e9, sum);
}

/* A histogram of the engines: element n counts 2^n to 2^(n+1) - 1, the last one also more. */
static void write_powers(struct buffer *buffer, const char *name, const char *help,
			 const uint64_t counts[SLUICE_STATISTICS_BUCKETS], uint64_t sum)
{
	uint64_t count = 0;

	write_head(buffer, name, "histogram", help);
	for (size_t i = 0; i + 1 < SLUICE_STATISTICS_BUCKETS; i++) {
		count += counts[i];
		buffer_add_format(buffer, "sluice_%s_bucket{le=\"%u\"} %" PRIu64 "\n", name,
				  (2u << i) - 1, count);
	}
	count += counts[SLUICE_STATISTICS_BUCKETS - 1];
	buffer_add_format(buffer,
			  "sluice_%s_bucket{le=\"+Inf\"} %" PRIu64 "\nsluice_%s_sum %" PRIu64
			  "\nsluice_%s_count %" PRIu64 "\n",
			  name, count, name, sum, name, count);
}

static void write_engine(struct buffer *buffer, const struct sluice_engine_statistics *engine)
{
	write_one(buffer, "engine_turns_total", "counter", "Event loop turns.", engine->turns);
	write_one(buffer, "engine_enters_total", "counter",
		  "Calls to io_uring_enter or epoll_wait.", engine->enters);
	write_one(buffer, "engine_completions_total", "counter", "Completions from the kernel.",
		  engine->completions);
	write_one(buffer, "engine_operations_total", "counter", "Completed operations.",
		  engine->records_completed);
	write_one(buffer, "engine_received_bytes_total", "counter", "Bytes received.",
		  engine->bytes_received);
	write_one(buffer, "engine_sockets", "gauge", "Open sockets.", engine->sockets);
	write_powers(buffer, "engine_turn_completions",
		     "Completions per turn, without turns that had none.", engine->turn_completions,
		     engine->completions);
	write_powers(buffer, "engine_transmission_records",
		     "Operations completed by one send; the first bucket includes none.",
		     engine->transmission_records, engine->records_sent);
}

void metrics_write(struct buffer *buffer, const struct metrics_counts *counts, size_t workers)
{
	write_requests(buffer, counts);
	write_latencies(buffer, counts);
	write_one(buffer, "response_body_bytes_total", "counter", "Bytes sent in bodies.",
		  counts->body_bytes);
	write_one(buffer, "connections_total", "counter", "Connections accepted.",
		  counts->connections);
	write_one(buffer, "connections_refused_total", "counter",
		  "Connections refused because of a limit, or from untrusted proxies.",
		  counts->refused);
	write_one(buffer, "tls_handshakes_total", "counter", "Successful TLS handshakes.",
		  counts->handshakes);
	write_one(buffer, "tls_handshakes_resumed_total", "counter",
		  "Successful TLS handshakes that resumed a session.", counts->handshakes_resumed);
	write_one(buffer, "tls_handshakes_failed_total", "counter", "Failed TLS handshakes.",
		  counts->handshakes_failed);
	write_ways(buffer, counts);
	write_one(buffer, "connections", "gauge", "Open connections.", counts->open);
	write_one(buffer, "cache_entries", "gauge", "Cached files.", counts->cache_entries);
	write_one(buffer, "cache_looks_total", "counter",
		  "File lookups that the cache could not answer.", counts->cache_looks);
	write_one(buffer, "workers", "gauge", "Workers.", workers);
	write_engine(buffer, &counts->engine);
}
