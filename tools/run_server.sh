#!/bin/sh
# Starts the server of this checkout with the settings of .env, which is made from .env.example the first time.
# Settings of the real environment win over those of .env.
set -u

cd "$(dirname "$0")/.." || exit 1
if [ ! -e .env ]; then
    cp .env.example .env || exit 1
    echo "Made .env from .env.example; the server's settings are there."
fi
mkdir -p data
exec .venv/bin/python -m mobium_server
