#!/bin/bash
# SPDX-License-Identifier: MIT
# That `sluice serve` keeps to the backend it has, as strace sees it, and that it serves while system
# calls are refused. Needs $SLUICE_REFUSING, the program that refuses them.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

: "${SLUICE_REFUSING:?the path of refusing}"
real=$SLUICE_COMMAND

head -c 1000 /dev/urandom >"$root/small.bin"
head -c 100000 /dev/urandom >"$root/middle.bin"
head -c 20000000 /dev/urandom >"$root/large.bin"
head -c 3000000 /dev/urandom >"$root/cold.bin"

# command_is LINE: from now on the daemon is started by this line, with "$@" for its arguments.
command_is() {
	printf '#!/bin/sh\nexec %s\n' "$1" >"$work/command"
	chmod +x "$work/command"
	SLUICE_COMMAND=$work/command
}

chill() {
	dd of="$1" oflag=nocache conv=notrunc,fdatasync count=0 status=none
}

same() { # PATH
	get "$1" | cmp - "$root$1"
}

# Files of all kinds, a slow reader, a range, a client that goes away, and connections.
work_through() {
	chill "$root/cold.bin"
	for path in /small.bin /middle.bin /large.bin /cold.bin /small.bin; do
		same "$path" || return 1
	done
	get /large.bin --limit-rate 20M | cmp - "$root/large.bin" || return 1
	answers 206 /large.bin -r 100-5000000 || return 1
	answers 404 /nothing || return 1
	get /large.bin --max-time 0.05 --limit-rate 1M -o /dev/null
	for _ in $(seq 20); do
		get /middle.bin -o /dev/null &
	done
	wait $(jobs -p | grep -v "^$server$")
}

# none SYSCALL...: the trace has none of them, and at least one of the calls after "but".
none() {
	local pattern=$1 but=$2

	if grep -E "^[0-9]+ +($pattern)" "$work/trace" | head -n 5 | grep .; then
		return 1
	fi
	grep -qE "^[0-9]+ +($but)" "$work/trace" || {
		echo "the trace shows nothing at all of $but"
		return 1
	}
}

can_trace() {
	command -v strace >/dev/null 2>&1 && strace -D -f -o "$work/trace" true 2>/dev/null
}

calls=epoll_create,epoll_create1,epoll_ctl,epoll_wait,epoll_pwait,epoll_pwait2
calls=$calls,io_uring_setup,io_uring_enter,io_uring_register

# LeakSanitizer traces, too, and there can be only one; the other tests look for leaks.
traced() {
	command_is "env ASAN_OPTIONS=\${ASAN_OPTIONS:+\$ASAN_OPTIONS:}detect_leaks=0 strace -D -f -qq -o '$work/trace' -e trace=$calls '$real' \"\$@\""
	start_server "$@"
	check 'it serves while it is watched' work_through
	check 'and ends well' stop_server
}

# Every call of io_uring_enter that may wait says that it is no wait for input or output. strace
# knows the flag by its name or as 0x80.
waits_are_idle() {
	if grep -E 'io_uring_enter\([0-9]+, [0-9]+, [1-9]' "$work/trace" |
		grep -vE 'IORING_ENTER_NO_IOWAIT|0x[0-9a-f]*[89a-f][0-9a-f]' | head -n 5 | grep .; then
		return 1
	fi
	grep -qE 'io_uring_enter\([0-9]+, [0-9]+, [1-9]' "$work/trace" || {
		echo 'the trace shows no wait'
		return 1
	}
}

watch_waits() {
	if grep -qE '^ *no-iowait +used' <<<"$("$real" probe)"; then
		check 'an idle daemon does not count as waiting for input or output' waits_are_idle
	else
		skip 'whether an idle daemon counts as waiting' 'this kernel lacks no-iowait'
	fi
}

watch_calls() {
	if ! can_trace; then
		skip 'the system calls of a daemon' 'strace is missing, or may not trace'
		return
	fi
	traced
	case $backend in
	uring)
		check 'with the ring, not one epoll call' none epoll_ io_uring_enter
		watch_waits
		;;
	epoll) check 'with epoll, not one io_uring call' none io_uring_ 'epoll_p?wait' ;;
	esac
	if [ "$backend" = epoll ]; then
		unset SLUICE_BACKEND
		export SLUICE_DISABLE=ring
		backend=auto
		traced
		unset SLUICE_DISABLE
		check 'nor where the ring is taken away by name' none io_uring_ 'epoll_p?wait'
	fi
}

# refusing ERRNO CALLS CASE: from now on these calls answer this to the daemon; skips the case if the
# kernel has no filters.
refusing() {
	"$SLUICE_REFUSING" "$1" "$2" true 2>/dev/null
	if [ $? -eq 77 ]; then
		skip "$3" 'this kernel has no seccomp filters'
		return 1
	fi
	command_is "'$SLUICE_REFUSING' $1 $2 '$real' \"\$@\""
}

serves_files() {
	same /small.bin && same /middle.bin && same /small.bin
}

# serves_without ERRNO CALLS: the daemon does without these calls.
serves_without() {
	refusing "$1" "$2" "a daemon for which $2 answers $1" || return
	start_server
	check "it serves if $2 answers $1" serves_files
	check "and ends well ($2, $1)" stop_server
}

# What sendfile and splice would have sent is read instead.
serves_bodies() {
	chill "$root/cold.bin"
	for path in /middle.bin /large.bin /cold.bin; do
		same "$path" || return 1
	done
	get /large.bin -r 100-5000000 | cmp - <(tail -c +101 "$root/large.bin" | head -c 4999901)
}

# bodies_without ERRNO: a file system, or a sandbox, that does not have the calls.
bodies_without() {
	refusing "$1" sendfile,splice "a body for which sendfile and splice answer $1" || return
	start_server
	check "bodies are whole if sendfile and splice answer $1" serves_bodies
	check "and it ends well (sendfile, $1)" stop_server
}

# blocked ERRNO: the ring answers it; the daemon takes epoll, says so, and serves.
blocked() {
	refusing "$1" io_uring_setup "a daemon whose ring answers $1" || return
	backend=auto
	start_server
	check "a ring that answers $1 falls back to epoll and says why" \
		matches ' with epoll \(.+\)' "$(cat "$work/start")"
	check "and serves without it ($1)" work_through
	check "and ends well ($1)" stop_server
	check "a ring that was asked for and answers $1 is an error that helps" asked_for
	check "the probe says what the ring answers ($1)" probed
}

asked_for() {
	local output code

	output=$(timeout "$patience" "$SLUICE_COMMAND" serve --port=0 --backend=uring "$root" 2>&1)
	code=$?
	equal 1 "$code" && matches '(--backend=auto|ulimit)' "$output"
}

probed() {
	local output

	output=$(timeout "$patience" "$SLUICE_COMMAND" probe 2>&1) && matches 'epoll' "$output"
}

tls_is_told() {
	matches 'kernel-tls +(used|missing) .*TLS' "$("$SLUICE_COMMAND" probe)"
}
check 'the probe says who encrypts TLS' tls_is_told

for error in EPERM ENOSYS; do
	serves_without "$error" preadv2
done
for error in EINVAL ENOSYS EOPNOTSUPP EPERM; do
	bodies_without "$error"
done
[ "$backend" != epoll ] || serves_without EPERM epoll_pwait2
watch_calls
if [ "${SLUICE_BACKEND-}" = uring ]; then
	unset SLUICE_BACKEND
	blocked EPERM
	blocked ENOSYS
	blocked ENOMEM
fi
plan
