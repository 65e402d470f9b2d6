#!/bin/bash
# SPDX-License-Identifier: MIT
# Timeouts of `sluice send` and `sluice receive`, times of files, and how much peers may let them say.
. "$(dirname "${BASH_SOURCE[0]}")/transfer_common.sh"

head -c 1000000 /dev/urandom >"$files/f"

# Work and pauses that take longer than the timeout of the other end.
start_receiver --timeout=1 --max-pause=60
pausing() {
	(
		echo one
		sleep 3
		echo two
	) | sent 0 --timeout=1 --name=pausing - "127.0.0.1:$port"
}
check 'a source that pauses is not given up' pausing
check 'and arrives' cmp "$root/pausing" <(printf 'one\ntwo\n')
stop_server
preloaded slow-fsync
receiver_front=("${front[@]}")
start_receiver --sync
receiver_front=()
check 'a receiver that writes back for long is not given up' \
	sent 0 --timeout=1 "$files/f" "127.0.0.1:$port"
check 'and has the file' same f
stop_server

# Peers that only say that they are at work.
start_receiver --timeout=20 --max-pause=1 --once
check 'a sender that says WAIT alone is given up' equal 'end ' "$(raw waiting)"
check 'as a connection that broke' end_receiver 3
check 'and that is said' says 'nothing but WAIT' "$work/errors"
start_receiver --timeout=1 --once
check 'without an option, after eight times the timeout' equal 'end ' "$(raw waiting)"
check 'in the same way' end_receiver 3
waits() {
	: >"$work/port"
	timeout 100 python3 "$here/transfer_raw.py" 0 answering wait >"$work/port" &
	local receiver=$! code=0
	for _ in $(seq 400); do
		[ -s "$work/port" ] && break
		sleep 0.05
	done
	sent 3 --timeout=1 "$files/f" "127.0.0.1:$(head -n 1 "$work/port")" || code=1
	kill "$receiver" 2>/dev/null
	wait "$receiver" 2>/dev/null
	return "$code"
}
check 'so is a receiver' waits
check 'with the same words' says 'nothing but WAIT' "$work/sent-errors"

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
check 'many files are refused' equal 'bye ' "$(raw flood 3000)"
stop_server
few() {
	local lines=$(wc -l <"$work/errors") most=$((20 + 1 + 2 * (SECONDS + 1)))
	[ "$lines" -le "$most" ] || {
		echo "$lines lines, $most allowed"
		return 1
	}
}
check 'with few lines' few
check 'the others are counted' says '^sluice receive: 29[0-9][0-9] messages suppressed$|^sluice receive: [0-9]+ messages suppressed$' "$work/errors"
check 'and control characters are not written' says '\.\./\\x1b\[31mflood: ' "$work/errors"

plan
