#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` over TLS and handshakes that are slow, cut, wrong or many.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"
. "$here/serve_tls_common.sh"

echo hello >"$root/hello"
certificate a localhost
client() {
	python3 "$here/serve_tls_client.py" "$port" "$certs/all.pem" "$@"
}
ulimit -n "$(ulimit -Hn)" 2>/dev/null

# connections_end: as many descriptors as before are open.
connections_end() {
	descriptors_fall_to "$before"
}

start_tls --metrics=127.0.0.1:0
check 'a handshake succeeds' client fetch
before=$(settled_descriptors)
for version in 1.2 1.3; do
	check "a handshake in single bytes succeeds ($version)" client trickle "$version"
	check "one that is cut hurts no other ($version)" client truncated "$version"
	check "nor one that stops behind the server's answer ($version)" client second_flight "$version"
	check "nor one with a wrong byte ($version)" client broken "$version"
	check "a request that comes with the end of the handshake is answered ($version)" client together "$version"
done
check 'no connection is left' connections_end
check 'failed handshakes are counted' test "$(curl -sS "$(sed -n 's/^Metrics at \(.*\)\/$/\1/p' "$work/start")/metrics" |
	sed -n 's/^sluice_tls_handshakes_failed_total //p')" -ge 40
check 'and reported once' equal 1 "$(grep -c 'handshake with' "$work/errors")"
check 'ends' stop_server

start_tls --header-timeout=1
check 'a handshake that stops is ended in time, not too early' client stopped 0.9 "$patience"
check 'and reported' until_it "$patience" shows 'handshake with 127.0.0.1: timed out' "$work/errors"
check 'others are served' client fetch
check 'ends' stop_server

# Descriptors of both sides are this shell's.
count=1000
[ "$(ulimit -n)" -ge 1100 ] || count=$(($(ulimit -n) - 100))
most=$((60 * 1024))
! grep -q -e __asan_init -e __tsan_init "$SLUICE_COMMAND" || most=$((4 * most)) # red zones
start_tls --header-timeout=20
check 'others are served before' client fetch
before=$(settled_descriptors)
check "$count clients that stop delay no other, and cost no more than 60 KiB each" \
	client crowd "$count" "$server" "$most"
check 'no connection is left of them' connections_end
check 'ends' stop_server
start_tls --header-timeout=600 --drain=600
exec 5<>"/dev/tcp/127.0.0.1/$port"
printf '\26\3\1\2\0' >&5
check 'a handshake that stopped does not delay the end' ends "$patience" TERM
exec 5>&-
plan
