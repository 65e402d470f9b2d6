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

# pause SECONDS, without a process: nothing is ever written to $never.
exec {never}<> <(:)
pause() {
	read -rt "$1" -u "$never" || :
}

# settle: files that have just been written get the dates and tags that they keep.
settle() {
	pause 1.1
}

# start_server OPTION...: serves $root; sets $server, $url and $port. With $passed, names of sockets that
# it is passed, whose ports are in $work/passed.
passed=
start_server() {
	local line i
	: >"$work/start"
	${passed:+python3 "$here/serve_passed.py" "$passed" "$work/passed"} "$SLUICE_COMMAND" serve --port=0 --backend="$backend" "$@" "$root" \
		>"$work/start" 2>"$work/errors" {never}>&- &
	server=$!
	url=
	for ((i = 0; i < patience * 50; i++)); do
		read -r line <"$work/start"
		if [[ $line =~ ^'Serving '.*' at '(https?:[^ ]*)'/ with ' ]]; then
			url=${BASH_REMATCH[1]}
			break
		fi
		kill -0 "$server" 2>/dev/null || break
		pause 0.02
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

# by_curl PATH OPTION...: path as it is.
by_curl() {
	local path=$1
	shift
	curl -sS --path-as-is --max-time "$patience" "$@" "$url$path"
}

# send_text TEXT DESCRIPTOR: by one call of write, which other formats of printf divide into lines. The
# server may have closed the connection by now.
send_text() {
	trap '' PIPE
	printf %s "$1" 2>/dev/null >&"$2"
	trap - PIPE
}

# request PATH OPTION...: sends what curl would send, without a process, which costs more than the
# request. Sets $connection, $code, $headers and $left, the length of the body, which take_body takes
# from the connection. False if there is no answer, with the $code 000, or if only curl has the
# options, without a $code.
request() {
	local method=GET accept='*/*' lines= body= path=$1 line host=${url#*://} address=${url#*://}
	shift
	code=
	headers=()
	[[ $url == http://* && $path != *[][{}#\ ]* ]] || return
	while [ $# -gt 0 ]; do
		case $1 in
		-I) method=HEAD ;;
		-X) method=$2 ;;
		-r) lines+="Range: bytes=$2"$'\r\n' ;;
		-d)
			[[ $2 != @* ]] || return
			method=POST
			body=$2
			lines+="Content-Type: application/x-www-form-urlencoded"$'\r\n'"Content-Length: ${#2}"$'\r\n'
			;;
		-H)
			case ${2,,} in
			accept:\ *) accept=${2#*: } ;;
			host:\ ?*) host=${2#*: } ;;
			host:* | user-agent:* | connection:* | expect:* | transfer-encoding:*) return 1 ;;
			*:\ *) lines+=$2$'\r\n' ;;
			*) return 1 ;;
			esac
			;;
		--request-target) path=$2 ;;
		*) return 1 ;;
		esac
		[ "$1" = -I ] || shift
		shift
	done
	code=000
	line=${address%:*}
	line=${line#[}
	{ exec {connection}<>"/dev/tcp/${line%]}/${address##*:}"; } 2>/dev/null || return
	printf -v lines '%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bash\r\nAccept: %s\r\n%s\r\n%s' \
		"$method" "$path" "$host" "$accept" "$lines" "$body"
	send_text "$lines" "$connection"
	read -rt "$patience" -u "$connection" line 2>/dev/null
	[[ $line == HTTP/1.1\ [2-5][0-9][0-9]\ * ]] || {
		exec {connection}>&-
		return 1
	}
	code=${line:9:3}
	left=0
	while IFS= read -rt "$patience" -u "$connection" line && [ "$line" != $'\r' ]; do
		line=${line%$'\r'}
		headers+=("$line")
		[[ ${line,,} != content-length:\ * || $method == HEAD || $code == [23]04 ]] || left=${line#*: }
	done
}

# take_body COMMAND: gives what follows the head of the answer to a request to the command, as a format
# and its argument; ends the connection.
take_body() {
	local LC_ALL=C piece= status=0
	if ((left > 16384)); then
		if [ "$1" = printf ]; then
			head -c "$left" <&"$connection"
		else
			"$1" %s "$(head -c "$left" <&"$connection" | tr -d '\0')"
		fi
		left=0
	fi
	while ((left > 0)); do # up to the next byte of zero, which no variable takes
		if ! IFS= read -rd '' -n "$left" -t "$patience" -u "$connection" piece; then
			status=1
			break
		elif ((${#piece} == left)); then
			"$1" %s "$piece"
			break
		fi
		"$1" '%s\0' "$piece"
		((left -= ${#piece} + 1))
	done
	exec {connection}>&-
	return "$status"
}
keep() { # what fits into a variable
	body+=$2
}

# look PATH OPTION...: asks, and sets $code and $headers.
look() {
	local line
	if request "$@"; then
		if ((left > 16384)); then
			take_body printf >/dev/null
		else
			take_body :
		fi
	elif [ -z "$code" ]; then
		code=000
		while IFS= read -r line; do
			line=${line%$'\r'}
			if [[ $line == HTTP/* ]]; then
				line=${line#* }
				code=${line%% *}
				headers=()
			else
				headers+=("$line")
			fi
		done < <(by_curl "$@" -o /dev/null -D -)
	fi
}

# get PATH OPTION...: the body.
get() {
	if request "$@"; then
		take_body printf
	elif [ -z "$code" ]; then
		by_curl "$@"
	else
		echo "no answer at $url" >&2
		return 1
	fi
}

# status PATH OPTION...: the status alone.
status() {
	look "$@"
	printf '%s' "$code"
}

# answers STATUS PATH OPTION...
answers() {
	look "${@:2}"
	equal "$1" "$code"
}

# find_header NAME: sets $value to what the answer has of it.
find_header() {
	local line
	value=
	for line in "${headers[@]}"; do
		[[ ${line,,} != "${1,,}: "* ]] || value+=${value:+$'\n'}${line#*: }
	done
}

# header NAME PATH OPTION...: the value of one header of the answer.
header() {
	local value
	look "${@:2}"
	find_header "$1"
	[ -z "$value" ] || echo "$value"
}

# header_is WANTED NAME PATH OPTION...
header_is() {
	local value
	look "${@:3}"
	find_header "$2"
	[ "$code" != 000 ] && equal "$1" "$value"
}

# read_body PATH OPTION...: sets $body to it, but for line ends behind it.
read_body() {
	body=
	if request "$@"; then
		take_body keep
		while [[ $body == *$'\n' ]]; do
			body=${body%$'\n'}
		done
	elif [ -z "$code" ]; then
		body=$(by_curl "$@")
	fi
}

# gives TEXT PATH OPTION...: the body is the text.
gives() {
	local body
	read_body "${@:2}"
	equal "$1" "$body"
}

# body_matches PATTERN PATH OPTION...
body_matches() {
	local body
	read_body "${@:2}"
	matches "$1" "$body"
}

# find_metrics: sets $metrics to the URL of what the server says of itself.
find_metrics() {
	local line
	metrics=
	until_it "$patience" shows '^Metrics at ' "$work/start"
	while read -r line; do
		[[ ! $line =~ ^'Metrics at '(http:.*)/$ ]] || metrics=${BASH_REMATCH[1]}
	done <"$work/start"
}

# find_sample NAME: sets $value to that of one sample of the metrics.
find_sample() {
	local url=$metrics body line
	value=
	read_body /metrics
	while read -r line; do
		[[ $line != "$1 "* ]] || value=${line##* }
	done <<<"$body"
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
	local before= now=("/proc/$server/fd/"*) i
	for ((i = 0; i < 40 && ${#now[@]} != before; i++)); do
		before=${#now[@]}
		pause 0.1
		now=("/proc/$server/fd/"*)
	done
	open_descriptors
}

# descriptors_fall_to MOST: the server closes what clients have left, in its own time.
descriptors_fall_to() {
	local open i
	for ((i = 0; i < patience * 10; i++)); do
		open=("/proc/$server/fd/"*)
		[ ${#open[@]} -gt "$1" ] && [ "$(open_descriptors)" -gt "$1" ] || return 0
		pause 0.1
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
		pause 0.05
	done
}

# ends SECONDS SIGNAL...: the server ends with 0 when it gets the signals, in this time.
ends() {
	local pid=$server signal end
	for signal in "${@:2}"; do
		kill -"$signal" "$pid"
		pause 0.2
	done
	end=$((SECONDS + $1))
	server=
	while kill -0 "$pid" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || {
			echo "it did not end in $1 s"
			kill -KILL "$pid"
			return 1
		}
		pause 0.05
	done
	wait "$pid"
}

# shows PATTERN FILE: a line of a small file matches the extended regular expression.
shows() {
	local line
	[ -e "$2" ] || return
	while IFS= read -r line || [ -n "$line" ]; do
		[[ ! $line =~ $1 ]] || return 0
	done <"$2"
	return 1
}

# count_lines PATTERN FILE: sets $count to how many lines of a small file match.
count_lines() {
	local line
	count=0
	[ -e "$2" ] || return
	while IFS= read -r line || [ -n "$line" ]; do
		[[ ! $line =~ $1 ]] || ((++count))
	done <"$2"
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
