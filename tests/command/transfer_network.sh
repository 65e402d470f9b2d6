#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice send` and `sluice receive` whose source, addresses or accept fail.
. "$(dirname "${BASH_SOURCE[0]}")/transfer_common.sh"

head -c 3000000 /dev/urandom >"$files/f"
head -c 3000000 /dev/urandom >"$files/g"

# A sender whose source fails.
start_receiver --bind=127.0.0.1
head -c 10000000 /dev/urandom >"$files/broken"
preloaded read
sender_front=("${front[@]}")
check 'an error of the source is no error of the network' sent 1 "$files/broken" "127.0.0.1:$port"
check 'and names the file' says '/broken: Input/output error' "$work/sent-errors"
preloaded read-beginning
sender_front=("${front[@]}")
echo small >"$files/small"
check 'nor is one of a small file' sent 1 "$files/small" "127.0.0.1:$port"
check 'which names the file, too' says '/small: Input/output error' "$work/sent-errors"
raw half "$files/broken" >"$work/raw"
check 'nor is one of what the receiver holds' sent 1 "$files/broken" "127.0.0.1:$port"
check 'which names the file as well' says '/broken: Input/output error' "$work/sent-errors"
sender_front=()
check 'nor is one of standard input' sent 1 --name=in - "127.0.0.1:$port" </
check 'which is called as it was given' says 'sluice send: -: Is a directory' "$work/sent-errors"
check 'nothing of them is stored' equal '' "$(ls "$root")"
nonblocking() {
	python3 - "$SLUICE_COMMAND" send --backend="$backend" --name=nonblocking - "127.0.0.1:$port" <<'PYTHON'
import os, subprocess, sys, time
readable, writable = os.pipe()
os.set_blocking(readable, False)
sender = subprocess.Popen(sys.argv[1:], stdin=readable)
for part in (b"one ", b"two ", b"three"):
    time.sleep(0.3)
    os.write(writable, part)
os.close(writable)
sys.exit(sender.wait())
PYTHON
}
check 'a standard input that does not block is waited for' nonblocking
check 'and arrives' equal 'one two three' "$(<"$root/nonblocking")"

# A host with two addresses, of which the first does not answer.
cat >"$work/deaf.py" <<'PYTHON'
import socket, sys, time
listener = socket.socket()
listener.bind(("127.0.0.2", int(sys.argv[1])))
listener.listen(0)
kept = []
for _ in range(9):
    client = socket.socket()
    client.settimeout(1)
    kept.append(client)
    try:
        client.connect(listener.getsockname())
    except TimeoutError:
        print("deaf", flush=True)
        time.sleep(200)
print("answers", flush=True)
PYTHON
preloaded two
sender_front=("${front[@]}")
check 'the second address is used if the first one refuses' sent 0 "$files/f" "two:$port"
: >"$work/deaf"
python3 "$work/deaf.py" "$port" >"$work/deaf" 2>&1 &
deaf=$!
for _ in $(seq 600); do
	[ -s "$work/deaf" ] && break
	sleep 0.1
done
if grep -qx deaf "$work/deaf"; then
	check 'and soon if the first one does not answer' \
		sent 0 --timeout=1000 "$files/g" "two:$port"
	check 'over which the file arrives' same g
else
	skip 'and soon if the first one does not answer' 'a full backlog answers here'
fi
kill "$deaf" 2>/dev/null
wait "$deaf" 2>/dev/null
sender_front=()
stop_server

# Errors of accept.
out_of_descriptors() {
	start_receiver
	local most=0
	while [ -e "/proc/$server/fd/$most" ]; do
		most=$((most + 1))
	done
	prlimit --pid "$server" --nofile="$most:" || return
	(
		exec 3<>"/dev/tcp/127.0.0.1/$port"
		for _ in $(seq 200); do
			grep -q 'cannot accept' "$work/errors" && break
			sleep 0.05
		done
	)
	says 'cannot accept: Too many open files' "$work/errors" || return
	prlimit --pid "$server" --nofile=1000: || return
	sent 0 "$files/f" "127.0.0.1:$port"
}
if prlimit --pid $$ --nofile >/dev/null 2>&1; then
	check 'a receiver without descriptors waits for some' out_of_descriptors
	check 'and still ends successfully' stop_server
else
	skip 'a receiver without descriptors waits for some' 'no prlimit'
fi
stays() { # accept fails, again and again
	receiver_front=("${front[@]}")
	start_receiver
	receiver_front=()
	(
		exec 3<>"/dev/tcp/127.0.0.1/$port"
		sleep 0.5
	)
	stop_server
}
if [ "$backend" = epoll ]; then
	for error in ECONNABORTED ENETDOWN EPERM; do
		if denied accept4=$error >"$work/denied" 2>&1; then
			check "an accept that fails with $error does not end it" stays
		else
			skip "an accept that fails with $error does not end it" \
				'seccomp filters are not allowed'
		fi
	done
fi

plan
