#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` in time and in numbers: what takes too long ends, what is too many is refused.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

printf 'hello\n' >"$root/hello.txt"
truncate -s 64M "$root/large.bin"
truncate -s 16M "$root/slow.bin"

client() {
	python3 "$here/serve_client.py" "$port" "$@"
}

start_server --idle-timeout=1 --header-timeout=1 --write-timeout=1
# Side by side: each takes as long as its time-out.
timed() { # NAME COMMAND...
	local log=$work/timed.$((++timed_count))
	timed_names[timed_count]=$1
	shift
	"$@" >"$log" 2>&1 &
	timed_pids[timed_count]=$!
}
ended() {
	echo "$(<"$work/timed.$1")"
	wait "${timed_pids[$1]}"
}
# A busy machine may look late, but not each time.
soon() {
	local try
	for try in {1..10}; do
		client no_reader 0.9 2.5 && return
	done
	return 1
}
timed_count=0
timed 'an idle connection ends, not too early' client idle 0.9 "$patience"
timed 'a connection without a request ends' client silent 0.9 "$patience"
timed 'half a request is told 408' client slow_head 0.9 "$patience"
timed 'a request that trickles in is told 408' client trickle 0.9 "$patience"
timed 'a body that does not come ends the connection' client slow_body 0.9 "$patience"
timed 'a client that reads nothing is given up within a second of the time-out' soon
timed 'a client that reads slowly gets all' client slow_reader 4 65536 100000
for ((i = 1; i <= timed_count; i++)); do
	check "${timed_names[$i]}" ended "$i"
done
check 'ends' stop_server

# The kernel accepts megabytes ahead of such a reader, and then nothing for longer than the time-out.
start_server --write-timeout=2
check 'a client that reads very slowly, and steadily, gets all' client slow_reader 7 16384 5000
check 'ends' stop_server

start_server --max-connections=3
check 'a connection too many is told 503' client too_many 3
check 'and one is accepted when another has ended' client too_many 3
check 'ends with connections open' stop_server

# What is being sent when it ends.
refused() {
	! gives hello /hello.txt
}
drain() { # OPTION...
	local status=0 pid
	rm -f "$work/got"
	start_server "$@"
	curl -sS --limit-rate 40M -o "$work/got" "$url/large.bin" &
	pid=$!
	until_it "$patience" test -s "$work/got"
	kill -TERM "$server"
	until_it "$patience" refused || { echo 'it still accepts'; status=1; }
	wait "$pid" || status=1
	wait "$server" || { status=1; cat "$work/errors"; }
	server=
	cmp "$work/got" "$root/large.bin" || status=1
	return "$status"
}
check 'what is being sent is finished' drain
check 'what is being sent is finished, by two workers' drain --workers=2

abandon() { # LEAST MOST SECOND-SIGNAL OPTION...
	local least=$1 most=$2 second=$3 before after status=0
	shift 3
	start_server "$@"
	rm -f "$work/holding"
	python3 "$here/serve_client.py" "$port" hold >"$work/holding" 2>/dev/null &
	local pid=$!
	until_it "$patience" test -s "$work/holding"
	before=${EPOCHREALTIME/./}
	kill -TERM "$server"
	[ -z "$second" ] || { until_it "$patience" refused; kill -"$second" "$server"; }
	wait "$server" || { status=1; cat "$work/errors"; }
	after=${EPOCHREALTIME/./}
	server=
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	echo "it took $(((after - before) / 1000)) ms"
	[ $((after - before)) -ge "${least}000" ] && [ $((after - before)) -le "${most}000" ] &&
		return "$status"
}
check 'but not longer than allowed' abandon 900 60000 '' --drain=1
check 'nor at all when not allowed' abandon 0 60000 '' --drain=0
check 'nor when told twice' abandon 0 60000 TERM --drain=600

plan
