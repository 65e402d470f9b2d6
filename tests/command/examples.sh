#!/bin/bash
# SPDX-License-Identifier: MIT
# The examples do what they say, on the backend that $SLUICE_BACKEND names. Needs $SLUICE_EXAMPLES,
# the directory that holds them.
. "$(dirname "${BASH_SOURCE[0]}")/examples_common.sh"

: "${SLUICE_EXAMPLES:?the directory of the examples}"
send=$SLUICE_EXAMPLES/send
begin_send=$SLUICE_EXAMPLES/begin_send
begin_send_error=$SLUICE_EXAMPLES/begin_send_error
end_send=$SLUICE_EXAMPLES/end_send
end_send_file=$SLUICE_EXAMPLES/end_send_file
serve_file=$SLUICE_EXAMPLES/serve_file
backend=${SLUICE_BACKEND:-uring}

# start_serving FILE: serves it at $port.
start_serving() {
	local line

	: >"$work/served" # the program's own redirection may come late
	"$serve_file" "$1" >"$work/served" 2>"$work/errors" &
	server=$!
	line=$(wait_for "$work/served" '^listening on') || {
		cat "$work/errors"
		return 1
	}
	port=${line#*port }
	port=${port%%,*}
	[ "${line##*with }" = "$backend" ] || {
		echo "it runs on another backend: $line"
		return 1
	}
}

# fetch FILE: takes all that a connection brings, up to its end.
fetch() {
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
	timeout "$patience" cat <&3 >"$1"
	exec 3>&-
}

fetches() { # FILE
	fetch "$work/got" && cmp "$1" "$work/got"
}

fetches_at_once() { # FILE COUNT
	python3 -S "$here/examples_readers.py" "$port" "$2" "$1"
}

# A reader that goes away in the middle; the others still get theirs.
outlives_reader() { # FILE
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
	head -c 1000 <&3 >/dev/null
	exec 3>&-
	fetches "$1"
}

stops() { # SIGNAL
	local pid=$server code=0

	server=
	kill -"$1" "$pid"
	wait "$pid" || code=$?
	[ "$code" -eq 0 ] || {
		echo "exit code $code"
		cat "$work/errors"
		return 1
	}
}

# Its first line says how the send went, its second what a shut stream answers at once.
tells_both() {
	local said
	listen || return 1
	said=$("$begin_send_error" 127.0.0.1 "$port") || return 1
	wait "$peer" || return 1
	printf 'Hello from begin_send_error\n' | cmp - "$work/received" || return 1
	[ "$said" = $'Success, 28 bytes\nShutdown, no result' ] || {
		echo "it said: $said"
		return 1
	}
}

sends_file() { # FILE
	local said
	listen || return 1
	said=$("$end_send_file" "$1" 127.0.0.1 "$port") || return 1
	wait "$peer" || return 1
	cmp "$1" "$work/received" || return 1
	[ "$said" = "Success, $(stat -c %s "$1") bytes" ] || {
		echo "it said: $said"
		return 1
	}
}

head -c 3000000 /dev/urandom >"$work/large"
printf 'a few bytes\n' >"$work/small"
: >"$work/empty"

check 'send: the line arrives' arrives 'Hello from sluice' "$send"
check 'send: says who does not answer' fails 1 'Connection refused' "$send" 127.0.0.1 1
check 'send: says what it wants to know' fails 1 'send HOST PORT' "$send"
# Built if there is a compiler of C++.
if [ -x "$SLUICE_EXAMPLES/send_await" ]; then
	check 'send_await: the line arrives' arrives 'Hello from sluice' "$SLUICE_EXAMPLES/send_await"
	check 'send_await: says who does not answer' fails 1 'refused the connection' \
		"$SLUICE_EXAMPLES/send_await" 127.0.0.1 1
fi
check 'begin_send: the line arrives' arrives 'Hello from begin_send' "$begin_send"
check 'begin_send: says who does not answer' fails 1 'Connection refused' "$begin_send" 127.0.0.1 1
check 'begin_send: says what it wants to know' fails 1 'begin_send HOST PORT' "$begin_send"
check 'end_send: the line arrives' arrives 'Hello from end_send' "$end_send"
check 'end_send: says who does not answer' fails 1 'Connection refused' "$end_send" 127.0.0.1 1
check 'begin_send_error: tells how both sends went' tells_both
check 'end_send_file: says who does not answer' fails 1 'Connection refused' \
	"$end_send_file" "$work/none" 127.0.0.1 1
check 'end_send_file: says what it wants to know' fails 1 'end_send_file FILE' "$end_send_file"
for file in large small empty; do
	check "end_send_file: sends the $file file" sends_file "$work/$file"
	check "serve_file: starts, with the $file file" start_serving "$work/$file"
	check "serve_file: sends the $file file" fetches "$work/$file"
	check "serve_file: sends the $file file to many at once" fetches_at_once "$work/$file" 20
	check "serve_file: sends the $file file when a reader went away" outlives_reader "$work/$file"
	check "serve_file: ends by SIGTERM, with the $file file" stops TERM
done
check 'serve_file: starts again' start_serving "$work/large"
check 'serve_file: ends by SIGINT' stops INT
check 'serve_file: names a file that is not there' fails 1 'No such file' "$serve_file" "$work/none"
check 'serve_file: says what it wants to know' fails 1 'serve_file FILE' "$serve_file"
plan
