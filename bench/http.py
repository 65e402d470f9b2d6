#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU time a request: `sluice serve` against nginx, with wrk as the client.

    bench/http.py [--build build/release] [--json FILE] [--tls] [SIZE...]

Both servers run all the time, pinned to one core; wrk is pinned to the other and talks to one at a
time, A B A B. What counts is the CPU time of all processes and threads of a server, kernel workers
included (/proc/PID/stat), divided by the requests that wrk counted.

With --tls both serve HTTPS, with one certificate (EC, P-256), the same ciphers and TLS 1.3. The sizes
"handshake" and "resumed" are connections without a request, from openssl s_time.

nginx cannot choose the congestion control of its sockets, so everything happens in a network
namespace whose default is cubic. That needs root.
"""

import argparse
import ctypes
import datetime
import fcntl
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from interval import interval, verdict

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONGESTION = "cubic"
CONGESTION_PATH = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
AIMS = {"1K": 0.8, "64K": 0.9, "1M": 0.95}
AIMS_TLS = {"1K": 1.0, "64K": 1.0, "1M": 1.0, "handshake": 1.0, "resumed": 1.0}
# s_time reads no tickets of TLS 1.3.
S_TIME = {"handshake": ["-new"], "resumed": ["-reuse", "-tls1_2"]}
# The server's own list: src/tls/context.c.
CIPHERS = ":".join(f"ECDHE-{key}-{cipher}" for cipher in
                   ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
                   for key in ("ECDSA", "RSA"))
PORTS = {"sluice": 8001, "nginx": 8002}

# As its authors would set it up for static files; one worker because the server has one core.
NGINX_CONFIGURATION = """
daemon off;
user root;
worker_processes 1;
pid {prefix}/nginx.pid;
error_log stderr crit;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    open_file_cache max=1000 inactive=300s;
    open_file_cache_valid 60s;
    types {{ application/octet-stream bin; }}
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096 {ssl};
        root {files};
        {ssl_lines}
    }}
}}
"""


NGINX_TLS = """
        ssl_certificate {prefix}/certificate.pem;
        ssl_certificate_key {prefix}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers {ciphers};
        ssl_prefer_server_ciphers on;
"""


def absolute(path):
    """The servers have other working directories."""
    return pathlib.Path(path).absolute()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", nargs="*", metavar="SIZE", help="1K, 64K, 1M; with --tls also handshake, resumed (default: all)")
    parser.add_argument("--build", default=ROOT / "build/release", type=absolute,
                        help="a release build (default: build/release, as tools/run makes it)")
    parser.add_argument("--backend", default="auto", help="auto, uring or epoll")
    parser.add_argument("--tls", action="store_true", help="HTTPS")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15, help="of A and B each")
    parser.add_argument("--seconds", type=int, default=1, help="each turn")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--directory", help="where the files to serve are made (default: in the build)")
    parser.add_argument("--json", type=pathlib.Path, help="write the raw samples to this file")
    return parser.parse_args()


def enter_namespace():
    """Moves this process into a network namespace of its own, where CONGESTION is the default.

    A new namespace takes over the default of the first one, and may itself choose only what is
    unrestricted there. So the machine's default is changed for the moment of the birth.
    """
    clone_newnet = 0x40000000
    libc = ctypes.CDLL(None, use_errno=True)
    with open(CONGESTION_PATH, "r+", encoding="ascii") as machine:
        default = machine.read().strip()
        try:
            set_congestion(machine, CONGESTION)
            if libc.unshare(clone_newnet) != 0:
                sys.exit(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        finally:
            set_congestion(machine, default)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        siocsifflags, iff_up = 0x8914, 0x1
        fcntl.ioctl(any_socket, siocsifflags, struct.pack("16sh14x", b"lo", iff_up))
    return CONGESTION_PATH.read_text().strip()


def set_congestion(file, name):
    file.seek(0)
    file.write(name)
    file.flush()


def size_in_bytes(size):
    return int(size[:-1]) * {"K": 1 << 10, "M": 1 << 20}[size[-1]]


def make_files(directory, sizes):
    for size in ["1K"] + [size for size in sizes if size not in S_TIME]:
        (directory / f"{size}.bin").write_bytes(os.urandom(size_in_bytes(size)))
    # Written back now, not while something is measured.
    os.sync()


def start(command, cpu):
    return subprocess.Popen(command, stdout=subprocess.DEVNULL,
                            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))


def make_certificate(scratch):
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-keyout", scratch / "key.pem", "-out", scratch / "certificate.pem"],
                   check=True, capture_output=True)


def start_servers(options, files, scratch):
    configuration = scratch / "nginx.conf"
    lines = NGINX_TLS.format(prefix=scratch, ciphers=CIPHERS) if options.tls else ""
    configuration.write_text(NGINX_CONFIGURATION.format(
        prefix=scratch, port=PORTS["nginx"], files=files, ssl="ssl" if options.tls else "",
        ssl_lines=lines))
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or sys.exit("no nginx")
    ours = [options.build / "tools/sluice", "serve", "--bind", "127.0.0.1", "--port",
            str(PORTS["sluice"]), "--workers", "1"]
    if options.backend != "auto":
        ours += ["--backend", options.backend]
    if options.tls:
        ours += ["--tls-cert", scratch / "certificate.pem", "--tls-key", scratch / "key.pem"]
    return {
        "sluice": start(ours + [files], options.server_cpu),
        "nginx": start([nginx, "-p", scratch, "-c", configuration, "-e", "stderr"],
                       options.server_cpu),
    }


def wait_until_listening(port):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def process_tree(pid):
    """The process and all its descendants."""
    found = [pid]
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += process_tree(int(path.parent.name))
    return found


def cpu_seconds(pid):
    """User and system time of the tree: of every thread, the kernel's for io_uring included."""
    ticks = 0
    for member in process_tree(pid):
        fields = pathlib.Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def run_s_time(options, server, size, seconds):
    """Connections one after the other; the first of those that resume is a whole handshake."""
    output = subprocess.run(
        ["taskset", "-c", str(options.client_cpu), "openssl", "s_time", *S_TIME[size], "-time",
         str(seconds), "-connect", f"127.0.0.1:{PORTS[server]}"],
        check=True, capture_output=True, text=True).stdout
    return int(re.findall(r"(\d+) connections in \d+ real seconds", output)[-1])


