# One job over all networks: DVC cannot name one value in every recipe of an axis, so an edit of a
# learning rate runs it again (seconds), and it writes the same bytes.
rule architecture:
    input:
        script="workflow/scripts/architecture.py",
        code=closure("architecture"),
        sets=[prepared(part, "dataset.json") for part in PARTS],
    output:
        networks=report(
            "results/tables/architecture.csv",
            caption="../report/networks.rst",
            category="Tables",
            labels={"table": "architecture"},
        ),
        layers=report(
            "results/tables/layers.csv",
            caption="../report/networks.rst",
            category="Tables",
            labels={"table": "layers"},
        ),
        md=expand("results/tables/{table}.md", table=SHAPES),
    log:
        "logs/architecture.log",
    benchmark:
        "logs/benchmark/architecture.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        results=subpath(output.networks, ancestor=2),
        reads=values(*PARTS, "anything"),
    shell:
        "PYTHONPATH=src python {input.script} --results {params.results} --log {log}"
