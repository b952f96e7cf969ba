"""The page of a stream in a real browser: a person starts it, watches, steers, asks, and begins anew."""

import re
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from browsing import JUDGED, Visit, axe_script, require_quiet_and_at_home
from diamonds.config import Settings
from diamonds.store.database import migrate, open_database
from diamonds.streams.feeding.generators import employees
from diamonds.streams.feeding.rows import Held, keyed
from diamonds.streams.feeding.server import make_app as make_feed
from diamonds.streams.live import make_app
from diamonds.streams.memory.memory import Memory
from diamonds.streams.running.runner import Runner
from diamonds.streams.spec import FeedSpec, feed
from feeds import drawn_feed, serving
from project import ROOT
from streamed import learned, pages_of, status, until

SPEC = feed(ROOT, "promotions")
ROWS = 1500
SCREENS = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 390, "height": 800}}


@pytest.fixture(autouse=True)
def quiet_and_at_home():
    """No page complains to its console or asks another host for anything, whatever is done with it."""
    yield
    require_quiet_and_at_home()


@contextmanager
def learning(folder, rows=ROWS, *, paused=True, faults=None, spec=SPEC, source=None, **wishes):
    """Learns from a feed of so many rows, and serves its page: the address, the runner and the database."""
    with ExitStack() as ends:
        engine = open_database(Settings(database_url=f"sqlite:///{folder}/d.db"), durable=True)
        ends.callback(engine.dispose)
        migrate(engine)
        url = ends.enter_context(serving(source or drawn_feed(rows, **(faults or {}))))
        runner = Runner(spec, engine, url=url, paused=paused, **wishes)
        ends.callback(runner.stop)
        runner.start_thread()
        until(runner, status("paused") if paused else status("caught up"))
        yield ends.enter_context(serving(make_app(runner, spec, engine))), runner, engine


