#!/bin/sh
# Makes .venv of the checkout and fills it: sh tools/setup.sh run|native|desktop|dev
# An environment that runs is kept; what is up to date is not done again (tools/setup.py knows).
set -u

cd "$(dirname "$0")/.." || exit 1

runs() { .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

if ! runs; then
    sh tools/system_packages.sh python || {
        echo "mobium needs Python 3.11 or newer that can make virtual environments (the module venv)." >&2
        exit 1
    }
    python=$(sh tools/find_python.sh) || exit 1
    echo "Making .venv with $python"
    "$python" -m venv --clear .venv || exit 1
fi
exec .venv/bin/python tools/setup.py "$@"
