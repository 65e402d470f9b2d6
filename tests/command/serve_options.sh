#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` and the file that holds its options.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

echo hello >"$root/hello.foo"
says() { # CODE PATTERN OPTION...: the exit code, and what is printed
	local code=$1 pattern=$2 output
	shift 2
	output=$("$SLUICE_COMMAND" serve "$@" 2>&1)
	equal "$code" $? && matches "$pattern" "$output"
}

cat >"$work/good" <<-END
	# What a comment says counts nothing.
	  --index=default.html

	mime foo=text/x-file
	mime = bar = text/x-bar
	dotfiles
	backend=$backend
	directory $root
	port 0
END
sed -i '/bar/d' "$work/good"
config() {
	: >"$work/start"
	"$SLUICE_COMMAND" serve --config="$work/good" "$@" >"$work/start" 2>"$work/errors" &
	server=$!
	until_it "$patience" grep -q http: "$work/start" || return 1
	url=$(sed -n 's/^Serving .* at \(http:[^ ]*\)\/ with .*/\1/p' "$work/start")
}
check 'a configuration is enough' config
check 'its directory is served' gives hello /hello.foo
check 'its options hold' header_is 'text/x-file; charset=utf-8' content-type /hello.foo
check 'ends' stop_server
check 'with options beside it' config --mime=foo=text/x-line --charset=
check 'the command line wins' header_is text/x-line content-type /hello.foo
check 'ends' stop_server

check 'a right configuration is right' says 0 'configuration is valid' --check --config="$work/good"
printf 'port=80\n\nprot=90\nport=x\nworkers=0\ndotfiles=yes\nindex\nconfig=a\n' >"$work/bad"
for line in '3: prot: no such option; did you mean --port\?' '4: --port=x: not a number' \
	'5: --workers=0: out of range' '6: dotfiles: takes no value' '7: index: missing value' \
	'8: config: allowed on the command line only'; do
	check "line $line" says 2 "$work/bad:$line" --check --config="$work/bad"
done

# Values that are judged when all options are known: each error is reported, with its line.
cat >"$work/values" <<-END
	bind=127.0.0.1:80x
	bind=127.0.0.1
	mime=a
	mime=b
	index=a//b
	header=no colon
	cache-control=bad
	trust-proxy=10.0.0.0/40
	log-format=xml
	charset=a b
	metrics=127.0.0.1
	redirect-http=80
	directory=$work/nothing
END
sed -i '7s/.*/cache-control=bad\x01/; 11s/$/:x/' "$work/values"
"$SLUICE_COMMAND" serve --check --config="$work/values" >"$work/told" 2>&1
check 'wrong values are wrong' equal 2 $?
for line in 1:--bind= 3:--mime=a: 4:--mime=b: 5:--index=a//b: 8:--trust-proxy= 9:--log-format=xml: \
	10:--charset= 11:--metrics= '12:--redirect-http needs' "13:$work/nothing: No such file"; do
	check "line $line" grep -qF "$work/values:${line/:/: }" "$work/told"
done
check 'a right one is not reported' eval '! grep -q "values:2:" "$work/told"'
sed -i '$d' "$work/values"
for line in 6:--header= 7:--cache-control=; do
	check "line $line" says 2 "$work/values:${line/:/: }" --check --config="$work/values" "$root"
done
check 'also at the start' says 2 "$work/values:3: --mime=a" --config="$work/values" "$root"
check 'a value of the command line has no line' says 2 'sluice serve: --mime=c:' --check --mime=c --config="$work/values" "$root"
printf 'hsts=5\n' >"$work/hsts"
check 'a number has a line, too' says 2 "$work/hsts:1: --hsts needs" --check --config="$work/hsts" "$root"
check 'unless the command line has it' says 2 '^sluice serve: --hsts needs' --check --hsts=6 --config="$work/hsts" "$root"
printf 'port=0\nuser=nobody-of-this-name\n' >"$work/user"
check 'a user' says 2 "$work/user:2: --user=" --config="$work/user" "$root"

check 'a configuration that is not there' says 2 'No such file' --config="$work/nothing"
check 'a directory is none' says 2 'directory' --config="$work"
check 'a directory that is not there' says 1 'No such file' --check "$work/nothing"
for typed in --prot=80 --dotfile5 --no-lsting --acess-log; do
	check "$typed is guessed" says 2 'did you mean --' "$typed"
done
check 'what is like nothing is not' says 2 'no such option$|no such option
' --xyzzy-frobnicate
check 'nor is a letter' says 2 'no such option' -x
head -c 20000 /dev/zero | tr '\0' a >"$work/long"
check 'a line without an end is refused' says 2 'too long' --config="$work/long"
plan
