"""The dress that all pages share, whichever process serves them: one stylesheet, one header, one set of promises."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader

HERE = Path(__file__).parent
#: Where `StaticFiles` finds what the pages share.
ASSETS = ("diamonds.web", "static")


def environment(folder: Path) -> Environment:
    """What renders the templates of a folder, which may extend `base.html`."""
    folders = FileSystemLoader([folder, HERE / "templates"])
    return Environment(loader=folders, autoescape=True, trim_blocks=True)


def headers(*, styles: str = "'self'", forms: str = "'none'") -> dict[str, str]:
    """What goes with each page: it loads nothing from elsewhere and runs no script but ours.

    Args:
        styles: Where styles may come from, as a content security policy says it.
        forms: Where forms may be sent.
    """
    policy = {
        "default-src": "'none'", "script-src": "'self'", "style-src": styles, "img-src": "'self' data:",
        "connect-src": "'self'", "base-uri": "'none'", "form-action": forms, "frame-ancestors": "'none'",
    }  # fmt: skip
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
