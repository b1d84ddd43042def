"""The page answers whoever else is connected, and lets go of who says nothing."""

import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection

import pytest

from sparx_nas.viewer.server.app import make_app
from sparx_nas.viewer.server.catalogue import catalogue_of
from sparx_nas.viewer.server.guard import Guard
from sparx_nas.viewer.server.serving import CONNECTIONS, THREADS, bound, server_of
from support.browser import closed
from support.patience import PATIENCE_S


@contextmanager
def serving(**more):
    """Serve a space from a thread; yield its port."""
    listener = bound("127.0.0.1", 0)
    port = listener.getsockname()[1]
    app = make_app(catalogue_of(None, "mamba_micro"), Guard(port=port), read_only=True)
    server = server_of(app, listener, sockets=(sockets := {}), **more)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        closed(server, sockets, thread)


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def status(port, path="/api/v1/runs"):
    asked = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    asked.request("GET", path)
    found = asked.getresponse()
    found.read()
    asked.close()
    return found.status


@pytest.mark.parametrize("said", [b"", b"GET /api/v1/runs HTTP/1.1\r\nHost: local"])
def test_the_page_answers_while_300_connections_say_nothing_whole(said):
    before = threading.active_count()
    with serving() as port, ExitStack() as open_ones:
        for _ in range(300):
            one = open_ones.enter_context(connected(port))
            one.sendall(said)
        for path in ("/", "/page/main.js", "/api/v1/runs"):
            assert status(port, path) == 200
        assert threading.active_count() <= before + THREADS + 2
    assert CONNECTIONS > 300


def test_a_connection_that_says_nothing_is_closed():
    with serving(idle_s=1) as port, connected(port) as one:
        assert one.recv(1) == b""
        assert status(port) == 200


def test_one_byte_now_and_then_keeps_no_connection():
    with serving(idle_s=1) as port, connected(port) as one:
        one.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        one.settimeout(0.1)
        end = time.monotonic() + PATIENCE_S
        ended = False
        while not ended:
            assert time.monotonic() < end, "it was never closed"
            try:
                one.sendall(b"x")
                ended = one.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert status(port) == 200
