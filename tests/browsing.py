"""A real browser for tests of pages: what it complained of, and whom it asked."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from node import modules

MISSING = "no Chromium: apt-get install chromium"
#: A browser on a busy machine takes its time, in milliseconds.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)
#: Text whose colour is nearer to its ground than WCAG 2.2 AA asks: 4.5, or 3 where it is large. What lies on a drawing
#: is not judged, nor what is hidden or cannot be used.
FAINT = """() => {
  const colour = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return {rgb: [r, g, b], a}; };
  const light = ({rgb}) => rgb.map((c) => c / 255).map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = colour(getComputedStyle(at).backgroundColor);
      if (found.a === 1) return found;
    }
    return colour("rgb(255, 255, 255)");
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *:not(script, style, noscript, svg, svg *, option)")) {
    const said = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (!said || !element.checkVisibility() || element.disabled || element.closest(".js-plotly-plot")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(colour(style.color)), light(ground(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + .05) / (b + .05);
    if (ratio < (isLarge ? 3 : 4.5)) faint.push(`${said.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return faint;
}"""


#: Violations as lines: the rule, how many elements and the first of them.
JUDGED = """async (exclude) => {
  const found = await axe.run({exclude: exclude.map((each) => [each])});
  return found.violations.map((each) => `${each.id} (${each.nodes.length}): ${each.nodes[0].html.slice(0, 200)}`);
}"""


@cache
def axe_script() -> str:
    """The script that judges."""
    return (modules() / "axe-core/axe.min.js").read_text()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of this machine, while it is needed.

    Its driver keeps an event loop for the thread it is used in, so that nothing else there can have one meanwhile.
    """
    place = shutil.which("chromium")
    if place is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield browser
        browser.close()


#: All pages that were visited by the test that runs.
VISITS: list["Visit"] = []
#: What the console says of a wish that is refused with its reason, which the page shows.
REFUSED = "Failed to load resource: the server responded with a status of 4"


def require_quiet_and_at_home() -> None:
    """Fail where a page that was visited complained, or asked another host for anything; then forget them."""
    visits, VISITS[:] = list(VISITS), []
    for visit in visits:
        assert [each for each in visit.complaints if not each.startswith(REFUSED)] == []
        assert {host.partition(":")[0] for host in visit.hosts} <= {"127.0.0.1"}


class Visit:
    """One page in a window of its own.

    Attributes:
        page: To act on.
        complaints: All errors and warnings of its console, and errors of its scripts.
        hosts: All hosts that it asked for anything.
    """

    def __init__(self, browser: Browser, url: str, **options) -> None:
        VISITS.append(self)
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self._context = browser.new_context(**options)
        self._context.set_default_timeout(PATIENCE)
        self.page: Page = self._context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.goto(url)

    def _hear(self, message) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def is_wider_than_its_window(self) -> bool:
        return self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")

    def colour(self, selector: str) -> str:
        return self.page.locator(selector).first.evaluate("element => getComputedStyle(element).color")

    def faint(self) -> list[str]:
        """Texts that cannot be read well."""
        return self.page.evaluate(FAINT)

    def close(self) -> None:
        self._context.close()


@contextmanager
def visiting(browser: Browser, url: str) -> Iterator[Callable[..., Visit]]:
    """Opens pages of a service by their path; at the end none has complained or asked another host."""
    visits: list[Visit] = []

    def opened(path: str, **options) -> Visit:
        visits.append(Visit(browser, url + path, **options))
        return visits[-1]

    yield opened
    for each in visits:
        each.close()
    assert [each.complaints for each in visits] == [[]] * len(visits)
    assert {host for each in visits for host in each.hosts} <= {urlsplit(url).netloc}
