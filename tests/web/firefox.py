"""Debian's Firefox by WebDriver BiDi, which it speaks by itself: Playwright drives only a Firefox of its own."""

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from httpx_ws import WebSocketSession, connect_ws

from tests.serving import end

PATIENCE_S = 120.0
"""A bound, not a claim."""
PREFERENCES: dict[str, object] = {
    "media.navigator.streams.fake": True,  # a picture of changing colour, and a tone
    "media.navigator.permission.disabled": True,  # camera and microphone for whoever asks
    "media.autoplay.default": 0,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
}


class FirefoxError(Exception):
    """What Firefox says of a command that failed."""


class Firefox:
    """One page. Commands are of https://w3c.github.io/webdriver-bidi/."""

    def __init__(self, socket: WebSocketSession) -> None:
        self._socket, self._sent = socket, 0
        self.complaints: list[str] = []
        """Errors and warnings of the page."""
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded"])
        self._page: str = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def call(self, method: str, **params: Any) -> Any:
        """Send a command; its result."""
        self._sent += 1
        self._socket.send_text(json.dumps({"id": self._sent, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.receive_text(PATIENCE_S))
            if message["type"] == "event" and message["params"].get("level") in ("error", "warn"):
                self.complaints.append(message["params"]["text"])
            if message.get("id") != self._sent:
                continue
            if message["type"] == "error":
                raise FirefoxError(f"{method}: {message['message']}")
            return message["result"]

    def before(self, script: str) -> None:
        """Have each page run a script before its own."""
        self.call("script.addPreloadScript", functionDeclaration=f"() => {{ {script} }}")

    def goto(self, url: str) -> None:
        """Open a page, and wait until it has loaded."""
        self.call("browsingContext.navigate", context=self._page, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, in which `await` may stand; as if a person had just clicked."""
        found = self._evaluate(f"(async () => JSON.stringify({expression}))()")
        return json.loads(found["value"]) if found["type"] == "string" else None

    def _evaluate(self, expression: str) -> Any:
        target = {"context": self._page}
        answer = self.call(
            "script.evaluate", expression=expression, target=target, awaitPromise=True, userActivation=True
        )
        if answer["type"] == "exception":
            raise FirefoxError(answer["exceptionDetails"]["text"])
        return answer["result"]

    def click(self, selector: str) -> None:
        """Click an element."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def choose(self, selector: str, path: Path) -> None:
        """Choose a file in a field."""
        element = self._evaluate(f"document.querySelector({json.dumps(selector)})")
        shared = {"sharedId": element["sharedId"]}
        self.call("input.setFiles", context=self._page, element=shared, files=[str(path)])

    def text(self, selector: str) -> str:
        """What is to be read of an element: nothing of one that is hidden."""
        found = f"[document.querySelector({json.dumps(selector)})]"
        return str(self.evaluate(f"{found}.map((one) => (one?.checkVisibility() ? one.innerText : ''))[0]"))

    def wait_for(self, selector: str, pattern: str) -> str:
        """The text of an element, once it matches.

        Raises:
            AssertionError: it does not in `PATIENCE_S`.
        """
        until = time.monotonic() + PATIENCE_S
        while not re.search(pattern, text := self.text(selector)):
            assert time.monotonic() < until, f"{selector} says {text!r}, which is not {pattern!r}"
            time.sleep(0.2)
        return text


@contextlib.contextmanager
def open_firefox(program: str, profile: Path, preferences: dict[str, object] | None = None) -> Iterator[Firefox]:
    """A Firefox without a window, with an empty profile and preferences beside `PREFERENCES`."""
    profile.mkdir(parents=True)
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in (PREFERENCES | (preferences or {})).items()]
    (profile / "user.js").write_text("\n".join(lines))
    log = profile / "log"
    command = [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"WebDriver BiDi listening on (ws://\S+)", log.read_text())):
            assert process.poll() is None, f"Firefox ended: {log.read_text()}"
            assert time.monotonic() < until, f"Firefox takes no commands: {log.read_text()}"
            time.sleep(0.1)
        socket: WebSocketSession
        with connect_ws(f"{found[1]}/session", max_message_size_bytes=2**24) as socket:
            yield Firefox(socket)
    finally:
        end(process)
