"""The command `mobium`: profiles, contacts and conversations on a terminal or through pipes."""
