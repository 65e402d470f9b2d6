#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` with a log, or messages, that nothing reads: answers and the end do not wait.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

printf 'hello\n' >"$root/hello.txt"

# flood PORT COUNT: so many answers, each of which has a line of nearly 2 KiB in the log.
flood() {
	python3 - "$@" <<'EOF'
import socket
import sys

port, count = int(sys.argv[1]), int(sys.argv[2])
request = (b"GET /hello.txt?" + b"q" * 200 + b" HTTP/1.1\r\nHost: h\r\nReferer: " + b"\x80" * 200 +
           b"\r\nUser-Agent: " + b"\x80" * 200 + b"\r\n\r\n") * 50
for _ in range(count // 50):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        data = b""
        while more := client.recv(1 << 20):
            data += more
        if data.count(b"HTTP/1.1 200 OK") != 50:
            sys.exit("not all were answered: %r" % data[-200:])
EOF
}

# fill FIFO: until nothing more fits; it is open at descriptor 9 then, so that it has a reader.
fill() {
	exec 9<>"$1"
	dd if=/dev/zero of="$1" bs=65536 oflag=nonblock status=none 2>/dev/null
	dd if=/dev/zero of="$1" bs=1 oflag=nonblock status=none 2>/dev/null
	:
}

# says PATTERN: on the standard error, in a while.
says() {
	for _ in $(seq 300); do
		grep -qE "$1" "$work/errors" && return
		sleep 0.1
	done
	cat "$work/errors"
	return 1
}

mkfifo "$work/log"
exec 8<>"$work/log"
start_server --access-log="$work/log"
check 'answers do not wait for a log that nothing reads' flood "$port" 6000
check 'nor do later ones' answers 200 /hello.txt
cat <&8 >"$work/lines" &
reader=$!
flood "$port" 50
check 'the number of dropped lines is told once lines can be written again' \
	says '^sluice: the access log: [0-9]+ lines were dropped'
check 'it ends' ends 30 TERM
sleep 0.2
kill "$reader"
wait "$reader" 2>/dev/null
dropped=$(sed -n 's/^sluice: the access log: \([0-9]*\) lines.*/\1/p' "$work/errors" |
	awk '{ all += $1 } END { print all }')
check 'no line is lost without being counted, and none is torn' equal 6051 \
	$(($(grep -c '^127.* HTTP/1.1" 200 6 "[\\x80]*" "[\\x80]*"$\|"bash"$' "$work/lines") + dropped))

start_server --access-log="$work/log" --drain=1
flood "$port" 6000
check 'it ends while nothing reads the log' ends 30 TERM
exec 8<&-

rm "$work/log"
mkfifo "$work/log"
start_server --access-log="$work/log"
check 'it starts without a reader of its log' answers 200 /hello.txt
exec 8<"$work/log"
cat <&8 >"$work/lines" &
reader=$!
exec 8<&-
check 'and ends' ends 30 TERM
wait "$reader"
check 'a reader that comes later gets the lines' grep -q 'GET /hello.txt HTTP/1.1" 200' "$work/lines"

ln -s /dev/full "$work/full"
start_server --access-log="$work/full"
check 'a full disk stops no answer' flood "$port" 500
check 'it ends with a full disk' ends 30 TERM
check 'and tells how many lines were dropped' says 'the access log: 500 lines were dropped'

"$SLUICE_COMMAND" serve --port=0 --access-log="$work/no/log" "$root" 2>"$work/refused"
check 'a log that cannot be opened is named' equal "1 sluice: $work/no/log: No such file or directory" \
	"$? $(cat "$work/refused")"

# The daemon's own lines go nowhere, and the log with them.
port_of() { # PID: where it listens, from /proc
	python3 - "$1" <<'EOF'
import os
import sys

sockets = set()
for fd in os.listdir("/proc/%s/fd" % sys.argv[1]):
    try:
        sockets.add(os.readlink("/proc/%s/fd/%s" % (sys.argv[1], fd)))
    except OSError:
        pass
for line in open("/proc/net/tcp"):
    fields = line.split()
    if fields[3] == "0A" and "socket:[%s]" % fields[9] in sockets:
        print(int(fields[1].split(":")[1], 16))
EOF
}
mute() { # OPTION...: everything that it prints goes into a full pipe
	rm -f "$work/mute"
	mkfifo "$work/mute"
	fill "$work/mute"
	"$SLUICE_COMMAND" serve --port=0 --backend="$backend" "$@" "$root" \
		>"$work/mute" 2>"$work/mute" 9>&- &
	server=$!
	for _ in $(seq 200); do
		port=$(port_of "$server")
		[ -z "$port" ] || break
		sleep 0.05
	done
	url=http://127.0.0.1:$port
}
mute --access-log
check 'it serves although nothing reads what it prints' flood "$port" 200
check 'and ends' ends 30 TERM
mute --drain=60
check 'it serves without a log, too' answers 200 /hello.txt
check 'and ends at once when told twice' ends 30 TERM TERM
exec 9<&-

plan
