#!/bin/bash
# SPDX-License-Identifier: MIT
# The examples of TLS, with each other and with OpenSSL's client. Needs $SLUICE_EXAMPLES.
. "$(dirname "${BASH_SOURCE[0]}")/examples_common.sh"

: "${SLUICE_EXAMPLES:?the directory of the examples}"
server_program=$SLUICE_EXAMPLES/tls_server
client=$SLUICE_EXAMPLES/tls_client

certificate() { # NAME: makes NAME.pem and NAME.key
	openssl req -x509 -nodes -days 30 -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \
		-newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-keyout "$work/$1.key" -out "$work/$1.pem" 2>/dev/null
}
starts() {
	local found
	"$server_program" "$work/localhost.pem" "$work/localhost.key" >"$work/served" 2>"$work/errors" &
	server=$!
	found=$(wait_for "$work/served" '^listening on') || { cat "$work/errors"; return 1; }
	port=${found#*port }
	port=${port%%,*}
}
talks() {
	local said
	said=$("$client" "$work/localhost.pem" localhost 127.0.0.1 "$port") || return 1
	[[ $said == 'Success, 22 bytes with TLS_'* ]] || { echo "it said: $said"; return 1; }
}
talk_at_once() { # COUNT
	local i
	local -a clients=()
	for ((i = 0; i < $1; i++)); do
		talks &
		clients+=($!)
	done
	for i in "${clients[@]}"; do
		wait "$i" || return 1
	done
}
talks_to_openssl() {
	local said='' to pid
	coproc openssl_client {
		exec openssl s_client -quiet -no_ign_eof -verify_return_error -CAfile "$work/localhost.pem" \
			-connect "127.0.0.1:$port" -servername localhost 2>"$work/openssl"
	}
	to=${openssl_client[1]} pid=$openssl_client_PID
	echo 'from OpenSSL' >&"$to"
	IFS= read -r -t "$patience" said <&"${openssl_client[0]}"
	# It ends at the end of its input, which must not come before the answer.
	exec {to}>&-
	[ "$said" = 'from OpenSSL' ] || { cat "$work/openssl"; kill "$pid"; return 1; }
	wait "$pid"
}
# A peer that speaks no TLS; the server goes on.
survives_plain_text() {
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
	printf 'GET / HTTP/1.1\r\n\r\n' >&3
	timeout "$patience" cat <&3 >/dev/null
	exec 3>&-
	wait_for "$work/errors" '^handshake: ' && talks
}
stops() {
	local pid=$server
	server=
	kill -TERM "$pid"
	wait "$pid" || { cat "$work/errors"; return 1; }
}

certificate localhost
certificate other
check 'tls_server: starts' starts
check 'tls_client: its line comes back' talks
check 'many clients at once' talk_at_once 20
check 'a client of OpenSSL' talks_to_openssl
check 'a peer without TLS' survives_plain_text
check 'tls_client: takes no other name' fails 1 'handshake: ' \
	"$client" "$work/localhost.pem" elsewhere 127.0.0.1 "$port"
check 'tls_client: takes no certificate of others' fails 1 'handshake: ' \
	"$client" "$work/other.pem" localhost 127.0.0.1 "$port"
check 'tls_server: ends by SIGTERM' stops
check 'tls_server: names a file that is not there' fails 1 'tls_server: ' \
	"$server_program" "$work/none" "$work/other.key"
check 'tls_server: says what it wants to know' fails 2 'tls_server CERTIFICATE' "$server_program"
check 'tls_client: says what it wants to know' fails 1 'tls_client AUTHORITIES' "$client"
plan
