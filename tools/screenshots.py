"""Pictures of every screen of the desktop, to be looked at: `python tools/screenshots.py [NAME...]`.

Into build/screenshots, which git ignores: at 1000x700 and 1440x900, dark and light, on private displays.
Scenes are functions in tools/scenes, one module a subject; each gets a fresh data folder and a window. Not
its concern: whether what is shown is right (tests/desktop).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SIZES = ((1000, 700), (1440, 900))
LOOKS = ("dark", "light")
FOLDER = ROOT / "build" / "screenshots"


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes pictures of the desktop's screens.")
    parser.add_argument(
        "names", nargs="*", help="scenes whose names begin with one of these; all without any"
    )
    parser.add_argument("--size", help="only this size, as 1000x700")
    parser.add_argument("--look", choices=LOOKS, help="only this look")
    parser.add_argument("--into", type=Path, default=FOLDER, help="where they go")
    chosen = parser.parse_args()
    if chosen.size is None:
        # Tk holds on to its display as long as the process lives: a process for each.
        again = [sys.executable, __file__, *sys.argv[1:], "--size"]
        ran = [subprocess.run([*again, f"{width}x{height}"], check=False) for width, height in SIZES]
        return max(abs(one.returncode) for one in ran)
    home = tempfile.TemporaryDirectory(prefix="mobium-screens-")
    with home:
        os.environ["HOME"] = home.name  # CustomTkinter puts its fonts there
        for name in ("MOBIUM_DATA_DIR", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"):
            os.environ.pop(name, None)
        from tests.support.display import display
        from tools.scenes import SCENES, Stage, quick_passwords

        quick_passwords()
        chosen.into.mkdir(parents=True, exist_ok=True)
        for width, height in SIZES:
            if chosen.size != f"{width}x{height}":
                continue
            with tempfile.TemporaryDirectory() as folder, display(Path(folder), width, height) as shown:
                os.environ["DISPLAY"] = shown.name
                for look in LOOKS:
                    for name, scene in SCENES.items():
                        wanted = not chosen.names or name.startswith(tuple(chosen.names))
                        if not wanted or chosen.look not in (None, look):
                            continue
                        began = time.monotonic()
                        with contextlib.ExitStack() as stack:
                            data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                            stage = Stage(stack, data, width, height, look)
                            scene(stage)
                            file = chosen.into / f"{name}-{width}x{height}-{look}.png"
                            stage.picture().save(file, optimize=True)
                        print(f"{file}  {time.monotonic() - began:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
