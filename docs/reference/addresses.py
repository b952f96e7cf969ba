"""The addresses of a web app, from its own table of routes."""

import re
from collections.abc import Iterable

from starlette.routing import BaseRoute, Route

from reference.markdown import code, first_paragraph, table


def addresses(routes: Iterable[BaseRoute]) -> str:
    """Each with its methods, and what the docstring of its endpoint says; mounted folders are left out."""
    rows = [
        [
            code(re.sub(r":\w+}", "}", route.path)),
            ", ".join(sorted((route.methods or set()) - {"HEAD"})),
            first_paragraph(route.endpoint.__doc__),
        ]
        for route in routes
        if isinstance(route, Route)
    ]
    return table(["address", "methods", "is"], rows)
