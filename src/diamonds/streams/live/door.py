"""Who is let in: without a token those on this machine alone, with one whoever has it; never another site's page."""

from __future__ import annotations

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from diamonds.web.passes import PASSED_ON, has_pass, host_of, is_loopback, is_own_page, pass_of, same

COOKIE = "diamonds_stream"
#: What tells whether the process is up, and what a sign-in page needs.
OPEN_PATHS = ("/livez", "/sign-in", "/static/style.css", "/static/icon.svg")
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
    if not is_loopback(host_of(request.headers)):
        raise Refusal(403, f"this stream is shown on this machine only, as 127.0.0.1 or localhost, not as {host[:100]}")
    if any(name in request.headers for name in PASSED_ON):
        raise Refusal(403, "this stream is not shown through a proxy without a token: set DIAMONDS_ADMIN_TOKEN")


def require_own_page(request: HTTPConnection) -> None:
    """Raise where the page of another site asks; programs, which name no site, may."""
    if not is_own_page(request.headers):
        site = request.headers.get("origin") or request.headers.get("sec-fetch-site", "")
        raise Refusal(403, f"another site's page ({site[:100]}) may not steer this stream")
    if int(request.headers.get("content-length") or 0) > MOST_BYTES:
        raise Refusal(413, f"nothing that this stream is asked takes more than {MOST_BYTES:,} bytes")


def has_token(request: HTTPConnection, token: str) -> bool:
    """Whether a request carries the token, or the cookie that was given for it."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    sent = given.strip().encode("latin-1").decode("utf-8", "replace")  # headers are read as latin-1
    return (kind.lower() == "bearer" and same(sent, token)) or has_pass(request.headers, COOKIE, token)


def signed_in(given: str, token: str) -> Response | None:
    """What leads on from a sign-in, with the cookie; None where the token is another."""
    if not same(given.strip(), token):
        return None
    answer = RedirectResponse("./", 303)
    answer.set_cookie(COOKIE, pass_of(token, COOKIE), httponly=True, samesite="strict")
    return answer
