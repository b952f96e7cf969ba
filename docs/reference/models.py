"""Tables of what pydantic models hold, from their types and docstrings."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from reference.markdown import code, table

LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minItems": "{} or more",
    "maxItems": "at most {} of them",
    "minLength": "{} characters or more",
    "maxLength": "at most {} characters",
    "pattern": "like `{}`",
}
Link = Callable[[str], str]


def attributes(documented: type) -> dict[str, str]:
    """What the section `Attributes` of a class's docstring says of each."""
    _, _, section = (inspect.getdoc(documented) or "").partition("Attributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(said.split()) for name, said in found}


def fields(model: type[BaseModel], here: Mapping[str, Any] | None = None) -> str:
    """A table of a model's fields: the type, the default, what `here` sets, and the meaning."""
    about = attributes(model)
    properties = model.model_json_schema(by_alias=True)
    rows = []
    for name, field in model.model_fields.items():
        called = field.alias or name
        schema = properties["properties"][called]
        default = "required" if field.is_required() else code(_plain(schema.get("default")))
        own = [code(_plain(here.get(called)))] if here is not None else []
        rows.append([code(called), kind(schema, code), default, *own, about.get(name) or meaning(schema)])
    return table(["name", "type", "default", *(["set to"] if here is not None else []), "meaning"], rows)


def meaning(schema: Mapping[str, Any]) -> str:
    """What a JSON schema says of itself, or what one of those says of which it is one."""
    said = (each.get("description", "") for each in [schema, *schema.get("anyOf", [])])
    return str(next(filter(None, said), ""))


def kind(schema: Mapping[str, Any], link: Link) -> str:
    """The type that a JSON schema describes, with its limits, in words."""
    limits = [words.format(schema[limit]) for limit, words in LIMITS.items() if limit in schema]
    return ", ".join([_type(schema, link), *limits])


def _type(schema: Mapping[str, Any], link: Link) -> str:
    if "$ref" in schema:
        return link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        kinds = [kind(each, link) for each in schema["anyOf"]]
        return (", or " if any("," in each for each in kinds) else " or ").join(kinds)
    if values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return " or ".join(code(each) for each in values)
    return _container(schema, link) or str(schema.get("type", "anything"))


def _container(schema: Mapping[str, Any], link: Link) -> str:
    inner = schema.get("additionalProperties")
    if schema.get("type") == "array":
        inner = schema.get("items") or next(iter(schema.get("prefixItems", [{}])))
        return f"list of {kind(inner, link)}"
    return f"object of {kind(inner, link)}" if isinstance(inner, Mapping) else ""


def _plain(value: object) -> object:
    return "none" if value in ([], {}) else str(value).lower() if isinstance(value, bool) else value
