# SPDX-License-Identifier: MIT
"""A machine between `sluice send` and `sluice receive`, for transfer_secret.sh.

  transfer_relay.py PORT RECORD [cut=BYTES,...] [flip=BYTE]

Prints its own port, and passes connections on to PORT, one after another. All that passes is added to
RECORD. The first connections are reset once so many bytes of the sender have passed: cut has a number
for each. flip changes a bit of that byte of the sender's in the first connection.
"""
import select
import socket
import struct
import sys


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def flipped(part, at):
    if not 0 <= at < len(part):
        return part
    return part[:at] + bytes([part[at] ^ 1]) + part[at + 1 :]


def relay(sender, receiver, record, cut, flip):
    passed = 0
    opened = {sender: receiver, receiver: sender}
    while opened:
        for source in select.select(list(opened), [], [])[0]:
            part = source.recv(65536)
            if not part:
                opened.pop(source).shutdown(socket.SHUT_WR)
                continue
            record.write(part)
            if source is sender:
                part = flipped(part, flip - passed)
                passed += len(part)
            (receiver if source is sender else sender).sendall(part)
            if cut is not None and passed >= cut:
                raise ConnectionError


def main(port, path, options):
    cuts = [int(cut) for cut in options.get("cut", "").split(",") if cut]
    flip = int(options.get("flip", -1))
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    with open(path, "ab", buffering=0) as record:
        while True:
            sender = listener.accept()[0]
            receiver = socket.create_connection(("127.0.0.1", port))
            try:
                relay(sender, receiver, record, cuts.pop(0) if cuts else None, flip)
            except OSError:
                pass
            flip = -1
            reset(sender)
            reset(receiver)


main(int(sys.argv[1]), sys.argv[2], dict(option.split("=") for option in sys.argv[3:]))
