"""Bind a port, say where the page is, and serve it until interrupted."""

import logging
import resource
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flask import Flask
from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

from sparx_nas.ground.errors import DeviceError, SparxError
from sparx_nas.viewer.server.app import make_app
from sparx_nas.viewer.server.catalogue import Catalogue, catalogue_of
from sparx_nas.viewer.server.guard import Guard, guard_for

PORT, TRIES, THREADS = 8050, 20, 8
CONNECTIONS = 1_000
"""Most connections at once, where the process may have as many files open."""
IDLE_S = 30
"""How long a connection may wait for its next whole request; the page asks every ten seconds."""
MOST_BYTES, MOST_HEADER = 1_000_000, 100_000
"""Largest request, and head of one, that is read at all."""
PATIENCE_S = 2.0
"""How long the first reading of a run may take before the page is served without it."""


class Connection(HTTPChannel):  # type: ignore[misc]
    """A connection whose patience starts anew with whole requests only, not with single bytes."""

    last_activity: float

    def handle_read(self) -> None:
        """Take what came, and forget when it came if it is part of a request."""
        before = self.last_activity
        super().handle_read()
        if self.request is not None:
            self.last_activity = before


def serve(
    target: Path | None,
    space: str,
    *,
    host: str,
    port: int | None,
    read_only: bool,
    verbose: bool,
) -> None:
    """Serve a run, a folder of runs or a space; returns when interrupted.

    Raises: SparxError for what cannot be opened, DeviceError for a port that cannot be had.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(message)s")
    catalogue = catalogue_of(target, space)
    listener = bound(host, port)
    number = listener.getsockname()[1]
    guard = guard_for(host, number)
    app = make_app(catalogue, guard, read_only=read_only)
    _read_first(catalogue)
    server = server_of(app, listener)
    _say(f"Explorer {address(host, guard)}")
    if guard.token:
        _say("Reachable from other machines: whoever has this address can use it.")
    if read_only:
        _say("Read only: nobody can send designs to a search.")
    _say("Ctrl-C ends it.")
    try:
        server.run()
    finally:
        server.close()


def server_of(
    app: Flask,
    listener: socket.socket,
    *,
    idle_s: int = IDLE_S,
    sockets: dict[int, object] | None = None,
) -> TcpWSGIServer:
    """Return a server that idle and slow connections neither fill nor hold a thread of.

    `sockets` is where it keeps its connections. Where there are too many, new ones wait until old
    ones have been idle for `idle_s`.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = create_server(
        app,
        map=sockets,
        sockets=[listener],
        threads=THREADS,
        ident=None,
        connection_limit=min(CONNECTIONS, 3 * files // 4),
        channel_timeout=idle_s,
        cleanup_interval=max(1, idle_s // 6),
        # select() knows no file beyond the 1024th.
        asyncore_use_poll=True,
        max_request_body_size=MOST_BYTES,
        max_request_header_size=MOST_HEADER,
    )
    server.channel_class = Connection
    return server


def bound(host: str, port: int | None) -> socket.socket:
    """Bind a port: the one asked for, or the first free one from the default on.

    Raises: DeviceError if it is taken, or the host is none of this machine.
    """
    wanted = range(PORT, PORT + TRIES) if port is None else (port,)
    reason = ""
    for number in wanted:
        try:
            family, *_, place = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        except (OSError, UnicodeError) as cause:
            reason = getattr(cause, "strerror", None) or str(cause)
            break
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
        except OSError as cause:
            listener.close()
            reason = cause.strerror or str(cause)
        else:
            return listener
    ports = str(port) if port is not None else f"{PORT} to {PORT + TRIES - 1}"
    raise DeviceError(
        f"cannot serve at {host}, port {ports}: {reason}",
        hint="--port names another, 0 any free one",
    )


def address(host: str, guard: Guard) -> str:
    """Return the address to open."""
    shown = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    name = f"[{shown}]" if ":" in shown else shown
    query = f"?token={guard.token}" if guard.token else ""
    return f"http://{name}:{guard.port}/{query}"


def _read_first(catalogue: Catalogue) -> None:
    """Read the newest run before a page asks for it; of several, each page tells what is wrong."""
    names = catalogue.names()
    source = catalogue.open(names[0])
    if source.ready():
        return
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        found = pool.submit(source.snapshot).result(timeout=PATIENCE_S)
        _say(f"{len(found.run.trials):,} trials, {len(found.run.front)} on the front")
    except TimeoutError:
        _say(f"Reading {source.path}; the page fills when that is done.")
    except SparxError:
        if len(names) == 1:
            raise
    finally:
        pool.shutdown(wait=False)


def _say(line: str) -> None:
    """Print a line at once, whatever the output is."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
