#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` over TLS: versions, certificates, files, and what is said of wrong ones.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"
. "$here/serve_tls_common.sh"

echo hello >"$root/hello"
for size in 0 1 16383 16384 16385 100000 131072 3000000; do
	head -c "$size" /dev/urandom >"$root/$size"
done
certificate a localhost
certificate b other.example
certificate rsa localhost -newkey rsa:2048
cp "$certs/b.key" "$certs/other.key"

same() { # PATH OPTION...
	get "/$1" "${@:2}" | cmp - "$root/$1"
}
range() { # PATH FIRST LAST OPTION...
	get "/$1" -r "$2-$3" "${@:4}" | cmp - <(tail -c "+$(($2 + 1))" "$root/$1" | head -c $(($3 - $2 + 1)))
}
start_tls --access-log="$work/log" --metrics=127.0.0.1:0
check 'the address is one of https' matches '^https://127' "$url"
versions=('--tlsv1.3' '--tlsv1.2 --tls-max 1.2')
for version in "${versions[@]}"; do
	for size in 0 1 16383 16384 16385 100000 131072 3000000; do
		check "$size bytes with ${version##* }" same "$size" $version
	done
	check "a range with ${version##* }" range 3000000 123456 2345678 $version
	check "a small range with ${version##* }" range 100000 7 9 $version
done
check 'it is HTTP/1.1' equal '1.1 200' "$(get /hello -o /dev/null -w '%{http_version} %{http_code}')"
check 'connections stay open' equal '1 0 0' \
	"$(curl -sS --max-time "$patience" -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects}\n' \
		"$url/hello" "$url/3000000" "$url/hello" | paste -sd' ')"
check 'what does not exist is 404' answers 404 /nothing
check 'answers are logged' until_it "$patience" shows '^127.0.0.1 .*"GET /nothing HTTP/1.1" 404' "$work/log"
old() {
	local output
	output=$(curl -sS --tls-max 1.1 --tlsv1.0 --ciphers 'DEFAULT:@SECLEVEL=0' "$url/hello" 2>&1)
	[ $? = 35 ] && matches 'protocol' "$output"
}
check 'TLS 1.1 is refused' old
for cipher in AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA DHE-RSA-AES128-GCM-SHA256; do
	check "$cipher is not offered" matches 'handshake failure|no cipher' \
		"$(client_of -tls1_2 -cipher "$cipher:@SECLEVEL=0")"
done
check 'HTTP/1.1 is agreed on' matches 'ALPN protocol: http/1.1' "$(client_of -alpn h2,http/1.1)"
check 'without ALPN it is spoken as well' matches 'No ALPN negotiated.*HTTP/1.1 200 OK' "$(client_of | tr '\n' ' ')"
check 'HTTP/2 alone is refused' matches 'alert no application protocol' "$(client_of -alpn h2)"
resumed() { # OPTION...: in a second connection
	client_of -sess_out "$work/session" "$@" >/dev/null
	matches 'Reused, TLS' "$(client_of -sess_in "$work/session" "$@")"
}
check 'a session of 1.3 is resumed' resumed -tls1_3
check 'a session of 1.2 is resumed' resumed -tls1_2
renegotiates() {
	{ printf 'R\n'; sleep 1; printf 'GET /hello HTTP/1.0\r\n\r\n'; sleep 1; } |
		timeout "$patience" openssl s_client -connect "127.0.0.1:$port" -tls1_2 2>&1
}
check 'renegotiation is refused' matches 'no renegotiation' "$(renegotiates)"
check 'HTTP without TLS is told so' equal '400 A plain HTTP request was sent to an HTTPS port.' \
	"$(curl -sS -w '%{http_code}' "http://127.0.0.1:$port/hello" | sed 's/^400 Bad Request. \(.*\)/\1/' | sed 'N;s/\(.*\)\n\(.*\)/\2 \1/')"
for _ in 1 2 3; do
	exec 5<>"/dev/tcp/127.0.0.1/$port"
	printf '\26\3\1garbage and more of it' >&5
	cat <&5 >/dev/null
	exec 5>&-
done
check 'a failed handshake is reported' until_it "$patience" \
	shows '^sluice: handshake with 127.0.0.1: ' "$work/errors"
check 'once in a while' equal 1 "$(grep -c 'handshake with' "$work/errors")"
metrics=$(sed -n 's/^Metrics at \(http:.*\)\/$/\1/p' "$work/start")
counted() { # NAME LEAST
	[ "$(curl -sS "$metrics/metrics" | awk -v name="$1" '$1 == name { print $2 }')" -ge "$2" ]
}
check 'handshakes are counted' counted sluice_tls_handshakes_total 25
check 'resumed ones' counted sluice_tls_handshakes_resumed_total 2
check 'and failed ones' counted sluice_tls_handshakes_failed_total 4
check 'ends' stop_server
check 'and says nothing else' equal 1 "$(wc -l <"$work/errors")"

