#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` as a client sees it that keeps to the rules.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

printf '<h1>index</h1>\n' >"$root/index.html"
printf 'body { }\n' >"$root/style.css"
printf 'hello world\n' >"$root/hello.txt"
printf 'a name\n' >"$root/a name & ä%.txt"
: >"$root/empty.txt"
printf '<svg/>' | gzip >"$root/a.svgz"
printf 'a' | gzip >"$root/a.gz"
mkdir "$root/sub" "$root/bare" "$root/.hidden" "$root/odd dir"
printf '<p>sub</p>\n' >"$root/sub/index.html"
printf '<p>odd</p>\n' >"$root/odd dir/index.html"
printf 'secret\n' >"$root/.hidden/secret.txt"
printf 'secret\n' >"$root/.secret"
printf 'outside\n' >"$work/outside.txt"
ln -s ../outside.txt "$root/out"
ln -s "$work/outside.txt" "$root/absolute"
ln -s hello.txt "$root/inside"
ln -s sub "$root/linked"
ln -s /proc/self/environ "$root/proc"
ln -s loop "$root/loop"
mkfifo "$root/fifo"
head -c 20000 /dev/urandom >"$root/middle.bin"
head -c 5000000 /dev/urandom >"$root/large.bin"

settle
start_server
descriptors=$(settled_descriptors)

same() { # PATH FILE OPTION...
	local path=$1 file=$2
	shift 2
	get "$path" "$@" | cmp - "$root/$file"
}

part() { # RANGE FIRST COUNT FILE: 206 and the very bytes
	local file=${4:-large.bin}
	answers 206 "/$file" -r "$1" &&
		get "/$file" -r "$1" | cmp - <(tail -c "+$(($2 + 1))" "$root/$file" | head -c "$3")
}

check 'the first line says where, with which backend and why' \
	matches "^Serving $root at http://127.0.0.1:[0-9]+/ with $backend \(.*requested.*\)$" \
	"$(cat "$work/start")"

# Files.
check 'a small file arrives' same /hello.txt hello.txt
check 'a small file arrives from the cache' same /hello.txt hello.txt
check 'a file beyond the contents that are kept arrives' same /middle.bin middle.bin
check 'a large file arrives' same /large.bin large.bin
check 'a large file arrives from the cache' same /large.bin large.bin
check 'an empty file arrives' equal '200 0' "$(get /empty.txt -o /dev/null -w '%{http_code} %{size_download}')"
check 'a directory is its index' same / index.html
check 'a directory below is its index' same /sub/ sub/index.html
check 'a query is no part of the name' same '/hello.txt?a=/../b&c' hello.txt
check 'escapes are decoded once' same '/a%20name%20&%20%C3%A4%25.txt' 'a name & ä%.txt'
check 'empty and dot segments mean nothing' same '//./sub/.//index.html' sub/index.html
check 'a link within is followed' same /inside hello.txt
check 'a linked directory within is followed' same /linked/ sub/index.html
check 'the absolute form of a target is understood' \
	same /hello.txt hello.txt --request-target "http://elsewhere/hello.txt"

# Heads.
check 'HEAD has the length and no body' equal '200 0 20000' \
	"$(get /middle.bin -I -o /dev/null -w '%{http_code} %{size_download} %header{content-length}')"
check 'HEAD of a small file has no body' equal '200 0 12' \
	"$(get /hello.txt -I -o /dev/null -w '%{http_code} %{size_download} %header{content-length}')"
check 'the type of html' header_is 'text/html; charset=utf-8' content-type /
check 'the type of css' header_is 'text/css; charset=utf-8' content-type /style.css
check 'the type of text' header_is 'text/plain; charset=utf-8' content-type /hello.txt
check 'a compressed image says so' equal 'image/svg+xml gzip' \
	"$(header content-type /a.svgz) $(header content-encoding /a.svgz)"
check 'so does a part of it' header_is gzip content-encoding /a.svgz -r 0-1
check 'a compressed file stays what it is' header_is '' content-encoding /a.gz
check 'the type of anything else' header_is application/octet-stream content-type /large.bin
date_is_now() {
	local before said
	before=$(date +%s)
	said=$(date -d "$(header date /hello.txt)" +%s)
	# The server looks at its clock now and then.
	[ "$said" -ge $((before - 2)) ] && [ "$said" -le "$(date +%s)" ]
}
check 'the date is now' date_is_now
check 'Last-Modified is the file'\''s' \
	equal "$(date -u -r "$root/hello.txt" '+%a, %d %b %Y %T GMT')" "$(header last-modified /hello.txt)"
