#!/bin/bash
# SPDX-License-Identifier: MIT
# That bench/idle.py measures what an idle connection costs, on both backends.
set -u

: "${SLUICE_COMMAND:?the path of the command}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/patience.sh"
build=$(cd "$(dirname "$SLUICE_COMMAND")/.." && pwd)
cases=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

check() {
	local name=$1
	shift
	cases=$((cases + 1))
	if "$@" >"$work/output" 2>&1; then
		printf 'ok %d - %s\n' "$cases" "$name"
	else
		printf 'not ok %d - %s\n' "$cases" "$name"
		sed 's/^/# /' "$work/output" | head -n 40
	fi
}

measures() {
	SLUICE_BENCH_DOTNET=/nowhere timeout "$patience" "$here/../../bench/idle.py" --build="$build" --runs=1 \
		--connections=400 --json="$work/idle.json" sluice sluice-epoll kestrel \
		>"$work/said" 2>&1 || {
		cat "$work/said"
		return 1
	}
}

# json EXPRESSION: true of the document d.
json() {
	python3 -S -c '
import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(0 if eval(sys.argv[2]) else "not so: %s of %s" % (sys.argv[2], d))' "$work/idle.json" "$1"
}

check 'idle connections are measured' measures
check 'on both backends' json \
	'[r["name"] for r in d["results"]] == ["sluice", "sluice-epoll"]'
check 'each has private memory with few connections and with many' json \
	'all(s[n]["private"] > 0 for r in d["results"] for s in r["samples"] for n in ("few", "many"))'
check 'the difference is divided by the connections in between' json \
	'all(s["bytes"] * 336 == s["many"]["private"] - s["few"]["private"]
	for r in d["results"] for s in r["samples"])'
check 'what is missing is named' json '[m["name"] for m in d["missing"]] == ["kestrel"]'
check 'with the reason' grep -qE '^kestrel +not measured: it' "$work/said"
# Where few connections are measured, what the server has besides them changes the figure by as much
# as the figure itself; a receive buffer for each connection would still show.
if grep -q __asan_init "$SLUICE_COMMAND"; then
	cases=$((cases + 1))
	echo "ok $cases - no connection keeps a receive buffer # SKIP a sanitizer takes memory, too"
else
	check 'no connection keeps a receive buffer' json 'all(r["bytes"] < 16384 for r in d["results"])'
fi
check 'one pair of starts cannot tell whether the aim is met' grep -q ': cannot tell$' "$work/said"

# said VERDICT BYTES...: this is said of an aim of 2,048 for these samples.
said() {
	local wanted=$1
	shift
	python3 -S -c '
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from interval import interval, verdict
said = verdict(2048, interval([float(sample) for sample in sys.argv[3:]]))
sys.exit(0 if said == sys.argv[2] else f"{said}, not {sys.argv[2]}")' \
		"$here/../../bench" "$wanted" "$@"
}

check 'an aim is met if the whole interval meets it' said met 900 1000 2048 1100 950
check 'missed if the whole interval misses it' said missed 2049 3000 2500 2600 2700
check 'an interval with the aim in it cannot tell' said 'cannot tell' 900 1000 2049 1100 950
check 'nor can too few samples' said 'cannot tell' 900 1000 1100 950
printf '1..%d\n' "$cases"