# Certificates.
named() { # NAME OPTION...: the subject of the certificate that is served
	client_of -servername "$@" | sed -n 's/^subject=CN = //p'
}
key_type() { # OPTION...
	client_of -servername localhost -tls1_2 "$@" | sed -n 's/.*Peer signature type: \([A-Z]*\).*/\1/p'
}
start_tls --tls-cert="$certs/b.pem" --tls-key="$certs/b.key" --tls-cert="$certs/rsa.pem" --tls-key="$certs/rsa.key"
check 'the first is chosen by name' equal localhost "$(named localhost)"
check 'another, too' equal other.example "$(named other.example)"
check 'the first is the default' equal localhost "$(named unknown.example)"
check 'also without a name' equal localhost "$(client_of -noservername | sed -n 's/^subject=CN = //p')"
check 'curl finds both' equal 'hello hello' "$(get /hello) $(curl -sS --max-time "$patience" \
	--resolve "other.example:$port:127.0.0.1" "https://other.example:$port/hello")"
check 'EC is preferred' equal ECDSA "$(key_type)"
check 'RSA is for those who lack EC' equal RSA "$(key_type -sigalgs RSA-PSS+SHA256)"
check 'ends' stop_server

# A proxy in front.
start_tls --proxy-protocol --access-log="$work/log2"
check 'behind the PROXY protocol' gives hello /hello --haproxy-protocol
piecewise() {
	python3 - "$port" "$certs/all.pem" <<-'END'
		import socket, ssl, sys, time
		client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		for byte in b"PROXY TCP4 192.0.2.9 127.0.0.1 1 2\r\n":
		    client.sendall(bytes([byte]))
		    time.sleep(0.002)
		context = ssl.create_default_context(cafile=sys.argv[2])
		with context.wrap_socket(client, server_hostname="localhost") as tls:
		    tls.sendall(b"GET /hello?piece HTTP/1.0\r\n\r\n")
		    answer = b""
		    while piece := tls.recv(65536):
		        answer += piece
		assert answer.endswith(b"\r\n\r\nhello\n"), answer
	END
}
check 'in single bytes' piecewise
check 'its client is logged' until_it "$patience" shows '^192.0.2.9 .*piece' "$work/log2"
check 'without it the connection is closed' eval '! get /hello 2>/dev/null'
check 'ends' stop_server
start_tls --proxy-protocol --trust-proxy=127.0.0.2
check 'a trusted proxy may send its header' gives hello /hello --haproxy-protocol --interface 127.0.0.2
check 'another address is closed' eval '! get /hello --haproxy-protocol 2>/dev/null'
check 'which is reported' until_it "$patience" shows 'connection from 127.0.0.1: closed: only' "$work/errors"
check 'ends' stop_server
start_tls --proxy-protocol --max-connections-per-address=1 --header-timeout=600
exec 5<>"/dev/tcp/127.0.0.1/$port"
printf 'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n' >&5
check 'a client that the header names is counted' until_it "$patience" eval '! get /hello --haproxy-protocol >/dev/null 2>&1'
exec 5>&-
proxied() {
	gives hello /hello --haproxy-protocol
}
check 'until its connection ends' until_it "$patience" proxied
check 'ends' stop_server

# Limits.
start_tls --max-connections=2
exec 5<>"/dev/tcp/127.0.0.1/$port" 6<>"/dev/tcp/127.0.0.1/$port"
check 'a connection too many is closed' until_it "$patience" eval '! get /hello >/dev/null 2>&1'
exec 5>&- 6>&-
check 'until others end' until_it "$patience" gives hello /hello
check 'ends' stop_server

# What is wrong.
cat "$certs/b.pem" >"$certs/swapped.key"
openssl ec -in "$certs/a.key" -aes128 -passout pass:x -out "$certs/locked.key" 2>/dev/null
openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=localhost -days 1 \
	-keyout "$certs/expired.key" -out "$certs/expired.pem" 2>/dev/null
