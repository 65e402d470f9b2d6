#!/bin/bash
# SPDX-License-Identifier: MIT
# That `sluice bench` runs from end to end: a tiny comparison, its JSON and its page, the exit codes,
# and a slowdown that is built in.
set -u

: "${SLUICE_COMMAND:?the path of the command}"
backend=${SLUICE_BACKEND:-uring}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/patience.sh"
cases=0
work=$(mktemp -d) || exit 1
place=$work # where the command runs
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

# bench CODE ARGUMENT...: it exits with that code; what it said is in $work/said.
bench() {
	local code=$1 status=0
	shift
	(cd "$place" && exec "$SLUICE_COMMAND" bench --backend="$backend" "$@") >"$work/said" 2>&1 || status=$?
	[ "$status" -eq "$code" ] || {
		echo "exit code $status"
		cat "$work/said"
		return 1
	}
}

says() { # PATTERN: an extended regular expression
	local line
	while IFS= read -r line; do
		[[ $line =~ $1 ]] && return
	done <"$work/said"
	echo "nothing like: $1"
	cat "$work/said"
	return 1
}

# One Python for all documents; it says first whether one process may trace another here.
coproc documents {
	exec python3 "$here/bench_documents.py"
}
read -r may_trace <&"${documents[0]}"

ask() { # FILE TEXT RESULT
	local answer
	printf '%s\n' "${@//$'\n'/ }" >&"${documents[1]}"
	read -r answer <&"${documents[0]}"
	[ "$answer" = yes ] || {
		echo "$answer"
		return 1
	}
}

# json FILE EXPRESSION: true of the document d.
json() {
	ask "$1" "$2" ''
}

# edited FROM TO STATEMENTS: a result, changed by statements of Python on the document d and its
# scenarios s.
edited() {
	ask "$1" "$3" "$2"
}

brief=(--sessions=1 --rounds=2 --slice-ms=1)
short=(records-1 "${brief[@]}" --peer=sluice)
tiny=(records-32 --sessions=2 --rounds=4 --slice-ms=1)

check 'a comparison is measured' bench 0 "${tiny[@]}" --peer=gather,send \
	--json="$work/a.json" --html="$work/a.html"
check 'its table names the peers' says 'gather by sendmsg\(2\)'
check 'its conditions are printed' says '^backend +'"$backend"
check 'and its verdict' says '^Against the best hand-written code: ahead in [01] of 1'
check 'the JSON has every sample' json "$work/a.json" \
	'[len(p["wall"]["samples_ns"]) for p in d["scenarios"][0]["peers"]] == [8, 8, 8]'
check 'and ours first, on the backend that was asked for' json "$work/a.json" \
	'd["scenarios"][0]["peers"][0]["name"] == "sluice" and d["conditions"]["backend"] == "'"$backend"'"'
# cubic may be forbidden, to root without its capabilities as well, or not be in the kernel.
check 'sockets have a congestion control that does not pace' json "$work/a.json" \
	'd["conditions"]["congestion"] in ("cubic", "reno")'

# counted NAME FILE EXPRESSION: true of the document d, whose system calls may be counted here.
counted() {
	if [ -n "$may_trace" ]; then
		check "$1" json "$2" "$3"
	else
		cases=$((cases + 1))
		printf 'ok %d - %s # SKIP ptrace(2) is not permitted here\n' "$cases" "$1"
	fi
}

# calls NAME: an expression, the system calls of an operation of that peer.
calls() {
	printf '{p["name"]: p["system_calls"] for p in d["scenarios"][0]["peers"]}["%s"]' "$1"
}

counted 'a gather is one system call for 32 records' "$work/a.json" \
	"abs($(calls gather) - 1 / 32) < 0.005"
counted 'and so are ours' "$work/a.json" "abs($(calls sluice) - 1 / 32) < 0.005"
counted 'by send(2) each record is one' "$work/a.json" "abs($(calls send) - 1) < 0.05"
check 'the page is written' grep -q '<title>sluice bench' "$work/a.html"

check 'an echo is measured' bench 0 echo-64 "${brief[@]}" --peer=epoll \
	--json="$work/echo.json"
