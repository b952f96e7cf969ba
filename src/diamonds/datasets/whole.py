"""Files that appear whole or not at all, whichever dataset writes them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from kedro.io import AbstractVersionedDataset


class WholeFiles(LocalFileSystem):  # type: ignore[misc] # it ships no types
    """The local file system, where a file that is written lies aside until all of it is there.

    Kedro's datasets write in place: what a killed run was about to write would be the newest version, and half of one.
    """

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:  # noqa: ANN401 - as fsspec has it
        """A file to read; or, in a `with`, one to write, which gets its name at the end."""
        return self._written_aside(path, mode, **options) if "w" in mode else super().open(path, mode, **options)

    @contextmanager
    def _written_aside(self, path: str, mode: str, **options: Any) -> Iterator[Any]:  # noqa: ANN401
        place = Path(path)
        aside = place.with_name(f".{place.name}-{uuid.uuid4().hex}")
        try:
            with LocalFileSystem(auto_mkdir=self.auto_mkdir).open(str(aside), mode, **options) as file:
                yield file
            aside.replace(place)
        finally:
            aside.unlink(missing_ok=True)


def write_whole(dataset: AbstractVersionedDataset[Any, Any]) -> None:
    """Let this dataset's files appear whole or not at all, where it writes to the local disk by itself."""
    files: Any = getattr(dataset, "_fs", None)
    if type(files) is LocalFileSystem:
        dataset._fs = WholeFiles(**files.storage_options)  # type: ignore[attr-defined]
