#!/bin/bash
# SPDX-License-Identifier: MIT
# The page of `sluice bench` in a real browser: no error, nothing from outside, nothing that
# overflows on a phone or a desk, in light and dark, and words for every picture.
set -u

: "${SLUICE_COMMAND:?the path of the command}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/patience.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# The shell takes half of the CPU time.
browser=$(command -v chromium-headless-shell || command -v chromium || command -v chromium-browser ||
	command -v google-chrome) || {
	echo '1..0 # SKIP no chromium'
	exit 0
}

if python3 -S "$here/bench_page_result.py" >"$work/result.json" &&
	timeout "$patience" "$SLUICE_COMMAND" bench --from="$work/result.json" --html="$work/page.html" \
		>"$work/said" 2>&1; then
	timeout "$patience" python3 "$here/bench_page.py" "$browser" "$work/page.html"
else
	sed 's/^/# /' "$work/said"
	echo 'Bail out! there is no page'
	exit 1
fi
