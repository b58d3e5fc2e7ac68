#!/bin/sh
# Prints the path of the newest Python from 3.11 on that really runs and can make a virtual environment.
# A name on PATH proves nothing: the shims of version managers fail when they are called, and Debian's python3 has
# no ensurepip until python3-venv is there. Exit 1, printing nothing, where there is none.
set -u

for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
    # the interpreter's own word for its path, so that no shim gets into the environment
    found=$("$name" -c '
import sys
import ensurepip, venv
if sys.version_info < (3, 11):
    sys.exit(1)
print(sys.executable)
' 2>/dev/null) || continue
    [ -n "$found" ] || continue
    printf '%s\n' "$found"
    exit 0
done
exit 1
