"""What a feed is: an entry that is checked as it is read."""

import pytest
import yaml

from diamonds.errors import ConfigurationError
from diamonds.schema import GRADES, MEASURES
from diamonds.streams.learners import build
from diamonds.streams.spec import feed, read_feeds
from project import ROOT

ENTRY = {"url": "http://127.0.0.1:5000", "columns": {"a": {"type": "number"}}, "learners": {}}


@pytest.fixture
def project(tmp_path):
    """Writes the entries of a project, and those of the machine."""

    def write(entries, local=None):
        for place, said in (("base", entries), ("local", local)):
            (tmp_path / "conf" / place).mkdir(parents=True, exist_ok=True)
            if said is not None:
                (tmp_path / "conf" / place / "streams.yml").write_text(
                    said if isinstance(said, str) else yaml.safe_dump(said)
                )
        return tmp_path

    return write


def test_the_projects_own_feeds_can_be_used_and_learned_from():
    feeds = read_feeds(ROOT)

    assert list(feeds) == ["promotions", "diamonds"]
    assert {name: list(build(spec)) for name, spec in feeds.items()} == {
        "promotions": ["promotion", "networking"],
        "diamonds": ["price", "market"],
    }


def test_the_limits_of_stones_are_those_of_every_door():
    columns = feed(ROOT, "diamonds").columns

    assert {name: columns[name].one_of for name in GRADES} == GRADES
    assert {name: columns[name].most for name in MEASURES} == {name: each.most for name, each in MEASURES.items()}
    assert list(columns) == ["carat", *GRADES, "depth", "table", "x", "y", "z", "price"]


def test_a_machine_may_say_otherwise_entry_by_entry(project):
    there = project({"one": ENTRY, "two": ENTRY}, {"one": {"url": "http://10.0.0.1"}, "three": ENTRY})

    assert {name: spec.url for name, spec in read_feeds(there).items()} == {
        "one": "http://10.0.0.1",
        "two": "http://127.0.0.1:5000",
        "three": "http://127.0.0.1:5000",
    }


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"one": ENTRY | {"columns": {}}}, "the feed one in conf/base/streams.yml cannot be used: columns: Dictionary should have at least 1 item"),
        ({"one": ENTRY | {"pages": 3}}, "cannot be used: pages: Extra inputs are not permitted"),
        ({"one": ENTRY | {"columns": {"id": {"type": "number"}}}}, "the columns may not be called id"),
        ({"one": ENTRY | {"columns": {"position": {"type": "number"}}}}, "the columns may not be called position"),
        ({"One": ENTRY}, "the feed One in conf/base/streams.yml cannot be used: name: String should match pattern"),
        ({"one": 3}, "must hold one entry a feed"),
        ("one: [", "is not YAML"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_used_is_named(project, entries, says):
    with pytest.raises(ConfigurationError, match=says):
        read_feeds(project(entries))


def test_a_feed_that_is_not_there_and_a_project_that_is_none_are_named(project, tmp_path):
    with pytest.raises(ConfigurationError, match=r"conf/base/streams.yml has no feed tow; known are one, two"):
        feed(project({"one": ENTRY, "two": ENTRY}), "tow")
    with pytest.raises(
        ConfigurationError, match="cannot be read: No such file or directory; run this where `kedro run` is run"
    ):
        feed(tmp_path / "elsewhere", "one")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"kind": "guess"}, "the learner x of one is of kind guess, which is not known; known are adapter, logit, market_index, moments, price"),
        ({"kind": "logit", "target": "a"}, "the learner x of one cannot be used: features: Field required"),
        ({"kind": "moments", "target": "a", "feature": "b", "group": "c"}, "has no column"),
    ],
)  # fmt: skip
def test_a_learner_that_cannot_be_used_is_named(project, entry, says):
    with pytest.raises(ConfigurationError, match=says):
        build(feed(project({"one": ENTRY | {"learners": {"x": entry}}}), "one"))


def test_what_is_learned_depends_on_columns_and_learners_and_not_on_how_pages_are_read():
    spec = feed(ROOT, "promotions")
    elsewhere = spec.model_copy(update={"url": "http://10.0.0.1", "in_flight": 16, "pages_a_batch": 1, "about": ""})
    fewer = spec.model_copy(update={"learners": {}})
    without = spec.model_copy(update={"columns": {"competence": spec.columns["competence"]}})

    assert elsewhere.config_hash() == spec.config_hash()
    assert len({spec.config_hash(), fewer.config_hash(), without.config_hash()}) == 3
