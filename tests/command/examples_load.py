#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples that are servers, under load; prints TAP. $SLUICE_EXAMPLES has the programs, and
$SLUICE_BACKEND names the backend."""
import os
import re
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading

FOLDER = os.environ['SLUICE_EXAMPLES']
BACKEND = os.environ.get('SLUICE_BACKEND', 'uring')
PATIENCE = 120


class Server:
    def __init__(self, name, *arguments):
        self.process = subprocess.Popen([os.path.join(FOLDER, name), *map(str, arguments)],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r'port (\d+)', line).group(1))
        assert line.rstrip().endswith('with ' + BACKEND), line

    def __enter__(self):
        return self

    def connect(self, receive_bytes=0):
        client = socket.socket()
        client.settimeout(PATIENCE)
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.connect(('127.0.0.1', self.port))
        return client

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        if kind is None:
            assert code == 0, 'it ended with %d' % code


def read_exactly(client, size):
    parts = []
    while size > 0:
        part = client.recv(min(size, 1 << 20))
        assert part, 'the stream ended, %d bytes are missing' % size
        parts.append(part)
        size -= len(part)
    return b''.join(parts)


def read_all(client):
    parts = []
    while True:
        part = client.recv(1 << 20)
        if not part:
            return b''.join(parts)
        parts.append(part)


def expect_everywhere(clients, text):
    """Every client receives exactly this."""
    selector = selectors.DefaultSelector()
    missing = {}
    for client in clients:
        missing[client] = text
        selector.register(client, selectors.EVENT_READ)
    while missing:
        ready = selector.select(PATIENCE)
        assert ready, '%d clients wait for something' % len(missing)
        for key, _ in ready:
            client = key.fileobj
            part = client.recv(len(missing[client]))
            assert part and missing[client].startswith(part), 'something else was received'
            missing[client] = missing[client][len(part):]
            if not missing[client]:
                del missing[client]
                selector.unregister(client)
    selector.close()


def chat_clients():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2000
    if hard != resource.RLIM_INFINITY and hard < wanted + 100:
        wanted = hard - 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 100), hard))
    return wanted


def chat_brings_each_line_to_2000_clients():
    count = chat_clients()
    with Server('chat') as server:
        clients = [server.connect() for _ in range(count)]
        # A client is there once it has received what another one says.
        for i in range(3):
            text = b'line %d\n' % i
            if i == 0:
                wait_until_joined(clients)
            clients[i].sendall(text)
            expect_everywhere([c for c in clients if c is not clients[i]], text)
        for client in clients:
            client.close()


def wait_until_joined(clients):
    """The last one speaks until all others have heard it; what they heard is taken away."""
    last = clients[-1]
    last.sendall(b'hello\n')
    expect_everywhere(clients[:-1], b'hello\n')


def chat_disconnects_who_does_not_read_and_delays_nobody():
    with Server('chat') as server:
        slow = server.connect(receive_bytes=4096)
        fast = [server.connect() for _ in range(20)]
        wait_until_joined([slow] + fast)
        block = b'x' * 65536
        for _ in range(200):
            fast[0].sendall(block)
            expect_everywhere(fast[1:], block)
        # 12 MiB were sent; it may have 256 KiB queued and what the kernel holds, then it is gone.
        got = 0
        try:
            while True:
                part = slow.recv(1 << 20)
                if not part:
                    break
                got += len(part)
        except ConnectionResetError:
            pass
        assert got < 200 * 65536, 'the slow client received everything'
        for client in [slow] + fast:
            client.close()


def through_proxy(port, data):
    """Sends all of it, ends the stream, and then reads: the answer comes after the half-close."""
    client = socket.create_connection(('127.0.0.1', port), PATIENCE)
    client.settimeout(PATIENCE)
    answer = []

    def read():
        try:
            answer.append(read_all(client))
        except OSError as error:
            answer.append(error)
    reader = threading.Thread(target=read)
    reader.start()
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
    reader.join()
    client.close()
    return answer[0]


def proxy_passes_bytes_and_half_closes_of_50_connections():
    with Server('loop_epoll') as echo, Server('proxy', echo.port) as proxy:
        data = os.urandom(1 << 20)
        failed = []

        def one():
            if through_proxy(proxy.port, data) != data:
                failed.append(1)
        threads = [threading.Thread(target=one) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, '%d of 50 connections differ' % len(failed)


def resident(process):
    with open('/proc/%d/status' % process.pid, encoding='ascii') as file:
        return int(re.search(r'VmRSS:\s+(\d+)', file.read()).group(1))


def proxy_stops_a_sender_whose_receiver_does_not_read():
    listener = socket.create_server(('127.0.0.1', 0))
    with Server('proxy', listener.getsockname()[1]) as proxy:
        client = proxy.connect()
        peer, _ = listener.accept()
        peer.settimeout(PATIENCE)
        client.setblocking(False)
        before = resident(proxy.process)
        sent = 0
        poll = selectors.DefaultSelector()
        poll.register(client, selectors.EVENT_WRITE)
        while poll.select(2) and sent < 512 << 20:
            try:
                sent += client.send(b'y' * (1 << 18))
            except BlockingIOError:
                pass
        assert sent < 512 << 20, 'nothing stopped the sender'
        grown = resident(proxy.process) - before
        assert grown < 32 << 10, 'the proxy has grown by %d KiB' % grown
        client.setblocking(True)
        client.shutdown(socket.SHUT_WR)
        read_exactly(peer, sent)
        assert peer.recv(1) == b''
        peer.close()
        client.close()
        poll.close()
    listener.close()


def http_file_answers_pipelined_requests():
    content = os.urandom(300000)
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        with Server('http_file', file.name) as server:
            clients = [server.connect() for _ in range(20)]
            for client in clients:
                client.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n' * 5)
                client.shutdown(socket.SHUT_WR)
            for client in clients:
                answer = b'HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n' + content
                assert read_all(client) == answer * 5
                client.close()


def loop_echoes(name):
    with Server(name) as server:
        data = os.urandom(200000)
        clients = [server.connect() for _ in range(50)]
        for round_number in range(3):
            for client in clients:
                client.sendall(data[:1000 + round_number])
            for client in clients:
                assert read_exactly(client, 1000 + round_number) == data[:1000 + round_number]
        assert through_proxy(server.port, data) == data
        for client in clients:
            client.close()


def producers_keep_the_order_of_each_thread():
    listener = socket.create_server(('127.0.0.1', 0))
    process = subprocess.Popen([os.path.join(FOLDER, 'producers'), '127.0.0.1',
                                str(listener.getsockname()[1]), '5000'], stdout=subprocess.PIPE)
    peer, _ = listener.accept()
    peer.settimeout(PATIENCE)
    lines = read_all(peer).decode().splitlines()
    output = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0 and output == b'20000 lines, 0 failed\n', output
    for number in range(4):
        own = [line for line in lines if line.startswith('%d ' % number)]
        assert own == ['%d %d' % (number, i) for i in range(5000)], 'thread %d' % number
    assert len(lines) == 20000
    peer.close()
    listener.close()


def udp_stream_sends_each_datagram_in_order():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    receiver.bind(('127.0.0.1', 0))
    receiver.settimeout(PATIENCE)
    # As few as the receive buffer holds: nothing on the way may be lost.
    run = subprocess.run([os.path.join(FOLDER, 'udp_stream'), '127.0.0.1',
                          str(receiver.getsockname()[1]), '64'], stdout=subprocess.PIPE,
                         check=True, timeout=PATIENCE)
    assert re.match(rb'64 datagrams, 0 failed', run.stdout), run.stdout
    for number in range(64):
        datagram = receiver.recv(2000)
        assert len(datagram) == 1200 and int.from_bytes(datagram[:4], 'big') == number
    receiver.close()


def main():
    cases = [
        chat_brings_each_line_to_2000_clients,
        chat_disconnects_who_does_not_read_and_delays_nobody,
        proxy_passes_bytes_and_half_closes_of_50_connections,
        proxy_stops_a_sender_whose_receiver_does_not_read,
        http_file_answers_pipelined_requests,
        producers_keep_the_order_of_each_thread,
        udp_stream_sends_each_datagram_in_order,
    ]
    for name in ['loop_epoll', 'loop_libuv', 'loop_glib']:
        def case(name=name):
            loop_echoes(name)
        case.__name__ = name + '_echoes_to_50_clients'
        case.skip = not os.path.exists(os.path.join(FOLDER, name))
        cases.append(case)
    print('1..%d' % len(cases))
    failed = 0
    for number, case in enumerate(cases, 1):
        name = case.__name__.replace('_', ' ')
        if getattr(case, 'skip', False):
            print('ok %d - %s # SKIP its library is missing' % (number, name), flush=True)
            continue
        try:
            case()
            print('ok %d - %s' % (number, name), flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failed = 1
            print('not ok %d - %s\n# %r' % (number, name, error), flush=True)
    sys.exit(failed)


main()
