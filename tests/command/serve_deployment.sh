#!/bin/bash
# SPDX-License-Identifier: MIT
# What packaging/ has for `sluice serve`: the unit, the completion, the profile of system calls, the
# image, and the recipe with HAProxy.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

packaging=$here/../../packaging
echo hello >"$root/hello"
head -c 200000 /dev/urandom >"$root/large"

# The unit.
if command -v systemd-analyze >/dev/null; then
	mkdir "$work/units"
	cp "$packaging"/sluice-serve.socket "$work/units"
	sed "s|/usr/bin/sluice|$SLUICE_COMMAND|; /^Documentation=/d" "$packaging/sluice-serve.service" \
		>"$work/units/sluice-serve.service"
	sed -i '/^Documentation=/d' "$work/units/sluice-serve.socket"
	verified() {
		local output
		output=$(systemd-analyze verify --man=no "$work/units/sluice-serve.service" 2>&1) || {
			echo "$output"
			return 1
		}
		equal '' "$(grep sluice-serve <<<"$output")"
	}
	check 'the unit is right' verified
	confined_unit() { # rated from 0 to 100, the best is 0
		systemd-analyze security --offline=true --threshold=20 "$work/units/sluice-serve.service"
	}
	if systemd-analyze --help | grep -q -e --offline; then
		check 'the unit gives the daemon few rights' confined_unit
	else
		skip 'the unit gives the daemon few rights' 'systemd-analyze security --offline'
	fi
else
	skip 'the unit is right' systemd-analyze
	skip 'the unit gives the daemon few rights' systemd-analyze
fi
sed "s|/srv/www|$root|; s|/var/log/sluice/access.log|$work/log|" "$packaging/serve.conf" >"$work/serve.conf"
check 'the configuration beside it is right' "$SLUICE_COMMAND" serve --check --config="$work/serve.conf"

# The completion.
complete_words() { # WORD...: what the last one is completed to
	env -i PATH="$PATH" bash -c '. "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_sluice; printf "%s\n" "${COMPREPLY[@]}"' bash "$packaging/sluice.bash" "$@"
}
check 'commands are completed' equal serve "$(complete_words "$SLUICE_COMMAND" se | grep serve)"
check 'options are completed' equal '--clean-urls' "$(complete_words "$SLUICE_COMMAND" serve --clean)"
check 'with their sign' equal '--max-body=' "$(complete_words "$SLUICE_COMMAND" serve --max-b)"
check 'those of each command' equal '' "$(complete_words "$SLUICE_COMMAND" probe --max-b)"

# The profile of system calls.
used() { # BACKEND: what the daemon calls that the profile lacks
	backend=$1
	printf '#!/bin/sh\nexec strace -f -qq -o %q %q "$@"\n' "$work/trace" "$real" >"$work/traced"
	chmod +x "$work/traced"
	SLUICE_COMMAND=$work/traced
	start_server "${tls[@]}" --access-log="$work/log" --workers=2 --metrics=127.0.0.1:0
	get /hello >/dev/null
	curl -sS --max-time "$patience" "$url/large" "$url/" "$url/nothing" \
		--next -sS --max-time "$patience" -r 0-9,100-200 "$url/large" >/dev/null
	read -r child <"/proc/$server/task/$server/children" || child=$(pgrep -P "$server")
	kill -HUP "$child"
	until_it "$patience" shows ^Reloaded "$work/start"
	get /hello >/dev/null
	kill -TERM "$child"
	wait "$server"
	server=
	SLUICE_COMMAND=$real
	python3 - "$packaging/seccomp.json" "$work/trace" <<-'END'
		import json, re, sys
		allowed = set(json.load(open(sys.argv[1]))["syscalls"][0]["names"])
		used = set(re.findall(r"^[0-9]+ +([a-z0-9_]+)\(", open(sys.argv[2]).read(), re.M))
		print(*sorted(used - allowed) if used else ["nothing was traced"])
	END
}
real=$SLUICE_COMMAND
tls=()
with_tls=()
if openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=localhost \
	-addext subjectAltName=IP:127.0.0.1 -keyout "$work/tls.key" -out "$work/tls.pem" 2>/dev/null &&
	"$real" serve --check --tls-cert="$work/tls.pem" --tls-key="$work/tls.key" "$root" >/dev/null 2>&1; then
	tls=(--tls-cert="$work/tls.pem" --tls-key="$work/tls.key")
	with_tls=("${tls[@]}")
	export CURL_CA_BUNDLE=$work/tls.pem
fi
# A sanitizer makes system calls of its own.
if grep -q -e __asan_init -e __tsan_init "$real"; then
	skip 'the profile has what the daemon needs' 'a build without sanitizers'
elif command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	check 'the profile has what epoll needs over TLS' equal '' "$(used epoll)"
	check 'the profile has what io_uring needs over TLS' equal '' "$(used uring)"
	tls=()
	check 'the profile has what epoll needs' equal '' "$(used epoll)"
	check 'the profile has what io_uring needs' equal '' "$(used uring)"
else
	skip 'the profile has what the daemon needs' strace
fi