check 'ranges are offered' header_is bytes accept-ranges /hello.txt

# The date moves on in an answer that comes from the cache.
dates() {
	local first
	first=$(header date /hello.txt)
	sleep 1.1
	[ "$first" != "$(header date /hello.txt)" ]
}
check 'the date of a cached answer moves on' dates

# Connections.
check 'the connection stays for the next request' equal '1 0 0' \
	"$(curl -sS -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects}\n' "$url/hello.txt" \
		"$url/large.bin" "$url/nothing" | paste -sd' ')"
check 'Connection: close closes' header_is close connection /hello.txt -H 'Connection: close'
check 'HTTP/1.0 closes' same /hello.txt hello.txt --http1.0
check 'HTTP/1.0 stays when asked to' header_is keep-alive \
	connection /hello.txt --http1.0 -H 'Connection: keep-alive'
check 'an offer of HTTP/2 is not taken' same /hello.txt hello.txt --http2

# Ranges.
check 'a range' part 10-19 10 10
check 'a range to the end' part 4999990- 4999990 10
check 'the last bytes' part -10 4999990 10
check 'a range beyond the end is cut' part 4999990-9999999 4999990 10
check 'a range of a small file' part 6-10 6 5 hello.txt
check 'a range of one byte' part 0-0 0 1 hello.txt
check 'a range says where it lies' header_is 'bytes 6-10/12' content-range /hello.txt -r 6-10
check 'a range of nothing is refused' answers 416 /hello.txt -r 12-
check 'and told how much there is' header_is 'bytes */12' content-range /hello.txt -r 12-
check 'a range of an empty file gets the whole' equal '200 0' \
	"$(get /empty.txt -r 0- -o /dev/null -w '%{http_code} %{size_download}')"
# The parts of an answer with several ranges, by Python's parser of MIME: their ranges and bytes.
parts() { # PATH RANGES
	curl -s -D "$work/head" -o "$work/body" -r "$2" "$url$1" || return
	python3 - "$work/head" "$work/body" <<-'END'
		import email, sys
		head = open(sys.argv[1], 'rb').read().split(b'\r\n', 1)
		body = open(sys.argv[2], 'rb').read()
		whole = email.message_from_bytes(head[1] + body)
		same = int(whole['content-length']) == len(body)
		print(head[0].split()[1].decode(), whole.get_content_type(), same,
		      whole['content-range'] is None)
		for part in whole.get_payload():
		    print(part.get_content_type(), part['content-range'],
		          part.get_payload(decode=True).decode(errors='replace'))
	END
}
check 'several ranges are parts' equal '206 multipart/byteranges True True
text/plain bytes 3-4/12 lo
text/plain bytes 0-0/12 h
text/plain bytes 6-7/12 wo' "$(parts /hello.txt 3-4,0-0,6-7)"
large_parts() {
	parts "$1" 4000000-4000999,0-499 >"$work/parts" &&
		grep -q 'bytes 4000000-4000999/5000000' "$work/parts" &&
		python3 - "$work/body" "$root/$2" <<-'END'
			import sys
			body, file = (open(path, 'rb').read() for path in sys.argv[1:])
			at = body.index(file[4000000:4001000])
			sys.exit(file[:500] not in body[at + 1000:])
		END
}
check 'several ranges of a large file' large_parts /large.bin large.bin
check 'ranges that the file lacks are left out' header_is 'bytes 0-1/12' content-range /hello.txt -r 0-1,50-60
check 'ranges that are larger than the file together get the whole' equal '200 12' \
	"$(get /hello.txt -r 0-9,3-11 -o /dev/null -w '%{http_code} %{size_download}')"
check 'the connection stays in step behind several ranges' equal 12 \
	"$(curl -s -r 0-0,2-2 "$url/hello.txt" -o /dev/null --next -s "$url/hello.txt" | wc -c)"
check 'a broken range gets the whole' answers 200 /hello.txt -H 'Range: bytes=5-1'
check 'HEAD knows no ranges' answers 200 /hello.txt -I -r 0-1

