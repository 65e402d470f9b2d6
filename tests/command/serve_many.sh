#!/bin/bash
# SPDX-License-Identifier: MIT
# `sluice serve` with many files, large files and many clients.
. "$(dirname "${BASH_SOURCE[0]}")/serve_common.sh"

files=10000
python3 - "$root" "$files" <<'EOF'
import hashlib, os, sys
root, files = sys.argv[1], int(sys.argv[2])
for i in range(files):
    directory = "%s/d%02d" % (root, i % 100)
    os.makedirs(directory, exist_ok=True)
    with open("%s/f%05d.txt" % (directory, i), "wb") as file:
        file.write(hashlib.sha256(b"%d" % i).hexdigest().encode() * (i % 100))
EOF
truncate -s 3G "$root/sparse.bin"
printf 'marker' | dd of="$root/sparse.bin" bs=1 seek=2999999999 conv=notrunc status=none
head -c 64M /dev/urandom >"$root/large.bin"

start_server
descriptors=$(settled_descriptors)

all_files() {
	mkdir -p "$work/got"
	seq 0 $((files - 1)) | awk -v url="$url" -v got="$work/got" '{
		path = sprintf("d%02d/f%05d.txt", $1 % 100, $1)
		printf "url = \"%s/%s\"\noutput = \"%s/%s\"\n", url, path, got, path }' >"$work/list"
	curl -sS --create-dirs --parallel --parallel-max 16 -K "$work/list" || return 1
	rm "$work/list"
	diff -r -x sparse.bin -x large.bin "$root" "$work/got"
}
check 'ten thousand files arrive, byte for byte' all_files
check 'and again, whatever the cache has kept' all_files

check 'a hundred megabytes around two gigabytes of a file with holes' equal '206 100000000' \
	"$(get /sparse.bin -r 2097483648-2197483647 -o /dev/null -w '%{http_code} %{size_download}')"
check 'its length' equal 3221225472 "$(header content-length /sparse.bin -I)"
check 'bytes beyond two gigabytes' equal marker "$(get /sparse.bin -r 2999999999-3000000004)"
check 'a large file arrives, byte for byte' eval 'get /large.bin | cmp - "$root/large.bin"'

# crowd PATH: each client has a name of its own for the server, for curl to share no connection.
crowd() {
	local ones
	mkdir "$work/crowd"
	for i in {1..200}; do
		printf 'url = "http://client%d.localhost:%d%s"\noutput = "%s/crowd/%d"\n' \
			"$i" "$port" "$1" "$work" "$i"
	done >"$work/list"
	printf -v ones '1 %.0s' {1..200}
	equal "$ones" "$(curl -sS -4 --max-time "$patience" --parallel --parallel-immediate \
		--parallel-max 200 -w '%{num_connects} ' -K "$work/list")" &&
		diff --from-file="$root$1" "$work"/crowd/{1..200} || return
	rm -r "$work/crowd"
}
check 'two hundred clients at once' crowd /d99/f00099.txt
head -c 1M /dev/urandom >"$root/medium.bin"
check 'two hundred clients at once for a megabyte' crowd /medium.bin

idle=$(($(ulimit -Hn) / 4))
[ "$idle" -le 2000 ] || idle=2000
check "$idle idle connections, and every one is answered" \
	python3 "$here/serve_client.py" "$port" many "$idle"

load() { # CONNECTIONS
	local output
	output=$(wrk -t1 -c"$1" -d1s "$url/d99/f00099.txt")
	echo "$output"
	! grep -E 'Socket errors|Non-2xx' <<<"$output"
}
if command -v wrk >/dev/null; then
	check 'wrk with 64 connections sees no error' load 64
	check 'wrk with 1,000 connections sees no error' load 1000
else
	skip 'wrk with 64 connections sees no error' 'wrk'
	skip 'wrk with 1,000 connections sees no error' 'wrk'
fi
if command -v h2load >/dev/null; then
	check 'h2load with 100 connections sees no error' eval \
		'h2load --h1 -n 5000 -c 100 "$url/d99/f00099.txt" | grep -q "5000 succeeded, 0 failed, 0 errored"'
else
	skip 'h2load with 100 connections sees no error' 'h2load'
fi

# Files of more than the cache's own contents hold a descriptor each while they are in it.
check 'no descriptor but those of cached files is left' \
	descriptors_fall_to $((descriptors + 3))
check 'it ends with 0' stop_server

# With next to no descriptors: the cache gives up its own, and nobody gets less.
few() {
	local status=0
	(
		ulimit -n 64
		start_server --cache-file-size=0
		trap - EXIT
		echo "$server $url" >"$work/few"
	)
	read -r server url <"$work/few"
	curl -sS -K - <<<"$(for i in $(seq 300); do
		printf 'url = "%s/d%02d/f%05d.txt"\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\n' \
			"$url" $((i % 100)) "$i"
	done)" | sort | uniq -c
	kill "$server"
	while kill -0 "$server" 2>/dev/null; do sleep 0.05; done
	server=
}
check 'three hundred files under a limit of 64 descriptors' \
	equal '300 200' "$(few | tr -s ' ' | sed 's/^ //')"

plan
