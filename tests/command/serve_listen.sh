#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve`: where it listens, what it inherits, and what it tells its manager.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

echo hello >"$root/hello"
head -c 3000000 /dev/urandom >"$root/large"
others() { # the further addresses, one a line
	sed -n 's/^Also at //p' "$work/start"
}
fetched() { # URL OPTION...
	equal hello "$(curl -sS --max-time "$patience" "$@")"
}

start_server --bind=127.0.0.1:0 --bind="unix:$work/socket" --workers=2
check 'the first address' fetched "$url/hello"
check 'the others are printed' until_it "$patience" equal "unix:$work/socket" "$(others)"
for i in 1 2 3 4; do
	check "a path of the file system ($i)" fetched --unix-socket "$work/socket" http://h/hello
done
same() {
	curl -sS --unix-socket "$work/socket" http://h/large | cmp - "$root/large"
}
check 'large files over it' same
"$SLUICE_COMMAND" serve --backend="$backend" --bind="unix:$work/socket" "$root" >/dev/null 2>"$work/second"
check 'a second daemon leaves the path alone' equal 1 $?
check 'and says why' grep -q 'in use' "$work/second"
check 'it is still served' fetched --unix-socket "$work/socket" http://h/hello
pid=$server
stop_server KILL
check 'a path that a killed daemon left' test -S "$work/socket"
start_server --bind=127.0.0.1 --bind="unix:$work/socket"
check 'is taken over' fetched --unix-socket "$work/socket" http://h/hello
check 'ends' stop_server
check 'and removes the path' test ! -e "$work/socket"
echo precious >"$work/file"
"$SLUICE_COMMAND" serve --bind="unix:$work/file" "$root" >/dev/null 2>&1
check 'a file is never removed' equal '1 precious' "$? $(cat "$work/file")"

two=$(getent ahosts localhost | awk '{ print $1 }' | sort -u | grep -c .)
start_server --bind=localhost
check 'all addresses of a name' equal "$two" $((1 + $(others | grep -c .)))
check 'at one port' equal 1 "$({ echo "$url/"; others; } | sed 's/.*:\([0-9]*\)\/$/\1/' | sort -u | grep -c .)"
check 'ends' stop_server

wrong() { # PATTERN OPTION...
	local pattern=$1 output
	shift
	output=$("$SLUICE_COMMAND" serve --check "$@" "$root" 2>&1)
	equal 2 $? && matches "$pattern" "$output"
}
check 'a port that is none' wrong 'not a port' --bind=127.0.0.1:http
check 'an address that is none' wrong 'not an address' --bind='[::1'
check 'a path that is none' wrong 'a path' --bind=unix:
check 'a path that is too long' wrong 'a path' --bind="unix:$(head -c 200 /dev/zero | tr '\0' a)"
check 'too many' wrong 'too many' $(seq -f '--bind=127.0.0.1:%g' 1000 1040)
check 'a user that does not exist' eval \
	'"$SLUICE_COMMAND" serve --port=0 --user=no-such-user-here "$root" >"$work/user" 2>&1; equal 2 $?'

# Sockets that are passed, and messages to a manager.
cat >"$work/manager.py" <<'END'
"""Starts a daemon as a manager does: with two sockets, and with ears."""
import os, signal, socket, sys, urllib.request
path, command = sys.argv[1], sys.argv[2:]
ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ears.bind(path)
ears.settimeout(120)
listeners = []
for _ in range(2):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listeners.append(listener)
pid = os.fork()
if pid == 0:
    kept = [os.dup(l.fileno()) for l in listeners]
    kept = [os.dup2(fd, 100 + i) for i, fd in enumerate(kept)]
    for i, fd in enumerate(kept):
        os.dup2(fd, 3 + i)
    os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()), NOTIFY_SOCKET=path,
                      WATCHDOG_USEC="200000", WATCHDOG_PID=str(os.getpid()))
    os.execv(command[0], command)

def hears(wanted):
    while True:
        message = ears.recv(4096).decode()
        if message.startswith(wanted):
            return message
        assert message.startswith("WATCHDOG=1"), message

def fetch():
    for listener in listeners:
        port = listener.getsockname()[1]
        with urllib.request.urlopen("http://127.0.0.1:%d/hello" % port, timeout=120) as answer:
            assert answer.read() == b"hello\n"

try:
    hears("READY=1")
    for _ in range(3):
        fetch()
    hears("WATCHDOG=1")
    hears("WATCHDOG=1")
    os.kill(pid, signal.SIGHUP)
    message = hears("RELOADING=1")
    assert "\nMONOTONIC_USEC=" in message, message
    hears("READY=1")
    fetch()
    # A reload that cannot start is over, too.
    open(path + ".no-threads", "w").close()
    os.kill(pid, signal.SIGHUP)
    hears("RELOADING=1")
    hears("READY=1")
    os.unlink(path + ".no-threads")
    os.kill(pid, signal.SIGHUP)
    hears("RELOADING=1")
    hears("READY=1")
    fetch()
    os.kill(pid, signal.SIGTERM)
    hears("STOPPING=1")
    assert os.waitpid(pid, 0)[1] == 0
    pid = 0
finally:
    if pid:
        os.kill(pid, signal.SIGKILL)
END
real=$SLUICE_COMMAND
preloaded "$work/managed" "SERVE_NO_THREADS=$work/notify.no-threads"
managed() {
	python3 "$work/manager.py" "$work/notify" \
		"$work/managed" serve --backend="$backend" --workers=2 "$root" 2>"$work/managed-errors"
}
check 'sockets and messages of a manager' managed
check 'a reload that cannot start is reported' equal 1 \
	"$(grep -c '^sluice: reload failed: Resource temporarily' "$work/managed-errors")"
rm -f "$work/notify"

passed_port() { # NUMBER: of a socket that was passed
	sed -n "$1p" "$work/passed"
}
passed=metrics:unit.socket start_server
check 'a passed socket called metrics' matches '^ok' \
	"$(curl -sS --max-time "$patience" "http://127.0.0.1:$(passed_port 1)/healthz")"
check 'any other name is for files' fetched "http://127.0.0.1:$(passed_port 2)/hello"
check 'ends' stop_server
passed=metrics start_server
check 'without one for files the usual address is' fetched "$url/hello"
check 'ends' stop_server
refused() { # NAME: of a socket that cannot be used without a certificate
	"$here/serve_passed.py" "$1" "$work/passed" "$SLUICE_COMMAND" serve --backend="$backend" "$root" \
		2>"$work/refused"
	equal 1 $? && matches 'LISTEN_FDS: .* --tls-cert' "$(cat "$work/refused")"
}
check 'redirect needs a certificate' refused redirect
check 'and so does https' refused https

if [ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1; then
	chmod 755 "$work"
	start_server --user=nobody
	check 'another user' equal "$(id -u nobody)" \
		"$(awk '/^Uid:/ { print $2 == $3 && $3 == $4 ? $2 : "mixed" }' "/proc/$server/status")"
	check 'without groups of the old one' equal "$(id -G nobody | tr ' ' '\n' | sort | paste -sd' ')" \
		"$(awk '/^Groups:/ { $1 = ""; print }' "/proc/$server/status" | xargs -n1 | sort | paste -sd' ')"
	check 'serves' fetched "$url/hello"
	check 'ends' stop_server
else
	skip 'another user' root
fi
plan
