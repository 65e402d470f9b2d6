#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` and directories without an index.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

mkdir "$root/bare" "$root/bare/sub" "$root/bare/.hidden" "$root/index" "$root/empty"
printf 'twelve bytes' >"$root/bare/b.txt"
printf 'long enough to be larger\n' >"$root/bare/A.txt"
printf 'x' >"$root/bare/<i>&\"'%41ä.txt"
printf 'secret\n' >"$root/bare/.secret"
printf 'forged\n' >"$root/bare/two
lines"
printf '\377' >"$root/bare/$(printf '\377\376')"
printf 'outside\n' >"$work/outside"
ln -s ../../outside "$root/bare/out"
ln -s /proc/self/environ "$root/bare/proc"
ln -s b.txt "$root/bare/inside"
ln -s sub "$root/bare/linked"
ln -s nothing "$root/bare/dangling"
mkfifo "$root/bare/fifo"
echo index >"$root/index/index.html"
touch -d '2001-02-03 04:05:06 UTC' "$root/bare/b.txt"

start_server

page=$(get /bare/)
json=$(get /bare/ -H 'Accept: application/json')
in_page() {
	[[ $page == *"$1"* ]] || { echo "$page"; return 1; }
}
not_in_page() {
	! in_page "$1" >/dev/null
}
names() { # QUERY: sets $names to those of the listing, in its order, as JSON has them
	local rest
	read_body "/bare/$1" -H 'Accept: application/json'
	rest=$body
	names=
	while [[ $rest =~ '{"name":"'(([^\"\\]|\\.)*)'"'(.*) ]]; do
		names+="${BASH_REMATCH[1]} "
		rest=${BASH_REMATCH[3]}
	done
}
check 'a directory without an index is listed' in_page '<a href="./b.txt">b.txt</a>'
check 'a name is escaped in text' in_page '&lt;i&gt;&amp;&quot;&#39;%41ä.txt'
check 'a name is escaped in a link' in_page 'href="./%3Ci%3E%26%22%27%2541%C3%A4.txt"'
check 'the link leads to the file' gives x '/bare/%3Ci%3E%26%22%27%2541%C3%A4.txt'
check 'directories end with a slash' in_page '<a href="./sub/">sub/</a>'
check 'the directory above is linked' in_page '<a href="../">../</a>'
check 'a link within is listed' in_page './inside"'
check 'a linked directory is one' in_page './linked/"'
for name in .secret .hidden out proc dangling fifo two; do
	check "$name is not listed" not_in_page "$name"
done
check 'a name that is not UTF-8 can be fetched by its link' equal "$(printf '\377')" \
	"$(get /bare/%FF%FE)"
check 'and is shown with replacement characters' in_page $'>\xef\xbf\xbd\xef\xbf\xbd<'
check 'the page says what it is' header_is 'text/html; charset=utf-8' content-type /bare/
check 'the answer depends on Accept' matches Accept "$(header vary /bare/)"
check 'HEAD has the length of the page' equal "$(get /bare/ | wc -c)" "$(header content-length /bare/ -I)"
check 'an unchanged listing is not sent again' answers 304 /bare/ -H "If-None-Match: $(header etag /bare/)"
check 'ranges of a listing' gives '<!DOC' /bare/ -r 0-4
check 'an empty directory' body_matches 'directory is empty' /empty/
check 'an index is preferred' gives index /index/
check 'an index is preferred to JSON, too' gives index /index/ -H 'Accept: application/json'
check 'the root is listed' body_matches 'href="./bare/"' /

objects() {
	python3 - "$json" <<-'END'
		import json, sys
		objects = json.loads(sys.argv[1])
		assert all(sorted(o) == ["mtime", "name", "size", "type"] for o in objects), objects
		by_name = {o["name"]: o for o in objects}
		assert by_name["b.txt"] == {"name": "b.txt", "type": "file", "size": 12,
			"mtime": "2001-02-03T04:05:06Z"}, by_name
		assert by_name["sub"]["type"] == "directory"
		assert by_name["linked"]["type"] == "directory"
		assert by_name["inside"]["size"] == 12
		assert "<i>&\"'%41ä.txt" in by_name
		assert not any("secret" in n or "out" in n or "\n" in n for n in by_name)
	END
}
check 'JSON is an array of objects' objects
check 'JSON says what it is' header_is application/json content-type /bare/ -H 'Accept: application/json'
check 'a browser gets HTML' header_is 'text/html; charset=utf-8' content-type /bare/ \
	-H 'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
sorted() { # QUERY FIRST SECOND: the first file is listed before the second
	names "$1"
	matches "(^| )$2 (.* )?$3 " "$names"
}
check 'by name, whatever the case' sorted '' A.txt b.txt
check 'by name, backwards' sorted '?sort=name&order=desc' b.txt A.txt
check 'by size' sorted '?sort=size' b.txt A.txt
check 'by size, backwards' sorted '?sort=size&order=desc' A.txt b.txt
check 'by time' sorted '?sort=time' b.txt A.txt
check 'by time, backwards' sorted '?sort=time&order=desc' A.txt b.txt
names '?sort=size'
check 'directories come first' matches '^linked sub ' "$names"
check 'an unknown order is by name' sorted '?sort=<script>' A.txt b.txt

# It shows what changes.
lists_new() {
	names ''
	[[ $names == *new.txt* ]]
}
lists_no_new() {
	! lists_new
}
: >"$root/bare/new.txt"
check 'a new file appears' until_it 30 lists_new
rm "$root/bare/new.txt"
check 'a deleted file disappears' until_it 30 lists_no_new
check 'SIGTERM ends it with 0' stop_server

start_server --no-listing
check 'without listings a directory is forbidden' answers 403 /bare/
check 'the refusal says why' body_matches 'directory listings are off' /bare/
check 'an index is served' gives index /index/
check 'ends' stop_server

start_server --dotfiles
check 'dotfiles are listed when they are served' body_matches '\.secret.*' /bare/
check 'ends' stop_server

# 100,000 names: other requests are answered while they are read.
# Links, which are made in a third of the time of files.
python3 - "$root" <<'END'
import os, sys
def fill(directory, count):
    os.mkdir(directory)
    os.chdir(directory)
    first = "nothing"
    for i in range(1, count + 1):
        name = "file-%06d.txt" % i
        try:
            os.link(first, name)
        except OSError: # a file has no more links than its file system allows
            first = name
            open(name, "x").close()
fill(sys.argv[1] + "/many", 100000)
fill(sys.argv[1] + "/more", 3000)
END
echo small >"$root/small.txt"
start_server --lookup-threads=2
get /small.txt >/dev/null
answered=0
get /many/ -o "$work/many" &
listing=$!
while ((answered < 5)) && gives small /small.txt && kill -0 "$listing" 2>/dev/null; do
	((++answered))
done
wait "$listing"
check 'a directory of 100,000 names is listed' equal 100000 "$(grep -c 'href="./file-' "$work/many")"
check 'other requests are answered meanwhile' test "$answered" -gt 0
# The thread that waits for the network reads no directory: only lookup threads do.
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	strace -f -e trace=getdents64,epoll_wait,epoll_pwait,epoll_pwait2,io_uring_enter \
		-o "$work/trace" -p "$server" 2>"$work/strace" &
	tracer=$!
	until_it 30 shows attached "$work/strace"
	get /bare/ >/dev/null
	get '/more/?sort=size' >/dev/null
	kill "$tracer"
	wait "$tracer" 2>/dev/null
	read -r readers waiters both < <(awk '
		/getdents64/ { readers[$1] }
		/epoll|io_uring/ { waiters[$1] }
		END { for (thread in readers) both += thread in waiters
			print length(readers), length(waiters), both + 0 }' "$work/trace")
	check 'directories are read' test "$readers" -gt 0 -a "$waiters" -gt 0
	check 'in no thread that waits for the network' equal 0 "$both"
else
	skip 'directories are read in threads of their own' 'strace'
fi
check 'ends' stop_server
plan
