#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` and files that are encoded beforehand. No compressor is needed: what is sent is what
# stands in the file of the right name.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

echo plain >"$root/all.txt"
echo brotli >"$root/all.txt.br"
echo zstandard >"$root/all.txt.zst"
echo zipped >"$root/all.txt.gz"
echo plain >"$root/some.css"
echo zipped >"$root/some.css.gz"
echo plain >"$root/none.js"
echo plain >"$root/stale.txt"
echo stale >"$root/stale.txt.br"
echo zipped >"$root/stale.txt.gz"
touch -d '2001-01-01' "$root/stale.txt.br"
echo plain >"$root/directory.txt"
mkdir "$root/directory.txt.gz"
echo plain >"$root/link.txt"
echo outside >"$work/outside"
ln -s ../outside "$root/link.txt.gz"
echo index >"$root/index.html"
echo 'zipped index' >"$root/index.html.gz"
printf '<svg/>' | gzip >"$root/a.svgz"
echo wrong >"$root/a.svgz.gz"
echo alone >"$root/alone.txt.gz"
head -c 300000 /dev/urandom >"$root/large.bin"
head -c 200000 /dev/urandom >"$root/large.bin.zst"
touch -d '2005-05-05' "$root"/{all.txt,some.css,stale.txt,link.txt,directory.txt,index.html,large.bin}

settle
start_server

given() { # ENCODINGS PATH: the body, raw
	get "$2" -H "Accept-Encoding: $1"
}
encoding() { # ENCODINGS PATH
	header content-encoding "$2" -H "Accept-Encoding: $1"
}
check 'no Accept-Encoding gets the plain file' gives plain /all.txt
check 'gzip gets gzip' equal 'zipped gzip' "$(given gzip /all.txt) $(encoding gzip /all.txt)"
check 'zstd gets zstd' equal 'zstandard zstd' "$(given zstd /all.txt) $(encoding zstd /all.txt)"
check 'br gets br' equal 'brotli br' "$(given br /all.txt) $(encoding br /all.txt)"
check 'a browser gets br' equal brotli "$(given 'gzip, deflate, br, zstd' /all.txt)"
check 'what is missing is left out' equal zipped "$(given 'gzip, deflate, br, zstd' /some.css)"
check 'the higher quality counts' equal zstandard "$(given 'br;q=0.5, zstd;q=0.8' /all.txt)"
check 'q=0 refuses' equal zipped "$(given 'br;q=0, zstd;q=0, gzip' /all.txt)"
check 'an asterisk takes any' equal brotli "$(given '*' /all.txt)"
check '*;q=0 refuses the rest' equal 'brotli' "$(given 'br;q=1, *;q=0' /all.txt)"
check 'and the plain file' answers 406 /none.js -H 'Accept-Encoding: br;q=1, *;q=0'
check 'identity;q=0 refuses the plain file' answers 406 /none.js -H 'Accept-Encoding: identity;q=0'
check 'which depends on the request' header_is Accept-Encoding vary /none.js -H 'Accept-Encoding: identity;q=0'
check 'identity;q=0 gets an encoding' equal zipped "$(given 'identity;q=0, gzip' /some.css)"
check 'the identity is preferred when it is asked for' equal plain "$(given 'identity, gzip;q=0.5' /all.txt)"
check 'the type is that of the file' equal 'text/css' \
	"$(header content-type /some.css -H 'Accept-Encoding: gzip' | sed 's/;.*//')"
check 'the length is that of the encoding' header_is 7 content-length /all.txt -I -H 'Accept-Encoding: gzip'
check 'Vary on an encoded answer' header_is Accept-Encoding vary /all.txt -H 'Accept-Encoding: gzip'
check 'Vary on the plain one, too' header_is Accept-Encoding vary /all.txt
check 'each has an entity tag' equal 4 "$({
	header etag /all.txt
	for name in br zstd gzip; do
		header etag /all.txt -H "Accept-Encoding: $name"
	done; } | sort -u | grep -c '^"')"
tag=$(header etag /all.txt -H 'Accept-Encoding: gzip')
check 'a tag is that of its encoding' answers 304 /all.txt -H 'Accept-Encoding: gzip' -H "If-None-Match: $tag"
check 'and of no other' answers 200 /all.txt -H 'Accept-Encoding: br' -H "If-None-Match: $tag"
check '304 has Vary' header_is Accept-Encoding \
	vary /all.txt -H 'Accept-Encoding: gzip' -H "If-None-Match: $tag"
check 'a file older than the plain one is not sent' equal zipped "$(given 'br, gzip' /stale.txt)"
check 'nor a directory' equal plain "$(given gzip /directory.txt)"
check 'nor what a link outwards leads to' equal plain "$(given gzip /link.txt)"
check 'an index may be encoded' equal 'zipped index' "$(given gzip /)"
check 'what is compressed in itself stays so' equal gzip "$(encoding gzip /a.svgz)"
check 'and is not looked for' test wrong != "$(given gzip /a.svgz | tr -d '\0')"
check 'an encoding alone is no file' answers 404 /alone.txt -H 'Accept-Encoding: gzip'
check 'the encoded file by its own name' equal 'zipped ' "$(get /all.txt.gz) $(encoding gzip /all.txt.gz)"
range() {
	answers 206 /large.bin -r 1000-1999 -H 'Accept-Encoding: zstd' &&
		get /large.bin -r 1000-1999 -H 'Accept-Encoding: zstd' |
		cmp - <(tail -c +1001 "$root/large.bin.zst" | head -c 1000)
}
check 'a range is one of the encoding' range
check 'its size is that of the encoding' header_is 'bytes 1000-1999/200000' \
	content-range /large.bin -r 1000-1999 -H 'Accept-Encoding: zstd'
large() {
	get /large.bin -H 'Accept-Encoding: zstd' | cmp - "$root/large.bin.zst"
}
check 'a large encoding arrives' large

# Time passes.
echo newer >"$root/some.css"
check 'a file that is changed replaces its encoding' until_it 30 eval '[ "$(given gzip /some.css)" = newer ]'
echo again >"$root/some.css.gz"
check 'until that is made anew' until_it 30 eval '[ "$(given gzip /some.css)" = again ]'
check 'ends' stop_server

start_server --no-precompressed
check 'when told so only plain files are sent' equal 'plain ' "$(given gzip /all.txt) $(encoding gzip /all.txt)"
check 'and nothing varies' header_is '' vary /all.txt
check 'nor is anything refused' answers 200 /all.txt -H 'Accept-Encoding: identity;q=0'
check 'ends' stop_server
plan
