"""A learner that is killed, wherever it is, and started again learns what one that never stopped does, to the last bit."""

from itertools import count

import pytest

from benchmarks.streaming.kills import differences, learn_through, learned
from benchmarks.streaming.learning import ANYWHERE, POINTS, REFUSED, Death, Task, start
from diamonds.config import Settings
from diamonds.store.database import migrate, open_database
from diamonds.streams.feeding.faults import KINDS
from diamonds.streams.spec import Polling, feed
from feeds import drawn_feed, serving
from project import ROOT

TOTAL, BAD_EVERY = 600, 97
#: Of the sizes of batches: by this one those that die learn at most 44 of 60 pages, however quickly these come.
SEED = 4
#: The learners of the project, and a feed that is looked at again at once.
SPEC = feed(ROOT, "promotions").model_copy(
    update={"polling": Polling(first_seconds=0.01, most_seconds=0.05), "connect_seconds": 0.2, "read_seconds": 0.3}
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What is learned from the whole feed at once."""
    database = f"sqlite:///{tmp_path_factory.mktemp('undisturbed')}/d.db"
    with serving(drawn_feed(TOTAL, bad_every=BAD_EVERY)) as url:
        process = start(Task(SPEC, url, database, TOTAL, pages_a_batch=37, in_flight=8))
        process.join(30)
    assert process.exitcode == 0
    return learned(database)


def growing():
    """A feed that has some more rows each time it is asked, so that any page is seen half full, and that fails."""
    asked = count()
    kinds = tuple(kind for kind in KINDS if kind != "hang")  # which takes its time
    return drawn_feed(lambda: min(5 + 4 * next(asked), TOTAL), rate=0.08, seed=4, kinds=kinds, bad_every=BAD_EVERY)


def test_what_is_learned_from_the_whole_feed_has_each_row_once(undisturbed):
    (checkpoint,) = undisturbed["checkpoint"]

    assert [row["id"] for row in undisturbed["rows"]] == [each for each in range(1, TOTAL + 1) if each % BAD_EVERY]
    assert [row["key"] for row in undisturbed["rejects"]] == [
        str(each) for each in range(BAD_EVERY, TOTAL + 1, BAD_EVERY)
    ]
    assert (checkpoint["rows"], checkpoint["rejected"]) == (594, 6)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_at_each_point_and_anywhere_it_learns_the_same_to_the_last_bit(undisturbed, kind, tmp_path, request):
    database = request.getfixturevalue("postgresql_url") if kind == "postgresql" else f"sqlite:///{tmp_path}/d.db"
    if kind == "postgresql":
        migrated(database)
    deaths = [*(Death(point, 2) for point in POINTS), Death(ANYWHERE, 0.15)]

    with serving(growing()) as url:
        died = learn_through(Task(SPEC, url, database, TOTAL), deaths, SEED)

    assert all(died[point] == 1 for point in POINTS), died
    assert differences(undisturbed, learned(database)) == []


def test_of_two_processes_that_learn_from_one_feed_one_is_refused_and_the_other_learns_as_if_alone(
    undisturbed, tmp_path
):
    with serving(growing()) as url:
        task = Task(SPEC, url, f"sqlite:///{tmp_path}/d.db", TOTAL, pages_a_batch=1)
        both = [start(task), start(task)]
        for process in both:
            process.join(30)

    assert sorted(process.exitcode for process in both) == [0, REFUSED]
    assert differences(undisturbed, learned(task.database)) == []


def test_a_difference_is_told(undisturbed):
    changed = undisturbed | {"rows": [undisturbed["rows"][0] | {"competence": 0.5}, *undisturbed["rows"][1:-1]]}

    assert differences(undisturbed, changed) == [
        "593 rows instead of 594",
        "1 rows differ, the first in competence",
    ]


def migrated(database):

    engine = open_database(Settings(database_url=database))
    migrate(engine)
    engine.dispose()
