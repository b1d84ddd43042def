"""Who may ask: this machine, or who has the token; from our own page only."""

import hmac
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlencode

from flask import Flask, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

LOOPBACK = ("localhost", "127.0.0.1", "::1")
CSRF_HEADER = "X-SparX-CSRF"
YEAR_S = 31_536_000
ANYTHING = "/<path:path>"
"""Where Dash would answer any address with the page."""


@dataclass(frozen=True)
class Guard:
    """The rules of one server; without a `token` it answers to loopback names alone.

    `host` is the address it is bound to.
    """

    port: int
    token: str = ""
    host: str = LOOPBACK[0]
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token; cookies do not tell ports apart."""
        return f"sparx_nas_{self.port}"


def guard_for(host: str, port: int) -> Guard:
    """Return the rules for a host to bind: whatever is not loopback needs a token."""
    return Guard(port, "" if is_loopback(host) else secrets.token_urlsafe(24), host)


def is_loopback(host: str) -> bool:
    """Tell whether a host to bind is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def protect(server: Flask, guard: Guard, scripts: str) -> None:
    """Check every request, and say in every answer what the page may do.

    `scripts` are the hashes of the inline scripts that Dash's page has.
    """
    policy = (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )

    @server.before_request
    def check() -> AnyResponse | None:
        return _check(guard)

    @server.after_request
    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response


def _check(guard: Guard) -> AnyResponse | None:
    """Refuse what does not come from our page, or without the token.

    A name that leads to this machine without being loopback is a page elsewhere that had its name
    resolved anew (DNS rebinding).
    """
    if guard.token:
        given = request.args.get("token", "")
        if given and hmac.compare_digest(given.encode(), guard.token.encode()):
            return _let_in(guard)
        held = request.cookies.get(guard.cookie) or _bearer()
        if not hmac.compare_digest(held.encode(), guard.token.encode()):
            abort(401, "open the address that was printed, with its token")
    elif _host_name(request.host) not in (*LOOPBACK, guard.host):
        abort(403, f"this server does not answer to the name {request.host!r}")
    if request.url_rule is not None and request.url_rule.rule == ANYTHING:
        abort(404)
    if request.method not in ("GET", "HEAD"):
        if not request.path.startswith("/api/"):
            abort(405)
        origin = request.headers.get("Origin")
        if origin is not None and origin != request.host_url.rstrip("/"):
            abort(403, "a request from another page")
        sent = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(sent.encode(), guard.csrf.encode()):
            abort(403, "this page is older than the server; load it again")
    return None


def _let_in(guard: Guard) -> AnyResponse:
    """Take the token out of the address and into a cookie."""
    kept = [(key, value) for key, value in request.args.items(multi=True) if key != "token"]
    rest = urlencode(kept)
    # One slash: two would lead to another host.
    path = "/" + request.path.lstrip("/")
    answer = redirect(path + (f"?{rest}" if rest else ""))
    answer.set_cookie(guard.cookie, guard.token, httponly=True, samesite="Lax", max_age=YEAR_S)
    return answer


def _bearer() -> str:
    """Return the token of an Authorization header."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return value if kind.lower() in ("token", "bearer") else ""


def _host_name(host: str) -> str:
    """Return a Host header without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
