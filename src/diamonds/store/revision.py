"""Which code it was: the git commit of a folder, and what the code says."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def code_hash() -> str:
    """SHA-256 of the Python files of this package, by name: the same wherever it lies, with git or without."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(
            f"{file.relative_to(PACKAGE).as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode()
        )
    return digest.hexdigest()


def code_version(project: Path) -> str | None:
    """The git commit, with a `+` where tracked files were changed since; None outside a repository."""
    try:
        commit = _git(project, "rev-parse", "HEAD")
        return f"{commit}+" if _git(project, "status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(project: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 - fixed words
        ["git", "-C", str(project), *words],  # noqa: S607 - the user's own git
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()
