# SPDX-License-Identifier: MIT
"""Sends bytes to the server and says, in TAP, whether the answers are right."""

import re
import socket
import sys
import time

PORT = int(sys.argv[1])
HOST = b"Host: h\r\n"
count = 0


def connect():
    client = socket.create_connection(("127.0.0.1", PORT), timeout=120)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def read_all(client):
    """Everything until the end of the stream; a reset is told apart."""
    data = b""
    try:
        while True:
            more = client.recv(1 << 20)
            if not more:
                return data, "end"
            data += more
    except ConnectionResetError:
        return data, "reset"
    except TimeoutError:
        return data, "open"


def responses(data, heads=()):
    """Splits a stream into (status, headers, body); heads are those that answer HEAD."""
    found = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        if not separator:
            raise ValueError("half a head: %r" % head)
        lines = head.split(b"\r\n")
        match = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [A-Za-z ]+", lines[0])
        if not match:
            raise ValueError("not a status line: %r" % lines[0])
        status = int(match[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b": ")
            headers[name.lower()] = value
        length = int(headers.get(b"content-length", b"0"))
        if len(found) in heads or status == 304:
            length = 0
        if len(data) < length:
            raise ValueError("half a body")
        found.append((status, headers, data[:length]))
        data = data[length:]
    return found


def case(name, function):
    global count
    count += 1
    try:
        problem = function()
    except Exception as error:  # whatever goes wrong is the case's failure
        problem = "%s: %s" % (type(error).__name__, error)
    print("%s %d - %s" % ("ok" if problem is None else "not ok", count, name))
    if problem is not None:
        print("# " + str(problem).replace("\n", "\n# "))
    sys.stdout.flush()


def exchange(request, pieces=None, finish=True):
    """Sends, ends our side, and reads to the end."""
    client = connect()
    with client:
        for piece in pieces or [request]:
            client.sendall(piece)
            if pieces:
                time.sleep(0.002)
        if finish:
            client.shutdown(socket.SHUT_WR)
        return read_all(client)


def expect(request, statuses, pieces=None, finish=True, heads=()):
    data, end = exchange(request, pieces, finish)
    if end != "end":
        return "%s after %r" % (end, data[:200])
    if b"OUTSIDE" in data:
        return "the contents of another file"
    found = [response[0] for response in responses(data, heads)]
    if found != statuses:
        return "wanted %s, got %s" % (statuses, found)
    return None


def refused(text, status, finish=False):
    """One answer of this status, and the connection ends, though the client leaves it open."""
    case("%d for %s" % (status, shorten(text)),
         lambda: expect(text, [status], finish=finish))


def shorten(text):
    shown = repr(text)[2:-1].replace("#", "\\x23")
    return shown if len(shown) < 80 else shown[:60] + "..." + shown[-15:]


def traversals():
    for path, statuses in [
        (b"/../outside.txt", [403]),
        (b"/../../../../../../etc/passwd", [403]),
        (b"/sub/../../outside.txt", [403]),
        (b"/sub/../hello.txt", [403]),
        (b"/..", [403]),
        (b"/%2e%2e/outside.txt", [403]),
        (b"/%2e%2e%2foutside.txt", [403]),
        (b"/..%2foutside.txt", [403]),
        (b"/.%2e/outside.txt", [403]),
        (b"/%2E%2E/outside.txt", [403]),
        (b"/%252e%252e/outside.txt", [404]),
        (b"/%252e%252e%252foutside.txt", [404]),
        (b"/%25252e%25252e/outside.txt", [404]),
        (b"/..\\outside.txt", [403]),
        (b"/..%5coutside.txt", [403]),
        (b"/%c0%ae%c0%ae/outside.txt", [404]),
        (b"/%e0%80%ae%e0%80%ae/outside.txt", [404]),
        (b"/..;/outside.txt", [403]),
        (b"/..%00/outside.txt", [400]),
        (b"/hello.txt%00", [400]),
        (b"/hello.txt%00.html", [400]),
        (b"/%00", [400]),
        (b"/%2500", [404]),
        (b"/hello.txt%0a", [400]),
        (b"/%", [400]),
        (b"/%f", [400]),
        (b"/%gg", [400]),
        (b"/%u002e%u002e/outside.txt", [400]),
        (b"//etc/passwd", [404]),
        (b"///etc/passwd", [404]),
        (b"/%2fetc/passwd", [404]),
        (b"/%2Fetc%2Fpasswd", [404]),
        (b"/./../outside.txt", [403]),
        (b"/link", [403]),
        (b"/up/outside.txt", [403]),
        (b"/up/" + b"up/" * 20 + b"etc/passwd", [403]),
        (b"/.hidden/secret.txt", [403]),
        (b"/%2ehidden/secret.txt", [403]),
        (b"/sub/.", [200]),
        (b"/hello.txt/.", [404]),
        (b"/hello.txt/..", [403]),
        (b"/proc/self/environ", [404]),
        (b"/~root/", [404]),
        (b"/hello.txt::$DATA", [404]),
        (b"/hello.txt?/../../etc/passwd", [200]),
        (b"/hello.txt", [200]),
        (b"http://h/../outside.txt", [403]),
        (b"http://h/%2e%2e/outside.txt", [403]),
    ]:
        text = b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n"
        case("%d for the path %s" % (statuses[0], shorten(path)),
             lambda: expect(text, statuses))


def malformed():
    line = b"GET /hello.txt HTTP/1.1\r\n"
    for text, status in [
        (b"\r\n\r\nnonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\x00" * 100, 400),
        (b"GET /hello.txt\r\n\r\n", 400),
        (b"GET hello.txt HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET  /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /hello.txt HTTP/1.1 \r\n" + HOST + b"\r\n", 400),
        (b"GET /hello.txt HTTP/1.1 x\r\n" + HOST + b"\r\n", 400),
        (b"GET /hello txt HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /hello.txt HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET /hello.txt HTTP/0.9\r\n" + HOST + b"\r\n", 505),
        (b"GET /hello.txt HTTP/9.9\r\n" + HOST + b"\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"BREW /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        (b"get /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        (line + b"\r\n", 400),
        (line + HOST + HOST + b"\r\n", 400),
        (line + b"Host: a b\r\n\r\n", 400),
        (line + b"Host: a/../b\r\n\r\n", 400),
        (line + HOST + b"nonsense\r\n\r\n", 400),
        (line + HOST + b": x\r\n\r\n", 400),
        (line + HOST + b"A : x\r\n\r\n", 400),
        (line + HOST + b"A b: x\r\n\r\n", 400),
        (line + HOST + b"A: x\r\n y\r\n\r\n", 400),
        (line + HOST + b"A: x\x00y\r\n\r\n", 400),
        (line + HOST + b"A: x\rB: y\r\n\r\n", 400),
        (b"GET /hello.txt HTTP/1.1\n" + HOST + b"\r\n", 400),
        (line + b"Host: h\n\r\n", 400),
        (line + HOST + b"\n", 400),
        (line + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (line + HOST + b"Content-Length: 1, 1\r\n\r\na", 400),
        (line + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (line + HOST + b"Content-Length: 1a\r\n\r\n", 400),
        (line + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (line + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400),
        (line + HOST + b"Transfer-Encoding: identity\r\n\r\n", 400),
        (line + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n", 400),
        (line + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (line + HOST + b"Content-Length: 10001\r\n\r\n", 413),
        (b"GET /" + b"a" * 1100 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /" + b"a" * 5000, 414),
        (b"GET /hello.txt?" + b"a" * 1100 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (line + HOST + b"A: " + b"a" * 5000 + b"\r\n\r\n", 431),
        (line + HOST + b"A: " + b"a" * 5000, 431),
        (line + HOST + b"A: b\r\n" * 1000 + b"\r\n", 431),
        (line + HOST + b"A: " + b"a" * 200000 + b"\r\n\r\n", 431),
        (b"\r\n" * 5000, 431),
    ]:
        refused(text, status)


def smuggling():
    get = b"GET /hello.txt HTTP/1.1\r\n" + HOST
    missing = b"GET /missing HTTP/1.1\r\n" + HOST + b"\r\n"
    case("a body is no request", lambda: expect(
        get + b"Content-Length: %d\r\n\r\n" % len(missing) + missing +
        b"HEAD /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n", [200, 200], heads=(1,)))
    case("a body in pieces is no request", lambda: expect(
        None, [405, 404],
        pieces=[b"POST /hello.txt HTTP/1.1\r\n", HOST + b"Content-Length: %d\r\n\r\n" % len(missing),
                missing[:5], missing[5:], missing]))
    case("nothing behind chunks is a request", lambda: expect(
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + missing,
        [405]))
    case("nothing behind a body that was asked for is a request", lambda: expect(
        get + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n" + missing, [200]))
    case("nothing behind Connection: close is a request", lambda: expect(
        get + b"Connection: close\r\n\r\n" + missing, [200]))
    case("nothing behind a refusal is a request", lambda: expect(
        b"GET /hello.txt HTTP/1.1\r\n\r\n" + missing, [400]))
    case("CONNECT is refused", lambda: expect(
        b"CONNECT h:80 HTTP/1.1\r\n" + HOST + b"\r\n" + missing, [405, 404]))
    case("an upgrade is not taken", lambda: expect(
        get + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + missing, [200, 404]))
    case("OPTIONS of all", lambda: expect(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", [405]))


def pipelines():
    get = b"GET /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n"
    large = b"GET /large.bin HTTP/1.1\r\n" + HOST + b"\r\n"
    missing = b"GET /missing HTTP/1.1\r\n" + HOST + b"\r\n"
    head = b"HEAD /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n"
    bad = b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n"
    case("pipelined requests are answered in order", lambda: expect(
        get + missing + head + large + get, [200, 404, 200, 200, 200], heads=(2,)))
    case("answers without a body do not end the connection", lambda: expect(
        get[:-2] + b"If-None-Match: *\r\n\r\n" + get[:-2] + b"If-Match: \"x\"\r\n\r\n" +
        get[:-2] + b"Range: bytes=9-\r\n\r\n" + b"GET /sub HTTP/1.1\r\n" + HOST + b"\r\n" + get,
        [304, 412, 416, 301, 200]))
    case("HTTP/1.0 stays for the next when it asks to", lambda: expect(
        b"GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2 +
        b"GET /hello.txt HTTP/1.0\r\n\r\n" + get, [200, 200, 200]))
    case("a thousand pipelined requests are answered", lambda: expect(
        (get + missing) * 500, [200, 404] * 500))
    case("what comes before a refusal is answered", lambda: expect(
        get + large + bad + get, [200, 200, 501]))
    case("requests cut anywhere are answered", lambda: expect(
        None, [200, 404, 200], pieces=[(get + missing + get)[i:i + 1]
                                       for i in range(len(get + missing + get))]))
    case("empty lines before a request are forgiven", lambda: expect(
        b"\r\n" + get + b"\r\n" + get, [200, 200]))
    case("half a request gets no answer", lambda: expect(get[:-1], []))
    case("no request gets no answer", lambda: expect(b"", []))
    case("many new files asked for at once are answered in order", lambda: expect(
        b"".join(b"GET /missing%d HTTP/1.1\r\n" % i + HOST + b"\r\n" + get for i in range(100)),
        [404, 200] * 100))


def versions():
    file = b"GET /hello.txt HTTP/1."
    case("HTTP/1.2 and later are HTTP/1.1", lambda: expect(
        file + b"2\r\n" + HOST + b"\r\n" + file + b"7\r\n" + HOST + b"\r\n" +
        b"GET /missing HTTP/1.9\r\n" + HOST + b"\r\n", [200, 200, 404]))
    case("HTTP/1.2 cut anywhere", lambda: expect(
        None, [200], pieces=[(file + b"2\r\n" + HOST + b"\r\n")[i:i + 1]
                             for i in range(len(file + b"2\r\n" + HOST + b"\r\n"))]))
    case("a host with any character of a registered name", lambda: expect(
        file + b"1\r\nHost: a!$&'()*+,;=b~c_d\r\n\r\n", [200]))
    case("the lines of If-None-Match are one list", lambda: expect(
        file + b"1\r\n" + HOST + b"If-None-Match: *\r\nA: b\r\nIf-None-Match: \"x\"\r\n\r\n",
        [304]))
    case("the lines of If-Match are one list", lambda: expect(
        file + b"1\r\n" + HOST + b"If-Match: *\r\nA: b\r\nIf-Match: \"x\"\r\n\r\n", [200]))


def flood():
    """Requests without end from a client that reads nothing: the server keeps little of them."""
    with connect() as client:
        client.settimeout(1)
        sent = 0
        request = (b"GET /large.bin HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 900 + b"\r\n\r\n") * 50
        try:
            while sent < 64 << 20:
                sent += client.send(request)
        except TimeoutError:
            return None
        return "it took %d bytes" % sent


def aborts():
    """Connections that go away in the middle of everything."""
    for i in range(200):
        client = connect()
        client.sendall([b"GET /large.bin HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /hel",
                        b"GET /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n", b""][i % 4])
        if i % 8 < 4:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    return expect(b"GET /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n", [200])


def large_upload():
    """A client that sends all of a refused body before it reads gets its answer."""
    with connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n")
        try:
            client.sendall(b"a" * 1000000)
        except ConnectionError as error:
            return "it could not be sent: %s" % error
        client.shutdown(socket.SHUT_WR)
        data, end = read_all(client)
        found = [response[0] for response in responses(data)]
        return None if (found, end) == ([413], "end") else "got %s, then %s" % (found, end)


traversals()
malformed()
smuggling()
pipelines()
versions()
case("a client that reads nothing cannot fill the server", flood)
case("connections that go away harm nobody", aborts)
case("a refused upload is answered", large_upload)
print("# done")
