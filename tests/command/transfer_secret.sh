#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice send` and `sluice receive` with a secret, and what a receiver without one allows.
. "$(dirname "${BASH_SOURCE[0]}")/transfer_common.sh"

receiver_security=()
secret=$work/secret
receives() { # CODE ARGUMENT...: ends by itself
	local wanted=$1 code=0
	shift
	"$SLUICE_COMMAND" receive --backend="$backend" "$@" \
		>"$work/received" 2>"$work/receive-errors" || code=$?
	equal "$wanted" "$code" || {
		cat "$work/received" "$work/receive-errors"
		return 1
	}
}

# ---- without a secret ----

head -c 3000000 /dev/urandom >"$files/f"
start_receiver
check 'without a secret it listens for this machine alone' \
	says '^Receiving into .* at 127\.0\.0\.1:' "$work/start"
check 'and says so' says 'only this machine can connect.*--secret=FILE.*--insecure' "$work/errors"
check 'this machine can send' sent 0 "$files/f" "127.0.0.1:$port"
stop_server
check 'another address needs a word' receives 2 --bind=0.0.0.0 --output="$root" 0
check 'which the message names' says '^sluice receive: --bind=0.0.0.0: .*--insecure' "$work/receive-errors"
start_receiver --bind=127.0.0.1
check 'this machine'"'"'s own address needs none' equal '' "$(<"$work/errors")"
stop_server
start_receiver --insecure
check 'with --insecure it listens at all addresses' \
	says '^Receiving into .* at (\[::\]|0\.0\.0\.0):' "$work/start"
check 'without a word' equal '' "$(<"$work/errors")"
stop_server
start_receiver --insecure --bind=0.0.0.0
check 'or at the one that is given' says '^Receiving into .* at 0\.0\.0\.0:' "$work/start"
stop_server

# ---- files with secrets ----

if ! receives 0 --new-secret="$secret" >"$work/output" && says 'built without OpenSSL' "$work/receive-errors"; then
	check 'a build without OpenSSL makes no file' equal missing "$([ -e "$secret" ] || echo missing)"
	check 'and sends nothing' sent 2 --secret="$files/f" "$files/f" 127.0.0.1:1
	check 'for a reason' says 'built without OpenSSL' "$work/sent-errors"
	plan
	exit
fi
rm -f "$secret"

new() { # UMASK FILE
	(umask "$1" && receives 0 --new-secret="$2") && equal 600 "$(stat -c %a "$2")"
}
check 'a new secret is for its owner alone' new 000 "$secret"
check 'how to copy it is said' says "scp -p '$secret'" "$work/receive-errors"
check 'and how to use it' says 'sluice send --secret=' "$work/receive-errors"
check 'it has 32 bytes' equal 64 "$(grep -v '^#' "$secret" | tr -d '\n' | wc -c)"
check 'also under a strict umask' new 777 "$work/other"
differ() { ! cmp -s "$secret" "$work/other"; }
check 'two are never the same' differ
cp -p "$secret" "$work/copy"
check 'a file that exists is not overwritten' receives 1 --new-secret="$secret"
check 'which is said' says "^sluice receive: $secret: file already exists" "$work/receive-errors"
check 'and stays as it is' cmp "$secret" "$work/copy"
ln -s "$work/nowhere" "$work/link"
check 'a link is not followed' receives 1 --new-secret="$work/link"
check 'nothing is behind it' equal missing "$([ -e "$work/nowhere" ] || echo missing)"
check 'a secret, and a new one' receives 2 --new-secret="$work/third" --secret="$secret" 0
check 'a secret, and none needed' receives 2 --secret="$secret" --insecure 0

