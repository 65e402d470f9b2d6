#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice receive` and those who mean it ill: it writes below its directory, and new files alone.
. "$(dirname "${BASH_SOURCE[0]}")/transfer_common.sh"

outside() { # everything but what the receiver's directory holds
	find "$work" -path "$root" -prune -o -path "$work/output" -o -path "$work/errors" -o \
		-path "$work/start" -o -print | sort
}

refused() { # NAME: as a bad name, and the connection goes on
	equal 'result 2 bye ' "$(raw name "$1")"
}

: >"$work/before"
start_receiver
outside >"$work/before"
check_each 'no file is called' 'result 2 bye' name .. . ../x ../../x /etc/x /x a/b a/../b ./a 'a/' \
	'..\x2fx' '\x01' 'a\nb' '\x1b[2J' '\x7f' .x .bashrc .sluice-0000000000000000.part
printf -v longest 'x%.0s' {1..255}
answer=$(raw name "x$longest")
check 'a name of 256 bytes is no message' equal 'result 7 ' "${answer%end }"
check 'one of 255 is a name' equal 'have 0 ' "$(raw name "$longest")"
check 'nothing came to be outside' diff "$work/before" <(outside)
check 'nor inside' equal '' "$(ls -A "$root")"

check_each 'a stream that is no such protocol:' 'result 7 end' broken http zeros magic unknown long \
	empty-name nul huge early-data early-end early-chunk twice two-offers beyond hole \
	chunk-of-known data-of-unknown answer
check 'another version is told ours' equal 'hello end ' "$(raw version 1)"
check 'nothing came to be' equal '' "$(ls -A "$root")"

printf 'hello' >"$files/after"
check 'an honest sender is served after all that' sent 0 "$files/after" "127.0.0.1:$port"
check 'and its file is there' same after
stop_server

# Names of parts that lead elsewhere: found by letting a transfer break.
head -c 1000 /dev/urandom >"$files/trap"
start_receiver
raw half "$files/trap" >"$work/raw"
part=$(echo "$root"/.sluice-*.part)
echo precious >"$work/precious"
trapped() { # an offer is answered with a failure, and what was there is as it was
	equal 'result 4 bye ' "$(raw name trap)" && equal precious "$(<"$work/precious")"
}
ln -sf "$work/precious" "$part"
check 'a part that is a link is not followed' trapped
rm -f "$part"
ln "$work/precious" "$part"
check 'a part that has another name is not written to' trapped
rm -f "$part"
mkfifo "$part"
check 'a part that is a FIFO blocks nobody' trapped
rm -f "$part"
mkdir "$part"
check 'a part that is a directory is no part' trapped
rmdir "$part"
ln -s "$work/nowhere" "$root/dangling"
echo mine >"$files/dangling"
check 'a link into nowhere exists, too' sent 4 "$files/dangling" "127.0.0.1:$port"
check 'and nothing is made behind it' equal missing "$([ -e "$work/nowhere" ] || echo missing)"

# Two at once.
: >"$work/second"
: >"$work/held"
timeout "$patience" "$SLUICE_COMMAND" receive --insecure --output="$root" --port=0 >"$work/second" 2>&1 &
second=$!
await says '^Receiving into' "$work/second" >"$work/output"
other=$(sed -n '1s/^Receiving into .*:\([0-9]*\) with .*/\1/p' "$work/second")
timeout "$patience" python3 -S "$here/transfer_raw.py" "$other" hold "$files/trap" >"$work/held" &
holder=$!
await says held "$work/held" >"$work/output"
check 'a file that another receiver is storing is busy' equal 'result 6 bye ' "$(raw name trap)"
kill "$holder" "$second"
wait "$holder" "$second" 2>/dev/null
stop_server

# With --dotfiles.
start_receiver --dotfiles
check 'with --dotfiles a dot may stand in front' equal 'have 0 ' "$(raw name .profile)"
check 'but the directory is still none' refused .
check 'nor the one above' refused ..
stop_server

# Who says nothing, and who goes.
start_receiver --timeout=1 --once
check 'who says nothing is given up' equal 'end ' "$(raw silent)"
check 'and that is a failure' end_receiver 3

plan
