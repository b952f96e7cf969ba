"""Who asks: this machine or another, a page of ours or another site's, a browser that has signed in or not."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

#: By these a proxy says that a request is somebody else's.
PASSED_ON = ("x-forwarded-for", "forwarded", "x-real-ip", "via")


def is_loopback(host: str) -> bool:
    """Whether a name or an address leads to this machine itself.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("::ffff:127.0.0.1"), is_loopback("192.0.2.1")
    (True, True, True, False)
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)  # what listens on :: sees 127.0.0.1 as ::ffff:127.0.0.1
    return bool((mapped or address).is_loopback)


def host_of(headers: Mapping[str, str]) -> str:
    """The name by which a request calls this service, without its port; empty where it gives none that holds."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a page of ours asks, or a program, which names no site; another site's page may change nothing."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    try:
        is_own = origin is None or urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False
    return is_own and site in {"same-origin", "none"}


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that says nothing of them."""
    return hmac.compare_digest(given.encode(), expected.encode())


def pass_of(token: str, of: str) -> str:
    """What the cookie of a page holds that was signed in to: it opens that page and says nothing of the token."""
    return hmac.new(token.encode(), of.encode(), hashlib.sha256).hexdigest()


def has_pass(headers: Mapping[str, str], cookie: str, token: str) -> bool:
    """Whether a request carries the cookie of this name that was given for the token."""
    try:
        given = SimpleCookie(headers.get("cookie", "")).get(cookie)
    except CookieError:
        return False
    return given is not None and same(given.value, pass_of(token, cookie))
