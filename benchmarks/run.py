"""What a `kedro run` with the default parameters costs: seconds, processor seconds and peak memory."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


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
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"kedro run: {seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of processor time,"
        f" at most {used.ru_maxrss / 1024:.0f} MiB in memory"
    )


if __name__ == "__main__":
    main()