wrong() { # NAME PATTERN TEXT [MODE]: a file with the text is no secret
	local file=$work/wrong
	printf '%s' "$3" >"$file"
	chmod "${4:-600}" "$file"
	check "$1 is no secret" sent 1 --secret="$file" "$files/f" 127.0.0.1:1
	check "and the file is named" says "^sluice send: $file: .*$2" "$work/sent-errors"
	check 'to a receiver, too' receives 1 --secret="$file" 0
}
digits=$(grep -v '^#' "$secret")
wrong 'an empty file' 'contains no secret' ''
wrong 'a comment' 'contains no secret' $'# nothing\n'
wrong 'a phrase' hexadecimal $'correct horse battery staple, and so on, and so on, and so on, on\n'
wrong 'what is too short' '64 to 128' "${digits:0:62}"$'\n'
wrong 'what is too long' '64 to 128' "$digits$digits$digits"$'\n'
wrong 'half a byte too many' '64 to 128' "${digits}0"$'\n'
wrong 'two of them' 'more than one' "$digits"$'\n'"$digits"$'\n'
wrong 'a large file' 'too large' "$(printf '%0100000d' 0)"
wrong 'what others can read' 'mode 0644' "$digits"$'\n' 644
wrong 'what the group can write' 'mode 0660' "$digits"$'\n' 660
check 'a file that is missing' sent 1 --secret="$work/missing" "$files/f" 127.0.0.1:1
check 'is named' says "$work/missing: No such file" "$work/sent-errors"
check 'a directory is no secret' sent 1 --secret="$work" "$files/f" 127.0.0.1:1

# ---- transfers ----

head -c 10000000 /dev/urandom >"$files/ten"
: >"$files/empty"
head -c 1048577 /dev/urandom >"$files/more"
LC_ALL=C read -r -d '' -n 18550 text < <(base64 -w 0 "$files/ten")
for i in {1..50}; do
	printf '%s' "${text:0:i * 371}" >"$files/many-$i"
