"""Chromium as people have it: nothing debugs it, for then scripts run in twice the time.

What Playwright drives tells of each exception that is thrown, caught or not, and of where; Plotly's script throws some
on purpose as it loads, and the browser parses its five megabytes anew for each.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from websockets.sync.client import ClientConnection, connect

#: In seconds: how long anything is waited for.
PATIENCE = 60


class Chromium:
    """A browser that runs, asked by its own protocol (https://chromedevtools.github.io/devtools-protocol/)."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = count(1)

    def visit(self, url: str, script: str) -> Any:  # noqa: ANN401 - what the script answers, as JSON
        """Open a page as somebody does who was never here; answers what the script, a promise, comes to there."""
        context = self._ask("Target.createBrowserContext")["browserContextId"]
        target = self._ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._ask("Page.navigate", session, url=url)
        found = self._ask("Runtime.evaluate", session, expression=script, awaitPromise=True, returnByValue=True)
        self._ask("Target.disposeBrowserContext", browserContextId=context)
        return found["result"]["value"]

    def _ask(self, method: str, session: str | None = None, **params: Any) -> Any:  # noqa: ANN401 - JSON
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self._connection.send(json.dumps(asked))
        while (told := json.loads(self._connection.recv(PATIENCE))).get("id") != number:
            pass
        if "error" in told or "exceptionDetails" in told["result"]:
            raise RuntimeError(f"{method} failed: {told.get('error') or told['result']['exceptionDetails']}")
        return told["result"]


@contextmanager
def running_chromium() -> Iterator[Chromium]:
    """A browser with a profile of its own, for as long as it is needed.

    Raises:
        SystemExit: There is none.
    """
    found = shutil.which("chromium")
    if found is None:
        raise SystemExit("there is no Chromium: install Debian's package chromium")
    with tempfile.TemporaryDirectory(prefix="bench-chromium-", ignore_cleanup_errors=True) as name:
        command = [found, "--headless", "--no-sandbox", "--remote-debugging-port=0", f"--user-data-dir={name}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                with connect(_address(process), max_size=None, open_timeout=PATIENCE) as connection:
                    yield Chromium(connection)
            finally:
                process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if "DevTools listening on " in line:
            return line.split("DevTools listening on ")[1].strip()
    raise SystemExit(f"Chromium ended with {process.wait()} before it could be asked")
