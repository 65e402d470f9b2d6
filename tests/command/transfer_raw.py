# SPDX-License-Identifier: MIT
"""Hand-made ends of docs/transfer.md for transfer*.sh: what no honest sender or receiver does.

  transfer_raw.py PORT CASE [ARGUMENT]...   prints the receiver's answers, one word each; with several
                                            arguments those of each in a line
"""
import contextlib
import io
import socket
import struct
import sys
import time

HELLO, FILE, HAVE, DATA, CHUNK, END, RESULT, WAIT, BYE = range(1, 10)
UNKNOWN = 2**64 - 1


def message(kind, body=b"", length=None):
    return struct.pack(">BxxxI", kind, len(body) if length is None else length) + body


def hello(version=2):
    return message(HELLO, b"sluice" + struct.pack(">H", version))


def offer(name, size):
    return message(FILE, struct.pack(">QqII", size, 0, 0, 0o644) + name)


def data(offset, count):
    return message(DATA, struct.pack(">QQ", offset, count))


def end(size):
    return message(END, struct.pack(">Q", size) + bytes(16))


class Peer:
    def __init__(self, connection):
        self.connection = connection
        self.connection.settimeout(120)

    def send(self, *parts):
        self.connection.sendall(b"".join(parts))

    def exactly(self, count):
        got = b""
        while len(got) < count:
            part = self.connection.recv(count - len(got))
            if not part:
                raise EOFError
            got += part
        return got

    def answer(self):
        """The next one that is no WAIT: its type and its body; (0, b'') at the end."""
        try:
            while True:
                kind, length = struct.unpack(">BxxxI", self.exactly(8))
                body = self.exactly(length)
                if kind != WAIT:
                    return kind, body
        except (EOFError, ConnectionResetError):
            return 0, b""

    def show(self):
        kind, body = self.answer()
        if kind == HAVE:
            print("have", struct.unpack(">Q", body[:8])[0])
        elif kind == RESULT:
            print("result", struct.unpack(">I", body[:4])[0])
        else:
            print({0: "end", HELLO: "hello", BYE: "bye"}.get(kind, kind))
        return kind


def connect(port):
    peer = Peer(socket.create_connection(("127.0.0.1", port), 20))
    return peer


def greeted(port):
    peer = connect(port)
    peer.send(hello())
    assert peer.answer()[0] == HELLO
    return peer


# ---- senders ----


def name(port, text):
    """Offers a name, given in Python's escapes; and says goodbye where it is refused."""
    peer = greeted(port)
    peer.send(offer(text.encode().decode("unicode_escape").encode("latin-1"), 3))
    if peer.show() == RESULT:
        peer.send(message(BYE))
        peer.show()


def half(port, path):
    """Sends the first half of a file, and breaks off when the receiver has it."""
    contents = open(path, "rb").read()
    peer = greeted(port)
    peer.send(offer(path.rsplit("/", 1)[-1].encode(), len(contents)))
    peer.show()
    peer.send(data(0, len(contents)), contents[: len(contents) // 2])
    peer.connection.shutdown(socket.SHUT_WR)
    peer.show()


def hold(port, path):
    """Sends the first half, says so, and stays until it is killed or the other end goes."""
    contents = open(path, "rb").read()
    peer = greeted(port)
    peer.send(offer(path.rsplit("/", 1)[-1].encode(), len(contents)))
    peer.show()
    peer.send(data(0, len(contents)), contents[: len(contents) // 2])
    print("held", flush=True)
    peer.connection.settimeout(120)
    peer.show()


def wrong(port, text):
    """A file whose checksum is not the one that it says; then a right goodbye."""
    peer = greeted(port)
    peer.send(offer(text.encode(), 5))
    peer.show()
    peer.send(data(0, 5), b"12345", end(5))
    peer.show()
    peer.send(message(BYE))
    peer.show()


def short(port, text):
    """END before all bytes of a stream's own count."""
    peer = greeted(port)
    peer.send(offer(text.encode(), UNKNOWN))
    peer.show()
    peer.send(message(CHUNK, b"12345"), end(6))
    peer.show()


def broken(port, text):
    """Streams that are no such protocol; each is answered and ended."""
    streams = {
        "http": b"GET / HTTP/1.1\r\n\r\n",
        "zeros": bytes(64),
        "magic": message(HELLO, b"slouch\0\2"),
        "unknown": hello() + message(77),
        "long": hello() + message(FILE, b"", 2**32 - 1),
        "empty-name": hello() + offer(b"", 1),
        "nul": hello() + offer(b"a\0b", 1),
        "huge": hello() + offer(b"huge", 2**63),
        "early-data": hello() + data(0, 5),
        "early-end": hello() + end(0),
        "early-chunk": hello() + message(CHUNK, b"x"),
        "twice": hello() + hello(),
        "two-offers": hello() + offer(b"two", 3) + offer(b"three", 3),
        "beyond": hello() + offer(b"beyond", 3) + data(0, 4),
        "hole": hello() + offer(b"hole", 3) + data(2, 1),
        "chunk-of-known": hello() + offer(b"known", 3) + message(CHUNK, b"abc"),
        "data-of-unknown": hello() + offer(b"unknown", UNKNOWN) + data(0, 3),
        "answer": hello() + message(RESULT, struct.pack(">I", 0)),
    }
    peer = connect(port)
    peer.send(streams[text])
    kinds = []
    while not kinds or kinds[-1] != 0:
        kind, body = peer.answer()
        kinds.append(kind)
        if kind == RESULT:
            print("result", struct.unpack(">I", body[:4])[0])
    print("end")


def version(port, text):
    peer = connect(port)
    peer.send(hello(int(text)))
    peer.show()
    peer.show()


def silent(port, text):
    """Says nothing until the receiver loses its patience."""
    connect(port).show()


def waiting(port, text):
    """Says WAIT and nothing else, until the receiver has enough of it."""
    peer = greeted(port)
    peer.connection.settimeout(0.1)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            peer.send(message(WAIT))
            if not peer.connection.recv(4096):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    else:
        print("for ever")
        return
    print("end")


def flood(port, text):
    """Offers so many files that are refused."""
    peer = greeted(port)
    for _ in range(int(text)):
        peer.send(offer(b"../\x1b[31mflood", 3))
        assert peer.answer()[0] == RESULT
    peer.send(message(BYE))
    peer.show()


# ---- receivers ----


def answering(port, text):
    """A receiver that prints its port and answers one file with a result, and goes."""
    listener = socket.create_server(("127.0.0.1", port))
    print(listener.getsockname()[1], flush=True)
    peer = Peer(listener.accept()[0])
    peer.answer()
    peer.send(hello(1 if text == "version" else 2))
    if text in ("version", "close"):
        return
    peer.answer()
    if text == "wait":
        with contextlib.suppress(ConnectionError):
            for _ in range(600):
                peer.send(message(WAIT))
                time.sleep(0.1)
        return
    if text == "nonsense":
        peer.send(b"nonsense" * 10)
        return
    if text == "far":
        peer.send(message(HAVE, struct.pack(">Q", 2**40) + bytes(16)))
        peer.show()
        return
    peer.send(message(RESULT, struct.pack(">I", int(text)) + b"\x1b[31mred"))
    peer.answer()
    peer.send(message(BYE))


def main(port, case, texts):
    if len(texts) < 2:
        globals()[case](port, texts[0] if texts else "")
        return
    for text in texts:
        answers = io.StringIO()
        with contextlib.redirect_stdout(answers):
            globals()[case](port, text)
        print(" ".join(answers.getvalue().split()), flush=True)


main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
