# SPDX-License-Identifier: MIT
# Sourced by the tests of the command.

# Seconds that a test waits for what should happen at once. meson.build allows a program longer.
patience=120

# A launcher in front of Python, like those of pyenv, takes longer than many a test. It is a script.
if [ "$(head -c 2 "$(command -v python3)")" = '#!' ]; then
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
