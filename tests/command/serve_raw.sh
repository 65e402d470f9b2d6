#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` against clients that break the rules: every byte is ours.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

mkdir -p "$root/sub" "$root/.hidden"
printf 'hello\n' >"$root/hello.txt"
printf 'OUTSIDE\n' >"$work/outside.txt"
printf 'OUTSIDE\n' >"$root/.hidden/secret.txt"
ln -s ../outside.txt "$root/link"
ln -s .. "$root/up"
head -c 4000000 /dev/zero >"$root/large.bin"

start_server --max-head=4096 --max-target=1024 --max-body=10000 --cache-entries=16
descriptors=$(settled_descriptors)
python3 "$here/serve_raw.py" "$port" >"$work/cases" 2>"$work/python" || cat "$work/python" >&2
cat "$work/cases"
cases=$(grep -cE '^(not )?ok' "$work/cases")
check 'the list was run to its end' grep -qx '# done' "$work/cases"
check 'no descriptor is left' descriptors_fall_to $((descriptors + 2))
check 'the server lives, and ends with 0' stop_server
plan
