#!/usr/bin/env bash
# The image's environment as the clone's .venv, so that every target of make uses it as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -e .venv ] && [ ! -L .venv ]; then
    echo "reprise: .venv: is not the container's; move it away, then rebuild the container" >&2
    exit 1
fi
ln -sfn /opt/reprise/.venv .venv
.venv/bin/uv pip install --quiet --python .venv --no-deps --no-build-isolation -e .
.venv/bin/python -m reprise.engines.repository vega
.venv/bin/python -m reprise.engines.repository schema
touch .venv/.installed
