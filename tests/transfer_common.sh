# SPDX-License-Identifier: MIT
# Sourced by the tests of `sluice send` and `sluice receive`, on top of serve_common.sh: a receiver
# at a port of its own, that stores below $root.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

files=$work/files
mkdir "$files"

# start_receiver OPTION...: sets $server and $port.
start_receiver() {
	: >"$work/start"
	"$SLUICE_COMMAND" receive --backend="$backend" --output="$root" "$@" 0 \
		>"$work/start" 2>"$work/errors" &
	server=$!
	port=
	for _ in $(seq $((patience * 20))); do
		port=$(sed -n '1s/^Receiving into .*:\([0-9]*\) with .*/\1/p' "$work/start")
		[ -z "$port" ] || break
		kill -0 "$server" 2>/dev/null || break
		sleep 0.05
	done
	[ -n "$port" ] || {
		echo 'Bail out! the receiver did not start'
		sed 's/^/# /' "$work/start" "$work/errors"
		exit 1
	}
}

# end_receiver CODE: it ends by itself, with this exit code.
end_receiver() {
	local pid=$server code=0
	server=
	wait "$pid" || code=$?
	equal "$1" "$code" || {
		cat "$work/start" "$work/errors"
		return 1
	}
}

# sent CODE ARGUMENT...: sluice send ends with this exit code.
sent() {
	local wanted=$1 code=0
	shift
	timeout "$patience" "$SLUICE_COMMAND" send --backend="$backend" "$@" >"$work/sent" 2>"$work/sent-errors" ||
		code=$?
	equal "$wanted" "$code" || {
		cat "$work/sent" "$work/sent-errors"
		return 1
	}
}

# raw CASE [ARGUMENT]: the answers, in one line.
raw() {
	timeout "$patience" python3 "$here/transfer_raw.py" "$port" "$@" | tr '\n' ' '
}

# same NAME...: these arrived as they were.
same() {
	local name
	for name; do
		cmp "$files/$name" "$root/$name" || return
	done
}

parts() {
	find "$root" -name '.sluice-*.part' | wc -l
}

# says PATTERN FILE
says() {
	grep -Eq -- "$1" "$2" || {
		printf 'not said: %s\n' "$1"
		cat "$2"
		return 1
	}
}
