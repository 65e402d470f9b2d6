#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve`: which file an address finds, what type it has, and what is said where there is none.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

mkdir -p "$root/both" "$root/sub/deep/er" "$root/second" "$root/none" "$root/about" "$root/guide"
echo html >"$root/both/index.html"
echo text >"$root/both/default.txt"
echo text >"$root/second/default.txt"
echo about >"$root/about.html"
echo guide >"$root/guide/index.html"
echo page >"$root/name.html"
echo plain >"$root/name2"
echo page >"$root/name2.html"
echo 'root page' >"$root/404.html"
echo 'sub page' >"$root/sub/404.html"
echo 'zipped page' >"$root/sub/404.html.gz"
mkdir "$root/sub/deep/404.html"
echo x >"$root/a.foo"
echo x >"$root/a.css"
echo x >"$root/a.json"

# The page for what does not exist.
start_server
page() { # STATUS BODY PATH OPTION...
	equal "$1 $2" "$(status "${@:3}") $(get "${@:3}")"
}
check 'the error page of the root' page 404 'root page' /nothing
check 'of a directory' page 404 'sub page' /sub/nothing
check 'of the nearest directory above' page 404 'sub page' /sub/deep/er/nothing
check 'also where no directory is' page 404 'sub page' /sub/no/such/directory/
check 'with escapes in the path' page 404 'sub page' /sub/%64eep/no%20thing
check 'a directory of its name is none' page 404 'sub page' /sub/deep/nothing
check 'it is sent from the cache' page 404 'sub page' /sub/nothing
check 'it is HTML' header_is 'text/html; charset=utf-8' content-type /nothing
check 'it is no version of a file' equal '' "$(header etag /nothing)$(header last-modified /nothing)"
check 'it has no ranges' page 404 'root page' /nothing -r 0-1
check 'no condition hides it' page 404 'root page' /nothing -H 'If-None-Match: *'
check 'HEAD has its length' equal '404 10 ' "$(status /nothing -I) $(header content-length /nothing -I) "
check 'HTTP/1.0 gets it' page 404 'root page' /nothing --http1.0
check 'it may be encoded' page 404 'zipped page' /sub/nothing -H 'Accept-Encoding: gzip'
check 'who refuses plain files gets it all the same' page 404 'root page' /nothing -H 'Accept-Encoding: identity;q=0'
check 'by its own address it is a page' page 200 'root page' /404.html
check 'other errors have none' body_matches '^403 Forbidden' /../x
echo 'new page' >"$root/404.html"
check 'a change is seen' until_it 30 eval '[ "$(get /nothing)" = "new page" ]'
rm "$root/404.html"
check 'without a page a sentence explains' until_it 30 eval '[[ $(get /nothing) == "404 Not Found. "* ]]'
check 'as text' header_is 'text/plain; charset=utf-8' content-type /nothing
check 'and it is 404' answers 404 /nothing
check 'a name is no page without --clean-urls' answers 404 /name
check 'index.html is the index' gives html /both/
check 'and no other name' answers 200 /second/
check 'ends' stop_server

start_server --index=default.txt,index.html --clean-urls --mime=foo=text/x-foo --mime=json=application/x-j
check 'the first index counts' gives text /both/
check 'the second is taken if there is no first' gives guide /guide/
check 'its type is its own' header_is 'text/plain; charset=utf-8' content-type /second/
check 'a name finds its page' gives page /name
check 'whose type it has' header_is 'text/html; charset=utf-8' content-type /name
check 'a file of the name comes first' gives plain /name2
check 'a page comes before a directory' gives about /about
check 'a directory without a page is sent to its slash' header_is /guide/ location /guide
check 'the full name works, too' gives page /name.html
check 'a name without a page does not exist' answers 404 /nothing
check 'a type of our own' header_is 'text/x-foo; charset=utf-8' content-type /a.foo
check 'comes before those of the system' header_is application/x-j content-type /a.json
check 'ends' stop_server

start_server --charset=iso-8859-1
check 'another charset' header_is 'text/css; charset=iso-8859-1' content-type /a.css
check 'ends' stop_server
start_server --charset=
check 'none' header_is text/css content-type /a.css
check 'ends' stop_server

# What cannot be meant.
refused() { # PATTERN OPTION...
	local pattern=$1 output
	shift
	output=$("$SLUICE_COMMAND" serve "$@" "$root" 2>&1)
	equal 2 $? && matches "$pattern" "$output"
}
check 'an index is a name' refused 'file names' --index=a/b
check 'and not empty' refused 'file names' --index=a,,b
check 'nor are there too many' refused 'file names' --index=a,b,c,d,e,f,g,h,i
check 'a type has two parts' refused 'EXT=TYPE' --mime=foo=bar
check 'no header is forged by a type' refused 'EXT=TYPE' $'--mime=foo=text/x\r\nX-Forged: y'
check 'an extension has no dot' refused 'EXT=TYPE' --mime=.foo=text/plain
check 'no header is forged by a charset' refused 'not a name' $'--charset=x\r\nX: y'

# A file that cannot be read is named.
saved=$root
root=/proc/$$
start_server --dotfiles
check 'a file that cannot be read is an error' answers 500 /mem
check 'which names the file' until_it 30 shows '^sluice: /mem: ' "$work/errors"
check 'ends' stop_server
root=$saved
plan
