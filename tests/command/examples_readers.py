#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Readers that are connected at the same time, of which each has to get this file.

    examples_readers.py PORT COUNT FILE
"""
import selectors
import socket
import sys

port, count, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with open(name, 'rb') as file:
    wanted = file.read()
waiting = selectors.DefaultSelector()
for reader in [socket.create_connection(('127.0.0.1', port)) for _ in range(count)]:
    waiting.register(reader, selectors.EVENT_READ, bytearray())
while readers := waiting.get_map():
    ready = waiting.select(120)
    if not ready:
        sys.exit('%d of %d readers wait for more' % (len(readers), count))
    for key, _ in ready:
        data = key.fileobj.recv(65536)
        key.data.extend(data)
        if not data:
            waiting.unregister(key.fileobj)
            key.fileobj.close()
            if key.data != wanted:
                sys.exit('%d bytes that are not the file' % len(key.data))
