"""The routes of the service, from its own OpenAPI document, and its pages, from its own table of routes."""

import json
from collections.abc import Mapping
from typing import Any

from diamonds.service import openapi
from diamonds.service.api import Diamonds, serving
from diamonds.service.doors import DOORS
from diamonds.service.pages import Pages
from reference import stream_page
from reference.addresses import addresses
from reference.markdown import block, code, first_paragraph, table
from reference.models import kind, meaning

#: Longer examples are broken into lines.
LINE = 75
HEAD = """# Routes

What `/docs.json` of the service says, written out. [The API](../api.md) explains it.
"""
PAGES = """## Pages

What is served beside the above, for people and their browsers.
"""


def page() -> str:
    """All routes, and then all objects that they take and give."""
    described = openapi.document(Diamonds.apis.values(), DOORS)  # type: ignore[attr-defined]  # a Service by now
    components = described["components"]
    routes = [
        _route(method, path, operation, components["responses"])
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    ]
    objects = [_object(name, schema) for name, schema in sorted(components["schemas"].items())]
    pages = [PAGES, _pages(set(described["paths"])), stream_page.section()]
    return "\n".join([HEAD, *routes, *pages, "## Objects\n", *objects])


def _route(method: str, path: str, operation: Mapping[str, Any], responses: Mapping[str, Any]) -> str:
    parts = [f"## {method.upper()} {path}\n", f"{operation['summary']}.\n", f"{operation['description']}\n"]
    if "parameters" in operation:
        rows = [
            [code(each["name"]), kind(each["schema"], _link), each["description"]] for each in operation["parameters"]
        ]
        parts.append(table(["parameter", "type", "meaning"], rows))
    if "requestBody" in operation:
        parts.append(_asked(operation["requestBody"]["content"]["application/json"]))
    parts.append(_answered(operation["responses"]["200"]["content"]))
    rows = [
        [status, _meaning(answer, responses)] for status, answer in operation["responses"].items() if status != "200"
    ]
    return "\n".join([*parts, table(["status", "meaning"], rows) if rows else ""])


def _asked(body: Mapping[str, Any]) -> str:
    examples = [block(_json(each["value"]), "json") for each in body.get("examples", {}).values()]
    return "\n".join([f"Takes {kind(body['schema'], _link)}.\n", *examples[:1]])


def _answered(content: Mapping[str, Any]) -> str:
    if "application/json" not in content:
        return "Answers text.\n"
    answer = content["application/json"]
    example = block(_json(answer["example"]), "json") if "example" in answer else ""
    return f"Answers {kind(answer['schema'], _link)}.\n\n{example}"


def _meaning(answer: Mapping[str, Any], responses: Mapping[str, Any]) -> str:
    if "$ref" in answer:
        answer = responses[answer["$ref"].rpartition("/")[2]]
    return str(answer["description"])


def _object(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [
        [code(field), kind(about, _link), "yes" if field in required else "", meaning(about)]
        for field, about in schema.get("properties", {}).items()
    ]
    said = f"### {name}\n\n{first_paragraph(schema.get('description'))}\n\n"
    return said + (table(["field", "type", "always", "meaning"], rows) if rows else f"Is {kind(schema, _link)}.\n")


def _pages(known: set[str]) -> str:
    return addresses(route for route in Pages(serving, dict).app().routes if getattr(route, "path", "") not in known)


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _json(value: Any, depth: int = 0) -> str:  # noqa: ANN401 - any JSON
    """In one line, or where that is long, a line for each of what is in it."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) + depth <= LINE or not isinstance(value, dict | list):
        return text
    inner = (
        [f"{json.dumps(name)}: {_json(each, depth + 2)}" for name, each in value.items()]
        if isinstance(value, dict)
        else [_json(each, depth + 2) for each in value]
    )
    between = "\n" + " " * depth
    return text[0] + ",".join(f"{between}  {each}" for each in inner) + between + text[-1]
