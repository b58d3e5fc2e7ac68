"""The keys of editing where Tk has its own on X11: Ctrl+A, and pasting over what is selected.

Tk takes Ctrl+A for the beginning of the line there, as Emacs does, and pastes beside a selection.
"""

from __future__ import annotations

from typing import Any

__all__ = ["usual_keys"]

_PASTE = """
    if {{![catch {{::tk::GetSelection %W CLIPBOARD}}]}} {{ catch {{ %W delete sel.first sel.last }} }}
    {paste}
"""


def usual_keys(window: Any) -> None:
    """Have them do in every field of a window what they do everywhere else."""
    if window.tk.call("tk", "windowingsystem") != "x11":
        return
    for keys in ("<Control-Key-a>", "<Control-Lock-Key-A>"):
        window.event_delete("<<LineStart>>", keys)
        window.event_add("<<SelectAll>>", keys)
    for kind in ("Entry", "Text"):
        paste = window.tk.call("bind", kind, "<<Paste>>")
        window.tk.call("bind", kind, "<<Paste>>", _PASTE.format(paste=paste))
