#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` over TLS: plain HTTP that is redirected, Strict-Transport-Security, a browser.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"
. "$here/serve_tls_common.sh"

echo hello >"$root/hello"
mkdir "$root/sub dir"
echo nested >"$root/sub dir/a+b"
certificate a localhost

redirects() { # sets $plain
	until_it "$patience" shows '^Redirects at ' "$work/start" || return 1
	[[ $(<"$work/start") =~ 'Redirects at '(http:[^[:space:]]*)/ ]] && plain=${BASH_REMATCH[1]}
}
redirected() { # STATUS-AND-LOCATION PATH OPTION...: by plain HTTP
	local url=$plain value
	look "${@:2}"
	find_header location
	equal "$1" "$code${value:+ $value}"
}
start_tls --redirect-http=0 --hsts=31536000 --header='X-Site: yes' --workers=2 --access-log="$work/log"
check 'redirects have an address' redirects
check 'the path stays' redirected "301 $url/hello?a=b&c" '/hello?a=b&c'
check 'as it was encoded' redirected "301 $url/sub%20dir/a+b%2F" '/sub%20dir/a+b%2F'
check 'the method, too' redirected "308 $url/hello" /hello -d x
check 'it can be followed' equal hello "$(curl -sS -L --max-time "$patience" "$plain/hello")"
check 'to where the client is' redirected "301 https://localhost:$port/" / -H "Host: localhost:${plain##*:}"
check 'also by IPv6' redirected "301 https://[::1]:$port/" / -H 'Host: [::1]:80'
check 'and in the absolute form' redirected "301 https://localhost:$port/hello" \
	/hello -H 'Host: localhost' --request-target http://localhost/hello
check 'two slashes name no other host' redirected "301 $url//evil.example/x" //evil.example/x
forged() {
	local line
	exec 5<>"/dev/tcp/127.0.0.1/${plain##*:}"
	printf 'GET / HTTP/1.1\r\nHost: a\rX-Forged: b\r\n\r\n' >&5
	read -r line <&5
	exec 5>&-
	matches '^HTTP/1.1 400 ' "$line"
}
check 'no line gets into the answer' forged
check 'no host is 400' redirected 400 /hello -0 -H 'Host:'
check 'connections stay open' equal '1 0' "$(curl -sS -o /dev/null -o /dev/null -w '%{num_connects}\n' \
	"$plain/a" "$plain/b" | paste -sd' ')"
check 'no file is served there' redirected "301 $url/nothing" /nothing
check 'they are logged' until_it "$patience" shows '"GET /nothing HTTP/1.1" 301' "$work/log"
check 'HSTS is said over TLS' header_is max-age=31536000 Strict-Transport-Security /hello
check 'also of what does not exist' header_is max-age=31536000 Strict-Transport-Security /nothing
plainly() { # URL: an answer without the headers of TLS
	local url=$1 value
	look /hello
	find_header strict-transport-security
	equal '' "$value" && find_header x-site && equal '' "$value" && matches '301|400' "$code"
}
for address in "$plain" "http://127.0.0.1:$port"; do
	check "and never without ($address)" plainly "$address"
done
check 'ends' stop_server

start_tls --redirect-http=0 --https-port=443 --bind=127.0.0.1 --bind="unix:$work/socket"
check 'redirects of another port' redirects
check 'the usual port is not named' redirected '301 https://www.example/hello' \
	/hello -H 'Host: www.example'
check 'TLS over a path of the file system' equal hello \
	"$(curl -sS --max-time "$patience" --unix-socket "$work/socket" https://localhost/hello)"
check 'ends' stop_server
start_tls --hsts=0
check 'browsers can be told to forget' header_is max-age=0 Strict-Transport-Security /hello
check 'ends' stop_server

passed=redirect:https:metrics start_tls --workers=2
mapfile -t ports <"$work/passed"
check 'a passed socket called https' equal hello \
	"$(curl -sS --max-time "$patience" "https://localhost:${ports[1]}/hello")"
check 'one called redirect leads there' equal "301 https://localhost:${ports[1]}/hello" \
	"$(curl -sS --max-time "$patience" -o /dev/null -w '%{http_code} %{redirect_url}' \
		"http://localhost:${ports[0]}/hello")"
check 'one called metrics has them' matches '^ok' \
	"$(curl -sS --max-time "$patience" "http://127.0.0.1:${ports[2]}/healthz")"
check 'ends' stop_server

wrong() { # PATTERN OPTION...
	local pattern=$1 output
	shift
	output=$("$SLUICE_COMMAND" serve --check "$@" "$root" 2>&1)
	equal 2 $? && matches "$pattern" "$output"
}
check 'redirects need TLS' wrong '--redirect-http needs --tls-cert' --redirect-http=80
check 'HSTS needs TLS' wrong '--hsts needs --tls-cert' --hsts=5
check 'a port that is none' wrong '--redirect-http=http: not a port' --redirect-http=http \
	--tls-cert="$certs/a.pem" --tls-key="$certs/a.key"
check 'nor is that' wrong '--redirect-http=70000: not a port' --redirect-http=70000 \
	--tls-cert="$certs/a.pem" --tls-key="$certs/a.key"

# A browser takes a certificate whose key it is told to trust.
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
cat >"$root/page.html" <<'END'
<!doctype html><title>page</title><body><script type="module">
const text = await (await fetch("/hello")).text();
document.body.append(`${location.protocol} ${isSecureContext} ${text}`);
</script>
END
page() {
	local key
	key=$(openssl x509 -in "$certs/a.pem" -pubkey -noout | openssl pkey -pubin -outform der |
		openssl dgst -sha256 -binary | base64)
	timeout "$patience" "$browser" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
		--disable-background-networking --no-first-run --user-data-dir="$work/browser" \
		--ignore-certificate-errors-spki-list="$key" --virtual-time-budget=10000 --dump-dom \
		"https://localhost:$port/page.html" >"$work/dom" 2>"$work/browser.log"
	grep -q 'https: true hello' "$work/dom" || { cat "$work/dom"; tail -n 5 "$work/browser.log"; return 1; }
}
if [ -n "$browser" ]; then
	start_tls
	check 'a browser fetches a page and a file' page
	check 'ends' stop_server
else
	skip 'a browser fetches a page and a file' chromium
fi
plan
