"""The nodes of streaming."""

from diamonds.pipelines.streaming.nodes import learn, summarise
from streamed import page, rows_from


def test_each_batch_is_handed_on_before_the_next_one_is_read():
    read = []

    def feed():
        for number in range(3):
            read.append(number)
            yield [page(number, rows_from(1, 3))]

    learned = learn(feed())

    assert (next(learned)[0].number, read) == (0, [0])
    assert ([batch[0].number for batch in learned], read) == ([1, 2], [0, 1, 2])


def test_the_report_has_of_each_learner_what_it_says(caplog):
    caplog.set_level("INFO")
    slope = {"term": "competence", "estimate": -0.01, "se": 0.02, "low": -0.05, "high": 0.03}
    stream = {
        "feed": "promotions", "updated_at": "2026-11-24T10:00:00+00:00", "version": 3, "page": 514, "last_key": 5140,
        "rows": 5140, "rejected": 2, "revised": 0,
        "coefficients": {"networking": [slope]},
        "statistics": {"networking": {"scores": {}, "verdict": {"kind": "collider"}, "groups": 2}},
    }  # fmt: skip

    report = summarise(stream)

    assert report == {
        "feed": "promotions", "updated_at": "2026-11-24T10:00:00+00:00", "version": 3, "page": 514, "last_key": 5140,
        "rows": 5140, "rejected": 2, "revised": 0,
        "learners": {
            "networking": {
                "coefficients": [slope], "scores": {}, "verdict": {"kind": "collider"}, "statistics": {"groups": 2},
            }
        },
    }  # fmt: skip
    assert caplog.messages == [
        "promotions is caught up: 5,140 rows learned, 2 rejected; the next batch begins with page 514"
    ]