done
rm -f "$root"/*
start_receiver --secret="$secret"
check 'with a secret it listens at all addresses' \
	says '^Receiving into .* at (\[::\]|0\.0\.0\.0):' "$work/start"
check 'files arrive' sent 0 --secret="$secret" "$files/ten" "$files/empty" "$files/more" "127.0.0.1:$port"
check 'byte for byte' same ten empty more
check 'many of them' sent 0 --secret="$secret" "$files"/many-* "127.0.0.1:$port"
check 'as they are' same many-1 many-17 many-50
slowly() { # longer than the timeout
	(for i in 1 2 3 4 5; do
		echo "$i"
		sleep 0.8
	done) | sent 0 --secret="$secret" --timeout=3 --name=slow - "127.0.0.1:$port" &&
		cmp "$root/slow" <(seq 5)
}
check 'standard input arrives, also slowly' slowly
mkfifo "$work/authorities" # whose reader waits
sender_front=(timeout "$patience" env SSL_CERT_FILE="$work/authorities")
check 'no authorities are read' sent 0 --secret="$secret" "$files/ten" "127.0.0.1:$port"
sender_front=()
(echo '# written by hand' && tr a-f A-F <<<"$digits" && echo) | sed 's/$/\r/' >"$work/hand"
chmod 640 "$work/hand"
check 'the same secret in another form' sent 0 --secret="$work/hand" "$files/f" "127.0.0.1:$port"
check 'opens the same door' same f

# ---- ends that do not fit ----

rm -f "$root/f"
check 'another secret is refused' sent 6 --secret="$work/other" "$files/f" "127.0.0.1:$port"
check 'and the sender says why' says 'another secret$' "$work/sent-errors"
check 'the receiver, too' says 'another secret$' "$work/errors"
check 'a sender without a secret is refused' sent 6 "$files/f" "127.0.0.1:$port"
check 'and told of the option' says 'requires a secret.*--secret=FILE' "$work/sent-errors"
check 'the receiver says so' says 'has no secret' "$work/errors"
check 'nothing was stored' equal missing "$([ -e "$root/f" ] || echo missing)"
check 'an older sender is told our version' equal 'hello end ' "$(raw version 1)"
check 'which is said' says 'another version' "$work/errors"
check 'a stranger is told that this is no such protocol' equal 'result 7 end ' "$(raw broken http)"
check 'also one with a HELLO and more' equal 'end ' "$(raw broken early-data)"
check 'a receiver of an older sluice' answered version 6 'another version' --secret="$secret" "$files/f"
check 'one without a secret' answered close 6 'has no secret' --secret="$secret" "$files/f"
check 'the right sender is served after all that' sent 0 --secret="$secret" "$files/f" "127.0.0.1:$port"
check 'and its file is there' same f
stop_server

start_receiver --bind=127.0.0.1
check 'a sender with a secret at a receiver without one' \
	sent 6 --secret="$secret" "$files/more" "127.0.0.1:$port"
check 'is told so' says 'has no secret: use --secret=FILE' "$work/sent-errors"
check 'as is the receiver' says 'requires a secret' "$work/errors"
stop_server

rm -f "$root"/*
start_receiver --secret="$secret" --once --timeout=5 # those who are served take less
check 'who says nothing is given up' equal 'end ' "$(raw silent)"
check 'who has another secret is refused' sent 6 --secret="$work/other" "$files/f" "127.0.0.1:$port"
check 'with --once neither of them counts' sent 0 --secret="$secret" "$files/f" "127.0.0.1:$port"
check 'who has the secret does' end_receiver 0

made() {
	start_receiver --new-secret="$work/made" --once
	sent 0 --secret="$work/made" "$files/more" "127.0.0.1:$port" && end_receiver 0 && same more
}
check 'a new secret can be used at once' made

# ---- what encrypts ----

rm -f "$root"/*
start_receiver --secret="$secret" --tls-way=library
check 'the library can be forced on both sides' sent 0 --secret="$secret" --tls-way=library "$files/more" "127.0.0.1:$port"
check 'the file is the same' same more
if "$SLUICE_COMMAND" probe | grep -q 'kernel-tls *used'; then
	check 'or the kernel' sent 0 --secret="$secret" --tls-way=kernel "$files/ten" "127.0.0.1:$port"
	check 'the file is the same, too' same ten
else
	check 'a kernel that cannot is not forced' sent 1 --secret="$secret" --tls-way=kernel "$files/ten" "127.0.0.1:$port"
	check 'for this reason' says '^sluice send: --tls-way=kernel: the kernel cannot encrypt' "$work/sent-errors"
	check 'nor by a receiver' receives 1 --secret="$secret" --tls-way=kernel 0
fi
stop_server
check 'a way needs a secret' sent 2 --tls-way=library "$files/more" 127.0.0.1:1
check 'at the receiver, too' receives 2 --tls-way=library 0

# ---- somebody in between ----

relay() { # ARGUMENT...: sets $relay and $between
	: >"$work/relay" && : >"$work/passed"
	python3 -S "$here/transfer_relay.py" "$port" "$work/passed" "$@" >"$work/relay" &
	relay=$!
	await read -r between <"$work/relay"
}
end_relay() {
	kill "$relay"
	wait "$relay" 2>/dev/null
	:
}
hidden() { # WORD: neither the contents, nor the name, nor the secret
	[ "$(stat -c %s "$work/passed")" -gt 3000000 ] && ! grep -aqF "$1" "$work/passed"
}
yes 'nobody else may read this line' | head -c 3000000 >"$files/letter-to-nobody"
start_receiver --bind=127.0.0.1
relay
check 'who listens' sent 0 "$files/letter-to-nobody" "127.0.0.1:$between"
check 'hears everything without a secret' grep -aqF 'nobody else' "$work/passed"
end_relay
stop_server
rm -f "$root"/*
start_receiver --secret="$secret"
relay
check 'with one' sent 0 --secret="$secret" "$files/letter-to-nobody" "127.0.0.1:$between"
check 'the file arrives all the same' same letter-to-nobody
check 'who listens does not learn what is in it' hidden 'nobody else'
check 'nor its name' hidden 'letter'
check 'nor the secret' hidden "$digits"
end_relay

relay flip=3000000
check 'who changes a bit breaks the connection' sent 3 --secret="$secret" "$files/ten" "127.0.0.1:$between"
check 'the file is not stored' equal missing "$([ -e "$root/ten" ] || echo missing)"
check 'the next attempt goes on' sent 0 --secret="$secret" "$files/ten" "127.0.0.1:$between"
check 'and the file is right' same ten
end_relay

head -c 40000000 /dev/urandom >"$files/forty"
relay cut=8000000,8000000,8000000
for i in first second third; do
	check "a transfer is interrupted, the $i time" \
		sent 3 --secret="$secret" "$files/forty" "127.0.0.1:$between"
done
check 'and continued' sent 0 --secret="$secret" "$files/forty" "127.0.0.1:$between"
check 'where it was' says '^sent .*/forty, .* of it before$' "$work/sent"
check 'byte for byte, in the end' same forty
end_relay
stop_server

plan
