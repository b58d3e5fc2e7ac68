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
    # What has just come is not viewable yet, but has a geometry manager, and so have all around it.
    proc ::mobium::placed {widget} {
        while {$widget ne [winfo toplevel $widget]} {
            if {[winfo manager $widget] eq {}} {return 0}
            set widget [winfo parent $widget]
        }
        return 1
    }
    # Whoever is given the focus gets it once he is seen: a second look finds it there.
    proc ::mobium::look {{before {}}} {
        variable looks
        set at [focus]
        set lost [expr {$at ne {} && ![::mobium::placed $at]}]
        if {$lost && $at ne $before} {
            after 100 [list after idle [list ::mobium::look $at]]
            return
        }
        set looks 0
        if {$lost} {::mobium::next $at tk_focusNext}
    }
    bind all <<NextWindow>> {::mobium::next %W tk_focusNext}
    bind all <<PrevWindow>> {::mobium::next %W tk_focusPrev}
    bind all <Unmap> {+
        if {!$::mobium::looks} {set ::mobium::looks 1; after idle ::mobium::look}
    }
"""


def keep_in_sight(window: Any) -> None:
    """Have the focus go on to the next widget whenever the one that has it is shown no more."""
    window.tk.eval(_RULES)


def confine(window: Any, within: Any = None) -> None:
    """Let Tab lead to nothing but what is inside a widget, or everywhere again."""
    window.tk.call("set", "::mobium::within", "" if within is None else f"{within}.")
