#!/bin/bash
# SPDX-License-Identifier: MIT
# The manual pages of `sluice send` and `sluice receive`, as they are read and copied from.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

pages=$here/../../man

clean() { # the pages refer to others, which need not be installed
	local said
	said=$(mandoc -T lint "$pages/sluice-$1.1" | grep -v 'referenced manual not found')
	equal '' "$said"
}

rendered() {
	mandoc -T ascii "$pages/sluice-$1.1" | col -b
}

# The loop, with a sluice that fails three times: ends when the fourth code is 0, or another one.
loop() { # CODE CALLS
	rendered send | sed -n '/until sluice send/,/done/p' >"$work/loop"
	[ -s "$work/loop" ] && sh -n "$work/loop" || return
	cat >"$work/script" <<-SCRIPT
		calls=0
		sleep() { :; }
		sluice() {
			calls=\$((calls + 1))
			[ \$calls -gt 3 ] && return $1
			return 3
		}
		. "$work/loop"
		[ \$calls -eq $2 ]
	SCRIPT
	timeout 20 sh "$work/script"
}

if command -v mandoc >/dev/null && command -v col >/dev/null; then
	for page in send receive; do
		check "mandoc has nothing to say about $page" clean $page
		check 'its synopsis names the command' \
			matches "SYNOPSIS.     *sluice $page " "$(rendered $page | tr '\n' ' ')"
	done
	check 'the loop can be copied, and ends with success' loop 0 4
	check 'and with another failure' loop 4 4
else
	skip 'the manual pages' 'no mandoc'
fi

plan
