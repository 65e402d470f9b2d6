#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Becomes a command that is passed listening sockets, as systemd does.

    serve_passed.py NAME:NAME... FILE COMMAND [ARGUMENT...]

The names become LISTEN_FDNAMES; the ports are written to the file, one a line.
"""
import os
import socket
import sys

names, path, command = sys.argv[1], sys.argv[2], sys.argv[3:]
passed = []
for _ in names.split(":"):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    passed.append(listener)
with open(path, "w", encoding="utf-8") as file:
    for listener in passed:
        print(listener.getsockname()[1], file=file)
copies = [os.dup2(listener.fileno(), 100 + i) for i, listener in enumerate(passed)]
for i, copy in enumerate(copies):
    os.dup2(copy, 3 + i)
    os.close(copy)
os.environ.update(LISTEN_FDS=str(len(passed)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=names)
os.execv(command[0], command)
