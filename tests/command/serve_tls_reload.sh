#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` over TLS: SIGHUP and new certificates.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"
. "$here/serve_tls_common.sh"

echo hello >"$root/hello"
head -c 20000000 /dev/urandom >"$root/large"
certificate first localhost
certificate second localhost
certificate other other.example
mkdir "$certs/new"
use() { # NAME: it becomes the one that is served
	printf '%s\n' "$(<"$certs/$1.pem")" >"$certs/new/a.pem"
	printf '%s\n' "$(<"$certs/$1.key")" >"$certs/new/a.key"
	mv -t "$certs" "$certs/new/a.pem" "$certs/new/a.key"
}
serves() { # NAME: a client that trusts no other certificate accepts the one that is served
	equal hello "$(CURL_CA_BUNDLE=$certs/$1.pem get /hello)"
}
more_reloads() { # THAN
	local count
	count_lines ^Reloaded "$work/start"
	((count > $1))
}
reload() { # waits until it is done
	local count
	count_lines ^Reloaded "$work/start"
	kill -HUP "$server"
	until_it "$patience" more_reloads "$count"
}

use first
start_tls --workers=2
check 'the first certificate' serves first
curl -sS --max-time "$patience" --limit-rate 8M "$url/large" -o "$work/got" &
slow=$!
client_of -sess_out "$work/session" >/dev/null
exec 5> >(openssl s_client -connect "127.0.0.1:$port" -quiet >"$work/held" 2>&1)
printf 'GET /hello?1 HTTP/1.1\r\nHost: h\r\n\r\n' >&5
check 'a connection that stays' until_it "$patience" shows ^hello "$work/held"
use second
check 'a reload' reload
check 'the second certificate' serves second
for i in 1 2 3 4; do # of each worker
	check "also the others ($i)" serves second
done
printf 'GET /hello?2 HTTP/1.1\r\nHost: h\r\n\r\n' >&5
said_twice() {
	local count
	count_lines ^hello "$work/held"
	((count == 2))
}
check 'the connection goes on' until_it "$patience" said_twice
exec 5>&-
check 'what was being sent is whole' eval 'wait $slow; cmp "$work/got" "$root/large"'
check 'a session of before is resumed' matches 'Reused, TLS' "$(client_of -sess_in "$work/session")"

# What is wrong changes nothing but a line.
: >"$work/errors"
cp "$certs/other.key" "$certs/a.key"
check 'a reload with the key of another' reload
check 'is reported' shows 'a\.key: the key does not belong to the certificate' "$work/errors"
check 'in words' shows 'keeping the old certificates' "$work/errors"
check 'and the certificate stays' serves second
rm "$certs/a.pem"
check 'a reload without a file' reload
check 'is reported, too' shows 'a\.pem: No such file' "$work/errors"
check 'the certificate stays again' serves second
check 'new rules are read all the same' eval 'printf "/*\n  X-New: yes\n" >"$root/_headers"; reload &&
	header_is yes x-new /hello'
use first
check 'a reload with a right one' reload
check 'is used' serves first
check 'ends' stop_server

# Under load.
cat >"$work/load.py" <<'END'
"""Connects and asks, again and again, until a file appears; every request has to succeed. A file has
a dot for each. The pauses leave the machine to the server."""
import os, socket, ssl, sys, threading, time
port, authorities, dots, stop = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=authorities)
dots, failed = open(dots, "ab", buffering=0), []

def ask(tls):
    tls.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\nhello\n"):
        piece = tls.recv(65536)
        assert piece, answer
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    dots.write(b".")
    time.sleep(0.005)

def run():
    try:
        while not os.path.exists(stop):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.settimeout(120)
                with context.wrap_socket(raw, server_hostname="localhost") as tls:
                    for _ in range(5):
                        ask(tls)
    except Exception as error:
        failed.append(repr(error))

threads = [threading.Thread(target=run) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed, failed
END
use first
start_tls --workers=2
more_dots() { # THAN
	read -r dots <"$work/dots"
	((${#dots} > $1))
}
under_load() {
	local pid dots= code=0 i names=(first second)
	: >"$work/dots"
	python3 "$work/load.py" "$port" "$certs/all.pem" "$work/dots" "$work/stop" &
	pid=$!
	for i in {1..20}; do
		# More requests than there are threads, so that some began behind the last reload.
		until_it "$patience" more_dots $((${#dots} + 8)) && use "${names[i % 2]}" && reload || code=1
	done
	until_it "$patience" more_dots $((${#dots} + 8)) || code=1
	: >"$work/stop"
	wait "$pid" && echo "${#dots} requests" && return "$code"
}
check 'twenty reloads under load lose no request' under_load
check 'and none was wrong' equal '' "$(cat "$work/errors")"
check 'ends' stop_server
plan
