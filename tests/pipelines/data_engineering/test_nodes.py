import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from diamonds import models
from diamonds.errors import DataError
from diamonds.pipelines.data_engineering import nodes
from diamonds.pipelines.data_engineering.nodes import Split
from diamonds.schema import COLUMNS, FEATURES, frame_hash

HEADER = "carat,cut,color,clarity,depth,table,price,x,y,z"
BY_HASH = Split(method="hash", holdout=0.2, seed=42)
AT_RANDOM = Split(method="random", holdout=0.2, seed=42)
GOOD = "0.23,Ideal,E,SI2,61.5,55,326,3.95,3.98,2.43"


def read(*lines, name="spring.csv"):
    return nodes.read_files({name: "\n".join([HEADER, *lines]).encode()})[0]


def reasons(*lines):
    _, quarantine = nodes.check_rows(read(*lines))
    return [(row.file, row.line, row.reason) for row in quarantine.itertuples()]


def test_all_files_are_read_in_the_order_of_their_names():
    content = f"{HEADER}\n{GOOD}\n".encode()

    rows, files = nodes.read_files({"a.csv": content, "b.csv": content + GOOD.encode()})

    assert rows["file"].tolist() == ["a.csv", "b.csv", "b.csv"]
    assert rows["line"].tolist() == [2, 2, 3]
    assert [(file["name"], file["rows"], file["bytes"]) for file in files] == [
        ("a.csv", 1, len(content)),
        ("b.csv", 2, len(content) + len(GOOD)),
    ]


def test_good_rows_are_typed_and_grades_are_put_right():
    good, quarantine = nodes.check_rows(read("0.23,  very GOOD,e,si2,61.5,55,326,3.95,3.98,2.43"))

    assert quarantine.empty
    assert good.drop(columns=["file", "line"]).iloc[0].tolist() == [
        0.23,
        "Very Good",
        "E",
        "SI2",
        61.5,
        55.0,
        326.0,
        3.95,
        3.98,
        2.43,
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0.23,Ideal,Z,SI2,61.5,55,326,3.95,3.98,2.43", "color must be one of D, E, F, G, H, I, J (D is the best), got 'Z'"),
        ("0.23,Ideal,E,SI2,61.5,55,-1,3.95,3.98,2.43", "price must be more than 0 and at most 100,000,000 USD, got '-1'"),
        ("0.23,Ideal,E,SI2,61.5,55,326,0,3.98,2.43", "x must be more than 0 and at most 100 mm, got '0'"),
        ("0.23,Ideal,E,SI2,61.5,55,326,3.95,wide,2.43", "y must be a number, got 'wide'"),
        ("0.23,Ideal,E,SI2,61.5,55,nan,3.95,3.98,2.43", "price must be a number, got 'nan'"),
        ("0.23,Ideal,E,SI2,61.5,55,inf,3.95,3.98,2.43", "price must be more than 0 and at most 100,000,000 USD, got 'inf'"),
        (",Ideal,E,SI2,61.5,55,326,3.95,3.98,2.43", "carat is missing"),
        ("0.23,,E,SI2,61.5,55,326,3.95,3.98,2.43", "cut is missing"),
        ("2.00,Premium,H,SI2,58.9,57,12210,8.09,58.9,8.06", "y 58.9 mm contradicts the weight: a stone of 2 ct measures about 8.09 mm"),
        ("0.23,Ideal,E,SI2,61.5,55,326,3.95,3.98", "has 9 fields instead of 10; z is missing"),
        ("0.23,Ideal,E,SI2,61.5,55,326,3.95,3.98,2.43,1", "has 11 fields instead of 10"),
    ],
)  # fmt: skip
def test_a_bad_row_is_quarantined_with_file_line_and_reason(line, reason):
    assert reasons(GOOD, line, GOOD) == [("spring.csv", 3, reason)]


def test_all_that_is_wrong_with_a_row_is_said():
    (found,) = reasons("0,Ideal,Z,SI2,61.5,55,-1,3.95,3.98,2.43")

    assert [part.split()[0] for part in found[2].split("; ")] == ["carat", "color", "price"]


