# SPDX-License-Identifier: MIT
# Sourced by the tests of the command.

# Seconds that a test waits for what should happen at once. meson.build allows a program longer.
patience=120

# The system's Python starts in half the time of others. A launcher in front of them, like that of
# pyenv, takes longer than many a test; it is a script.
if [ -x /usr/bin/python3 ]; then
	[ "$(type -P python3)" = /usr/bin/python3 ] || PATH=/usr/bin:$PATH
elif [ "$(head -c 2 "$(type -P python3)")" = '#!' ]; then
	PATH=$(python3 -c 'import os, sys; print(os.path.dirname(sys.executable))'):$PATH
fi

# await COMMAND...: repeats it until it succeeds.
await() {
	local end=$((SECONDS + patience))

	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}
