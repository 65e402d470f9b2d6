#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` and what can be watched of it: metrics, and the log as JSON.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

echo hello >"$root/hello"
head -c 100000 /dev/zero >"$root/large"
start_server --metrics=127.0.0.1:0 --workers=2 --access-log="$work/log" --log-format=json
find_metrics
page() {
	curl -sS --max-time "$patience" "$metrics/metrics"
}
reaches() {
	until_it "$patience" eval_is "$1" "$2" || { page; return 1; }
}
eval_is() {
	local value
	find_sample "$1"
	[ "$value" = "$2" ]
}
least() { # NAME LEAST
	local value
	find_sample "$1"
	[ "$value" -ge "$2" ]
}
for _ in 1 2 3; do
	get /hello >/dev/null
done
get /large >/dev/null
get /nothing >/dev/null
status /hello -d x >/dev/null
get /hello -A 'agent "x" \' >/dev/null
check 'health' equal 'ok 200' "$(curl -sS -w '%{http_code}' "$metrics/healthz" | paste -sd' ')"
check 'requests by status' reaches 'sluice_requests_total{status="200"}' 5
check 'others, too' reaches 'sluice_requests_total{status="404"}' 1
check 'and refused methods' reaches 'sluice_requests_total{status="405"}' 1
check 'latencies add up' reaches 'sluice_request_duration_seconds_bucket{le="+Inf"}' 7
check 'the count is the same' reaches sluice_request_duration_seconds_count 7
check 'connections' reaches sluice_connections_total 7
check 'none is left' reaches sluice_connections 0
check 'bytes' least sluice_response_body_bytes_total 100000
check 'the cache' least sluice_cache_looks_total 2
check 'the engine' least sluice_engine_completions_total 7
check 'completions per turn' least 'sluice_engine_turn_completions_bucket{le="+Inf"}' 1
sum_is_completions() { # of one page: each request for it adds to them
	page | awk '$1 == "sluice_engine_completions_total" { all = $2 }
		$1 == "sluice_engine_turn_completions_sum" { sum = $2 }
		END { exit !(sum > 0 && sum == all) }'
}
check 'their sum is the completions' sum_is_completions
check 'operations per send' least 'sluice_engine_transmission_records_bucket{le="1"}' 7
check 'workers' eval_is sluice_workers 2
format() {
	page | python3 -c '
import re, sys
last = {}
for line in sys.stdin:
    if line.startswith("# "):
        assert re.fullmatch(r"# (HELP|TYPE) [a-z_]+ .+\n", line), line
        continue
    match = re.fullmatch(r"([a-z_]+)(\{[a-z]+=\"[^\"]+\"\})? ([0-9.e+-]+)\n", line)
    assert match, line
    if match[1].endswith("_bucket"):
        assert float(match[3]) >= last.get(match[1], 0), line
        last[match[1]] = float(match[3])
'
}
check 'the format is that of Prometheus' format
check 'no file is served there' eval 'url=$metrics answers 404 /hello'
check 'nor anything written' eval 'url=$metrics answers 405 /metrics -d x'
check 'files have no metrics among them' answers 404 /metrics
lines() {
	until_it "$patience" eval '[ "$(wc -l <"$work/log")" -ge 8 ]' || return 1
	python3 - "$work/log" <<-'END'
		import json, sys
		lines = [json.loads(line) for line in open(sys.argv[1])]
		assert not any(l["target"] == "/healthz" for l in lines)
		hello = [l for l in lines if l["target"] == "/hello" and l["status"] == 200]
		assert hello[0]["bytes"] == 6 and hello[0]["client"] == "127.0.0.1", hello
		assert hello[0]["method"] == "GET" and "time" in hello[0]
		assert any(l["user_agent"] == 'agent "x" \\' for l in hello), hello
	END
}
check 'the log is JSON' lines
check 'a format that is none' eval '"$SLUICE_COMMAND" serve --log-format=xml . 2>/dev/null; equal 2 $?'
check 'an address that is none' eval '"$SLUICE_COMMAND" serve --metrics=1.2.3.4:x . 2>/dev/null; equal 2 $?'
check 'ends' stop_server
plan
