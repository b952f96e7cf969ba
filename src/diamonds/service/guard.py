"""Who is let in where anything is changed or logged bodies are shown."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping

from pydantic import SecretStr

from diamonds.service.problems import RefusedError

#: By these a proxy says that a request is somebody else's.
PASSED_ON = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via")


def require_admin(headers: Mapping[bytes, bytes], client: tuple[str, int] | None, token: SecretStr | None) -> None:
    """Let a request pass that carries the token; where there is none, one from this machine itself.

    Raises:
        RefusedError: It is neither.
    """
    if token is None:
        if not _is_loopback(client) or any(header in headers for header in PASSED_ON):
            raise RefusedError(403)
        return
    kind, _, given = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() != b"bearer" or not hmac.compare_digest(given.strip(), token.get_secret_value().encode()):
        raise RefusedError(401)


def _is_loopback(client: tuple[str, int] | None) -> bool:
    try:
        address = ipaddress.ip_address(client[0]) if client else None
    except ValueError:
        return False
    if address is None:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # what listens on :: sees 127.0.0.1 as ::ffff:127.0.0.1
    return (mapped or address).is_loopback