# Conditions.
etag=$(header etag /hello.txt)
modified=$(header last-modified /hello.txt)
before='Sun, 06 Nov 1994 08:49:37 GMT'
check 'If-None-Match of what there is' answers 304 /hello.txt -H "If-None-Match: $etag"
check 'the answer to it names the version' header_is "$etag" etag /hello.txt -H "If-None-Match: $etag"
check 'If-None-Match of anything' answers 304 /hello.txt -H 'If-None-Match: *'
check 'If-None-Match of something else' answers 200 /hello.txt -H 'If-None-Match: "x"'
check 'If-Modified-Since then' answers 304 /hello.txt -H "If-Modified-Since: $modified"
check 'If-Modified-Since before' answers 200 /hello.txt -H "If-Modified-Since: $before"
check 'If-Match of what there is' answers 200 /hello.txt -H "If-Match: $etag"
check 'If-Match of something else' answers 412 /hello.txt -H 'If-Match: "x"'
check 'If-Unmodified-Since before' answers 412 /hello.txt -H "If-Unmodified-Since: $before"
check 'If-Unmodified-Since then' answers 200 /hello.txt -H "If-Unmodified-Since: $modified"
check 'If-Range of this version' answers 206 /hello.txt -r 0-1 -H "If-Range: $etag"
check 'If-Range of this date' answers 206 /hello.txt -r 0-1 -H "If-Range: $modified"
check 'If-Range of another version' answers 200 /hello.txt -r 0-1 -H 'If-Range: "x"'

# Refusals.
check 'no such file' answers 404 /nothing
check 'no such directory' answers 404 /nothing/
check 'a file is no directory' answers 404 /hello.txt/
check 'nor has it files' answers 404 /hello.txt/index.html
check 'a name that cannot be' answers 404 "/$(printf 'a%.0s' $(seq 300))"
check 'a directory without an index' answers 200 /bare/
check 'a directory is sent to its slash' header_is /sub/ location /sub
check 'with its query' header_is '/sub/?a=b' location '/sub?a=b'
check 'and its escapes' header_is '/odd%20dir/' location '/odd%20dir'
check 'a directory never becomes a host' header_is /sub/ location //sub
check 'a link outwards' answers 403 /out
check 'an absolute link' answers 403 /absolute
check 'a link into /proc' answers 403 /proc
check 'a link to itself' answers 403 /loop
check 'a FIFO' answers 403 /fifo
check 'a hidden file' answers 403 /.secret
check 'a file in a hidden directory' answers 403 /.hidden/secret.txt
check 'POST' answers 405 /hello.txt -d x
check 'POST is told what may be' header_is 'GET, HEAD' allow /hello.txt -d x
check 'DELETE' answers 405 /hello.txt -X DELETE
check 'a large POST is answered before it is sent' answers 405 \
	/hello.txt --data-binary "@$root/middle.bin" -H 'Expect: 100-continue'
check 'a POST beyond the limit' answers 413 /hello.txt --data-binary "@$root/large.bin" -H Expect:
check 'a POST in chunks' answers 405 \
	/hello.txt --data-binary "@$root/middle.bin" -H 'Transfer-Encoding: chunked'
check 'a refusal explains itself' body_matches '^404 Not Found\. .+' /nothing
chmod 0 "$root/style.css"
if [ -r "$root/style.css" ]; then
	skip 'a file that may not be read' 'a user other than root'
else
	sleep 1.1
	check 'a file that may not be read' answers 403 /style.css
fi

# Files that change.
replace() {
	printf 'replaced\n' >"$root/new" && mv "$root/new" "$root/hello.txt" && sleep 1.2 &&
		gives replaced /hello.txt
}
rewrite() {
	printf 'in place\n' >"$root/hello.txt" && sleep 1.2 && gives 'in place' /hello.txt
}
remove() {
	rm "$root/hello.txt" && sleep 1.2 && answers 404 /hello.txt
}
check 'a file that is replaced' replace
check 'a file that is written anew' rewrite
check 'its version is another' test "$etag" != "$(header etag /hello.txt)"
check 'a file that goes away' remove

check 'no descriptor but those of cached files is left' \
	descriptors_fall_to $((descriptors + 3))
check 'SIGTERM ends it with 0' stop_server TERM

