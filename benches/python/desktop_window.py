"""The window's process of B13: it imports what the desktop imports, and little else.

Not its concern: the other side, and the table (bench_desktop.py).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import psutil

PASSWORD = "a password for a bench"
TIME_LIMIT = 300.0
BEAT = 5  # milliseconds between two turns that are asked for


def until(app: Any, true: Callable[[], object]) -> None:
    """Turn the window's loop until something is so."""
    end = time.monotonic() + TIME_LIMIT
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        app.update()
        time.sleep(0.001)


def opened(app: Any) -> Any:
    """Unlock; the main screen's presenter."""
    until(app, lambda: type(app.screen).__name__ == "UnlockView")
    app.screen.presenter.open(PASSWORD)
    until(app, lambda: type(app.screen).__name__ == "MainView" and app.screen.presenter.list.state.rows)
    return app.screen.presenter


def start(_: str) -> dict[str, float]:
    """The window's process: seconds from its beginning to the unlock screen."""
    from mobium_client.gui.app import App

    app = App("window")
    until(app, lambda: type(app.screen).__name__ == "UnlockView")
    app.update()
    seconds = time.time() - psutil.Process().create_time()
    work = time.process_time()
    app.close()
    app.end()
    return {"seconds": seconds, "work": work}


def long_one(key: str) -> dict[str, float]:
    """Seconds from a click on a conversation of 10,000 to its newest messages on the screen."""
    from mobium_client.gui.app import App

    app = App("window")
    main = opened(app)
    began = time.perf_counter()
    main.list.open(key)
    until(app, lambda: "of a long conversation" in app.screen.conversation.lines.text.get("1.0", "end"))
    app.update()
    seconds = time.perf_counter() - began
    app.close()
    app.end()
    return {"seconds": seconds}


def burst(count: str) -> dict[str, float]:
    """The longest stall in milliseconds while `count` messages arrive and some are sent."""
    from mobium_client.gui.app import App

    app = App("window")
    main = opened(app)
    until(app, lambda: main.status.state.words == "Connected")
    until(app, lambda: any(row.title == "Other" for row in main.list.state.rows))
    main.list.open(next(row.target for row in main.list.state.rows if row.title == "Other"))
    until(app, lambda: main.state.conversation.state.loaded)
    gaps: list[float] = []
    works: list[float] = []
    last, worked = time.perf_counter(), time.thread_time()

    def beat() -> None:
        nonlocal last, worked
        now, work = time.perf_counter(), time.thread_time()
        gaps.append((now - last) * 1000 - BEAT)
        works.append((work - worked) * 1000)
        last, worked = now, work
        if len(gaps) % 50 == 0:
            main.state.conversation.composer.type(f"An answer, the {len(gaps)}th")
            main.state.conversation.composer.send()
        app.after(BEAT, beat)

    print("ready", flush=True)
    app.after(BEAT, beat)
    shown: Callable[[], str] = lambda: app.screen.conversation.lines.text.get("1.0", "end")  # noqa: E731
    end = time.monotonic() + TIME_LIMIT

    def look() -> None:
        if f"Arrival {int(count) - 1}," in shown() or time.monotonic() > end:
            app.quit()
        else:
            app.after(200, look)

    app.after(200, look)
    app.mainloop()
    app.close()
    app.end()
    return {"most": max(gaps), "p99": statistics.quantiles(gaps, n=100)[-1], "work": max(works)}
