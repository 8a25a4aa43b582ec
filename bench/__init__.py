"""What Reprise costs beside what people use: each row runs both sides, interleaved.

`python -m bench` measures everything and writes logs/bench.json and docs/benchmarks.md;
`make bench` makes the peers' environment first.
"""
