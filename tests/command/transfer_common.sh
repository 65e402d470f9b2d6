# SPDX-License-Identifier: MIT
# Sourced by the tests of `sluice send` and `sluice receive`, on top of serve_common.sh: a receiver
# at a port of its own, that stores below $root.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

files=$work/files
mkdir "$files"

# What stands in front of a receiver, and of a sender: a helper that lets calls fail.
receiver_front=()
sender_front=()

# denied CALL=ERRNO...: sets $front; fails if calls cannot be denied here.
denied() {
	local rule
	front=()
	for rule; do
		front+=("$SLUICE_REFUSING" "${rule#*=}" "${rule%%=*}")
	done
	"${front[@]}" true
}

# preloaded FAULT,...: sets $front.
preloaded() {
	front=(env LD_PRELOAD="$SLUICE_TRANSFER_PRELOAD" TRANSFER_FAULTS="$1"
		ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0:detect_leaks=0")
}

# What a receiver needs to be reached.
receiver_security=(--insecure)

# listens: the receiver does; sets $port.
listens() {
	local line
	IFS= read -r line <"$work/start" && [[ $line =~ ^'Receiving into '.*:([0-9]+)' with ' ]] &&
		port=${BASH_REMATCH[1]}
}

# start_receiver OPTION...: sets $server and $port.
start_receiver() {
	local i
	: >"$work/start"
	"${receiver_front[@]}" "$SLUICE_COMMAND" receive --backend="$backend" --output="$root" \
		"${receiver_security[@]}" "$@" 0 \
		>"$work/start" 2>"$work/errors" &
	server=$!
	port=
	for ((i = 0; i < patience * 20; i++)); do
		listens && break
		kill -0 "$server" 2>/dev/null || break
		pause 0.05
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

# sent CODE ARGUMENT...: sluice send ends with this exit code; it has a time-out of its own.
sent() {
	local wanted=$1 code=0
	shift
	"${sender_front[@]}" "$SLUICE_COMMAND" send --backend="$backend" "$@" >"$work/sent" \
		2>"$work/sent-errors" || code=$?
	equal "$wanted" "$code" || {
		cat "$work/sent" "$work/sent-errors"
		return 1
	}
}

# raw_each CASE ARGUMENT...: the answers to each, in a line of its own.
raw_each() {
	timeout "$patience" python3 -S "$here/transfer_raw.py" "$port" "$@"
}

# raw CASE [ARGUMENT]: the answers, in one line.
raw() {
	local lines
	readarray -t lines < <(raw_each "$@")
	printf '%s ' "${lines[@]}"
}

# check_each NAME WANTED CASE ARGUMENT...: a case for each argument.
check_each() {
	local name=$1 wanted=$2 case=$3 i=0 answers
	shift 3
	readarray -t answers < <(raw_each "$case" "$@")
	for argument; do
		check "$name $argument" equal "$wanted" "${answers[i]-nothing}"
		i=$((i + 1))
	done
}

# same NAME...: these arrived as they were.
same() {
	local name
	for name; do
		cmp "$files/$name" "$root/$name" || return
	done
}

# answered CASE CODE PATTERN ARGUMENT...: a sender with these meets such a receiver of transfer_raw.py.
answered() {
	local case=$1 wanted=$2 pattern=$3 receiver code its_port
	shift 3
	: >"$work/port"
	timeout "$patience" python3 -S "$here/transfer_raw.py" 0 answering "$case" >"$work/port" &
	receiver=$!
	await read -r its_port <"$work/port"
	sent "$wanted" --timeout=10 "$@" "127.0.0.1:$its_port"
	code=$?
	wait "$receiver"
	[ "$code" -eq 0 ] && says "$pattern" "$work/sent-errors"
}

# same_many NAME...: the same, for hundreds.
same_many() {
	diff <(cd "$files" && sha256sum -- "$@") <(cd "$root" && sha256sum -- "$@")
}

parts() {
	local found=("$root"/.sluice-*.part)
	[ -e "${found[0]}" ] || found=()
	echo "${#found[@]}"
}

# fresh: an empty directory for the receiver.
fresh() {
	rm -rf "$root"
	mkdir "$root"
}

# says PATTERN FILE: a line of it matches the extended regular expression.
says() {
	shows "$1" "$2" || {
		printf 'not said: %s\n' "$1"
		cat "$2"
		return 1
	}
}
