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
use() { # NAME: it becomes the one that is served
	cp "$certs/$1.pem" "$certs/a.pem.new"
	cp "$certs/$1.key" "$certs/a.key.new"
	mv "$certs/a.pem.new" "$certs/a.pem"
	mv "$certs/a.key.new" "$certs/a.key"
}
served() { # the fingerprint of what is served
	client_of | openssl x509 -noout -fingerprint
}
print() {
	openssl x509 -noout -fingerprint -in "$certs/$1.pem"
}
reload() { # waits until it is done
	local before
	before=$(grep -c '^Reloaded' "$work/start")
	kill -HUP "$server"
	until_it "$patience" eval '[ "$(grep -c "^Reloaded" "$work/start")" -gt '"$before ]"
}

use first
start_tls --workers=2
check 'the first certificate' equal "$(print first)" "$(served)"
curl -sS --max-time "$patience" --limit-rate 8M "$url/large" -o "$work/got" &
slow=$!
client_of -sess_out "$work/session" >/dev/null
exec 5> >(openssl s_client -connect "127.0.0.1:$port" -quiet >"$work/held" 2>&1)
printf 'GET /hello?1 HTTP/1.1\r\nHost: h\r\n\r\n' >&5
check 'a connection that stays' until_it "$patience" grep -q '^hello' "$work/held"
use second
check 'a reload' reload
check 'the second certificate' equal "$(print second)" "$(served)"
for i in 1 2 3 4; do # of each worker
	check "also the others ($i)" equal "$(print second)" "$(served)"
done
printf 'GET /hello?2 HTTP/1.1\r\nHost: h\r\n\r\n' >&5
check 'the connection goes on' until_it "$patience" eval '[ "$(grep -c ^hello "$work/held")" = 2 ]'
exec 5>&-
check 'what was being sent is whole' eval 'wait $slow; cmp "$work/got" "$root/large"'
check 'a session of before is resumed' matches 'Reused, TLS' "$(client_of -sess_in "$work/session")"

# What is wrong changes nothing but a line.
: >"$work/errors"
cp "$certs/other.key" "$certs/a.key"
check 'a reload with the key of another' reload
check 'is reported' grep -q 'a.key: the key does not belong to the certificate' "$work/errors"
check 'in words' grep -q 'keeping the old certificates' "$work/errors"
check 'and the certificate stays' equal "$(print second)" "$(served)"
rm "$certs/a.pem"
check 'a reload without a file' reload
check 'is reported, too' grep -q 'a.pem: No such file' "$work/errors"
check 'the certificate stays again' equal "$(print second)" "$(served)"
check 'new rules are read all the same' eval 'printf "/*\n  X-New: yes\n" >"$root/_headers"; reload &&
	equal yes "$(curl -sSk -D - -o /dev/null "$url/hello" | tr -d "\r" | sed -n "s/^X-New: //p")"'
use first
check 'a reload with a right one' reload
check 'is used' equal "$(print first)" "$(served)"
check 'ends' stop_server

# Under load.
cat >"$work/load.py" <<'END'
"""Connects and asks, again and again, until a file appears; every request has to succeed."""
import os, socket, ssl, sys, threading
port, authorities, stop = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=authorities)
done, failed = [0], []

def ask(tls):
    tls.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\nhello\n"):
        piece = tls.recv(65536)
        assert piece, answer
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200 "), answer

def run():
    try:
        while not os.path.exists(stop):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.settimeout(120)
                with context.wrap_socket(raw, server_hostname="localhost") as tls:
                    for _ in range(5):
                        ask(tls)
                        done[0] += 1
    except Exception as error:
        failed.append(repr(error))

threads = [threading.Thread(target=run) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed, failed
print(done[0])
END
use first
start_tls --workers=2
under_load() {
	local pid
	python3 "$work/load.py" "$port" "$certs/all.pem" "$work/stop" >"$work/count" &
	pid=$!
	for i in $(seq 20); do
		use "$([ $((i % 2)) = 0 ] && echo first || echo second)"
		reload || return 1
	done
	touch "$work/stop"
	wait "$pid" || return 1
	cat "$work/count"
	[ "$(cat "$work/count")" -ge 40 ]
}
check 'twenty reloads under load lose no request' under_load
check 'and none was wrong' equal '' "$(cat "$work/errors")"
check 'ends' stop_server
plan
