#!/bin/bash
# SPDX-License-Identifier: MIT
# Transfers that break, and go on; receivers that end, have no room, or say what is not so.
. "$(dirname "${BASH_SOURCE[0]}")/transfer_common.sh"

head -c 20000000 /dev/urandom >"$files/large"
head -c 20000000 /dev/urandom >"$files/other"

# A sender that breaks off.
start_receiver --once
check 'half a file is received' equal 'have 0 end ' "$(raw half "$files/large")"
check 'and the receiver says that it broke' end_receiver 3
check 'what came is kept' equal 1 "$(parts)"
check 'under no name of its own' equal missing "$([ -e "$root/large" ] || echo missing)"
start_receiver
check 'sending again succeeds' sent 0 "$files/large" "127.0.0.1:$port"
check 'goes on where it was' says '^sent .*large, 19.0 MiB .*, 9.5 MiB of it before$' "$work/sent"
check 'and the whole is right' same large
check 'nothing else is left' equal 0 "$(parts)"

# What is held is not what is sent.
rm -f "$root/large"
raw half "$files/large" >"$work/raw"
cp "$files/other" "$work/large"
check 'another file of that name is sent' sent 0 "$work/large" "127.0.0.1:$port"
check 'from its beginning' equal '' "$(grep before "$work/sent")"
check 'and is right' cmp "$work/large" "$root/large"
rm -f "$root/large"
raw half "$files/large" >"$work/raw"
check 'with --restart, all of it again' sent 0 --restart "$files/large" "127.0.0.1:$port"
check 'from its beginning too' equal '' "$(grep before "$work/sent")"
check 'which is right' same large
rm -f "$root/large"
raw half "$files/large" >"$work/raw"
head -c 5000000 "$files/large" >"$work/large"
check 'a file that is shorter than what is held' sent 0 "$work/large" "127.0.0.1:$port"
check 'arrives as it is' cmp "$work/large" "$root/large"

# Far beyond 32 bits. The bytes in front are no bytes on the disk, but they are read, and that takes
# its time.
sparse_part() { # a part of 3 GiB of nothing, under the name that a broken transfer leaves
	printf '12345678' >"$work/sparse"
	raw half "$work/sparse" >"$work/raw" || return
	truncate -s 0 "$root"/.sluice-*.part && truncate -s 3221225472 "$root"/.sluice-*.part
}
if [ -n "${SLUICE_TEST_LARGE-}" ]; then
	truncate -s 3221225472 "$files/sparse"
	printf 'tail' >>"$files/sparse"
	check 'a part of 3 GiB is there' sparse_part
	check 'what is beyond it is sent' sent 0 --timeout=100 "$files/sparse" "127.0.0.1:$port"
	check 'and no more' says '3.0 GiB of it before' "$work/sent"
	check 'the file has its length' equal 3221225476 "$(stat -c %s "$root/sparse")"
	check 'and its end' equal tail "$(tail -c 4 "$root/sparse")"
	rm -f "$files/sparse" "$root/sparse"
else
	skip 'what is beyond 3 GiB is sent' 'takes its time: set SLUICE_TEST_LARGE'
fi
stop_server

# A receiver that is killed.
half_of_it() {
	local part=("$root"/.sluice-*.part)
	[ -e "${part[0]}" ] && [ "$(stat -c %s "${part[0]}")" -eq 10000000 ]
}
killed() {
	start_receiver
	raw_each hold "$files/other" >"$work/held" &
	local holder=$!
	await half_of_it
	kill -KILL "$server"
	wait "$server" 2>/dev/null
	server=
	wait "$holder"
	equal 1 "$(parts)"
}
rm -f "$root/other"
check 'a receiver that is killed leaves what came' killed
start_receiver
check 'which the next one goes on with' sent 0 "$files/other" "127.0.0.1:$port"
check 'from there' says ', 9.5 MiB of it before' "$work/sent"
check 'and right' same other

# A receiver that stands still, and one that goes in the middle.
rm -f "$root"/*
standing_still() {
	kill -STOP "$server"
	sent 3 --timeout=1 "$files/large" "127.0.0.1:$port" &&
		says 'timed out: no progress' "$work/sent-errors"
}
check 'a receiver that stands still is given up' standing_still
connected() { # state 01 in the kernel's table of connections
	grep -qE "^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:$(printf %04X "$port") 01 " /proc/net/tcp
}
goes() {
	"$SLUICE_COMMAND" send --backend="$backend" "$files/large" "$files/other" "127.0.0.1:$port" \
		>"$work/sent" 2>"$work/sent-errors" &
	local sender=$! code=0
	await connected
	kill -KILL "$server"
	wait "$server" 2>/dev/null
	server=
	wait "$sender" || code=$?
	equal 3 "$code" && says 'other: not sent' "$work/sent-errors"
}
check 'a receiver that goes in the middle is missed' goes
start_receiver --once
stopped() {
	: >"$work/held"
	raw_each hold "$files/other" >"$work/held" &
	local holder=$!
	await says held "$work/held"
	kill -TERM "$server"
	wait "$holder"
	equal $'have 0\nheld\nresult 8' "$(<"$work/held")"
}
check 'a receiver that is told to end says so' stopped
check 'and what it did not get' end_receiver 3

# No room.
fresh
no_room() { # ARGUMENT...: to a receiver whose files may have 3 MiB
	(
		ulimit -f 3072
		exec "$SLUICE_COMMAND" receive --once --backend="$backend" --output="$root" 0 \
			>"$work/start" 2>"$work/errors"
	) &
	server=$!
	await listens
	sent 4 "$@" "127.0.0.1:$port" && says 'no space left' "$work/sent-errors" && end_receiver 1
}
: >"$work/start"
check 'a file for which there is no room is refused in its middle' no_room "$files/large"
input_without_room() {
	no_room - <"$files/large"
}
: >"$work/start"
check 'and standard input is' input_without_room
start_receiver --max-size=1M
check 'a file that is too large is refused' sent 4 "$files/large" "127.0.0.1:$port"
too_much_input() {
	sent 4 --name=input - "127.0.0.1:$port" <"$files/large"
}
check 'standard input that grows too large too' too_much_input
check 'of neither a file came to be' equal '' "$(ls "$root")"
check 'nor is a part left' equal 0 "$(parts)"
stop_server

# Checksums.
start_receiver
rm -f "$root"/.sluice-*
check 'a wrong checksum is found' equal 'have 0 result 5 bye ' "$(raw wrong mismatch)"
check 'a wrong length too' equal 'have 0 result 5 ' "$(raw short mismatch)"
check 'and nothing of it is kept' equal '0 0' "$(parts) $(ls "$root" | wc -l)"
stop_server

# Receivers that lie.
check 'a mismatch that the receiver reports' answered 5 5 'checksum' "$files/large"
check 'a refusal that it reports' answered 1 4 'file already exists' "$files/large"
check 'with its words made harmless' says 'exists: \\x1b\[31mred' "$work/sent-errors"
check 'a code that is not known' answered 77 4 'refuses' "$files/large"
check 'another version' answered version 6 'another version' "$files/large"
check 'no answer' answered close 3 'closed|reset' "$files/large"
check 'nonsense' answered nonsense 3 'does not speak' "$files/large"
check 'an offset beyond the file' answered far 3 'does not speak' "$files/large"

plan
