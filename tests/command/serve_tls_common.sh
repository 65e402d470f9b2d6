# SPDX-License-Identifier: MIT
# Sourced by the tests of `sluice serve` over TLS, behind serve_common.sh: certificates, which
# curl trusts.

if "$SLUICE_COMMAND" serve --check --tls-cert=x --tls-key=x "$root" 2>&1 | grep -q 'without TLS'; then
	echo '1..0 # SKIP this sluice was built without TLS'
	exit 0
fi

certs=$work/certs
mkdir "$certs"
export CURL_CA_BUNDLE=$certs/all.pem

# certificate FILE NAME [OPTION...]: makes FILE.pem and FILE.key, for the name, of EC unless options say.
certificate() {
	local file=$1 name=$2 names=DNS:$2
	shift 2
	[ "$name" != localhost ] || names+=,IP:127.0.0.1
	[ $# -gt 0 ] || set -- -newkey ec -pkeyopt ec_paramgen_curve:P-256
	openssl req -x509 -nodes -days 30 -subj "/CN=$name" -addext "subjectAltName=$names" \
		-keyout "$certs/$file.key" -out "$certs/$file.pem" "$@" 2>/dev/null || {
		echo "Bail out! openssl made no certificate"
		exit 1
	}
	cat "$certs/$file.pem" >>"$certs/all.pem"
}

# start_tls OPTION...: serves $root with the certificate "a".
start_tls() {
	start_server --tls-cert="$certs/a.pem" --tls-key="$certs/a.key" "$@"
}

# client_of OPTION...: openssl s_client, which says what was agreed on and asks for /hello.
client_of() {
	printf 'GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' |
		timeout "$patience" openssl s_client -connect "127.0.0.1:$port" -ign_eof \
			-CAfile "$certs/all.pem" "$@" 2>&1
}
