"""Takes the pictures of all pages into docs/images, of a service and a stream that are started and asked for it.

    python docs/screenshots.py [--project DIR]

Three runs of the training, each on more of the stones that come with the project, make a history to look at; a project
that is trained already may be named instead. It wants Chromium on the machine.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pandas as pd
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs/images"
BIN = Path(sys.executable).parent
SERVICE, FEED, STREAM = 3390, 5090, 3391
#: Of how many stones each run knows.
SHARES = (0.4, 0.7, 1.0)
STONE = "?carat=1.1&cut=Ideal&color=H&clarity=SI2"
GRADES = {
    "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
    "color": list("DEFGHIJ"),
    "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
}
SIZES = {"wide": (1280, 960), "narrow": (390, 844)}
#: How long the service is asked before it is looked at, in seconds.
ASKED_SECONDS = 100


def main() -> None:
    """Train, serve, ask, and take all pictures."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--project", type=Path, help="a trained project, its bentoml folder in it; it is only asked")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="screenshots-") as name, ExitStack() as running:
        project = given.project or trained(Path(name) / "project")
        environment = os.environ | {"BENTOML_HOME": f"{project}/bentoml", "BENTOML_DO_NOT_TRACK": "True"}
        start: list[Path | str] = [BIN / "bentoml", "serve", "--host", "127.0.0.1", "--port", str(SERVICE)]
        running.enter_context(started(start, project, environment, f"http://127.0.0.1:{SERVICE}/readyz"))
        feed: list[Path | str] = [BIN / "diamonds", "feed", "promotions", "--port", str(FEED), "--rows", "5000"]
        running.enter_context(started(feed, project, environment, f"http://127.0.0.1:{FEED}/livez"))
        stream: list[Path | str] = [BIN / "diamonds", "stream", "promotions", "--url", f"http://127.0.0.1:{FEED}"]
        stream += ["--port", str(STREAM), "--service", f"http://127.0.0.1:{SERVICE}"]
        running.enter_context(started(stream, project, environment, f"http://127.0.0.1:{STREAM}/livez"))
        running.enter_context(being_asked(f"http://127.0.0.1:{SERVICE}"))
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            take_all(browser)
            browser.close()


def trained(project: Path) -> Path:
    """A project that was trained three times."""
    shutil.copytree(ROOT / "conf", project / "conf")
    (project / "src").mkdir()
    for name in ("pyproject.toml", ".telemetry", "bentofile.yaml"):
        shutil.copy(ROOT / name, project)
    appraisals = project / "data/01_raw/appraisals"
    appraisals.mkdir(parents=True)
    stones = pd.concat(pd.read_csv(path) for path in sorted((ROOT / "data/01_raw/appraisals").glob("*.csv")))
    stones = stones.sample(frac=1, random_state=1)
    known = 0
    for number, share in enumerate(SHARES, 1):
        some = stones[known : round(share * len(stones))]
        known += len(some)
        some.to_csv(appraisals / f"batch-{number}.csv", index=False)
        print(f"training on {known:,} stones", file=sys.stderr)
        environment = os.environ | {"BENTOML_HOME": f"{project}/bentoml"}
        subprocess.run([BIN / "kedro", "run"], cwd=project, env=environment, check=True, capture_output=True)
    return project


@contextmanager
def started(command: Sequence[Path | str], folder: Path, environment: dict[str, str], ready: str) -> Iterator[None]:
    """Run a server while it is needed, once it answers at this address.

    Raises:
        RuntimeError: It ended before it did.
    """
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not answers(ready):
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with status {process.returncode}")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    """Whether something answers there, and well."""
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


@contextmanager
def being_asked(service: str) -> Iterator[None]:
    """Ask for prices, some of which there are none, for a while before the pictures and as they are taken."""
    ends = threading.Event()

    def ask() -> None:
        chance = random.Random(1)  # noqa: S311 - nothing here is secret
        with httpx.Client(base_url=service) as caller:
            while not ends.wait(chance.expovariate(8)):
                stone: dict[str, str | float] = {name: chance.choice(grades) for name, grades in GRADES.items()}
                stone |= {"carat": round(chance.lognormvariate(-0.4, 0.5), 2)} if chance.random() > 0.06 else {}  # noqa: PLR2004
                caller.post(chance.choice(["/predict", "/predict", "/explain", "/similar"]), json=stone)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        print(f"asking for {ASKED_SECONDS} s", file=sys.stderr)
        time.sleep(ASKED_SECONDS)
        yield
    finally:
        ends.set()
        asking.join()


def take_all(browser: Browser) -> None:
    """Each page, wide and narrow, light and dark."""
    run = httpx.get(f"http://127.0.0.1:{SERVICE}/history?limit=1", timeout=30).json()["runs"][0]["id"]
    service = f"http://127.0.0.1:{SERVICE}"
    pages = {
        "price": (f"{service}/{STONE}", "#around .scatterlayer"),
        "models": (f"{service}/models", "#course .scatterlayer"),
        "run": (f"{service}/models/{run}", "h1"),
        "traffic": (f"{service}/traffic", "#latency .main-svg"),
        "stream": (f"http://127.0.0.1:{STREAM}/", "[data-chart] .main-svg"),
        "api": (f"{service}/docs", "#swagger-ui .opblock"),
    }
    for name, (url, last) in pages.items():
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                window = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                page = window.new_page()
                page.goto(url)
                page.wait_for_selector(last)
                page.wait_for_timeout(500)  # what is drawn comes to rest
                page.screenshot(path=IMAGES / f"{name}-{size}-{scheme}.png")
                window.close()


if __name__ == "__main__":
    main()