# The same profile, in force.
under_profile() { # BACKEND OPTION...: requests, a reload, and the end
	backend=$1
	shift
	printf '#!/bin/sh\nexec python3 %q %q %q "$@"\n' "$here/confined.py" "$packaging/seccomp.json" "$real" >"$work/confined"
	chmod +x "$work/confined"
	SLUICE_COMMAND=$work/confined
	start_server "$@" --access-log="$work/log" --workers=2 --metrics=127.0.0.1:0 || return 1
	SLUICE_COMMAND=$real
	shows '^Seccomp:[[:space:]]*2$' "/proc/$server/status" && gives hello /hello &&
		get /large | cmp - "$root/large" && answers 206 /large -r 0-9,100-200 &&
		answers 200 / && answers 404 /nothing || return 1
	kill -HUP "$server"
	until_it "$patience" shows ^Reloaded "$work/start" && gives hello /hello && stop_server
}
python3 "$here/confined.py" "$packaging/seccomp.json" mknod "$work/fifo" p 2>"$work/confined-errors"
code=$?
if [ "$code" = 77 ] || grep -q -e __asan_init -e __tsan_init "$real"; then
	lacks='a build without sanitizers'
	[ "$code" != 77 ] || lacks=$(sed 's/^confined: //' "$work/confined-errors")
	skip 'the daemon serves under the profile' "$lacks"
else
	check 'what the profile lacks is refused' eval \
		'[ "$code" != 0 ] && [ ! -e "$work/fifo" ] && grep -q "not permitted" "$work/confined-errors"'
	check 'the daemon serves under the profile, with epoll' under_profile epoll
	if python3 "$here/confined.py" "$packaging/seccomp.json" "$real" probe | grep -q '^backend: uring'; then
		check 'the daemon serves under the profile, with io_uring' under_profile uring
	else
		skip 'the daemon serves under the profile, with io_uring' io_uring
	fi
	if [ ${#with_tls[@]} -gt 0 ]; then
		check 'and over TLS, with epoll' under_profile epoll "${with_tls[@]}"
		if "$real" probe | grep -q '^backend: uring'; then
			check 'and over TLS, with io_uring' under_profile uring "${with_tls[@]}"
		else
			skip 'and over TLS, with io_uring' io_uring
		fi
	else
		skip 'and over TLS' 'openssl, and a build with TLS'
	fi
fi
backend=${SLUICE_BACKEND:-auto}

# The image.
if [ -n "${SLUICE_TEST_DOCKER-}" ] && command -v docker >/dev/null && timeout 20 docker info >/dev/null 2>&1; then
	check 'the image is built' docker build -q -f "$packaging/Dockerfile" "$here/../.."
else
	skip 'the image is built' 'docker, and SLUICE_TEST_DOCKER in the environment'
fi

# HAProxy in front of three daemons.
ports() { # COUNT: free ones, different from each other
	python3 -c '
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))' "$1"
}
behind_haproxy() {
	local -a port metrics
	local front i lost=0
	daemons=()
	proxy=
	read -r front port[0] port[1] port[2] metrics[0] metrics[1] metrics[2] <<<"$(ports 7)"
	for i in 0 1 2; do
		mkdir "$work/root$i"
		echo hello >"$work/root$i/hello"
		echo "$i" >"$work/root$i/who"
		"$real" serve --port="${port[$i]}" --proxy-protocol --metrics="127.0.0.1:${metrics[$i]}" \
			--access-log="$work/log$i" "$work/root$i" >/dev/null 2>&1 &
		daemons[i]=$!
	done
	sed "s/:8080/:$front/; s/:8081 port 9091/:${port[0]} port ${metrics[0]}/
		s/:8082 port 9092/:${port[1]} port ${metrics[1]}/
		s/:8083 port 9093/:${port[2]} port ${metrics[2]}/" "$packaging/haproxy.cfg" >"$work/haproxy.cfg"
	haproxy -c -f "$work/haproxy.cfg" >/dev/null 2>&1 || { haproxy -c -f "$work/haproxy.cfg"; return 1; }
	haproxy -db -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 &
	proxy=$!
	trap 'kill $proxy "${daemons[@]}" 2>/dev/null; finish' EXIT
	url=http://127.0.0.1:$front
	all_seen() {
		local i body seen=
		for i in {1..12}; do
			read_body /who
			[[ $body == [012] && $seen != *$body* ]] && seen+=$body
		done
		[ ${#seen} = 3 ]
	}
	until_it "$patience" all_seen || { cat "$work/haproxy.log"; return 1; }
	kill -TERM "${daemons[0]}"
	for i in {1..60}; do
		gives hello /hello || lost=$((lost + 1))
		pause 0.05
	done
	wait "${daemons[0]}" || return 1
	until_it "$patience" shows '^127\.0\.0\.1 ' "$work/log1" || return 1
	kill -TERM "$proxy" "${daemons[@]:1}"
	equal 0 "$lost"
}
if command -v haproxy >/dev/null; then
	check 'a daemon that ends behind HAProxy loses no request' behind_haproxy
else
	skip 'a daemon that ends behind HAProxy loses no request' haproxy
fi
plan
