"""The parameters, from the YAML files that set them and the models that check them."""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from kedro.pipeline.node import Node
from pydantic import BaseModel

from diamonds.pipeline_registry import register_pipelines
from diamonds.streams import learners
from diamonds.streams.spec import Column, FeedSpec, Polling
from reference.markdown import code, comment_above, first_paragraph
from reference.models import fields

HEAD = """# Parameters

What `conf/base/parameters_*.yml` sets, and what each may be; a name that is not here is refused before anything runs.
`conf/local/parameters.yml` says otherwise for one machine, `kedro run --params=split.holdout=0.3` for one run.
"""
STREAMS = """## Feeds

An entry of `conf/base/streams.yml`, by the name of the feed; [how to add one](../how-to/new-feed.md).
"""
LEARNERS = """## Learners

An entry below `learners:` of a feed: its `kind`, and what that kind takes.
"""


def page(project: Path) -> str:
    """All parameters, stage by stage; then those of feeds and of their learners."""
    checked = dict(_checked())
    files = sorted((project / "conf/base").glob("parameters_*.yml"))
    parts = [part for path in files for part in _file(path, checked)]
    feeds = [_titled(each.__name__, each) for each in (FeedSpec, Column, Polling)]
    kinds = [_titled(code(kind), _learner(kind)) for kind in learners.available()]
    return "\n".join([HEAD, *parts, STREAMS, *feeds, LEARNERS, *kinds])


def _checked() -> Iterator[tuple[str, type[BaseModel]]]:
    """The model that a node's signature names for each entry it asks for."""
    for pipeline in register_pipelines().values():
        for node in pipeline.nodes:
            yield from _asked_for(node)


def _asked_for(node: Node) -> Iterator[tuple[str, type[BaseModel]]]:
    hints = get_type_hints(node.func)
    for entry, argument in zip(node.inputs, inspect.signature(node.func).parameters, strict=False):
        model = hints.get(argument)
        if entry.startswith("params:") and isinstance(model, type) and issubclass(model, BaseModel):
            yield entry.removeprefix("params:"), model


def _file(path: Path, checked: Mapping[str, type[BaseModel]]) -> Iterator[str]:
    lines = path.read_text().splitlines()
    for name, entry in yaml.safe_load(path.read_text()).items():
        yield f"## {name}\n\n{comment_above(lines, lines.index(f'{name}:'))} (`conf/base/{path.name}`)\n"
        if name in checked:
            yield fields(checked[name], entry)
        for inner in entry if isinstance(entry, dict) else {}:
            if f"{name}.{inner}" in checked:
                yield _titled(f"{name}.{inner}", checked[f"{name}.{inner}"], entry[inner])


def _learner(kind: str) -> type[BaseModel]:
    params: type[BaseModel] = importlib.import_module(f"{learners.__name__}.{kind}").Params
    return params


def _titled(title: str, model: type[BaseModel], here: Mapping[str, Any] | None = None) -> str:
    about = f"### {title}\n\n{first_paragraph(model.__doc__)}\n\n"
    return about + (fields(model, here) if model.model_fields else "")
