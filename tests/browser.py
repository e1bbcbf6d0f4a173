"""Headless Chromium for tests, driven through two pipes (DevTools protocol); needs no driver and no network."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9, "Enter": 13, " ": 32}


class Browser:
    """A browser with one page at a time.

    Args:
        folder: For its profile.
    """

    def __init__(self, folder: Path) -> None:
        from_test, self._to_browser = os.pipe()
        self._from_browser, to_test = os.pipe()
        options = (
            f"--headless=new --no-sandbox --disable-gpu --hide-scrollbars --remote-debugging-pipe --no-first-run "
            f"--disable-background-networking --user-data-dir={folder}"
        )
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "{CHROMIUM}" {options} 3<&{from_test} 4>&{to_test}'],
            pass_fds=(from_test, to_test),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_test)
        os.close(to_test)
        self._received, self._number, self._session = b"", 0, None
        self.problems: list[str] = []
        """Errors in the console and exceptions of the page."""

    def open(self, page: Path | str, *, width: int = 1200, height: int = 900, is_dark: bool = False) -> None:
        """Open a file or an address; the page has loaded when this returns."""
        if self._session is not None:
            self.send("Page.close")
            self._session = None
        self.problems.clear()
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=features)
        self.send("Page.navigate", url=page if isinstance(page, str) else page.absolute().as_uri())
        self._until(lambda message: message.get("method") == "Page.loadEventFired")

    def evaluate(self, code: str):
        """Return the value of an expression."""
        found = self.send("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str, *, times: int = 1) -> None:
        """Press a key, as a person does."""
        event = {
            "key": key,
            "code": "Space" if key == " " else key,
            "windowsVirtualKeyCode": _KEYS.get(key, ord(key[0])),
        }
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        for _ in range(times):
            self.send("Input.dispatchKeyEvent", type="keyDown", **event, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def screenshot(self, path: Path, *, whole: bool = False) -> Path:
        """Write what the page shows as PNG, or all of it."""
        found = self.send(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole)
        )
        path.write_bytes(base64.b64decode(found["data"]))
        return path

    def _clip(self, whole: bool) -> dict:
        if not whole:
            return {}
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(OSError, EOFError):
            self._session = None
            self.send("Browser.close")
        self._process.wait(timeout=60)
        os.close(self._to_browser)
        os.close(self._from_browser)

    def send(self, method: str, **parameters) -> dict:
        """Send a command, and return its result."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        found = self._until(lambda message: message.get("id") == number)
        assert "error" not in found, (method, found)
        return found["result"]

    def _until(self, is_it) -> dict:
        while True:
            message = self._next()
            self._note(message)
            if is_it(message):
                return message

    def _next(self) -> dict:
        while b"\0" not in self._received:
            more = os.read(self._from_browser, 1 << 20)
            if not more:
                raise EOFError("the browser ended")
            self._received += more
        text, _, self._received = self._received.partition(b"\0")
        return json.loads(text)

    def _note(self, message: dict) -> None:
        details = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.problems.append(details["exceptionDetails"]["exception"].get("description", "exception"))
        if message.get("method") == "Runtime.consoleAPICalled" and details["type"] in {"error", "warning"}:
            self.problems.append(str(details["args"]))
        if message.get("method") == "Log.entryAdded" and details["entry"]["level"] in {"error", "warning"}:
            self.problems.append(details["entry"]["text"])
