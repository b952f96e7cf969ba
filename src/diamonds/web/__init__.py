"""The dress that all pages share, whichever process serves them: one stylesheet, one header, one set of promises."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader

HERE = Path(__file__).parent
#: Where `StaticFiles` finds what the pages share.
ASSETS = ("diamonds.web", "static")
#: What Plotly asks of the content security policy: style sheets as elements; no element has a style as its attribute.
PLOTLYS = {"style_src_elem": "'self' 'unsafe-inline'", "style_src_attr": "'none'"}


def environment(folder: Path) -> Environment:
    """What renders the templates of a folder, which may extend `base.html`."""
    folders = FileSystemLoader([folder, HERE / "templates"])
    return Environment(loader=folders, autoescape=True, trim_blocks=True)


def headers(**changes: str) -> dict[str, str]:
    """What goes with each page: it loads nothing from elsewhere and runs no script but ours.

    Args:
        changes: What the content security policy says otherwise, by directive: `form_action="'self'"`.
    """
    policy = {
        "default_src": "'none'", "script_src": "'self'", "style_src": "'self'", "img_src": "'self' data:",
        "connect_src": "'self'", "base_uri": "'none'", "form_action": "'none'", "frame_ancestors": "'none'",
    } | changes  # fmt: skip
    return {
        "Content-Security-Policy": "; ".join(f"{name.replace('_', '-')} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",  # with none at all, a form of ours would not say that it is ours
    }
