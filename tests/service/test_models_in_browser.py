"""The pages of models and runs in a real browser, of a project that was trained as anybody would train it."""

import itertools
import json
import re

import pytest
from playwright.sync_api import expect

from browsing import Visit
from diamonds.service.wording import metric, moment
from project import memory, serve, stop

#: In milliseconds: the command that promotes imports much, on a busy machine for long.
COMMAND = 120_000
NARROW = {"viewport": {"width": 390, "height": 844}}


def visit(browser, served, path="/models", **options):
    return Visit(browser, f"{served.url}{path}", **options)


def require_clean(there, served):
    """Nothing was complained of, and nobody else was asked for anything."""
    assert there.complaints == []
    assert there.hosts == {served.url.removeprefix("http://")}
    assert not there.is_wider_than_its_window()
    assert there.faint() == []


def draw_all(page):
    """Open all models and look at each of their figures; how many there are."""
    figures = page.locator("[data-figure]")
    page.evaluate("document.querySelectorAll('details.model').forEach((each) => { each.open = true; })")
    for place in range(figures.count()):
        figures.nth(place).scroll_into_view_if_needed()
        page.wait_for_function("(figure) => figure.data", arg=figures.nth(place).element_handle())
    return figures.count()


@pytest.mark.parametrize("options", [{"color_scheme": "light"}, {"color_scheme": "dark"}, NARROW])
def test_from_the_history_one_comes_to_a_run_and_its_figures_are_drawn(browser, served, trained, options):
    (run, *_), champion = memory(trained)
    there = visit(browser, served, **options)
    page = there.page

    page.click(f"table.runs >> text={moment(run['started_at'])}")
    page.wait_for_selector(f"h1 >> text=Run of {moment(run['started_at'])}")

    asked = []
    page.on("request", lambda request: asked.append(request.url))
    assert draw_all(page) == 11
    assert len([url for url in asked if url.endswith("importances.json")]) >= 3, "figures come as they are looked at"
    best = page.locator(f"#{champion.name} summary >> nth=0").inner_text()
    assert metric(champion.metrics["overall"]["mae"], "mae") in best
    require_clean(there, served)
    there.close()


def test_a_figure_on_the_page_shows_the_numbers_of_the_file(browser, served, trained):
    (run, *_), _ = memory(trained)
    there = visit(browser, served, f"/models/{run['id']}#linear")
    page = there.page
    page.locator("#linear [data-figure=importances]").scroll_into_view_if_needed()
    page.wait_for_selector("#linear [data-figure=importances].js-plotly-plot")

    shown = page.evaluate("[...document.querySelector('#linear [data-figure=importances]').data[0].x]")

    file = json.loads(trained.newest("08_reporting/linear_importances.json").read_text())
    assert shown == file["data"][0]["x"]
    there.close()


def test_the_pages_are_used_by_keyboard_alone(browser, served, trained):
    (run, *_), champion = memory(trained)
    there = visit(browser, served, f"/models/{run['id']}")
    page = there.page

    page.focus("#median summary")
    page.keyboard.press("Enter")
    page.wait_for_selector("#median[open]")
    page.focus("#median .promotion summary")
    page.keyboard.press("Space")
    page.wait_for_selector("#median .promotion[open]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "reason"
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.matches(':invalid')"), "a reason is asked for before anything is sent"
    assert memory(trained)[1] == champion
    there.close()


@pytest.mark.parametrize("path", ["/models", "/models/{run}"])
def test_headings_are_in_order_and_tables_and_fields_have_names(browser, served, trained, path):
    (run, *_), _ = memory(trained)
    there = visit(browser, served, path.format(run=run["id"]))
    page = there.page

    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((each) => Number(each.tagName[1]))")
    unnamed = page.evaluate("""() => [
      ...[...document.querySelectorAll("table")].filter((each) => !each.caption?.textContent.trim()),
      ...[...document.querySelectorAll("th")].filter((each) => !each.scope),
      ...[...document.querySelectorAll("input:not([type=hidden])")].filter((each) => !each.labels.length),
      ...[...document.querySelectorAll("[role=img],[role=region]")].filter((each) => !each.ariaLabel && !each.getAttribute("aria-labelledby")),
    ].map((each) => each.outerHTML.slice(0, 90))""")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")

    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert unnamed == []
    assert len(ids) == len(set(ids))
    there.close()


@pytest.fixture
def served_small(small_trained):
    """A project after two runs, served for this test alone."""
    small_trained.succeed("kedro", "run", "--namespaces=linear")
    running = serve(small_trained)
    yield running
    stop(running)


def test_each_metric_is_drawn_run_by_run_and_a_point_leads_to_its_run(browser, served_small):
    (_, first), champion = memory(served_small.project)
    there = visit(browser, served_small)
    page = there.page
    page.wait_for_selector("#course.js-plotly-plot")

    page.check("input[value=coverage]")
    page.check("#floor")
    page.click("#course-table summary")

    page.wait_for_function("() => document.getElementById('course').data.some((trace) => trace.name === 'median')")
    rows = page.locator("#course-table tbody tr")
    best = next(model for model in first["models"] if model["name"] == champion.name)
    expect(page.locator("#course-table caption")).to_have_text("Within the band, the newest run first")
    assert rows.count() == 2
    assert f"★ {metric(best['metrics']['overall']['coverage'], 'coverage')}" in rows.nth(1).inner_text()
    require_clean(there, served_small)
    page.evaluate(
        "(id) => document.getElementById('course').emit('plotly_click', {points: [{customdata: id}]})", first["id"]
    )
    page.wait_for_url(f"**/models/{first['id']}")
    there.close()


def test_a_model_is_made_champion_and_rolled_back_and_the_service_follows(browser, served_small):
    project = served_small.project
    (_, first), before = memory(project)
    there = visit(browser, served_small, f"/models/{first['id']}#median")
    page = there.page

    page.click("#median .promotion summary")
    page.fill("#median [name=reason]", "to see <b>whether</b> it works")
    page.click("#median .promotion button")
    page.wait_for_url("**/models?promoted=yes", timeout=COMMAND)

    assert page.locator(".champion .name").inner_text() == "median"
    assert "to see <b>whether</b> it works." in page.locator("[role=status]").inner_text()
    assert (memory(project)[1].name, memory(project)[1].reason) == ("median", "to see <b>whether</b> it works")
    while json.loads(page.request.get(f"{served_small.url}/champion").text())["name"] != "median":
        pass
    page.reload()
    assert page.locator(".champion .notice.wrong").count() == 0
    page.click("text=Roll back")
    page.fill(".promotion[open] [name=reason]", "it does not")
    page.click(".promotion[open] button")
    page.locator(".champion .name", has_text=before.name).wait_for(timeout=COMMAND)
    assert (memory(project)[1].name, memory(project)[1].version) == (before.name, before.version)
    assert there.complaints == []
    there.close()


def test_everything_is_there_without_scripts(browser, served, trained):
    (run, *_), champion = memory(trained)
    there = visit(browser, served, java_script_enabled=False)

    text = there.page.inner_text("main")
    there.page.click("table.runs tbody a >> nth=0")
    there.page.wait_for_url(f"**/models/{run['id']}")

    assert champion.reason in text
    assert metric(champion.metrics["overall"]["mae"], "mae") in text
    there.page.click("#median summary >> nth=0")
    there.page.click("#median .promotion summary")
    assert there.page.locator("#median .promotion button").is_visible()
    assert re.search(r"Fair\s+\d+\.\d %", there.page.inner_text("main"))
    there.close()
