#!/bin/bash
# SPDX-License-Identifier: MIT
# The listing of a directory in a real browser: it can be read, in light and dark, on a phone and a
# desk; names are text; a click sorts.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
	echo '1..0 # SKIP no chromium'
	exit 0
}

mkdir "$root/list"
: >"$root/favicon.ico" # which browsers ask for
hostile="<img src=x onerror=alert(1)>&amp;\"'%41.txt"
printf 'x' >"$root/list/$hostile"
printf 'three hundred bytes%281s' '' >"$root/list/b.txt"
head -c 5000 /dev/zero >"$root/list/$(printf 'long%.0s' $(seq 40)).txt"
head -c 3000000 /dev/zero >"$root/list/a.txt"

start_server
PYTHONDONTWRITEBYTECODE=1 timeout $((4 * patience)) python3 "$here/serve_listing_page.py" "$browser" "$url/list/" \
	"$hostile" b.txt "$(printf 'long%.0s' $(seq 40)).txt" a.txt