@contextmanager
def opened(browser, stream, **window):
    """A window with the page of a stream, and what is behind it."""
    url, runner, engine = stream
    visit = Visit(browser, url, **window)
    visit.runner, visit.engine = runner, engine
    yield visit
    visit.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Opens the page of a stream of its own."""
    with ExitStack() as ends:
        yield lambda **wishes: ends.enter_context(opened(browser, ends.enter_context(learning(tmp_path, **wishes))))


@pytest.fixture(scope="module")
def caught_up(tmp_path_factory):
    """A stream that has learned all there is, to look at."""
    with learning(tmp_path_factory.mktemp("caught_up"), paused=False) as stream:
        yield stream


@pytest.fixture
def look(browser, caught_up):
    """Opens its page."""
    with ExitStack() as ends:
        yield lambda **window: ends.enter_context(opened(browser, caught_up, **window))


def press(visit, name):
    visit.page.get_by_role("button", name=name, exact=True).click()


def shown(visit):
    """The rows and the version that the status line says."""
    line = visit.page.locator('[data-live="status"]').inner_text()
    rows, version = re.search(r"([\d,]+)\s+rows\b", line), re.search(r"version\s+(\d+)\s+saved", line)
    return int(rows[1].replace(",", "")), int(version[1])


def stored(visit):
    """The rows and the version of the checkpoint."""
    with visit.engine.connect() as connection:
        return tuple(connection.execute(text("SELECT rows, version FROM stream_checkpoint")).one())


def told(visit, name):
    """What the checkpoint says of a learner."""
    (checkpoint,) = learned(visit.engine)["checkpoint"]
    return checkpoint["statistics"][name] | {"coefficients": checkpoint["coefficients"][name]}


def expect_status(visit, word):
    expect(visit.page.locator(".state")).to_have_text(word)


def expect_version(visit, version):
    expect(visit.page.locator('[data-live="status"]')).to_contain_text(f"version {version} saved")


def test_a_person_starts_it_sees_rows_rise_and_reads_the_verdict(visit):
    seen = visit(pages_a_batch=5)
    assert shown(seen) == (0, 0)
    expect(seen.page.get_by_text("No rows yet: nothing was trained in advance")).to_be_visible()

    press(seen, "Start")

    expect_status(seen, "Caught up")
    assert shown(seen) == stored(seen) == (ROWS, ROWS // 50)
    verdict = seen.page.locator(".verdict")
    expect(verdict).to_contain_text("Do not read it as one costing the other.")
    expect(verdict).to_have_text(told(seen, "networking")["verdict"]["sentence"])
    expect(seen.page.locator("svg.graph")).to_contain_text("no direct link seen")
    expect(seen.page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
    assert seen.hosts == {seen.page.url.split("/")[2]}


def test_a_pause_holds_within_one_batch_and_one_batch_is_one(visit):
    seen = visit(rows=100_000, pages_a_batch=1)
    press(seen, "Start")
    expect(seen.page.locator("#rows")).to_have_text(re.compile(r"\d{3}"))

    with seen.page.expect_response("**/control/pause"):
        press(seen, "Pause")
    _, as_it_was_answered = stored(seen)
    expect_status(seen, "Paused")
    rows, version = stored(seen)
    assert 100 <= rows < 100_000
    assert version - as_it_was_answered in {0, 1}

    press(seen, "One batch")

    expect_version(seen, version + 1)
    expect_status(seen, "Paused")
    assert shown(seen) == stored(seen) == (rows + 10, version + 1)  # nothing was learned in between


def test_after_a_reload_the_page_is_the_checkpoint_also_without_scripts(look):
    seen = look()
    expected = [f"{each['estimate']:.2f}".replace("-", "−") for each in told(seen, "promotion")["coefficients"]]

    seen.page.reload()
    expect(seen.page.locator(".verdict")).to_have_text(told(seen, "networking")["verdict"]["sentence"])
    plain = look(java_script_enabled=False)

    for page in (seen, plain):
        assert shown(page) == stored(seen) == (ROWS, ROWS // 100)
        table = page.page.locator('[data-live="promotion-table"]').text_content()
        assert [number for number in expected if number not in table] == []
    expect(plain.page.locator(".verdict")).to_have_text(told(seen, "networking")["verdict"]["sentence"])
    expect(plain.page.get_by_role("button", name="Start", exact=True)).to_be_hidden()


def test_an_employee_is_asked_about_with_the_uncertainty_of_this_moment(visit):
    seen = visit()
    ask = seen.page.locator("#ask")
    for column, value in {"competence": "1", "network ability": "0.5"}.items():
        ask.get_by_label(column).fill(value)

    ask.get_by_role("button", name="Ask").press("Enter")
    expect(seen.page.locator("#answer")).to_contain_text("nothing was learned from promotions yet")
    press(seen, "Start")
    expect_status(seen, "Caught up")
    ask.get_by_role("button", name="Ask").press("Enter")

    answer = seen.runner.answer({"competence": 1.0, "network_ability": 0.5})["promotion"]
    percents = "{probability:.0%} (95 %: {low:.0%} to {high:.0%}), from {rows:,} rows".format(**answer)
    expect(seen.page.locator("#answer")).to_contain_text(percents)
    assert 0 < answer["low"] < answer["probability"] < answer["high"] < 1


def test_a_reset_wants_the_feeds_name_and_then_begins_anew(visit):
    seen = visit(paused=False)
    seen.runner.pause()
    expect_status(seen, "Paused")
    keep = seen.page.get_by_label("keep the stored rows")
    keep.uncheck()

    seen.page.get_by_label("Name of the feed").fill("promotion")
    press(seen, "Reset")
    expect(seen.page.locator("#said")).to_have_text("a reset is confirmed by the feed's name: type promotions")
    assert is_in_view(seen.page.locator("#said"))
    assert seen.colour("#said") == seen.colour("button.danger")
    assert stored(seen)[0] == ROWS
    seen.page.get_by_label("Name of the feed").fill("promotions")
    press(seen, "Reset")

    expect(seen.page.locator("#said")).to_have_text("Begun anew.")
    expect(seen.page.get_by_text("No rows yet")).to_be_visible()
    assert shown(seen) == stored(seen) == (0, stored(seen)[1])
    assert learned(seen.engine)["rows"] == []
    expect(keep).to_be_checked()


def test_a_rejected_row_is_shown_with_its_reason_and_read_again(visit):
    seen = visit(rows=100, paused=False, faults={"bad_every": 50})
    table = seen.page.locator("#rejects tbody")

    expect(table.get_by_role("row")).to_have_count(2)
    seen.page.get_by_role("button", name="again").first.click()

    expect(seen.page.locator("#said")).to_contain_text(re.compile(r"^Row \S+ .*\."))
    expect(seen.page.locator("#events")).to_contain_text(
        "of page 4 was read again: still not learned, competence must be"
    )
    assert stored(seen)[0] == 98


def test_an_audit_puts_what_was_learned_beside_fits_to_all_rows(look):
    seen = look()

    press(seen, "Audit")

    rows = seen.page.locator("#gaps tbody tr")
    expect(rows.first).to_be_visible()
    gaps = seen.runner.audit()
    assert rows.count() == sum(len(each) for each in gaps.values()) > 20


def test_points_of_the_map_are_told_by_the_keyboard(look):
    seen = look()
    canvas = seen.page.locator('canvas[data-draw="map"]')
    canvas.focus()

    canvas.press("ArrowRight")
    first = seen.page.locator('[data-tip="promotion-map"]')
    expect(first).to_contain_text("competence")
    before = first.text_content()
    canvas.press("ArrowLeft")

    expect(first).not_to_have_text(before)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_it_fits_its_window_and_can_be_read(look, screen, scheme):
    seen = look(viewport=SCREENS[screen], color_scheme=scheme)
    expect(seen.page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
    press(seen, "Audit")
    expect(seen.page.locator("#gaps tbody tr").first).to_be_visible()

    assert not seen.is_wider_than_its_window()
    assert seen.faint() == []
    unnamed = "e => !e.labels?.length && !e.ariaLabel && !e.textContent.trim()"
    assert seen.page.locator("input, select, button").evaluate_all(f"all => all.filter({unnamed}).length") == 0


def test_a_page_finds_its_server_again_and_shows_the_newest_moment(browser, tmp_path):
    with learning(tmp_path, pages_a_batch=5) as (_, runner, engine):
        with serving(make_app(runner, SPEC, engine)) as url:
            seen = Visit(browser, url)
            expect_status(seen, "Paused")
            away = seen.page.locator("#away")
            expect(away).to_be_empty()
        expect(away).to_have_text("The process that learns does not answer; what is below is from before.")
        assert seen.colour(".state") == seen.colour(".about")
        runner.start()
        until(runner, status("caught up"))
        seen.engine = engine
        assert shown(seen) == (0, 0)

        with serving(make_app(runner, SPEC, engine), urlsplit(url).port):
            expect_status(seen, "Caught up")
            assert shown(seen) == stored(seen) == (ROWS, ROWS // 50)
            expect(away).to_be_empty()
            assert seen.colour(".state") != seen.colour(".about")
            seen.close()
            seen.complaints.clear()  # of the server that was away


def test_what_a_person_clicked_on_goes_on_being_the_newest_and_keeps_the_focus(visit):
    seen = visit(pages_a_batch=1, rows=300)
    seen.runner.one_batch()
    seen.runner.set_speed(20)
    cell = seen.page.locator("table.regressions tbody tr").first.locator("td").nth(1)
    cell.click()
    focused = seen.page.get_by_label("Regressions of network ability", exact=True)
    expect(focused).to_be_focused()

    press(seen, "Start")
    cell.click()

    expect_status(seen, "Caught up")
    expect(seen.page.locator("#rows")).to_have_text("300")
    expect(seen.page.locator("table.regressions tbody tr").first).to_contain_text("300")
    expect(focused).to_be_focused()


def is_in_view(locator):
    return locator.evaluate(
        "e => { const {top, bottom} = e.getBoundingClientRect(); return top >= 0 && bottom <= innerHeight; }"
    )


def test_two_windows_show_alike_what_the_stream_is_set_to_and_a_refused_value_is_set_back(browser, visit):
    seen = visit(pages_a_batch=5)
    other = Visit(browser, seen.page.url)
    pages = seen.page.get_by_label("Pages a batch")
    start, pause = (seen.page.get_by_role("button", name=name, exact=True) for name in ("Start", "Pause"))
    expect(pause).to_be_disabled()
    expect(start).to_be_enabled()

    other.page.get_by_label("Pages a batch").fill("7")
    other.page.get_by_label("Pages a batch").press("Tab")
    other.page.get_by_label("Speed").select_option("10 batches a second")
    expect(pages).to_have_value("7")
    expect(seen.page.get_by_label("Speed")).to_have_value("10")
    seen.runner.set_speed(3.5)
    expect(seen.page.get_by_label("Speed")).to_have_value("3.5")
    seen.runner.set_speed(None)
    expect(seen.page.get_by_label("Speed")).to_have_value("")
    other.page.get_by_label("Speed").blur()
    expect(other.page.get_by_label("Speed")).to_have_value("")

    pages.fill("900")
    pages.press("Enter")
    said = seen.page.locator("#said")
    expect(said).to_have_text("the pages a batch must be a whole number from 1 to 500, not 900")
    expect(pages).to_have_value("7")
    press(other, "Start")
    expect(start).to_be_disabled()
    expect(pause).to_be_enabled()
    other.close()


def test_without_scripts_the_page_tells_what_is_stored_and_offers_nothing_dead(browser, tmp_path):
    with learning(tmp_path, rows=100, paused=False, faults={"bad_every": 50}) as stream:
        stream[1].pause()
        until(stream[1], status("paused"))
        with opened(browser, stream, java_script_enabled=False) as plain:
            expect(plain.page.locator("#rejects tbody tr")).to_have_count(2)
            expect(plain.page.locator("#rejects")).to_contain_text("Times in UTC")
            expect(plain.page.locator("#events")).to_contain_text("paused")
            assert plain.page.get_by_role("button").all() == []
            assert plain.page.locator("canvas, form, input, .chart, .tip").locator("visible=true").all() == []


def test_the_verdict_comes_first_and_no_table_of_the_wide_page_is_cut(look):
    seen = look(viewport=SCREENS["wide"])

    expect(seen.page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
    cut = "all => all.filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map(e => e.ariaLabel)"

    assert is_in_view(seen.page.locator(".verdict"))
    assert is_in_view(seen.page.locator("table.regressions"))
    assert seen.page.locator(".scrolls").evaluate_all(cut) == []


def test_while_rows_come_in_nothing_jumps(visit):
    seen = visit(pages_a_batch=20, rows=2000)
    observe = "() => { window.jumped = 0; new PerformanceObserver((list) => list.getEntries().forEach((e) => { jumped += e.value; })).observe({type: 'layout-shift'}); }"
    seen.runner.one_batch()
    expect(seen.page.locator("#rows")).to_have_text("200")
    expect(seen.page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
    seen.page.evaluate(observe)

    seen.runner.set_speed(5)
    seen.runner.start()

    expect(seen.page.locator("#rows")).to_have_text("2,000")
    assert seen.page.evaluate("jumped") < 0.1


def test_what_is_taken_away_is_a_click_away(look):
    seen = look()
    links = seen.page.locator(".downloads li").filter(has_text="Rows:")

    with seen.page.expect_download() as taken:
        links.get_by_role("link", name="CSV").click()

    assert taken.value.suggested_filename == "promotions_rows.csv"
    assert len(taken.value.path().read_text().splitlines()) == ROWS + 1


def test_after_another_process_learned_a_person_starts_it_again(visit):
    seen = visit(pages_a_batch=10)
    seen.runner.one_batch()
    expect(seen.page.locator("#rows")).to_have_text("100")
    other = Memory(seen.engine, SPEC)
    other.open()
    other.commit(pages_of(employees("sum", 1, 100, 200), first=10))

    press(seen, "Start")
    expect_status(seen, "Paused")
    expect(seen.page.locator(".reason")).to_contain_text("another process learns from promotions: this one stops here")
    press(seen, "Start")

    expect_status(seen, "Caught up")
    assert shown(seen)[0] == stored(seen)[0] == ROWS


RIDING = FeedSpec.model_validate(
    {
        "name": "stones",
        "url": "http://127.0.0.1:5000",
        "columns": {
            "size_cm": {"type": "number"},
            "colour": {"type": "text", "one_of": ["red", "<i>blue</i>"]},
            "polished": {"type": "boolean"},
            "good": {"type": "boolean"},
        },
        "learners": {
            "river": {
                "kind": "adapter",
                "class": "river.linear_model.LogisticRegression",
                "target": "good",
                "features": ["size_cm", "polished"],
            },
            "goodness": {"kind": "logit", "target": "good", "features": ["size_cm", "polished"]},
        },
    }
)


def riding_feed():
    """Stones of a size and a colour, of which the large and polished ones are good."""
    sizes = np.random.default_rng(3).normal(size=400)
    frame = pd.DataFrame({"size_cm": sizes, "polished": sizes * 7 % 1 > 0.5, "colour": "red"})
    frame["colour"] = frame["colour"].where(frame["polished"], "<i>blue</i>")
    frame["good"] = frame["size_cm"] + frame["polished"] > 0.4
    return make_feed(RIDING, Held(keyed(RIDING, frame)), lambda: len(frame))


def test_a_feed_of_texts_and_booleans_is_learned_shown_and_asked_about(browser, tmp_path):
    with (
        learning(tmp_path, spec=RIDING, source=riding_feed(), paused=False) as stream,
        opened(browser, stream) as seen,
    ):
        panel = seen.page.get_by_role("region", name="River").first
        expect(panel).to_contain_text("Rides along: river.linear_model.LogisticRegression, which predicts good")
        expect(panel).to_contain_text("predicted rightly")
        ask = seen.page.locator("#ask")
        polished = ask.get_by_label("polished")
        assert polished.evaluate("e => [e.required, e.value]") == [True, ""]
        ask.get_by_label("size cm").fill("1.5")
        ask.get_by_role("button", name="Ask").click()
        expect(seen.page.locator("#answer")).to_be_empty()

        polished.select_option("yes")
        ask.get_by_role("button", name="Ask").click()

        expect(seen.page.locator("#answer")).to_contain_text(re.compile(r"good: (9\d|100)%.*from 400 rows"))


def test_the_page_of_diamonds_says_what_a_stone_costs_and_waits_for_a_champion(browser, tmp_path, stones):
    spec = feed(ROOT, "diamonds")
    appraised = make_feed(spec, Held(keyed(spec, stones.head(1000))), lambda: 1000)
    with learning(tmp_path, spec=spec, source=appraised, paused=False) as stream, opened(browser, stream) as seen:
        market = seen.page.get_by_role("region", name="How far the market moved since the champion was trained")
        expect(market).to_contain_text("waits for a champion")
        expect(market.locator("table, .js-plotly-plot")).to_have_count(0)
        expect(
            seen.page.get_by_role("region", name="How near its prices are").locator(".js-plotly-plot")
        ).to_be_visible()
        ask = seen.page.locator("#ask")
        ask.get_by_label("carat").fill("1")
        for column, grade in {"cut": "Ideal", "color": "G", "clarity": "VS2"}.items():
            assert ask.get_by_label(column).input_value() == ""
            ask.get_by_label(column).select_option(grade)

        ask.get_by_role("button", name="Ask").click()

        price = stream[1].answer({"carat": 1.0, "cut": "Ideal", "color": "G", "clarity": "VS2"})["price"]["price"]
        expect(seen.page.locator("#answer")).to_contain_text(f"price: {price:,.0f} $")


def test_a_slope_has_the_same_digits_in_its_table_and_beside_its_drawing(look):
    seen = look()
    tables = told(seen, "networking")["regressions"]

    lines = seen.page.locator(".legend li").all_inner_texts()
    cells = seen.page.locator("table.regressions tbody tr").filter(has_text="competence").all_inner_texts()

    slopes = [line.partition("slope ")[2] for line in lines]
    assert [line.partition(":")[0] for line in lines] == ["overall", "promoted only", "not promoted"]
    assert all(any(f"\t{slope} ±" in cell for cell in cells) for slope in slopes)
    assert [float(slope.replace("−", "-")) for slope in slopes] == [
        pytest.approx(tables[place]["terms"][0]["estimate"], abs=0.001) for place in (0, 3, 4)
    ]


def test_the_page_keeps_nobody_out_light_or_dark_wide_or_narrow(look):
    seen = look(reduced_motion="reduce")
    seen.page.locator("[data-chart] .main-svg").first.wait_for()
    seen.page.evaluate(axe_script())

    found = {}
    for width in (1280, 390):
        seen.page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            seen.page.emulate_media(color_scheme=scheme)
            found[width, scheme] = seen.page.evaluate(JUDGED, [])

    assert {where: what for where, what in found.items() if what} == {}
