"""Signing in: the admin token once, for a cookie that a browser shows from then on."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from diamonds.service.guard import COOKIE
from diamonds.service.problems import RefusedError
from diamonds.web import passes

#: Far more than a form takes, in bytes.
MOST_BYTES = 16 * 1024
#: Where who has signed in may be led.
PLACES = ("traffic", "models")


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, each once.

    Raises:
        RefusedError: It is longer than any form here.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise RefusedError(413, title="That is longer than this form takes")
    return {name: given[0] for name, given in parse_qs(body.decode(errors="replace")).items()}


def signed_in(form: dict[str, str], token: str) -> Response | None:
    """What leads on from a sign-in, with the cookie; None where the token is another."""
    if not passes.same(form.get("token", "").strip(), token):
        return None
    to = form.get("to", "")
    answer = RedirectResponse(f"/{to}" if to.split("/")[0] in PLACES else "/traffic", 303)
    answer.set_cookie(COOKIE, passes.pass_of(token, COOKIE), httponly=True, samesite="strict")
    return answer
