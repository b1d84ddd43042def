"""A Ray cluster that is there already: whether somebody listens, and the token that it asks for."""

import logging
import os
import secrets
import socket
from pathlib import Path
from typing import Any

from ray._private import services

from sparx_nas.ground.errors import DeviceError

ANSWER_S = 5.0
"""How long a machine may take to accept a connection."""
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
REFUSED = "InvalidAuthToken"
"""What Ray calls a token that is missing or another one, somewhere in the causes of its error."""
HINT = "check --address and RAY_ADDRESS; without an address this machine is used"


def reach(address: str) -> None:
    """Make sure that a cluster may be at an address; Ray itself goes on asking for minutes.

    Raises: DeviceError if not.
    """
    place = _place(address)
    if place is None:
        return
    host, port = place
    try:
        with socket.create_connection((host, port), timeout=ANSWER_S) as line:
            if os.environ.get("RAY_USE_TLS", "0") != "0" or _speaks_grpc(line):
                return
        reason = "what listens there is no Ray"
    except OSError as cause:
        reason = "no answer" if isinstance(cause, TimeoutError) else cause.strerror or str(cause)
    at = f"{host}:{port}"
    asked = address if address == at else f"{address} ({at})"
    raise DeviceError(f"cannot join the Ray cluster at {asked}: {reason}", hint=HINT)


def take_token() -> None:
    """Show a cluster the token that is at hand, as Ray does where it finds the cluster itself.

    A cluster that asks for none passes over it.
    """
    if os.environ.get(MODE) is None and token():
        setup = _ray_tokens()
        if setup is not None:
            # It warns of what is wanted here.
            setup.logger.setLevel(logging.ERROR)
            setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def make_token() -> None:
    """Have a token for a cluster of our own where Ray could not keep one: it is then not kept."""
    if os.environ.get(MODE, "token") != "token" or token():
        return
    folder = token_file().parent
    if not os.access(folder if folder.is_dir() else folder.parent, os.W_OK):
        os.environ[TOKEN] = secrets.token_hex(32)


def token() -> str:
    """Return the token that is at hand, from the environment or Ray's file; "" for none."""
    return os.environ.get(TOKEN) or _read(token_file())


def token_file() -> Path:
    """Return where Ray keeps its token."""
    asked = os.environ.get(TOKEN_PATH)
    return Path(asked) if asked else Path.home() / ".ray" / "auth_token"


def refused(address: str, error: BaseException) -> DeviceError | None:
    """Say that a cluster did not take our token, if that is why it could not be joined."""
    cause: BaseException | None = error
    while cause is not None and REFUSED not in str(cause):
        cause = cause.__cause__
    if cause is None:
        return None
    fix = f"{TOKEN}=… gives it, or {TOKEN_PATH}=FILE; where the cluster runs, `ray get-auth-token`"
    where = f"{TOKEN}, {TOKEN_PATH} and {token_file()} have none"
    if token():
        where = f"the one from {TOKEN if os.environ.get(TOKEN) else token_file()} is another"
        if os.environ.get(MODE, "token") != "token":
            where = f"{MODE}={os.environ[MODE]} keeps it from being shown"
            fix = f"leave {MODE} out, or set it to token"
    return DeviceError(f"the Ray cluster at {address} asks for its token: {where}", hint=fix)


def _speaks_grpc(line: socket.socket) -> bool:
    """Greet as HTTP/2 does; who speaks it answers with its settings, a frame of kind 4.

    Source: RFC 9113, sections 3.4 and 6.5.
    """
    line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
    head = b""
    while len(head) < 4 and (more := line.recv(9 - len(head))):
        head += more
    return head[3:4] == b"\x04"


def _ray_tokens() -> Any:
    """Return Ray's own handling of tokens; versions that ask for none by default lack it."""
    try:
        from ray._private.authentication import authentication_token_setup
    except ImportError:
        return None
    return authentication_token_setup


def _place(address: str) -> tuple[str, int] | None:
    """Return host and port of an address; None where Ray has to find, or starts, the cluster.

    Raises: DeviceError if it is no address.
    """
    try:
        known = services.canonicalize_bootstrap_address(address.removeprefix("ray://"))
        if known is None:
            return None
        host, _, port = known.rpartition(":")
        return host.strip("[]"), int(port)
    except (OSError, ValueError) as cause:
        said = f"{address} is no address of a Ray cluster: {cause}"
        raise DeviceError(said, hint="HOST:PORT, as `ray start --head` prints it") from cause


def _read(path: Path) -> str:
    """Return a file's text, or nothing if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
