"""The manifest of a saved pricer: the hash of each part, a digest of the manifest itself, and who signed it."""

from __future__ import annotations

import hashlib
import hmac
import importlib.metadata
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, SecretStr, ValidationError

from diamonds.errors import ArtefactError
from diamonds.pricer.parts import MANIFEST, hash_of, read_file

FORMAT = 3
#: What was saved while stones were Parquet.
WITH_PARQUET = 2
#: What was saved before the manifest had a digest.
WITHOUT_DIGEST = 1
LIBRARIES = ("numpy", "pandas", "scikit-learn", "skops", "xgboost", "xgboost-cpu")


class _Stated(BaseModel, strict=True):
    """The one entry that manifests of all formats share."""

    format: int


class Manifest(BaseModel, extra="forbid", frozen=True, strict=True):
    """What a saved pricer consists of.

    Attributes:
        format: Of the saved folder.
        name: The model's name.
        version: The run that made it.
        saved_at: When, in UTC.
        libraries: The versions of the libraries it was made with.
        parts: The SHA-256 of each part, by name.
        signature: The HMAC-SHA256 of all above, where it was saved under a key.
        digest: The SHA-256 of all above; only format 1 has none.
    """

    format: int
    name: str
    version: str
    saved_at: str
    libraries: dict[str, str]
    parts: dict[str, str]
    signature: str | None = None
    digest: str | None = None

    @classmethod
    def of(cls, parts: dict[str, str], name: str, version: str, key: SecretStr | None) -> Self:
        """The manifest of parts with these hashes, signed where there is a key."""
        unsigned = cls(
            format=FORMAT,
            name=name,
            version=version,
            saved_at=datetime.now(UTC).isoformat(),
            libraries=_library_versions(),
            parts=parts,
        )
        signed = unsigned.model_copy(update={"signature": unsigned.signature_by(key) if key else None})
        return signed.model_copy(update={"digest": signed.digest_of_rest()})

    def as_bytes(self) -> bytes:
        """The one way in which this content is written."""
        return _canonical(self.model_dump(exclude_none=True))

    def digest_of_rest(self) -> str:
        """The SHA-256 of all but the digest, signature included."""
        return hash_of(_canonical(self.model_dump(exclude_none=True, exclude={"digest"})))

    def signature_by(self, key: SecretStr) -> str:
        """The HMAC-SHA256 of all but signature and digest: of the parts' hashes, and so of their content."""
        content = _canonical(self.model_dump(exclude={"signature", "digest"}))
        return hmac.new(key.get_secret_value().encode(), content, hashlib.sha256).hexdigest()


def read_manifest(folder: Path, key: SecretStr | None) -> Manifest:
    """Read a manifest and check that it is as it was written and, where there is a key, who signed it.

    Raises:
        ArtefactError: There is none, it is damaged, changed or of an unknown format, or there is a key and it is
            not signed by it.
    """
    place = folder / MANIFEST
    if not os.path.lexists(place):
        raise ArtefactError(f"there is no saved pricer at {folder}: {MANIFEST} is missing")
    content = read_file(place)
    manifest = _parse(content, place)
    _check_digest(manifest, content, place)
    if key is not None:
        _check_signature(manifest, key, place)
    return manifest


def _parse(content: bytes, place: Path) -> Manifest:
    try:
        stated = _Stated.model_validate_json(content).format
        if stated not in {WITHOUT_DIGEST, WITH_PARQUET, FORMAT}:
            raise ArtefactError(
                f"{place} is of format {stated}; this version reads formats {WITHOUT_DIGEST} to {FORMAT}"
            )
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise ArtefactError(f"{place} is damaged: {_in_words(error)}") from error


def _in_words(error: ValidationError) -> str:
    return "; ".join(
        ": ".join([*map(str, problem["loc"]), problem["msg"]]) for problem in error.errors(include_url=False)
    )


def _check_digest(manifest: Manifest, content: bytes, place: Path) -> None:
    if manifest.format == WITHOUT_DIGEST:
        if manifest.digest is not None or manifest.signature is not None:
            raise ArtefactError(f"{place} was changed after it was saved: format 1 has no digest and no signature")
    elif manifest.digest != manifest.digest_of_rest():
        raise ArtefactError(f"{place} was changed after it was saved: its digest does not match")
    elif content != manifest.as_bytes():
        raise ArtefactError(f"{place} was changed after it was saved: its content would be written differently")


def _check_signature(manifest: Manifest, key: SecretStr, place: Path) -> None:
    if manifest.signature is None:
        raise ArtefactError(f"{place} is not signed, and DIAMONDS_SIGNING_KEY is set: only what it signed is loaded")
    if not hmac.compare_digest(manifest.signature.encode(), manifest.signature_by(key).encode()):
        raise ArtefactError(f"{place} is signed by another key than the one in DIAMONDS_SIGNING_KEY")


def _canonical(content: dict[str, Any]) -> bytes:
    """JSON with sorted keys, one space a level, and nothing but ASCII."""
    return json.dumps(content, indent=1, sort_keys=True).encode()


def _library_versions() -> dict[str, str]:
    installed = {}
    for library in LIBRARIES:
        try:
            installed[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue  # one of XGBoost's two builds is always absent
    return installed