check 'with latencies that grow with the percentile' json "$work/echo.json" \
	'all(p["p99"]["ns"]["median"] > 0 and len(p["latency"]) > 4 and
	sorted(x[1] for x in p["latency"]) == [x[1] for x in p["latency"]]
	for p in d["scenarios"][0]["peers"]) and len(d["scenarios"][0]["peers"]) == 2'

counted 'and with the system calls of an answer' "$work/echo.json" "0.2 < $(calls epoll) < 5"

check 'percentiles of all answers are in the table' says \
	'^ +latency, .* p50 +p99 +p99\.9 +p99\.99'
check 'and those of each turn in the JSON' json "$work/echo.json" \
	'all(p["p999"]["ns"]["median"] >= p["p99"]["ns"]["median"] for p in d["scenarios"][0]["peers"])'
check 'a saturated echo is measured' bench 0 echo-saturated-64 "${brief[@]}" \
	--peer=epoll --json="$work/saturated.json"
check 'with the same number of answers, and latencies that grow with the percentile' json \
	"$work/saturated.json" 'len({p["operations_per_sample"] for p in d["scenarios"][0]["peers"]}) == 1 and all(
	len(p["latency"]) > 4 and sorted(x[1] for x in p["latency"]) == [x[1] for x in p["latency"]]
	for p in d["scenarios"][0]["peers"]) and len(d["scenarios"][0]["peers"]) == 2'

check 'what the ring saves is said in words' bench 0 sockets-10 "${brief[@]}" \
	--peer=send,sluice-epoll,sluice-uring
check 'over calls and over epoll, if there is a ring' says \
	'^CPU time of io_uring on this machine: .*send\(2\) for|^ +sluice-uring +'
check 'one buffer to 2,000 sockets is measured, or needs descriptors' bench 0 fan-out-1 "${brief[@]}" \
	--peer=send,libuv --json="$work/fan.json"
check 'with the peak of memory' json "$work/fan.json" \
	'all(p["peak_bytes"] > 100000 for s in d["scenarios"] for p in s["peers"]) and
	(d["scenarios"] or "descriptors" in d["missing"][0]["reason"])'
check 'budgets for waiting are measured' bench 0 wait-budget "${brief[@]}" \
	--peer=sluice-wait-0,sluice-wait-20,sluice-wait-50,epoll --json="$work/waits.json"
check 'beside each other' json "$work/waits.json" '[p["name"] for p in d["scenarios"][0]["peers"]] ==
	["sluice", "sluice-wait-0", "sluice-wait-20", "sluice-wait-50", "epoll"]'
check 'a budget may be given to other scenarios' bench 0 "${short[@]}" --wait-budget-us=50 \
	--json="$work/waits.json"
check 'and is one of the conditions' json "$work/waits.json" 'd["conditions"]["wait_budget_us"] == "50"'

check 'other libraries are measured, or missing' bench 0 records-1 "${brief[@]}" \
	--peer=libuv,asio-epoll,asio-uring,dotnet-send --json="$work/others.json"
counted 'and their system calls counted' "$work/others.json" \
	'all(p["system_calls"] > 0.9 for p in d["scenarios"][0]["peers"])'
check 'servers are measured' bench 0 http-1K "${brief[@]}" --peer=nginx,lighttpd \
	--directory="$work" --json="$work/http.json"
check 'the files of a site are served, or need descriptors' bench 0 http-static "${brief[@]}" \
	--peer=nginx --directory="$work" --json="$work/site.json"
check 'with compressed variants and without' json "$work/site.json" \
	'[s["name"] for s in d["scenarios"]] == ["http-static-plain", "http-static-compressed"] or
	"descriptors" in d["missing"][0]["reason"]'
check 'by ours, and with latencies' json "$work/site.json" \
	'all(s["peers"][0]["name"] == "sluice" and len(s["peers"][0]["latency"]) > 2 for s in d["scenarios"])'
check 'HTTP at a steady rate is measured, or needs descriptors' bench 0 http-paced "${brief[@]}" \
	--peer=nginx --directory="$work" --json="$work/paced.json"
check 'with the rate in the table, if it was' says '^http-paced: .* asks every [0-9.]+ us|descriptors'
# By send(2) each record is a call; sluice may put many into one call of the ring.
least=0
[ "$backend" = epoll ] && least=0.9
counted 'and their system calls counted' "$work/http.json" \
	'all(p["system_calls"] > ('$least' if p["name"] == "sluice" else 0.9)
	for p in d["scenarios"][0]["peers"])'

