#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes one connection and keeps what it brings until its end.

    examples_peer.py PORT_FILE RECEIVED_FILE
"""
import socket
import sys

port_file, received_file = sys.argv[1:]
with socket.create_server(('127.0.0.1', 0)) as listener:
    listener.settimeout(120)
    with open(port_file, 'w', encoding='ascii') as file:
        file.write('%d\n' % listener.getsockname()[1])
    connection, _ = listener.accept()
with connection, open(received_file, 'wb') as file:
    connection.settimeout(120)
    while True:
        data = connection.recv(65536)
        if not data:
            break
        file.write(data)
