"""The page that prices a stone, in a real browser: what a jeweller does there, and what is shown."""

import csv
import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from browsing import Visit, visiting

FOUR_CS = {"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}
STONE = "?carat=1.1&cut=Ideal&color=H&clarity=SI2"


@pytest.fixture
def visit(browser, served):
    """Opens pages of the service; at the end none has complained or asked another host."""
    with visiting(browser, served.url) as opened:
        yield lambda path="/", **options: opened(path, **options).page


def ask(url, path, body):
    """What the API answers."""
    answer = httpx.post(url + path, json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def dollars(amount):
    return f"${amount:,.0f}"


def choose(page, **grades):
    for name, grade in grades.items():
        page.locator(f'input[name="{name}"][value="{grade}"]').check()


def test_a_stone_is_priced_as_the_api_prices_it_without_leaving_the_page(visit, served):
    quote = ask(served.url, "/predict", FOUR_CS)
    page = visit()

    page.fill("#carat", "1.1")
    choose(page, cut="Ideal", color="H", clarity="SI2")
    page.get_by_role("button", name="Price it", exact=True).click()

    expect(page.locator("#price")).to_have_text(dollars(quote["price"]))
    expect(page.locator("#band")).to_have_text(
        f"90 of 100 stones like it cost {dollars(quote['low'])} to {dollars(quote['high'])}."
    )
    assert "Estimated, for it was not given: depth, table, length, width and height." in page.inner_text("#remarks")
    assert urlsplit(page.url).path == "/"


def test_a_link_to_a_stone_prices_it_when_it_is_opened(visit):
    page = visit(f"/{STONE}&x=6.6")

    expect(page.locator("#price")).to_have_text(re.compile(r"^\$\d,\d{3}$"))
    assert page.input_value("#carat") == "1.10"
    assert page.input_value("#x") == "6.6"
    shared = parse_qs(urlsplit(page.get_attribute("#link", "href")).query)
    assert shared == {"carat": ["1.1"], "cut": ["Ideal"], "color": ["H"], "clarity": ["SI2"], "x": ["6.6"]}


def test_the_page_and_the_price_do_not_wait_for_the_script_that_draws(browser, served):
    kept = []
    visit = Visit(browser, "about:blank")
    visit.page.route("**/static/plotly-*", lambda route: kept.append(route))  # noqa: PLW0108 - Playwright marks it

    visit.page.goto(served.url + "/" + STONE, wait_until="load")

    expect(visit.page.locator("#price")).to_have_text(dollars(ask(served.url, "/predict", FOUR_CS)["price"]))
    assert [route.request.url.rpartition("/")[2].partition("-")[0] for route in kept] == ["plotly"] * len(kept) != []
    expect(visit.page.locator("#why .main-svg")).to_have_count(0)
    for route in kept:
        route.continue_()
    expect(visit.page.locator("#why .main-svg").first).to_be_visible()
    visit.close()


def test_the_why_is_drawn_and_its_dollars_add_up_to_the_price(visit, served):
    reasons = ask(served.url, "/explain", FOUR_CS)
    page = visit(f"/{STONE}")

    expect(page.locator("#why .waterfalllayer")).to_be_visible()
    shown = page.locator("#effects tbody tr").all_text_contents()
    assert len(shown) == len(reasons["effects"]) + 2
    assert dollars(reasons["base_price"]) in shown[0]
    assert dollars(reasons["quote"]["price"]) in shown[-1]
    changes = [
        float(re.sub(r"[$,+]", "", text).replace("−", "-"))
        for text in page.locator("#effects tbody tr td:nth-child(2)").all_text_contents()
    ]
    assert sum(changes[:-1]) == pytest.approx(changes[-1], abs=len(changes) / 2)


def test_a_similar_stone_can_be_opened_and_is_priced_with_its_measurements(visit, served):
    (nearest,) = ask(served.url, "/similar", FOUR_CS | {"n": 1})["samples"]
    page = visit(f"/{STONE}")

    page.locator("#samples tbody tr").first.get_by_role("button").click()

    expect(page.locator("#remarks")).to_contain_text(
        f"A stone of the training data, which cost {dollars(nearest['price'])} there."
    )
    assert float(page.input_value("#x")) == nearest["x"]
    sample = {name: value for name, value in nearest.items() if name not in {"price", "carat_difference"}}
    expect(page.locator("#price")).to_have_text(dollars(ask(served.url, "/predict", sample)["price"]))


def test_once_there_is_a_price_it_follows_what_is_changed(visit, served):
    page = visit(f"/{STONE}")
    expect(page.locator("#price")).not_to_be_empty()

    choose(page, color="D")

    better = ask(served.url, "/predict", FOUR_CS | {"color": "D"})["price"]
    expect(page.locator("#price")).to_have_text(dollars(better))


def test_a_problem_is_said_beside_its_field_in_the_words_of_the_api_and_goes_when_it_is_mended(visit):
    page = visit()

    page.fill("#carat", "-1")
    page.get_by_role("button", name="Price it", exact=True).click()

    expect(page.locator("#carat-problem")).to_have_text("Weight must be more than 0 and at most 100 ct.")
    expect(page.locator("#carat")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#carat")).to_be_focused()
    expect(page.locator("#found")).to_be_hidden()
    page.fill("#carat", "1")
    expect(page.locator("#carat-problem")).to_be_empty()
    expect(page.locator("#price")).not_to_be_empty()


def test_a_measurement_that_is_far_from_any_is_said_to_be(visit):
    page = visit(f"/{STONE}&x=9.9")

    expect(page.locator("#remarks")).to_contain_text("Unlike anything the model has learned from: length.")


def test_hints_show_the_usual_size_of_a_stone_of_that_weight(visit):
    page = visit()

    page.locator("#measurements summary").click()
    small = float(page.get_attribute("#x", "placeholder"))
    page.fill("#carat", "8")

    assert float(page.get_attribute("#x", "placeholder")) == pytest.approx(2 * small, abs=0.02)
    assert 6.2 < small < 6.6


def test_a_form_can_be_filled_in_by_keyboard_alone(visit):
    page = visit()

    page.focus("#carat")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # Very Good → Premium
    page.keyboard.press("Enter")

    expect(page.locator("#price")).not_to_be_empty()
    assert parse_qs(urlsplit(page.url).query)["cut"] == ["Premium"]


ROWS = """carat;cut;color;clarity;note;x
1.1;ideal;h;si2;"the first; ""good"" one";
0.5;Very Good;Z;VS1;no such color;
;Good;E;VS1;no weight;
0.7;good;e;vs1;;5.7
"""


def test_rows_of_a_spreadsheet_come_back_with_prices_and_problems(visit, served, tmp_path):
    first, last = (
        ask(served.url, "/predict", stone)
        for stone in (FOUR_CS, {"carat": 0.7, "cut": "Good", "color": "E", "clarity": "VS1", "x": 5.7})
    )
    page = visit()

    page.fill("#rows", ROWS)
    page.get_by_role("button", name="Price them").click()

    expect(page.locator("#batch-said")).to_have_text(
        "2 of 4 stones priced; what is wrong with the other 2 is said beside it."
    )
    with page.expect_download() as started:
        page.get_by_role("link", name="Download all as CSV").click()
    assert started.value.suggested_filename == "priced.csv"
    started.value.save_as(tmp_path / "priced.csv")
    with (tmp_path / "priced.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["note"] for row in rows] == ['the first; "good" one', "no such color", "no weight", ""]
    assert [row["price"] for row in rows] == [str(first["price"]), "", "", str(last["price"])]
    assert [row["problem"] for row in rows] == [
        "", "color must be one of D, E, F, G, H, I, J (D is the best)", "carat is required", "",
    ]  # fmt: skip


def test_a_file_of_many_stones_is_priced_piece_by_piece(visit, tmp_path):
    (tmp_path / "stones.csv").write_text("carat,cut,color,clarity\n" + "1.1,Ideal,H,SI2\n" * 1_203)
    page = visit()
    asked = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))

    page.set_input_files("#file", tmp_path / "stones.csv")

    expect(page.locator("#batch-said")).to_have_text("1,203 of 1,203 stones priced.")
    assert asked.count("/predict/batch") == 3
    expect(page.locator("#priced-caption")).to_have_text("The first 20 of 1,203")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("", "There is nothing to price: the first row names the columns, each further one is a stone."),
        (
            "weight,cut,color,clarity\n1,Ideal,D,IF",
            "The first row has no column carat. It names: weight, cut, color, clarity.",
        ),
    ],
)
def test_rows_that_cannot_be_meant_are_refused_in_plain_words(visit, rows, problem):
    page = visit()

    page.fill("#rows", rows)
    page.get_by_role("button", name="Price them").click()

    expect(page.locator("#rows-problem")).to_have_text(problem)


def test_without_its_script_the_page_says_what_to_do(visit):
    page = visit(java_script_enabled=False)

    assert "To price a stone here, allow this page its script, or ask the API." in page.inner_text("main")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_priced_stone_fits_its_window_and_can_be_read(browser, served, width, scheme):
    visit = Visit(browser, f"{served.url}/{STONE}", viewport={"width": width, "height": 900}, color_scheme=scheme)
    expect(visit.page.locator("#price")).not_to_be_empty()
    expect(visit.page.locator("#around .scatterlayer")).to_be_visible()

    assert not visit.is_wider_than_its_window()
    assert visit.faint() == []
    visit.close()
