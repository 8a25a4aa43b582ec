"""Speed of Reprise and of common alternatives: each row runs both sides, interleaved.

`python -m bench` measures everything and writes logs/bench.json and docs/benchmarks.md;
`make bench` installs the peers' environment first.
"""
