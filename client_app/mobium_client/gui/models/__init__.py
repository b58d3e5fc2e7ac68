"""What the desktop shows and what can be done there, without a toolkit: its tests need no display."""
