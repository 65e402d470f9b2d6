# SPDX-License-Identifier: MIT
"""Clients of `sluice serve` over TLS that misbehave: PORT AUTHORITIES WHAT [ARGUMENT...]."""
import resource
import socket
import ssl
import sys
import time

port, authorities = int(sys.argv[1]), sys.argv[2]
REQUEST = b"GET /hello HTTP/1.0\r\n\r\n"
PATIENCE = 120


def connect():
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


class Side:
    """A client's side of TLS, whose bytes go through our hands."""

    def __init__(self, version=None):
        context = ssl.create_default_context(cafile=authorities)
        if version:
            context.maximum_version = version
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def step(self):
        """One step of the handshake: True when it is over."""
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def hello(self):
        self.step()
        return self.outgoing.read()

    def finish(self, client, send):
        """The whole handshake, a request, and its answer; send writes to the socket."""
        over = False
        while not over:
            over = self.step()
            send(self.outgoing.read())
            if not over:
                self.incoming.write(client.recv(65536))
        self.tls.write(REQUEST)
        send(self.outgoing.read())
        return self.read_to_end(client)

    def read_to_end(self, client):
        """What arrives until the server ends the stream."""
        answer = b""
        while True:
            try:
                piece = self.tls.read(65536)
                if not piece:
                    return answer
                answer += piece
            except ssl.SSLWantReadError:
                got = client.recv(65536)
                if not got:
                    return answer
                self.incoming.write(got)


def version_of(name):
    return ssl.TLSVersion.TLSv1_2 if name == "1.2" else ssl.TLSVersion.TLSv1_3


def fetch():
    with connect() as client:
        answer = Side().finish(client, client.sendall)
        assert answer.endswith(b"\r\n\r\nhello\n"), answer


def trickle(name):
    """Every byte of the handshake and the request by itself."""
    with connect() as client:

        def send(data):
            for byte in data:
                client.sendall(bytes([byte]))

        answer = Side(version_of(name)).finish(client, send)
        assert answer.endswith(b"\r\n\r\nhello\n"), answer


def together(name):
    """The request is in one segment with the client's last flight, and nothing follows it."""
    with connect() as client:
        side = Side(version_of(name))
        over = side.step()
        client.sendall(side.outgoing.read())
        while not over:
            side.incoming.write(client.recv(65536))
            over = side.step()
            # With TLS 1.2 the server has the last word.
            if not over:
                client.sendall(side.outgoing.read())
        side.tls.write(REQUEST)
        client.sendall(side.outgoing.read())
        answer = side.read_to_end(client)
        assert answer.endswith(b"\r\n\r\nhello\n"), answer


def truncated(name):
    """The client's first flight is cut in many places, by a shutdown or by a close."""
    length = len(Side(version_of(name)).hello())
    for cut in list(range(0, length, 7)) + [length - 1, length]:
        for wait in (False, True):
            with connect() as client:
                client.sendall(Side(version_of(name)).hello()[:cut])
                if wait:
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
    fetch()


def second_flight(name):
    """The handshake stops behind the server's first flight, and ends without a word."""
    for _ in range(20):
        with connect() as client:
            side = Side(version_of(name))
            client.sendall(side.hello())
            side.incoming.write(client.recv(65536))
    fetch()


def broken(name):
    """One byte of the client's hello is another: an answer or an end, never a hang."""
    hello = Side(version_of(name)).hello()
    for at in range(0, len(hello), 5):
        with connect() as client:
            client.sendall(hello[:at] + bytes([hello[at] ^ 0x55]) + hello[at + 1:])
            client.shutdown(socket.SHUT_WR)
            try:
                while client.recv(65536):
                    pass
            except ConnectionResetError:
                pass
    fetch()


def stopped(least, most):
    """Stops in the middle of the handshake: the server ends the connection, in time."""
    with connect() as client:
        begun = time.monotonic()
        client.sendall(Side().hello()[:50])
        try:
            got = client.recv(65536)
        except ConnectionResetError:
            got = b""
        took = time.monotonic() - begun
        assert not got, got
        assert float(least) <= took <= float(most), took


def resident(pid):
    with open("/proc/%s/statm" % pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def crowd(count, pid, most):
    """Many stop in the middle: others are served at once, and memory is bounded."""
    count = int(count)
    before = resident(pid)
    clients = []
    for number in range(count):
        client = connect()
        side = Side()
        hello = side.hello()
        # A third says nothing, a third half a hello, a third all of it and never answers.
        client.sendall((b"", hello[:len(hello) // 2], hello)[number % 3])
        clients.append(client)
    times = []
    for _ in range(20):
        begun = time.monotonic()
        fetch()
        times.append(time.monotonic() - begun)
    grown = resident(pid) - before
    print("%d bytes each, %.1f ms for a request" % (grown / count, 1000 * sorted(times)[10]))
    assert grown < count * int(most), grown
    # The server ends them all, by its own time-out.
    for client in clients:
        try:
            while client.recv(65536):
                pass
        except ConnectionResetError:
            pass
        client.close()
    fetch()


if __name__ == "__main__":
    globals()[sys.argv[3]](*sys.argv[4:])
