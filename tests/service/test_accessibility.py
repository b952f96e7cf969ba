"""All pages, judged by axe-core in a real browser: whom they keep out, what they complain of, whom they ask."""

import json
import shutil
import urllib.request

import pytest

from browsing import JUDGED, Visit, axe_script
from diamonds.pipelines.monitoring import figure
from diamonds.service.pages import Pages
from diamonds.service.state import Serving
from project import STONE, serve, stop
from reported import SOLD, leave, report

#: Swagger UI comes with BentoML as it is: its headings skip levels and its JSON is coloured too faintly.
NOT_OURS = {"/docs": ["#swagger-ui"]}
#: Each page by its address, and what is there once it is whole; RUN and ID are those of a run and of an exchange.
PAGES = {
    "/": "#stone",
    "/?carat=1.1&cut=Ideal&color=H&clarity=SI2": "#around .main-svg",
    "/traffic": "#latency .main-svg",
    "/traffic?status=422#open": ".opened .exchange",
    "/traffic/ID": ".exchange",
    "/traffic?status=ok": "[aria-invalid]",
    "/docs": "#swagger-ui .opblock",
    "/sign-in": "[type=password]",
    "/models": "main",
    "/models#watched-title": ".monitoring_plot .main-svg",
    "/models/RUN": "main",
}
ROUTES = {route.path.partition("{")[0] for route in Pages(Serving(), dict).app().routes}
#: Only those that there are.
SHOWN = [
    path for path in PAGES if not path.startswith("/models") or path.partition("#")[0].replace("RUN", "") in ROUTES
]


@pytest.fixture(scope="module")
def axe():
    return axe_script()


@pytest.fixture(scope="module")
def guarded(trained, tmp_path_factory):
    """The same service with a token: only it has a page to sign in.

    Its Bento home is a copy, for BentoML empties the metrics of a home as it starts a service there.
    """
    home = shutil.copytree(trained.folder / "bentoml", tmp_path_factory.mktemp("guarded") / "bentoml")
    running = serve(trained, BENTOML_HOME=str(home), DIAMONDS_ADMIN_TOKEN="open sesame")  # noqa: S106 - for this test
    yield running
    stop(running)


@pytest.fixture(scope="module")
def names(served):
    """A refused exchange that is in the log, and the newest run; and a report on the champion is there."""

    def ask(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(served.url + path, data, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own loopback address
            return json.load(answer)

    with pytest.raises(urllib.error.HTTPError) as refused:
        ask("/predict", STONE | {"color": "Z"})
    refused.value.close()
    while not (logged := ask("/traffic?status=422")["exchanges"]):
        pass  # the outbox has no event to wait for
    champion = ask("/champion")
    found = report(model=champion["name"], version=champion["version"], sales=SOLD)
    leave(served.project.folder, found, drawn=figure.draw(found, 0.25).to_json())
    return {"ID": logged[0]["request_id"], "RUN": ask("/history?limit=1")["runs"][0]["id"]}


@pytest.mark.parametrize("path", SHOWN)
def test_a_page_keeps_nobody_out_and_asks_nobody_else(request, axe, browser, served, names, path):
    service = request.getfixturevalue("guarded") if path == "/sign-in" else served
    address = service.url + path.replace("ID", names["ID"]).replace("RUN", names["RUN"])
    seen = Visit(browser, address, reduced_motion="reduce")  # colours are read, and not on their way
    if path.endswith("#open"):
        seen.page.locator(".opens").first.click()
    seen.page.locator(PAGES[path]).first.wait_for()
    seen.page.evaluate(axe)

    found = {}
    for width in (1280, 390):
        seen.page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            seen.page.emulate_media(color_scheme=scheme)
            found[width, scheme] = seen.page.evaluate(JUDGED, NOT_OURS.get(path, []))
        found[width, "wider"] = seen.is_wider_than_its_window()

    refused = [each for each in seen.complaints if "status of 422" in each]  # of the page itself, as it should be
    complaints, hosts = [each for each in seen.complaints if each not in refused], seen.hosts
    seen.close()
    assert {where: what for where, what in found.items() if what} == {}
    assert (complaints, len(refused)) == ([], int(path == "/traffic?status=ok"))
    assert hosts == {service.url.removeprefix("http://")}


def test_a_browser_signs_in_sees_the_traffic_and_signs_out(axe, browser, guarded, names):
    seen = Visit(browser, f"{guarded.url}/traffic", reduced_motion="reduce")
    page = seen.page
    led = page.url

    page.get_by_label("Token").fill("open sesame")
    page.get_by_role("button", name="Sign in").click()
    page.locator("#latency .main-svg").first.wait_for()
    shown, lines = page.url, page.locator("#list tbody tr").count()
    page.evaluate(axe)
    violations = page.evaluate(JUDGED, [])
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{guarded.url}/traffic/{names['ID']}")
    left = page.url

    complaints = seen.complaints
    seen.close()
    assert (led, shown) == (f"{guarded.url}/sign-in?to=traffic", f"{guarded.url}/traffic")
    assert lines > 0
    assert left == f"{guarded.url}/sign-in?to=traffic%2F{names['ID']}"
    assert (violations, complaints) == ([], [])
