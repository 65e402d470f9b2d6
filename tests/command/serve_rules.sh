#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` and headers and redirects of a site; and what it reads again on SIGHUP.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

mkdir "$root/assets" "$root/empty" "$root/dir"
echo index >"$root/index.html"
echo app >"$root/assets/app.js"
echo real >"$root/real.html"
echo gone >"$root/gone.html"
echo secret >"$root/dir/.secret"
head -c 100000 /dev/urandom >"$root/assets/large.bin"
cat >"$root/_headers" <<-'END'
	/*
	  X-Frame-Options: DENY
	/assets/*
	  Cache-Control: public, max-age=31536000, immutable
	  X-Assets: yes
END
cat >"$root/_redirects" <<-'END'
	/old        /new/place
	/moved/*    https://other.example/:splat  302
	/real.html  /elsewhere
	/forced.txt /elsewhere 307!
	/gone/*     /gone.html 404
	/leak       /dir/.secret 200
	/up         /../outside 200
	/app/*      /index.html 200
END
echo forced >"$root/forced.txt"

settle
start_server
large=/assets/large.bin
check 'a header for every path' header_is DENY x-frame-options /
check 'a header for some' equal 'yes DENY' "$(header x-assets $large) $(header x-frame-options $large)"
check 'and not for others' header_is '' x-assets /
check 'from the cache' header_is yes x-assets $large
check 'with a range' equal '206 yes' "$(status $large -r 0-9) $(header x-assets $large -r 0-9)"
check 'with 304' header_is yes x-assets $large -H "If-None-Match: $(header etag $large)"
check 'with HTTP/1.0' header_is yes x-assets $large --http1.0
check 'with HEAD' header_is yes x-assets $large -I
check 'Cache-Control of the site' matches immutable "$(header cache-control /assets/app.js)"
check '_headers is not served' answers 404 /_headers
check '_redirects is not served' answers 404 /_redirects
check 'nor with an escape' answers 404 /%5fredirects
check 'nor with dots' answers 404 /./_headers
check 'a redirect' equal '301 /new/place' "$(status /old) $(header location /old)"
check 'keeps the query' header_is '/new/place?a=b' location '/old?a=b'
check 'a splat' equal '302 https://other.example/a/b' "$(status /moved/a/b) $(header location /moved/a/b)"
check 'is escaped' equal 'https://other.example/%0D' "$(header location /moved/%250D | sed 's/%250D/%0D/')"
check 'a line end in it is refused' answers 400 /moved/%0d%0aX-Forged:%20y
check 'a file hides a redirect' equal '200 real' "$(status /real.html) $(get /real.html)"
check 'unless that is forced' equal '307 /elsewhere' "$(status /forced.txt) $(header location /forced.txt)"
check 'a path is answered with a file' equal '200 index' "$(status /app/a/b) $(get /app/a/b)"
check 'and its conditions' answers 304 /app/a/b -H "If-None-Match: $(header etag /)"
check 'with another status' equal '404 gone' "$(status /gone/x) $(get /gone/x)"
check 'no dotfile by a rule' answers 403 /leak
check 'nothing above by a rule' answers 403 /up
check 'what no rule names does not exist' answers 404 /nothing
check 'POST is not redirected' answers 405 /old -d x

# SIGHUP.
has_reloaded() {
	local count
	count_lines '^Reloaded ' "$work/start"
	((count >= $1))
}
reloaded() { # COUNT: reloads so far
	until_it "$patience" has_reloaded "$1"
}
printf '/*\n  X-Frame-Options: SAMEORIGIN\n' >"$root/_headers"
printf '/* /index.html 200\n' >"$root/_redirects"
kill -HUP "$server"
check 'SIGHUP reads the rules again' reloaded 1
check 'new headers hold' header_is SAMEORIGIN x-frame-options $large
check 'old ones are gone' header_is '' x-assets $large
check 'new redirects hold' equal '200 index' "$(status /any/page) $(get /any/page)"
check 'also for what would be listed' gives index /empty/
check 'a file is itself' gives app /assets/app.js
printf '/a\n  Content-Length: 5\n' >"$root/_headers"
kill -HUP "$server"
check 'a wrong line is named' until_it "$patience" shows '_headers:2: ' "$work/errors"
check 'and everything stays' header_is SAMEORIGIN x-frame-options $large
check 'SIGTERM ends it with 0' stop_server
refused_start() {
	"$SLUICE_COMMAND" serve --port=0 "$@" "$root" >"$work/refusal" 2>&1
	equal 1 $?
}
check 'it does not start with a wrong line' refused_start
check 'which is named' shows '_headers:2: ' "$work/refusal"
check '--check says so, too' refused_start --check
rm "$root/_headers" "$root/_redirects"
mkdir "$root/_headers"
check 'nor with a directory of the name' refused_start
rmdir "$root/_headers"

# Options.
start_server --header='X-One: 1' --header='X-Two: 2' --cache-control=no-cache --cors --access-log="$work/log"
check 'headers of options' equal '1 2 no-cache *' "$(header x-one /) $(header x-two /) \
$(header cache-control /) $(header access-control-allow-origin /)"
check 'also with errors' equal '1 no-cache' "$(header x-one /nothing) $(header cache-control /nothing -d x)"
check 'a preflight request is answered' equal '204 GET, HEAD' \
	"$(status / -X OPTIONS) $(header access-control-allow-methods / -X OPTIONS)"
mv "$work/log" "$work/log.1"
kill -HUP "$server"
reloaded 1
get /real.html >/dev/null
check 'a log that was moved is opened anew' until_it "$patience" shows 'GET /real.html' "$work/log"
check 'and the old one is complete' until_it "$patience" shows 'OPTIONS / HTTP' "$work/log.1"
check 'ends' stop_server
for bad in 'X: a
Y: b' 'Content-Length: 5' 'no colon'; do
	check "a header that is none (${bad%%:*})" refused_start --header="$bad"
done
check 'a value that is none' refused_start --cache-control='a
X: b'
printf '/x /y\n' >"$root/_redirects"
printf '/*\n  X-A: b\n' >"$root/_headers"
gzip -k "$root/_redirects" "$root/_headers"
mkdir "$root/dir/sub"
echo mine >"$root/dir/sub/_headers"
start_server --index=none.html
listed() { # PATH TYPE
	get "$1" -H "Accept: $2" >"$work/listed"
	grep -q real.html "$work/listed" && ! grep -E '_headers|_redirects' "$work/listed"
}
check 'rules are not listed' listed / text/html
check 'nor in JSON' listed / application/json
for file in _headers _redirects _headers.gz _redirects.gz _headers.br; do
	check "nor served ($file)" answers 404 /$file
done
check 'a file of the name elsewhere is a file' gives mine /dir/sub/_headers
check 'and is listed' eval 'get /dir/sub/ | grep -q _headers'
check 'ends' stop_server
rm "$root"/_redirects* "$root"/_headers*
start_server
check 'without --cors no preflight' answers 405 / -X OPTIONS
check 'ends' stop_server

# No request is lost.
if command -v wrk >/dev/null; then
	start_server --workers=2
	# As fast as it can, it would slow down the reloads, above all under sanitizers.
	cat >"$work/paced.lua" <<-END
		function delay() return 200 end
		function response()
			if not begun then
				begun = true
				io.open("$work/begun", "w"):close()
			end
		end
	END
	wrk -t 1 -c 100 -d "$patience" -s "$work/paced.lua" "$url/assets/app.js" >"$work/wrk" 2>&1 &
	load=$!
	check 'the load begins' until_it "$patience" test -e "$work/begun"
	for i in {1..20}; do
		printf '/*\n  X-Reload: %d\n' "$i" >"$root/new" && mv "$root/new" "$root/_headers"
		kill -HUP "$server"
		reloaded "$i"
	done
	kill -INT "$load"
	wait "$load"
	check 'twenty reloads under load lose no request' eval \
		'grep -q "requests in" "$work/wrk" && ! grep -E "Socket errors|Non-2xx" "$work/wrk"'
	kill -HUP "$server"
	check 'the last rules hold' until_it "$patience" header_is 20 x-reload /
	kill -HUP "$server"
	check 'SIGTERM behind SIGHUP ends it' stop_server
else
	skip 'twenty reloads under load lose no request' wrk
fi
plan
