"""A cluster that is asked for by its address: is anybody there, and does it know us."""

import socket
import threading

import pytest

from sparx_nas.ground.errors import DeviceError
from sparx_nas.search.running import joining
from sparx_nas.search.running.joining import ANSWER_S, MODE, TOKEN, TOKEN_PATH

TOKENS = (MODE, TOKEN, TOKEN_PATH)


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """A user without a token."""
    for name in (*TOKENS, "RAY_USE_TLS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def listening():
    """A server that answers every greeting in a way of its own."""
    servers = []

    def start(answer: bytes) -> str:
        server = socket.create_server(("", 0))
        servers.append(server)

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                line.recv(100)
                if answer:
                    line.sendall(answer)
                    line.close()
                else:
                    servers.append(line)

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield start
    for server in servers:
        server.close()


def test_a_dead_address_is_told_at_once_with_the_hint():
    with socket.create_server(("", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(DeviceError, match="cannot join the Ray cluster at 127") as caught:
        joining.reach(address)
    assert "RAY_ADDRESS" in caught.value.hint
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x"])
def test_another_server_is_no_cluster(listening, answer):
    with pytest.raises(DeviceError, match="what listens there is no Ray"):
        joining.reach(listening(answer))


def test_a_server_that_says_nothing_is_not_waited_for(listening, monkeypatch):
    monkeypatch.setattr(joining, "ANSWER_S", 0.2)
    with pytest.raises(DeviceError, match="no answer"):
        joining.reach(listening(b""))
    assert ANSWER_S <= 5


def test_a_server_of_http2_may_be_one(listening):
    settings = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
    for prefix in ("", "ray://"):
        joining.reach(prefix + listening(settings))


@pytest.mark.parametrize("address", ["nonsense", "host:port", "127.0.0.1:"])
def test_what_is_no_address_is_told(address):
    with pytest.raises(DeviceError, match="no address"):
        joining.reach(address)


def test_a_token_is_found_where_ray_looks(tmp_path, monkeypatch):
    assert joining.token() == ""
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text("of the file\n")
    assert joining.token() == "of the file"
    (tmp_path / "mine").write_text("of the path")
    monkeypatch.setenv(TOKEN_PATH, str(tmp_path / "mine"))
    assert joining.token() == "of the path"
    monkeypatch.setenv(TOKEN, "of the environment")
    assert joining.token() == "of the environment"


def unknown() -> ConnectionError:
    """Return what Ray raises where a cluster does not take a token."""
    error = ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")
    error.__cause__ = RuntimeError("Last error: InvalidAuthToken: missing or incorrect.")
    return error


def test_a_cluster_that_asks_for_a_token_says_so(monkeypatch):
    def told() -> str:
        found = joining.refused("10.0.0.1:6379", unknown())
        assert found is not None
        assert TOKEN in found.hint or MODE in found.hint
        return str(found)

    assert "asks for its token" in told()
    assert "have none" in told()
    monkeypatch.setenv(TOKEN, "another")
    assert f"the one from {TOKEN} is another" in told()
    monkeypatch.setenv(MODE, "disabled")
    assert f"{MODE}=disabled keeps it from being shown" in told()
    assert joining.refused("10.0.0.1:6379", ConnectionError("no route")) is None


def test_a_home_that_cannot_be_written_needs_no_token_file(monkeypatch, tmp_path):
    import os

    joining.make_token()
    assert TOKEN not in os.environ
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv(TOKEN, "")
    joining.make_token()
    assert len(os.environ[TOKEN]) == 64
