import json

import numpy as np
import pytest

from diamonds.streams.feeding.generators import employees
from diamonds.streams.learners.moments import MomentsLearner
from diamonds.streams.science.reached import Diary
from diamonds.streams.science.regressions import Names
from diamonds.streams.science.verdict import Kind, Link, Links, next_look
from diamonds.streams.science.wording import Words, number

NAMES = Names("network_ability", "competence", "promoted")
PROCESSES = ("sum", "logistic", "interaction", "max", "hard")


def verdict(rows):
    return taught(rows).report()["statistics"]["verdict"]


def taught(rows):
    learned = MomentsLearner(NAMES)
    for row in rows:
        learned.learn(row)
    return learned


def links(overall, pooled, inside=None, outside=None):
    """Each as its interval."""
    return Links(
        *(Link(sum(each) / 2, each) if each else Link(None, None) for each in (overall, pooled, inside, outside))
    )


def words(*intervals):
    return Words(NAMES, links(*intervals))


@pytest.mark.parametrize(
    ("intervals", "kind"),
    [
        (((-0.05, 0.05), (-0.4, -0.3), (-0.6, -0.4), (-0.3, -0.2)), Kind.COLLIDER),
        (((-0.05, 0.05), None, None, (0.2, 0.3)), Kind.COLLIDER),
        (((-0.35, 0.05), (-0.4, -0.3), (-0.2, 0.2), (-0.3, -0.2)), Kind.UNKNOWN),  # the bound is not small enough
        (((-0.05, 0.05), (-0.2, 0.1), (-0.4, 0.2), (-0.3, 0.1)), Kind.UNKNOWN),
        (((0.2, 0.3), (-0.1, 0.1), (-0.15, 0.1), (-0.1, 0.19)), Kind.CHAIN_OR_FORK),
        (((0.2, 0.3), (-0.1, 0.1), (-0.15, 0.1), (-0.1, 0.21)), Kind.UNKNOWN),
        (((0.2, 0.3), (-0.1, 0.1), None, (-0.1, 0.1)), Kind.UNKNOWN),  # one group was not looked at
        (((0.2, 0.3), (0.1, 0.2), (0.1, 0.3), (-0.1, 0.1)), Kind.LINKED),
        (((0.2, 0.3), (-0.1, 0.1), (0.1, 0.3), (-0.3, -0.1)), Kind.LINKED),
        ((None, None, None, None), Kind.UNKNOWN),
    ],
)
def test_the_verdict_follows_from_the_four_intervals(intervals, kind):
    assert links(*intervals).kind is kind


def test_20_rows_never_say_more_than_a_bound():
    for seed in range(20):
        for process in (*PROCESSES, "chain"):
            found = verdict(employees(process, seed, 0, 20))
            assert found["kind"] == "not yet known"
            assert "at most ±" in found["sentence"] or "go together" in found["sentence"]


def test_of_60_streams_whose_sum_promotes_95_in_100_are_called_colliders_by_1000_rows():
    reached = [
        any(each["conclusion"] == "collider" for each in verdict(employees("sum", seed, 0, 1000))["reached"])
        for seed in range(60)
    ]

    assert sum(reached) >= 57


def test_of_40_chains_none_is_ever_called_a_collider_and_most_are_seen_through():
    found = [verdict(employees("chain", seed, 0, 3000)) for seed in range(40)]

    assert not any(each["conclusion"] == "collider" for one in found for each in one["reached"])
    assert sum(one["kind"] == "chain or fork" for one in found) >= 30


@pytest.mark.parametrize("process", PROCESSES)
def test_each_known_process_ends_as_a_collider(process):
    found = verdict(employees(process, 2, 0, 12_000))

    assert found["kind"] == "collider"
    assert found["graph"]["top_edge"] == "no direct link seen"
    assert found["graph"]["edges"] == [
        {"from": "competence", "to": "promoted", "arrow": True},
        {"from": "network ability", "to": "promoted", "arrow": True},
    ]


def test_columns_that_are_linked_directly_are_linked_both_ways():
    random = np.random.default_rng(3)
    x, noise = random.standard_normal((2, 2000))
    promoted = x + random.standard_normal(2000) > 0
    rows = zip(x, 0.5 * x + noise, promoted, strict=True)

    found = verdict([{"competence": float(c), "network_ability": float(n), "promoted": bool(p)} for c, n, p in rows])

    assert found["kind"] == "linked"
    assert found["graph"]["top_edge"] == "linked"
    assert "directly or by a common cause, and three columns do not say which" in found["sentence"]