def test_lines_are_those_of_the_file_where_a_field_spans_two_or_lines_are_blank():
    assert [line for _, line, _ in reasons("", '0.23,"Ide\nally",E,SI2,61.5,55,326,3.95,3.98,2.43', "", "x")] == [3, 6]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "autumn.csv is empty"),
        (b" \n\n", "autumn.csv is empty"),
        ("\ufeff".encode(), "autumn.csv lacks the columns carat, cut"),
        (HEADER.encode(), "autumn.csv has a header but no stones"),
        (b"carat,cut,color\n1,Ideal,E\n", "autumn.csv lacks the columns clarity, depth, table, price, x, y, z; its first line must name"),
        (HEADER.replace("depth", "dept").encode() + b"\n", "lacks the columns depth and has unknown columns 'dept' (meant depth?)"),
        (HEADER.encode() + b",shop\n", "autumn.csv has unknown columns 'shop'"),
        (HEADER.encode() + b",x\n", "autumn.csv has columns twice: x"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "autumn.csv is not a CSV file in UTF-8"),
        (HEADER.encode() + b'\n"0.23,Ideal\n', "autumn.csv is not a CSV file in UTF-8"),
    ],
    ids=["empty", "blank", "only a mark", "header only", "missing", "misspelt", "unknown", "twice", "binary", "open quote"],
)  # fmt: skip
def test_a_file_that_cannot_be_used_stops_everything_and_is_named(content, message):
    good = f"{HEADER}\n{GOOD}\n".encode()

    with pytest.raises(DataError) as caught:
        nodes.read_files({"autumn.csv": content, "spring.csv": good})

    assert message in str(caught.value)
    assert "spring.csv" not in str(caught.value)
    assert "Nothing was trained: mend or remove it, then run again." in str(caught.value)


def test_all_files_that_cannot_be_used_are_named_at_once():
    with pytest.raises(DataError, match=r"a.csv is empty; b.csv is empty"):
        nodes.read_files({"a.csv": b"", "b.csv": b""})


def test_an_empty_folder_says_where_files_go():
    with pytest.raises(DataError, match=r"put one into data/01_raw/appraisals/"):
        nodes.read_files({})


def test_columns_may_come_in_any_order_with_a_byte_order_mark_and_windows_line_ends():
    content = (
        "\ufeffprice,CUT, color,clarity,depth,table,carat,x,y,z\r\n326,Ideal,E,SI2,61.5,55,0.23,3.95,3.98,2.43\r\n"
    )

    good, quarantine = nodes.check_rows(nodes.read_files({"a.csv": content.encode()})[0])

    assert quarantine.empty
    assert (good["carat"].iloc[0], good["price"].iloc[0], good["line"].iloc[0]) == (0.23, 326.0, 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters='"\x00', exclude_categories=["Cs"]), max_size=30), max_size=8))
def test_whatever_a_row_holds_it_is_kept_or_quarantined_never_lost(lines):
    content = "\n".join([HEADER, GOOD, *lines]).encode()

    rows, files = nodes.read_files({"any.csv": content})
    good, quarantine = nodes.check_rows(rows)

    assert files[0]["rows"] == len(good) + len(quarantine) >= 1
    assert (quarantine["reason"] != "").all()


def test_exact_duplicates_are_dropped_wherever_they_come_from():
    content = f"{HEADER}\n{GOOD}\n{GOOD}\n".encode()
    rows, _ = nodes.read_files({"a.csv": content, "b.csv": content.replace(b"326", b"327")})

    kept = nodes.drop_duplicates(nodes.check_rows(rows)[0], BY_HASH)

    assert kept["price"].tolist() == [326.0, 327.0]
    assert list(kept.columns) == list(COLUMNS)


def test_about_the_share_asked_for_is_held_out(stones):
    train, holdout = nodes.split(stones, BY_HASH)

    assert len(train) + len(holdout) == len(stones)
    assert len(holdout) / len(stones) == pytest.approx(0.2, abs=0.03)


