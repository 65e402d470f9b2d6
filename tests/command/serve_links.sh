#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` and symbolic links: those that stay inside are followed, also while they are switched.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

real=$SLUICE_COMMAND
without_openat2

# Links.
mkdir -p "$root/a/b" "$root/maps/..2026_01" "$root/maps/..2026_02"
echo inside >"$root/a/b/f"
echo outside >"$work/outside"
mkdir "$work/rootless"
echo beside >"$work/rootless/f"
ln -s "$root/a/b/f" "$root/absolute"
ln -s "$root/a" "$root/absolute_directory"
ln -s "$root//a/./b/../b" "$root/untidy"
ln -s /absolute "$root/not_a_chroot"
ln -s ../../root/a/b/f "$root/a/out_and_in"
ln -s ../absolute_directory/b "$root/a/chain"
ln -s b/../../a/b/f "$root/a/up_and_down"
ln -s "$work/named/a/b/f" "$root/by_its_other_name"
ln -s "$work/outside" "$root/absolute_outside"
ln -s ../outside "$root/relative_outside"
ln -s "$root/../outside" "$root/through"
ln -s "${root}less/f" "$root/longer_name"
ln -s "$root/a/../../outside" "$root/up_from_below"
ln -s /proc/self/cwd "$root/magic"
ln -s /proc/self/root "$root/a/magic"
ln -s "$root/loop2" "$root/loop1"
ln -s "$root/loop1" "$root/loop2"
ln -s .. "$root/a/up"
ln -s / "$root/slash"
echo one >"$root/maps/..2026_01/key"
echo two >"$root/maps/..2026_02/key"
ln -s ..2026_01 "$root/maps/..data"
ln -s ..data/key "$root/maps/key"
ln -s "$root" "$work/named"

links() { # NAME
	start_server --revalidate=1
	check "an absolute link that stays inside is followed ($1)" gives inside /absolute
	check "an absolute link to a directory ($1)" gives inside /absolute_directory/b/f
	check "an absolute link with dots and slashes ($1)" gives inside /untidy/f
	check "a link that leads out and in again ($1)" gives inside /a/out_and_in
	check "links behind one another ($1)" gives inside /a/chain/f
	check "a link with dot-dot in the middle ($1)" gives inside /a/up_and_down
	check "a link upwards inside ($1)" gives inside /a/up/a/up/a/b/f
	check "a link to a directory is sent to its slash ($1)" answers 301 /absolute_directory
	for link in absolute_outside relative_outside through longer_name up_from_below \
		not_a_chroot loop1 slash/etc/passwd magic/a/b/f a/magic/etc/passwd by_its_other_name; do
		check "/$link leads out or nowhere ($1)" answers 403 "/$link"
	done
	check "a ConfigMap is served ($1)" gives one /maps/key
	ln -s ..2026_02 "$root/maps/new"
	mv -T "$root/maps/new" "$root/maps/..data"
	check "and its update ($1)" until_it 30 gives two /maps/key
	ln -sfn ..2026_01 "$root/maps/..data"
	check "ends ($1)" stop_server
}
links openat2
SLUICE_COMMAND=$work/without_openat2
links 'without openat2'

# Something replaces links and directories while they are walked: nothing from outside arrives.
mkdir -p "$root/race/x" "$work/elsewhere"
echo within >"$root/race/x/f"
echo outside >"$work/elsewhere/f"
race() {
	local pid seen
	rm -f "$work/switched"
	python3 - "$work/elsewhere" "$root/race" "$work/switched" <<-'END' &
		import os, sys
		outside, race, switched = sys.argv[1:]
		os.chdir(race)
		while True:
		    os.symlink(outside, "y")
		    os.rename("x", "z")
		    os.rename("y", "x")
		    os.rename("x", "y")
		    os.rename("z", "x")
		    os.unlink("y")
		    open(switched, "w").close()
	END
	pid=$!
	until_it "$patience" test -e "$work/switched"
	ln -sfn "$root/race/x/f" "$root/raced"
	seen=$(curl -sS --max-time "$patience" "$url/race/x/f?[1-200]" "$url/raced?[1-200]" | grep -cx outside)
	kill "$pid"
	wait "$pid" 2>/dev/null
	equal 0 "$seen"
}
start_server --revalidate=0
check 'links that are switched while they are followed never lead out (without openat2)' race
check 'ends' stop_server
SLUICE_COMMAND=$real
rm -rf "$root/race"
mkdir -p "$root/race/x"
echo within >"$root/race/x/f"
start_server --revalidate=0
check 'links that are switched while they are followed never lead out' race
check 'ends' stop_server

plan
