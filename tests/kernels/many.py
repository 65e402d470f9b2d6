# SPDX-License-Identifier: MIT
"""many.py PID PORT COUNT: makes a stopped `sluice serve` find so many requests in one turn.

Each is for /small. Ends with 0 if all of them are answered."""
import os
import signal
import socket
import sys
import time

PATIENCE_S = 120


def answer(connection, end):
    connection.settimeout(max(0.1, end - time.time()))
    data = b''
    try:
        while more := connection.recv(65536):
            data += more
    except OSError as error:
        return str(error)
    return 'answered' if data.startswith(b'HTTP/1.1 200') else 'closed without an answer'


def main():
    pid, port, count = (int(argument) for argument in sys.argv[1:])
    os.kill(pid, signal.SIGSTOP)
    connections = [socket.create_connection(('127.0.0.1', port)) for _ in range(count)]
    for connection in connections:
        connection.sendall(b'GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    os.kill(pid, signal.SIGCONT)
    end = time.time() + PATIENCE_S
    answers = [answer(connection, end) for connection in connections]
    for kind in sorted(set(answers)):
        print('%d of %d connections: %s' % (answers.count(kind), count, kind))
    sys.exit(answers.count('answered') != count)


if __name__ == '__main__':
    main()
