"""The tables of the database, from the classes and comments of `diamonds.store.tables`."""

import ast
import io
import tokenize
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from diamonds.store import tables
from reference.markdown import code, first_paragraph, table

HEAD = """# Tables

What lies in the database, in SQLite and PostgreSQL alike; types are PostgreSQL's. `diamonds migrate` makes the tables.
The accepted rows of each feed lie in a table `data_<feed>` of its own ([streams](../streams.md#the-tables)).
"""


def page() -> str:
    """All tables, in the order of their file."""
    source = Path(tables.__file__).read_text()
    comments = _comments(source)
    places = {each.name: each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)}
    mappers = {mapper.class_.__name__: mapper for mapper in tables.Base.registry.mappers}
    parts = [HEAD]
    for name, place in places.items():
        if name in mappers:
            about = first_paragraph(mappers[name].class_.__doc__)
            stored = tables.Base.metadata.tables[mappers[name].class_.__tablename__]
            parts.append(f"## {stored.name}\n\n{about}\n\n{_columns(stored, _said(place, comments))}")
    return "\n".join(parts)


def _columns(stored: Table, said: dict[str, str]) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    rows = [
        [
            code(column.name),
            column.type.compile(dialect=dialect),
            "key" if column.primary_key else "may be null" if column.nullable else "",
            said.get(column.name) or ", ".join(f"a {code(key.target_fullname)}" for key in column.foreign_keys),
        ]
        for column in stored.columns
    ]
    return table(["column", "type", "", "meaning"], rows)


def _comments(source: str) -> dict[int, str]:
    """The comments by their line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.removeprefix("# ") for token in tokens if token.type == tokenize.COMMENT}


def _said(place: ast.ClassDef, comments: dict[int, str]) -> dict[str, str]:
    """What the comment on a column's line says, or the one above, which is then a line of its own."""
    columns = {
        each.lineno: each.target.id
        for each in place.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }
    return {
        name: comments.get(line) or (comments.get(line - 1, "") if line - 1 not in columns else "")
        for line, name in columns.items()
    }
