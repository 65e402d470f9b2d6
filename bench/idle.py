#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Memory of idle connections: `sluice serve` next to nginx, lighttpd and Kestrel.

    bench/idle.py [--tls] [--build build/release] [--connections 10000] [--json FILE] [SERVER...]

Each server is started twice on one core, set up for as many connections as come: the first time 64,
which ask until all of the server's code has run, the second time as many as --connections says. The
others ask once and are answered, some at a time, and then do nothing. What private memory the
server's processes have the second time beyond the first (Private_Clean and Private_Dirty of
/proc/PID/smaps_rollup), divided by the connections, is the result; the median of several such pairs.
What is allocated at the start for connections to come is in it, too; what the kernel has for a
connection is not. With --tls they are connections of TLS 1.3, with a certificate of P-256.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

from interval import interval, verdict

ROOT = pathlib.Path(__file__).resolve().parent.parent
AIM_BYTES = 2048
WARM_CONNECTIONS = 64
WARM_REQUESTS = 50  # on each of them
AT_ONCE = 64
DESCRIPTORS_ASIDE = 100
PATIENCE_SECONDS = 120
QUESTION = b"GET /file.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"

# One process for one core, as its authors would set it up; bench/servers.c has the same.
NGINX_CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {scratch}/pid;
error_log stderr crit;
events {{ worker_connections {places}; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
    keepalive_timeout 300s; keepalive_requests 1000000000;
    open_file_cache max=1000 inactive=300s; open_file_cache_valid 60s;
    types {{ application/octet-stream bin; }}
    client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    server {{ listen 127.0.0.1:{port} {listens} backlog=4096; root {files}; {tls} }}
}}
"""

LIGHTTPD_CONFIGURATION = """
server.document-root = "{files}"
server.bind = "127.0.0.1"
server.port = {port}
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 300
server.max-fds = {descriptors}
server.max-connections = {connections}
server.network-backend = "sendfile"
mimetype.assign = (".bin" => "application/octet-stream")
{tls}
"""


class Missing(Exception):
    """Why a server cannot be measured, for people."""


def absolute(path):
    """The servers have other working directories."""
    return pathlib.Path(path).absolute()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("servers", nargs="*", metavar="SERVER",
                        help=f"{', '.join(COMMANDS)} (default: all)")
    parser.add_argument("--build", default=ROOT / "build/release", type=absolute,
                        help="a release build (default: build/release, as tools/run makes it)")
    parser.add_argument("--tls", action="store_true", help="connections of TLS")
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--file-bytes", type=int, default=1024, help="of what is asked for")
    parser.add_argument("--runs", type=int, default=5,
                        help="pairs of starts of each server; fewer than 5 cannot tell")
    parser.add_argument("--cpu", type=int, default=min(os.sched_getaffinity(0)),
                        help="the core of the server")
    parser.add_argument("--json", type=pathlib.Path, help="write the raw samples to this file")
    options = parser.parse_args()
    for name in options.servers:
        if name not in COMMANDS:
            parser.error(f"no such server: {name}")
    if options.connections <= WARM_CONNECTIONS:
        parser.error(f"--connections: more than {WARM_CONNECTIONS}")
    return options


def find(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if not path:
        raise Missing("it is not installed")
    return path


def sluice(backend):
    def command(options, its):
        program = options.build / "tools/sluice"
        if not program.exists():
            sys.exit(f"there is no {program}; --build says where it is")
        tls = [f"--tls-cert={its['certificate']}", f"--tls-key={its['key']}"] if options.tls else []
        return [program, "serve", "--bind=127.0.0.1", "--workers=1", f"--port={its['port']}",
                f"--backend={backend}", "--idle-timeout=300", *tls, its["files"]]
    return command


def nginx(options, its):
    configuration = its["scratch"] / "nginx.conf"
    tls = f"ssl_certificate {its['certificate']}; ssl_certificate_key {its['key']};"
    configuration.write_text(NGINX_CONFIGURATION.format(
        **its, listens="ssl" if options.tls else "", tls=tls if options.tls else ""))
    return [find("nginx"), "-p", its["scratch"], "-c", configuration, "-e", "stderr"]


def lighttpd(options, its):
    configuration = its["scratch"] / "lighttpd.conf"
    tls = 'server.modules += ("mod_openssl")\nssl.engine = "enable"\n' \
        f'ssl.pemfile = "{its["certificate"]}"\nssl.privkey = "{its["key"]}"\n'
    configuration.write_text(LIGHTTPD_CONFIGURATION.format(**its, tls=tls if options.tls else ""))
    return [find("lighttpd"), "-D", "-f", configuration]


def kestrel(options, its):
    if options.tls:
        raise Missing("its program has no TLS")
    programs = os.environ.get("SLUICE_BENCH_DOTNET", options.build / "tools/dotnet")
    program = pathlib.Path(programs) / "kestrel/Kestrel.dll"
    dotnet = find("dotnet")
    if not program.exists():
        raise Missing("its program is not built: bench/dotnet/build, or tools/run bench")
    return [dotnet, program, str(its["port"]), its["files"]]


COMMANDS = {"sluice": sluice("auto"), "sluice-epoll": sluice("epoll"), "nginx": nginx,
            "lighttpd": lighttpd, "kestrel": kestrel}


def lift_descriptor_limit(connections):
    """How many connections are possible, both here and in a server, which inherits the limit."""
    needed = max(2 * connections, connections + DESCRIPTORS_ASIDE)  # lighttpd wants two for each
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
            return connections
        except (OSError, ValueError):
            needed = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return min(connections, needed // 2)


def free_port():
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return any_socket.getsockname()[1]


def start(command, cpu, errors):
    environment = {**os.environ, "DOTNET_EnableDiagnostics": "0", "DOTNET_ReadyToRun": "0"}
    with open(errors, "wb") as file:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, env=environment,
                                preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    # A close resets: thousands of sockets in TIME_WAIT would use the ports up.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return connection


def connect_with_tls(its):
    connection = connect(its["port"])
    return its["client"].wrap_socket(connection) if its["client"] else connection


def wait_until_listening(server, its):
    for _ in range(2400):
        if server.poll() is not None:
            said = (its["scratch"] / "errors").read_text(errors="replace").strip()
            sys.exit(f"{server.args[0]} ended with {server.returncode}: {said}")
        try:
            connect(its["port"]).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{server.args[0]} does not listen")


def read_answer(connection, body_bytes):
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(65536)
        if not part:
            sys.exit("the server closed a connection")
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if not head.startswith(b"HTTP/1.1 200") or not length or int(length[1]) != body_bytes:
        sys.exit(f"the server answers: {head.decode(errors='replace')}")
    left = body_bytes - len(body)
    while left > 0:
        left -= len(connection.recv(min(left, 1 << 20))) or sys.exit("the server closed a connection")


def ask_all(connections, body_bytes):
    for connection in connections:
        connection.sendall(QUESTION)
    for connection in connections:
        read_answer(connection, body_bytes)


def process_tree(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [member for child in children for member in process_tree(int(child))]


def memory(pid):
    """Bytes of all processes of the server, by the names of smaps_rollup."""
    total = {}
    for member in process_tree(pid):
        rollup = pathlib.Path(f"/proc/{member}/smaps_rollup").read_text()
        for name, kilobytes in re.findall(r"^(\w+): +(\d+) kB", rollup, re.MULTILINE):
            total[name] = total.get(name, 0) + int(kilobytes) * 1024
    return {"private": total["Private_Clean"] + total["Private_Dirty"], "pss": total["Pss"]}


def settled_memory(pid):
    """Once it no longer changes, or after two seconds."""
    before = memory(pid)
    for _ in range(8):
        time.sleep(0.25)
        now = memory(pid)
        if now == before:
            break
        before = now
    return before


def open_and_ask(its, count):
    connections = []
    for begin in range(0, count, AT_ONCE):
        some = [connect_with_tls(its) for _ in range(min(AT_ONCE, count - begin))]
        connections += some
        ask_all(some, its["file_bytes"])
    return connections


def memory_with(options, its, name, connections):
    """Of a server that is set up for so many connections, and has them."""
    # nginx counts what it listens to and its files as connections, too.
    its = {**its, "port": free_port(), "connections": connections, "descriptors": 2 * connections,
           "places": connections + 36}
    server = start(COMMANDS[name](options, its), options.cpu, its["scratch"] / "errors")
    opened = []
    try:
        wait_until_listening(server, its)
        opened = open_and_ask(its, WARM_CONNECTIONS)
        for _ in range(WARM_REQUESTS):
            ask_all(opened, its["file_bytes"])
        opened += open_and_ask(its, connections - WARM_CONNECTIONS)
        return settled_memory(server.pid)
    except TimeoutError:
        sys.exit(f"{name} did not answer within {PATIENCE_SECONDS} seconds")
    finally:
        server.kill()
        server.wait()
        for connection in opened:
            connection.close()


def prepare_tls(its):
    """A certificate, and clients that do not verify it."""
    its["certificate"], its["key"] = its["scratch"] / "certificate.pem", its["scratch"] / "key.pem"
    subprocess.run([find("openssl"), "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", its["key"],
                    "-out", its["certificate"]], check=True, capture_output=True)
    its["client"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    its["client"].check_hostname = False
    its["client"].verify_mode = ssl.CERT_NONE


def measure(options, its, name):
    samples = []
    for _ in range(options.runs):
        few = memory_with(options, its, name, WARM_CONNECTIONS)
        many = memory_with(options, its, name, options.connections)
        samples.append({"few": few, "many": many,
                        "bytes": (many["private"] - few["private"]) /
                                 (options.connections - WARM_CONNECTIONS)})
    cost = interval([sample["bytes"] for sample in samples])
    return {"name": name, "bytes": cost["median"], "low": cost["low"], "high": cost["high"],
            "confidence": cost["confidence"], "samples": samples}


def conditions(options):
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "kernel": platform.release(), "cpus": os.cpu_count(), "cpu": options.cpu,
            "connections": options.connections, "tls": options.tls, "file_bytes": options.file_bytes,
            "runs": options.runs}


def print_conditions(it):
    print(f"{it['date']}, kernel {it['kernel']}; servers on CPU {it['cpu']} of {it['cpus']}")
    print(f"{it['connections']} idle connections{' of TLS' if it['tls'] else ''}, on each one answer of {it['file_bytes']} bytes; "
          f"{it['runs']} pairs of starts\n")
    print(f"{'':14} {'bytes a connection [interval]':>32} {'in all, without and with':>24}  ours / its")


def print_result(it, ours):
    last = it["samples"][-1]
    spread = f"{it['bytes']:.0f} [{it['low']:.0f}, {it['high']:.0f}]"
    both = f"{last['few']['private'] / 1e6:.1f}, {last['many']['private'] / 1e6:.1f} MB"
    ratio = f"{ours['bytes'] / it['bytes']:.3f}" if ours and it is not ours and it["bytes"] > 0 else ""
    print(f"{it['name']:14} {spread:>32} {both:>24}  {ratio}", flush=True)


def print_verdict(ours, connections):
    said = verdict(AIM_BYTES, ours)
    print(f"\naim: {AIM_BYTES} bytes of private memory for each of {connections} connections: {said}")


def main():
    options = arguments()
    possible = lift_descriptor_limit(options.connections)
    if possible < options.connections:
        print(f"only {possible} connections, because of the limit of descriptors (ulimit -n)")
        options.connections = possible
    results, missing = [], []
    with tempfile.TemporaryDirectory() as directory:
        scratch = pathlib.Path(directory)
        its = {"scratch": scratch, "files": scratch / "files",
               "file_bytes": options.file_bytes, "certificate": "", "key": "", "client": None}
        its["files"].mkdir()
        (its["files"] / "file.bin").write_bytes(os.urandom(options.file_bytes))
        if options.tls:
            prepare_tls(its)
        print_conditions(conditions(options))
        for name in options.servers or COMMANDS:
            try:
                results.append(measure(options, its, name))
            except Missing as reason:
                missing.append({"name": name, "reason": str(reason)})
                continue
            print_result(results[-1], results[0] if results[0]["name"] == "sluice" else None)
    for it in missing:
        print(f"{it['name']:14} not measured: {it['reason']}")
    if results and results[0]["name"] == "sluice" and not options.tls:
        print_verdict(results[0], options.connections)
    if options.json:
        options.json.write_text(json.dumps(
            {"conditions": conditions(options), "results": results, "missing": missing}, indent=2))


if __name__ == "__main__":
    main()
