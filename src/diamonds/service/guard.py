"""Who is let in where anything is changed or logged bodies are shown."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr
from starlette.requests import Request

from diamonds.service.problems import RefusedError
from diamonds.web import passes

#: What a browser has that was signed in to.
COOKIE = "diamonds_admin"


def require_admin(headers: Mapping[bytes, bytes], client: tuple[str, int] | None, token: SecretStr | None) -> None:
    """Let a request pass that carries the token; where there is none, one from this machine itself.

    Raises:
        RefusedError: It is neither.
    """
    texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
    if token is None:
        _require_this_machine(texts, client)
        return
    kind, _, given = headers.get(b"authorization", b"").partition(b" ")
    known = token.get_secret_value()
    if kind.lower() != b"bearer" or not passes.same(given.strip().decode("utf-8", "replace"), known):
        raise RefusedError(401)


def require_person(request: Request, token: SecretStr | None) -> None:
    """Let a person's browser pass that has signed in, or whoever `require_admin` does; never another site's page.

    Raises:
        RefusedError: It may not; 401 where signing in helps.
    """
    if request.method not in {"GET", "HEAD"}:
        require_own_page(request)
    if not has_signed_in(request, token):
        require_admin(dict(request.scope["headers"]), request.scope.get("client"), token)


def has_signed_in(request: Request, token: SecretStr | None) -> bool:
    """Whether a browser shows the cookie that it was given for the token."""
    return token is not None and passes.has_pass(request.headers, COOKIE, token.get_secret_value())


def require_own_page(request: Request) -> None:
    """Let a page of this service pass, or a program, which names no site.

    Raises:
        RefusedError: It is another site's page.
    """
    if not passes.is_own_page(request.headers):
        raise RefusedError(403, title="Another site's page may not do this")


def _require_this_machine(headers: Mapping[str, str], client: tuple[str, int] | None) -> None:
    """Also by its name: a page of elsewhere may have a name of its own that leads here."""
    is_here = client is not None and passes.is_loopback(client[0])
    is_named = "host" not in headers or passes.is_loopback(passes.host_of(headers))
    if not is_here or not is_named or any(name in headers for name in passes.PASSED_ON):
        raise RefusedError(403)
