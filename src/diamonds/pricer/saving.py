"""A pricer on disk: data without code, under a manifest of hashes that are checked before any parser sees a byte."""

from __future__ import annotations

import copy
import hashlib
import importlib.metadata
import json
import os
import shutil
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from diamonds.errors import ArtefactError
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.pricer.pricer import Pricer, TrainingSummary

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin

FORMAT = 1
MANIFEST = "manifest.json"
#: What a saved estimator may consist of beside scikit-learn's and numpy's own types.
TRUSTED_TYPES = (
    "diamonds.features.shape",
    "numpy.exp",
    "numpy.log",
    "xgboost.sklearn.XGBRegressor",
)
LIBRARIES = ("numpy", "pandas", "scikit-learn", "skops", "xgboost", "xgboost-cpu")


def save(pricer: Pricer, folder: Path, version: str) -> None:
    """Save the pricer as `folder`, which appears whole or not at all.

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
        ArtefactError: It is missing, was made by another format, or a part is missing, unknown or changed;
            the message names the part.
    """
    manifest = _read_manifest(folder)
    parts = _read_parts(folder, manifest["parts"])
    facts = json.loads(parts["pricer.json"])
    summary = facts["summary"]
    return Pricer(
        name=manifest["name"],
        version=manifest["version"],
        estimator=_restore(parts),
        band=_band(facts["band"]),
        guessed_band=_band(facts["guessed_band"]),
        proportions=Proportions(facts["proportions"]["by_cut"]),
        summary=TrainingSummary(**summary | {"ranges": {key: tuple(pair) for key, pair in summary["ranges"].items()}}),
        stones=pd.read_parquet(BytesIO(parts["stones.parquet"])),
    )


def _band(facts: dict[str, Any]) -> ConformalBand:
    return ConformalBand(facts["confidence"], {key: tuple(pair) for key, pair in facts["factors"].items()})


def _parts(pricer: Pricer) -> dict[str, bytes]:
    facts = {
        "band": asdict(pricer.band),
        "guessed_band": asdict(pricer.guessed_band),
        "proportions": asdict(pricer.proportions),
        "summary": asdict(pricer.summary),
    }
    return {
        **_dump(pricer.estimator),
        "pricer.json": json.dumps(facts, indent=1).encode(),
        "stones.parquet": pricer.stones.to_parquet(index=False),
    }


def _write(parts: dict[str, bytes], name: str, version: str, folder: Path) -> None:
    manifest = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "saved_at": datetime.now(UTC).isoformat(),
        "libraries": _library_versions(),
        "parts": {part: hashlib.sha256(content).hexdigest() for part, content in parts.items()},
    }
    for part, content in {**parts, MANIFEST: json.dumps(manifest, indent=1).encode()}.items():
        with (folder / part).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _library_versions() -> dict[str, str]:
    installed = {}
    for library in LIBRARIES:
        try:
            installed[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue  # one of XGBoost's two builds is always absent
    return installed


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        found, known = (
            manifest["format"],
            isinstance(manifest["parts"], dict) and {"name", "version"} <= manifest.keys(),
        )
    except FileNotFoundError as error:
        raise ArtefactError(f"there is no saved pricer at {folder}: {MANIFEST} is missing") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtefactError(f"{folder / MANIFEST} is damaged: {error}") from error
    if found != FORMAT or not known:
        raise ArtefactError(f"{folder / MANIFEST} is of format {found!r}; this version reads format {FORMAT}")
    return dict(manifest)


def _read_parts(folder: Path, hashes: dict[str, str]) -> dict[str, bytes]:
    there = {path.name for path in folder.iterdir()} - {
        MANIFEST,
        "model.yaml",
    }  # the second is the Bento store's
    if missing := sorted(hashes.keys() - there):
        raise ArtefactError(f"{folder} is incomplete: {', '.join(missing)} missing")
    if extra := sorted(there - hashes.keys()):
        raise ArtefactError(f"{folder} holds what its manifest does not name: {', '.join(extra)}")
    try:
        parts = {part: (folder / part).read_bytes() for part in hashes}
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be read: {error}") from error
    for part, content in parts.items():
        if hashlib.sha256(content).hexdigest() != hashes[part]:
            raise ArtefactError(f"{folder / part} was changed after it was saved: its sha256 does not match")
    return parts


def _dump(estimator: RegressorMixin) -> dict[str, bytes]:
    """The estimator as parts: skops, and XGBoost's own JSON for its trees."""
    import skops.io

    booster = _booster_of(estimator)
    if booster is None:
        return {"estimator.skops": skops.io.dumps(estimator)}
    return {
        "estimator.skops": skops.io.dumps(_with_final_step(estimator, type(booster)(**booster.get_params()))),
        "booster.json": bytes(booster.get_booster().save_raw("json")),
    }


def _restore(parts: dict[str, bytes]) -> RegressorMixin:
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        estimator = skops.io.loads(parts["estimator.skops"], trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise ArtefactError(f"the saved estimator holds a type that is not trusted: {error}") from error
    if "booster.json" in parts:
        _final_step(estimator).load_model(bytearray(parts["booster.json"]))
    return estimator


def _final_step(estimator: Any) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    regressor = getattr(estimator, "regressor_", estimator)
    return regressor.steps[-1][1] if hasattr(regressor, "steps") else regressor


def _booster_of(estimator: RegressorMixin) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    final = _final_step(estimator)
    return final if hasattr(final, "get_booster") else None


def _with_final_step(estimator: Any, final: Any) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    """A copy of a fitted pipeline on a transformed target, its final step replaced."""
    pipeline = copy.copy(estimator.regressor_)
    pipeline.steps = [*pipeline.steps[:-1], (pipeline.steps[-1][0], final)]
    swapped = copy.copy(estimator)
    swapped.regressor_ = pipeline
    return swapped
