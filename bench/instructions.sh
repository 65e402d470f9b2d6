#!/bin/bash
# SPDX-License-Identifier: MIT
# Counts what time cannot tell on a noisy machine: the user-space instructions of a record, by
# callgrind, and its system calls, by strace. Both are the difference between two runs of
# bench/count that differ in the number of records, divided by that number.
#
#   bench/instructions.sh [BUILD]     BUILD: a release build with -Dbench=enabled (build/bench)
#
# Instructions count from the entry of the starting call to the return from the (empty) handler:
# what runs inside sluice_send_async or sluice_send_packets_async, sluice_batch_end and
# sluice_engine_run. The loop around them and set_buffer are the caller's.
#
# SLUICE_BACKEND=uring|epoll chooses the backend. Files are made in the current directory.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$root/build/bench}
count=$build/bench/count
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export LC_ALL=C LD_BIND_NOW=1

[ -x "$count" ] || {
	echo "$count is missing: meson setup --buildtype=release -Dbench=enabled $build" >&2
	exit 1
}

# profile MODE N: runs it under callgrind; prints "instructions function", most first.
profile() {
	local out=$work/$1-$2.callgrind

	valgrind --tool=callgrind --callgrind-out-file="$out" --collect-atstart=no \
		--toggle-collect=sluice_send_async --toggle-collect=sluice_batch_end \
		--toggle-collect=sluice_engine_run --toggle-collect=sluice_send_packets_async \
		"$count" "$1" "$2" >"$work/backend" 2>"$work/valgrind.log" || {
		cat "$work/valgrind.log" >&2
		exit 1
	}
	callgrind_annotate --threshold=100 "$out" | awk '
		# 12,345 (67.8%)  file:function [object]
		/\(.*%\)/ && !/PROGRAM TOTALS/ {
			ir = $1; gsub(",", "", ir)
			sub(/^[^)]*\) +/, ""); sub(/ \[.*/, ""); sub(/^.*:/, "")
			sum[$0] += ir
		}
		END { for (name in sum) print sum[name], name }'
}

# instructions MODE AIM: the slope between 512 and 1,024 records, and where it comes from.
instructions() {
	profile "$1" 512 >"$work/512"
	profile "$1" 1024 >"$work/1024"
	awk -v mode="$1" -v aim="$2" -v backend="$(cat "$work/backend")" '
		NR == FNR { less[$2] = $1; next }
		{ slope[$2] = ($1 - less[$2]) / 512; sum += slope[$2] }
		END {
			printf "%-9s %-6s %7.1f instructions a record%s\n", mode, backend, sum,
				aim == "" ? "" : sprintf(" (aim: at most %d)", aim)
			for (name in slope)
				if (slope[name] > 0.05 || slope[name] < -0.05)
					printf "%24.1f %s\n", slope[name], name | "sort -rn"
		}' "$work/512" "$work/1024"
}

# calls MODE N: the system calls of the sender, without its wait for the end of the receiver.
calls() {
	strace -c -U calls,name -e trace=!wait4 -o "$work/strace" "$count" "$1" "$2" >/dev/null
	awk '$1 ~ /^[0-9]+$/ && $2 != "total" { print $1, $2 }' "$work/strace"
}

system_calls() {
	calls "$1" 512 >"$work/512"
	calls "$1" 1024 >"$work/1024"
	awk -v mode="$1" '
		NR == FNR { less[$2] = $1; next }
		{
			more[$2] = $1
			sum += $1 - less[$2]
			if ($1 != less[$2])
				which = which sprintf(" %s %+d", $2, $1 - less[$2])
		}
		END {
			printf "%-9s %7.3f system calls a record;%s\n", mode, sum / 512,
				which == "" ? " none more for 512 records more" : which
		}' "$work/512" "$work/1024"
}

instructions gathered 100
instructions batches ''
instructions eager 200
instructions sockets ''
instructions files ''
instructions datagrams ''
instructions datagram ''
if command -v strace >/dev/null; then
	for mode in gathered batches eager sockets files datagrams datagram; do
		system_calls "$mode"
	done
fi