# What is traced already cannot be traced.
if [ -n "$may_trace" ] && command -v strace >/dev/null; then
	traced() {
		# A leak check traces, too.
		ASAN_OPTIONS=detect_leaks=0 timeout "$patience" strace -f -e trace=none -e signal=none -o /dev/null "$SLUICE_COMMAND" bench \
			--backend="$backend" records-1 "${brief[@]}" \
			--peer=send --json="$work/traced.json" --html="$work/traced.html"
	}
	check 'where system calls cannot be counted the rest is measured' traced
	check 'and they are left out' json "$work/traced.json" \
		'all("system_calls" not in p for p in d["scenarios"][0]["peers"])'
fi

# In memory nothing is cold, and the command says so.
check 'an echo beside cold files is measured' bench 0 hot-beside-cold "${brief[@]}" \
	--peer=epoll --directory="$work"
check 'with files beside it' says '[1-9][0-9]* files a second beside it|stay in memory'

check 'engines on cores of their own are measured' bench 0 engines-1 "${brief[@]}" \
	--peer=send --json="$work/engines.json"
counted 'each record once' "$work/engines.json" \
	'all(('$least' if p["name"] == "sluice" else 0.9) < p["system_calls"] < 1.1
	for p in d["scenarios"][0]["peers"])'
check 'and more of them than there are cores are named as missing' bench 0 engines-16 "${brief[@]}" \
	--peer=send
check 'unless there are so many' says '^engines-16:|^ +engines-16 +needs 16 cores'

check 'a result can be shown again' bench 0 --from="$work/a.json" --html="$work/b.html"
check 'and where the page is' says "^The report: $work/b.html"
check 'as the same page' cmp "$work/a.html" "$work/b.html"
edited "$work/a.json" "$work/renamed.json" 's[0]["name"] = "renamed"'
edited "$work/a.json" "$work/more.json" 's.append(dict(s[0], name="another"))'
edited "$work/a.json" "$work/lonely.json" 's[0]["peers"] = s[0]["peers"][:1]'
check 'runs that have nothing in common are no success' bench 1 --from="$work/a.json" \
	--compare="$work/renamed.json"
check 'and what is missing is named' says '^ +renamed +MISSING'
check 'with the number of what was compared' says '0 scenarios compared, 0 slower, 1 missing'
check 'a scenario that is gone is no success' bench 1 --from="$work/a.json" \
	--compare="$work/more.json"
check 'it is named' says '^ +another +MISSING'
check 'and the others are compared' says '1 scenario compared, 0 slower, 1 missing'
check 'a scenario without a common peer is no success' bench 1 --from="$work/lonely.json" \
	--compare="$work/a.json"
check 'it is named, too' says '^ +records-32 +MISSING: no peer that both runs have'
check 'with itself compared it is silent' bench 0 --from="$work/a.json" --compare="$work/a.json"
check 'and says so' says '1 scenario compared, 0 slower'

# Machines that test have other things to do, too: a loop, whose CPU time hardly depends on them.
steady=(loop --sessions=5 --rounds=15 --slice-ms=3)

# Of what a run was not asked for, nothing is missing in it.
run_before() {
	bench 0 "${steady[@]}" --json="$work/before.json" &&
		edited "$work/before.json" "$work/before.json" 's.append(dict(s[0], name="records-1"))'
}

compares() { # CODE SAYS; other programs may disturb a run, or the one to compare with, but not all
	for _ in {1..10}; do
		bench "$1" "${steady[@]}" --compare="$work/before.json" && says "$2" && return
		(unset SLUICE_BENCH_SPIN && run_before)
	done
	return 1
}

check 'a run to compare with' run_before
check 'the same build once more is silent' compares 0 '1 scenario compared, 0 slower, 0 missing'
export SLUICE_BENCH_SPIN=10
check 'a slowdown of 10 % that was built in is found' compares 1 'SLOWER.* 1\.[01][0-9] times'
unset SLUICE_BENCH_SPIN

