"""A real browser without a screen, driven by the DevTools protocol: what a page shows, and what it complains
of.

Not its concern: the pages (their tests).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from websockets.asyncio.client import ClientConnection, connect

from tests.support.programs import ended

COMMAND = "chromium"
WAIT = 30.0  # seconds


class PageError(AssertionError):
    """A script that the test ran in the page failed."""


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []
        """What the console holds: errors of scripts, of the network and of the content security policy."""
        self.asked: list[str] = []
        """The addresses of all requests."""
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for raw in self._socket:
            message = json.loads(raw)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            else:
                self._note(message["method"], message["params"])

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(params["args"]))
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(WAIT):
            message = await answer
        if "error" in message:
            raise PageError(f"{method}: {message['error']['message']}")
        result: dict[str, Any] = message["result"]
        return result

    async def open(self, url: str) -> None:
        """Go to an address."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise PageError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    async def until(self, script: str, within: float = WAIT) -> Any:
        """Wait until an expression is true; its value."""
        async with asyncio.timeout(within):
            while True:
                with contextlib.suppress(PageError):  # while a page is being replaced there is no document
                    value = await self.run(script)
                    if value:
                        return value
                await asyncio.sleep(0.02)

    async def text(self) -> str:
        """What a person can read."""
        found: str = await self.run("document.body.innerText")
        return found

    async def look(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """A screen of so many pixels, and which colours its owner likes."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, path: Path) -> None:
        """Write what is seen into a PNG file."""
        answer = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(answer["data"]))

    async def close(self) -> None:
        """Close the connection to the tab."""
        self._reading.cancel()
        await self._socket.close()


class Browser:
    """A running browser."""

    def __init__(self, port: int) -> None:
        self._port = port

    @contextlib.asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A new tab."""
        request = Request(f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT")
        target = json.loads(await asyncio.to_thread(lambda: urlopen(request, timeout=WAIT).read()))
        async with connect(target["webSocketDebuggerUrl"], max_size=None, compression=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.call(f"{domain}.enable")
            try:
                yield page
            finally:
                await page.close()


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a new profile in `folder`."""
    profile = folder / "chromium"
    process = subprocess.Popen(
        [
            COMMAND,
            "--headless=new",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-proxy-server",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Browser(_port(process, profile / "DevToolsActivePort"))
    finally:
        ended(process)


def _port(process: subprocess.Popen[bytes], file: Path) -> int:
    """Where it listens, once it says so."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{COMMAND} ended with code {process.returncode}.")
        with contextlib.suppress(FileNotFoundError, IndexError):
            return int(file.read_text().splitlines()[0])
        time.sleep(0.02)
    raise RuntimeError(f"{COMMAND} did not begin to listen within {WAIT:.0f} s.")
