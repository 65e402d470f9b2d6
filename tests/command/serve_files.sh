#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` and versions of files that look alike, and files that do not say how long they are.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

# Versions.
one_time() { # TIME FILE TEXT
	echo "$3" >"$work/new"
	touch -d "@$1" "$work/new"
	mv "$work/new" "$root/$2"
}
start_server --revalidate=1
one_time 1700000000 same aaaa
check 'a file' gives aaaa /same
# A file that has just been written has a tag of its own until another change would show.
sleep 1.2
etag=$(header etag /same)
modified=$(header last-modified /same)
check 'a file that has not changed is not sent again' eval \
	'sleep 1.2; answers 304 /same -H "If-None-Match: $etag"'
check 'nor by its date' answers 304 /same -H "If-Modified-Since: $modified"
check 'nor by a date behind it' answers 304 \
	/same -H "If-Modified-Since: $(date -u -d '+1 hour' '+%a, %d %b %Y %T GMT')"
check 'a date between the one of a file and its arrival does not mean it' answers 200 \
	/same -H "If-Modified-Since: $(date -u -d @1700000001 '+%a, %d %b %Y %T GMT')"
check 'a part by a date that is older than the file is here is the whole' answers 200 \
	/same -r 0-1 -H "If-Range: $modified"
one_time 1700000000 same bbbb
sleep 1.2
check 'another file of the same length and time is another version' equal '200 bbbb' \
	"$(status /same -H "If-None-Match: $etag") $(get /same)"
check 'and no part of the one before' answers 200 /same -r 0-1 -H "If-Range: $etag"
printf 'cccc\n' >"$root/same"
touch -d @1700000000 "$root/same"
etag=$(sleep 1.2; header etag /same)
printf 'dddd\n' >"$root/same"
touch -d @1700000000 "$root/same"
sleep 1.2
check 'a file that is written anew with its old time is another version' equal '200 dddd' \
	"$(status /same -H "If-None-Match: $etag") $(get /same)"
for time in 1 499162500 $(($(date +%s) + 100000)); do
	one_time "$time" timeless x
	sleep 1.2
	check "a file of the time $time has no date" header_is '' last-modified /timeless
	check "but a version ($time)" answers 304 /timeless -H "If-None-Match: $(header etag /timeless)"
	check "no date means it ($time)" answers 200 \
		/timeless -H "If-Modified-Since: $(date -u '+%a, %d %b %Y %T GMT')"
	check "nor a part of it ($time)" answers 200 /timeless -r 0-0 \
		-H "If-Range: $(date -u -d "@$time" '+%a, %d %b %Y %T GMT')"
done
# Within a second, and within the resolution of time stamps.
quick() {
	for i in $(seq 8); do
		printf '%04d' "$i" >"$root/quick"
		get /quick -D "$work/head" >/dev/null
		if grep -qi '^last-modified' "$work/head" &&
			[ "$(header last-modified /quick)" = "$(header date /quick)" ]; then
			echo 'a date that the next change may have as well'
			return 1
		fi
	done
	until_it 30 gives 0008 /quick && until_it 30 matches . "$(sleep 2.2; header last-modified /quick)"
}
check 'a file that keeps changing has no date until it stays' quick
check 'ends' stop_server

saved=$root

# Files that do not say how long they are.
generated() { # DIRECTORY
	local saved=$root file=/proc/sys/kernel/ostype
	if [ ! -r "$file" ] || [ "$(stat -c %s "$file")" != 0 ]; then
		skip "files of /proc ($*)" 'there is no /proc/sys/kernel/ostype'
		return
	fi
	root=/proc/sys/kernel
	start_server "$@"
	check "a file of /proc is sent to its end ($*)" eval 'get /ostype | cmp - "$root/ostype"'
	check "HEAD has its length ($*)" equal "$(wc -c <"$file") 0" \
		"$(get /ostype -I -o /dev/null -w '%header{content-length} %{size_download}')"
	check "a part of it ($*)" equal "206 $(head -c 3 "$file" | tail -c 2)" \
		"$(status /ostype -r 1-2) $(get /ostype -r 1-2)"
	check "HTTP/1.0 gets it ($*)" eval 'get /ostype --http1.0 | cmp - "$root/ostype"'
	check "its version is that of its content ($*)" answers 304 \
		/ostype -H "If-None-Match: $(header etag /ostype)"
	check "it has no date ($*)" header_is '' last-modified /ostype
	check "an empty part of the tree is no file ($*)" answers 404 /nothing
	check "ends ($*)" stop_server
	root=$saved
}
generated
generated --cache-file-size=0

longer() {
	local saved=$root length
	length=$(wc -c </proc/self/net/protocols 2>/dev/null || echo 0)
	root=/proc
	start_server --revalidate=0
	# Different at each request, and longer than a page here: whatever comes is whole.
	for path in /kallsyms /cpuinfo /meminfo /interrupts /self/net/protocols; do
		[ -r "/proc$path" ] || continue
		get "$path" -o "$work/got" -w '%{http_code} %{size_download} %header{content-length}\n' \
			>"$work/answer" || return 1
		grep -qE '^(200 ([1-9][0-9]*) \2|403 .*)$' "$work/answer" || {
			cat "$work/answer"
			return 1
		}
	done
	cmp <(get /cpuinfo | grep -c ^processor) <(grep -c ^processor /proc/cpuinfo) || return 1
	stop_server || return 1
	root=$saved
}
check 'longer files of /proc are whole' longer

sysfs() {
	local saved=$root
	root=/sys/kernel
	start_server
	get /uevent_seqnum -o "$work/got" && grep -qx '[0-9]*' "$work/got" && stop_server || return 1
	root=$saved
}
if [ -r /sys/kernel/uevent_seqnum ]; then
	check 'a file of /sys is shorter than it says' sysfs
else
	skip 'a file of /sys is shorter than it says' 'there is no /sys/kernel/uevent_seqnum'
fi

plan
