"""What a `kedro run` with the default parameters costs, and how much of it beyond the fits themselves."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from diamonds.config import Settings
from diamonds.store import history
from diamonds.store.database import open_database

ROOT = Path(__file__).parents[1]
#: The nodes in which models are fitted.
FITS = ("tune", "fit", "calibrate")


def main() -> None:
    """Run in a copy of the project, so that nothing of this one changes."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        shutil.copytree(ROOT / "conf", project / "conf")
        shutil.copytree(ROOT / "data/01_raw", project / "data/01_raw")
        (project / "src").mkdir()
        for name in ("pyproject.toml", ".telemetry"):
            shutil.copy(ROOT / name, project)
        environment = os.environ | {
            "BENTOML_HOME": f"{project}/bentoml",
            "DIAMONDS_DATABASE_URL": f"sqlite:///{project}/data/diamonds.db",
        }
        began = time.perf_counter()
        kedro = Path(sys.executable).with_name("kedro")
        subprocess.run([kedro, "run"], cwd=project, env=environment, check=True, capture_output=True)
        seconds = time.perf_counter() - began
        durations = durations_of(project)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"kedro run: {seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of processor time,"
        f" at most {used.ru_maxrss / 1024:.0f} MiB in memory"
    )
    fits = sum(took for node, took in durations.items() if node.rpartition(".")[2] in FITS)
    others = sum(durations.values()) - fits
    print(
        f"  searching, fitting and calibrating {fits:.1f} s, all other nodes {others:.1f} s,"
        f" imports, configuration and saving {seconds - fits - others:.1f} s:"
        f" {seconds / fits - 1:.0%} beyond the fits"
    )
    for node, took in sorted(durations.items(), key=lambda pair: -pair[1])[:8]:
        print(f"  {node:40}{took:6.1f} s")


def durations_of(project: Path) -> dict[str, float]:
    """The seconds that each node of the project's only run took."""
    engine = open_database(Settings(database_url=f"sqlite:///{project}/data/diamonds.db"))
    try:
        (run,) = history.runs(engine, limit=1)
        return dict(run["durations"])
    finally:
        engine.dispose()


if __name__ == "__main__":
    main()