def test_columns_that_nothing_links_stay_not_yet_known_with_ever_tighter_bounds():
    random = np.random.default_rng(4)
    rows = [
        {"competence": c, "network_ability": n, "promoted": p > 0.5}
        for c, n, p in zip(*random.standard_normal((2, 6000)).tolist(), random.random(6000).tolist(), strict=True)
    ]

    few, many = verdict(rows[:1000]), verdict(rows)

    assert few["kind"] == many["kind"] == "not yet known"
    assert 0 < many["overall"]["high"] - many["overall"]["low"] < few["overall"]["high"] - few["overall"]["low"]
    assert many["may_not_say"][0].startswith("That competence and network ability are not linked")


def drawn(rows, competence):
    """Rows whose competence is what a function makes of another one and of the group."""
    random = np.random.default_rng(5)
    return [
        {"competence": float(competence(c, p)), "network_ability": float(c + n), "promoted": bool(p)}
        for c, n, p in zip(*random.standard_normal((2, rows)), random.random(rows) < 0.4, strict=True)
    ]


@pytest.mark.parametrize(
    ("competence", "says"),
    [
        (lambda c, p: 5.0, "Not yet known: competence was the same in all rows."),
        (lambda c, p: 1.0 if p else 2.0, "; inside each group of promoted, competence was the same in all rows."),
        (lambda c, p: 1.0 if p else c, "(promoted: competence was the same in all rows)"),
    ],
)
def test_a_feature_that_does_not_vary_is_said_to_be_so_and_not_to_have_too_few_rows(competence, says):
    sentence = verdict(drawn(5000, competence))["sentence"]

    assert says in sentence
    assert "too few rows" not in sentence
    assert "too few rows" in verdict(drawn(9, competence))["sentence"]


def test_a_collider_in_words():
    found = words((-0.052, 0.038), (-0.376, -0.288), (-0.592, -0.437), (-0.333, -0.234)).document()

    assert found["sentence"] == (
        "Overall, no link between competence and network ability is seen (slope −0.007, between −0.052 and 0.038): it is"
        " at most ±0.052. Inside each group there seems to be a link, with slope −0.332 (promoted −0.514, not promoted"
        " −0.284): that is produced by looking at one group, because both have a part in who is promoted. Do not read it"
        " as one costing the other."
    )
    assert found["may_not_say"][0] == (
        "That competence costs or brings network ability, or the other way round: looking at one group makes the link."
    )
    assert found["may_not_say"][1].endswith("overall it is at most ±0.052.")


@pytest.mark.parametrize(
    ("intervals", "says"),
    [
        (
            ((-0.05, 0.05), (-0.17, -0.08), (0.25, 0.37), (-0.35, -0.25)),
            "Inside each group there seems to be a link, in opposite directions (slopes: promoted 0.310, not promoted −0.300)",
        ),
        (
            ((-0.05, 0.05), (-0.28, -0.20), (-0.60, -0.48), (-0.03, 0.05)),
            "Among those promoted there seems to be a link, with slope −0.540 (not promoted: slope 0.010, between −0.030 and 0.050)",
        ),
        (
            ((-0.05, 0.05), (0.20, 0.28), None, (0.20, 0.28)),
            "Among those not promoted there seems to be a link, with slope 0.240 (promoted: too few rows)",
        ),
        (
            ((-0.05, 0.05), (0.08, 0.18), (-0.02, 0.25), (-0.01, 0.23)),
            "Inside the groups of promoted, taken together, there seems to be a link (slope 0.130, between 0.080 and 0.180)",
        ),
    ],
)
def test_where_the_groups_differ_the_sentence_says_how(intervals, says):
    assert says in words(*intervals).sentence()


def test_the_warning_fits_the_sign():
    small, of_groups = (-0.05, 0.05), (0.1, 0.2)

    assert words(small, of_groups, of_groups, of_groups).sentence().endswith("as one bringing the other.")
    assert words(small, (-0.2, -0.1), of_groups, (-0.4, -0.3)).sentence().endswith("as cause and effect.")


def test_a_chain_in_words():
    sentence = words((0.216, 0.294), (-0.02, 0.05), (-0.08, 0.03), (-0.03, 0.07)).sentence()

    assert sentence == (
        "Overall, competence and network ability go together (slope 0.255, between 0.216 and 0.294). Inside the groups of"
        " promoted the link is at most ±0.080: what links them goes through promoted, as a chain or a fork, and the rows"
        " do not say which."
    )


