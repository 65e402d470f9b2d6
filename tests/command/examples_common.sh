# SPDX-License-Identifier: MIT
# Sourced by the tests of the examples: TAP, a peer that listens, a directory that goes away.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/patience.sh"
cases=0
work=$(mktemp -d) || exit 1
server=

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

plan() {
	printf '1..%d\n' "$cases"
}

# wait_for FILE PATTERN: until some line of the file matches; prints it.
wait_for() {
	local lines line i
	for ((i = 0; i < patience * 20; i++)); do
		readarray -t lines 2>/dev/null <"$1" || lines=()
		for line in "${lines[@]}"; do
			[[ $line =~ $2 ]] && printf '%s\n' "$line" && return
		done
		sleep 0.05
	done
	echo "no line like $2 in $1"
	return 1
}

# listen: a peer takes one connection at $port and leaves what it brought in $work/received.
listen() {
	rm -f "$work/port" "$work/received"
	python3 -S "$here/examples_peer.py" "$work/port" "$work/received" &
	peer=$!
	port=$(wait_for "$work/port" '^[0-9]+$')
}

# arrives TEXT PROGRAM...: the program, given host and port, brings exactly this line.
arrives() {
	local text=$1 said
	shift

	listen || return 1
	said=$("$@" 127.0.0.1 "$port") || return 1
	wait "$peer" || return 1
	printf '%s\n' "$text" | cmp - "$work/received" || return 1
	[ "$said" = "Success, $((${#text} + 1)) bytes" ] || {
		echo "it said: $said"
		return 1
	}
}

# fails CODE PATTERN PROGRAM...: it exits with this and says something like that.
fails() {
	local code=$1 pattern=$2 said status=0
	shift 2

	said=$("$@" 2>&1) || status=$?
	[ "$status" -eq "$code" ] && [[ $said =~ $pattern ]] || {
		printf 'exit code %d: %s\n' "$status" "$said"
		return 1
	}
}
