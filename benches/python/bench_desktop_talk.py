"""B13: the desktop's channels and screens on a private display: the pane of a channel of a thousand is
opened; a screen of 720p is shown at 15 pictures a second. Pictures are decoded elsewhere: here they are made
smaller in the background, as those of a call are, and drawn.

A stall is the longest time between two turns of the window's loop, beyond the 5 ms that were asked for.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benches.python.bench_desktop import child, figures
from benches.python.bench_inbox import start_server
from benches.python.desktop_window import BEAT, PASSWORD, opened, until
from mobium.client import Engine, Member
from tests.support.display import display

PICTURES = 150
FPS = 15
MEMBERS = 1_000


async def fill(data: Path, url: str) -> None:
    """The window's profile, with a channel."""
    folder = data / "profiles" / "window"
    folder.mkdir(parents=True)
    await Engine.create(folder, PASSWORD)
    async with Engine.open(folder, PASSWORD) as engine:
        await engine.connect(url)
        await engine.create_channel("garden")


def pane(_: str) -> dict[str, float]:
    """Milliseconds from a click to the members of a channel of a thousand on the screen."""
    from mobium_client.gui.app import App

    app = App("window")
    main = opened(app)
    roles = ("owner", *("member" for _ in range(MEMBERS - 1)))
    members = [
        Member(f"{n:064x}", None, f"Member {n % 700}", role, "unverified", False)  # type: ignore[arg-type]
        for n, role in enumerate(roles)
    ]

    async def all_of_them(_: str) -> list[Member]:
        return members

    setattr(main.opened.engine, "members", all_of_them)  # noqa: B010 - a method is not assigned to
    main.list.open(next(row.target for row in main.list.state.rows if row.kind == "channel"))
    until(app, lambda: main.state.conversation.state.loaded)
    began = time.perf_counter()
    main.about_channel()
    until(app, lambda: len(main.state.pane.state.members) == MEMBERS)
    app.update()
    taken = (time.perf_counter() - began) * 1000
    app.close()
    app.end()
    return {"ms": taken}


def screen(count: str) -> dict[str, float]:
    """Pictures drawn, milliseconds of the window's thread for each, and the longest stall."""
    import av

    from mobium_client.gui.app import App
    from mobium_client.gui.models.pictures import CallPictures
    from mobium_client.gui.models.screen_pane import ScreenPane

    app = App("window")
    main = opened(app)
    feed = CallPictures()
    shown = ScreenPane(main.opened, feed, "A screen", "ab" * 32, lambda: None)
    main.talk._stage(shown)
    app.update()
    noise = np.random.default_rng(1).integers(0, 255, (720, 1_280, 3), np.uint8)
    frames = [av.VideoFrame.from_ndarray(np.roll(noise, n * 40, 1), format="rgb24") for n in range(8)]
    frames = [frame.reformat(format="yuv420p") for frame in frames]
    view = app.screen._shown["stage"][1]
    spent: list[float] = []
    render = view.render

    def timed() -> None:
        began = time.perf_counter()
        render()
        app.update_idletasks()
        spent.append((time.perf_counter() - began) * 1000)

    view._endings[0]()
    shown.watch(timed)

    async def come() -> None:
        for number in range(int(count)):
            feed.put(frames[number % len(frames)])
            await asyncio.sleep(1 / FPS)

    gaps: list[float] = []
    last = time.perf_counter()
    over: list[object] = []

    def beat() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append((now - last) * 1000 - BEAT)
        last = now
        if over:
            app.quit()
        else:
            app.after(BEAT, beat)

    app.bridge.submit(come(), over.append, over.append)
    app.after(BEAT, beat)
    app.mainloop()
    drawn = shown.state.count
    app.close()
    app.end()
    return {"drawn": float(drawn), "ms": statistics.median(spent), "most": max(gaps)}


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """B13, channels and screens."""
    pictures = 30 if quick else PICTURES
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        server, url = start_server(data)
        try:
            asyncio.run(fill(data, url))
            with display(data, 1_440, 900) as shown:
                environment = {**os.environ, **shown.environ, "MOBIUM_DATA_DIR": str(data)}
                members = figures(child("pane", "", environment, __name__))["ms"]
                seen = figures(child("screen", str(pictures), environment, __name__))
        finally:
            server.terminate()
            server.wait(30)
    found = [
        (f"the pane of a channel of {MEMBERS:,} opened", members, "ms", 250),
        ("a picture of a screen drawn, 720p in a window of 1440x900", seen["ms"], "ms", None),
        (f"pictures drawn of {pictures} that came, {FPS} a second", seen["drawn"], "", None),
        ("longest stall meanwhile", seen["most"], "ms", 50),
    ]
    return [
        {
            "id": "B13",
            "what": f"desktop: {what}",
            "ours": ours,
            "unit": unit,
            "mark": "" if mark is None else f"{mark:,} {unit}",
            "met": None if mark is None or quick else ours <= mark,
        }
        for what, ours, unit, mark in found
    ]