@pytest.mark.parametrize(
    ("intervals", "says"),
    [
        ((None, None, None, None), "Not yet known: there are too few rows to say anything."),
        (
            ((-0.5, 0.7), None, None, (-0.6, 0.6)),
            (
                "Not yet known. Overall the slope is 0.10, between −0.50 and 0.70, so a link is at most ±0.70; one of the groups"
                " of promoted has too few rows to look inside."
            ),
        ),
        (
            ((-0.5, 0.7), (-0.8, 0.6), (-0.9, 0.9), (-0.9, 0.9)),
            (
                "Not yet known. Overall the slope is 0.10, between −0.50 and 0.70, so a link is at most ±0.70; inside the groups"
                " the slope is −0.10, between −0.80 and 0.60, so there too none is seen yet."
            ),
        ),
        (
            ((0.1, 0.5), (-0.3, 0.3), (-0.9, 0.9), (-0.9, 0.9)),
            (
                "Not yet known. Overall the slope is 0.30, between 0.10 and 0.50, so competence and network ability go together;"
                " inside the groups the slope is 0.00, between −0.30 and 0.30, which is too wide to say whether the link goes"
                " through promoted."
            ),
        ),
    ],
)
def test_what_is_not_yet_known_is_said_as_bounds(intervals, says):
    assert words(*intervals).sentence() == says


@pytest.mark.parametrize(
    ("value", "width", "written"),
    [
        (-0.00713, 0.045, "−0.007"),
        (-0.0004, 0.045, "0.000"),
        (1234.5678, 80.0, "1,235"),
        (-1.5e-9, 1e-9, "−1.50e−09"),
        (3.0, 0.0, "3.0"),
        (0.5, float("inf"), "0.50"),
    ],
)
def test_numbers_are_written_as_people_write_them(value, width, written):
    assert number(value, width) == written


def test_looks_are_a_function_of_the_rows_alone():
    looks = [0]
    while looks[-1] < 1_000_000:
        looks.append(next_look(looks[-1]))

    assert looks[1:4] == [10, 20, 30]
    assert len(looks) < 1_000  # of a million rows
    found = taught(employees("logistic", 1, 0, 4000)).dump()["reached"]
    assert {each["row"] for each in found} <= set(looks)


def test_when_a_conclusion_was_reached_is_the_same_wherever_the_learner_was_written_down():
    rows = employees("logistic", 1, 0, 3000)
    straight = taught(rows)

    resumed = MomentsLearner(NAMES)
    for start in range(0, 3000, 170):
        document = json.loads(json.dumps(resumed.dump()))
        resumed = MomentsLearner(NAMES)
        resumed.load(document)
        for row in rows[start : start + 170]:
            resumed.learn(row)

    reached = straight.report()["statistics"]["verdict"]["reached"]
    assert [each["conclusion"] for each in reached] == ["linked inside the groups", "collider"]
    assert reached[0]["withdrawals"] > 0
    assert resumed.report()["statistics"]["verdict"]["reached"] == reached


def test_a_conclusion_that_is_withdrawn_and_reached_again_says_so():
    diary = Diary()
    for looked, concluded in (
        (10, ()),
        (20, ("a",)),
        (30, ("a", "b")),
        (40, ("b",)),
        (50, ("a", "b")),
        (60, ("a", "b")),
    ):
        diary.note(looked, concluded)
    diary = Diary.of(diary.entries())
    diary.note(70, ("b",))

    assert diary.entries() == [
        {"conclusion": "a", "row": 20, "withdrawn_at_row": 70, "again_at_row": None, "withdrawals": 2},
        {"conclusion": "b", "row": 30, "withdrawn_at_row": None, "again_at_row": None, "withdrawals": 0},
    ]


def test_intervals_that_hold_while_watching_raise_few_false_alarms_where_ordinary_ones_raise_many():
    watching, ordinary = [], []
    for seed in range(60):
        learned, alarms = MomentsLearner(NAMES), set()
        for position, row in enumerate(employees("sum", seed, 0, 1000), 1):
            learned.learn(row)
            if position % 20 == 0:
                found = learned.regressions().overall.slope("competence")
                low, high = found.interval() or (-1, 1)
                alarms |= {"watching"} if low > 0 or high < 0 else set()
                alarms |= {"ordinary"} if abs(found.estimate) > 1.96 * found.se else set()
        watching.append("watching" in alarms)
        ordinary.append("ordinary" in alarms)

    assert sum(watching) <= 6  # 5 in 100, and three standard errors more
    assert sum(ordinary) >= 15