def test_fresh_data_moves_no_stone_to_the_other_side(classic):
    before, fresh = classic.iloc[:2000], classic.iloc[2000:6000]
    train, holdout = nodes.split(before, BY_HASH)
    mixed = pd.concat([fresh, before]).sample(frac=1, random_state=9).reset_index(drop=True)

    train_after, holdout_after = nodes.split(mixed, BY_HASH)

    assert _stones(train) <= _stones(train_after)
    assert _stones(holdout) <= _stones(holdout_after)
    assert not _stones(holdout_after) & _stones(train_after)


def test_a_stone_appraised_twice_is_on_one_side_whatever_the_prices(stones):
    dearer = stones.assign(price=stones["price"] * 1.1)

    train, holdout = nodes.split(pd.concat([stones, dearer], ignore_index=True), BY_HASH)

    assert not _stones(train) & _stones(holdout)


def _stones(frame):
    return set(frame.drop(columns="price").itertuples(index=False, name=None))


def test_too_few_good_stones_say_so_and_point_to_the_quarantine(stones):
    with pytest.raises(
        DataError, match=r"only 60 good stones: \d+ to train on and \d+ to judge by.*see the quarantine"
    ):
        nodes.split(stones.head(60), BY_HASH)


@pytest.mark.parametrize("rows", [1, 60])
def test_too_few_good_stones_say_so_at_random_too(stones, rows):
    with pytest.raises(DataError, match=f"only {rows} good stones"):
        nodes.split(stones.head(rows), AT_RANDOM)


def test_the_random_split_is_that_of_a_notebook_and_gives_its_figures(stones):
    """Linear regression on log price, categories one-hot with the first dropped: written as a notebook would."""
    raw = pd.concat([stones, stones.head(5)], ignore_index=True)
    known, asked = train_test_split(raw, test_size=0.2, random_state=42)
    design = pd.get_dummies(raw.drop(columns=["depth", "table", "y", "z", "price"]), drop_first=True)
    plain = LinearRegression().fit(design.loc[known.index], np.log(known["price"]))
    off = (np.exp(plain.predict(design.loc[asked.index])) - asked["price"]).abs().mean()

    train, holdout = nodes.split(nodes.drop_duplicates(raw, AT_RANDOM), AT_RANDOM)
    linear = models.get("linear").build(models.get("linear").Params())
    predicted = linear.fit(train[list(FEATURES)], train["price"]).predict(holdout[list(FEATURES)])

    assert holdout.equals(asked[list(COLUMNS)].reset_index(drop=True))
    assert np.abs(predicted - holdout["price"]).mean() == pytest.approx(off, rel=1e-9)


def test_the_report_accounts_for_every_row(stones):
    lines = [",".join(map(str, row)) for row in stones[list(COLUMNS)].head(500).itertuples(index=False)]
    rows, files = nodes.read_files({"a.csv": "\n".join([HEADER, *lines, lines[0], "bad"]).encode()})
    checked, quarantine = nodes.check_rows(rows)
    train, holdout = nodes.split(nodes.drop_duplicates(checked, BY_HASH), BY_HASH)

    report = nodes.report(files, quarantine, checked, train, holdout)

    assert (report["rows_in"], report["quarantined"], report["duplicates"]) == (502, 1, 1)
    assert report["training_rows"] + report["holdout_rows"] == 500
    assert report["holdout"] == frame_hash(holdout) != frame_hash(train)


def test_the_fingerprint_depends_on_contents_not_on_names(stones):
    def fingerprint(**files):
        raw = [{"name": name, "sha256": digest, "rows": 0} for name, digest in files.items()]
        return nodes.report(raw, stones, stones, stones, stones)["data_fingerprint"]

    assert fingerprint(a="1", b="2") == fingerprint(z="2", a="1")
    assert fingerprint(a="1", b="2") != fingerprint(a="1", b="3")
