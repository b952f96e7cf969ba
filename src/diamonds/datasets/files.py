"""A folder of files, read whole, or named to be read in blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from diamonds.errors import DataError


class FolderDataset(AbstractDataset[NoReturn, dict[str, bytes]]):
    """The content of each file of a folder with the given ending, by name, in the order of names."""

    def __init__(self, *, path: str, ending: str, metadata: dict[str, Any] | None = None) -> None:
        """Name the folder and the files' ending, whose case does not matter."""
        self.metadata = metadata
        self._path = Path(path)
        self._ending = ending.casefold()

    def load(self) -> dict[str, bytes]:
        """Read the files; an absent folder has none.

        Raises:
            DataError: Something with this ending is no file that can be read.
        """
        try:
            return {path.name: path.read_bytes() for path in self._files()}
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read: {error.strerror}; mend or remove it") from error

    def save(self, data: NoReturn) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: people put files here."""
        raise DatasetError(f"{self._path} is only read")

    def _files(self) -> list[Path]:
        if not self._path.is_dir():
            return []
        return sorted(path for path in self._path.iterdir() if path.name.casefold().endswith(self._ending))

    def _exists(self) -> bool:
        return bool(self._files())

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path), "ending": self._ending}


class FilesDataset(AbstractDataset[NoReturn, dict[str, Path]]):
    """The path of each file of a folder with one of the given endings, by name, in the order of names.

    A folder with such an ending is a table in parts, as Dask writes them: its files come by their names below it.
    """

    def __init__(self, *, path: str, endings: list[str], metadata: dict[str, Any] | None = None) -> None:
        """Name the folder and the files' endings, whose case does not matter."""
        self.metadata = metadata
        self._path, self._endings = Path(path), tuple(ending.casefold() for ending in endings)

    def load(self) -> dict[str, Path]:
        """Name the files; an absent folder has none."""
        return {path.relative_to(self._path).as_posix(): path.absolute() for path in self._files()}

    def save(self, data: NoReturn) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: people put files here."""
        raise DatasetError(f"{self._path} is only read")

    def _files(self) -> list[Path]:
        found = [*self._ending_in(self._path)]
        parts = [part for path in found if path.is_dir() for part in self._ending_in(path)]
        return sorted(path for path in [*found, *parts] if path.is_file())

    def _ending_in(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            return []
        return [path for path in folder.iterdir() if path.name.casefold().endswith(self._endings)]

    def _exists(self) -> bool:
        return bool(self._files())

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path), "endings": list(self._endings)}
