#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` behind proxies, and its limits of clients.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

echo hello >"$root/hello"
head -c 1000000 /dev/zero >"$root/large"
cat >"$work/raw.py" <<'END'
"""Sends bytes, perhaps in pieces, and prints the first line of the answer. It stays HOLD seconds."""
import os, socket, sys, time
address, pieces = sys.argv[1], [eval("b'" + a + "'") for a in sys.argv[2:]]
if address.startswith("/"):
    client = socket.socket(socket.AF_UNIX)
    client.connect(address)
else:
    client = socket.create_connection(("127.0.0.1", int(address)), source_address=(
        os.environ.get("FROM", "127.0.0.1"), 0))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
client.settimeout(120)
try:
    for piece in pieces:
        client.sendall(piece)
        time.sleep(0.05)
    print(client.recv(65536).split(b"\r\n")[0].decode() or "closed", flush=True)
    if "HOLD" in os.environ:
        time.sleep(int(os.environ["HOLD"]))
except (ConnectionResetError, BrokenPipeError):
    print("closed")
END
raw() { # PIECE...: the first line of the answer; from the address $FROM, if there is one
	local line piece
	if [[ -n ${FROM-} || $* == *'\x00'* ]]; then
		python3 "$work/raw.py" "$port" "$@"
		return
	fi
	exec {connection}<>"/dev/tcp/127.0.0.1/$port"
	for piece; do
		printf -v piece %b "$piece"
		send_text "$piece" "$connection"
		[ $# = 1 ] || pause 0.05
	done
	read -rt "$patience" -u "$connection" line 2>/dev/null
	exec {connection}>&-
	line=${line%$'\r'}
	echo "${line:-closed}"
}
in_log() {
	local line
	while read -r line; do
		[[ $line != "$1 "*"GET $2 "* ]] || return 0
	done <"$work/log"
	return 1
}
logged() { # CLIENT PATH
	until_it "$patience" in_log "$@" || { cat "$work/log"; return 1; }
}
ask() { # PATH
	printf 'GET %s HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n' "$1"
}
v2='\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\x04\xd2\x00P'

start_server --proxy-protocol --access-log="$work/log"
check 'version 1' equal 'HTTP/1.1 200 OK' "$(raw "PROXY TCP4 192.0.2.1 127.0.0.1 1 2\\r\\n$(ask '/hello?1')")"
check 'is logged' logged 192.0.2.1 '/hello?1'
check 'version 2' equal 'HTTP/1.1 200 OK' "$(raw "$v2$(ask '/hello?2')")"
check 'is logged, too' logged 192.0.2.7 '/hello?2'
check 'in pieces' equal 'HTTP/1.1 200 OK' "$(raw 'PRO' 'XY TCP6 2001:db8::1 ::1 1 2\r' '\n' "$(ask '/hello?3')")"
check 'is logged as well' logged 2001:db8::1 '/hello?3'
check 'a check of the proxy itself' equal 'HTTP/1.1 200 OK' "$(raw "PROXY UNKNOWN\\r\\n$(ask '/hello?4')")"
check 'is from the proxy' logged 127.0.0.1 '/hello?4'
check 'no header closes' equal closed "$(raw "$(ask /hello)")"
check 'a wrong one closes' equal closed "$(raw "PROXY TCP4 forged 127.0.0.1 1 2\\r\\n$(ask /hello)")"
check 'X-Forwarded-For is not believed' equal 200 "$(curl -sS --haproxy-protocol -o /dev/null \
	-w '%{http_code}' -H 'X-Forwarded-For: 203.0.113.1' "$url/hello?5")"
check 'of nobody' logged 127.0.0.1 '/hello?5'
check 'ends' stop_server

# With --trust-proxy, a header of another address is not believed.
named() { # CLIENT PATH
	printf 'PROXY TCP4 %s 127.0.0.1 1 2\\r\\n%s' "$1" "$(ask "$2")"
}
start_server --proxy-protocol --trust-proxy=127.0.0.2 --bind=127.0.0.1 --bind="unix:$work/socket" \
	--metrics=127.0.0.1:0 --access-log="$work/log"
find_metrics
check 'a trusted proxy names its client' equal 'HTTP/1.1 200 OK' "$(FROM=127.0.0.2 raw "$(named 192.0.2.9 '/hello?t1')")"
check 'who is logged' logged 192.0.2.9 '/hello?t1'
check 'another address is closed' equal closed "$(raw "$(named 192.0.2.9 '/hello?t2')")"
check 'also with version 2' equal closed "$(raw "$v2$(ask '/hello?t2')")"
check 'also without a header' equal closed "$(raw "$(ask '/hello?t2')")"
reported_once() {
	equal "sluice: connection from 127.0.0.1: closed: only addresses of --trust-proxy may send a PROXY header" \
		"$(<"$work/errors")"
}
check 'which is reported once' until_it "$patience" reported_once
refused() { # LEAST
	local value
	find_sample sluice_connections_refused_total
	[ "$value" -ge "$1" ]
}
check 'and counted' refused 3
check 'a UNIX socket is believed' equal 'HTTP/1.1 200 OK' \
	"$(python3 "$work/raw.py" "$work/socket" "$(named 192.0.2.10 '/hello?t3')")"
check 'its client is logged' logged 192.0.2.10 '/hello?t3'
check 'the metrics need no header' eval 'url=$metrics gives ok /healthz'
check 'ends' stop_server
check 'no request of another was answered' eval '! shows t2 "$work/log"'

start_server --trust-proxy=127.0.0.0/8 --trust-proxy=10.0.0.0/8 --access-log="$work/log"
get '/hello?x1' -H 'X-Forwarded-For: 203.0.113.1' >/dev/null
check 'X-Forwarded-For of a trusted proxy' logged 203.0.113.1 '/hello?x1'
get '/hello?x2' -H 'X-Forwarded-For: 198.51.100.1, 203.0.113.2, 10.1.2.3' >/dev/null
check 'the last that is not trusted' logged 203.0.113.2 '/hello?x2'
get '/hello?x3' -H 'Forwarded: for="[2001:db8::7]:80";proto=https' -H 'X-Forwarded-For: 1.1.1.1' >/dev/null
check 'Forwarded comes first' logged 2001:db8::7 '/hello?x3'
get '/hello?x4' -H 'X-Forwarded-For: <script>' >/dev/null
check 'what is no address is not logged' logged 127.0.0.1 '/hello?x4'
check 'ends' stop_server

start_server --trust-proxy=10.0.0.0/8 --access-log="$work/log"
get '/hello?y1' -H 'X-Forwarded-For: 203.0.113.1' >/dev/null
check 'others are not believed' logged 127.0.0.1 '/hello?y1'
check 'ends' stop_server

# Limits.
start_server --max-connections-per-address=2 --workers=2
exec 5<>"/dev/tcp/127.0.0.1/$port" 6<>"/dev/tcp/127.0.0.1/$port"
# Both are accepted before a third one comes: they have answers.
for descriptor in 5 6; do
	send_text $'GET /hello HTTP/1.1\r\nHost: h\r\n\r\n' "$descriptor"
	read -r line <&"$descriptor"
done
check 'one connection too many is refused' until_it "$patience" answers 503 /hello
exec 5>&-
check 'until another ends' until_it "$patience" answers 200 /hello
exec 6>&-
check 'ends' stop_server
start_server --max-connections-per-address=1 --trust-proxy=127.0.0.1
held() { # a connection for one client, which stays
	exec 7<>"/dev/tcp/127.0.0.1/$port"
	printf 'GET /hello HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n' >&7
	read -r line <&7 && matches '200 OK' "$line"
}
check 'clients of a proxy are counted' held
check 'each by itself' equal '503 200' \
	"$(status /hello -H 'X-Forwarded-For: 203.0.113.5') $(status /hello -H 'X-Forwarded-For: 203.0.113.6')"
check 'the proxy itself is not' answers 200 /hello -H 'X-Forwarded-For: 203.0.113.7'
exec 7>&-
check 'ends' stop_server

start_server --proxy-protocol --max-connections-per-address=1 --idle-timeout=600
HOLD=600 python3 "$work/raw.py" "$port" "$(named 192.0.2.11 /hello)" >"$work/held" 2>&1 &
holder=$!
answered() {
	shows 200 "$work/held"
}
check 'a client that the PROXY header names is counted' until_it "$patience" answered
check 'its second connection is refused' equal 'HTTP/1.1 503 Service Unavailable' "$(raw "$(named 192.0.2.11 /hello)")"
check 'another client is not' equal 'HTTP/1.1 200 OK' "$(raw "$(named 192.0.2.12 /hello)")"
kill "$holder"
again() {
	[ "$(raw "$(named 192.0.2.11 /hello)")" = 'HTTP/1.1 200 OK' ]
}
check 'it is served again afterwards' until_it "$patience" again
check 'ends' stop_server

start_server --limit-rate=200K
begin=${EPOCHREALTIME/./}
check 'a limited answer is whole' equal 1000000 "$(get /large | wc -c)"
took=$(((${EPOCHREALTIME/./} - begin) / 1000))
check 'and takes its time' test "$took" -ge 500
check 'ends' stop_server
wrong() {
	"$SLUICE_COMMAND" serve "$@" "$root" >/dev/null 2>&1
	equal 2 $?
}
check 'a net that is none' wrong --trust-proxy=10.0.0.0/40
check 'a rate that is none' wrong --limit-rate=fast
plan
