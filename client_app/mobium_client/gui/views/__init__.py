"""The screens, dialogs and panes: one a file, without logic."""
