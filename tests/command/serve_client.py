# SPDX-License-Identifier: MIT
"""Clients with a sense of time. Exits with 0 when the server did what it should."""

import select
import socket
import sys
import time

PORT = int(sys.argv[1])
PATIENCE = 120
GET = b"GET /hello.txt HTTP/1.1\r\nHost: h\r\n\r\n"
LARGE = b"GET /large.bin HTTP/1.1\r\nHost: h\r\n\r\n"
LARGE_BYTES = 64 << 20
SLOW = b"GET /slow.bin HTTP/1.1\r\nHost: h\r\n\r\n"
SLOW_BYTES = 16 << 20


def connect(receive_bytes=0):
    client = socket.socket()
    if receive_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", PORT))
    return client


def read_end(client):
    data = b""
    try:
        while more := client.recv(1 << 16):
            data += more
    except ConnectionResetError:
        data += b"RESET"
    return data


def ends_within(client, least, most, wanted):
    """The stream ends in this time and has what is wanted in it."""
    start = time.monotonic()
    data = read_end(client)
    took = time.monotonic() - start
    assert float(least) <= took <= float(most), "it took %.2f s" % took
    assert wanted(data), "got %r" % data[:200]


def idle(least, most):
    client = connect()
    client.sendall(GET)
    ends_within(client, least, most, lambda data: data.startswith(b"HTTP/1.1 200"))


def silent(least, most):
    ends_within(connect(), least, most, lambda data: data == b"")


def slow_head(least, most):
    client = connect()
    client.sendall(GET[:-2])
    ends_within(client, least, most, lambda data: data.startswith(b"HTTP/1.1 408"))


def trickle(least, most):
    client = connect()
    client.settimeout(0.1)
    start = time.monotonic()
    client.sendall(GET[:20])
    while True:
        assert time.monotonic() - start < float(most), "it goes on"
        try:
            data = client.recv(1 << 16)
            break
        except TimeoutError:
            client.sendall(b"a")
    assert time.monotonic() - start >= float(least)
    assert data.startswith(b"HTTP/1.1 408"), data


def slow_body(least, most):
    client = connect()
    client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
    ends_within(client, least, most, lambda data: data.startswith(b"HTTP/1.1 405"))


def no_reader(least, most):
    """Reads nothing, and is reset, not too early and in the end."""
    client = connect(4096)
    client.sendall(LARGE)
    start = time.monotonic()
    waiting = select.poll()
    waiting.register(client, 0)
    assert waiting.poll(1000 * float(most)), "it is still connected"
    took = time.monotonic() - start
    assert took >= float(least), "it took %.2f s" % took
    data = read_end(client)
    assert len(data) < LARGE_BYTES, "all of it came"


def slow_reader(seconds, receive_bytes, piece_bytes):
    """Takes a little often enough: longer in all than the time-out, and gets everything.

    The file is larger than what the kernel accepts ahead of the reader, and not much larger: the
    reader's window stays small, and the rest takes long.
    """
    client = connect(int(receive_bytes))
    client.sendall(SLOW)
    got = 0
    start = time.monotonic()
    while time.monotonic() - start < float(seconds):
        more = client.recv(int(piece_bytes))
        assert more, "it ended after %d bytes" % got
        got += len(more)
        time.sleep(0.1)
    head_and_rest = SLOW_BYTES
    while got < head_and_rest:
        more = client.recv(1 << 16)
        assert more, "it ended after %d bytes" % got
        got += len(more)


def too_many(most):
    clients = []
    for _ in range(int(most)):
        client = connect()
        client.sendall(GET)
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        clients.append(client)
    over = connect()
    data = read_end(over)
    assert data.startswith(b"HTTP/1.1 503"), data[:100]
    assert b"Retry-After" in data
    clients.pop().close()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        again = connect()
        again.sendall(GET)
        if again.recv(1 << 16).startswith(b"HTTP/1.1 200"):
            return
        time.sleep(0.05)
    raise AssertionError("no room after one ended")


def many(count):
    """Idle connections, of which each is then used once."""
    clients = [connect() for _ in range(int(count))]
    for client in clients:
        client.sendall(b"GET /d01/f00001.txt HTTP/1.1\r\nHost: h\r\n\r\n")
    for client in clients:
        data = client.recv(1 << 16)
        assert data.startswith(b"HTTP/1.1 200"), data[:100]


def hold():
    client = connect(4096)
    client.sendall(LARGE)
    client.recv(1000)
    print("holding", flush=True)
    time.sleep(10 * PATIENCE)


globals()[sys.argv[2]](*sys.argv[3:])
