#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` and files that are deleted, and a directory that becomes another one.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

real=$SLUICE_COMMAND
without_openat2

# What is deleted, and directories that are made anew.
open_files() { # PATTERN: of the daemon
	ls -l "/proc/$server/fd" | grep -c -- "$1"
}
closed() {
	equal 0 "$(open_files "$1")"
}
head -c 1000000 /dev/zero >"$root/large"
start_server --revalidate=1
check 'a large file is open' eval 'answers 200 /large && ! closed large'
rm "$root/large"
check 'a deleted file is closed, without a request' until_it 30 closed deleted
check 'ends' stop_server

reloaded() { # TIMES
	[ "$(grep -c '^Reloaded' "$work/start")" -ge "$1" ]
}
each_gives() { # TEXT: /f, over several connections
	for _ in $(seq 6); do
		gives "$1" /f || return 1
	done
}

saved=$root
root=$work/switched
mkdir "$work/one" "$work/two"
echo one >"$work/one/f"
echo two >"$work/two/f"
ln -s one "$work/switched"
for SLUICE_COMMAND in "$real" "$work/without_openat2"; do
	how=$([ "$SLUICE_COMMAND" = "$real" ] && echo openat2 || echo 'without openat2')
	ln -sfn one "$work/switched"
	start_server --revalidate=1
	check "a served link ($how)" gives one /f
	ln -sfn two "$work/switched"
	check "is followed when it is switched ($how)" until_it 30 gives two /f
	rm "$work/switched"
	sleep 1.2
	check "the last directory is served while there is none ($how)" gives two /f
	ln -sfn one "$work/switched"
	check "and the next one ($how)" until_it 30 gives one /f
	check "ends ($how)" stop_server
	root=$work/anew
	mkdir "$root"
	echo old >"$root/f"
	start_server --revalidate=1 --workers=2
	check "a served directory ($how)" gives old /f
	rm -rf "$root"
	mkdir "$root"
	echo new >"$root/f"
	check "is served when it was made anew ($how)" until_it 30 gives new /f
	check "the old one is closed ($how)" until_it 30 closed deleted
	check "ends with two workers ($how)" stop_server
	rm -rf "$root"
	root=$work/switched

	# Long before its path is checked again.
	ln -sfn one "$work/switched"
	start_server --revalidate=600 --workers=2
	check "a link is served ($how)" gives one /f
	ln -sfn two "$work/switched"
	check "is not followed while its path is not checked ($how)" gives one /f
	kill -HUP "$server"
	check "SIGHUP reopens the root behind a switched link ($how)" until_it "$patience" reloaded 1
	check "in each worker ($how)" until_it "$patience" each_gives two
	rm "$work/switched"
	cp -r "$work/one" "$work/switched"
	kill -HUP "$server"
	check "SIGHUP reopens the root that was made anew ($how)" until_it "$patience" reloaded 2
	check "in each worker, too ($how)" until_it "$patience" each_gives one
	mv "$work/switched" "$work/moved"
	kill -HUP "$server"
	check "without a root, SIGHUP is reported ($how)" until_it "$patience" grep -q "$work/switched: No such" "$work/errors"
	check "and the last one is served ($how)" gives one /f
	check "ends after SIGHUP ($how)" stop_server
	rm -r "$work/moved"
done
SLUICE_COMMAND=$real
# A relative path means the same as long as the daemon runs.
root=anew
mkdir "$work/anew"
echo old >"$work/anew/f"
cd "$work"
start_server --revalidate=1
cd "$here"
check 'a relative directory' gives old /f
rm -rf "$work/anew"
mkdir "$work/anew"
echo new >"$work/anew/f"
check 'is found again' until_it 30 gives new /f
check 'ends' stop_server
root=$saved

plan
