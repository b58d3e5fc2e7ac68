"""What screens are made of: one class a file, each with `__init__`, `_build`, `_connect`, `render` and
`destroy`.
"""
