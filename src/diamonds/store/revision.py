"""Which code it was: the git commit of a folder."""

from __future__ import annotations

import subprocess
from pathlib import Path


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
