#!/bin/bash
# SPDX-License-Identifier: MIT
# Counts costs that time cannot resolve on a noisy machine: the user-space instructions of a record, by
# callgrind, and its system calls, by strace. Both are the difference between two runs of
# bench/count that differ in the number of records, divided by that number.
#
#   bench/instructions.sh [BUILD [WHAT...]]
#
# BUILD is a release build with -Dbench=enabled (build/bench); WHAT is any of
#   records   what a record of each kind costs
#   reaped    the part after the ring has completed a request: from the entry of the turn that finds the
#             completions to the return from the handlers (io_uring only)
#   growth    what a record costs when more sockets have one, or when more are queued on one
#   calls     system calls
#   hpp       an awaited send in C++20, and the same loop in C, each with the caller's own part
# and by default all of them.
#
# Instructions count from the entry of the starting call to the return from the (empty) handler:
# what runs inside sluice_send_async or sluice_send_packets_async, sluice_batch_end and
# sluice_engine_run. The loop around them and set_buffer are the caller's.
#
# SLUICE_BACKEND=uring|epoll chooses the backend. Files are made in the current directory.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$root/build/bench}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- records reaped growth calls hpp
count=$build/bench/count
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export LC_ALL=C LD_BIND_NOW=1

[ -x "$count" ] || {
	echo "$count is missing: meson setup --buildtype=release -Dbench=enabled $build" >&2
	exit 1
}

starting_to_handler="sluice_send_async sluice_send_packets_async sluice_batch_end sluice_engine_run"

# profile FUNCTIONS MODE N [ROUNDS]: runs it under callgrind, which counts what runs inside these
# functions; prints "instructions function".
profile() {
	local functions=$1 function toggles=() out=$work/callgrind
	shift

	for function in $functions; do
		toggles+=("--toggle-collect=$function")
	done
	valgrind --tool=callgrind --callgrind-out-file="$out" --collect-atstart=no "${toggles[@]}" \
		"$count" "$@" >"$work/backend" 2>"$work/valgrind.log" || {
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

# instructions MODE AIM [NAME FUNCTIONS]: the slope between 512 and 1,024 records, and where it comes
# from.
instructions() {
	local name=${3:-$1} functions=${4:-$starting_to_handler}

	profile "$functions" "$1" 512 >"$work/512"
	profile "$functions" "$1" 1024 >"$work/1024"
	awk -v name="$name" -v aim="$2" -v backend="$(cat "$work/backend")" '
		NR == FNR { less[$2] = $1; next }
		{ slope[$2] = ($1 - less[$2]) / 512; sum += slope[$2] }
		END {
			printf "%-16s %-6s %7.1f instructions a record%s\n", name, backend, sum,
				aim == "" ? "" : sprintf(" (aim: at most %d)", aim)
			for (name in slope)
				if (slope[name] > 0.05 || slope[name] < -0.05)
					printf "%31.1f %s\n", slope[name], name | "sort -rn"
		}' "$work/512" "$work/1024"
}

# a_record MODE N: in a batch of N after another, from the difference that more batches make.
a_record() {
	local rounds=$((10000 / $2))
	[ "$rounds" -gt 0 ] || rounds=1

	profile "$starting_to_handler" "$1" "$2" "$rounds" >"$work/less"
	profile "$starting_to_handler" "$1" "$2" $((3 * rounds)) >"$work/more"
	awk -v records=$((2 * rounds * $2)) '
		NR == FNR { less += $1; next }
		{ more += $1 }
		END { printf "%.1f\n", (more - less) / records }' "$work/less" "$work/more"
}

# growth MODE WHAT N...: what a record costs for each N, and the largest factor by which it costs more
# for a greater N than for a smaller one.
growth() {
	local mode=$1 what=$2 n
	shift 2

	for n; do
		echo "$n $(a_record "$mode" "$n")"
	done >"$work/growth"
	awk -v what="$what" -v backend="$(cat "$work/backend")" '
		{
			all = all sprintf("%s %d: %.1f", NR > 1 ? "," : "", $1, $2)
			if (NR == 1 || $2 < least) { least = $2; at = $1 }
			if (NR == 1 || $2 / least > most) { most = $2 / least; from = at; to = $1 }
		}
		END {
			printf "%-16s %-6s instructions a record, by %s:%s\n", "growth", backend, what, all
			printf "%31.2f at most", most
			if (most > 1) printf ", from %d to %d", from, to
			printf " (aim: 1.2)\n"
		}' "$work/growth"
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
			printf "%-16s %7.3f system calls a record;%s\n", mode, sum / 512,
				which == "" ? " none more for 512 records more" : which
		}' "$work/512" "$work/1024"
}

modes="gathered adjacent listed batches eager sockets datagrams datagram header-body files to-the-end"
modes+=" header trailer"

count_records() {
	local mode

	for mode in $modes; do
		case $mode in
		gathered) instructions "$mode" 100 ;;
		eager) instructions "$mode" 200 ;;
		*) instructions "$mode" '' ;;
		esac
	done
}

count_reaped() {
	[ "$("$count" ring 1)" = uring ] || return 0
	instructions ring ''
	instructions ring 60 reaped sluice_engine_run
	instructions ring-batch '' 'reaped, gathered' sluice_engine_run
}

count_growth() {
	growth sockets 'how many sockets have one' 10 100 1000 10000
	growth gathered 'how many are queued on one socket' 1 32 1000 10000 100000
}

count_calls() {
	local mode

	command -v strace >/dev/null || return 0
	for mode in $modes; do
		system_calls "$mode"
	done
}

# whole_program MODE: the instructions of a send, of the library and the caller.
whole_program() {
	local n
	for n in 512 1024; do
		valgrind --tool=callgrind --callgrind-out-file=/dev/null "$count-hpp" "$1" "$n" 2>&1 \
			>/dev/null | awk '/Collected/ { print $4 }'
	done | awk 'NR == 1 { less = $1 } END { printf "%.1f\n", ($1 - less) / 512 }'
}

count_hpp() {
	[ -x "$count-hpp" ] || return 0
	echo "$(whole_program c) $(whole_program await)" | awk '{
		printf "%-16s %7.1f instructions a send in C, %.1f awaited in C++: %.1f more (aim: at most 40)\n",
			"hpp", $1, $2, $2 - $1
	}'
}

for what; do
	case $what in
	records | reaped | growth | calls | hpp) "count_$what" ;;
	*)
		echo "$what: not one of records, reaped, growth, calls and hpp" >&2
		exit 2
		;;
	esac
done