# Other ways to start it.
start_server --dotfiles --revalidate=0 --cache-file-size=0 --cache-entries=2 --bind=::1 --workers=2
check 'IPv6, in the first line' matches 'http://\[::1\]:[0-9]+/ with .*, 2 workers$' "$(cat "$work/start")"
check 'dotfiles when asked for' same /.secret .secret
check 'never what lies above' answers 403 /../outside.txt
check 'nothing kept in memory' same /middle.bin middle.bin
check 'nor is anything stale' eval "echo 1 >\$root/f; get /f >/dev/null; echo 2 >\$root/f; equal 2 \$(get /f)"
check 'SIGINT ends it with 0' stop_server INT

start_server --access-log="$work/log"
get '/large.bin?"x"' -r 0-99 -A 'an "agent"' -e from >/dev/null
by_curl /nothing >/dev/null
check 'ends with an access log' stop_server
mapfile -t lines <"$work/log"
check 'the access log has the request' matches \
	'^127\.0\.0\.1 - - \[[^]]+\] "GET /large.bin\?\\x22x\\x22 HTTP/1.1" 206 100 "from" "an \\x22agent\\x22"$' \
	"${lines[0]}"
check 'and the one after' matches '"GET /nothing HTTP/1.1" 404 [0-9]+ "-" "curl' "${lines[1]}"

# The command line.
exits() { # CODE PATTERN ARGUMENT...
	local code=$1 pattern=$2 output got
	shift 2
	output=$(timeout "$patience" "$SLUICE_COMMAND" "$@" 2>&1)
	got=$?
	equal "$code" "$got" && matches "$pattern" "$output"
}
check 'help' exits 0 'sluice COMMAND' --help
check 'help of serve' exits 0 '--max-connections' serve --help
check 'help of probe' exits 0 '--json' probe --help
check 'the version' exits 0 '^sluice [0-9]+\.[0-9]+\.[0-9]+$' --version
check 'the version of serve' exits 0 '^sluice [0-9]+' serve --version
check 'no command' exits 2 'missing COMMAND'
check 'an unknown command' exits 2 'florp: no such command' florp
check 'an unknown option' exits 2 '--florp: no such option' serve --florp
check 'a missing value' exits 2 'port: missing value' serve --port
check 'a number that is none' exits 2 'not a number' serve --port=x
check 'a number out of range' exits 2 'out of range' serve --port=65536
check 'an unknown backend' exits 2 'auto, uring or epoll' serve --backend=x
check 'two directories' exits 2 'one directory' serve a b
check 'no such directory' exits 1 'nowhere: No such file' serve "$work/nowhere"
check 'a file for a directory' exits 1 'give the directory' serve "$root/index.html"
check 'an address of another machine' exits 1 'with --bind' serve --bind=192.0.2.1 "$root"
check 'an address that is none' exits 2 '--bind=300.1.1.1' serve --bind=300.1.1.1 "$root"
start_server
check 'a port in use' exits 1 'choose another with --port' serve --port="$port" "$root"
check 'a port in use, with workers' exits 1 'choose another' serve --workers=2 --port="$port" "$root"
check 'ends' stop_server
# What was killed may hold its port for a moment.
held_port() { # prints the port, and holds it a little longer than its caller needs to start
	exec python3 -c 'import socket, time
held = socket.create_server(("127.0.0.1", 0))
print(held.getsockname()[1], flush=True)
time.sleep(0.3)'
}
read -r held < <(held_port)
start_server --port="$held"
check 'a port that is free in a moment is waited for' equal "$held" "$port"
check 'ends' stop_server
read -r held < <(held_port)
start_server --port="$held" --workers=2
check 'the same, by two workers' equal "$held" "$port"
check 'ends' stop_server
# Tries are counted, so that a busy machine has no less of them: 35 of 50 ms.
real=$SLUICE_COMMAND
preloaded "$work/busy" SERVE_BUSY_BINDS=35
waits_long() ( # a server that does not start ends this alone
	before=$(date +%s%N)
	SLUICE_COMMAND=$work/busy start_server --bind=127.0.0.1
	after=$(date +%s%N)
	stop_server && [ $((after - before)) -ge 1700000000 ]
)
check 'it is waited for for nearly two seconds' waits_long
start_server
held=$port
for i in 1 2 3; do
	get / -o "$work/index"
	stop_server KILL >"$work/killed" 2>&1
	start_server --port="$held"
done
check 'a daemon that was killed can be started again at once' equal "$held 200" "$port $(status /)"
check 'ends' stop_server
check 'the probe' exits 0 'backend: (uring|epoll)' probe
check 'the probe in JSON' eval '"$SLUICE_COMMAND" probe --json | python3 -m json.tool'

plan
