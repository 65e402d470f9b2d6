#!/bin/bash
# SPDX-License-Identifier: MIT
# Timeouts of `sluice send` and `sluice receive`, times of files, and how much peers may let them say.
. "$(dirname "${BASH_SOURCE[0]}")/transfer_common.sh"

head -c 1000000 /dev/urandom >"$files/f"

head -c 30000000 /dev/urandom >"$files/large"

# aside NAME COMMAND...: a case that mostly waits runs beside the others, with a directory of its own.
aside_names=()
aside_pids=()
aside() {
	aside_names+=("$1")
	shift
	(
		work=$work/aside.${#aside_names[@]}
		root=$work/root
		mkdir -p "$root"
		code=0
		"$@" || code=1
		[ -z "$server" ] || stop_server || code=1
		exit "$code"
	) >"$work/aside.${#aside_names[@]}.log" 2>&1 &
	aside_pids+=($!)
}
ended() {
	wait "${aside_pids[$1]}" && return
	cat "$work/aside.$(($1 + 1)).log"
	return 1
}

# Work and pauses that take longer than the timeout of the other end.
pausing() {
	start_receiver --timeout=2 --max-pause=60
	(
		echo one
		sleep 4
		echo two
	) | sent 0 --timeout=2 --name=pausing - "127.0.0.1:$port" &&
		cmp "$root/pausing" <(printf 'one\ntwo\n')
}
slow_receiver() { # FAULT NAME OPTION...
	local name=$2
	preloaded "$1"
	receiver_front=("${front[@]}")
	shift 2
	start_receiver "$@"
	sent 0 --timeout=2 "$files/$name" "127.0.0.1:$port" && same "$name"
}
slow_beginning() { # of a file that is resumed, or of another one
	preloaded "$1"
	receiver_front=("${front[@]}")
	start_receiver
	raw half "$2" >"$work/raw"
	equal 1 "$(parts)" && sent 0 --timeout=2 "$files/f" "127.0.0.1:$port" && same f
}
slow_sender() { # NAME [PART]
	preloaded slow-read
	sender_front=("${front[@]}")
	start_receiver --timeout=2
	[ $# -eq 1 ] || raw half "$files/$1" >"$work/raw"
	equal "$(($# - 1))" "$(parts)" && sent 0 "$files/$1" "127.0.0.1:$port" && same "$1"
}
mkdir "$work/other"
head -c 1000000 /dev/urandom >"$work/other/f"

# Peers that only say that they are at work.
says_wait() { # OPTION...
	start_receiver --once "$@"
	equal 'end ' "$(raw waiting)" && end_receiver 3 && says 'nothing but WAIT' "$work/errors"
}
waits() {
	: >"$work/port"
	timeout 100 python3 -S "$here/transfer_raw.py" 0 answering wait >"$work/port" &
	local receiver=$! code=0 its_port
	await read -r its_port <"$work/port"
	sent 3 --timeout=1 "$files/f" "127.0.0.1:$its_port" &&
		says 'nothing but WAIT' "$work/sent-errors" || code=1
	kill "$receiver" 2>/dev/null
	wait "$receiver" 2>/dev/null
	return "$code"
}
aside 'without an option, a sender that says WAIT alone is given up after eight times the timeout' \
	says_wait --timeout=1
aside 'so is a receiver' waits
aside 'a sender that says WAIT alone is given up after --max-pause' says_wait --timeout=20 --max-pause=1
aside 'a source that pauses is not given up' pausing
aside 'a receiver that writes back for long is not given up' slow_receiver slow-fsync f --sync
aside 'nor one that writes for long' slow_receiver slow-write f
aside 'nor one that writes for long while more arrives' slow_receiver slow-write large
aside 'nor one that reads what it holds for long' slow_beginning slow-read "$files/f"
aside 'nor one that throws away what it held for long' slow_beginning slow-cut "$work/other/f"
aside 'a sender that reads a small file for long is not given up' slow_sender f
aside 'nor one that reads a large file for longer than it sends it' slow_sender large
aside 'nor one that reads for long what the receiver holds' slow_sender f half
for i in "${!aside_names[@]}"; do
	check "${aside_names[$i]}" ended "$i"
done

# The times of files.
start_receiver
dated() { # NAME DATE: a file of this time, which its file system may not have
	echo x >"$files/$1"
	touch -d "$2" "$files/$1"
	sent 0 "$files/$1" "127.0.0.1:$port" &&
		equal "$(stat -c %.9Y "$files/$1")" "$(stat -c %.9Y "$root/$1")"
}
check 'the time 0 is kept' dated epoch @0
check 'a time before 1970 is' dated before @-86400.25
check 'nanoseconds are' dated nanoseconds @1000000000.123456789
echo x | sent 0 --name=now - "127.0.0.1:$port"
check 'a stream has the time at which it came' equal now "$([ "$root/now" -nt "$files/f" ] && echo now)"

# What peers can let a receiver say.
flooded() { # by five peers, who are served one after the other
	local i pids=()
	for i in 1 2 3 4 5; do
		raw flood 600 >"$work/flood.$i" &
		pids+=($!)
	done
	wait "${pids[@]}"
	equal 'bye bye bye bye bye ' "$(cat "$work"/flood.*)"
}
begun=$SECONDS
check 'many files of many peers are refused' flooded
stop_server
few() {
	local lines=$(wc -l <"$work/errors") most=$((20 + 1 + 2 * (SECONDS - begun + 1)))
	[ "$lines" -le "$most" ] || {
		echo "$lines lines, $most allowed"
		return 1
	}
}
check 'with few lines for all of them' few
check 'the others are counted' says '^sluice receive: [0-9]+ messages suppressed$' "$work/errors"
check 'and control characters are not written' says '\.\./\\x1b\[31mflood: ' "$work/errors"

plan
