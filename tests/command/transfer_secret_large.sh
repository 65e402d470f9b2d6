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

large_file() { # ACTION ARGUMENT...
	timeout "$patience" python3 -S "$here/transfer_large.py" "$@"
}

# interrupted BYTES: the sender is killed once the receiver has so many.
interrupted() {
	local sender code=0
	"$SLUICE_COMMAND" send --backend="$backend" --secret="$secret" "$large" \
		"127.0.0.1:$port" >"$work/sent" 2>"$work/sent-errors" &
	sender=$!
	large_file wait "$root" "$1" "$sender"
	kill -KILL "$sender"
	wait "$sender" || code=$?
	equal 137 "$code" && [ "$(stored)" -ge "$1" ]
}

# In memory a hole is read without a page for it.
memory=$(mktemp -d -p /dev/shm 2>/dev/null) || memory=$files
trap 'rm -rf "$memory"; finish' EXIT
large=$memory/large
large_file write "$large" "$bytes" 2>/dev/null || {
	rm -f "$large"
	large=$files/large
	large_file write "$large" "$bytes"
}
start_receiver
for part in 1 2 3; do
	check "the sender is killed after $part/4 of 2 GiB" interrupted $((part * bytes / 4))
done
check 'the fourth attempt sends the rest' sent 0 --secret="$secret" "$large" "127.0.0.1:$port"
check 'and only that' says 'large, 2(\.0+)? GiB.*, 1\.[0-9]+ GiB of it before$' "$work/sent"
check 'all of it is as it was' large_file compare "$large" "$root/large"
stop_server

plan
