"""Where the focus of the keyboard may be: inside the dialog that covers everything else, and never on what is
shown no more.

Not its concern: which widgets take it, and how they show it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["confine", "keep_in_sight"]

# `within` begins the names of the widgets that Tab may lead to. As many are looked at as a window may have.
_RULES = """
    namespace eval ::mobium {variable within {}; variable looks 0}
    proc ::mobium::next {from step} {
        variable within
        set to $from
        for {set looked 0} {$looked < 5000} {incr looked} {
            set to [$step $to]
            if {[string range $to 0 [string length $within]-1] eq $within} {
                tk::TabToWindow $to
                return
            }
            if {$to eq $from} {return}
        }
    }
    proc ::mobium::look {} {
        variable looks 0
        set at [focus]
        if {$at ne {} && $at ne {.} && [winfo viewable .] && ![winfo viewable $at]} {
            ::mobium::next $at tk_focusNext
        }
    }
    bind all <<NextWindow>> {::mobium::next %W tk_focusNext}
    bind all <<PrevWindow>> {::mobium::next %W tk_focusPrev}
    # later: what has just got the focus may not be laid out yet
    bind all <Unmap> {+
        if {!$::mobium::looks} {set ::mobium::looks 1; after 50 {after idle ::mobium::look}}
    }
"""


def keep_in_sight(window: Any) -> None:
    """Have the focus go on to the next widget whenever the one that has it is shown no more."""
    window.tk.eval(_RULES)


def confine(window: Any, within: Any = None) -> None:
    """Let Tab lead to nothing but what is inside a widget, or everywhere again."""
    window.tk.call("set", "::mobium::within", "" if within is None else f"{within}.")
