# SPDX-License-Identifier: MIT
# Sourced by the tests of `sluice serve`: TAP, a daemon on a port of its own, a directory that goes
# away. Needs $SLUICE_COMMAND; $SLUICE_BACKEND says which backend has to serve.
set -u

: "${SLUICE_COMMAND:?the path of the command}"
backend=${SLUICE_BACKEND:-uring}
cases=0
server=
work=$(mktemp -d) || exit 1
root=$work/root
mkdir "$root"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/patience.sh"

finish() {
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# check NAME COMMAND...: one case; what a failing command prints is shown.
check() {
	local name=$1
	shift
	cases=$((cases + 1))
	if "$@" >"$work/output" 2>&1; then
		printf 'ok %d - %s\n' "$cases" "$name"
	else
		printf 'not ok %d - %s\n' "$cases" "$name"
		sed 's/^/# /' "$work/output" | head -n 40
	fi
}

skip() {
	cases=$((cases + 1))
	printf 'ok %d - %s # SKIP %s\n' "$cases" "$1" "$2"
}

plan() {
	printf '1..%d\n' "$cases"
}

# equal WANTED GOT
equal() {
	[ "$1" = "$2" ] || {
		printf 'wanted: %s\ngot:    %s\n' "$1" "$2"
		return 1
	}
}

# matches PATTERN TEXT: an extended regular expression.
matches() {
	[[ $2 =~ $1 ]] || {
		printf 'wanted: %s\ngot:    %s\n' "$1" "$2"
		return 1
	}
}

# start_server OPTION...: serves $root; sets $server, $url and $port. With $passed, names of sockets that
# it is passed, whose ports are in $work/passed.
passed=
start_server() {
	: >"$work/start"
	${passed:+"$here/serve_passed.py" "$passed" "$work/passed"} "$SLUICE_COMMAND" serve --port=0 --backend="$backend" "$@" "$root" \
		>"$work/start" 2>"$work/errors" &
	server=$!
	for _ in $(seq $((patience * 20))); do
		url=$(sed -n 's/^Serving .* at \(https\?:[^ ]*\)\/ with .*/\1/p' "$work/start")
		[ -z "$url" ] || break
		kill -0 "$server" 2>/dev/null || break
		sleep 0.05
	done
	if [ -z "$url" ]; then
		echo 'Bail out! the server did not start'
		sed 's/^/# /' "$work/start" "$work/errors"
		exit 1
	fi
	port=${url##*:}
}

# stop_server [SIGNAL]: the exit code is the server's.
stop_server() {
	local pid=$server
	server=
	kill -"${1:-TERM}" "$pid"
	wait "$pid" || {
		local code=$?
		cat "$work/errors"
		return "$code"
	}
}

# get PATH OPTION...: the body; path as it is.
get() {
	local path=$1
	shift
	curl -sS --path-as-is --max-time "$patience" "$@" "$url$path"
}

# status PATH OPTION...: the status alone.
status() {
	get "$@" -o /dev/null -w '%{http_code}'
}

# header NAME PATH OPTION...: the value of one header of the answer.
header() {
	local name=$1
	shift
	get "$@" -o /dev/null -D - | tr -d '\r' | sed -n "s/^$name: //Ip"
}

# All but pipes with both ends here: a worker keeps one once it has sent a large file.
open_descriptors() {
	ls -l "/proc/$server/fd" | awk '
		/ -> / { count++ }
		/ -> pipe:/ { ends[$NF]++ }
		END { for (pipe in ends) pairs += ends[pipe] == 2
			print count - 2 * pairs }'
}

# Requests that hold nothing open: the count of descriptors once the server has settled.
settled_descriptors() {
	local before after
	before=$(open_descriptors)
	for _ in $(seq 40); do
		sleep 0.1
		after=$(open_descriptors)
		[ "$after" != "$before" ] || break
		before=$after
	done
	echo "$after"
}

# descriptors_fall_to MOST: the server closes what clients have left, in its own time.
descriptors_fall_to() {
	for _ in $(seq $((patience * 10))); do
		[ "$(open_descriptors)" -gt "$1" ] || return 0
		sleep 0.1
	done
	ls -l "/proc/$server/fd"
	return 1
}

# until_it SECONDS COMMAND...: repeats it until it succeeds.
until_it() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.2
	done
}

# gives TEXT PATH: the body is the text.
gives() {
	equal "$1" "$(get "$2")"
}

# ends SECONDS SIGNAL...: the server ends with 0 when it gets the signals, in this time.
ends() {
	local most=$1 pid=$server
	shift
	for signal; do
		kill -"$signal" "$pid"
		sleep 0.2
	done
	timeout "$most" tail --pid="$pid" -f /dev/null || {
		echo "it did not end in $most s"
		kill -KILL "$pid"
		server=
		return 1
	}
	server=
	wait "$pid"
}

# preloaded FILE VARIABLES: a command that is $SLUICE_COMMAND with serve_preload, see there.
preloaded() {
	: "${SLUICE_SERVE_PRELOAD:?the path of serve_preload}"
	printf '#!/bin/sh\nexec env %s %s LD_PRELOAD=%q %q "$@"\n' "$2" \
		'ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0' \
		"$SLUICE_SERVE_PRELOAD" "$real" >"$1"
	chmod +x "$1"
}

# without_openat2: makes $work/without_openat2 of $real.
without_openat2() {
	preloaded "$work/without_openat2" SERVE_NO_OPENAT2=1
}
