#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice send` and `sluice receive` on file systems that lack something, or fail.
. "$(dirname "${BASH_SOURCE[0]}")/transfer_common.sh"

head -c 3000000 /dev/urandom >"$files/f"
head -c 3000000 /dev/urandom >"$files/g"
cp "$files/g" "$work/f" # another one of the same name

# stored_without WARNING OPTION...: a file is stored, with this warning at both ends, or with none;
# then another one does not replace it.
stored_without() {
	local warning=$1
	shift
	fresh
	receiver_front=("${front[@]}")
	start_receiver "$@"
	sent 0 "$files/f" "127.0.0.1:$port" && same f && equal 0 "$(parts)" || return
	if [ -n "$warning" ]; then
		says "^sent .*$warning" "$work/sent" && says "f: warning: .*$warning" "$work/errors"
	else
		[[ $(<"$work/errors") != *warning* ]]
	fi || return
	sent 4 "$work/f" "127.0.0.1:$port" && same f && equal 0 "$(parts)"
}

# After stored_without: an interrupted transfer is resumed there.
resumed() {
	raw half "$files/g" >"$work/raw"
	sent 0 "$files/g" "127.0.0.1:$port" && same g && equal 0 "$(parts)" &&
		says 'of it before' "$work/sent"
}

# NAME WARNING CALL=ERRNO...
check_denied() {
	local name=$1 warning=$2
	shift 2
	if denied "$@" >"$work/denied" 2>&1; then
		check "$name, with $*" stored_without "$warning"
		case $1 in
		flock=ENOLCK | *=EPERM)
			check 'and an interrupted transfer is resumed' resumed
			;;
		esac
		stop_server
	else
		skip "$name, with $*" 'seccomp filters are not allowed'
	fi
}

for error in EPERM EOPNOTSUPP ENOSYS; do
	check_denied 'a file is stored where nothing can be renamed without replacing' \
		'no renaming without replacing' \
		renameat2=EINVAL linkat=$error
done
check_denied 'a file is stored without permissions' 'permissions not set' fchmod=EPERM
check_denied 'a file is stored without locks' 'no lock' flock=EOPNOTSUPP
check_denied 'a file is stored with a link instead of such a rename' '' renameat2=ENOSYS
check_denied 'a file is stored without a lock manager' 'no lock' flock=ENOLCK
check_denied 'a file is stored without times' 'time not set' utimensat=EPERM
check_denied 'a file is stored without openat2' '' openat2=ENOSYS
check_denied 'a file is stored without any of them' \
	'permissions not set.*time not set.*no renaming without replacing' \
	fchmod=EPERM flock=ENOSYS renameat2=EINVAL linkat=EPERM utimensat=ENOSYS openat2=EPERM

# What a part held is thrown away where files cannot be cut off.
restarted() {
	fresh
	receiver_front=("${front[@]}")
	start_receiver
	raw half "$files/f" >"$work/raw"
	sent 0 "$work/f" "127.0.0.1:$port" && cmp "$work/f" "$root/f" && equal 0 "$(parts)"
}
if denied ftruncate=EPERM >"$work/denied" 2>&1; then
	check 'a file is stored where none can be cut off' restarted
	stop_server
else
	skip 'a file is stored where none can be cut off' 'seccomp filters are not allowed'
fi

is_received() {
	local part=("$root"/.sluice-*.part)
	[ -e "${part[0]}" ]
}

# A file that gets the name while another one is received under it.
overtaken() {
	fresh
	receiver_front=("${front[@]}")
	start_receiver
	(
		head -c 1000 "$files/f"
		await is_received
		echo first >"$root/late"
		head -c 1000 "$files/f"
	) | sent 4 --name=late - "127.0.0.1:$port"
	equal first "$(<"$root/late")" && equal 0 "$(parts)"
}
front=()
check 'a file that takes the name meanwhile is not replaced' overtaken
stop_server
for error in EPERM ENOSYS; do
	if denied renameat2=EINVAL linkat=$error >"$work/denied" 2>&1; then
		check "nor without renaming and with linkat=$error" overtaken
		stop_server
	else
		skip "nor without renaming and with linkat=$error" 'seccomp filters are not allowed'
	fi
done

preloaded owner
check 'a file is stored where new files belong to somebody else' \
	stored_without "owned by user $(($(id -u) + 1))"
check 'and an interrupted transfer is resumed' resumed
warned_once() { # of what is the same for all files of the directory
	echo 1 >"$files/one" && echo 2 >"$files/two" &&
		sent 0 "$files/one" "$files/two" "127.0.0.1:$port" && same one two &&
		says '^sent .*/one, .*owned by user' "$work/sent" &&
		equal 1 "$(grep -c 'owned by user' "$work/sent")" &&
		equal '' "$(grep 'two: warning' "$work/errors")"
}
check 'a sender of several files is warned of it once' warned_once
stop_server

# Names that the file system does not take.
for fault in names look-up; do
	fresh
	preloaded $fault
	receiver_front=("${front[@]}")
	start_receiver
	check "a name that cannot be stored is refused before the body: $fault" \
		equal 'result 2 bye ' "$(raw name 'what?')"
	cp "$files/f" "$files/what?"
	check 'with the reason' sent 4 "$files/what?" "$files/f" "127.0.0.1:$port"
	check 'in words' says 'this name: In' "$work/sent-errors"
	check 'and the next file is stored' same f
	check 'nothing else is left' equal f "$(ls -A "$root")"
	stop_server
done

# Errors that come late.
lost() { # FAULT OPTION...
	fresh
	preloaded "$1"
	receiver_front=("${front[@]}")
	shift
	start_receiver "$@"
	sent 4 "$files/f" "127.0.0.1:$port" && equal '' "$(ls -A "$root")"
}
check 'a file whose closing fails is not stored' lost close
stop_server
check 'nor one that cannot be written back' lost fsync --sync
stop_server
check 'nor one whose name cannot be' lost sync-name --sync
stop_server

plan
