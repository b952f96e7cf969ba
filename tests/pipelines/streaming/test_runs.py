"""`kedro run --pipelines=streaming`: it catches up with a feed and stops."""

import json
from collections import deque

import pytest
from kedro.io import DatasetError
from starlette.responses import Response

from diamonds.datasets import FeedDataset, StreamDataset
from diamonds.errors import FeedError, StreamConflictError
from diamonds.store.database import open_database, require_current
from diamonds.streams.feeding.generators import employees
from diamonds.streams.memory.memory import Memory
from diamonds.streams.spec import feed
from feeds import Scripted, serving
from project import Project, make_project, memory
from streamed import learned, pages_of

LEARNERS = "promotions: {learners: {networking: {kind: moments, target: network_ability, feature: competence, group: promoted}}}\n"


@pytest.fixture
def project(tmp_path) -> Project:
    """A project whose feed teaches one learner."""
    made = make_project(tmp_path / "project", {})
    (made.folder / "conf/local/streams.yml").write_text(LEARNERS)
    return made


def paged(rows):
    return lambda number: rows[10 * number : 10 * number + 10]


def remembered(project):
    """The memory of a project's stream."""
    engine = open_database(project.settings, durable=True)
    require_current(engine)
    return Memory(engine, feed(project.folder, "promotions")), engine


def run(project, url):
    return project.run("kedro", "run", "--pipelines=streaming", f"--params=feed=promotions,url={url}")


def test_a_run_learns_to_the_end_of_the_feed_and_the_next_one_goes_on_there(project, tmp_path):
    rows = employees("sum", 3, 0, 1234)
    grown = Scripted(paged(rows[:1004]))
    with serving(grown.app) as url:
        first = run(project, url)
    with serving(Scripted(paged(rows)).app) as url:
        second = run(project, url)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "promotions is caught up: 1,004 rows learned, 0 rejected" in first.stdout + first.stderr
    assert "promotions is caught up: 1,234 rows learned, 0 rejected" in second.stdout + second.stderr
    report = json.loads(project.newest("08_reporting/stream_promotions.json").read_text())
    assert (report["rows"], report["page"], report["last_key"], report["version"]) == (1234, 123, 1234, 4)
    assert report["learners"]["networking"]["coefficients"]
    engine = remembered(project)[1]
    once = open_database(
        project.settings.model_copy(
            update={"database_url": type(project.settings.database_url)(f"sqlite:///{tmp_path}/once.db")}
        )
    )
    require_current(once)
    alone = Memory(once, feed(project.folder, "promotions"))
    alone.open()
    alone.commit(pages_of(rows))
    assert learned(engine) == learned(once)
    assert memory(project)[0] == []  # no run of the history of training
    engine.dispose()
    once.dispose()


def test_a_run_fails_in_plain_words_while_another_process_learns(project):
    rows = employees("sum", 3, 0, 2000)

    def answer(number):
        if number == 70 and not answer.other:
            answer.other, engine = remembered(project)
            answer.other.open()
            answer.other.commit(pages_of(rows[500:600], first=50))
            engine.dispose()
        return paged(rows)(number)

    answer.other = None
    with serving(Scripted(answer).app) as url:
        done = run(project, url)

    assert done.returncode == 1
    assert "another process learns from promotions" in done.stderr + done.stdout
    assert answer.other.checkpoint.rows == 600


@pytest.fixture
def datasets(project, monkeypatch):
    """Makes the feed and the stream of a project."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", f"sqlite:///{project.folder}/data/diamonds.db")

    def make(url, pages_a_batch=50):
        return FeedDataset(feed="promotions", url=url, pages_a_batch=pages_a_batch), StreamDataset(feed="promotions")

    return make


@pytest.mark.parametrize("other", ["a commit", "a reset"])
def test_a_batch_that_was_read_before_another_process_wrote_is_refused(project, datasets, other):
    rows = employees("sum", 3, 0, 300)
    live, engine = remembered(project)
    live.open()
    live.commit(pages_of(rows[:100]))
    with serving(Scripted(paged(rows)).app) as url:
        read, stream = datasets(url)
        batches = read.load()
        if other == "a commit":
            live.commit(pages_of(rows[100:250], first=10))
        else:
            live.reset(keep_rows=False)
        before = learned(engine)
        with pytest.raises(DatasetError, match="another process learns from promotions") as refusal:
            stream.save(next(batches))
        batches.close()

    assert isinstance(refusal.value.__cause__, StreamConflictError)
    assert learned(engine) == before
    live.commit(pages_of(rows[250:260], first=25) if other == "a commit" else pages_of(rows[:10]))
    engine.dispose()


@pytest.mark.parametrize("pages", [1, 3, 50])
def test_pages_that_came_before_a_refusal_are_learned(datasets, pages):
    rows = employees("sum", 3, 0, 60)

    def answer(number):
        return Response(status_code=403) if number == 4 else paged(rows)(number)

    with serving(Scripted(answer).app) as url:
        read, stream = datasets(url, pages)
        with pytest.raises(FeedError, match="answers 403"):
            deque(map(stream.save, read.load()), maxlen=0)

    assert stream.load()["rows"] == 40


def test_a_feed_that_is_not_there_is_an_error_and_not_waited_for(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", f"sqlite:///{project.folder}/data/diamonds.db")
    batches = FeedDataset(feed="promotions", url="http://127.0.0.1:1").load()

    with pytest.raises(
        FeedError,
        match=r"promotions is not to be had at http://127.0.0.1:1, page 0: nothing answers at http://127.0.0.1:1; start it, or give its address with --params=url=…",
    ):
        next(batches)

    assert StreamDataset(feed="promotions").load()["rows"] == 0


def test_the_default_run_has_no_feed_and_the_registry_has_the_pipeline():
    from diamonds.pipeline_registry import register_pipelines

    pipelines = register_pipelines()

    assert [node.name for node in pipelines["streaming"].nodes] == ["streaming.learn", "streaming.summarise"]
    assert "feed" not in pipelines["__default__"].inputs()
    assert not {"stream", "stream_report"} & pipelines["__default__"].all_outputs()
