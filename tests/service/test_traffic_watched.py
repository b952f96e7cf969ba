"""The page of the traffic log in a real browser, over a real service."""

import json
import re
import sqlite3
import time
import urllib.error
import urllib.request
from contextlib import closing

import pytest

from browsing import visiting
from project import STONE

OPENED = ".opened .exchange"


@pytest.fixture
def visit(browser, served):
    """Opens a page of the service; what was opened is closed again, and nothing was complained of."""
    with visiting(browser, served.url) as opened:
        yield opened


def ask(served, path, body=None, **headers):
    """What the service answers to a program."""
    content = {} if body is None else {"data": json.dumps(body).encode()}
    known = {"Content-Type": "application/json"} | headers
    request = urllib.request.Request(served.url + path, **content, headers=known)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own loopback address
            return json.load(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return json.load(answer)


def until_logged(served, request_id):
    """The exchange with this id, once the outbox is shipped; that has no event to wait for."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := [e for e in ask(served, "/traffic?limit=100")["exchanges"] if e["request_id"] == request_id]:
            return found[0]
    raise AssertionError(f"{request_id} is not in the log")


def test_a_request_is_opened_in_the_list_by_keyboard_and_its_script_is_only_text(served, visit):
    refused = ask(served, "/predict", STONE | {"<script>document.title='stolen'</script>": 1})
    logged = until_logged(served, refused["request_id"])
    page = visit("/traffic?status=422").page
    opener = page.locator(f"a[href='traffic/{refused['request_id']}']")

    opener.focus()
    opener.press("Enter")
    page.locator(OPENED).wait_for()

    assert opener.get_attribute("aria-expanded") == "true"
    sent, answered = (json.loads(text) for text in page.locator(f"{OPENED} pre").all_text_contents())
    assert (sent, answered) == (logged["request_body"], logged["response_body"])
    assert page.title() == "What is asked of the service"
    opener.press("Enter")
    assert (page.locator(OPENED).count(), opener.get_attribute("aria-expanded")) == (0, "false")


def test_an_exchange_has_an_address_of_its_own_to_be_copied(served, visit):
    quote = ask(served, "/predict", STONE)
    until_logged(served, quote["request_id"])
    page = visit("/traffic", permissions=["clipboard-read", "clipboard-write"]).page
    page.locator(f"a[href='traffic/{quote['request_id']}']").click()

    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied.").wait_for()
    address = page.evaluate("navigator.clipboard.readText()")
    page.goto(address)

    assert address == f"{served.url}/traffic/{quote['request_id']}"
    assert json.loads(page.locator("pre").nth(1).text_content()) == quote
    assert page.locator("h1").text_content() == "POST /predict"


def test_the_numbers_and_figures_follow_what_is_asked_while_the_page_is_seen(served, visit):
    until_logged(served, ask(served, "/predict", STONE)["request_id"])
    page = visit("/traffic").page
    tile = page.locator(".tiles b").first
    page.locator("#requests .legendtext").first.wait_for()
    before = int(tile.text_content().replace(",", ""))

    until_logged(served, ask(served, "/predict", STONE)["request_id"])
    page.locator("#newer a").wait_for()

    assert int(tile.text_content().replace(",", "")) > before
    answered = page.locator("#buckets tbody td:nth-child(2)").all_text_contents()
    drawn = page.evaluate("document.getElementById('requests').data[0].y")
    assert drawn == [int(number.replace(",", "")) for number in answered]
    page.locator("#newer a").click()
    assert page.locator("#newer").is_hidden()


def test_a_hidden_or_paused_page_asks_nothing_and_a_silent_service_is_said_to_be(served, visit):
    seen = visit("/traffic")
    page = seen.page
    page.clock.install()
    page.reload()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "part=live" in request.url else None)

    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(30_000)
    assert (asked, page.locator("#watching").text_content()) == ([], "Paused.")

    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.get_by_role("button", name="Go on").click()
    page.clock.run_for(30_000)
    assert asked == []

    page.context.set_offline(True)
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.run_for(100)
    page.get_by_text("The service does not answer; trying again.").wait_for()
    assert len(asked) == 1
    page.context.set_offline(False)
    page.clock.run_for(6_000)
    page.get_by_text("Refreshed every 5 seconds.").wait_for()
    assert seen.complaints.pop().endswith("ERR_INTERNET_DISCONNECTED")


def test_without_scripts_it_is_a_page_of_the_moment(served, visit):
    quote = ask(served, "/predict", STONE)
    until_logged(served, quote["request_id"])
    page = visit("/traffic", java_script_enabled=False).page

    page.locator(f"a[href='traffic/{quote['request_id']}']").click()

    assert page.url == f"{served.url}/traffic/{quote['request_id']}"
    assert json.loads(page.locator("pre").nth(1).text_content()) == quote
    assert page.locator("button").count() == page.locator("button[hidden]").count()


def test_filters_and_older_pages_are_used_by_hand(served, visit):
    last = [ask(served, "/champion", {})["request_id"] for _ in range(52)][-1]
    until_logged(served, last)
    page = visit("/traffic").page

    page.get_by_label("Status", exact=True).fill("405")
    page.get_by_role("button", name="Show", exact=True).click()

    page.wait_for_url(re.compile(r"status=405#exchanges$"))
    assert set(page.locator("#list .status").all_text_contents()) == {"405 refused"}
    assert page.locator("#list tbody tr").count() == 50
    page.get_by_role("link", name="Older").click()
    page.wait_for_url(re.compile(r"before=.+#exchanges$"))
    assert page.locator("#list tbody tr").count() >= 2
    assert page.get_by_label("Status", exact=True).input_value() == "405"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone_and_can_be_read(served, visit, scheme):
    until_logged(served, ask(served, f"/nothing/{'x' * 300}")["request_id"])
    seen = visit("/traffic?status=404", viewport={"width": 390, "height": 844}, color_scheme=scheme)
    seen.page.locator(".opens").first.click()
    seen.page.locator(OPENED).wait_for()

    assert not seen.is_wider_than_its_window()
    assert seen.faint() == []


def test_looking_at_the_page_is_not_in_the_log(served, visit):
    def logged_until(request_id):
        """How often the traffic was asked for, by all that is logged up to this exchange."""
        while True:
            with closing(sqlite3.connect(served.project.folder / "data/diamonds.db")) as log:
                if log.execute("SELECT 1 FROM traffic WHERE request_id = ?", [request_id]).fetchone():
                    return log.execute("SELECT count(*) FROM traffic WHERE path LIKE '/traffic%'").fetchone()[0]

    before = logged_until(ask(served, "/predict", STONE)["request_id"])
    seen = visit("/traffic")
    page = seen.page
    with page.expect_response(re.compile("part=live")):
        pass
    page.locator(".opens").first.click()
    page.locator(OPENED).wait_for()
    page.goto(f"{served.url}/traffic?status=ok")
    after = logged_until(ask(served, "/predict", STONE)["request_id"])
    ask(served, "/traffic", {}, Accept="text/html")
    ask(served, "/traffic?limit=1")
    asked = logged_until(ask(served, "/predict", STONE)["request_id"])

    assert "status of 422" in seen.complaints.pop()
    assert (after - before, asked - after) == (0, 2), "what is posted there, or asked by programs, is"
