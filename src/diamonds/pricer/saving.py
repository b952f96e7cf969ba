"""A pricer on disk: data without code, under a manifest of hashes that are checked before any parser sees a byte."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from diamonds.config import read_settings
from diamonds.errors import ArtefactError
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.pricer import estimator, stones
from diamonds.pricer.manifest import Manifest, read_manifest
from diamonds.pricer.parts import FACTS, MANIFEST, Parts, parsing, read_parts, write_file
from diamonds.pricer.pricer import Pricer
from diamonds.pricer.summary import TrainingSummary


def save(pricer: Pricer, folder: Path, version: str) -> None:
    """Save the pricer as `folder`, which appears whole or not at all; signed, where `DIAMONDS_SIGNING_KEY` is set.

    Raises:
        ArtefactError: The folder exists already, or the disk did not take it.
    """
    if folder.exists():
        raise ArtefactError(f"{folder} exists already: a saved pricer is never changed")
    aside = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        aside.mkdir(parents=True)
        _write(_parts(pricer), pricer.name, version, aside)
        aside.rename(folder)
    except OSError as error:
        raise ArtefactError(f"{folder} could not be written: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load(folder: Path) -> Pricer:
    """Load a saved pricer.

    Raises:
        ArtefactError: It is missing, was made by another format, or a part is missing, unknown or changed, or it is
            not signed by `DIAMONDS_SIGNING_KEY`, where that is set; the message names the part or the manifest.
    """
    manifest = read_manifest(folder, read_settings().signing_key)
    parts = read_parts(folder, manifest.parts)
    try:
        return _assemble(manifest, parts)
    except ArtefactError as error:
        raise ArtefactError(f"{folder} cannot be loaded: {error}") from error


def _assemble(manifest: Manifest, parts: Parts) -> Pricer:
    with parsing(FACTS):
        facts = _facts(json.loads(parts.read[FACTS]))
    known = stones.restore(parts)
    fitted = estimator.restore(manifest.name, parts.read)
    return Pricer(name=manifest.name, version=manifest.version, estimator=fitted, stones=known, **facts)


def _facts(facts: dict[str, Any]) -> dict[str, Any]:
    summary = facts["summary"]
    limits = {
        name: {key: tuple(pair) for key, pair in summary[name].items()}
        for name in ("ranges", "agreeing")
        if name in summary  # pricers were saved before they learned what agrees
    }
    return {
        "band": _band(facts["band"]),
        "guessed_band": _band(facts["guessed_band"]),
        "partly_band": _band(facts["partly_band"]) if facts.get("partly_band") else None,
        "proportions": Proportions(facts["proportions"]["by_cut"]),
        "summary": TrainingSummary(**summary | limits),
    }


def _band(facts: dict[str, Any]) -> ConformalBand:
    return ConformalBand(facts["confidence"], {key: tuple(pair) for key, pair in facts["factors"].items()})


def _parts(pricer: Pricer) -> dict[str, Iterable[bytes]]:
    facts = {
        "band": asdict(pricer.band),
        "guessed_band": asdict(pricer.guessed_band),
        "partly_band": asdict(pricer.partly_band) if pricer.partly_band else None,
        "proportions": asdict(pricer.proportions),
        "summary": asdict(pricer.summary),
    }
    return {
        **{part: [content] for part, content in estimator.dump(pricer.name, pricer.estimator).items()},
        **stones.dump(pricer.stones),
        FACTS: [json.dumps(facts, indent=1).encode()],
    }


def _write(parts: dict[str, Iterable[bytes]], name: str, version: str, folder: Path) -> None:
    hashes = {part: write_file(folder / part, pieces) for part, pieces in parts.items()}
    manifest = Manifest.of(hashes, name, version, read_settings().signing_key)
    write_file(folder / MANIFEST, [manifest.as_bytes()])