def run_client(options, server, size, seconds):
    run = run_s_time if size in S_TIME else run_wrk
    return run(options, server, size, seconds)


def run_wrk(options, server, size, seconds):
    scheme = "https" if options.tls else "http"
    url = f"{scheme}://127.0.0.1:{PORTS[server]}/{size}.bin"
    output = subprocess.run(
        ["taskset", "-c", str(options.client_cpu), "wrk", "-t1", f"-c{options.connections}",
         f"-d{seconds}s", url], check=True, capture_output=True, text=True).stdout
    if "Socket errors" in output or "Non-2xx" in output:
        sys.exit(f"{server}, {size}: wrk saw errors\n{output}")
    return int(re.search(r"(\d+) requests in", output)[1])


def measure(options, servers, server, size):
    pid = servers[server].pid
    cpu, wall = cpu_seconds(pid), time.monotonic()
    requests = run_client(options, server, size, options.seconds)
    return {"requests": requests, "cpu_seconds": cpu_seconds(pid) - cpu,
            "wall_seconds": time.monotonic() - wall}


def compare(options, servers, size):
    for server in servers:
        run_client(options, server, size, 1)  # warms caches, and fails early
    samples = {server: [] for server in servers}
    for _ in range(options.rounds):
        for server in servers:
            samples[server].append(measure(options, servers, server, size))
    cost = {server: [s["cpu_seconds"] / s["requests"] * 1e6 for s in samples[server]]
            for server in servers}
    ratio = interval([a / b for a, b in zip(cost["sluice"], cost["nginx"])])
    aims = AIMS_TLS if options.tls else AIMS
    return {"size": size, "aim": aims.get(size), "cpu_ratio": ratio, "samples": samples,
            "cpu_us": {server: statistics.median(cost[server]) for server in servers},
            "requests_per_second": {
                server: statistics.median(s["requests"] / s["wall_seconds"] for s in samples[server])
                for server in servers}}


def print_result(it):
    ratio, cpu, rate = it["cpu_ratio"], it["cpu_us"], it["requests_per_second"]
    aim = f"{it['aim']:.2f}x" if it["aim"] else ""
    print(f"{it['size']:>9} {aim:>6}   {ratio['median']:5.3f} [{ratio['low']:5.3f}, "
          f"{ratio['high']:5.3f}] {cpu['sluice']:9.2f} {cpu['nginx']:9.2f} "
          f"{rate['sluice']:10.0f} {rate['nginx']:10.0f}   {verdict(it['aim'], ratio)}", flush=True)


def first_line(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return ((result.stdout + result.stderr).splitlines() or ["?"])[0]


def conditions(options, congestion):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "kernel": platform.release(), "cpu": cpu[1] if cpu else "unknown",
            "cpus": os.cpu_count(), "load": os.getloadavg()[0],
            "server_cpu": options.server_cpu, "client_cpu": options.client_cpu,
            "congestion": congestion, "backend": options.backend, "tls": options.tls,
            "sluice": first_line([options.build / "tools/sluice", "--version"]),
            "nginx": first_line(["nginx", "-v"]), "wrk": first_line(["wrk", "-v"]),
            "connections": options.connections, "rounds": options.rounds,
            "seconds": options.seconds}


def print_conditions(it):
    print(f"{it['date']}, kernel {it['kernel']}, {it['cpus']} CPUs ({it['cpu']}), "
          f"load {it['load']:.2f}")
    print(f"server on CPU {it['server_cpu']}, wrk on CPU {it['client_cpu']}, "
          f"{it['connections']} connections, {it['congestion']}")
    print(f"{it['sluice']} (backend {it['backend']}), {it['nginx']}, {it['wrk']}")
    print(f"{it['rounds']} rounds A B A B of {it['seconds']} s each\n")
    print(f"{'':>9} {'':>6}   {'CPU time, ours / nginx':21} {'us CPU a request':>19} "
          f"{'requests a second':>21}")
    print(f"{'size':>9} {'aim':>6}   {'median [interval]':21} {'sluice':>9} {'nginx':>9} "
          f"{'sluice':>10} {'nginx':>10}", flush=True)


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("needs root, for a network namespace")
    congestion = enter_namespace()
    sizes = options.sizes or list(AIMS_TLS if options.tls else AIMS)
    where = options.directory or options.build
    with tempfile.TemporaryDirectory(dir=where) as directory:
        scratch = pathlib.Path(directory)
        files = scratch / "files"
        files.mkdir()
        make_files(files, sizes)
        if options.tls:
            make_certificate(scratch)
        servers = start_servers(options, files, scratch)
        try:
            for port in PORTS.values():
                wait_until_listening(port)
            its = conditions(options, congestion)
            print_conditions(its)
            results = []
            for size in sizes:
                results.append(compare(options, servers, size))
                print_result(results[-1])
        finally:
            for server in servers.values():
                server.send_signal(signal.SIGTERM)
            for server in servers.values():
                server.wait(timeout=10)
    if options.json:
        options.json.write_text(json.dumps({"conditions": its, "results": results}, indent=2))


if __name__ == "__main__":
    main()
