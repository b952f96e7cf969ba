"""Who is let in: without a token those on this machine alone, with one whoever has it; never another site's page."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from http.cookies import SimpleCookie
from urllib.parse import SplitResult, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "diamonds_stream"
#: What tells whether the process is up, and what a sign-in page needs.
OPEN_PATHS = ("/livez", "/sign-in", "/static/style.css", "/static/icon.svg")
#: By these a proxy says that a request is somebody else's.
PASSED_ON = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
#: Far more than any question takes.
MOST_BYTES = 64 * 1024


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A request that is answered with a status and plain words, and nothing else."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def refuse(request: Request, refusal: Exception) -> Response:
    """The answer that says so; a person who has to sign in is led there."""
    status = refusal.status if isinstance(refusal, Refusal) else 500
    if status == 401 and "text/html" in request.headers.get("accept", ""):  # noqa: PLR2004 - Unauthorized
        return RedirectResponse("sign-in", 303)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}  # noqa: PLR2004
    words = str(refusal).encode(errors="replace").decode()  # half of a surrogate pair can be sent, and not written
    return JSONResponse({"title": words, "status": status}, status, {"Cache-Control": "no-store"} | headers)


class Door:
    """What every request passes."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        """Guard an app; without a token only to names of this machine, so that no other leads here."""
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            self._look_at(request)
        except Refusal as refusal:
            await refuse(request, refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _look_at(self, request: Request) -> None:
        if self._token is None:
            require_this_machine(request)
        elif request.url.path not in OPEN_PATHS and not has_token(request, self._token):
            raise Refusal(401, "this stream is shown to those who sign in with its token (DIAMONDS_ADMIN_TOKEN)")
        if request.method not in {"GET", "HEAD"}:
            require_own_page(request)


def require_this_machine(request: HTTPConnection) -> None:
    """Raise where a request is not this machine's own, or calls it by a name that may be another's."""
    host = request.headers.get("host", "")
    if not is_loopback(_parts(f"//{host}").hostname or ""):
        raise Refusal(403, f"this stream is shown on this machine only, as 127.0.0.1 or localhost, not as {host[:100]}")
    if any(name in request.headers for name in PASSED_ON):
        raise Refusal(403, "this stream is not shown through a proxy without a token: set DIAMONDS_ADMIN_TOKEN")


def require_own_page(request: HTTPConnection) -> None:
    """Raise where the page of another site asks; programs, which name no site, may."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    is_own = origin is None or _parts(origin).netloc == request.headers.get("host")
    if not is_own or site not in {"same-origin", "none"}:
        raise Refusal(403, f"another site's page ({(origin or site)[:100]}) may not steer this stream")
    if int(request.headers.get("content-length") or 0) > MOST_BYTES:
        raise Refusal(413, f"nothing that this stream is asked takes more than {MOST_BYTES:,} bytes")


def _parts(address: str) -> SplitResult:
    """The parts of an address; none where it is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def is_loopback(host: str) -> bool:
    """Whether a name or an address leads to this machine itself.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("192.0.2.1")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def has_token(request: HTTPConnection, token: str) -> bool:
    """Whether a request carries the token, or the cookie that was given for it."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    sent = given.strip().encode("latin-1")  # as headers are read; whoever sent it may have meant UTF-8
    if kind.lower() == "bearer" and hmac.compare_digest(sent, token.encode()):
        return True
    cookie = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
    return cookie is not None and _same(cookie.value, pass_of(token))


def pass_of(token: str) -> str:
    """What the cookie holds: it opens this page and says nothing of the token."""
    return hmac.new(token.encode(), b"the page of a stream", hashlib.sha256).hexdigest()


def signed_in(given: str, token: str) -> Response | None:
    """What leads on from a sign-in, with the cookie; None where the token is another."""
    if not _same(given.strip(), token):
        return None
    answer = RedirectResponse("./", 303)
    answer.set_cookie(COOKIE, pass_of(token), httponly=True, samesite="strict")
    return answer


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
