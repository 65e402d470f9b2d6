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
	until_it "$patience" grep -q '^Redirects at ' "$work/start" || return 1
	plain=$(sed -n 's/^Redirects at \(http:.*\)\/$/\1/p' "$work/start" | head -n 1)
}
plain() { # PATH FORMAT OPTION...: what curl says of the answer
	local path=$1 format=$2
	shift 2
	curl -sS --path-as-is --max-time "$patience" -o /dev/null -w "$format" "$@" "$plain$path"
}
start_tls --redirect-http=0 --hsts=31536000 --header='X-Site: yes' --workers=2 --access-log="$work/log"
check 'redirects have an address' redirects
check 'the path stays' equal "301 $url/hello?a=b&c" "$(plain '/hello?a=b&c' '%{http_code} %{redirect_url}')"
check 'as it was encoded' equal "301 $url/sub%20dir/a+b%2F" "$(plain '/sub%20dir/a+b%2F' '%{http_code} %{redirect_url}')"
check 'the method, too' equal "308 $url/hello" "$(plain /hello '%{http_code} %{redirect_url}' -d x)"
check 'it can be followed' equal hello "$(curl -sS -L --max-time "$patience" "$plain/hello")"
check 'to where the client is' equal "https://localhost:$port/" "$(plain / '%{redirect_url}' -H "Host: localhost:${plain##*:}")"
check 'also by IPv6' equal "https://[::1]:$port/" "$(plain / '%{redirect_url}' -H 'Host: [::1]:80')"
check 'and in the absolute form' equal "https://localhost:$port/hello" \
	"$(plain /hello '%{redirect_url}' -H 'Host: localhost' --request-target http://localhost/hello)"
check 'two slashes name no other host' equal "301 $url//evil.example/x" \
	"$(plain //evil.example/x '%{http_code} %{redirect_url}')"
forged() {
	local line
	exec 5<>"/dev/tcp/127.0.0.1/${plain##*:}"
	printf 'GET / HTTP/1.1\r\nHost: a\rX-Forged: b\r\n\r\n' >&5
	read -r line <&5
	exec 5>&-
	matches '^HTTP/1.1 400 ' "$line"
}
check 'no line gets into the answer' forged
check 'no host is 400' equal 400 "$(plain /hello '%{http_code}' -0 -H 'Host:')"
check 'connections stay open' equal '1 0' "$(curl -sS -o /dev/null -o /dev/null -w '%{num_connects}\n' \
	"$plain/a" "$plain/b" | paste -sd' ')"
check 'no file is served there' equal 301 "$(plain /nothing '%{http_code}')"
check 'they are logged' until_it "$patience" grep -q '"GET /nothing HTTP/1.1" 301' "$work/log"
check 'HSTS is said over TLS' header_is max-age=31536000 Strict-Transport-Security /hello
check 'also of what does not exist' header_is max-age=31536000 Strict-Transport-Security /nothing
for address in "$plain" "http://127.0.0.1:$port"; do
	check "and never without ($address)" equal '' "$(curl -sS -o /dev/null -D - "$address/hello" |
		grep -i -e strict-transport -e x-site)"
done
check 'ends' stop_server

start_tls --redirect-http=0 --https-port=443 --bind=127.0.0.1 --bind="unix:$work/socket"
check 'redirects of another port' redirects
check 'the usual port is not named' equal https://www.example/hello \
	"$(plain /hello '%{redirect_url}' -H 'Host: www.example')"
check 'TLS over a path of the file system' equal hello \
	"$(curl -sS --max-time "$patience" --unix-socket "$work/socket" https://localhost/hello)"
check 'ends' stop_server
start_tls --hsts=0
check 'browsers can be told to forget' header_is max-age=0 Strict-Transport-Security /hello
check 'ends' stop_server

passed_port() { # NUMBER: of a socket that was passed
	sed -n "$1p" "$work/passed"
}
passed=redirect:https:metrics start_tls --workers=2
check 'a passed socket called https' equal hello \
	"$(curl -sS --max-time "$patience" "https://localhost:$(passed_port 2)/hello")"
check 'one called redirect leads there' equal "301 https://localhost:$(passed_port 2)/hello" \
	"$(curl -sS --max-time "$patience" -o /dev/null -w '%{http_code} %{redirect_url}' \
		"http://localhost:$(passed_port 1)/hello")"
check 'one called metrics has them' matches '^ok' \
	"$(curl -sS --max-time "$patience" "http://127.0.0.1:$(passed_port 3)/healthz")"
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
