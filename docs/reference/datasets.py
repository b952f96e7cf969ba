"""The datasets, from the catalog, and the nodes that make them."""

import re
from pathlib import Path
from typing import Any

import yaml

from diamonds import models
from diamonds.pipeline_registry import register_pipelines
from reference.markdown import code, comment_above, table

HEAD = """# Datasets

What `conf/base/catalog.yml` keeps; of a versioned one, one version a run. `{model}` stands for the name of each model.
`kedro viz run` shows how one comes from another.
"""


def page(project: Path) -> str:
    """All datasets, in the order of the catalog."""
    path = project / "conf/base/catalog.yml"
    lines = path.read_text().splitlines()
    makers = _makers()
    rows = []
    for name, entry in yaml.safe_load(path.read_text()).items():
        above = next(position for position, line in enumerate(lines) if line.strip('":') == name)
        rows.append(
            [
                code(name),
                code(entry["type"].removeprefix("diamonds.datasets.")),
                _place(entry),
                _made(name, makers),
                comment_above(lines, above),
            ]
        )
    return "\n".join([HEAD, table(["dataset", "type", "place", "made by", "about"], rows)])


def _place(entry: dict[str, Any]) -> str:
    place = code(entry.get("filepath") or entry.get("path"))
    return f"{place}, versioned" if entry.get("versioned") else place


def _makers() -> dict[str, str]:
    """The node, without its model's name, that makes each dataset."""
    pipelines = register_pipelines().values()
    return {made: node.name.rpartition(".")[2] for each in pipelines for node in each.nodes for made in node.outputs}


def _made(name: str, makers: dict[str, str]) -> str:
    pattern = re.escape(name).replace(r"\{model\}", f"({'|'.join(models.available())})")
    return ", ".join(sorted({code(maker) for made, maker in makers.items() if re.fullmatch(pattern, made)}))
