#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice send` and `sluice receive` with each other.
. "$(dirname "${BASH_SOURCE[0]}")/transfer_common.sh"

python3 -S - "$files" <<'PYTHON'
import os, sys
os.chdir(sys.argv[1])
ten = os.urandom(10000000)
contents = {
    "empty": b"",
    "one": b"x",
    "mib": os.urandom(1048576),
    "more": os.urandom(1048577),
    "ten": ten,
    "a name & ä%": os.urandom(500),
}
for i in range(1, 301):
    contents["many-%d" % i] = ten[: i * 37 % 5000]
for name, its in contents.items():
    with open(name, "wb") as file:
        file.write(its)
PYTHON
chmod 751 "$files/one"
touch -d '2001-02-03 04:05:06.789' "$files/one"

start_receiver
check 'a file arrives' sent 0 "$files/ten" "127.0.0.1:$port"
check 'byte for byte' same ten
check 'what was sent is said in a line' says '^sent .*/ten, 9.5 MiB in .* s \(.*/s\)$' "$work/sent"
check 'the receiver says so too' says '^received ten, 9.5 MiB in ' "$work/start"
check 'without a terminal there is no bar' equal '' "$(<"$work/sent-errors")$(<"$work/errors")"
# A machine may know no names at all.
name=localhost
getent hosts "$name" >/dev/null || name=127.0.0.1
check 'several arrive over one connection' \
	sent 0 "$files/empty" "$files/one" "$files/mib" "$files/more" "$name:$port"
check 'byte for byte, all of them' same empty one mib more
check 'with their permissions' equal 751 "$(stat -c %a "$root/one")"
check 'and with their times' equal "$(stat -c %y "$files/one")" "$(stat -c %y "$root/one")"
check 'a name may hold what a shell minds' sent 0 "$files/a name & ä%" "127.0.0.1:$port"
check 'and arrives' same 'a name & ä%'

# A file of /proc says that it is empty.
check 'a file whose size is not known arrives' sent 0 /proc/sys/kernel/ostype "127.0.0.1:$port"
check 'with its contents' cmp /proc/sys/kernel/ostype "$root/ostype"
anew() {
	mv "$root" "$root-before" && mkdir "$root" && sent 0 "$files/one" "127.0.0.1:$port" &&
		same one
	local status=$?
	mv -f "$root-before"/* "$root" && rmdir "$root-before"
	return $status
}
check 'a directory that is replaced is noticed' anew

many() {
	sent 0 "$files"/many-* "127.0.0.1:$port" && same_many many-{1..300}
}
check 'many files arrive' many

standard_input() { # BYTES OPTION...: through a pipe
	local bytes=$1
	shift
	head -c "$bytes" "$files/ten" | sent 0 "$@" - "127.0.0.1:$port"
}
check 'standard input arrives' standard_input 10000000
check 'byte for byte' cmp "$files/ten" "$root/stdin"
check 'under the name that is asked for' standard_input 5 --name=five
check 'and nothing more' cmp "$root/five" <(head -c 5 "$files/ten")
check 'an empty standard input is an empty file' standard_input 0 --name=nothing
check 'of no bytes' equal 0 "$(stat -c %s "$root/nothing")"

slowly() { # what comes now and then
	(for i in 1 2 3 4 5; do
		echo "$i"
		sleep 0.1
	done) | sent 0 --name=slow - "127.0.0.1:$port" && cmp "$root/slow" <(seq 5)
}
check 'standard input may come slowly' slowly
check 'and what took the time is said in words' \
	says '^[0-9]+ % of the time spent waiting for data or answers$' <(tail -1 "$work/sent")
mixed() {
	echo input | sent 0 --name=mixed "$files/one-more" - "$files/and-another" "127.0.0.1:$port"
}
cp "$files/ten" "$files/one-more"
cp "$files/mib" "$files/and-another"
check 'it may stand between files' mixed
check 'which arrive' same one-more and-another
check 'as it does' cmp "$root/mixed" <(echo input)

if ip -6 address show dev lo 2>/dev/null | grep -q '::1'; then
	cp "$files/ten" "$files/six"
	check 'an IPv6 address is written in brackets' sent 0 "$files/six" "[::1]:$port"
	check 'and leads there' same six
else
	skip 'an IPv6 address is written in brackets' 'no ::1 here'
fi
check 'nothing is left beside the files' equal 0 "$(parts)"

# What is there already.
echo other >"$root/there"
echo mine >"$files/there"
cp "$files/ten" "$files/behind"
check 'a file that exists is refused' sent 4 "$files/there" "$files/behind" "127.0.0.1:$port"
check 'and the sender says why' says 'there: file already exists' "$work/sent-errors"
check 'it stays as it was' equal other "$(<"$root/there")"
check 'the next one arrives all the same' same behind
check 'what is stored already, the same, counts as sent' \
	sent 0 "$files/behind" "$files/empty" "$files/one" "127.0.0.1:$port"
check 'and is not sent again' equal 3 "$(grep -c '(already stored)$' "$work/sent")"
head -c 10000000 /dev/urandom >"$work/behind"
check 'another one of the same size is refused' sent 4 "$work/behind" "$files/mib" "127.0.0.1:$port"
check 'without its being sent' equal '' "$(grep 'not sent' "$work/sent-errors")"
check 'and the file stays' same behind
check 'also with --restart' sent 4 --restart "$work/behind" "127.0.0.1:$port"
repeated() { # the same command after it was interrupted in its last file
	cp "$files/ten" "$files/last" && raw half "$files/last" >"$work/raw" || return
	sent 0 "$files/one" "$files/mib" "$files/last" "127.0.0.1:$port" && same one mib last &&
		says 'last, .* of it before$' "$work/sent"
}
check 'an interrupted command can be repeated as it is' repeated
check 'SIGTERM ends it, successfully' stop_server

start_receiver --overwrite
ln -s "$work/outside" "$root/link"
echo outside >"$work/outside"
echo mine >"$files/link"
mkdir "$root/directory"
echo mine >"$files/directory"
check 'with --overwrite it is replaced' sent 0 "$files/there" "127.0.0.1:$port"
check 'by the new one' same there
check 'a link is replaced' sent 0 "$files/link" "127.0.0.1:$port"
check 'by a file' equal 'regular file' "$(stat -c %F "$root/link")"
check 'and what it pointed at is untouched' equal outside "$(<"$work/outside")"
check 'a directory is not replaced' sent 4 "$files/directory" "127.0.0.1:$port"
stop_server

# One connection and the end.
start_receiver --once
cp "$files/ten" "$files/once"
check 'a receiver for one connection' sent 0 "$files/once" "127.0.0.1:$port"
check 'ends with 0 after it' end_receiver 0
start_receiver --once
echo other >"$files/once"
check 'and where something was refused' sent 4 "$files/once" "127.0.0.1:$port"
check 'with 1' end_receiver 1

# The bar.
on_terminal() { # FILE...: what a terminal of 70 columns sees
	python3 -S - "$SLUICE_COMMAND" send --backend="$backend" "$@" <<'PYTHON'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    if os.environ.get("STANDARD_INPUT"):
        os.dup2(os.open(os.environ["STANDARD_INPUT"], os.O_RDONLY), 0)
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
try:
    while True:
        part = os.read(fd, 65536)
        if not part:
            break
        seen += part
except OSError:
    pass
os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
PYTHON
}
start_receiver
head -c 30000000 /dev/zero >"$files/bar"
seldom() { # standard input arrives in many blocks, and the bar is drawn ten times a second
	local begun=$SECONDS
	on_terminal --name=often - "127.0.0.1:$port" >"$work/terminal" || return
	local drawn most=$(((SECONDS - begun + 1) * 10 + 5))
	IFS= read -r -d '' drawn <"$work/terminal"
	drawn=${drawn//[!$'\r']/}
	drawn=${#drawn}
	[ "$drawn" -le "$most" ] || {
		echo "drawn $drawn times, $most allowed"
		return 1
	}
}
STANDARD_INPUT=$files/bar check 'it is drawn ten times a second' seldom
# 40 characters of two columns each: more than fit.
printf -v wide '幅%.0s' {1..40}
mv "$files/bar" "$files/$wide"
(cd "$files" && on_terminal "$wide" "127.0.0.1:$port" >"$work/terminal")
check 'a terminal gets a bar' says $'\r.*\\[#*\\.*\\] +[0-9]+% .*/s [0-9-]+:' "$work/terminal"
narrow() {
	python3 -S - "$work/terminal" <<'PYTHON'
import re, sys, unicodedata
seen = re.sub("\x1b\\[K", "", open(sys.argv[1], encoding="utf-8", newline="").read())
lines = [line for line in re.split("[\r\n]", seen) if "%" in line and "[" in line]
columns = [sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in line) for line in lines]
if not lines or max(columns) > 70:
    sys.exit("%s: %s" % (columns, lines))
if "幅" not in lines[0]:
    sys.exit("no name: " + lines[0])
PYTHON
}
check 'that fits its columns, wide characters included' narrow
check 'and the line at the end' says "sent $wide, 28.6 MiB" "$work/terminal"
mv "$files/$wide" "$files/bar"
on_terminal --quiet "$files/bar" "127.0.0.1:$port" >"$work/terminal"
check 'with --quiet there is none' equal '' "$(grep -o '[0-9]%' "$work/terminal")"
rm -f "$root/bar" "$files/bar"