echo nothing >"$certs/text"
says() { # CODE PATTERN OPTION...
	local code=$1 pattern=$2 output
	shift 2
	output=$("$SLUICE_COMMAND" serve --check "$@" "$root" 2>&1 </dev/null)
	equal "$code" $? && matches "$pattern" "$output"
}
pair() { # CERT KEY
	printf '%s\n' "--tls-cert=$certs/$1" "--tls-key=$certs/$2"
}
check 'right files are right' says 0 'configuration is valid' $(pair a.pem a.key)
check 'a certificate that is missing' says 1 'none.pem: No such file' $(pair none.pem a.key)
check 'a key that is missing' says 1 'none.key: No such file' $(pair a.pem none.key)
check 'a certificate that is none' says 1 'text: no certificate in PEM format' $(pair text a.key)
check 'a key that is none' says 1 'text: no private key in PEM format' $(pair a.pem text)
check 'a certificate as the key' says 1 'swapped.key: no private key' $(pair b.pem swapped.key)
check 'the key of another' says 1 'b.key: the key does not belong to the certificate' $(pair a.pem b.key)
check 'the key of another kind' says 1 'rsa.key: the key does not belong' $(pair a.pem rsa.key)
check 'a key with a pass phrase' says 1 'locked.key: the key is encrypted' $(pair a.pem locked.key)
check 'a certificate without a key' says 2 'each --tls-cert needs its --tls-key' --tls-cert="$certs/a.pem"
check 'the second that is wrong is named' says 1 'none.pem: No such file' $(pair a.pem a.key) $(pair none.pem a.key)
printf 'tls-cert=%s\ntls-key=%s\n' "$certs/a.pem" "$certs/b.key" >"$work/config"
check 'in a configuration, too' says 1 "$work/config:2: $certs/b.key: the key does not belong" --config="$work/config"
printf 'tls-cert=%s\n' "$certs/a.pem" >"$work/alone"
check 'a certificate there without a key' says 2 "$work/alone:1: each --tls-cert needs" --config="$work/alone"
check 'the command line wins' says 0 'valid' --config="$work/config" --tls-key="$certs/a.key"

# What encrypts.
ways() { # WANTED: connections by the kernel, and by the library
	equal "$1" "$(curl -sS "$metrics/metrics" | sed -n 's/^sluice_tls_connections_total{way=.*} //p' | paste -sd' ')"
}
start_tls --tls-way=library --metrics=127.0.0.1:0
metrics=$(sed -n 's/^Metrics at \(http:.*\)\/$/\1/p' "$work/start")
check 'the library can be forced' equal 'hello hello' "$(get /hello) $(get /hello --tls-max 1.2)"
check 'it is counted' until_it "$patience" ways '0 2'
check 'ends' stop_server
printf 'tls-way=kernel\n' >"$work/way"
if "$SLUICE_COMMAND" probe | grep -q 'kernel-tls *used'; then
	start_tls --config="$work/way" --metrics=127.0.0.1:0
	metrics=$(sed -n 's/^Metrics at \(http:.*\)\/$/\1/p' "$work/start")
	check 'the kernel can be forced' equal 'hello hello' "$(get /hello) $(get /hello --tls-max 1.2)"
	check 'it is counted, too' until_it "$patience" ways '2 0'
	check 'ends' stop_server
else
	refused() { # OPTION...
		local output
		output=$("$SLUICE_COMMAND" serve --port=0 $(pair a.pem a.key) "$@" "$root" 2>&1)
		equal 1 $? && matches 'tls-way=kernel: the kernel cannot encrypt TLS' "$output"
	}
	check 'a kernel that cannot is not forced' refused --tls-way=kernel
	check 'the line is named' says 1 "$work/way:1: --tls-way=kernel: the kernel cannot" --config="$work/way" $(pair a.pem a.key)
fi
check 'there is no other' says 2 'tls-way=none: not auto, kernel or library' --tls-way=none $(pair a.pem a.key)
check 'nor one without TLS' says 2 'tls-way needs --tls-cert' --tls-way=library

if command -v faketime >/dev/null; then
	later() {
		local output
		output=$(faketime '+60 days' "$SLUICE_COMMAND" serve --check $(pair a.pem a.key) "$root" 2>&1)
		equal 0 $? && matches 'warning: the certificate has expired' "$output"
	}
	check 'an expired certificate is a warning' later
else
	openssl x509 -req -in <(openssl req -new -key "$certs/a.key" -subj /CN=localhost 2>/dev/null) \
		-signkey "$certs/a.key" -days 0 -out "$certs/expired.pem" 2>/dev/null
	sleep 1.1
	check 'an expired certificate is a warning' says 0 'warning: the certificate has expired' \
		$(pair expired.pem a.key)
fi
if [ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1; then
	chmod 755 "$work" "$certs"
	chmod 600 "$certs"/*.key
	start_tls --user=nobody
	check 'a key for root alone is read before another user serves' gives hello /hello
	check 'ends' stop_server
else
	skip 'a key for root alone is read before another user serves' root
fi
plan
