from datetime import timedelta

import pytest
from sqlalchemy import select

from diamonds.errors import SaleConflictError
from diamonds.store import sales
from diamonds.store.tables import Sale

QUOTED = {"stone": {"carat": 1.1}, "quote": {"price": 4733.12}, "model": "xgboost", "version": "v1"}
ID = "01a1fe29-1393-7e73-ba41-cec47f42b9d1"


def rows(engine):
    with engine.connect() as connection:
        return [row._asdict() for row in connection.execute(select(Sale.__table__).order_by(Sale.position))]


def test_a_sale_is_kept_beside_what_was_quoted(database):
    kept = sales.record(database, ID, None, 5100.0, **QUOTED)

    (row,) = rows(database)
    facts = {"request_id": ID, "position": -1, "price": 5100.0, "recorded_at": kept.recorded_at}
    assert row == facts | QUOTED | {"exported_to": None, "exported_at": None}


def test_the_same_sale_twice_is_one_and_keeps_its_first_moment(database):
    first = sales.record(database, ID, None, 5100.0, **QUOTED)
    second = sales.record(database, ID, None, 5100.0, **QUOTED)

    assert second.recorded_at == first.recorded_at
    assert len(rows(database)) == 1


def test_another_price_for_a_stone_that_was_sold_is_refused_and_changes_nothing(database):
    sales.record(database, ID, None, 5100.0, **QUOTED)

    with pytest.raises(SaleConflictError, match=r"^this stone is recorded as sold for 5,100\.00 USD already$"):
        sales.record(database, ID, None, 5200.0, **QUOTED)

    assert [row["price"] for row in rows(database)] == [5100.0]


def test_stones_of_one_batch_are_sold_one_by_one(database):
    for position, price in [(0, 5100.0), (2, 900.0), (0, 5100.0)]:
        sales.record(database, ID, position, price, **QUOTED)

    assert [(row["position"], row["price"]) for row in rows(database)] == [(0, 5100.0), (2, 900.0)]


def test_the_newest_sales_of_a_window_are_told_the_newest_first(database):
    moments = [sales.record(database, ID, place, 100.0, **QUOTED).recorded_at for place in range(4)]
    tick = timedelta(microseconds=1)

    def positions(since, until, limit=10):
        return [sale.position for sale in sales.recorded(database, since, until, limit)]

    assert positions(moments[0], moments[3] + tick) == [3, 2, 1, 0]
    assert positions(moments[1], moments[3]) == [2, 1]
    assert positions(moments[0], moments[3] + tick, limit=2) == [3, 2]