# Words that are wrong.
check 'a missing file is found before anything is sent' \
	sent 1 "$files/ten" "$files/missing" "127.0.0.1:$port"
check 'a directory is not sent' sent 1 "$files" "127.0.0.1:$port"
check 'without a file' sent 2 "127.0.0.1:$port"
check 'without a port' sent 2 "$files/ten" 127.0.0.1
check 'with a port that is none' sent 2 "$files/ten" 127.0.0.1:65536
check 'with an IPv6 address without brackets' sent 2 "$files/ten" ::1:9
check 'with a name that is none' sent 2 --name=a/b - "127.0.0.1:$port"
check 'with two standard inputs' sent 2 - - "127.0.0.1:$port"
check 'a host that is not known' sent 3 "$files/ten" no.such.host.invalid:9
stop_server
check 'nobody there' sent 3 "$files/ten" "127.0.0.1:$port"
check 'with the reason' says 'refused' "$work/sent-errors"
receives() {
	local wanted=$1 code=0
	shift
	"$SLUICE_COMMAND" receive "$@" || code=$?
	equal "$wanted" "$code"
}
held=$work/held
python3 -S -c 'import socket, time
held = socket.create_server(("127.0.0.1", 0))
print(held.getsockname()[1], flush=True)
time.sleep(60)' >"$held" &
holder=$!
await test -s "$held"
in_use() {
	receives 1 --bind=127.0.0.1 --output="$root" "$(<"$held")" 2>"$work/errors"
}
check 'a port in use' in_use
check 'with its address' says "127\.0\.0\.1:$(<"$held"): Address already in use" "$work/errors"
kill "$holder"
check 'a receiver without a port' receives 2
check 'a receiver with a port that is none' receives 2 many
check 'a receiver with two ports' receives 2 1 2
check 'a receiver without its directory' receives 1 --output="$work/missing" 0
check 'help is given' receives 0 --help

plan
