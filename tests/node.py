"""What comes from npm: no address of a registry is in the lock of `tests/npm`."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "npm"


@cache
def modules() -> Path:
    """The packages of `tests/npm`, as its lock has them; installed where they are missing."""
    npm = shutil.which("npm")
    if npm is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no npm: install Node.js")
    installed, asked = FOLDER / "node_modules/.package-lock.json", FOLDER / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < asked.stat().st_mtime:
        done = subprocess.run([npm, "ci", "--ignore-scripts"], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return FOLDER / "node_modules"
