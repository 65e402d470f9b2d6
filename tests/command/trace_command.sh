#!/bin/bash
# SPDX-License-Identifier: MIT
# The trace of `sluice serve`, by its option and by the environment.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

printf 'hello world\n' >"$root/hello.txt"

traced_request() { # OPTION...: serves one request, and ends
	start_server "$@"
	get /hello.txt >/dev/null
	kill -TERM "$server"
	wait "$server"
	server=
}

counts() { # AT-LEAST PATTERN FILE
	local count
	count=$(grep -c -- "$2" "$3")
	[ "$count" -ge "$1" ] || {
		printf '%d lines with %s in\n' "$count" "$2"
		head -n 20 "$3"
		return 1
	}
}

is_json() { # FILE: every line
	python3 -c 'import json, sys
for line in open(sys.argv[1]):
	event = json.loads(line)
	assert event["event"] == "lost" or event["time_ns"] > 0, line' "$1"
}

traced_request "--trace=$work/trace"
check 'the trace tells that a connection came' counts 1 ' attach ' "$work/trace"
check 'the trace tells the end of the answer' counts 1 ' settle .* bytes [1-9]' "$work/trace"
check 'the trace tells what the kernel took' counts 1 ' complete .* bytes [1-9]' "$work/trace"
check 'the trace tells the close' counts 1 ' close ' "$work/trace"

traced_request "--trace=$work/trace.json" --workers=2
check 'the trace of two workers is JSON' is_json "$work/trace.json"
check 'it has both engines' counts 1 '"engine":2,' "$work/trace.json"

export SLUICE_TRACE=$work/environment.json
traced_request
check 'the environment turns it on' counts 1 '"event":"settle"' "$work/environment.json"
check 'and it is JSON' is_json "$work/environment.json"

plan
