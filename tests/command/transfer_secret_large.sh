#!/bin/bash
# SPDX-License-Identifier: MIT
# 2 GiB with a secret, whose sender is killed three times.
. "$(dirname "${BASH_SOURCE[0]}")/transfer_common.sh"

bytes=$((2 << 30))
secret=$work/secret
receiver_security=(--secret="$secret")

if ! "$SLUICE_COMMAND" receive --new-secret="$secret" 2>/dev/null; then
	skip 'a transfer of 2 GiB' 'built without OpenSSL'
	plan
	exit
fi
if [ "$(df --output=avail -B1 "$work" | tail -n 1)" -lt $((3 * bytes)) ]; then
	skip 'a transfer of 2 GiB' 'no room for it'
	plan
	exit
fi

stored() { # bytes of the part
	find "$root" -name '.sluice-*.part' -exec stat -c %s {} + | head -n 1
}

# interrupted BYTES: the sender is killed once the receiver has so many.
interrupted() {
	local sender code=0 held
	"$SLUICE_COMMAND" send --backend="$backend" --secret="$secret" "$files/large" \
		"127.0.0.1:$port" >"$work/sent" 2>"$work/sent-errors" &
	sender=$!
	for _ in $(seq $((patience * 100))); do
		held=$(stored)
		[ "${held:-0}" -lt "$1" ] || break
		kill -0 "$sender" 2>/dev/null || break
		sleep 0.01
	done
	kill -KILL "$sender"
	wait "$sender" || code=$?
	equal 137 "$code" && [ "$(stored)" -ge "$1" ]
}

openssl enc -aes-128-ctr -nosalt -pass pass:large </dev/zero 2>/dev/null | head -c "$bytes" >"$files/large"
[ "$(stat -c %s "$files/large")" -eq "$bytes" ] || head -c "$bytes" /dev/urandom >"$files/large"
start_receiver
for part in 1 2 3; do
	check "the sender is killed after $part/4 of 2 GiB" interrupted $((part * bytes / 4))
done
check 'the fourth attempt sends the rest' sent 0 --secret="$secret" "$files/large" "127.0.0.1:$port"
check 'and only that' says 'large, 2(\.0+)? GiB.*, 1\.[0-9]+ GiB of it before$' "$work/sent"
check 'all of it is as it was' same large
stop_server

plan
