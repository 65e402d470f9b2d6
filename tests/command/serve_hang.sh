#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` above a file system that hangs: other files are served, and it ends when told to.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

mkdir -p "$root/hung/deep/er" "$root/sound/deep"
for i in {1..40}; do
	echo "$i" >"$root/hung/$i"
	echo "$i" >"$root/hung/deep/er/$i"
	echo "$i" >"$root/sound/$i"
	echo "$i" >"$root/sound/deep/$i"
	echo "$i" >"$root/$i"
done
mkdir "$root/sound/hung"
echo deep >"$root/sound/hung/1"

real=$SLUICE_COMMAND

# hanging VARIABLES: the daemon's file system hangs while $work/hang exists.
hanging() {
	: >"$work/hang"
	preloaded "$work/command" "$1 SERVE_HANG=hung SERVE_HANG_WHILE='$work/hang'"
	SLUICE_COMMAND=$work/command
}

# ask PATH...: a client that waits for all of them at once, in the background.
client=
ask() {
	python3 - "$port" "$@" >"$work/got" 2>/dev/null <<'EOF' &
import socket
import sys

clients = []
for path in sys.argv[2:]:
    clients.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
    clients[-1].sendall(b"GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % path.encode())
print("asked", flush=True)
for client in clients:
    data = b""
    while more := client.recv(1 << 16):
        data += more
    print(data.rpartition(b"\r\n\r\n")[2].decode().strip())
EOF
	client=$!
	until_it 60 shows asked "$work/got"
}
asked() { # until the client is gone
	wait "$client"
}

# all_sound DIRECTORY FIRST LAST: each of these files, none of which is in the cache.
all_sound() {
	local i
	for ((i = $2; i <= $3; i++)); do
		gives "$i" "$1$i" || return 1
	done
}

count_threads() { # sets $threads
	local tasks=("/proc/$server/task/"*)
	threads=${#tasks[@]}
}

one_kind() { # NAME VARIABLES
	hanging "$2"
	start_server --write-timeout=3000
	count_threads
	before=$threads
	ask /hung/{1..40} /hung/deep/er/{1..40} /sound/hung/1
	pause 0.5
	check "files beside a directory that hangs are served ($1)" all_sound /sound/ 1 5
	check "in the root as well ($1)" all_sound / 1 5
	check "and beside one further down ($1)" all_sound /sound/deep/ 1 5
	count_threads
	check "a hundred looks that hang have few threads ($1)" test "$threads" -le $((before + 16))
	rm "$work/hang"
	asked
	check "what hung is served when it goes on ($1)" \
		equal "$(printf '%s\n' asked {1..40} {1..40} deep)" "$(<"$work/got")"
	check "ends with threads that hung once ($1)" ends 30 TERM

	hanging "$2"
	start_server --drain=1 --write-timeout=3000
	ask /hung/{1..40}
	pause 0.5
	check "ends after --drain while looks hang ($1)" ends 30 TERM
	asked
	start_server --drain=300 --write-timeout=3000 --workers=2
	ask /hung/{1..40}
	pause 0.5
	check "ends at once when told twice while looks hang ($1)" ends 30 TERM TERM
	asked
	start_server --lookup-threads=2 --write-timeout=3000
	ask /hung/1 /hung/2 /hung/3
	pause 0.5
	check "two threads are enough for a directory that hangs and the others ($1)" \
		all_sound /sound/ 1 5
	check "ends when told twice with two threads ($1)" ends 30 TERM TERM
	asked
	rm -f "$work/hang"
}

one_kind openat2 ''
one_kind 'without openat2' 'SERVE_NO_OPENAT2=1'

# A directory takes a bounded number of requests.
hanging ''
start_server --write-timeout=3000
crowd() {
	python3 - "$port" <<'EOF'
import socket
import sys

# Enough that some are refused, and fewer than descriptors that every user has.
clients = []
for i in range(600):
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60)
    client.sendall(b"GET /hung/x%d HTTP/1.1\r\nHost: h\r\n\r\n" % i)
    clients.append(client)
answer = clients[-1].recv(100)
if b" 503 " not in answer:
    sys.exit("the last was not refused: %r" % answer)
EOF
}
check 'more requests than may wait for a directory that hangs are refused' crowd
check 'others are served then' all_sound /sound/ 1 5
check 'ends with many that wait' ends 30 TERM TERM

plan
