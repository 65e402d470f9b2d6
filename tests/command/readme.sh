#!/bin/bash
# SPDX-License-Identifier: MIT
# The README's program is examples/send.c, and does what the README says when it is compiled as a
# reader would. Needs $SLUICE_LIBRARY, the shared library; $CC and $SLUICE_CFLAGS compile for it.
. "$(dirname "${BASH_SOURCE[0]}")/examples_common.sh"

: "${SLUICE_LIBRARY:?the path of libsluice.so}"
root=$(cd "$here/../.." && pwd)
libraries=$(dirname "$SLUICE_LIBRARY")

# The first block of C in the README.
extract() {
	sed -n '/^```c$/,/^```$/p' "$root/README.md" | sed '1d;/^```$/,$d' >"$work/send.c"
	[ -s "$work/send.c" ]
}

# Apart from the line that names the licence.
is_example() {
	tail -n +2 "$root/examples/send.c" | diff - "$work/send.c"
}

compiles() {
	${CC:-cc} ${SLUICE_CFLAGS-} -Wall -Wextra -Werror -I"$root/include" -o "$work/send" \
		"$work/send.c" -L"$libraries" -Wl,-rpath,"$libraries" -lsluice
}

check 'the README has a program' extract
check 'it is examples/send.c' is_example
check 'it compiles without a warning' compiles
check 'it sends' arrives 'Hello from sluice' "$work/send"
plan