check 'scenarios and peers are listed' bench 0 --list
check 'ours on the other backend among them' says '^ +sluice-epoll'
export SLUICE_BENCH_DOTNET=/nowhere
no_kestrel='(its program is not built|there is no dotnet)'
check 'what is missing is listed' bench 0 --list
check 'with the reason' says "^ +kestrel .*; missing: $no_kestrel"
check 'a server is measured' bench 0 http-64K "${brief[@]}" --peer=kestrel \
	--json="$work/http.json"
no_files() {
	[ -z "$(find "$1" -name 'sluice-bench*')" ]
}
interrupted() {
	mkdir "$work/interrupted"
	(cd "$work/interrupted" && exec timeout --signal=INT 0.7 "$SLUICE_COMMAND" bench --backend="$backend" \
		http-1K --sessions=1000 --peer=sluice-epoll) >/dev/null 2>&1
	await no_files "$work/interrupted" && return
	find "$work/interrupted"
	return 1
}
interrupted_over() { # FILE
	timeout --signal=INT 0.7 "$SLUICE_COMMAND" bench --backend="$backend" records-1 \
		--sessions=1000 --directory="$work" --json="$1" >/dev/null 2>&1
	[ $? -ne 0 ]
}
check 'and a missing one is named, with the reason' says "kestrel +$no_kestrel"
check 'what is interrupted leaves no files' interrupted
check 'in the JSON, too' json "$work/http.json" \
	'[m["name"] for x in [d] + d["scenarios"] for m in x.get("missing", [])] == ["kestrel"]'
unset SLUICE_BENCH_DOTNET
check 'help is given' bench 0 --help
check 'an unknown scenario is an error of the command line' bench 2 nothing
check 'so is an unknown peer' bench 2 --peer=nothing records-1
check 'so is a budget that is no number' bench 2 --wait-budget-us=long records-1
check 'so are options that exclude each other' bench 2 --quick --full
check 'a result that is not there is a failure' bench 1 --from="$work/nothing.json"
echo '{"sluice_bench": 1, "scenarios": [' >"$work/broken.json"
check 'so is one that is broken' bench 1 --from="$work/broken.json"
# Measuring a thousand sessions takes longer than this test has.
check 'a page that cannot be written is noticed first' bench 1 records-1 --sessions=1000 --rounds=1000 \
	--html=/nowhere/x.html --json="$work/unwritten.json"
check 'with its name' says '/nowhere/x.html'
check 'and so is JSON that cannot be written' bench 1 records-1 --sessions=1000 --rounds=1000 \
	--json=/nowhere/x.json --html="$work/unwritten.html"
check 'and a result to compare with that is not there' bench 1 records-1 --sessions=1000 \
	--rounds=1000 --compare=/nowhere/x.json
check 'a page that fails later is a failure' bench 1 "${short[@]}" --html=/dev/full \
	--json="$work/kept.json"
check 'and does not lose the JSON' json "$work/kept.json" 'd["scenarios"][0]["name"] == "records-1"'
check 'JSON that fails later is a failure' bench 1 "${short[@]}" --json=/dev/full \
	--html="$work/kept.html"
check 'and does not lose the page' grep -q '</html>' "$work/kept.html"
mkdir "$work/here"
place=$work/here
check 'a run writes its report without being asked' bench 0 "${short[@]}"
check 'as sluice-bench.html, and says so' says '^The report: sluice-bench.html$'
check 'and it is a page' grep -q '</html>' "$place/sluice-bench.html"
rm "$place/sluice-bench.html"
check 'a result that is shown again' bench 0 --from="$work/a.json"
check 'writes no report' test ! -e "$place/sluice-bench.html"
mkdir "$place/sluice-bench.html"
check 'a report that was not asked for, and cannot be written, is no failure' bench 0 "${short[@]}"
check 'but is reported' says '^sluice: sluice-bench.html: Is a directory'
place=$work
echo old >"$work/old.json"
check 'a run that is interrupted' interrupted_over "$work/old.json"
check 'leaves the result that was there' grep -q old "$work/old.json"
check 'so is a file that cannot be written' bench 1 --from="$work/a.json" --html=/nowhere/x.html
check 'a full device is a failure' bench 1 --from="$work/a.json" --html=/dev/full
printf '1..%d\n' "$cases"
